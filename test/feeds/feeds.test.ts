import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { FeedRefused } from '../../src/feeds/declaration.ts'
import { allowOnce, applyFeed, feedNamed, listFeeds, pauseFeed, pinHostKey, readFeed, resumeFeed, type StoredFeed } from '../../src/feeds/feeds.ts'
import { nextSlot } from '../../src/feeds/schedule.ts'
import { storeSecret } from '../../src/feeds/secrets.ts'
import { openSlots } from '../../src/feeds/slots.ts'
import { wakeFeed } from '../../src/feeds/wake.ts'
import { applyDeclaration } from '../../src/organizations/apply.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { testDatabase } from '../support/services.ts'
import { declaring, HOST_KEY, OTHER_HOST_KEY, SECRET, type Declaring } from './declare.ts'

const server = await testDatabase()
const database = new Database(server.url)
let acme: Declaring

beforeEach(async () => {
  acme = await declaring(database, { customers: [{ name: 'Ministry' }], groups: ['Staff'], securityGroups: { location: ['all', 'Duluth'] } })
})

afterAll(async () => {
  await database.close()
  await server.drop()
})

const SERVER = { host: 'sftp.client.example', username: 'acme', login: { password: 'password' } }
const reread = (feed: StoredFeed) => acme.tenant(async (tx) => (await readFeed(tx, feed.id))!)
const audited = () => acme.tenant(async (tx) => (await readAudit(tx, 20)).map(({ operator, action, detail }) => ({ operator, action, detail })).filter(({ action }) => action !== 'feeds.secret'))
/** What the schedule of half past two gives from the database's now on. */
const expected = async (cron = '30 2 * * *', zone = 'America/New_York') => nextSlot(cron, zone, await database.now())

