/** The demonstration drop of `muster up`: its feed is declared, pinned and has its secret, and nobody else's installation gets one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { startDemonstrationDrop, type DemonstrationDrop } from '../../src/commands/demonstrateDrop.ts'
import type { Installation } from '../../src/commands/installation.ts'
import type { Drop } from '../../src/embedded/drop.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { feedNamed, type StoredFeed } from '../../src/feeds/feeds.ts'
import { reportFeeds } from '../../src/feeds/feedReport.ts'
import { openSecret } from '../../src/feeds/secrets.ts'
import { newHome } from '../embedded/processes.ts'
import { importing, useDatabase, type Importing } from '../support/importing.ts'

const DECLARATION = JSON.parse(readFileSync(join(import.meta.dirname, '../../fixtures/demonstration/acme.organization.json'), 'utf8')) as Record<string, unknown>
const secrets = { secret: 's'.repeat(32), previous: null }

const database = useDatabase()
let home: string
let acme: Importing
beforeAll(async () => {
  home = newHome()
  acme = await importing(database.current, DECLARATION)
})

const onPort = async (start: (port: number) => Promise<Drop>): Promise<Drop & { moved: boolean }> => ({ ...(await start(0)), moved: false })
const start = (changes: { embedded?: boolean; smtpUrl?: string | null } = {}): Promise<DemonstrationDrop | null> =>
  startDemonstrationDrop({ database: database.current, embedded: changes.embedded ?? true, config: { home, smtpUrl: changes.smtpUrl ?? null }, secret: secrets.secret, secrets } as unknown as Installation, onPort)
const within = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => database.current.tenant(acme.organizationId, work)
const stored = (): Promise<StoredFeed | null> => within((tx) => feedNamed(tx, 'drop'))

test('declares its feed with the key and password of the drop, where the drop listens', async () => {
  const drop = (await start())!
  expect(await stored()).toMatchObject({ state: 'active', hostKey: drop.hostKey, author: 'muster up', definition: { server: { host: '127.0.0.1', port: drop.port, username: 'acme' }, schedule: '* * * * *', mode: 'changes' } })
  expect(await within((tx) => openSecret(tx, secrets, 'drop'))).toBe(drop.password)
  expect((await within((tx) => reportFeeds(tx)))[0]!.condition).toMatchObject({ code: 'new', command: null })
  await drop.rest()
  await drop.close()
  expect(await stored()).toMatchObject({ state: 'paused' })
})

test('started again, on another port, it goes on, and the key is pinned again', async () => {
  const before = (await stored())!
  const drop = (await start())!
  expect(await stored()).toMatchObject({ id: before.id, state: 'active', hostKey: before.hostKey, definition: { server: { port: drop.port } } })
  await drop.close()
})

test('of two with one home the first has it', async () => {
  const drop = (await start())!
  expect(await start()).toBeNull()
  await drop.close()
  await (await start())!.close()
})

test('a feed that an operator has declared anew is left as it is, but its secret is there', async () => {
  await acme.sql(`update feeds set author = 'olga', definition = jsonb_set(definition, '{server,port}', '2222')`)
  const drop = (await start())!
  expect(await stored()).toMatchObject({ author: 'olga', definition: { server: { port: 2222 } } })
  await drop.rest()
  expect(await stored()).toMatchObject({ state: 'active' })
  await drop.close()
})

test('there is none beside a database or a mail server of their own, nor beside an organization that is not the demonstration’s', async () => {
  expect(await start({ embedded: false })).toBeNull()
  expect(await start({ smtpUrl: 'smtp://mail.example:25' })).toBeNull()
  await importing(database.current, { key: 'other' })
  expect(await start()).toBeNull()
})
