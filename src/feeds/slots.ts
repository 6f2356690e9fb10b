import type { Database, Transaction } from '../entities/database.ts'
import type { FeedRunKind } from '../entities/states.ts'
import { audit } from '../organizations/audit.ts'
import { FeedNotReady, lockFeed } from './feeds.ts'
import { latestSlot, nextSlot } from './schedule.ts'
import { wakeFeed } from './wake.ts'

/** A slot that is found later than this was missed: its run is one that catches up. */
const LATE_MS = 5 * 60_000

type Due = { id: string; schedule: string; timeZone: string; nextSlotAt: Date; now: Date }
type Opened = { feed: string; kind: FeedRunKind; slot: Date; passed: number }

/**
 * Makes a run for every feed whose slot has come, and wakes its worker. Any number of processes may do so at the same moment: a slot has one
 * run, whoever makes it (faults.md 35). Slots that passed while nobody was there get one run together, for the latest of them, which says how
 * many it stands for (faults.md 36). Only the database's clock counts (faults.md 37).
 * @returns runs made
 * @throws AggregateError after the others were seen to, where a feed's schedule cannot be worked out
 */
export async function openSlots(database: Database): Promise<number> {
  const due = await database.fleet((tx) => tx.query<{ id: string; organization_id: string }>('select id, organization_id from fleet.feeds_at_slot()'))
  const faults: unknown[] = []
  let opened = 0
  for (const [organizationId, feeds] of Map.groupBy(due, ({ organization_id: id }) => id)) {
    try {
      opened += await database.tenant(organizationId, (tx) => openSlotsOf(tx, feeds.map(({ id }) => id), faults))
    } catch (error) {
      faults.push(error)
    }
  }
  if (faults.length > 0) throw new AggregateError(faults, `slots could not be opened: ${faults.map((fault) => (fault as Error).message).join('; ')}`)
  return opened
}

async function openSlotsOf(tx: Transaction, feedIds: readonly string[], faults: unknown[]): Promise<number> {
  // Whom another process has in hand it sees to; what it left is found a second later.
  const due = await tx.query<Due>(
    `select f.id, f.definition ->> 'schedule' as schedule, coalesce(f.definition ->> 'timeZone', o.time_zone) as "timeZone", f.next_slot_at as "nextSlotAt", now() as now
     from feeds f, organizations o
     where f.id = any ($1::bigint[]) and o.id = f.organization_id and f.state = 'active' and f.host_key is not null and f.next_slot_at <= now()
     order by f.id for no key update of f skip locked`,
    [[...feedIds]],
  )
  const opened: Opened[] = []
  const moved: { feed: string; nextSlotAt: Date }[] = []
  for (const { id, schedule, timeZone, nextSlotAt, now } of due) {
    try {
      moved.push({ feed: id, nextSlotAt: nextSlot(schedule, timeZone, now) })
      const latest = latestSlot(schedule, timeZone, new Date(nextSlotAt.getTime() - 1), now)
      // None: the zone has changed since it was worked out, and the slot lies elsewhere now.
      if (latest === null) continue
      const late = latest.count > 1 || now.getTime() - latest.slot.getTime() > LATE_MS
      opened.push({ feed: id, kind: late ? 'catchUp' : 'scheduled', slot: latest.slot, passed: latest.count - 1 })
    } catch (error) {
      faults.push(new Error(`feed ${id}, ${schedule} in ${timeZone}: ${(error as Error).message}`, { cause: error }))
    }
  }
  const made = await tx.query<{ feed: string }>(
    `insert into feed_runs (organization_id, feed_id, kind, slot_at, slots_passed, state, next_look_at)
     select $1, feed, kind, slot, passed, 'due', now() from unnest($2::bigint[], $3::text[], $4::timestamptz[], $5::int[]) as o (feed, kind, slot, passed)
     on conflict (feed_id, slot_at) do nothing returning feed_id as feed`,
    [tx.organizationId, opened.map(({ feed }) => feed), opened.map(({ kind }) => kind), opened.map(({ slot }) => slot), opened.map(({ passed }) => passed)],
  )
  await tx.run(
    `update feeds f set next_slot_at = greatest(f.next_slot_at, m.next_slot_at), wake_at = case when f.id = any ($3::bigint[]) then least(f.wake_at, now()) else f.wake_at end
     from unnest($1::bigint[], $2::timestamptz[]) as m (id, next_slot_at) where f.id = m.id`,
    [moved.map(({ feed }) => feed), moved.map(({ nextSlotAt }) => nextSlotAt), made.map(({ feed }) => feed)],
  )
  return made.length
}

/**
 * Makes a run because somebody says so, also of a paused feed or one without a schedule. One that waits already is it.
 * @returns the run's id
 * @throws FeedUnknown; FeedNotReady where no host key is pinned
 */
export async function manualRun(tx: Transaction, feedId: string, operator: string): Promise<string> {
  const feed = await lockFeed(tx, feedId)
  if (feed.hostKey === null) throw new FeedNotReady(feed)
  const [waiting] = await tx.query<{ id: string }>(
    `update feed_runs set next_look_at = now() where id = (select min(id) from feed_runs where feed_id = $1 and kind = 'manual' and state in ('due', 'looking')) returning id`,
    [feedId],
  )
  const [run] = waiting
    ? [waiting]
    : await tx.query<{ id: string }>(`insert into feed_runs (organization_id, feed_id, kind, state, next_look_at, created_by) values ($1, $2, 'manual', 'due', now(), $3) returning id`, [tx.organizationId, feedId, operator])
  await wakeFeed(tx, feedId)
  await audit(tx, operator, 'feeds.run', { feedId, run: run!.id })
  return run!.id
}
