import type { Transaction } from '../entities/database.ts'
import { pathIn } from '../feeds/acknowledge.ts'
import { clearAlert, raiseAlert } from '../feeds/alerts.ts'
import { openDecryption, type Decryption } from '../feeds/decrypt.ts'
import { fetchFile } from '../feeds/fetchFile.ts'
import { intakeOf, markImporting, setAside, takenAs, type SeenFile, type TakenBefore } from '../feeds/files.ts'
import { assertFeedOurs } from '../feeds/lease.ts'
import { problem, problemOf, type FeedProblem } from '../feeds/problems.ts'
import { markerOf } from '../feeds/readiness.ts'
import { countTaken, type OpenRun } from '../feeds/runs.ts'
import { openSecret } from '../feeds/secrets.ts'
import { ServerFault, type RemoteFolder } from '../feeds/server.ts'
import { beginReceiving, DEFAULT_OPTIONS, dropReceiving, finishReceiving, receiveParts } from '../importers/receive.ts'
import { LIMITS } from '../importers/source.ts'
import { FileRefused } from '../rules/refusal.ts'
import { supersedeImport } from './decideImport.ts'
import type { FeedWork } from './feedWork.ts'

export type Taking = {
  file: SeenFile
  /** The file that is newer and was taken before, for which this one is held; null: this one is the newest. */
  outOfOrder: { newer: string } | null
  /** Files that this one says better. */
  supersede: readonly SeenFile[]
  /** Files held so far that this one says better. */
  held: TakenBefore['held']
  runs: readonly OpenRun[]
}

/** What the sender did wrong, and has to do anew. Of the rest it may be our keys. */
const OF_THE_SENDER = ['pgp.not_encrypted', 'pgp.not_signed', 'pgp.bad_signature', 'pgp.corrupt']

/**
 * Fetches a file from a feed's server, piece by piece into the database, and hands it to the importers in one transaction, once all of it is
 * there and is what it should be. Whatever happens before leaves nothing that counts (faults.md 1).
 * @returns what became of it
 * @throws ServerFault where it did not come through, and is to be looked for again; FeedTakenAway
 */
export async function takeFile(work: FeedWork, folder: RemoteFolder, taking: Taking): Promise<'taken' | 'repeated' | 'refused'> {
  const { feed, parts } = work
  const { file } = taking
  const path = pathIn(feed.definition.folder, file.name)
  const refuse = async (about: FeedProblem): Promise<'refused'> => {
    await work.tenant((tx) => refuseFile(tx, work, taking, about))
    work.log.warn({ fileId: file.id, code: about.code }, 'a file was refused')
    return 'refused'
  }
  if (file.bytes > LIMITS.fileBytes) return refuse(problem('file.too_large', { what: 'number of bytes', size: file.bytes, limit: LIMITS.fileBytes }))
  const begun = performance.now()
  const { decrypt, importId } = await work.tenant(async (tx) => ({
    decrypt: await decryptionOf(tx, work),
    importId: await beginReceiving(tx, { name: file.name, feedId: feed.id }, {
      ...DEFAULT_OPTIONS,
      delivery: { kind: feed.definition.delivery },
      mapping: feed.definition.mapping,
      feed: await intakeOf(tx, feed, file.id, taking.outOfOrder),
    }),
  }))
  const received = receiveParts(parts.database, feed.organizationId, importId)
  try {
    const { readiness } = feed.definition
    const fetched = await fetchFile(folder, path, file, {
      ...(decrypt && { decrypt }),
      control: readiness.kind === 'marker' && readiness.hash ? markerOf(path, readiness.suffix) : null,
      // One that no key opens is read to its end without a piece for the sink.
      moved: () => work.renew(),
      async sink(part) {
        await received.write(part)
        await work.renew()
      },
    })
    const whole = await received.end()
    await parts.failpoint('feed.fetched')
    const outcome = await work.tenant((tx) => settleTaken(tx, work, taking, { importId, hash: fetched.hash, whole }))
    await parts.failpoint('feed.taken')
    work.log.info({ fileId: file.id, importId, bytes: file.bytes, milliseconds: Math.round(performance.now() - begun) }, outcome === 'taken' ? 'a file was taken' : 'a file holds the bytes of an earlier one')
    if (outcome === 'taken') await parts.queues.wake('stage', { organizationId: feed.organizationId, importId })
    return outcome
  } catch (error) {
    await work.tenant((tx) => dropReceiving(tx, importId)).catch(() => undefined)
    if (error instanceof FileRefused) return refuse({ code: error.code, detail: error.detail })
    if (error instanceof ServerFault && OF_THE_SENDER.includes(error.code)) return refuse(problemOf(error))
    throw error
  }
}

async function decryptionOf(tx: Transaction, { parts, feed }: FeedWork): Promise<Decryption | null> {
  const { pgp } = feed.definition
  if (pgp === null) return null
  const open = (name: string | null): Promise<string | null> => (name === null ? Promise.resolve(null) : openSecret(tx, parts.keys, name))
  return openDecryption({ privateKey: await open(pgp.privateKey), passphrase: await open(pgp.passphrase), senderKeys: pgp.senderKeys })
}

/** All right: the one transaction that makes it count. Throws FeedTakenAway, ReceivingGone. */
async function settleTaken(tx: Transaction, work: FeedWork, taking: Taking, taken: { importId: string; hash: string; whole: { bytes: number; hash: string } }): Promise<'taken' | 'repeated'> {
  const { feed, token } = work
  const { file, runs } = taking
  const runId = runs.at(-1)?.id ?? null
  const earlier = await takenAs(tx, feed.id, taken.hash)
  const over: string[] = []
  // Imports before the feed: who decides about one, and then wakes its feed, takes them in this order, too. One that was approved a moment
  // ago goes on, and this one takes its turn behind it.
  for (const { id, importId } of earlier === null ? taking.held : []) if (importId === null || (await supersedeImport(tx, importId))) over.push(id)
  await assertFeedOurs(tx, feed.id, token)
  const newer = problem('feed.newer_file', { newer: file.name })
  await setAside(tx, [...over, ...taking.supersede.map(({ id }) => id)], 'superseded', { runId, problem: newer })
  await clearArrived(tx, work)
  if (earlier !== null) {
    await dropReceiving(tx, taken.importId)
    await setAside(tx, [file.id], 'repeated', { runId, problem: problem('feed.repeated', { earlier }), hash: taken.hash })
    await raiseAlert(tx, feed, 'repeated', { subject: file.name, detail: { file: file.name, earlier } })
    return 'repeated'
  }
  await finishReceiving(tx, taken.importId, taken.whole)
  await markImporting(tx, file.id, { runId, importId: taken.importId, hash: taken.hash })
  await countTaken(tx, runs.map(({ id }) => id), 1)
  return 'taken'
}

async function refuseFile(tx: Transaction, { feed, token }: FeedWork, { file, runs }: Taking, about: FeedProblem): Promise<void> {
  await assertFeedOurs(tx, feed.id, token)
  await setAside(tx, [file.id], 'refused', { runId: runs.at(-1)?.id ?? null, problem: about })
  await clearArrived(tx, { feed })
  await raiseAlert(tx, feed, 'failed', { subject: file.name, detail: { file: file.name, code: about.code, ...about.detail } })
}

/** A file has come: nothing is late or missing any more. */
async function clearArrived(tx: Transaction, { feed }: Pick<FeedWork, 'feed'>): Promise<void> {
  await clearAlert(tx, feed, 'late')
  await clearAlert(tx, feed, 'missing')
}
