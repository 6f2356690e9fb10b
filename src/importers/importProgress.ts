import type { Transaction } from '../entities/database.ts'

/** How far a running import is. Counted from rows and chunks; nothing is kept beside them. */
export type ImportProgress = {
  /** checking: its rows are read and checked, how many there are is not known yet. planning: all are there. */
  step: 'waiting' | 'checking' | 'planning' | 'committing'
  /** Milliseconds since it began. */
  elapsedMs: number
  /** Rows checked, or committed while committing. */
  rows: number
  /** All rows of the plan; null before there is one. */
  of: number | null
  /** Rows a second; null where there is nothing to measure yet. */
  rate: number | null
  /** Milliseconds left at that rate; null where it cannot be told. */
  remainingMs: number | null
}

type Measured = {
  state: string
  staged: boolean
  rowsStaged: number
  elapsedMs: number
  /** Rows between the first and the last of the chunks done, of all, and of those done after the first. */
  done: number
  all: number
  sinceFirst: number
  sinceFirstMs: number | null
}

/** The progress of an import that is received, staging or committing (spec E2), by the database's clock; null for any other. */
export async function readProgress(tx: Transaction, importId: string): Promise<ImportProgress | null> {
  const [found] = await tx.query<Measured>(
    `with chunks as (
       select last_row - first_row + 1 as rows, done_at, done_at > min(done_at) over () as later from import_chunks where import_id = $1
     )
     select i.state, i.staged_at is not null as staged, i.rows_staged as "rowsStaged",
       (extract(epoch from now() - coalesce(i.started_at, i.created_at)) * 1000)::float8 as "elapsedMs",
       (select coalesce(sum(rows) filter (where done_at is not null), 0) from chunks)::int as done,
       (select coalesce(sum(rows), 0) from chunks)::int as all,
       (select coalesce(sum(rows) filter (where later), 0) from chunks)::int as "sinceFirst",
       (select extract(epoch from now() - min(done_at)) * 1000 from chunks)::float8 as "sinceFirstMs"
     from imports i where i.id = $1 and i.state in ('received', 'staging', 'committing')`,
    [importId],
  )
  return found ? progressOf(found) : null
}

/** Chunks that are done side by side end at nearly the same moment: a rate between the two would be a fancy. */
const LEAST_MEASURED_MS = 1_000

function progressOf({ state, staged, rowsStaged, elapsedMs, done, all, sinceFirst, sinceFirstMs }: Measured): ImportProgress {
  if (state === 'committing') {
    // Row numbers have gaps; the chunks' share of all rows has not.
    const share = (numbers: number): number => (all === 0 ? 0 : (numbers / all) * rowsStaged)
    const rows = Math.round(share(done))
    // The first chunk has no beginning that is kept: the rate is that of the others, once there was time to measure it.
    const rate = sinceFirstMs !== null && sinceFirstMs >= LEAST_MEASURED_MS ? perSecond(share(sinceFirst), sinceFirstMs) : null
    return { step: 'committing', elapsedMs, rows, of: rowsStaged, rate, remainingMs: rate === null ? null : ((rowsStaged - rows) / rate) * 1000 }
  }
  if (state === 'received') return { step: 'waiting', elapsedMs, rows: 0, of: null, rate: null, remainingMs: null }
  return { step: staged ? 'planning' : 'checking', elapsedMs, rows: rowsStaged, of: staged ? rowsStaged : null, rate: staged ? null : perSecond(rowsStaged, elapsedMs), remainingMs: null }
}

const perSecond = (rows: number, ms: number | null): number | null => (rows > 0 && ms !== null && ms > 0 ? (rows / ms) * 1000 : null)
