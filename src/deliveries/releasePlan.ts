import type { Transaction } from '../entities/database.ts'
import type { DeliveryState, ReleaseState } from '../entities/states.ts'
import { FIRST_WAVE } from './recheck.ts'
import { unknownRelease, type ReleasePurpose } from './releases.ts'
import { TROUBLE_AT_LEAST, TROUBLE_PERCENT } from './waves.ts'

/** When the rest of a release does not follow its first wave (judgeWave), in words, behind "unless". */
export const TROUBLE_RULE = `${TROUBLE_PERCENT} % of the first fail, come back or are unknown, and ${TROUBLE_AT_LEAST} of them at least, or half`

/** The lower of a release's and its organization's rate; null: neither has one. Mails a minute. */
export function effectiveRate(release: number | null, organization: number | null): number | null {
  return release === null ? organization : organization === null ? release : Math.min(release, organization)
}

export type Pacing = {
  sendAt: Date
  /** Mails that leave first, and those that wait for them. */
  first: number
  rest: number
  /** From the first to the rest, at least. */
  restAfterMinutes: number
  ratePerMinute: number | null
}

/** When the last mail of a release leaves at a rate (spec D6), the first leaving at `sendAt`; null without a rate. Pure. */
export function expectedEnd({ sendAt, first, rest, restAfterMinutes, ratePerMinute }: Pacing): Date | null {
  if (ratePerMinute === null) return null
  const firstMinutes = first / ratePerMinute
  const minutes = rest === 0 ? firstMinutes : Math.max(firstMinutes, restAfterMinutes) + rest / ratePerMinute
  return new Date(sendAt.getTime() + minutes * MINUTE_MS)
}
const MINUTE_MS = 60_000

/** Mails that become due at an instant. */
export type Batch = { at: Date; count: number }

/** When the last of these mails has left, all of them sharing one rate, each batch from its instant on. Pure. */
export function endOfAll(batches: readonly Batch[], ratePerMinute: number): Date {
  const end = batches.toSorted((a, b) => a.at.getTime() - b.at.getTime()).reduce((busy, { at, count }) => Math.max(busy, at.getTime()) + (count / ratePerMinute) * MINUTE_MS, 0)
  return new Date(end)
}

export type ReleaseCounts = Record<'total' | 'sent' | 'failed' | 'bounced' | 'unknown' | 'waiting' | 'due' | 'held' | 'underWay' | 'leftOut', number>

/** A release as `muster release show --json` prints it. Instants are ISO 8601 in UTC. */
export type ReleaseLine = {
  id: string
  name: string
  state: ReleaseState
  purpose: ReleasePurpose | null
  sendAt: string
  /** Mails a minute: its own, the organization's, and the lower of the two. */
  rate: { own: number | null; organization: number | null; effective: number | null }
  firstWave: number
  restAfterMinutes: number
  restReleasedAt: string | null
  /** Why it is frozen. */
  reason: string | null
  /** From the ledger. `waiting` leave by themselves, `due` of them now; `leftOut` were cancelled, with the reasons below. `sent` has those that came back. */
  counts: ReleaseCounts
  /** Found at sending: why mails were cancelled or are held. */
  reasons: Record<string, number>
  /** Left out as it was made, for each reason. */
  leftOutBefore: Record<string, number>
  firstSentAt: string | null
  lastSentAt: string | null
  /** Mails a minute that have left: within the last minute while it is under way, else on the whole; null before the second one. */
  actualRate: number | null
  /** When the last one is expected to leave; null where nothing tells, or nothing is left. */
  expectedAt: string | null
  /** Other mails of the organization that are due until then and share its rate: expectedAt is behind them. */
  beside: number
  createdBy: string
  createdAt: string
  finishedAt: string | null
}

type Stored = Pick<ReleaseLine, 'id' | 'name' | 'state' | 'firstWave' | 'restAfterMinutes' | 'reason' | 'createdBy' | 'purpose'> & {
  sendAt: Date
  ratePerMinute: number | null
  organizationRate: number | null
  restReleasedAt: Date | null
  createdAt: Date
  finishedAt: Date | null
  now: Date
  leftOutBefore: Record<string, number> | null
}
type Counted = { id: string; state: DeliveryState; reason: string | null; count: number; due: number; lately: number; first: Date | null; last: Date | null }

export type ReleaseFilter = { state?: ReleaseState | undefined; limit: number; before?: string | null | undefined }

/** Releases of the transaction's organization, newest first. */
export async function listReleases(tx: Transaction, { limit, before }: ReleaseFilter): Promise<ReleaseLine[]> {
  return describe(tx, await readReleases(tx, 'r.id < $2', [before ?? MAX_ID, limit], 'limit $3'))
}
const MAX_ID = '9223372036854775807'

