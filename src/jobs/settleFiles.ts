import type { Transaction } from '../entities/database.ts'
import { FEED_FILE_LIFECYCLE } from '../entities/states.ts'
import { archiveNames, pathIn } from '../feeds/acknowledge.ts'
import { clearAlert, raiseAlert } from '../feeds/alerts.ts'
import { assertArchiveApart } from '../feeds/archiveFolder.ts'
import { markAcknowledged, markSettled, settleLater, takeOverImports, type FileToSettle, type MovedFile } from '../feeds/files.ts'
import { explainProblem, isOfTheLine, type Fault } from '../feeds/problems.ts'
import { markerOf } from '../feeds/readiness.ts'
import type { RemoteFolder } from '../feeds/server.ts'
import { answerFile } from './answerFile.ts'
import { faultOf, loggedFault, type FeedWork } from './feedWork.ts'

/** Files of a feed take over the state of their imports; people are told of it, and of its end. Gives whether any moved. */
export async function settleStates(tx: Transaction, feed: FeedWork['feed']): Promise<boolean> {
  const moved = await takeOverImports(tx, feed.id)
  for (const file of moved) await tellMoved(tx, feed, file)
  return moved.length > 0
}

async function tellMoved(tx: Transaction, feed: FeedWork['feed'], file: MovedFile): Promise<void> {
  switch (file.state) {
    case 'imported':
      // What was wrong with earlier files is past: a later one says it better.
      for (const kind of ['held', 'failed', 'outOfOrder', 'repeated'] as const) await clearAlert(tx, feed, kind)
      return
    case 'refused':
      await clearDecided(tx, feed, file)
      if (file.problem) await raiseAlert(tx, feed, 'failed', { subject: file.name, detail: { file: file.name, ...explainProblem(file.problem), ...file.problem.detail }, importId: file.importId })
      return
    case 'importing':
    case 'rejected':
    case 'superseded':
      await clearDecided(tx, feed, file)
      return
    default:
  }
}

/** No decision is waited for any more. */
async function clearDecided(tx: Transaction, feed: FeedWork['feed'], file: MovedFile): Promise<void> {
  await clearAlert(tx, feed, 'held')
  await clearAlert(tx, feed, 'outOfOrder', file.name)
}

/**
 * Answers on the server for files whose answer is due, and moves those that are dealt with into the archive. What the server does not take
 * is tried again after pauses that grow; the file is not taken in again for that (faults.md 34).
 * @throws ServerFault where the connection itself is gone, or is to end; FeedTakenAway
 */
export async function settleFiles(work: FeedWork, folder: RemoteFolder, files: readonly FileToSettle[]): Promise<void> {
  for (const file of files) {
    try {
      await settleFile(work, folder, file)
    } catch (error) {
      const fault = faultOf(error)
      if (fault === null || isOfTheLine(fault.code)) throw error
      work.log.warn({ fileId: file.id, ...loggedFault(fault, error), attempts: file.attempts + 1 }, 'an answer did not come to lie on the server')
      await work.tenant((tx) => settleInVain(tx, work.feed, [file], fault, true))
    }
  }
}

/**
 * Answers that do not come to lie on the server are not tried at once again.
 * @param refused the server was there and did not take them: people are told at once; else after a few attempts, as it may be back by then
 */
export async function settleInVain(tx: Transaction, feed: FeedWork['feed'], files: readonly FileToSettle[], fault: Fault, refused: boolean): Promise<void> {
  const left = await settleLater(tx, files.map(({ id }) => id))
  for (const file of files.filter(({ id }) => left.has(id))) {
    if (!refused && file.attempts < ATTEMPTS_UNTOLD) continue
    await raiseAlert(tx, feed, 'acknowledgement', { subject: file.name, detail: { ...fault.detail, code: fault.code, message: fault.message, hint: fault.hint, file: file.name }, importId: file.importId })
  }
}

/** Attempts to answer to a server that is away that nobody is told of. */
const ATTEMPTS_UNTOLD = 2

/** Whether a file's state asks for something on the server: an answer, or to be moved. */
export function asksServer({ definition }: Pick<FeedWork['feed'], 'definition'>, file: Pick<FileToSettle, 'state' | 'acknowledged' | 'archivedAt'>): boolean {
  return (definition.acknowledge && file.acknowledged !== file.state) || (definition.archive !== null && file.archivedAt === null && isTerminal(file))
}

const isTerminal = ({ state }: Pick<FileToSettle, 'state'>): boolean => (FEED_FILE_LIFECYCLE.terminal as readonly string[]).includes(state)

async function settleFile(work: FeedWork, folder: RemoteFolder, file: FileToSettle): Promise<void> {
  const { feed } = work
  const { definition } = feed
  if (definition.acknowledge && file.acknowledged !== file.state) {
    await answerFile(work, folder, file)
    await work.tenant((tx) => markAcknowledged(tx, file.id, file.state))
  }
  const archives = isTerminal(file) && definition.archive !== null && file.archivedAt === null
  if (archives) await archiveFile(work, folder, file, definition.archive!)
  await work.tenant(async (tx) => {
    await markSettled(tx, file.id, file.state, archives)
    await clearAlert(tx, feed, 'acknowledgement', file.name)
  })
}

/** Moves a file with its marker, unless another one lies there by now under its name. */
async function archiveFile(work: FeedWork, folder: RemoteFolder, file: FileToSettle, archive: string): Promise<void> {
  const { readiness, folder: from } = work.feed.definition
  const path = pathIn(from, file.name)
  const there = await folder.stat(path)
  await work.renew()
  if (there !== null && there.bytes === file.bytes && there.modifiedAt.getTime() === file.modifiedAt.getTime()) {
    await folder.makeFolder(archive)
    await assertArchiveApart(folder, work.feed.definition)
    const name = await freeName(folder, archive, archiveNames(file.name, await work.parts.database.now()))
    await folder.rename(path, pathIn(archive, name))
    if (readiness.kind === 'marker') await moveMarker(folder, markerOf(path, readiness.suffix), pathIn(archive, markerOf(name, readiness.suffix)))
  } else if (there === null && readiness.kind === 'marker') {
    // A worker that died between the two left the marker behind.
    await moveMarker(folder, markerOf(path, readiness.suffix), pathIn(archive, markerOf(file.name, readiness.suffix)))
  }
}

/** The first of the names that no file in the folder has; the last one where all are taken. */
async function freeName(folder: RemoteFolder, archive: string, names: readonly string[]): Promise<string> {
  for (const name of names) if ((await folder.stat(pathIn(archive, name))) === null) return name
  return names.at(-1)!
}

async function moveMarker(folder: RemoteFolder, from: string, to: string): Promise<void> {
  if ((await folder.stat(from)) === null || (await folder.stat(to)) !== null) return
  await folder.rename(from, to)
}
