import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { pauseFeed, type StoredFeed } from '../../src/feeds/feeds.ts'
import { nextSlot, slotsBetween } from '../../src/feeds/schedule.ts'
import { manualRun, openSlots } from '../../src/feeds/slots.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { endWorkers, startChild } from '../faults/workers.ts'
import { testDatabase } from '../support/services.ts'
import { declaring, type Declaring } from './declare.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const server = await testDatabase()
const database = new Database(server.url)
let acme: Declaring

beforeEach(async () => {
  await database.pool.query('delete from feeds')
  acme = await declaring(database)
})

afterEach(endWorkers)

afterAll(async () => {
  await database.close()
  await server.drop()
})

type Run = { feed: string; kind: string; slot: Date; passed: number; state: string; looks: boolean }
const runs = (): Promise<Run[]> =>
  acme.sql<Run>('select feed_id as feed, kind, slot_at as slot, slots_passed as passed, state, next_look_at <= now() as looks from feed_runs order by feed_id, slot_at')
const nextSlots = async (): Promise<Map<string, Date>> => new Map((await acme.sql<{ id: string; at: Date }>('select id, next_slot_at as at from feeds')).map(({ id, at }) => [id, at]))
/** A schedule of once a day, half a day away from now, so that no slot comes while a test runs. */
const daily = async (): Promise<string> => {
  const at = new Date((await database.now()).getTime() + DAY / 2)
  return `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`
}
/** Puts a feed's clock back: so many of its slots have passed by now; gives them, in order. */
async function missed({ id, definition, timeZone }: StoredFeed, count: number): Promise<Date[]> {
  const now = await database.now()
  const passed = slotsBetween(definition.schedule!, timeZone, new Date(now.getTime() - (count + 2) * DAY), now, 1_000).slice(-count)
  expect(passed).toHaveLength(count)
  await acme.sql('update feeds set next_slot_at = $2, wake_at = null where id = $1', [id, passed[0]])
  return passed
}

describe('a slot that has come', () => {
  test('has one run, and its feed is woken and moves on to the next', async () => {
    const feed = await acme.trusted({ schedule: '* * * * *', timeZone: 'UTC' })
    await acme.sql('update feeds set wake_at = null where id = $1', [feed.id])
    expect(await openSlots(database), 'nothing before it').toBe(0)
    const now = await database.now()
    const slot = new Date(Math.floor(now.getTime() / 60_000) * 60_000)
    await acme.sql('update feeds set next_slot_at = $2 where id = $1', [feed.id, slot])
    expect(await openSlots(database)).toBe(1)
    const [run] = await runs()
    // The minute may have gone by meanwhile, and then there were two.
    expect(run).toMatchObject({ feed: feed.id, state: 'due', looks: true })
    expect(run!.slot.getTime() - slot.getTime()).toBe(run!.passed * 60_000)
    expect(run!.kind).toBe(run!.passed === 0 ? 'scheduled' : 'catchUp')
    expect((await nextSlots()).get(feed.id)!.getTime()).toBe(run!.slot.getTime() + 60_000)
    expect(await acme.sql('select wake_at <= now() as woken from feeds where id = $1', [feed.id])).toEqual([{ woken: true }])
  })

  test('and was opened before is not opened again, though its feed were put back to it', async () => {
    const feed = await acme.trusted({ schedule: await daily(), timeZone: 'UTC' })
    await missed(feed, 1)
    expect(await openSlots(database)).toBe(1)
    await missed(feed, 1)
    expect(await openSlots(database)).toBe(0)
    expect(await runs()).toHaveLength(1)
    expect(await acme.sql('select wake_at from feeds where id = $1', [feed.id]), 'nobody is woken for nothing').toEqual([{ wake_at: null }])
    expect((await nextSlots()).get(feed.id)).toEqual(nextSlot(feed.definition.schedule!, 'UTC', await database.now()))
  })

  test('wakes a feed that was to be woken later, and leaves one that was to be woken earlier', async () => {
    const [one, other] = [await acme.trusted({ schedule: await daily(), timeZone: 'UTC' }), await acme.trusted({ name: 'other', schedule: await daily(), timeZone: 'UTC' })]
    await missed(one, 1)
    await missed(other, 1)
    await acme.sql(`update feeds set wake_at = case when id = $1 then '2199-01-01'::timestamptz else '2001-01-01'::timestamptz end`, [one.id])
    await openSlots(database)
    expect(await acme.sql(`select id, wake_at <= now() as due, wake_at = '2001-01-01'::timestamptz as kept from feeds order by id`)).toEqual([{ id: one.id, due: true, kept: false }, { id: other.id, due: true, kept: true }])
  })
})

