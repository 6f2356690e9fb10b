import type { Transaction } from '../entities/database.ts'
import type { FeedFileState } from '../entities/states.ts'
import { ERRORS_HEADER } from '../rules/columns.ts'
import type { FeedIntake } from '../rules/feedPolicy.ts'
import { newestFile, type Ordered } from './chooseFiles.ts'
import type { FeedDefinition } from './declaration.ts'
import { hasCome } from './lease.ts'
import type { FeedProblem } from './problems.ts'

/** A file as the server lists it. */
export type ListedFile = { name: string; bytes: number; modifiedAt: Date }

export type SeenFile = ListedFile & {
  id: string
  state: FeedFileState
  /** When it was first seen with this size and time. */
  seenAt: Date
}

const NAMED = `id, name, bytes::float8 as bytes, modified_at as "modifiedAt"`

/**
 * Notes what lies in the feed's folder now: files that were not there before, or not with this size and time, are `found`. What was found
 * and is no longer there like that is forgotten, as it is another file now, or none.
 * @returns the files with what is known of each; the database's clock decides since when
 */
export async function seeFiles(tx: Transaction, feedId: string, listed: readonly ListedFile[]): Promise<SeenFile[]> {
  const rows = listed.map(({ name, bytes, modifiedAt }) => ({ name, bytes, modified_at: modifiedAt.toISOString() }))
  const there = `jsonb_to_recordset($2::jsonb) as l (name text, bytes bigint, modified_at timestamptz(3))`
  await tx.run(
    `delete from feed_files f where feed_id = $1 and state = 'found'
       and not exists (select from ${there} where l.name = f.name and l.bytes = f.bytes and l.modified_at = f.modified_at)`,
    [feedId, JSON.stringify(rows)],
  )
  await tx.run(
    `insert into feed_files (organization_id, feed_id, name, bytes, modified_at, state) select $3, $1, l.name, l.bytes, l.modified_at, 'found' from ${there}
     on conflict (feed_id, name, bytes, modified_at) do nothing`,
    [feedId, JSON.stringify(rows), tx.organizationId],
  )
  return tx.query<SeenFile>(
    `select f.id, f.name, f.bytes::float8 as bytes, f.modified_at as "modifiedAt", f.state, f.seen_at as "seenAt"
     from feed_files f join ${there} on l.name = f.name and l.bytes = f.bytes and l.modified_at = f.modified_at where f.feed_id = $1`,
    [feedId, JSON.stringify(rows)],
  )
}

/** How our own file with the rejected rows of an import is going to be listed: that is no file to be taken in. Before anybody sees it. */
export async function noteReturned(tx: Transaction, importId: string, { bytes, modifiedAt }: { bytes: number; modifiedAt: Date }): Promise<void> {
  await tx.run(`update imports set source = source || jsonb_build_object('returned', coalesce(source -> 'returned', '[]') || $2::jsonb) where id = $1`, [importId, JSON.stringify([{ bytes, modifiedAt }])])
}

/**
 * Of files that lie under the name of rejected rows those that the sender has mended and put back, and that were not dealt with yet: files that we
 * have returned rows of, and not with this size and time.
 * @param listed with the name of the file whose rows they are
 */
export async function mendedAmong<File extends ListedFile>(tx: Transaction, feedId: string, listed: readonly { file: string; returned: File }[]): Promise<File[]> {
  if (listed.length === 0) return []
  const rows = listed.map(({ file, returned: { name, bytes, modifiedAt } }, index) => ({ index, file, name, bytes, modified_at: modifiedAt.toISOString() }))
  const mended = await tx.query<{ index: number }>(
    `select l.index from jsonb_to_recordset($2::jsonb) as l (index int, file text, name text, bytes bigint, modified_at timestamptz(3))
       join feed_files f on f.feed_id = $1 and f.name = l.file join imports i on i.id = f.import_id cross join lateral jsonb_array_elements(i.source -> 'returned') r
     where not exists (select from feed_files d where d.feed_id = $1 and d.name = l.name and d.bytes = l.bytes and d.modified_at = l.modified_at and d.state <> 'found')
     group by l.index having not bool_or((r ->> 'bytes')::bigint = l.bytes and (r ->> 'modifiedAt')::timestamptz = l.modified_at) order by l.index`,
    [feedId, JSON.stringify(rows)],
  )
  return mended.map(({ index }) => listed[index]!.returned)
}

