import { PassThrough } from 'node:stream'
import { acknowledgementName, acknowledgementText, errorsName, pathIn, type Acknowledgement } from '../feeds/acknowledge.ts'
import { mendedAmong, noteReturned, type FileToSettle } from '../feeds/files.ts'
import { explainProblem } from '../feeds/problems.ts'
import type { RemoteFolder } from '../feeds/server.ts'
import { hasPlan, readImport, reportImport, type ImportReport, type StoredImport } from '../importers/importReport.ts'
import { writeErrors } from '../importers/writeErrors.ts'
import { explainHold } from '../rules/catalog.ts'
import { countImport } from './finishImport.ts'
import type { FeedWork } from './feedWork.ts'

/**
 * Answers on the server what became of a file (spec A5): FILE.ack.json and, where rows were rejected, FILE.errors.csv beside it, each under a
 * temporary name and renamed. The rows come first, so that who has read the one finds the other.
 */
export async function answerFile(work: FeedWork, folder: RemoteFolder, file: FileToSettle): Promise<void> {
  const path = pathIn(work.feed.definition.folder, file.name)
  const told = file.importId === null ? null : await readTold(work, file.importId)
  const rejected = told === null ? 0 : told.report.totals.rejected + told.report.totals.held
  let errors: string | null = null
  if (told !== null && rejected > 0 && told.stored.source !== null) {
    errors = errorsName(file.name, told.stored.source.format)
    const errorsPath = errorsName(path, told.stored.source.format)
    if (!(await liesMended(work, folder, file, errorsPath))) await writeRejected(work, folder, errorsPath, told.stored)
  }
  const acknowledgement: Acknowledgement = {
    feed: work.feed.name,
    file: { name: file.name, bytes: file.bytes, sha256: file.hash },
    state: file.state as Acknowledgement['state'],
    import: told && { id: told.report.id, state: told.report.state, totals: told.report.totals, deactivated: told.report.deactivated, users: told.report.users, deliveries: told.report.deliveries, issueCount: told.report.issueCount },
    held: (told?.stored.hold ?? []).map(explainHold),
    failure: file.problem && explainProblem(file.problem),
    errors,
    at: (await work.parts.database.now()).toISOString(),
  }
  await folder.write(acknowledgementName(path), [acknowledgementText(acknowledgement)])
}

type ToldImport = { stored: StoredImport; report: ImportReport }

/** What an import says of itself, held or ended. */
function readTold(work: FeedWork, importId: string): Promise<ToldImport | null> {
  return work.tenant(async (tx) => {
    const stored = await readImport(tx, importId)
    if (!stored) return null
    const counted = stored.result === null && (await hasPlan(tx, importId)) ? await countImport(tx, importId, stored.options) : null
    return { stored, report: await reportImport(tx, stored, counted, 0) }
  })
}

/** Whether the sender has put the rows back already, mended, while the file was still held: what is yet to be taken in is not written over. */
async function liesMended(work: FeedWork, folder: RemoteFolder, { name }: FileToSettle, path: string): Promise<boolean> {
  const returned = work.feed.definition.mode === 'full' ? null : await folder.stat(path)
  return returned !== null && (await work.tenant((tx) => mendedAmong(tx, work.feed.id, [{ file: name, returned }]))).length > 0
}

/** The rejected rows go through as they are made, however many. */
async function writeRejected(work: FeedWork, folder: RemoteFolder, path: string, stored: StoredImport): Promise<void> {
  const out = new PassThrough()
  async function* moving(): AsyncGenerator<Buffer> {
    for await (const part of out as AsyncIterable<Buffer>) {
      await work.renew()
      yield part
    }
  }
  let fault: unknown
  /** Neither is to wait for the other; what the one makes of the other's end is not the reason. */
  const end = (error: unknown): void => {
    fault ??= error
    out.destroy()
  }
  // Else it would be one that came from the sender.
  const noted = (written: { bytes: number; modifiedAt: Date }): Promise<void> => work.tenant((tx) => noteReturned(tx, stored.id, written))
  await Promise.all([folder.write(path, moving(), noted).catch(end), writeErrors(work.parts.database, work.feed.organizationId, stored, out).catch(end)])
  if (fault !== undefined) throw fault
}
