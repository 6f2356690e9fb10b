import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'

/**
 * A worker claims mails so far ahead of their instants, and waits for each one's own: so the rate has no gaps between two claims. Short, as
 * what is claimed ahead cannot make room for what comes meanwhile.
 */
export const AHEAD_MS = 1_000

/** Where mails are taken from: a release, or all that belong to none. Each keeps its own rate, and together they keep the organization's. */
export type Stream = {
  /** The release's id; null: mails of none. */
  release: string | null
  /** Mails due, as far as it was counted. */
  due: number
  /** Milliseconds from one mail to the next; null: no rate of its own. */
  gapMs: number | null
  /** Its next mail not before this, in milliseconds since 1970. */
  nextAt: number
}

/** The organization's own rate; as in Stream. */
export type Pace = Pick<Stream, 'gapMs' | 'nextAt'>

export type Allotted = {
  /** For each stream the instants of its mails, in order. */
  instants: number[][]
  /** When the next mail after these may leave, of each stream and of the organization. */
  streamsNextAt: number[]
  organizationNextAt: number
  /** Milliseconds after which it is worth asking again; null: nothing due was left over because of a rate. */
  nextInMs: number | null
}

/**
 * Gives the next mails of several streams their instants, as one virtual queue for each rate (GCRA without a burst): a mail takes the next
 * instant of its stream and of the organization, the later of the two, and whoever can leave soonest goes first. Streams that could leave
 * at the same instant take turns, so that a large release leaves room for single mails. Where the organization has no rate, what has none could always
 * leave at once and would take every place: so streams with a rate have theirs first, up to half of the places while others want them, too.
 * Instants that nobody used are gone; nothing is ever faster. Pure.
 * @param now the database's clock, in milliseconds since 1970
 * @param limit mails at most
 * @param aheadMs no instant lies further ahead of now than this
 */
export function allot({ streams, organization, now, limit, aheadMs = AHEAD_MS }: { streams: readonly Stream[]; organization: Pace; now: number; limit: number; aheadMs?: number }): Allotted {
  const streamsNextAt = streams.map(({ nextAt }) => Math.max(nextAt, now))
  const instants: number[][] = streams.map(() => [])
  let organizationNextAt = Math.max(organization.nextAt, now)
  // Claims of one mail each would otherwise always begin with the same stream.
  let turn = organization.gapMs === null ? 0 : Math.round(organizationNextAt / organization.gapMs)
  let left = limit
  const soonest = (among: Among) => firstInTurn(streams, instants, streamsNextAt, organizationNextAt, turn, among)
  const fill = (among: Among, least: number): void => {
    for (; left > least; left--, turn++) {
      const next = soonest(among)
      if (next === null || next.at > now + aheadMs) return
      const { index, at } = next
      instants[index]!.push(at)
      streamsNextAt[index] = at + (streams[index]!.gapMs ?? 0)
      organizationNextAt = organization.gapMs === null ? organizationNextAt : at + organization.gapMs
    }
  }
  if (organization.gapMs === null) {
    fill(({ gapMs }) => gapMs !== null, Math.floor(limit / 2))
    fill(({ gapMs }) => gapMs === null, 0)
  }
  fill(() => true, 0)
  const next = left > 0 ? soonest(() => true) : null
  return { instants, streamsNextAt, organizationNextAt, nextInMs: next === null ? null : Math.max(next.at - aheadMs / 2 - now, 0) }
}

type Among = (stream: Stream) => boolean

/** Of these streams that have mails left the one that may leave soonest; of several, the next in turn. Null: none is left. */
function firstInTurn(streams: readonly Stream[], instants: readonly number[][], nextAt: readonly number[], organizationNextAt: number, turn: number, among: Among): { index: number; at: number } | null {
  let best: { index: number; at: number } | null = null
  for (let step = 0; step < streams.length; step++) {
    const index = (turn + step) % streams.length
    if (instants[index]!.length >= streams[index]!.due || !among(streams[index]!)) continue
    const at = Math.max(nextAt[index]!, organizationNextAt)
    if (best === null || at < best.at) best = { index, at }
  }
  return best
}

