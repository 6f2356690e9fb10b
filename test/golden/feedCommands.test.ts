/** `muster feed …` as operators and scripts see it: a process each, on embedded parts that they share, and an SFTP server to fetch from. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startDrop, type Drop } from '../../src/embedded/drop.ts'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { newHome } from '../embedded/processes.ts'
import { runMuster, type Json, type Ran } from '../support/runMuster.ts'
import { TEST_SETTINGS } from '../support/settings.ts'

let home: string
let folder: string
let server: EmbeddedPostgres
let drop: Drop

const musterAs = (operator: string, ...args: string[]): Promise<Ran> => runMuster(args, { folder, settings: { MUSTER_HOME: home, MUSTER_OPERATOR: operator } })
const muster = (...args: string[]): Promise<Ran> => musterAs('olga', ...args)
const feed = (...args: string[]): Promise<Ran> => muster('feed', ...args)
const errorOf = ({ json }: Ran): string => (json['error'] as { code: string }).code

const ORGANIZATION = {
  key: 'acme', name: 'Acme Staffing', timeZone: 'America/New_York', language: 'en', administrators: ['ada'], groups: ['Staff'], profiles: ['Standard'], licenses: [{ name: 'Full' }], roles: [{ name: 'Worker' }],
  defaults: { groups: ['Staff'], profile: 'Standard', license: 'Full', role: 'Worker', delivery: 'invitation' }, mail: { from: 'Acme <no-reply@acme.example>', ratePerMinute: 600 },
}
const HEAD = 'External ID,First Name,Last Name,Email'
const NAMES = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Barbara Liskov']
const person = (name: string, index: number): string => `E${index},${name.replace(' ', ',')},${name.split(' ')[0]!.toLowerCase()}@people.example`
/** Leaves a full file on the server. */
const leave = (name: string, ...lines: string[]): void => writeFileSync(join(drop.folder, name), [HEAD, ...lines].join('\n'))

beforeAll(async () => {
  home = newHome()
  folder = join(home, '..', 'files')
  mkdirSync(folder)
  server = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
  drop = await startDrop(home, { username: 'acme', port: 0, random: randomBytes })
  writeFileSync(join(folder, 'acme.json'), JSON.stringify(ORGANIZATION))
  writeFileSync(join(folder, 'password.txt'), `${drop.password}\n`)
  const { host, port, username } = drop
  const declaration = { organization: 'acme', name: 'nightly', server: { host, port, username, login: { password: 'acme-sftp' } }, pattern: 'people-*.csv', schedule: '30 2 * * *', readiness: { kind: 'rename' }, mode: 'full', delivery: 'none' }
  writeFileSync(join(folder, 'nightly.json'), JSON.stringify(declaration))
  const { status, err } = await muster('organization', 'apply', 'acme.json')
  if (status !== 0) throw new Error(err)
}, 90_000)
afterAll(async () => {
  await drop.close()
  await server.release()
})

describe('a feed', { timeout: 120_000 }, () => {
  let held: string

  test('is declared with a secret that nothing shows, and pins the key that its owner told', async () => {
    const given = await feed('secret', 'acme-sftp', '--organization', 'acme', '--file', 'password.txt', '--json')
    expect([given.status, given.json]).toEqual([0, { secret: { organization: 'acme', name: 'acme-sftp', replaced: false, usedBy: [] } }])
    expect(given.out + given.err).not.toContain(drop.password)
    const applied = await feed('apply', 'nightly.json', '--json')
    expect([applied.status, applied.json]).toMatchObject([0, { created: true, missing: { trust: true, secrets: [] } }])
    const pinned = await feed('trust', 'nightly', '--fingerprint', drop.hostKey, '--json')
    expect([pinned.status, pinned.json]).toMatchObject([0, { trusted: true, shown: drop.hostKey, before: null, changed: false }])
  })

  test('holds its first file with names, says so in one line, and with its exit status', async () => {
    leave('people-1.csv', ...NAMES.map(person))
    const run = await feed('run', 'nightly', '--json')
    expect([run.status, run.json]).toMatchObject([2, { feed: 'nightly', files: [{ name: 'people-1.csv', state: 'held' }], imports: [{ state: 'held', totals: { read: 4, created: 4 } }] }])
    held = (run.json['imports'] as Json[])[0]!['id'] as string
    expect((await feed('list')).out).toContain(`held: 4 people would be created (limit 0): ./muster feed show ${held}`)
    const shown = await feed('show', held)
    expect(shown.out).toContain('  4 would be new\n    E0  Ada Lovelace  ada@people.example\n    E1  Grace Hopper  grace@people.example\n')
    expect(shown.out).toMatch(new RegExp(`\\./muster feed approve ${held} --plan [0-9a-f]{64}\\n {2}\\./muster feed reject ${held}\\n`))
  })

  test('is approved by an administrator who did not declare it, and answers on the server', async () => {
    const own = await feed('approve', held, '--yes', '--json')
    expect([own.status, errorOf(own)]).toEqual([1, 'decision.own_feed'])
    const approved = await musterAs('ada', 'feed', 'approve', held, '--yes', '--json')
    expect([approved.status, approved.json]).toMatchObject([0, { confirmed: true, report: { state: 'committed', totals: { created: 4 } } }])
    expect(JSON.parse(readFileSync(join(drop.folder, 'people-1.csv.ack.json'), 'utf8'))).toMatchObject({ feed: 'nightly', state: 'imported' })
  })

  test('gives up what is rejected: nobody leaves, and the sender is told', async () => {
    leave('people-2.csv', person(NAMES[3]!, 3))
    const run = await feed('run', 'nightly')
    expect(run.status).toBe(2)
    expect(run.out).toContain('held  people-2.csv\n  People deactivated because the file does not name them: 3. By itself a file may deactivate at most 0 (active now: 4).')
    held = /feed show (\d+)/.exec(run.out)![1]!
    const rejected = await musterAs('ada', 'feed', 'reject', held, '--json')
    expect([rejected.status, rejected.json]).toEqual([0, { import: held, file: 'people-2.csv', rejected: true }])
    expect(JSON.parse(readFileSync(join(drop.folder, 'people-2.csv.ack.json'), 'utf8'))).toMatchObject({ state: 'rejected' })
    expect((await muster('contacts', 'list', '--organization', 'acme', '--filter', 'state=active', '--json')).lines).toHaveLength(4)
  })

  test('wrong usage ends with 64', async () => {
    expect((await feed('replay', 'nightly', '--deactivations', 'many', '--json')).status).toBe(64)
  })
})
