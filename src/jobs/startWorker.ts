import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { HashCost } from '../accounts/passwords.ts'
import { openBackground } from '../deliveries/background.ts'
import { Mailer } from '../deliveries/mailer.ts'
import type { Database } from '../entities/database.ts'
import type { SealKeys } from '../organizations/seal.ts'
import { loadTemplates } from '../templates/render.ts'
import { commitChunk } from './commitChunk.ts'
import { deliverer } from './deliver.ts'
import type { Failpoint } from './failpoint.ts'
import { feedAlertMails } from './feedAlertMail.ts'
import { noRoomTeller } from './noRoom.ts'
import { operatorSummaryMail } from './operatorSummary.ts'
import { done, snooze } from './outcome.ts'
import type { Queues } from './queues.ts'
import { workerName } from './seenWorkers.ts'
import { runFeed, type FeedParts } from './runFeed.ts'
import { sendWebhooks } from './sendWebhooks.ts'
import { stagesAlone } from './stageAlone.ts'
import { stageImport } from './stageImport.ts'
import { sweepOnce } from './sweep.ts'

export type WorkerParts = {
  database: Database
  queues: Queues
  /** The mail server: smtp://user:password@host:port */
  smtpUrl: string
  /** Base of links in mails to people, without a slash at its end. */
  publicUrl: string
  /** Base of links in mails to operators; default: `publicUrl`. */
  consoleUrl?: string
  /** What hashing a password costs; default: HASH_COST. */
  hashCost?: HashCost
  /** What secrets of feeds are sealed with: MUSTER_SECRET, and what it was before. */
  secrets: SealKeys
  log: Logger
  failpoint: Failpoint
  /** How long a feed's server may take; default: connectServer's. */
  feedDeadlines?: NonNullable<FeedParts['deadlines']>
  /** Seconds for which the worker may be silent before its deliveries are given to others; default 60. */
  leaseSeconds?: number
}

/** How often a worker says that it is there. */
const SIGN_MS = 5_000
/**
 * A job that waits is not woken by what comes due meanwhile: somebody may wait for a new password. So it waits for a moment only. With
 * nothing to come soon it is done: the sweep wakes one as soon as something is due. While the mail server is away it waits longer, as nothing can leave.
 */
const LONGEST_WAIT_MS = { paced: 500, outage: 15_000 }
const SOON_MS = 2_000
/** What a worker that ends gives its mails under way; past it the leases settle them. */
const CLOSING_MS = 20_000

export type RunningWorker = {
  /** Takes no more jobs, sees those under way to their end, and goes. */
  close(): Promise<void>
}

/** Starts a worker: everything that Muster does by itself is done in here, by any number of them on any machines (spec E6). */
export async function startWorker(parts: WorkerParts): Promise<RunningWorker> {
  const { database, queues, log, failpoint } = parts
  const name = workerName(randomBytes(3).toString('hex'))
  const mailer = new Mailer({ url: parts.smtpUrl })
  const background = openBackground()
  const ending = new AbortController()
  const deliver = deliverer({
    database,
    mailer,
    templates: await loadTemplates(),
    publicUrl: parts.publicUrl,
    operatorSummary: operatorSummaryMail(database, parts.consoleUrl ?? parts.publicUrl),
    feedAlerts: feedAlertMails(database, parts.consoleUrl ?? parts.publicUrl),
    worker: name,
    log,
    failpoint,
    background,
    ...(parts.hashCost === undefined ? {} : { hashCost: parts.hashCost }),
    ...(parts.leaseSeconds === undefined ? {} : { leaseSeconds: parts.leaseSeconds }),
  })
  const either = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, ending.signal])
  const sign = (): Promise<void> =>
    database
      .fleet((tx) => tx.run('insert into workers (name) values ($1) on conflict (name) do update set seen_at = now()', [name]))
      .then(() => undefined, (error: unknown) => log.warn({ error: String(error) }, 'the worker could not say that it is there'))
  await sign()
  const signs = setInterval(() => void sign(), SIGN_MS)
  const importing = { database, queues, failpoint, worker: name }
  const feeding: FeedParts = { database, queues, failpoint, log, keys: parts.secrets, ...(parts.feedDeadlines === undefined ? {} : { deadlines: parts.feedDeadlines }) }
  const alone = stagesAlone(database)
  const tellNoRoom = noRoomTeller(database, log)
  const workers = await queues.work(
    {
      stage: (payload, signal) => alone(payload, () => stageImport(importing, payload, either(signal))),
      commit: (payload) => commitChunk(importing, payload),
      async deliver({ organizationId }, signal) {
        const { nextInMs, outage, ...counts } = await deliver(organizationId, either(signal))
        if (Object.values(counts).some((count) => count > 0)) log.info({ organizationId, ...counts }, 'delivered')
        if (nextInMs === null || ending.signal.aborted) return done
        if (outage) return snooze(Math.min(nextInMs, LONGEST_WAIT_MS.outage))
        return nextInMs > SOON_MS ? done : snooze(Math.min(nextInMs, LONGEST_WAIT_MS.paced))
      },
      feeds: (payload, signal) => runFeed(feeding, payload, either(signal)),
      webhooks: (payload, signal) => sendWebhooks({ database, keys: parts.secrets, log, failpoint }, payload, either(signal)),
      async sweep() {
        await sweepOnce({ database, queues, log })
        return done
      },
    },
    (job, error) => {
      log.error({ job, error: error.message }, 'a job failed and is tried again')
      tellNoRoom(error)
    },
  )
  log.info({ worker: name }, 'worker ready')
  const end = async (): Promise<void> => {
    clearInterval(signs)
    ending.abort(new Error('the worker is ending'))
    // Before what is under way has ended: nobody is to count on it from now on.
    await database.fleet((tx) => tx.run('delete from workers where name = $1', [name])).catch(() => undefined)
    await Promise.race([workers.close().then(() => background.settled()), new Promise((resolve) => setTimeout(resolve, CLOSING_MS).unref())])
    await mailer.close()
  }
  let ended: Promise<void> | undefined
  return { close: () => (ended ??= end()) }
}