/** SQL: not rows of an earlier file that were handed back and came mended: with those the next whole file is not compared. */
const WHOLE = `counts -> 'mended' is null`

/** What was taken from a feed before, as far as the next file depends on it. */
export type TakenBefore = {
  /** The newest file that was taken, by the feed's order; one that was refused says nothing. */
  last: Ordered | null
  importing: boolean
  /** Files whose import is held. */
  held: { id: string; importId: string | null; name: string }[]
}

/** Reads what was taken from a feed before. */
export async function readTaken(tx: Transaction, feedId: string, order: FeedDefinition['order']): Promise<TakenBefore> {
  // Of each order the newest; together they hold the newest of either.
  const newest = await tx.query<Ordered>(
    `(select name, modified_at as "modifiedAt" from feed_files where feed_id = $1 and state = any ($2) and ${WHOLE} order by modified_at desc, name collate "C" desc limit 1)
     union all (select name, modified_at from feed_files where feed_id = $1 and state = any ($2) and ${WHOLE} order by name collate "C" desc, modified_at desc limit 1)`,
    [feedId, ['importing', 'held', 'imported', 'rejected', 'repeated'] satisfies FeedFileState[]],
  )
  const open = await tx.query<{ id: string; importId: string | null; name: string; state: FeedFileState }>(
    `select id, import_id as "importId", name, state from feed_files where feed_id = $1 and state in ('importing', 'held') order by id`,
    [feedId],
  )
  return {
    last: newestFile(order, newest),
    importing: open.some(({ state }) => state === 'importing'),
    held: open.filter(({ state }) => state === 'held').map(({ id, importId, name }) => ({ id, importId, name })),
  }
}

/**
 * The name under which these bytes were taken in before, or are just being; null where they are new (faults.md 31). What was refused or rejected changed nobody, and what was undone does no longer: that may come again.
 * Of a feed whose files name everybody only the last one counts: who goes back to what an earlier one said takes back what came between.
 */
export async function takenAs(tx: Transaction, feedId: string, hash: string): Promise<string | null> {
  const [row] = await tx.query<{ name: string }>(
    `with taken as (
       select f.id, f.name, f.file_hash, row_number() over (order by f.import_id desc nulls last, f.id desc) as place from feed_files f left join imports i on i.id = f.import_id
       where f.feed_id = $1 and f.state in ('importing', 'held', 'imported') and i.state is distinct from 'undone'
     )
     select name from taken where file_hash = $2 and (place = 1 or (select definition ->> 'mode' from feeds where id = $1) is distinct from 'full') order by id limit 1`,
    [feedId, hash],
  )
  return row?.name ?? null
}

/** What an import is to know of the feed that brings it, as things stand when the file is taken. */
export async function intakeOf(
  tx: Transaction,
  feed: { id: string; definition: FeedDefinition },
  fileId: string,
  outOfOrder: { newer: string } | null,
): Promise<FeedIntake> {
  const { mode, scope, adopts, thresholds, contract, holdHours } = feed.definition
  const [last] = await tx.query<{ headers: string[] | null; rows: number | null }>(
    `select headers, (counts->>'rows')::int as rows from feed_files where feed_id = $1 and state = 'imported' and ${WHOLE} order by finished_at desc, id desc limit 1`,
    [feed.id],
  )
  return {
    feedId: feed.id,
    fileId,
    mode,
    scope,
    adopts,
    thresholds,
    rows: contract.rows,
    lastHeaders: contract.columns === 'fixed' ? (last?.headers ?? null) : null,
    lastRows: last?.rows ?? null,
    outOfOrder,
    holdHours,
  }
}

/** The file is being imported. */
export async function markImporting(tx: Transaction, fileId: string, taken: { runId: string | null; importId: string; hash: string }): Promise<void> {
  await tx.run(`update feed_files set state = 'importing', run_id = $2, import_id = $3, file_hash = $4, problem = null where id = $1 and state = 'found'`, [fileId, taken.runId, taken.importId, taken.hash])
}

/** Nothing is done with these files, and why; what is to be said of it on the server is due. */
export async function setAside(
  tx: Transaction,
  fileIds: readonly string[],
  state: Extract<FeedFileState, 'repeated' | 'superseded' | 'refused'>,
  about: { runId: string | null; problem: FeedProblem; hash?: string },
): Promise<void> {
  await tx.run(
    `update feed_files set state = $2, run_id = coalesce(run_id, $3), problem = $4, file_hash = coalesce($5, file_hash), settle_at = now(), settle_attempts = 0, finished_at = now()
     where id = any ($1::bigint[]) and state in ('found', 'held')`,
    [[...fileIds], state, about.runId, JSON.stringify(about.problem), about.hash ?? null],
  )
}