/** Frozen releases, which wait for a person. */
export function frozenReleases(tx: Transaction): Promise<Pick<ReleaseLine, 'id' | 'name' | 'reason'>[]> {
  return tx.query(`select id, name, reason from releases where organization_id = $1 and state = 'frozen' order by id`, [tx.organizationId])
}

/** One release. Throws ReleaseRefused where it is not there. */
export async function showRelease(tx: Transaction, id: string): Promise<ReleaseLine> {
  const stored = /^\d{1,18}$/.test(id) ? await readReleases(tx, 'r.id = $2', [id], '') : []
  const [line] = await describe(tx, stored)
  if (!line) throw unknownRelease(id)
  return line
}

/** `where` and `rest` are SQL of this file, never what somebody typed. */
function readReleases(tx: Transaction, where: string, values: unknown[], rest: string): Promise<Stored[]> {
  return tx.query<Stored>(
    `select r.id, r.name, r.state, r.send_at as "sendAt", r.rate_per_minute as "ratePerMinute", (o.settings #>> '{mail,ratePerMinute}')::int as "organizationRate",
       r.first_wave as "firstWave", r.rest_after_minutes as "restAfterMinutes", r.rest_released_at as "restReleasedAt", r.reason, r.created_by as "createdBy",
       r.created_at as "createdAt", r.finished_at as "finishedAt", now() as now, made.detail ->> 'purpose' as purpose, made.detail -> 'leftOut' as "leftOutBefore"
     from releases r join organizations o on o.id = r.organization_id
     left join lateral (
       -- Written in the transaction that made the release, and so at the same instant.
       select detail from audit_entries a where a.organization_id = r.organization_id and a.at = r.created_at and a.action = 'releases.create' and a.detail ->> 'releaseId' = r.id::text limit 1) made on true
     where r.organization_id = $1 and ${where} order by r.id desc ${rest}`,
    [tx.organizationId, ...values],
  )
}

async function describe(tx: Transaction, releases: readonly Stored[]): Promise<ReleaseLine[]> {
  if (releases.length === 0) return []
  // Whoever has registered is told so besides: that mail takes nobody's place in these numbers.
  const counted = await tx.query<Counted>(
    `select release_id as id, state, case when state in ('held', 'cancelled') then reason end as reason, count(*)::int as count,
       (count(*) filter (where state = 'scheduled' and send_at <= now()))::int as due, (count(*) filter (where sent_at > now() - interval '1 minute'))::int as lately, min(sent_at) as first, max(sent_at) as last
     from deliveries where release_id = any ($1::bigint[]) and purpose <> 'alreadyRegistered' group by 1, 2, 3`,
    [releases.map(({ id }) => id)],
  )
  const byRelease = Map.groupBy(counted, ({ id }) => id)
  const planned = releases.map((release) => ({ release, counted: byRelease.get(release.id) ?? [], course: courseOf(release, byRelease.get(release.id) ?? []) }))
  const others = await othersDue(tx, planned.flatMap(({ release, course }) => (course === null || course.asItIs || release.organizationRate === null ? [] : [{ id: release.id, until: course.end }])))
  return planned.map(({ release, counted: own, course }) => lineOf(release, own, course, others.get(release.id) ?? []))
}

/** What else of the organization is due until these ends of releases, by the minute: other releases, and mails of nobody's. */
async function othersDue(tx: Transaction, ends: readonly { id: string; until: Date }[]): Promise<Map<string, Batch[]>> {
  if (ends.length === 0) return new Map()
  const rows = await tx.query<Batch & { id: string }>(
    `select e.id, greatest(max(d.send_at), now()) as at, count(*)::int as count
     from unnest($1::bigint[], $2::timestamptz[]) as e (id, until)
     join deliveries d on d.organization_id = $3 and d.send_at <= e.until and d.release_id is distinct from e.id and (d.state = 'scheduled' or d.state = 'held' and d.reason = '${FIRST_WAVE}')
     group by e.id, date_trunc('minute', d.send_at)`,
    [ends.map(({ id }) => id), ends.map(({ until }) => until), tx.organizationId],
  )
  return Map.groupBy(rows, ({ id }) => id)
}

