import { createPostgresBackend, DelayedError, Queue, runMigrations, Worker, type Job } from 'bullmq'
import { Redis } from 'ioredis'
import { Client, Pool } from 'pg'
import { troubleOf } from '../entities/databaseTrouble.ts'
import { PatientClient, watchConnections } from '../entities/watchConnections.ts'
import { snooze, type Outcome } from './outcome.ts'
import { assertIds, JOB_NAMES, jobId, type JobName, type Payloads } from './payloads.ts'

export { JOB_NAMES, type JobName, type Payloads } from './payloads.ts'

export type Handler<Name extends JobName> = (payload: Payloads[Name], signal: AbortSignal) => Promise<Outcome>
export type Handlers = { [Name in JobName]: Handler<Name> }

/**
 * Jobs of a kind that one worker process does at once. Commits use the database's cores; the rest share one event loop. Turns of sending
 * mostly wait for the mail server, and hold no connection meanwhile (turnSessions.ts); feeds wait for the servers of others, of which one that is
 * silent must not keep the rest waiting.
 */
export const CONCURRENCY: Record<JobName, number> = { stage: 2, commit: 2, deliver: 16, feeds: 24, webhooks: 4, sweep: 1 }

export type QueueSettings = {
  /** The queue lives here unless Redis is given. */
  databaseUrl: string
  redisUrl: string | null
  /** Told of what goes wrong with the queue itself; the truth is in PostgreSQL, so nothing of it is lost. */
  onError: (error: Error) => void
}

/** What the rest of Muster sees of the queue: somebody to be woken up. */
export type Queues = {
  /**
   * Wakes a worker for a piece of work; while it waits, it is woken once. A queue that is out of reach is no error: what is not
   * woken now is found by the sweep. Throws a TypeError for a payload that is more than ids.
   */
  wake<Name extends JobName>(name: Name, payload: Payloads[Name]): Promise<void>
  /** Has `sweep` done again and again. Harmless to repeat. */
  keepSweeping(everyMilliseconds: number): Promise<void>
  /** Starts doing jobs. */
  work(handlers: Handlers, onFailure: (name: JobName, error: Error) => void): Promise<Workers>
  /** Jobs waiting or being done, by kind. */
  counts(): Promise<Record<JobName, number>>
  close(): Promise<void>
}
export type Workers = { close(): Promise<void> }

const SCHEMA = 'bullmq'
const PREFIX = 'muster'
/** A job that failed is tried again with growing pauses; after that the sweep decides. Nothing is kept: ids must come free again. */
const JOB_OPTIONS = { attempts: 5, backoff: { type: 'exponential', delay: 1_000 }, removeOnComplete: true, removeOnFail: true } as const

/** The longest that a worker waits to be woken, in seconds: as a connection is cut, the word that a job is there may be lost with it. */
const LONGEST_WAIT = 2

/**
 * A job whose worker has died is found out soon enough that it is done again within a minute; until then its id is taken. A worker that
 * lost its connection asks again after a second: unasked, BullMQ would let a quarter of a minute go by. It is not run before it is ready:
 * one that could not begin would ask again and again without a pause, and nothing else in its process would have a turn.
 */
const WORKER_OPTIONS = { lockDuration: 20_000, stalledInterval: 10_000, runRetryDelay: 1_000, drainDelay: LONGEST_WAIT, autorun: false } as const

class JobWorker extends Worker {
  /** After an error BullMQ waits for as long as it may, which on PostgreSQL is an hour: what was not announced, or comes due, is not to wait for that. */
  override get maximumBlockTimeout(): number {
    return LONGEST_WAIT
  }
}

/** Brings the queue's own tables to this version; harmless to repeat. */
export async function migrateQueues(databaseUrl: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await runMigrations(client, SCHEMA)
  } finally {
    await client.end()
  }
}

/** Redis may throw away what it likes under any policy but one (faults.md 15). */
export class RedisUnfit extends Error {
  readonly code = 'redis.evicts'
  constructor(policy: string) {
    super(`Redis has maxmemory-policy ${policy}: it may throw jobs away. Set "maxmemory-policy noeviction" in its configuration, or leave REDIS_URL out to keep the queue in PostgreSQL.`)
    this.name = 'RedisUnfit'
  }
}

/** Refuses a Redis that may evict jobs. Throws RedisUnfit, or what the connection says. */
export async function checkRedis(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1, lazyConnect: true, retryStrategy: () => null })
  try {
    await redis.connect()
    const info = await redis.info('memory')
    const policy = /maxmemory_policy:(\S+)/.exec(info)?.[1]
    if (policy !== undefined && policy !== 'noeviction') throw new RedisUnfit(policy)
  } finally {
    redis.disconnect()
  }
}