describe('declaring a feed', () => {
  test('keeps the declaration, in the zone of the organization, and runs nothing', async () => {
    const { feed, created, changes } = await acme.apply()
    expect({ created, changes }).toEqual({ created: true, changes: [] })
    expect(feed).toMatchObject({ organizationId: acme.organizationId, name: 'nightly', state: 'active', timeZone: 'America/New_York', hostKey: null, author: 'olive', nextSlotAt: null, allowance: null })
    const { organization: _, name: __, ...definition } = acme.declaration()
    expect(feed.definition).toEqual(definition)
    expect(await acme.tenant((tx) => feedNamed(tx, 'nightly'))).toEqual(feed)
    expect(await audited()).toEqual([{ operator: 'olive', action: 'feeds.apply', detail: { feedId: feed.id, created: true } }])
  })

  test('twice changes nothing: neither its author, nor its slot, nor the audit trail', async () => {
    const feed = await acme.trusted()
    const trail = await audited()
    expect(await acme.apply({}, 'mallory')).toEqual({ feed, created: false, changes: [] })
    expect(await audited()).toEqual(trail)
  })

  test('tells what changed, and who changed it is its author from then on', async () => {
    const before = await acme.trusted({ thresholds: { creations: { people: 10 } }, alerts: { mails: ['olive@acme.example'] } })
    const { feed, changes } = await acme.apply({ thresholds: { creations: { people: 500 } }, alerts: { mails: ['ann@acme.example'] }, folder: 'out', server: { ...SERVER, username: 'acme2' } }, 'ann')
    expect(changes).toEqual(['server.username: acme -> acme2', 'folder: . -> out', 'thresholds.creations.people: 10 -> 500', 'alerts.mails: added ann@acme.example', 'alerts.mails: withdrew olive@acme.example'].toSorted((a, b) => changes.indexOf(a) - changes.indexOf(b)))
    expect(feed).toMatchObject({ author: 'ann', hostKey: HOST_KEY, nextSlotAt: before.nextSlotAt })
    expect((await audited())[0]).toEqual({ operator: 'ann', action: 'feeds.apply', detail: { feedId: feed.id, created: false, changed: 5 } })
  })

  test('shows of a sender’s key that it is another one, and not the key', async () => {
    // The ends are the same: two keys may well share their last packet and sum.
    const key = (mark: string) => `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${mark.repeat(400)}zzzzzzzzzzzz\n-----END PGP PUBLIC KEY BLOCK-----`
    await acme.apply({ pgp: { senderKeys: [key('a')] } })
    const { feed, changes } = await acme.apply({ pgp: { senderKeys: [key('b')] } })
    const shown = (mark: string) => `key with SHA-256 ${createHash('sha256').update(key(mark)).digest('hex').slice(0, 16)}`
    expect(changes).toEqual([`pgp.senderKeys: added ${shown('b')}`, `pgp.senderKeys: withdrew ${shown('a')}`])
    expect(feed.definition.pgp?.senderKeys).toEqual([key('b')])
  })

  test.each([
    ['another host', { host: 'sftp2.client.example' }],
    ['another port', { port: 2222 }],
  ])('on %s drops the pinned key, as it is another server, and says so', async (_, parts) => {
    const before = await acme.trusted()
    expect(before.nextSlotAt).not.toBeNull()
    const { feed, changes } = await acme.apply({ server: { ...SERVER, ...parts } })
    expect(feed).toMatchObject({ hostKey: null, nextSlotAt: null })
    expect(changes).toHaveLength(2)
    expect(changes[1]).toBe(`The pinned key ${HOST_KEY} is dropped, as it was another server's; the feed does not run until the new one is trusted: ./muster feed trust nightly --organization ${acme.key}`)
  })

  test('on the same host in capitals keeps the pinned key', async () => {
    await acme.trusted()
    expect((await acme.apply({ server: { ...SERVER, host: 'SFTP.client.example' } })).feed.hostKey).toBe(HOST_KEY)
  })

  test.each([
    ['another schedule', { schedule: '15 4 * * *' }, '15 4 * * *', 'America/New_York'],
    ['another zone', { timeZone: 'Asia/Kolkata' }, '30 2 * * *', 'Asia/Kolkata'],
  ])('with %s begins with its first slot from now', async (_, parts, cron, zone) => {
    const { id } = await acme.trusted()
    const late = new Date('2020-01-01T00:00:00Z')
    await acme.sql('update feeds set next_slot_at = $2 where id = $1', [id, late])
    expect((await acme.apply({ folder: 'out' })).feed.nextSlotAt, 'a change of something else leaves the slot that is due').toEqual(late)
    expect((await acme.apply({ folder: 'out', ...parts })).feed.nextSlotAt).toEqual(await expected(cron, zone))
  })

  test('without a schedule has no slot', async () => {
    const feed = await acme.trusted({ schedule: null })
    expect(feed).toMatchObject({ hostKey: HOST_KEY, nextSlotAt: null })
    expect((await acme.apply()).feed.nextSlotAt).toEqual(await expected())
    expect((await acme.apply({ schedule: null })).feed.nextSlotAt).toBeNull()
  })

  test('from two processes at once makes one feed', async () => {
    const results = await Promise.all([acme.apply(), acme.apply(), acme.apply({ folder: 'out' })])
    expect(results.map(({ created }) => created).toSorted()).toEqual([false, false, true])
    expect(await acme.tenant(listFeeds)).toHaveLength(1)
  })

  test('of another organization is refused', async () => {
    const declaration = { ...acme.declaration(), organization: 'somebody-else' }
    await expect(acme.tenant((tx) => applyFeed(tx, declaration, 'olive'))).rejects.toThrow('is of organization somebody-else')
  })
})

