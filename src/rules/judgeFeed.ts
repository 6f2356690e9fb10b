import { headerKey } from './aliases.ts'
import { LIMITED_CHANGES, type Allowance, type ChangeCounts, type FeedIntake, type HoldReason, type Limit, type LimitedChange, type RowBand, type Thresholds } from './feedPolicy.ts'

/** Whether a feed's file may be taken in by itself, or is held for a person (spec A6, A7). Pure. */

/** What a file shows beside its counts. */
export type FileFacts = {
  fileName: string
  /** The last row, where it has too few fields; null: the file is whole as far as can be told. */
  cutShort: number | null
  /** Rejected rows in which nobody can be recognized, known or new. */
  unsureRows: number
  /** An earlier file of the feed has made people the feed's own: somebody has seen that it does. */
  adoptedBefore: boolean
}

/** Shares are computed in binary: what is an even share by hand must not come out a hair above it. */
const ROUNDING = 1e-9

/**
 * The most that a file may change by itself, in people: not more than `people`, and less than `percent` of the population, whichever is
 * smaller (spec A6); null where there is no limit. A file that changes nothing of the kind is never over it.
 */
export function limitOf(limit: Limit, population: number): number | null {
  const share = limit.percent === null ? Infinity : Math.max(0, Math.ceil((limit.percent * population) / 100 - ROUNDING) - 1)
  const most = Math.min(limit.people ?? Infinity, share)
  return most === Infinity ? null : most
}

/** As limitOf, for one kind: where nobody is there yet, whoever is brought is looked at, unless creations have no limit at all. */
function mostOf(change: LimitedChange, thresholds: Thresholds, population: number): number | null {
  const most = limitOf(thresholds[change], population)
  return most !== null && change === 'creations' && population === 0 ? 0 : most
}

/** The kinds of change that are over their limits, each with the most that was allowed. */
function overLimits(counts: ChangeCounts, thresholds: Thresholds): { change: LimitedChange; limit: number }[] {
  return LIMITED_CHANGES.flatMap((change) => {
    const limit = mostOf(change, thresholds, counts.population)
    return limit === null || counts[change] <= limit ? [] : [{ change, limit }]
  })
}

/**
 * Every reason to hold a file as a whole, all at once: first what is wrong with the file, then what it would change too much of.
 * Empty where it may be taken in.
 * @param headers the file's header row, as it was sent
 */
export function judge(counts: ChangeCounts, intake: FeedIntake, headers: readonly string[], facts: FileFacts): HoldReason[] {
  const reasons: HoldReason[] = []
  if (facts.cutShort !== null) reasons.push({ code: 'feed.cut_short', detail: { row: facts.cutShort } })
  const drift = intake.lastHeaders === null ? null : driftOf(intake.lastHeaders, headers)
  if (drift) reasons.push({ code: 'contract.columns', detail: drift })
  const band = outOfBand(counts, intake)
  if (band) reasons.push({ code: 'contract.rows', detail: { rows: counts.rows, ...band } })
  if (intake.outOfOrder) reasons.push({ code: 'feed.out_of_order', detail: { file: facts.fileName, newer: intake.outOfOrder.newer } })
  if (facts.unsureRows > 0 && counts.deactivations > 0) reasons.push({ code: 'leaving.unsure', detail: { rows: facts.unsureRows, leaving: counts.deactivations } })
  if (counts.adoptions > 0 && !facts.adoptedBefore) reasons.push({ code: 'feed.adopts', detail: { people: counts.adoptions } })
  for (const { change, limit } of overLimits(counts, intake.thresholds)) reasons.push({ code: `limit.${change}`, detail: { count: counts[change], limit, population: counts.population } })
  return reasons
}

/**
 * What there is to be judged of rows that were handed back and come mended: they are a part of an earlier file, so that nobody is missing from
 * them, and neither their number nor their columns nor their time are what was agreed on for a whole one.
 */
export function ofMendedRows(intake: FeedIntake): FeedIntake {
  return { ...intake, mode: 'changes', rows: { least: null, most: null, changePercent: null }, lastHeaders: null, lastRows: null, outOfOrder: null }
}

/** Headers that went and that came, whatever their order, case and punctuation; null where they are the same. */
function driftOf(last: readonly string[], now: readonly string[]): { missing: string; added: string } | null {
  const without = (some: readonly string[], others: readonly string[]): string => {
    const known = new Set(others.map(headerKey))
    return some.filter((header) => header.trim() !== '' && !known.has(headerKey(header))).join(', ')
  }
  const drift = { missing: without(last, now), added: without(now, last) }
  return drift.missing === '' && drift.added === '' ? null : drift
}

/** The bounds that the number of rows is out of; null where it is within all of them. A full file that names nobody at all is out of any. */
function outOfBand({ rows, deactivations }: ChangeCounts, intake: Pick<FeedIntake, 'rows' | 'lastRows'>): { least?: number; most?: number; last?: number } | null {
  const { least, most, changePercent }: RowBand = intake.rows
  const last = intake.lastRows
  const atLeast = Math.max(least ?? 0, rows === 0 && deactivations > 0 ? 1 : 0)
  const out = {
    ...(rows < atLeast && { least: atLeast }),
    ...(most !== null && rows > most && { most }),
    ...(changePercent !== null && last !== null && last > 0 && (Math.abs(rows - last) * 100) / last > changePercent + ROUNDING && { last }),
  }
  return Object.keys(out).length === 0 ? null : out
}

/**
 * Whether an exception that an administrator made covers everything that a file is held for: only limits, and no more of each than was
 * allowed. Its date, and who may make one, are the caller's to look at.
 */
export function fitsAllowance(reasons: readonly HoldReason[], allowance: Pick<Allowance, 'limits'>): boolean {
  return reasons.every(({ code, detail }) => {
    const change = LIMITED_CHANGES.find((limited) => code === `limit.${limited}`)
    return change !== undefined && 'count' in detail && detail.count <= (allowance.limits[change] ?? -1)
  })
}

/** Which of earlier runs a threshold would have held (spec A7): the index of each, and the kinds that were over. */
export type Replay = { runs: number; held: number; which: { run: number; changes: LimitedChange[] }[] }

/** "With this threshold, 3 of your last 90 runs would have been held." */
export function replay(runs: readonly ChangeCounts[], thresholds: Thresholds): Replay {
  const which = runs.flatMap((counts, run) => {
    const changes = overLimits(counts, thresholds).map(({ change }) => change)
    return changes.length === 0 ? [] : [{ run, changes }]
  })
  return { runs: runs.length, held: which.length, which }
}
