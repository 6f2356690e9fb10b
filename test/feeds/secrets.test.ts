import { randomBytes } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { FeedSecretMissing, FeedSecretRefused, listSecrets, openSecret, resealAll, storeSecret } from '../../src/feeds/secrets.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { SealBroken } from '../../src/organizations/seal.ts'
import { testDatabase } from '../support/services.ts'
import { declaring, type Declaring } from './declare.ts'

const OLD = 'the secret that was before, long enough'
const NEW = 'the secret of today, which is long enough'
const server = await testDatabase()
const database = new Database(server.url)
let acme: Declaring

beforeEach(async () => {
  acme = await declaring(database)
  await acme.sql('delete from feed_secrets where organization_id = $1', [acme.organizationId])
})

afterAll(async () => {
  await database.close()
  await server.drop()
})

const store = (name: string, value: string, secret = OLD) => acme.tenant((tx) => storeSecret(tx, { secret, random: randomBytes }, name, value, 'olive'))
const open = (name: string, secret = OLD, previous: string | null = null) => acme.tenant((tx) => openSecret(tx, { secret, previous }, name))
const sealed = () => acme.sql<{ name: string; sealed: Buffer }>('select name, sealed from feed_secrets where organization_id = $1 order by name', [acme.organizationId])

describe('a secret', () => {
  test('is opened as it was given, and the last one given counts', async () => {
    expect(await store('password', 'hunter2')).toEqual({ replaced: false })
    expect(await open('password')).toBe('hunter2')
    expect(await store('password', 'schlüssel\n zwei ')).toEqual({ replaced: true })
    expect(await open('password')).toBe('schlüssel\n zwei ')
    expect(await sealed()).toHaveLength(1)
  })

  test('is nowhere in clear: not in its table, not in the audit trail', async () => {
    await store('password', 'hunter2-unmistakable')
    const everything = JSON.stringify([await acme.sql('select encode(sealed, \'escape\') as sealed, s.name, updated_by from feed_secrets s'), await acme.tenant((tx) => readAudit(tx, 10))])
    expect(everything).not.toContain('unmistakable')
    expect(await acme.tenant((tx) => readAudit(tx, 1))).toMatchObject([{ operator: 'olive', action: 'feeds.secret', detail: { name: 'password', replaced: false } }])
  })

  test('that was never given is missing, and it is said what to do', async () => {
    await expect(open('passwort')).rejects.toMatchObject({ name: FeedSecretMissing.name, code: 'feed.unknown_secret', message: 'There is no secret "passwort".', hint: expect.stringContaining('./muster feed secret passwort') as string })
  })

  test('of another organization is missing, too', async () => {
    await store('password', 'hunter2')
    const other = await declaring(database)
    await other.sql('delete from feed_secrets where organization_id = $1', [other.organizationId])
    await expect(other.tenant((tx) => openSecret(tx, { secret: OLD, previous: null }, 'password'))).rejects.toThrow(FeedSecretMissing)
  })

  test.each(['another organization', 'another name'])('does not open as that of %s, whoever puts its row there', async (place) => {
    await store('password', 'hunter2')
    const other = place === 'another name' ? acme : await declaring(database)
    await acme.sql(`insert into feed_secrets (organization_id, name, sealed, updated_by) select $2, 'moved', sealed, 'mallory' from feed_secrets where organization_id = $1 and name = 'password'`, [acme.organizationId, other.organizationId])
    const name = place === 'another name' ? 'moved' : 'password'
    await acme.sql(`update feed_secrets set sealed = (select sealed from feed_secrets where organization_id = $1 and name = 'moved') where organization_id = $1 and name = $2`, [other.organizationId, name])
    await expect(other.tenant((tx) => openSecret(tx, { secret: OLD, previous: null }, name))).rejects.toThrow(SealBroken)
  })

  test.each([
    ['', 'hunter2'],
    ['no spaces', 'hunter2'],
    ['-f', 'hunter2'],
    ['a'.repeat(101), 'hunter2'],
    ['password', ''],
    ['password', 'x'.repeat(100_001)],
  ])('named %j is not kept where its name or value cannot be', async (name, value) => {
    await expect(store(name, value)).rejects.toThrow(FeedSecretRefused)
    expect(await sealed()).toEqual([])
  })
})

describe('when MUSTER_SECRET changes', () => {
  test('what was sealed before opens with the previous one, and with neither it does not', async () => {
    await store('password', 'hunter2')
    expect(await open('password', NEW, OLD)).toBe('hunter2')
    await expect(open('password', NEW)).rejects.toThrow(SealBroken)
    await expect(open('password', NEW, 'a third one, which never was the secret')).rejects.toThrow(SealBroken)
  })

  test('everything is sealed anew, and then the previous one is not needed; twice changes nothing', async () => {
    await store('key', 'PRIVATE KEY')
    await store('password', 'hunter2')
    await store('webhook', 'whsec_1', NEW)
    const before = await sealed()
    const keys = { secret: NEW, previous: OLD }
    expect(await acme.tenant((tx) => resealAll(tx, keys, randomBytes))).toBe(2)
    const after = await sealed()
    expect(after.map(({ sealed: bytes }, index) => bytes.equals(before[index]!.sealed))).toEqual([false, false, true])
    expect(await Promise.all(['key', 'password', 'webhook'].map((name) => open(name, NEW)))).toEqual(['PRIVATE KEY', 'hunter2', 'whsec_1'])
    expect(await acme.tenant((tx) => resealAll(tx, keys, randomBytes))).toBe(0)
    expect(await sealed()).toEqual(after)
  })

  test('what opens with neither is left as it is, and told by name', async () => {
    await store('lost', 'hunter1', 'a third secret that nobody has any more')
    await store('old', 'hunter2')
    await store('today', 'hunter3', NEW)
    const keys = { secret: NEW, previous: OLD }
    const list = () => acme.tenant((tx) => listSecrets(tx, keys))
    expect((await list()).map(({ name, sealedWith }) => [name, sealedWith])).toEqual([['lost', 'neither'], ['old', 'previous'], ['today', 'current']])
    expect(await acme.tenant((tx) => resealAll(tx, keys, randomBytes))).toBe(1)
    expect((await list()).map(({ sealedWith }) => sealedWith)).toEqual(['neither', 'current', 'current'])
    expect(JSON.stringify(await list())).not.toContain('hunter')
  })

  test('who gave a secret, and when, stays as it was', async () => {
    await store('password', 'hunter2')
    const given = () => acme.sql('select updated_by, updated_at from feed_secrets where organization_id = $1', [acme.organizationId])
    const before = await given()
    await acme.tenant((tx) => resealAll(tx, { secret: NEW, previous: OLD }, randomBytes))
    expect(await given()).toEqual(before)
  })
})
