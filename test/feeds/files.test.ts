/** What is kept of a feed's files, and whose the feed is; straight on the tables, without a server. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/entities/database.ts'
import { filesToSettle, intakeOf, markImporting, readTaken, seeFiles, setAside, settleLater, takenAs, takeOverImports, type ListedFile } from '../../src/feeds/files.ts'
import { assertFeedOurs, FEED_LEASE_SECONDS, FeedTakenAway, giveFeedBack, postponeFeed, renewFeed, takeFeed } from '../../src/feeds/lease.ts'
import { wakeFeed } from '../../src/feeds/wake.ts'
import { alertScene, type AlertScene } from '../support/alertScene.ts'
import { useDatabase } from '../support/importing.ts'

const databaseOf = useDatabase()
let scene: AlertScene
let feed: string
const tenant = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => databaseOf.current.tenant(scene.organizationId, work)

beforeEach(async () => {
  scene = await alertScene(databaseOf.current)
  feed = scene.feed.id
})

const file = (name: string, second = 1, bytes = 10): ListedFile => ({ name, bytes, modifiedAt: new Date(second * 1_000) })
const see = (...files: ListedFile[]) => tenant((tx) => seeFiles(tx, feed, files))
/** An import in a state; gives its id. */
const importIn = async (state: string, columns: Record<string, unknown> = {}): Promise<string> => {
  const [row] = await scene.sql<{ id: string }>(`insert into imports (organization_id, state, file_name, file_bytes, file_hash, options, feed_id) values ($1, $2, 'people.csv', 1, '', '{}', $3) returning id`, [scene.organizationId, state, feed])
  for (const [name, value] of Object.entries(columns)) await scene.sql(`update imports set ${name} = $2 where id = $1`, [row!.id, value])
  return row!.id
}
const taken = async (listed: ListedFile, hash: string, importState: string): Promise<{ id: string; importId: string }> => {
  const [seen] = (await see(listed)).filter(({ name }) => name === listed.name)
  const importId = await importIn(importState)
  await tenant((tx) => markImporting(tx, seen!.id, { runId: null, importId, hash }))
  return { id: seen!.id, importId }
}
const stateOf = async (id: string) => (await scene.sql<{ state: string; settles: boolean }>('select state, settle_at is not null as settles from feed_files where id = $1', [id]))[0]

describe('files that lie on the server', () => {
  test('are noted once, each size and time of a name apart', async () => {
    const [first] = await see(file('a'), file('b'))
    expect(first).toMatchObject({ name: expect.any(String), state: 'found', seenAt: expect.any(Date) })
    const again = await see(file('a'), file('b'))
    expect(again.map(({ id }) => id).toSorted()).toEqual((await see(file('a'), file('b'))).map(({ id }) => id).toSorted())
    expect(await see(file('a', 2), file('b'))).toHaveLength(2)
    expect(await scene.sql('select name, modified_at from feed_files where feed_id = $1 order by name', [feed])).toMatchObject([{ name: 'a', modified_at: new Date(2_000) }, { name: 'b' }])
  })

  test('are forgotten when they are gone, unless they were dealt with', async () => {
    const { id } = await taken(file('a'), 'aa', 'staging')
    await see(file('a'), file('b'))
    await see()
    expect(await scene.sql('select id from feed_files where feed_id = $1', [feed])).toEqual([{ id }])
    expect(await see(file('a')), 'it comes back as what it was').toMatchObject([{ id, state: 'importing' }])
  })

  test('may be as many as like', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => file(`people-${index}.csv`))
    expect(await see(...many)).toHaveLength(5_000)
    expect(await see(...many.slice(1))).toHaveLength(4_999)
  })
})

