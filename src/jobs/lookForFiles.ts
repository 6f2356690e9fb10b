import type { Transaction } from '../entities/database.ts'
import { answerTo } from '../feeds/acknowledge.ts'
import { clearAlert, raiseAlert } from '../feeds/alerts.ts'
import { assertArchiveApart } from '../feeds/archiveFolder.ts'
import { chooseFile } from '../feeds/chooseFiles.ts'
import { mendedAmong, readTaken, seeFiles, type SeenFile } from '../feeds/files.ts'
import { assertFeedOurs } from '../feeds/lease.ts'
import { alertOf, isOfTheLine, problem, problemOf, timesInARow, type Fault, type FeedProblem } from '../feeds/problems.ts'
import { fileKey, matchesPattern, olderMarker, readyFiles } from '../feeds/readiness.ts'
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
  const found: Found = { ...NOTHING }
  await work.tenant((tx) => beginLook(tx, runs))
  try {
    await look(work, folder, runs, found)
  } catch (error) {
    const fault = faultOf(error)
    if (fault === null) throw error
    work.log.warn({ ...loggedFault(fault, error), runs: runs.map(({ id }) => id) }, 'a look at the server failed')
    found.fault = fault
  }
  await work.parts.failpoint('feed.looked')
  await work.tenant(async (tx) => {
    await settleRuns(tx, work, runs, found)
    // The line has held to the end: of one that breaks in each transfer nobody is told that it is well again.
    if (found.fault === null || !isOfTheLine(found.fault.code)) await clearAlert(tx, work.feed, 'unreachable')
  })
}

type Found = {
  /** A file was there that is dealt with now, whatever became of it. */
  arrived: boolean
  /** What files that are whole wait for. */
  blocked: 'import' | 'decision' | null
  /** Files that are not whole yet. */
  waiting: SeenFile[]
  /** The marker of the first of them that is there and does not count, as it is older. */
  olderMarker: string | null
  fault: Fault | null
  loggedIn: boolean
  /** The file that was being taken when it went wrong. */
  file: string | null
}

const NOTHING: Found = { arrived: false, blocked: null, waiting: [], olderMarker: null, fault: null, loggedIn: true, file: null }

