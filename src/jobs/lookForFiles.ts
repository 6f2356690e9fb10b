import type { Transaction } from '../entities/database.ts'
import { isAnswer } from '../feeds/acknowledge.ts'
import { clearAlert, raiseAlert } from '../feeds/alerts.ts'
import { chooseFile } from '../feeds/chooseFiles.ts'
import { readTaken, seeFiles, type SeenFile } from '../feeds/files.ts'
import { alertOf, problem, problemOf, timesInARow, type Fault, type FeedProblem } from '../feeds/problems.ts'
import { fileKey, matchesPattern, readyFiles } from '../feeds/readiness.ts'
import { beginLook, endRun, judgeRun, RETRIES_AT_FIRST, waitAgain, type Look, type OpenRun } from '../feeds/runs.ts'
import type { RemoteFile, RemoteFolder } from '../feeds/server.ts'
import { faultOf, loggedFault, type FeedWork } from './feedWork.ts'
import { takeFile } from './takeFile.ts'

/**
 * Looks at a feed's server for the runs that are due: takes what is there and whole, says what is late or missing by the contract, and when to
 * look again.
 * @throws what is not the feed's fault (faultOf)
 */
export async function lookForFiles(work: FeedWork, folder: RemoteFolder, runs: readonly OpenRun[]): Promise<void> {
  const found: Found = { arrived: false, blocked: null, waiting: [], fault: null, file: null }
  await work.tenant((tx) => beginLook(tx, runs))
  try {
    await look(work, folder, runs, found)
  } catch (error) {
    const fault = faultOf(error)
    if (fault === null) throw error
    work.log.warn({ ...loggedFault(fault, error), runs: runs.map(({ id }) => id) }, 'a look at the server failed')
    found.fault = fault
  }
  await work.tenant((tx) => settleRuns(tx, work.feed, runs, found))
}

type Found = {
  /** A file was there that is dealt with now, whatever became of it. */
  arrived: boolean
  /** What files that are whole wait for. */
  blocked: 'import' | 'decision' | null
  /** Files that are not whole yet. */
  waiting: SeenFile[]
  fault: Fault | null
  /** The file that was being taken when it went wrong. */
  file: string | null
}

async function look(work: FeedWork, folder: RemoteFolder, runs: readonly OpenRun[], found: Found): Promise<void> {
  const { feed } = work
  const { definition } = feed
  const listed = await folder.list(definition.folder)
  await work.renew()
  const { readiness } = definition
  const isMarker = (name: string): boolean => readiness.kind === 'marker' && name.endsWith(readiness.suffix)
  const candidates = listed.filter(({ name }) => matchesPattern(name, definition.pattern) && !isAnswer(name) && !isMarker(name))
  const { seen, now } = await work.tenant(async (tx) => {
    // It can be looked into again.
    await clearAlert(tx, feed, 'failed', '')
    const [clock] = await tx.query<{ now: Date }>('select now() as now')
    return { seen: await seeFiles(tx, feed.id, candidates), now: clock!.now }
  })
  const fresh = new Map(seen.filter(({ state }) => state === 'found').map((file) => [fileKey(file), file]))
  const { ready, waiting } = readyFiles(listed, readiness, fresh, now)
  const among = (files: readonly RemoteFile[]): SeenFile[] => files.flatMap((file) => fresh.get(fileKey(file)) ?? [])
  found.waiting = among(waiting)
  let whole = among(ready)
  for (;;) {
    const before = await work.tenant((tx) => readTaken(tx, feed.id, definition.order))
    const { take, outOfOrder, supersede, supersedesHeld, blocked } = chooseFile(definition, whole, { last: before.last, importing: before.importing, held: before.held.length > 0 })
    found.blocked = blocked
    if (!take) return
    found.file = take.name
    const outcome = await takeFile(work, folder, { file: take, outOfOrder, supersede, held: supersedesHeld ? before.held : [], runs })
    found.file = null
    found.arrived = true
    // Of a file that was refused, nothing says that it is better than an older one.
    const gone = new Set([take, ...(outcome === 'refused' ? [] : supersede)])
    whole = whole.filter((file) => !gone.has(file))
  }
}