describe('fault 36: slots that passed while nobody was there', () => {
  test.each([1, 3, 30])('%i of them have one run together, for the latest, that is recorded as catching up', async (count) => {
    const feed = await acme.trusted({ schedule: await daily(), timeZone: 'UTC' })
    const passed = await missed(feed, count)
    expect(await openSlots(database)).toBe(1)
    expect(await openSlots(database)).toBe(0)
    expect(await runs()).toEqual([{ feed: feed.id, kind: 'catchUp', slot: passed.at(-1), passed: count - 1, state: 'due', looks: true }])
  })

  test('one that is found five minutes late, and not sooner, is one that was missed', async () => {
    const schedule = '0 0 1 1 *'
    const [soon, late] = [await acme.trusted({ name: 'soon', schedule, timeZone: 'UTC' }), await acme.trusted({ name: 'late', schedule, timeZone: 'UTC' })]
    const now = await database.now()
    const due = async (feed: StoredFeed, ago: number): Promise<void> => {
      const at = new Date(Math.floor((now.getTime() - ago) / 60_000) * 60_000)
      await acme.sql('update feeds set definition = definition || $3, next_slot_at = $2 where id = $1', [feed.id, at, JSON.stringify({ schedule: `${at.getUTCMinutes()} ${at.getUTCHours()} ${at.getUTCDate()} ${at.getUTCMonth() + 1} *` })])
    }
    await due(soon, 2 * 60_000)
    await due(late, 7 * 60_000)
    expect(await openSlots(database)).toBe(2)
    expect((await runs()).map(({ feed, kind, passed }) => [feed, kind, passed])).toEqual([[soon.id, 'scheduled', 0], [late.id, 'catchUp', 0]])
  })

  test('on the day when the clocks go back are counted once each', async () => {
    const feed = await acme.trusted({ schedule: '30 1 * * *' })
    await acme.sql(`update feeds set next_slot_at = '2025-11-01T05:30:00Z' where id = $1`, [feed.id])
    await openSlots(database)
    const [run] = await runs()
    const all = slotsBetween('30 1 * * *', 'America/New_York', new Date('2025-11-01T05:29:59Z'), await database.now(), 10_000)
    expect(run).toMatchObject({ slot: all.at(-1), passed: all.length - 1 })
  })
})