describe('names that are not there', () => {
  const refusal = async (parts: object): Promise<FeedRefused> => {
    const error: unknown = await acme.apply(parts).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(FeedRefused)
    return error as FeedRefused
  }

  test('are told all at once, with what to do, and nothing is kept', async () => {
    const error = await refusal({
      mapping: 'workday', scope: { kind: 'customer', customer: 'Ministery' }, server: { ...SERVER, login: { key: 'acme-key', passphrase: 'acme-passphrase' } },
      pgp: { privateKey: 'pgp-key' }, alerts: { webhook: { url: 'https://hooks.acme.example', secret: 'hook' } },
    })
    expect(error.faults.map(({ path, code }) => [path, code])).toEqual([
      ['mapping', 'feed.unknown_mapping'], ['scope.customer', 'feed.unknown_customer'], ['server.login.key', 'feed.unknown_secret'], ['server.login.passphrase', 'feed.unknown_secret'],
      ['pgp.privateKey', 'feed.unknown_secret'], ['alerts.webhook.secret', 'feed.unknown_secret'],
    ])
    expect(error.code).toBe('feed.unknown_mapping')
    expect(error.message).toContain('scope.customer: there is no customer "Ministery"; perhaps "Ministry" is meant. Declare it')
    expect(error.message).toContain(`server.login.key: there is no secret "acme-key". Give it: ./muster feed secret acme-key --organization ${acme.key}`)
    expect(await acme.tenant(listFeeds)).toEqual([])
    expect(await audited()).toEqual([])
  })

  test.each([
    [{ kind: 'group', group: 'Stuff' }, 'feed.unknown_group', 'there is no user group "Stuff"; perhaps "Staff" is meant.'],
    [{ kind: 'security', dimension: 'location', group: 'Duluht' }, 'feed.unknown_security_group', 'there is no security group of location "Duluht"; perhaps "Duluth" is meant.'],
    [{ kind: 'security', dimension: 'department', group: 'Duluth' }, 'feed.unknown_security_group', 'there is no security group of department "Duluth".'],
  ])('such as those of the scope %j', async (scope, code, message) => {
    const error = await refusal({ scope })
    expect(error.faults).toEqual([{ path: 'scope.group', code, message: expect.stringContaining(message) as string }])
  })

  test.each([{ kind: 'customer', customer: 'Ministry' }, { kind: 'group', group: 'Staff' }, { kind: 'security', dimension: 'location', group: 'Duluth' }, { kind: 'attribute', attribute: 'Site', value: 'North' }])('and no others: %j is there', async (scope) => {
    expect((await acme.apply({ scope })).created).toBe(true)
  })

  test('what another organization has is not there', async () => {
    const other = await declaring(database)
    await other.tenant((tx) => storeSecret(tx, { secret: SECRET, random: randomBytes }, 'theirs', 'x', 'olive'))
    expect((await refusal({ server: { ...SERVER, login: { password: 'theirs' } } })).faults).toMatchObject([{ code: 'feed.unknown_secret' }])
  })
})

describe('a server that is trusted', () => {
  test('lets the feed run from its next slot on: none piled up before', async () => {
    const { feed } = await acme.apply({ schedule: '* * * * *' })
    await openSlots(database)
    const trusted = await acme.tenant((tx) => pinHostKey(tx, feed.id, HOST_KEY, 'ann'))
    expect(trusted.hostKey).toBe(HOST_KEY)
    expect(trusted.nextSlotAt!.getTime()).toBeGreaterThan((await database.now()).getTime() - 1_000)
    expect(await acme.sql('select from feed_runs where feed_id = $1', [feed.id])).toEqual([])
    expect((await audited())[0]).toEqual({ operator: 'ann', action: 'feeds.trust', detail: { feedId: feed.id, hostKey: HOST_KEY, before: null } })
    expect(await acme.sql('select host_key_by, host_key_at is not null as told from feeds where id = $1', [feed.id])).toEqual([{ host_key_by: 'ann', told: true }])
  })

  test('with a new key keeps a slot that is due', async () => {
    const { id } = await acme.trusted()
    const late = new Date('2020-01-01T00:00:00Z')
    await acme.sql('update feeds set next_slot_at = $2 where id = $1', [id, late])
    expect(await acme.tenant((tx) => pinHostKey(tx, id, OTHER_HOST_KEY, 'olive'))).toMatchObject({ hostKey: OTHER_HOST_KEY, nextSlotAt: late })
    expect((await audited())[0]!.detail).toMatchObject({ hostKey: OTHER_HOST_KEY, before: HOST_KEY })
  })

  test.each(['', 'MD5:00:11', `SHA256:${'k'.repeat(42)}`, `SHA256:${'k'.repeat(43)}=`, `sha256:${'k'.repeat(43)}`])('has a fingerprint, and %j is none', async (fingerprint) => {
    const { feed } = await acme.apply()
    await expect(acme.tenant((tx) => pinHostKey(tx, feed.id, fingerprint, 'olive'))).rejects.toMatchObject({ code: 'feed.invalid_fingerprint' })
    expect(await reread(feed)).toMatchObject({ hostKey: null })
  })
})

