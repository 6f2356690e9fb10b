import type { Transaction } from '../entities/database.ts'
import { MAX_ATTEMPTS } from './backoff.ts'
import { JOINS, MENDABLE, OBJECTION } from './recheck.ts'

/**
 * Settles deliveries whose worker has not been heard of for longer than its lease. Where the end of the message provably
 * never left (queued) they are due again; where it may have left (sending) they become unknown, and a person decides.
 * @returns how many of each; `failed` are those that were lost so often that something must be wrong with them
 */
export async function giveBackLostLeases(tx: Transaction): Promise<{ givenBack: number; unknown: number; failed: number }> {
  const rows = await tx.query<{ state: string; count: number }>(
    `with lost as (
       select id from deliveries where state in ('queued', 'sending') and lease_until < now() order by id for update skip locked
     ), moved as (
       update deliveries d set
         state = case when d.state = 'sending' then 'unknown' when d.attempts >= $1 then 'failed' else 'scheduled' end,
         reason = case when d.state = 'sending' then 'worker_lost' when d.attempts >= $1 then 'worker_lost_too_often' else d.reason end,
         lease_token = case when d.state = 'sending' then d.lease_token end,
         lease_until = null,
         updated_at = now()
       from lost where d.id = lost.id
       returning d.id, d.state
     ), attempted as (
       update delivery_attempts t set stage = 'lost', response = 'worker_lost', ended_at = now()
       from moved where t.delivery_id = moved.id and t.ended_at is null
     )
     select state, count(*)::int as count from moved group by state`,
    [MAX_ATTEMPTS],
  )
  const count = (state: string) => rows.find((row) => row.state === state)?.count ?? 0
  return { givenBack: count('scheduled'), unknown: count('unknown'), failed: count('failed') }
}

/** Deliveries that one call of releaseMended lets go, at most. */
export const MENDED_AT_ONCE = 1_000

/**
 * Deliveries held because the person could not log in, and now can, are let go again on their old date, once that has come. Whoever still
 * cannot is only read, as they may be many.
 * @returns how many were found; MENDED_AT_ONCE where there may be more
 */
export async function releaseMended(tx: Transaction): Promise<number> {
  const mended = await tx.query<{ id: string }>(
    `with held as materialized (
       select d.id from deliveries d where d.organization_id = $1 and d.state = 'held' and d.reason = '${MENDABLE}' and d.send_at <= now()
     )
     select d.id from held join deliveries d using (id) ${JOINS} where ${OBJECTION} is distinct from '${MENDABLE}' limit ${MENDED_AT_ONCE}`,
    [tx.organizationId],
  )
  if (mended.length === 0) return 0
  await tx.run(
    `with still as (
       select id from deliveries where id = any ($1::bigint[]) and state = 'held' and reason = '${MENDABLE}' order by id for no key update skip locked
     )
     update deliveries d set state = 'scheduled', reason = null, updated_at = now() from still where d.id = still.id and d.id = any ($1::bigint[])`,
    [mended.map(({ id }) => id)],
  )
  return mended.length
}