/** `now` is the database's clock in milliseconds since 1970; 0 where no rate is asked for, and it does not matter. */
export type OpenedPaces = { streams: Stream[]; organization: Pace; now: number }

/**
 * Reads what is due in each stream, and locks the ends of the queues of those that have a rate until the transaction ends: first the
 * organization's, then the releases' in the order of their ids, and only then deliveries, as everybody does.
 * @param limit how far mails are counted
 */
export async function openPaces(tx: Transaction, { ratePerMinute, limit, purposes }: { ratePerMinute: number | null; limit: number; purposes: readonly DeliveryPurpose[] }): Promise<OpenedPaces> {
  const organizationNextAt = ratePerMinute === null ? 0 : await lockOrganization(tx)
  const found = await tx.query<{ release: string | null; due: number; rate: number | null }>(
    `select null::bigint as release, null::int as rate, count(*)::int as due from (
       select from deliveries d where d.organization_id = $1 and d.state = 'scheduled' and d.release_id is null and d.send_at <= now() and d.purpose = any ($2::text[]) limit $3) as alone
     union all
     select r.id, r.rate_per_minute, its.due from releases r cross join lateral (
       select count(*)::int as due from (
         select from deliveries d where d.release_id = r.id and d.state = 'scheduled' and d.send_at <= now() and d.purpose = any ($2::text[]) limit $3) as counted) its
     where r.organization_id = $1 and its.due > 0`,
    [tx.organizationId, [...purposes], limit],
  )
  const paced = found.filter(({ release, rate }) => release !== null && rate !== null).map(({ release }) => release!)
  const nextAt = paced.length === 0 ? new Map<string, number>() : await lockReleases(tx, paced)
  const unpaced = ratePerMinute === null && paced.length === 0
  const [clock] = unpaced ? [{ now: new Date(0) }] : await tx.query<{ now: Date }>('select clock_timestamp() as now')
  return {
    streams: found.filter(({ due }) => due > 0).map(({ release, due, rate }) => ({ release, due, gapMs: gapOf(rate), nextAt: nextAt.get(release ?? '') ?? 0 })),
    organization: { gapMs: gapOf(ratePerMinute), nextAt: organizationNextAt },
    // Whoever waited for a lock is later than its transaction's now().
    now: clock!.now.getTime(),
  }
}

/** Milliseconds from one mail to the next. */
const gapOf = (ratePerMinute: number | null): number | null => (ratePerMinute === null ? null : 60_000 / ratePerMinute)

async function lockOrganization(tx: Transaction): Promise<number> {
  await tx.run('insert into mail_paces (organization_id, next_at) values ($1, now()) on conflict do nothing', [tx.organizationId])
  const [row] = await tx.query<{ nextAt: Date }>('select next_at as "nextAt" from mail_paces where organization_id = $1 for update', [tx.organizationId])
  return row!.nextAt.getTime()
}

async function lockReleases(tx: Transaction, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx.query<{ id: string; nextAt: Date | null }>('select id, next_at as "nextAt" from releases where id = any ($1::bigint[]) order by id for no key update', [[...ids]])
  return new Map(rows.map(({ id, nextAt }) => [id, nextAt?.getTime() ?? 0]))
}

/** Moves the ends of the queues to behind what was taken. Rounded up to the milliseconds that are kept: never faster. */
export async function takeInstants(tx: Transaction, { streams, organization }: OpenedPaces, taken: Allotted): Promise<void> {
  if (organization.gapMs !== null && taken.instants.some((instants) => instants.length > 0)) {
    await tx.run('update mail_paces set next_at = $2 where organization_id = $1', [tx.organizationId, new Date(Math.ceil(taken.organizationNextAt))])
  }
  const moved = streams.flatMap(({ release, gapMs }, index) => (release !== null && gapMs !== null && taken.instants[index]!.length > 0 ? [{ release, at: new Date(Math.ceil(taken.streamsNextAt[index]!)) }] : []))
  if (moved.length === 0) return
  await tx.run('update releases r set next_at = t.at from unnest($1::bigint[], $2::timestamptz[]) as t (id, at) where r.id = t.id', [moved.map(({ release }) => release), moved.map(({ at }) => at)])
}