describe('a feed that does not run', () => {
  test('because it is paused has no run, nor one that waits for it', async () => {
    const feed = await acme.trusted({ schedule: await daily(), timeZone: 'UTC' })
    await missed(feed, 3)
    await acme.tenant((tx) => pauseFeed(tx, feed.id, 'olive'))
    expect(await openSlots(database)).toBe(0)
    // As if a scheduler had read it just before.
    await acme.sql(`update feeds set next_slot_at = now() - interval '1 hour' where id = $1`, [feed.id])
    expect(await openSlots(database)).toBe(0)
    expect(await runs()).toEqual([])
  })

  test('because its server is not trusted has none, whatever its slot says', async () => {
    const { feed } = await acme.apply({ schedule: '* * * * *' })
    await acme.sql(`update feeds set next_slot_at = now() - interval '1 hour' where id = $1`, [feed.id])
    expect(await openSlots(database)).toBe(0)
    expect(await runs()).toEqual([])
  })

  test('because its schedule cannot be worked out keeps no other from running', async () => {
    const schedule = await daily()
    const [broken, whole] = [await acme.trusted({ name: 'broken', schedule, timeZone: 'UTC' }), await acme.trusted({ name: 'whole', schedule, timeZone: 'UTC' })]
    const other = await declaring(database)
    const theirs = await other.trusted({ schedule, timeZone: 'UTC' })
    for (const feed of [broken, whole, theirs]) await missed(feed, 1)
    await acme.sql(`update feeds set definition = definition || '{"timeZone": "Atlantis/Capital"}' where id = $1`, [broken.id])
    await expect(openSlots(database)).rejects.toThrow(/slots could not be opened: .*Atlantis/)
    expect((await runs()).map(({ feed }) => feed)).toEqual([whole.id, theirs.id])
  })
})

describe.each([2, 4])('fault 35: %i schedulers at once', (schedulers) => {
  /** Feeds of three organizations whose slots have come: one, three or none of each. */
  async function manyDue(): Promise<{ due: { feed: StoredFeed; passed: Date[] }[]; idle: StoredFeed[] }> {
    const schedule = await daily()
    const due: { feed: StoredFeed; passed: Date[] }[] = []
    const idle: StoredFeed[] = []
    for (const organization of [acme, await declaring(database), await declaring(database)]) {
      for (let number = 0; number < 12; number++) {
        const feed = await organization.trusted({ name: `feed-${number}`, schedule, timeZone: 'UTC' })
        if (number % 3 === 2) idle.push(feed)
        else due.push({ feed, passed: await missed(feed, number % 3 === 0 ? 1 : 3) })
      }
    }
    return { due, idle }
  }

  async function expectOneRunEach(due: { feed: StoredFeed; passed: Date[] }[], opened: number): Promise<void> {
    expect((await runs()).map(({ feed, slot, passed }) => ({ feed, slot, passed }))).toEqual(due.map(({ feed, passed }) => ({ feed: feed.id, slot: passed.at(-1), passed: passed.length - 1 })))
    expect(opened, 'each run is told by who made it').toBe(due.length)
    const now = await database.now()
    const next = await nextSlots()
    for (const { feed } of due) expect(next.get(feed.id)).toEqual(nextSlot(feed.definition.schedule!, 'UTC', now))
  }

  test('over their own connections make one run for each feed and slot, and no slot is moved back', async () => {
    const { due, idle } = await manyDue()
    const before = await nextSlots()
    const databases = Array.from({ length: schedulers }, () => new Database(server.url, { maxConnections: 3 }))
    try {
      let opened = 0
      for (let round = 0; round < 4; round++) {
        const counts = await Promise.all(databases.flatMap((each) => [openSlots(each), openSlots(each)]))
        opened += counts.reduce((sum, count) => sum + count, 0)
        const next = await nextSlots()
        for (const [id, at] of next) expect(at.getTime()).toBeGreaterThanOrEqual(before.get(id)!.getTime())
      }
      await expectOneRunEach(due, opened)
      const next = await nextSlots()
      for (const { id, nextSlotAt } of idle) expect(next.get(id)).toEqual(nextSlotAt)
    } finally {
      await Promise.all(databases.map((each) => each.close()))
    }
  })

  test('as processes make one run for each feed and slot', async () => {
    const { due } = await manyDue()
    const processes = Array.from({ length: schedulers }, () => startChild('../feeds/slotOpener.ts', server.url, { ROUNDS: '3' }))
    await Promise.all(processes.map((child) => child.said('clock')))
    for (const child of processes) child.tell({ open: true })
    const opened = await Promise.all(processes.map(async (child) => (await child.said('opened'))['opened'] as number))
    expect(await Promise.all(processes.map(({ ended }) => ended))).toEqual(processes.map(() => 0))
    await expectOneRunEach(due, opened.reduce((sum, count) => sum + count, 0))
  })
})

