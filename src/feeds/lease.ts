import { randomUUID } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'

/**
 * One worker at a time is at a feed's server. While one is, the feed's wake_at stands at the end of the lease: a worker that dies is
 * followed by another one. Earlier it stands where somebody woke the feed meanwhile; that is kept for whoever has it next.
 */

/** Seconds for which a worker that is at a feed's server is believed alive without a sign: longer than any wait without bytes. */
export const FEED_LEASE_SECONDS = 90
/** Seconds until a feed with an import under way is looked at all the same, should nobody wake it; with a held one. */
const FALLBACK_SECONDS = { importing: 60, held: 3_600 }

/** SQL: the time in a column has come. The columns keep milliseconds, to which half of all times are rounded up. */
export const hasCome = (column: string): string => `${column} < now() + interval '1 millisecond'`

/** The feed is another worker's by now. */
export class FeedTakenAway extends Error {
  constructor(feedId: string) {
    super(`feed ${feedId} is another worker's by now`)
    this.name = 'FeedTakenAway'
  }
}

/** Takes a feed that somebody woke; null where it is taken, gone, or not to be woken yet. Gives the lease's token. */
export async function takeFeed(tx: Transaction, feedId: string): Promise<string | null> {
  const token = randomUUID()
  const taken = await tx.run(
    `update feeds set lease_token = $2, lease_until = now() + make_interval(secs => $3), wake_at = now() + make_interval(secs => $3)
     where id = $1 and ${hasCome('wake_at')} and (lease_until is null or lease_until < now())`,
    [feedId, token, FEED_LEASE_SECONDS],
  )
  return taken === 0 ? null : token
}

/** Says that the worker goes on. Throws FeedTakenAway where it is another one's. */
export async function renewFeed(tx: Transaction, feedId: string, token: string): Promise<void> {
  const renewed = await tx.run(
    `update feeds set lease_until = now() + make_interval(secs => $3), wake_at = case when wake_at < lease_until then wake_at else now() + make_interval(secs => $3) end
     where id = $1 and lease_token = $2`,
    [feedId, token, FEED_LEASE_SECONDS],
  )
  if (renewed === 0) throw new FeedTakenAway(feedId)
}

/** Of a transaction that must not be committed by a worker that was stopped for longer than its lease. Throws FeedTakenAway. */
export async function assertFeedOurs(tx: Transaction, feedId: string, token: string): Promise<void> {
  const [ours] = await tx.query('select from feeds where id = $1 and lease_token = $2 for no key update', [feedId, token])
  if (!ours) throw new FeedTakenAway(feedId)
}

/** What a worker was at and could not end is tried again after a pause, also where it was due long ago. */
export async function postponeFeed(tx: Transaction, feedId: string, token: string, inSeconds: number): Promise<void> {
  await assertFeedOurs(tx, feedId, token)
  const later = 'now() + make_interval(secs => $2)'
  await tx.run(`update feed_runs set next_look_at = ${later} where feed_id = $1 and state in ('due', 'looking') and next_look_at < ${later}`, [feedId, inSeconds])
  await tx.run(`update feed_files set settle_at = ${later} where feed_id = $1 and settle_at < ${later}`, [feedId, inSeconds])
}

/**
 * Gives a feed back, to be woken when there is something to do for it next: a look, an acknowledgement, or what somebody woke it for meanwhile.
 * @returns whether there is something to do at once
 */
export async function giveFeedBack(tx: Transaction, feedId: string, token: string): Promise<boolean> {
  const [row] = await tx.query<{ due: boolean }>(
    `update feeds f set lease_token = null, lease_until = null,
       wake_at = least(
         case when wake_at < lease_until then wake_at end,
         (select min(next_look_at) from feed_runs where feed_id = f.id and state in ('due', 'looking')),
         (select min(settle_at) from feed_files where feed_id = f.id and settle_at is not null),
         (select now() + make_interval(secs => $3) where exists (select from feed_files where feed_id = f.id and state = 'importing')),
         (select now() + make_interval(secs => $4) where exists (select from feed_files where feed_id = f.id and state = 'held')))
     where id = $1 and lease_token = $2 returning coalesce(${hasCome('wake_at')}, false) as due`,
    [feedId, token, FALLBACK_SECONDS.importing, FALLBACK_SECONDS.held],
  )
  return row?.due ?? false
}
