import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { homeSecret, openHome } from '../embedded/home.ts'
import { startMailbox } from '../embedded/mailbox.ts'
import { acquireEmbeddedPostgres } from '../embedded/postgres.ts'
import { Database } from '../entities/database.ts'
import { migrate, pendingMigrations } from '../entities/migrate.ts'
import { failpointAt } from '../jobs/failpoint.ts'
import { checkRedis, migrateQueues, openQueues, type Queues } from '../jobs/queues.ts'
import { startScheduler } from '../jobs/startScheduler.ts'
import { startWorker, type RunningWorker } from '../jobs/startWorker.ts'
import type { PortalParts } from '../portal/parts.ts'

/** How long the closing of one part may take, in milliseconds, before the next one is closed all the same. */
const STEP_MS = 25_000

/** The parts that a process works with, opened once and closed in the reverse order. */
export type Installation = {
  config: Config
  databaseUrl: string
  database: Database
  queues: Queues
  log: Logger
  /** Base of links in mails: PUBLIC_URL, or where the portal stands. */
  publicUrl: string
  /** Where operators look. */
  consoleUrl: string
  /** MUSTER_SECRET, or the one of MUSTER_HOME. */
  secret: string
  /** What opens sealed secrets: `secret`, and what it was before, if that is still told. */
  secrets: { secret: string; previous: string | null }
  /** Who works here, for the audit trail and for approvals: MUSTER_OPERATOR, or the user's name on the system. */
  operator: string
  /** Port of the demonstration drop; 0 = any that is free. */
  dropPort: number
  /** Embedded parts are ours to start and stop; otherwise the operator runs them. */
  embedded: boolean
  /** Migrations applied now. */
  migrated: string[]
  /** Starts a worker of this process, with the built-in mailbox where no mail server is named. Addresses where portal or console have moved. */
  startWorker(moved?: { publicUrl?: string; consoleUrl?: string }): Promise<RunningWorker>
  close(): Promise<void>
}

/** The database that DATABASE_URL names is older than this Muster, or empty. */
export class DatabaseBehind extends Error {
  readonly code = 'database.behind'

  constructor(pending: readonly string[]) {
    super(`The database is not at this version (missing: ${pending.join(', ')}). Bring it there once, with everything else of Muster stopped: ./muster migrate`)
    this.name = 'DatabaseBehind'
  }
}

/** Opens the database, embedded or named, brings it to this version where it is ours, and opens the queue. */
export async function openInstallation(config: Config, log: Logger, options: { migrate?: boolean; quiet?: (line: string) => void } = {}): Promise<Installation> {
  const closing: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const step of closing.splice(0).toReversed()) await Promise.race([step(), pause(STEP_MS, undefined, { ref: false })])
  }
  try {
    if (config.redisUrl !== null) await checkRedis(config.redisUrl)
    const embedded = config.databaseUrl === null
    let databaseUrl = config.databaseUrl
    const secret = config.secret ?? homeSecret(openHome(config.home), randomBytes)
    if (databaseUrl === null) {
      const postgres = await acquireEmbeddedPostgres(config.home, { log: options.quiet ?? ((line) => log.info(line)) })
      closing.push(() => postgres.release())
      databaseUrl = postgres.databaseUrl
    }
    const migrated = embedded || options.migrate ? await migrateAll(databaseUrl) : []
    const pending = embedded || options.migrate ? [] : await pendingMigrations(databaseUrl)
    if (pending.length > 0) throw new DatabaseBehind(pending)
    // Turns of sending, staging and committing hold a connection each and need others for moments.
    const database = new Database(databaseUrl, { maxConnections: 20 })
    closing.push(() => database.close())
    const queues = openQueues({ databaseUrl, redisUrl: config.redisUrl, onError: (error) => log.warn({ error: error.message }, 'the queue is out of reach; nothing is lost, the sweep goes on when it is back') })
    closing.push(() => queues.close())
    const publicUrl = config.publicUrl ?? `http://127.0.0.1:${config.portalPort || 3001}`
    const consoleUrl = `http://127.0.0.1:${config.port || 3000}`
    const url = databaseUrl
    return {
      config,
      databaseUrl: url,
      database,
      queues,
      log,
      publicUrl,
      consoleUrl,
      secret,
      secrets: { secret, previous: config.previousSecret },
      operator: config.operator ?? userInfo().username,
      dropPort: config.dropPort,
      embedded,
      migrated,
      async startWorker(moved = {}) {
        let { smtpUrl } = config
        if (smtpUrl === null) {
          const mailbox = await startMailbox(config.home, { port: 0 })
          closing.push(() => mailbox.close())
          smtpUrl = mailbox.url
        }
        // Where nobody else runs a scheduler, what the queue has lost would never be found again.
        if (embedded) {
          const scheduler = await startScheduler(queues, log)
          closing.push(() => scheduler.close())
        }
        const worker = await startWorker({ database, queues, secrets: { secret, previous: config.previousSecret }, smtpUrl, publicUrl, consoleUrl, hashCost: config.hashCost, ...moved, log, failpoint: failpointAt(config.failpoint) })
        closing.push(() => worker.close())
        return worker
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the portal of an installation is made of, on the port that is set. */
export const portalParts = ({ config, database, queues, secret, log }: Installation): PortalParts => ({
  database,
  queues,
  secret,
  hashCost: config.hashCost,
  port: config.portalPort,
  host: config.portalHost,
  trustedProxies: config.trustedProxies,
  publicUrl: config.publicUrl,
  log,
})

/** Brings Muster's tables and the queue's to this version. */
export async function migrateAll(databaseUrl: string): Promise<string[]> {
  const applied = await migrate(databaseUrl)
  await migrateQueues(databaseUrl)
  return applied
}