describe('a paused feed', () => {
  test('has no slot, and after it none is made up for', async () => {
    const { id } = await acme.trusted()
    expect(await acme.tenant((tx) => pauseFeed(tx, id, 'olive'))).toMatchObject({ state: 'paused', nextSlotAt: null })
    expect(await acme.tenant((tx) => pauseFeed(tx, id, 'olive'))).toMatchObject({ state: 'paused' })
    expect((await acme.apply({ schedule: '15 4 * * *' })).feed.nextSlotAt, 'nor does a new schedule give it one').toBeNull()
    const resumed = await acme.tenant((tx) => resumeFeed(tx, id, 'ann'))
    expect(resumed).toMatchObject({ state: 'active', nextSlotAt: await expected('15 4 * * *') })
    expect(await acme.tenant((tx) => resumeFeed(tx, id, 'ann'))).toEqual(resumed)
    expect((await audited()).map(({ operator, action }) => [operator, action])).toEqual([['ann', 'feeds.resume'], ['olive', 'feeds.apply'], ['olive', 'feeds.pause'], ['olive', 'feeds.trust'], ['olive', 'feeds.apply']])
  })

  test('that is not trusted does not run by being resumed', async () => {
    const { feed } = await acme.apply()
    await acme.tenant((tx) => pauseFeed(tx, feed.id, 'olive'))
    expect(await acme.tenant((tx) => resumeFeed(tx, feed.id, 'olive'))).toMatchObject({ state: 'active', nextSlotAt: null })
  })
})

test.each(['999999999', 'nightly', ''])('a feed %j that is not there is unknown, whatever is to be done with it', async (id) => {
  for (const step of [pauseFeed, resumeFeed]) await expect(acme.tenant((tx) => step(tx, id, 'olive'))).rejects.toMatchObject({ code: 'feed.unknown' })
  await expect(acme.tenant((tx) => pinHostKey(tx, id, HOST_KEY, 'olive'))).rejects.toMatchObject({ code: 'feed.unknown' })
  await expect(acme.tenant((tx) => allowOnce(tx, id, null, 'olive'))).rejects.toMatchObject({ code: 'feed.unknown' })
})

test('a feed of another organization is unknown', async () => {
  const { feed } = await acme.apply()
  const other = await declaring(database)
  await expect(other.tenant((tx) => pauseFeed(tx, feed.id, 'olive'))).rejects.toMatchObject({ code: 'feed.unknown' })
  expect(await other.tenant((tx) => readFeed(tx, feed.id))).toBeNull()
})