/** Why a run has nothing, or not all; null where it has. */
function unfinished({ blocked, waiting }: Found, arrived: boolean): FeedProblem | null {
  if (blocked !== null) return problem(`feed.waits_for_${blocked}`)
  if (waiting.length > 0) return problem('feed.not_whole', { file: waiting[0]!.name })
  return arrived ? null : problem('feed.no_file')
}

/** Says of each run what the look came to: it ends, or looks again. */
async function settleRuns(tx: Transaction, feed: FeedWork['feed'], runs: readonly OpenRun[], found: Found): Promise<void> {
  const { contract, readiness } = feed.definition
  const { fault, waiting } = found
  const readinessSeconds = readiness.kind === 'stable' ? readiness.seconds : 0
  const growing = waiting.length === 0 ? null : { inSeconds: readiness.kind === 'stable' ? await secondsUntilWhole(tx, waiting, readinessSeconds) : null }
  for (const run of runs) {
    const times = fault === null ? 0 : timesInARow(run.problem) + 1
    const look: Look = { arrived: found.arrived || run.filesTaken > 0, blocked: found.blocked !== null && fault === null, growing, failed: fault === null ? null : { times }, readinessSeconds }
    const verdict = judgeRun(run, look, contract)
    const slot = run.slotAt?.toISOString() ?? ''
    const about = { slot, ...(waiting.length === 0 ? {} : { seen: waiting.length }) }
    const why = fault === null ? unfinished(found, look.arrived) : problemOf(fault, times)
    if (verdict.kind === 'wait') {
      await waitAgain(tx, run.id, verdict.inSeconds, why)
      if (verdict.late) await raiseAlert(tx, feed, 'late', { subject: slot, detail: { ...about, minutes: contract.lateAfterMinutes ?? 0 } })
    } else {
      await endRun(tx, run.id, verdict.state, why)
      if (verdict.state === 'missing') await raiseAlert(tx, feed, 'missing', { subject: slot, detail: { ...about, minutes: contract.missingAfterMinutes ?? 0 } })
    }
    if (fault !== null) await alertFault(tx, feed, fault, found.file, verdict.kind === 'end' || times >= RETRIES_AT_FIRST)
  }
}

/** Seconds until the first of the files may be whole; at least 1. */
async function secondsUntilWhole(tx: Transaction, waiting: readonly SeenFile[], readinessSeconds: number): Promise<number> {
  const [clock] = await tx.query<{ now: Date }>('select now() as now')
  return Math.min(...waiting.map(({ seenAt }) => Math.max(1, readinessSeconds - (clock!.now.getTime() - seenAt.getTime()) / 1_000)))
}

/** People are told of a fault: of what only they can mend at once, of the rest when it stays. `file`: the one that was being taken. */
export async function alertFault(tx: Transaction, feed: FeedWork['feed'], fault: Fault, file: string | null, stays: boolean): Promise<void> {
  const { kind, atOnce } = alertOf(fault.code)
  if (!atOnce && !stays) return
  const { host, port } = feed.definition.server
  const { code, message, hint } = fault
  await raiseAlert(tx, feed, kind, { subject: kind === 'failed' ? (file ?? '') : '', detail: { host, port, ...fault.detail, code, message, hint, ...(file === null ? {} : { file }) } })
}

/** The server could not be looked at: what that means for the runs that are due. */
export async function lookInVain(tx: Transaction, feed: FeedWork['feed'], runs: readonly OpenRun[], fault: Fault): Promise<void> {
  await beginLook(tx, runs)
  await settleRuns(tx, feed, runs, { arrived: false, blocked: null, waiting: [], fault, file: null })
}