/** Opens the queue, in Redis where one is named, else in PostgreSQL. Connects as it is used; what goes wrong is told to `onError`. */
export function openQueues(settings: QueueSettings): Queues {
  const open = settings.redisUrl === null ? onPostgres(settings.databaseUrl, settings.onError) : onRedis(settings.redisUrl)
  const queues = new Map<JobName, Queue>()
  const queue = (name: JobName): Queue => {
    let found = queues.get(name)
    if (!found) {
      const made = open.queue(name)
      made.on('error', settings.onError)
      queues.set(name, made)
      // One that could not begin says so for good, however well the server is by then: the next who asks gets another.
      made.waitUntilReady().catch(() => {
        queues.delete(name)
        return made.close().catch(() => undefined)
      })
      found = made
    }
    return found
  }
  const answered = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (!open.reachable()) throw new QueueSilent()
    const { promise: silence, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new QueueSilent()), PATIENCE_MS)
    const answer = ask()
    // Too late an answer is none, and neither is an error that comes too late.
    answer.catch(() => undefined)
    return Promise.race([answer, silence]).finally(() => clearTimeout(timer))
  }
  return {
    async wake(name, payload) {
      assertIds(payload)
      try {
        await answered(() => queue(name).add(name, payload, { ...JOB_OPTIONS, jobId: jobId(name, payload) }))
      } catch (error) {
        settings.onError(error as Error)
      }
    },
    async keepSweeping(everyMilliseconds) {
      // Asked first: written anew beside a tick that is being taken, the two may wait for each other in a circle.
      const kept = await answered(() => queue('sweep').getJobScheduler('sweep'))
      if (kept?.every === everyMilliseconds && (kept.next ?? 0) > Date.now() - 2 * everyMilliseconds) return
      const opts = { attempts: 1, removeOnComplete: true, removeOnFail: true }
      const write = () => answered(() => queue('sweep').upsertJobScheduler('sweep', { every: everyMilliseconds }, { name: 'sweep', data: {}, opts }))
      await write().catch((error: { code?: string }) => (error.code === DEADLOCK ? write() : Promise.reject(error as Error)))
    },
    async work(handlers, onFailure) {
      const underWay = new Set<Promise<unknown>>()
      const workers = JOB_NAMES.map((name) => {
        const worker = open.worker(name, (job, token, signal) => {
          const work = doJob(handlers, name, job, token, signal, onFailure)
          underWay.add(work)
          const forget = (): void => void underWay.delete(work)
          work.then(forget, forget)
          return work
        })
        worker.on('error', settings.onError)
        worker.on('failed', (_job, error) => onFailure(name, error))
        return worker
      })
      try {
        await Promise.all(workers.map((worker) => worker.waitUntilReady()))
      } catch (error) {
        void Promise.allSettled(workers.map((worker) => worker.close(true)))
        throw error
      }
      for (const worker of workers) worker.run().catch(settings.onError)
      return {
        async close() {
          const closed = Promise.all(workers.map((worker) => worker.close()))
          closed.catch(() => undefined)
          while (underWay.size > 0) await Promise.allSettled(underWay)
          // What is left to do is to say so to the queue, and one that is out of reach would keep the process from its end.
          const { promise: silence, resolve } = Promise.withResolvers<void>()
          const timer = setTimeout(resolve, CLOSING_PATIENCE_MS)
          await Promise.race([closed, silence]).finally(() => clearTimeout(timer))
          // Whoever still waits for a job is made to stop: on a connection that has ended it would ask again and again without a pause.
          await Promise.race([Promise.allSettled(workers.map((worker) => worker.close(true))), closed, new Promise((stopped) => setTimeout(stopped, PATIENCE_MS).unref())])
        },
      }
    },
    async counts() {
      const counts = await answered(() => Promise.all(JOB_NAMES.map(async (name): Promise<[JobName, number]> => [name, await queue(name).getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized')])))
      return Object.fromEntries(counts) as Record<JobName, number>
    },
    async close() {
      const closed = Promise.all([...queues.values()].map((opened) => opened.close()))
      // One that never came to be connected waits for that, and is told so by its connection's end only.
      if (open.reachable()) await closed
      await open.close()
      await closed.catch(() => undefined)
    },
  }
}

/** SQLSTATE deadlock_detected. */
const DEADLOCK = '40P01'

/** A queue that does not answer is out of reach; whoever asks has other things to do. In milliseconds. */
const PATIENCE_MS = 3_000

/** As above, for a queue that is told of the end of its workers. */
const CLOSING_PATIENCE_MS = 10_000

class QueueSilent extends Error {
  constructor() {
    super('the queue does not answer')
    this.name = 'QueueSilent'
  }
}

/** How long a job waits whose database has no room on its disk, in milliseconds: to try again and again would fill again what was just made free. */
const NO_ROOM_MS = 15_000

async function doJob(handlers: Handlers, name: JobName, job: Job, token: string | undefined, signal: AbortSignal | undefined, onFailure: (name: JobName, error: Error) => void): Promise<string> {
  const handler = handlers[name] as Handler<JobName>
  const outcome = await handler(job.data as Payloads[JobName], signal ?? new AbortController().signal).catch((error: Error) => {
    // The next tick of the sweep comes by itself.
    if (name === 'sweep' || troubleOf(error) !== 'full') throw error
    onFailure(name, error)
    return snooze(NO_ROOM_MS)
  })
  if (outcome.kind !== 'snooze') return outcome.kind === 'cancel' ? `cancelled: ${outcome.reason}` : 'done'
  await job.moveToDelayed(Date.now() + outcome.milliseconds, token)
  throw new DelayedError()
}

type Processor = (job: Job, token?: string, signal?: AbortSignal) => Promise<string>
type Backend = {
  queue(name: JobName): Queue
  worker(name: JobName, processor: Processor): Worker
  /** False where it is known that nobody would answer. */
  reachable(): boolean
  close(): Promise<void>
}

/** Connections of a process's queue: one for each kind to listen on, and a few for all of them to ask. */
const CONNECTIONS = JOB_NAMES.length + 3

/** All kinds share one pool, so that many processes fit on one server; the hot path has its own. */
function onPostgres(databaseUrl: string, onError: (error: Error) => void): Backend {
  const pool = new Pool({ connectionString: databaseUrl, max: CONNECTIONS, application_name: 'muster queue', options: `-c search_path=${SCHEMA}`, Client: PatientClient })
  watchConnections(pool, databaseUrl)
  pool.on('connect', (client) => client.on('error', () => undefined))
  /** Each queue would hear the pool's errors for good. They are told once: a connection that breaks is replaced; unheard, its error would end the process. */
  const unheard = <T>(made: T): T => {
    pool.removeAllListeners('error').on('error', onError)
    return made
  }
  return {
    queue: (name) => unheard(new Queue(name, { connection: pool, prefix: PREFIX }, createPostgresBackend as never)),
    worker: (name, processor) => unheard(new JobWorker(name, processor, { ...WORKER_OPTIONS, connection: pool, prefix: PREFIX, concurrency: CONCURRENCY[name] }, createPostgresBackend as never)),
    reachable: () => true,
    close: () => pool.end(),
  }
}

/** A connection that owes an answer for longer, in milliseconds, is half open, and made anew. Workers are let wait on purpose, for LONGEST_WAIT. */
const REDIS_SILENCE = { socketTimeout: 5_000, keepAlive: 10_000 } as const

function onRedis(redisUrl: string): Backend {
  // Null: a worker waits for a Redis that is away instead of giving up.
  const waiting = new Redis(redisUrl, { maxRetriesPerRequest: null, ...REDIS_SILENCE })
  const asking = new Redis(redisUrl, { maxRetriesPerRequest: 3, ...REDIS_SILENCE })
  const connections = new Set([waiting, asking])
  for (const redis of connections) redis.on('error', () => undefined)
  // Each worker makes itself another one to wait on. One that is just reconnecting when its worker is closed would stay.
  const duplicate = waiting.duplicate.bind(waiting)
  waiting.duplicate = (...overrides) => {
    const made = duplicate(...overrides)
    connections.add(made)
    // Between two attempts to connect ioredis has nothing to end and tells nobody that it did, for which a worker that is closed waits for good.
    const disconnect = made.disconnect.bind(made)
    made.disconnect = (reconnect) => {
      if (made.status === 'reconnecting' && !reconnect) made.connect().catch(() => undefined)
      disconnect(reconnect)
    }
    return made
  }
  return {
    queue: (name) => new Queue(name, { connection: asking, prefix: PREFIX }),
    worker: (name, processor) => new JobWorker(name, processor, { ...WORKER_OPTIONS, connection: waiting, prefix: PREFIX, concurrency: CONCURRENCY[name] }),
    reachable: () => ['wait', 'connecting', 'connect', 'ready'].includes(asking.status),
    close() {
      for (const redis of connections) redis.disconnect()
      return Promise.resolve()
    },
  }
}
