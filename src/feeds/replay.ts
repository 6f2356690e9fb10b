import type { Transaction } from '../entities/database.ts'
import type { ChangeCounts, LimitedChange, Thresholds } from '../rules/feedPolicy.ts'
import { replay } from '../rules/judgeFeed.ts'

/** Files that are looked back at unless it is said otherwise: a quarter of nights. */
const LOOKED_BACK_AT = 90

/** What thresholds would have done to a feed's last files, the newest of these first. */
export type ThresholdReplay = {
  /** Files that were counted; fewer than asked for where there are no more. */
  runs: number
  held: number
  which: { file: string; importId: string | null; at: Date; changes: LimitedChange[] }[]
}

/**
 * Replays thresholds over what a feed's last files changed, or would have changed (spec A7): "With this threshold, 3 of your last 90 runs
 * would have been held." Counts are kept with each file; no file is read again.
 */
export async function replayThresholds(tx: Transaction, feedId: string, thresholds: Thresholds, lookBack = LOOKED_BACK_AT): Promise<ThresholdReplay> {
  const files = await tx.query<{ file: string; importId: string | null; at: Date; counts: ChangeCounts }>(
    `select name as file, import_id as "importId", coalesce(finished_at, seen_at) as at, counts from feed_files
     where feed_id = $1 and counts is not null order by coalesce(finished_at, seen_at) desc, id desc limit $2`,
    [feedId, lookBack],
  )
  const { runs, held, which } = replay(files.map(({ counts }) => counts), thresholds)
  return { runs, held, which: which.map(({ run, changes }) => ({ file: files[run]!.file, importId: files[run]!.importId, at: files[run]!.at, changes })) }
}
