import type { Transaction } from '../entities/database.ts'
import type { FeedFileState, FeedRunKind, FeedRunState, ImportState } from '../entities/states.ts'
import type { ChangeCounts } from '../rules/feedPolicy.ts'
import type { FeedProblem } from './problems.ts'

/** A file of a feed, as it is told. */
export type FileLine = {
  id: string
  name: string
  bytes: number
  modifiedAt: Date
  seenAt: Date
  finishedAt: Date | null
  state: FeedFileState
  runId: string | null
  importId: string | null
  importState: ImportState | null
  /** What it changed, or would have. */
  counts: ChangeCounts | null
  /** Rows that its import rejected or held back; null before there is one. */
  rejected: number | null
  problem: FeedProblem | null
  /** Its acknowledgement or its way into the archive is still to be seen to. */
  unsettled: boolean
  acknowledged: FeedFileState | null
  archivedAt: Date | null
}

/** A run of a feed, as it is told. */
export type RunLine = {
  id: string
  kind: FeedRunKind
  state: FeedRunState
  slotAt: Date | null
  slotsPassed: number
  looks: number
  nextLookAt: Date | null
  filesTaken: number
  problem: FeedProblem | null
  createdBy: string | null
  createdAt: Date
  finishedAt: Date | null
}

const FILE = `f.id, f.name, f.bytes::float8 as bytes, f.modified_at as "modifiedAt", f.seen_at as "seenAt", f.finished_at as "finishedAt", f.state, f.run_id as "runId", f.import_id as "importId", i.state as "importState",
  f.counts, ((i.result -> 'totals' ->> 'rejected')::int + (i.result -> 'totals' ->> 'held')::int) as rejected, f.problem, f.settle_at is not null as unsettled, f.acknowledged, f.archived_at as "archivedAt"`

/**
 * Files of a feed, the latest first.
 * @param options.dealtWith leaves out those that are only seen so far
 * @param options.runId of this run only; `importId`: of this import
 */
export function readFiles(tx: Transaction, feedId: string, options: { limit: number; dealtWith?: boolean; runId?: string }): Promise<FileLine[]> {
  return tx.query<FileLine>(
    `select ${FILE} from feed_files f left join imports i on i.id = f.import_id
     where f.feed_id = $1 and ($2 is false or f.state <> 'found') and ($3::bigint is null or f.run_id = $3) order by f.seen_at desc, f.id desc limit $4`,
    [feedId, options.dealtWith ?? false, options.runId ?? null, options.limit],
  )
}

const RUN = `id, kind, state, slot_at as "slotAt", slots_passed as "slotsPassed", looks, next_look_at as "nextLookAt", files_taken as "filesTaken", problem, created_by as "createdBy", created_at as "createdAt", finished_at as "finishedAt"`

/** Runs of a feed, the latest first. `notable`: without those that ended well and found nothing. */
export function readRuns(tx: Transaction, feedId: string, options: { limit: number; notable?: boolean }): Promise<RunLine[]> {
  return tx.query<RunLine>(
    `select ${RUN} from feed_runs where feed_id = $1 and ($2 is false or files_taken > 0 or state <> 'done' or kind <> 'scheduled') order by id desc limit $3`,
    [feedId, options.notable ?? false, options.limit],
  )
}

/** A run; null where there is none of this id. */
export async function readRun(tx: Transaction, runId: string): Promise<RunLine | null> {
  const [run] = await tx.query<RunLine>(`select ${RUN} from feed_runs where id = $1`, [runId])
  return run ?? null
}

/** The run that is at work or waits for its file: the latest, where several do. */
export async function openRunOf(tx: Transaction, feedId: string): Promise<RunLine | null> {
  const [run] = await tx.query<RunLine>(`select ${RUN} from feed_runs where feed_id = $1 and state in ('due', 'looking') order by state = 'looking' desc, id desc limit 1`, [feedId])
  return run ?? null
}

/** The feed's transfer that is under way: the bytes that are there, and those of the file on the server, where it is known. */
export async function readTransfer(tx: Transaction, feedId: string): Promise<{ file: string; bytes: number; of: number | null; elapsedMs: number } | null> {
  const [row] = await tx.query<{ file: string; bytes: number; of: number | null; elapsedMs: number }>(
    `select i.file_name as file, (select coalesce(sum(octet_length(bytes)), 0) from file_pieces where import_id = i.id)::float8 as bytes,
       (select max(f.bytes) from feed_files f where f.feed_id = $1 and f.name = i.file_name and f.state = 'found')::float8 as of, (extract(epoch from now() - i.created_at) * 1000)::float8 as "elapsedMs"
     from imports i where i.feed_id = $1 and i.state = 'receiving' order by i.id desc limit 1`,
    [feedId],
  )
  return row ?? null
}
