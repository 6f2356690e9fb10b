import type { Transaction } from '../entities/database.ts'
import type { FeedRunKind, FeedRunState } from '../entities/states.ts'
import type { FeedDefinition } from './declaration.ts'
import { hasCome } from './lease.ts'
import type { FeedProblem } from './problems.ts'

export type OpenRun = {
  id: string
  kind: FeedRunKind
  slotAt: Date | null
  looks: number
  filesTaken: number
  problem: FeedProblem | null
  /** Seconds since it was made. */
  age: number
  /** Seconds until its file is late, and until it is missing: past, where negative. Null for one without a slot, which waits for nothing. */
  lateIn: number | null
  missingIn: number | null
}

/** How often a server is looked at while a file is waited for, in seconds. */
export const POLL_SECONDS = 60
/** How often one that cannot be reached, or does not let us in, is tried: this often at first, and then this often. In seconds. */
export const RETRY_SECONDS = { first: 60, later: 300 }
/** Looks in vain after which it is tried less often, and people are told that the server cannot be reached. */
export const RETRIES_AT_FIRST = 3
/** How long a run without a slot, or one whose time has passed already, waits for a file to be whole, besides what its readiness takes; in seconds. */
export const PATIENCE_SECONDS = 120

/**
 * The runs of a feed that are to look at the server now, the oldest first. A run that waits for an import has no time for its next look, and
 * is one of them as soon as that has ended, or is held; one that waits for a decision when that was made.
 */
export function dueRuns(tx: Transaction, feedId: string, contract: Pick<FeedDefinition['contract'], 'lateAfterMinutes' | 'missingAfterMinutes'>): Promise<OpenRun[]> {
  const until = (parameter: string): string => `extract(epoch from slot_at + make_interval(mins => ${parameter}) - now())::float8`
  return tx.query<OpenRun>(
    `select id, kind, slot_at as "slotAt", looks, files_taken as "filesTaken", problem, extract(epoch from now() - created_at)::float8 as age, ${until('$2')} as "lateIn", ${until('$3')} as "missingIn"
     from feed_runs r where feed_id = $1 and state in ('due', 'looking')
       and (${hasCome('next_look_at')} or next_look_at is null and not exists (select from feed_files f where f.feed_id = r.feed_id and (f.state = 'importing' or f.state = 'held' and r.problem->>'code' = 'feed.waits_for_decision')))
     order by id`,
    [feedId, contract.lateAfterMinutes, contract.missingAfterMinutes],
  )
}

/** A worker goes to look. */
export async function beginLook(tx: Transaction, runs: readonly OpenRun[]): Promise<void> {
  await tx.run(`update feed_runs set state = 'looking', looks = looks + 1, started_at = coalesce(started_at, now()) where id = any ($1::bigint[]) and state in ('due', 'looking')`, [runs.map(({ id }) => id)])
}

/** A run took so many files more. */
export async function countTaken(tx: Transaction, runIds: readonly string[], files: number): Promise<void> {
  await tx.run('update feed_runs set files_taken = files_taken + $2 where id = any ($1::bigint[])', [[...runIds], files])
}

/**
 * The run looks again. False where it was over already.
 * @param inSeconds null: once the import under way has ended
 * @param problem why it has nothing, or not all, so far
 */
export async function waitAgain(tx: Transaction, runId: string, inSeconds: number | null, problem: FeedProblem | null): Promise<boolean> {
  const waits = await tx.run(`update feed_runs set state = 'due', next_look_at = now() + make_interval(secs => $2), problem = $3 where id = $1 and state in ('due', 'looking')`, [
    runId, inSeconds, problem === null ? null : JSON.stringify(problem),
  ])
  return waits > 0
}

/** The run is over. False where it was already. */
export async function endRun(tx: Transaction, runId: string, state: Extract<FeedRunState, 'done' | 'missing' | 'failed'>, problem: FeedProblem | null): Promise<boolean> {
  const ended = await tx.run(
    `update feed_runs set state = $2, problem = $3, next_look_at = null, started_at = coalesce(started_at, now()), finished_at = now() where id = $1 and state in ('due', 'looking')`,
    [runId, state, problem === null ? null : JSON.stringify(problem)],
  )
  return ended > 0
}

/** What becomes of a run behind a look. */
export type Verdict =
  | { kind: 'end'; state: 'done' | 'missing' | 'failed' }
  /** `inSeconds` null: once the import under way has ended. `late`: people are to be told that the file is. */
  | { kind: 'wait'; inSeconds: number | null; late: boolean }

/** What a look came to. */
export type Look = {
  /** Files were taken, now or in an earlier look of this run, or were there and are none that changes anything. */
  arrived: boolean
  /** Files are there and whole, and wait for an import to end. */
  blocked: boolean
  /** Files are there that are not whole yet; seconds until the first of them may be, null where nobody knows. */
  growing: { inSeconds: number | null } | null
  /** The server could not be looked at, or a file did not come through; `times` in a row. */
  failed: { times: number } | null
  /** Seconds that the feed's readiness takes by itself. */
  readinessSeconds: number
}

/**
 * Says what becomes of a run, by the contract (spec A7). Pure.
 * A run that begins after its time (a slot that passed while nobody was there, an operator) still gives a file the time to show that it is
 * whole, and a server the time to answer.
 */
export function judgeRun(run: Pick<OpenRun, 'age' | 'lateIn' | 'missingIn'>, look: Look, contract: Pick<FeedDefinition['contract'], 'missingAfterMinutes'>): Verdict {
  const { arrived, growing, failed } = look
  if (look.blocked) return { kind: 'wait', inSeconds: null, late: false }
  if (arrived && growing === null && failed === null) return { kind: 'end', state: 'done' }
  const patience = PATIENCE_SECONDS + look.readinessSeconds - run.age
  // An operator is told at once that the server cannot be reached, and tries again.
  const comes = growing !== null ? patience : failed !== null && run.missingIn !== null ? (contract.missingAfterMinutes ?? 0) * 60 - run.age : 0
  const left = Math.max(run.missingIn ?? 0, comes)
  if (left <= 0) return { kind: 'end', state: failed !== null ? 'failed' : arrived || run.missingIn === null ? 'done' : 'missing' }
  const late = run.lateIn !== null && run.lateIn <= 0 && !arrived && failed === null && !(growing !== null && patience > 0)
  const pause = failed !== null ? (failed.times <= RETRIES_AT_FIRST ? RETRY_SECONDS.first : RETRY_SECONDS.later) : Math.min(POLL_SECONDS, growing?.inSeconds ?? POLL_SECONDS)
  // Not past a moment at which something is to be said.
  const inSeconds = Math.min(pause, left, run.lateIn !== null && run.lateIn > 0 ? run.lateIn : Infinity)
  return { kind: 'wait', inSeconds: Math.max(1, Math.ceil(inSeconds)), late }
}