describe('what is allowed once', () => {
  const allowance = { limits: { deactivations: 40 }, until: null }
  const allow = (feed: StoredFeed, operator: string, given: Parameters<typeof allowOnce>[2] = allowance) => acme.tenant((tx) => allowOnce(tx, feed.id, given, operator))

  test('is kept with who allowed it, and can be taken back', async () => {
    const { feed } = await acme.apply()
    expect((await allow(feed, 'ann')).allowance).toEqual({ ...allowance, by: 'ann' })
    expect((await audited())[0]).toEqual({ operator: 'ann', action: 'feeds.allow', detail: { feedId: feed.id, limits: { deactivations: 40 }, until: null } })
    expect((await allow(feed, 'olive', null)).allowance).toBeNull()
  })

  test('is never allowed by who declared the feed', async () => {
    const { feed } = await acme.apply()
    await expect(allow(feed, 'olive')).rejects.toMatchObject({ code: 'decision.own_feed' })
    expect((await reread(feed)).allowance).toBeNull()
  })

  test('is allowed by administrators alone where the organization names some', async () => {
    const owned = await declaring(database, { administrators: ['ann', 'olive'] })
    const { feed } = await owned.apply()
    const by = (operator: string) => owned.tenant((tx) => allowOnce(tx, feed.id, allowance, operator))
    await expect(by('mallory')).rejects.toMatchObject({ code: 'decision.not_administrator', hint: 'Ask one of: ann.' })
    await expect(by('olive')).rejects.toMatchObject({ code: 'decision.own_feed', hint: 'Ask one of: ann.' })
    expect((await by('ann')).allowance).toMatchObject({ by: 'ann' })
  })

  test('ends with a change of the feed, which says so', async () => {
    const { feed } = await acme.apply()
    await allow(feed, 'ann')
    expect(await acme.apply()).toMatchObject({ changes: [], feed: { allowance: { by: 'ann' } } })
    const { feed: changed, changes } = await acme.apply({ folder: 'out' })
    expect(changed.allowance).toBeNull()
    expect(changes).toEqual(['folder: . -> out', 'What was allowed for once is withdrawn: it was allowed for the feed as it was.'])
  })

  test.each<[object, string]>([
    [{ limits: {}, until: null }, 'nothing'],
    [{ limits: { people: 3 }, until: null }, 'a change that there is none of'],
    [{ limits: { creations: -1 }, until: null }, 'less than nothing'],
    [{ limits: { creations: 1.5 }, until: null }, 'half a person'],
    [{ limits: { creations: 5 }, until: '2020-01-01T00:00:00Z' }, 'something that is over'],
  ])('is not %j', async (given) => {
    const { feed } = await acme.apply()
    await expect(allow(feed, 'ann', given as typeof allowance)).rejects.toMatchObject({ code: 'feed.invalid_allowance' })
  })
})

test('an organization that moves to another zone takes its feeds along, but for those with a zone of their own', async () => {
  const [ours, own] = [await acme.trusted(), await acme.trusted({ name: 'own', timeZone: 'Asia/Kolkata' })]
  await applyDeclaration(database, { key: acme.key, name: 'Acme Staffing', timeZone: 'Europe/Berlin', customers: [{ name: 'Ministry' }], groups: ['Staff'] })
  await openSlots(database)
  expect(await acme.sql('select from feed_runs where feed_id = any ($1)', [[ours.id, own.id]]), 'half past two has not come').toEqual([])
  expect(await reread(ours)).toMatchObject({ timeZone: 'Europe/Berlin', nextSlotAt: await expected('30 2 * * *', 'Europe/Berlin') })
  expect(await reread(own)).toMatchObject({ timeZone: 'Asia/Kolkata', nextSlotAt: own.nextSlotAt })
})

test('a feed is woken at the earliest of the instants that were said', async () => {
  const { feed } = await acme.apply()
  const wakeAt = async () => (await acme.sql<{ at: Date | null }>('select wake_at as at from feeds where id = $1', [feed.id]))[0]!.at
  await acme.sql('update feeds set wake_at = null where id = $1', [feed.id])
  const [soon, later] = [new Date('2199-01-01T00:00:00Z'), new Date('2199-01-02T00:00:00Z')]
  await acme.tenant((tx) => wakeFeed(tx, feed.id, later))
  expect(await wakeAt()).toEqual(later)
  await acme.tenant((tx) => wakeFeed(tx, feed.id, soon))
  await acme.tenant((tx) => wakeFeed(tx, feed.id, later))
  expect(await wakeAt()).toEqual(soon)
  await acme.tenant((tx) => wakeFeed(tx, feed.id))
  expect((await wakeAt())!.getTime()).toBeLessThanOrEqual((await database.now()).getTime())
})
