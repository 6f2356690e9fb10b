import type { Transaction } from '../entities/database.ts'
import { clearAlert } from '../feeds/alerts.ts'
import { filesToSettle, markSettled, type FileToSettle } from '../feeds/files.ts'
import { readFeed, type StoredFeed } from '../feeds/feeds.ts'
import { FeedTakenAway, giveFeedBack, postponeFeed, takeFeed } from '../feeds/lease.ts'
import { isOfTheLine, problem, type Fault } from '../feeds/problems.ts'
import { dueRuns, endRun, type OpenRun } from '../feeds/runs.ts'
import { openSecret } from '../feeds/secrets.ts'
import { connectServer, type RemoteFolder } from '../feeds/server.ts'
import { ReceivingGone } from '../importers/receive.ts'
import { faultOf, feedWork, loggedFault, type FeedParts, type FeedWork } from './feedWork.ts'
import { alertFault, lookForFiles, lookInVain } from './lookForFiles.ts'
import { cancel, done, type Outcome } from './outcome.ts'
import { asksServer, settleFiles, settleInVain, settleStates } from './settleFiles.ts'

export type { FeedParts } from './feedWork.ts'

/** Turns that a worker takes at a feed in a row, where there is always more to do; then others have theirs. */
const MOST_TURNS = 5
/** Seconds until a turn that failed, for no fault of the feed or its server, is taken again. */
const RETRY_SECONDS = 30

/**
 * Does what there is to do for a feed: files whose import has moved on are answered for on the server and archived; the runs that are due look
 * for files there, and take them. One worker at a time, under a lease; what is to be done later is left for the sweep to find.
 * Harmless to run twice, and to be killed at any line.
 */
export async function runFeed(parts: FeedParts, { organizationId, feedId }: { organizationId: string; feedId: string }, signal: AbortSignal): Promise<Outcome> {
  const tenant = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => parts.database.tenant(organizationId, work)
  for (let turns = 0; turns < MOST_TURNS && !signal.aborted; turns++) {
    const token = await tenant((tx) => takeFeed(tx, feedId))
    if (token === null) return done
    try {
      const feed = await tenant((tx) => readFeed(tx, feedId))
      if (feed) await takeTurn(feedWork(parts, feed, token), signal)
    } catch (error) {
      if (error instanceof FeedTakenAway) return cancel('taken away')
      // Told to end, or too late with a file: whoever comes next begins at once.
      if (!signal.aborted && !(error instanceof ReceivingGone)) {
        parts.log.warn({ organizationId, feedId, error: (error as Error).message }, 'a turn at a feed failed, and is taken again')
        await tenant((tx) => postponeFeed(tx, feedId, token, RETRY_SECONDS)).catch(() => undefined)
        await tenant((tx) => giveFeedBack(tx, feedId, token)).catch(() => undefined)
        throw error
      }
    }
    if (!(await tenant((tx) => giveFeedBack(tx, feedId, token)))) return done
  }
  return done
}

/** What there is to do for a feed now. */
type Due = { runs: OpenRun[]; files: FileToSettle[] }

async function takeTurn(work: FeedWork, signal: AbortSignal): Promise<void> {
  const due = await work.tenant(async (tx): Promise<Due> => {
    await settleStates(tx, work.feed)
    const runs = await dueRuns(tx, work.feed.id, work.feed.definition.contract)
    const files = await filesToSettle(tx, work.feed.id)
    for (const file of files) if (!asksServer(work.feed, file)) await markSettled(tx, file.id, file.state, false)
    return { runs: await runsThatMay(tx, work.feed, runs), files: files.filter((file) => asksServer(work.feed, file)) }
  })
  if (due.runs.length === 0 && due.files.length === 0) return
  let folder: RemoteFolder
  try {
    folder = await connect(work, signal)
  } catch (error) {
    return inVain(work, due, error)
  }
  try {
    await work.renew()
    await work.tenant((tx) => clearLetIn(tx, work.feed))
    await settleFiles(work, folder, due.files)
    if (due.runs.length > 0) await lookForFiles(work, folder, due.runs)
  } catch (error) {
    const fault = faultOf(error)
    if (fault === null || !isOfTheLine(fault.code)) throw error
    // The connection went while answers were written; what was not looked for is looked for again.
    await inVain(work, due, error)
  } finally {
    await folder.close().catch(() => undefined)
  }
}

/** A feed that was paused, or whose server is not trusted any more, looks for nothing but what an operator tells it to. */
async function runsThatMay(tx: Transaction, feed: StoredFeed, runs: readonly OpenRun[]): Promise<OpenRun[]> {
  const may = (run: OpenRun): boolean => feed.hostKey !== null && (feed.state === 'active' || run.kind === 'manual')
  for (const run of runs) if (!may(run)) await endRun(tx, run.id, 'failed', problem(feed.hostKey === null ? 'feed.not_trusted' : 'feed.paused'))
  return runs.filter(may)
}

/** A connection to the feed's server. Throws ServerFault, FeedSecretMissing, SealBroken. */
async function connect(work: FeedWork, signal: AbortSignal): Promise<RemoteFolder> {
  const { feed, parts } = work
  const { host, port, username, login } = feed.definition.server
  if (feed.hostKey === null) throw Object.assign(new Error('The key of the server is not pinned.'), { code: 'feed.not_trusted', hint: './muster feed trust shows and pins it.' })
  const opened = await work.tenant(async (tx) =>
    'password' in login
      ? { password: await openSecret(tx, parts.keys, login.password) }
      : { key: await openSecret(tx, parts.keys, login.key), passphrase: login.passphrase === null ? null : await openSecret(tx, parts.keys, login.passphrase) },
  )
  return connectServer({ host, port, username, login: opened, hostKey: feed.hostKey, signal, ...parts.deadlines })
}

/** The server could not be asked, or broke off. */
async function inVain(work: FeedWork, due: Due, error: unknown): Promise<void> {
  const fault: Fault | null = faultOf(error)
  if (fault === null) throw error
  work.log.warn({ ...loggedFault(fault, error), runs: due.runs.map(({ id }) => id), files: due.files.map(({ id }) => id) }, 'the server of a feed could not be asked')
  await work.tenant(async (tx) => {
    await lookInVain(tx, work, due.runs, fault)
    // Also where nothing was to be looked for, but only to be answered.
    await alertFault(tx, work.feed, fault, { file: null, stays: false, loggedIn: false })
    await settleInVain(tx, work.feed, due.files, fault, false)
  })
}

/** The server is the right one, and lets us in. Whether it can be reached for as long as a look takes is told by that. */
async function clearLetIn(tx: Transaction, feed: StoredFeed): Promise<void> {
  for (const kind of ['hostKey', 'login'] as const) await clearAlert(tx, feed, kind)
}
