import type { Database, Transaction } from '../entities/database.ts'
import { troubleOf } from '../entities/databaseTrouble.ts'
import type { StoredFeed } from '../feeds/feeds.ts'
import { FeedTakenAway, renewFeed } from '../feeds/lease.ts'
import type { Fault } from '../feeds/problems.ts'
import { ServerFault } from '../feeds/server.ts'
import { ReceivingGone } from '../importers/receive.ts'
import type { SealKeys } from '../organizations/seal.ts'
import type { Failpoint } from './failpoint.ts'
import type { Queues } from './queues.ts'

export type FeedLog = { info(detail: object, message: string): void; warn(detail: object, message: string): void }

export type FeedParts = {
  database: Database
  queues: Pick<Queues, 'wake'>
  /** What secrets of feeds are sealed with. */
  keys: SealKeys
  log: FeedLog
  failpoint: Failpoint
  /** Milliseconds until a server has let us in, and without a byte that end a connection. Default: those of connectServer. */
  deadlines?: { connectMs?: number; silenceMs?: number }
}

/** One worker's turn at a feed, which is its own as long as it goes on giving signs. */
export type FeedWork = {
  parts: FeedParts
  feed: StoredFeed
  token: string
  tenant<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Says that something moves, at most every few seconds. Throws FeedTakenAway. */
  renew(): Promise<void>
  /** Lines that say which feed they are about; ids and counts, no names of files, which may be people's. */
  log: FeedLog
}

/** What went wrong within Muster, and nobody thought of. */
const FAULT_OF_OURS = 'feed.fault'

/** What a log says of a fault: its code. The server's words name files and users; those of an error within Muster are needed to find it. */
export const loggedFault = ({ code }: Fault, error: unknown): object => (code === FAULT_OF_OURS ? { code, error: (error as Error).message } : { code })

/** SQLSTATE deadlock_detected. */
const DEADLOCK = '40P01'

/** How often a sign is given while bytes move, in milliseconds. */
const RENEW_MS = 10_000

/** Makes the turn of a worker that has taken a feed. */
export function feedWork(parts: FeedParts, feed: StoredFeed, token: string): FeedWork {
  const tenant: FeedWork['tenant'] = (work) => parts.database.tenant(feed.organizationId, work)
  const about = { organizationId: feed.organizationId, feedId: feed.id, feed: feed.name }
  let renewedAt = performance.now()
  return {
    parts,
    feed,
    token,
    tenant,
    async renew() {
      if (performance.now() - renewedAt < RENEW_MS) return
      renewedAt = performance.now()
      await tenant((tx) => renewFeed(tx, feed.id, token))
    },
    log: {
      info: (detail, message) => parts.log.info({ ...about, ...detail }, message),
      warn: (detail, message) => parts.log.warn({ ...about, ...detail }, message),
    },
  }
}

/**
 * What an error is told as, also one that nobody thought of; null for one that is not the feed's: it was given to another worker, this one is
 * told to end, or the database is away, full, or had others in the way.
 */
export function faultOf(error: unknown): Fault | null {
  const { code, hint } = error as { code?: unknown; hint?: unknown }
  if (error instanceof FeedTakenAway || error instanceof ReceivingGone || troubleOf(error) !== null || code === DEADLOCK) return null
  if (error instanceof ServerFault) return error.code === 'feed.stopped' ? null : error
  // A secret that is not there, or was sealed by another MUSTER_SECRET.
  if (typeof code === 'string' && /^(?:feed|seal)\./.test(code)) return { code, message: (error as Error).message, hint: typeof hint === 'string' ? hint : '', detail: {} }
  return { code: FAULT_OF_OURS, message: 'Something went wrong within Muster.', hint: 'Look at the log of the worker.', detail: {} }
}