describe('what was taken before', () => {
  test('is known by its bytes, unless it changed nobody', async () => {
    const one = await taken(file('a'), 'aa', 'committed')
    expect(await tenant((tx) => takenAs(tx, feed, 'aa'))).toBe('a')
    expect(await tenant((tx) => takenAs(tx, feed, 'bb'))).toBeNull()
    await scene.sql(`update imports set state = 'cancelled', decision = 'rejected' where id = $1`, [one.importId])
    await tenant((tx) => takeOverImports(tx, feed))
    expect(await tenant((tx) => takenAs(tx, feed, 'aa'))).toBeNull()
  })

  test('and named everybody is known by its bytes only where it was the last: who goes back to an earlier file takes back what came between', async () => {
    const finish = () => tenant((tx) => takeOverImports(tx, feed))
    await taken(file('a', 1), 'aa', 'committed')
    await finish()
    const second = await taken(file('b', 2), 'bb', 'held')
    expect(await tenant((tx) => takenAs(tx, feed, 'aa'))).toBeNull()
    expect(await tenant((tx) => takenAs(tx, feed, 'bb'))).toBe('b')
    await scene.sql(`update imports set state = 'undone' where id = $1`, [second.importId])
    await finish()
    expect(await tenant((tx) => takenAs(tx, feed, 'aa')), 'what came between is undone').toBe('a')
    await scene.sql(`update feeds set definition = definition || '{"mode": "changes"}' where id = $1`, [feed])
    await taken(file('c', 3), 'cc', 'committed')
    expect(await tenant((tx) => takenAs(tx, feed, 'aa')), 'changes are made once').toBe('a')
  })

  test('is the newest by the order of the feed; what was refused says nothing', async () => {
    await taken(file('z', 1), 'zz', 'committed')
    await taken(file('b', 9), 'bb', 'committed')
    const refused = await taken(file('zz', 99), 'cc', 'failed')
    await tenant((tx) => takeOverImports(tx, feed))
    expect(await stateOf(refused.id)).toMatchObject({ state: 'refused' })
    expect((await tenant((tx) => readTaken(tx, feed, 'modified'))).last).toMatchObject({ name: 'b' })
    expect((await tenant((tx) => readTaken(tx, feed, 'name'))).last).toMatchObject({ name: 'z' })
  })

  test('tells the next import its headers and rows', async () => {
    const { id, importId } = await taken(file('a'), 'aa', 'committed')
    await scene.sql(`update imports set columns = $2, changes = $3 where id = $1`, [importId, JSON.stringify([{ header: 'Last Name' }, { header: 'First Name' }, { header: 'Errors' }]), JSON.stringify({ rows: 41, population: 0 })])
    await tenant((tx) => takeOverImports(tx, feed))
    expect(await scene.sql('select counts, headers from feed_files where id = $1', [id])).toEqual([{ counts: { rows: 41, population: 0 }, headers: ['Last Name', 'First Name'] }])
    const intake = (columns: 'fixed' | 'any') =>
      tenant((tx) => intakeOf(tx, { id: feed, definition: { ...scene.feed.definition, contract: { columns, rows: { least: null, most: null, changePercent: null } } } as never }, '7', null))
    expect(await intake('fixed')).toMatchObject({ feedId: feed, fileId: '7', lastHeaders: ['Last Name', 'First Name'], lastRows: 41 })
    expect(await intake('any')).toMatchObject({ lastHeaders: null, lastRows: 41 })

    // Rows that were handed back and come mended are a part of it: the next whole file is not compared with them.
    const mended = await taken(file('b', 2), 'bb', 'committed')
    await scene.sql(`update imports set columns = $2, changes = $3 where id = $1`, [mended.importId, JSON.stringify([{ header: 'Other' }]), JSON.stringify({ rows: 1, population: 0, mended: true })])
    await tenant((tx) => takeOverImports(tx, feed))
    expect(await intake('fixed')).toMatchObject({ lastHeaders: ['Last Name', 'First Name'], lastRows: 41 })
    for (const order of ['modified', 'name'] as const) expect((await tenant((tx) => readTaken(tx, feed, order))).last).toMatchObject({ name: 'a' })
  })
})

describe('a file takes over the state of its import', () => {
  test.each([
    ['received', {}, 'importing', false],
    ['held', {}, 'held', true],
    ['committed', {}, 'imported', true],
    ['failed', { failure: '{"code": "file.empty", "detail": {}}' }, 'refused', true],
    ['cancelled', { decision: 'rejected' }, 'rejected', true],
    ['cancelled', { decision: 'expired' }, 'rejected', true],
    ['cancelled', {}, 'rejected', true],
  ])('%s %j: %s', async (state, columns, expected, settles) => {
    const { id, importId } = await taken(file('a'), 'aa', state)
    for (const [name, value] of Object.entries(columns)) await scene.sql(`update imports set ${name} = $2 where id = $1`, [importId, value])
    await tenant((tx) => takeOverImports(tx, feed))
    expect(await stateOf(id)).toEqual({ state: expected, settles })
    expect(await tenant((tx) => takeOverImports(tx, feed)), 'once').toEqual([])
  })

  test('held, and then approved, and then committed', async () => {
    const { id, importId } = await taken(file('a'), 'aa', 'held')
    for (const [state, expected] of [['held', 'held'], ['committing', 'importing'], ['committed', 'imported']] as const) {
      await scene.sql('update imports set state = $2 where id = $1', [importId, state])
      await tenant((tx) => takeOverImports(tx, feed))
      expect(await stateOf(id)).toMatchObject({ state: expected })
    }
  })

  test('and is refused where that is gone', async () => {
    const { id, importId } = await taken(file('a'), 'aa', 'received')
    await scene.sql('delete from imports where id = $1', [importId])
    await tenant((tx) => takeOverImports(tx, feed))
    expect(await stateOf(id)).toEqual({ state: 'refused', settles: true })
  })
})