/** How an import that a feed brought has moved on, and with it its file. */
export type MovedFile = ListedFile & { id: string; importId: string | null; state: FeedFileState; problem: FeedProblem | null }

/**
 * Files take over the state of their imports, with what these changed; what is to be said of it on the server is due.
 * @returns those that have another state now
 */
export function takeOverImports(tx: Transaction, feedId: string): Promise<MovedFile[]> {
  return tx.query<MovedFile>(
    `with moved as (
       select f.id, i.changes, i.columns, case
           when i.id is null then 'refused'
           when i.state = 'held' then 'held'
           when i.state in ('committed', 'undone') then 'imported'
           when i.state = 'failed' then 'refused'
           when i.state = 'cancelled' then case when i.decision = 'superseded' and f.state = 'held' then 'superseded' else 'rejected' end
           else 'importing' end as state,
         case when i.id is null then '{"code": "import.gone", "detail": {}}'::jsonb
           when i.state = 'failed' then i.failure
           when i.state = 'cancelled' then jsonb_build_object('code', 'import.' || coalesce(i.decision, 'cancelled'), 'detail', '{}'::jsonb) end as problem
       from feed_files f left join imports i on i.id = f.import_id where f.feed_id = $1 and f.state in ('importing', 'held')
     )
     update feed_files f set state = m.state, problem = m.problem, counts = coalesce(m.changes, f.counts),
       headers = coalesce((select jsonb_agg(c.value->'header' order by c.ordinality) from jsonb_array_elements(m.columns) with ordinality c where c.value->>'header' <> $2), f.headers),
       -- Nothing is said of one that goes on.
       settle_at = case when m.state = 'importing' then f.settle_at else now() end, settle_attempts = 0,
       finished_at = case when m.state in ('importing', 'held') then null else now() end
     from moved m where f.id = m.id and f.state <> m.state
     returning f.id, f.name, f.bytes::float8 as bytes, f.modified_at as "modifiedAt", f.import_id as "importId", f.state, f.problem`,
    // Rows that come back mended have it besides their own.
    [feedId, ERRORS_HEADER],
  )
}

export type FileToSettle = ListedFile & {
  id: string
  state: FeedFileState
  importId: string | null
  hash: string | null
  problem: FeedProblem | null
  attempts: number
  acknowledged: FeedFileState | null
  archivedAt: Date | null
}

/** Files whose acknowledgement, or way into the archive, is to be seen to now. */
export function filesToSettle(tx: Transaction, feedId: string): Promise<FileToSettle[]> {
  return tx.query<FileToSettle>(
    `select ${NAMED}, state, import_id as "importId", file_hash as hash, problem, settle_attempts as attempts, acknowledged, archived_at as "archivedAt"
     from feed_files where feed_id = $1 and ${hasCome('settle_at')} order by id`,
    [feedId],
  )
}

/** The server was told of the file's state. */
export async function markAcknowledged(tx: Transaction, fileId: string, state: FeedFileState): Promise<void> {
  await tx.run('update feed_files set acknowledged = $2 where id = $1', [fileId, state])
}

/** Nothing is left to be done on the server for the file in this state. */
export async function markSettled(tx: Transaction, fileId: string, state: FeedFileState, archived: boolean): Promise<void> {
  await tx.run(
    `update feed_files set settle_at = null, settle_attempts = 0, archived_at = case when $3 then now() else archived_at end where id = $1 and state = $2`,
    [fileId, state, archived],
  )
}

/** Seconds between two attempts to answer on the server: at first, and at most. */
const SETTLE_SECONDS = { first: 60, most: 6 * 3_600 }

/** The server did not take the answer: it is tried again, after a pause that grows. Gives those that are still to be answered for. */
export async function settleLater(tx: Transaction, fileIds: readonly string[]): Promise<Set<string>> {
  const later = await tx.query<{ id: string }>(
    `update feed_files set settle_attempts = settle_attempts + 1, settle_at = now() + make_interval(secs => least($2 * power(2, least(settle_attempts, 20)), $3)) where id = any ($1::bigint[]) and ${hasCome('settle_at')} returning id`,
    [[...fileIds], SETTLE_SECONDS.first, SETTLE_SECONDS.most],
  )
  return new Set(later.map(({ id }) => id))
}