function lineOf(stored: Stored, counted: readonly Counted[], course: Course | null, others: readonly Batch[]): ReleaseLine {
  const { ratePerMinute, organizationRate, now, leftOutBefore, sendAt, restReleasedAt, createdAt, finishedAt, ...kept } = stored
  const sum = (...states: DeliveryState[]): number => counted.reduce((total, { state, count }) => total + (states.includes(state) ? count : 0), 0)
  const reasons: Record<string, number> = {}
  for (const { reason, count } of counted) if (reason !== null) reasons[reason] = (reasons[reason] ?? 0) + count
  const effective = effectiveRate(ratePerMinute, organizationRate)
  const actual = actualRate(counted, now)
  const counts = {
    total: counted.reduce((total, { count }) => total + count, 0),
    sent: sum('sent', 'bounced'), failed: sum('failed'), bounced: sum('bounced'), unknown: sum('unknown'),
    waiting: sum('scheduled'), due: counted.reduce((total, { due }) => total + due, 0), held: sum('held'), underWay: sum('queued', 'sending'), leftOut: sum('cancelled'),
  }
  return {
    ...kept,
    sendAt: sendAt.toISOString(),
    rate: { own: ratePerMinute, organization: organizationRate, effective },
    restReleasedAt: restReleasedAt?.toISOString() ?? null,
    counts,
    reasons,
    leftOutBefore: leftOutBefore ?? {},
    ...sentBetween(counted),
    actualRate: actual,
    expectedAt: expectedEndOf(course, others, organizationRate)?.toISOString() ?? null,
    beside: others.reduce((total, { count }) => total + count, 0),
    createdAt: createdAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
  }
}

const instantsOf = (counted: readonly Counted[], which: 'first' | 'last'): number[] => counted.flatMap((row) => row[which]?.getTime() ?? [])

function sentBetween(counted: readonly Counted[]): Pick<ReleaseLine, 'firstSentAt' | 'lastSentAt'> {
  const [first, last] = [instantsOf(counted, 'first'), instantsOf(counted, 'last')]
  return { firstSentAt: first.length === 0 ? null : new Date(Math.min(...first)).toISOString(), lastSentAt: last.length === 0 ? null : new Date(Math.max(...last)).toISOString() }
}

/** Seconds that have to lie between the first and the last mail before they tell a rate. */
const LEAST_SECONDS = 1

function actualRate(counted: readonly Counted[], now: Date): number | null {
  const sent = counted.reduce((total, { first, count }) => total + (first === null ? 0 : count), 0)
  if (sent < 2) return null
  const [first, last] = [Math.min(...instantsOf(counted, 'first')), Math.max(...instantsOf(counted, 'last'))]
  const lately = counted.reduce((total, row) => total + row.lately, 0)
  const underWay = now.getTime() - last < MINUTE_MS && now.getTime() - first > MINUTE_MS && lately > 1
  if (underWay) return lately
  const seconds = (last - first) / 1000
  return seconds < LEAST_SECONDS ? null : Math.round(((sent - 1) / seconds) * 60)
}

/** What is left of a release, and when that ends where nothing else is in its way; `asItIs`: at the rate at which it is leaving now, which whatever else leaves has slowed already. */
type Course = { batches: Batch[]; end: Date; asItIs: boolean }

/** By the rate that is set; once it is under way, by the one at which its mails leave, and never above the one that is set. */
function courseOf(release: Stored, counted: readonly Counted[]): Course | null {
  if (release.state !== 'scheduled' && release.state !== 'running') return null
  const leaving = counted.filter(({ state, reason }) => ['scheduled', 'queued', 'sending'].includes(state) || (state === 'held' && reason === 'first_wave'))
  const left = leaving.reduce((total, { count }) => total + count, 0)
  if (left === 0) return null
  const rest = leaving.reduce((total, { count, state }) => total + (state === 'held' ? count : 0), 0)
  const sendAt = new Date(Math.max(release.sendAt.getTime(), release.now.getTime()))
  const waited = (sendAt.getTime() - release.sendAt.getTime()) / MINUTE_MS
  const restAfterMinutes = Math.max(release.restAfterMinutes - waited, 0)
  const effective = effectiveRate(release.ratePerMinute, release.organizationRate)
  const actual = actualRate(counted, release.now)
  const asItIs = actual !== null && release.state === 'running' && release.now.getTime() - Math.max(...instantsOf(counted, 'last')) < MINUTE_MS
  const end = expectedEnd({ sendAt, first: left - rest, rest, restAfterMinutes, ratePerMinute: asItIs ? effectiveRate(actual, effective) : (effective ?? actual) })
  const batches = [{ at: sendAt, count: left - rest }, { at: new Date(sendAt.getTime() + restAfterMinutes * MINUTE_MS), count: rest }]
  return end === null ? null : { batches: batches.filter(({ count }) => count > 0), end, asItIs }
}

function expectedEndOf(course: Course | null, others: readonly Batch[], organizationRate: number | null): Date | null {
  if (course === null || others.length === 0 || organizationRate === null) return course?.end ?? null
  return new Date(Math.max(course.end.getTime(), endOfAll([...others, ...course.batches], organizationRate).getTime()))
}