async function look(work: FeedWork, folder: RemoteFolder, runs: readonly OpenRun[], found: Found): Promise<void> {
  const { feed } = work
  const { definition } = feed
  const listed = await folder.list(definition.folder, () => work.renew())
  await assertArchiveApart(folder, definition)
  await work.renew()
  const { readiness } = definition
  const { sent, returned } = sortOut(listed, definition)
  const { seen, now } = await work.tenant(async (tx) => {
    // It can be looked into again.
    await clearAlert(tx, feed, 'failed', '')
    const [clock] = await tx.query<{ now: Date }>('select now() as now')
    return { seen: await seeFiles(tx, feed.id, [...sent, ...(await mendedAmong(tx, feed.id, returned))]), now: clock!.now }
  })
  const fresh = new Map(seen.filter(({ state }) => state === 'found').map((file) => [fileKey(file), file]))
  const { ready, waiting } = readyFiles(listed, readiness, fresh, now)
  const among = (files: readonly RemoteFile[]): SeenFile[] => files.flatMap((file) => fresh.get(fileKey(file)) ?? [])
  found.waiting = among(waiting)
  found.olderMarker = found.waiting[0] === undefined ? null : olderMarker(found.waiting[0], listed, readiness)
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

/**
 * What the sender has put there, without markers and our answers. `returned`: what lies under the name of rejected rows, which is ours or was
 * mended. A full file says everything, so that some mended rows are none.
 */
function sortOut(listed: readonly RemoteFile[], { pattern, readiness, mode }: FeedWork['feed']['definition']): { sent: RemoteFile[]; returned: { file: string; returned: RemoteFile }[] } {
  const takes = (name: string): boolean => matchesPattern(name, pattern)
  const isMarker = (name: string): boolean => readiness.kind === 'marker' && name.endsWith(readiness.suffix)
  const answers = new Map(listed.map((file) => [file, answerTo(file.name, takes)]))
  return {
    sent: listed.filter((file) => answers.get(file) === null && takes(file.name) && !isMarker(file.name)),
    returned: mode === 'full' ? [] : listed.flatMap((file) => (answers.get(file)?.rows ? { file: answers.get(file)!.file, returned: file } : [])),
  }
}

/** Why a run has nothing, or not all; null where it has. */
function unfinished({ blocked, waiting, olderMarker: marker }: Found, arrived: boolean): FeedProblem | null {
  if (blocked !== null) return problem(`feed.waits_for_${blocked}`)
  const [file] = waiting
  if (file) return marker === null ? problem('feed.not_whole', { file: file.name }) : problem('feed.marker_older', { file: file.name, marker })
  return arrived ? null : problem('feed.no_file')
}

/** Says of each run what the look came to: it ends, or looks again. Throws FeedTakenAway: a worker that was stopped says nothing of what another one has found since. */
async function settleRuns(tx: Transaction, { feed, token }: FeedWork, runs: readonly OpenRun[], found: Found): Promise<void> {
  await assertFeedOurs(tx, feed.id, token)
  const { contract, readiness } = feed.definition
  const { fault, waiting } = found
  const readinessSeconds = readiness.kind === 'stable' ? readiness.seconds : 0
  const growing = waiting.length === 0 ? null : { inSeconds: readiness.kind === 'stable' ? await secondsUntilWhole(tx, waiting, readinessSeconds) : null }
  for (const run of runs) {
    const times = fault === null ? 0 : timesInARow(run.problem) + 1
    const look: Look = { arrived: found.arrived || run.filesTaken > 0, blocked: found.blocked !== null && fault === null, growing, failed: fault === null ? null : { times }, readinessSeconds }
    const verdict = judgeRun(run, look, contract)
    const slot = run.slotAt?.toISOString() ?? ''
    const why = fault === null ? unfinished(found, look.arrived) : problemOf(fault, times)
    const about = { slot, ...(waiting[0] && { file: waiting[0].name }), ...(found.olderMarker !== null && { code: 'feed.marker_older', marker: found.olderMarker }) }
    if (verdict.kind === 'wait') {
      const waits = await waitAgain(tx, run.id, verdict.inSeconds, why)
      if (waits && verdict.late) await raiseAlert(tx, feed, 'late', { subject: slot, detail: { ...about, minutes: contract.lateAfterMinutes ?? 0 } })
    } else {
      const ended = await endRun(tx, run.id, verdict.state, why)
      if (ended && verdict.state === 'missing') await raiseAlert(tx, feed, 'missing', { subject: slot, detail: { ...about, minutes: contract.missingAfterMinutes ?? 0 } })
    }
    if (fault !== null) await alertFault(tx, feed, fault, { file: found.file, loggedIn: found.loggedIn, stays: verdict.kind === 'end' || times >= RETRIES_AT_FIRST })
  }
}

/** Seconds until the first of the files may be whole; at least 1. */
async function secondsUntilWhole(tx: Transaction, waiting: readonly SeenFile[], readinessSeconds: number): Promise<number> {
  const [clock] = await tx.query<{ now: Date }>('select now() as now')
  return Math.min(...waiting.map(({ seenAt }) => Math.max(1, readinessSeconds - (clock!.now.getTime() - seenAt.getTime()) / 1_000)))
}

/** People are told of a fault: of what only they can mend at once, of the rest when it stays. `file`: the one that was being taken. `loggedIn`: whether it arose behind the login. */
export async function alertFault(tx: Transaction, feed: FeedWork['feed'], fault: Fault, { file, stays, loggedIn }: { file: string | null; stays: boolean; loggedIn: boolean }): Promise<void> {
  const { kind, atOnce } = alertOf(fault.code, loggedIn)
  if (!atOnce && !stays) return
  const { host, port } = feed.definition.server
  const { code, message, hint } = fault
  await raiseAlert(tx, feed, kind, { subject: kind === 'failed' ? (file ?? '') : '', detail: { host, port, ...fault.detail, code, message, hint, ...(file === null ? {} : { file }) } })
}

/** The server could not be looked at: what that means for the runs that are due. Throws FeedTakenAway. */
export async function lookInVain(tx: Transaction, work: FeedWork, runs: readonly OpenRun[], fault: Fault): Promise<void> {
  await beginLook(tx, runs)
  await settleRuns(tx, work, runs, { ...NOTHING, fault, loggedIn: false })
}