test('an answer that is not taken is tried again after pauses that grow, up to six hours', async () => {
  const [seen] = await see(file('a'))
  await tenant((tx) => setAside(tx, [seen!.id], 'refused', { runId: null, problem: { code: 'file.empty', detail: {} } }))
  const pauses: number[] = []
  for (let attempt = 0; attempt < 12; attempt++) {
    expect(await tenant((tx) => filesToSettle(tx, feed))).toMatchObject([{ id: seen!.id, state: 'refused', attempts: attempt }])
    expect([...(await tenant((tx) => settleLater(tx, [seen!.id])))]).toEqual([seen!.id])
    const [row] = await scene.sql<{ minutes: number }>('select round(extract(epoch from settle_at - now()) / 60)::float8 as minutes from feed_files where id = $1', [seen!.id])
    pauses.push(row!.minutes)
    expect(await tenant((tx) => filesToSettle(tx, feed))).toEqual([])
    await scene.sql(`update feed_files set settle_at = now() where id = $1`, [seen!.id])
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360])
})

describe('a feed', () => {
  const row = async () => (await scene.sql<{ wakeIn: number | null; leased: boolean }>('select extract(epoch from wake_at - now())::float8 as "wakeIn", lease_token is not null as leased from feeds where id = $1', [feed]))[0]!
  const toWake = async (): Promise<boolean> => (await scene.sql('select from fleet.feeds_to_wake() where id = $1', [feed])).length > 0
  const take = () => tenant((tx) => takeFeed(tx, feed))
  const woken = () => tenant((tx) => wakeFeed(tx, feed))

  test('is taken when it is woken, by one', async () => {
    expect(await take()).toBeNull()
    await woken()
    const tokens = await Promise.all([take(), take(), take()])
    expect(tokens.filter((token) => token !== null)).toHaveLength(1)
    expect(await toWake()).toBe(false)
  })

  test('whose worker dies is to be woken when its lease is over', async () => {
    await woken()
    const token = (await take())!
    expect((await row()).wakeIn).toBeCloseTo(FEED_LEASE_SECONDS, -1)
    await scene.sql(`update feeds set wake_at = now() - interval '1 second', lease_until = now() - interval '1 second' where id = $1`, [feed])
    expect(await toWake()).toBe(true)
    expect(await take()).not.toBeNull()
    for (const late of [renewFeed, assertFeedOurs, (tx: Transaction, id: string, old: string) => postponeFeed(tx, id, old, 1)]) await expect(tenant((tx) => late(tx, feed, token))).rejects.toBeInstanceOf(FeedTakenAway)
    expect(await tenant((tx) => giveFeedBack(tx, feed, token)), 'what is another one\'s is not given back').toBe(false)
    expect(await row()).toMatchObject({ leased: true })
  })

  test('keeps a lease that is renewed', async () => {
    await woken()
    const token = (await take())!
    await scene.sql(`update feeds set wake_at = wake_at - interval '80 seconds', lease_until = lease_until - interval '80 seconds' where id = $1`, [feed])
    await tenant((tx) => renewFeed(tx, feed, token))
    expect((await row()).wakeIn).toBeCloseTo(FEED_LEASE_SECONDS, -1)
  })

  test('that is woken while it is worked on is to be woken again', async () => {
    await woken()
    const token = (await take())!
    await woken()
    await tenant((tx) => renewFeed(tx, feed, token))
    expect(await toWake(), 'not before it is given back').toBe(false)
    expect(await tenant((tx) => giveFeedBack(tx, feed, token))).toBe(true)
    expect(await toWake()).toBe(true)
  })

  test('with nothing to do is given back for good, and with something to do for then', async () => {
    await woken()
    expect(await tenant(async (tx) => giveFeedBack(tx, feed, (await takeFeed(tx, feed))!))).toBe(false)
    expect(await row()).toEqual({ wakeIn: null, leased: false })
    await scene.sql(`insert into feed_runs (organization_id, feed_id, kind, state, next_look_at) values ($1, $2, 'manual', 'due', now() + interval '40 seconds')`, [scene.organizationId, feed])
    await woken()
    await tenant(async (tx) => giveFeedBack(tx, feed, (await takeFeed(tx, feed))!))
    expect((await row()).wakeIn).toBeCloseTo(40, 0)
  })

  test('whose work failed is not taken at once again', async () => {
    await scene.sql(`insert into feed_runs (organization_id, feed_id, kind, state, next_look_at) values ($1, $2, 'manual', 'looking', now() - interval '1 hour')`, [scene.organizationId, feed])
    await woken()
    const token = (await take())!
    await tenant((tx) => postponeFeed(tx, feed, token, 30))
    expect(await tenant((tx) => giveFeedBack(tx, feed, token))).toBe(false)
    expect((await row()).wakeIn).toBeCloseTo(30, 0)
  })
})