describe('fault 37: only the database’s clock counts', () => {
  test.each([['an hour fast', HOUR], ['an hour slow', -HOUR], ['a day fast', DAY], ['a day slow', -DAY]])('a scheduler whose clock is %s opens nothing early and nothing late', async (_, offset) => {
    const schedule = await daily()
    const due = await acme.trusted({ name: 'due', schedule, timeZone: 'UTC' })
    const hourly = await acme.trusted({ name: 'hourly', schedule: '*/30 * * * *', timeZone: 'UTC' })
    const early = await acme.trusted({ name: 'early', schedule, timeZone: 'UTC' })
    const [slot] = await missed(due, 1)
    // Not the half hour that may begin while the test runs.
    await acme.sql('update feeds set next_slot_at = $2 where id = $1', [hourly.id, new Date(hourly.nextSlotAt!.getTime() + 30 * 60_000)])
    const child = startChild('../feeds/slotOpener.ts', server.url, { ROUNDS: '2', CLOCK_OFFSET_MS: String(offset), NODE_OPTIONS: `--import=${new URL('../faults/shiftClock.ts', import.meta.url).href}` })
    const { clock } = await child.said('clock')
    expect(Math.abs(Date.parse(clock as string) - Date.now() - offset), 'its clock is wrong indeed').toBeLessThan(60_000)
    child.tell({ open: true })
    expect(await child.said('opened')).toEqual({ opened: 1 })
    expect(await child.ended).toBe(0)
    expect((await runs()).map(({ feed, slot: at }) => ({ feed, slot: at }))).toEqual([{ feed: due.id, slot }])
    const next = await nextSlots()
    expect(next.get(due.id)).toEqual(nextSlot(schedule, 'UTC', await database.now()))
    expect(next.get(early.id)).toEqual(early.nextSlotAt)
  })
})

describe('a run that an operator asks for', () => {
  test('is made besides the slots, of a feed without a schedule and of a paused one, and wakes its feed', async () => {
    const feed = await acme.trusted({ schedule: null })
    await acme.tenant((tx) => pauseFeed(tx, feed.id, 'olive'))
    await acme.sql('update feeds set wake_at = null where id = $1', [feed.id])
    const id = await acme.tenant((tx) => manualRun(tx, feed.id, 'olive'))
    expect(await acme.sql('select id, kind, slot_at, state, created_by from feed_runs')).toEqual([{ id, kind: 'manual', slot_at: null, state: 'due', created_by: 'olive' }])
    expect(await acme.sql('select wake_at <= now() as woken from feeds')).toEqual([{ woken: true }])
    expect(await acme.tenant((tx) => readAudit(tx, 1))).toMatchObject([{ operator: 'olive', action: 'feeds.run', detail: { feedId: feed.id, run: id } }])
  })

  test('is the one that waits already, where there is one, and a new one when it is over', async () => {
    const feed = await acme.trusted({ schedule: null })
    const ask = () => acme.tenant((tx) => manualRun(tx, feed.id, 'olive'))
    const [first, second] = await Promise.all([ask(), ask()])
    expect(second).toBe(first)
    await acme.sql(`update feed_runs set state = 'done', next_look_at = null`)
    expect(await ask()).not.toBe(first)
  })

  test('is refused where the server is not trusted, or there is no such feed', async () => {
    const { feed } = await acme.apply()
    await expect(acme.tenant((tx) => manualRun(tx, feed.id, 'olive'))).rejects.toMatchObject({ code: 'feed.not_trusted', hint: expect.stringContaining('./muster feed trust nightly') as string })
    await expect(acme.tenant((tx) => manualRun(tx, '999999999', 'olive'))).rejects.toMatchObject({ code: 'feed.unknown' })
    expect(await runs()).toEqual([])
  })
})
