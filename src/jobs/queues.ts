import { createPostgresBackend, DelayedError, Queue, runMigrations, Worker, type Job } from 'bullmq'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import type { Outcome } from './outcome.ts'

/** The kinds of job and what each carries: ids only, never a secret or anything personal (faults.md I5). */
export type Payloads = {
  stage: { organizationId: string; importId: string }
  commit: { organizationId: string; importId: string; chunk: number }
  deliver: { organizationId: string }
  sweep: Record<string, never>
}
export type JobName = keyof Payloads
export const JOB_NAMES = ['stage', 'commit', 'deliver', 'sweep'] as const satisfies JobName[]

export type Handler<Name extends JobName> = (payload: Payloads[Name], signal: AbortSignal) => Promise<Outcome>
export type Handlers = { [Name in JobName]: Handler<Name> }

/** Jobs of a kind that one worker process does at once. Commits use the database's cores; the rest share one event loop. */
export const CONCURRENCY: Record<JobName, number> = { stage: 2, commit: 2, deliver: 4, sweep: 1 }

export type QueueSettings = {
  /** The queue lives here unless Redis is given. */
  databaseUrl: string
  redisUrl: string | null
  /** Told of what goes wrong with the queue itself; the truth is in PostgreSQL, so nothing of it is lost. */
  onError: (error: Error) => void
}

/** What the rest of Muster sees of the queue: somebody to be woken up. */
export type Queues = {
  /** Wakes a worker for a piece of work. Never throws: what is not woken now is found by the sweep. */
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

/** The same job is not queued twice while it waits. Ids hold no colon and are never digits alone. */
function jobId<Name extends JobName>(name: Name, payload: Payloads[Name]): string {
  return [name, ...Object.values(payload)].join('-')
}

export function openQueues(settings: QueueSettings): Queues {
  const open = settings.redisUrl === null ? onPostgres(settings.databaseUrl) : onRedis(settings.redisUrl)
  const queues = new Map<JobName, Queue>()
  const queue = (name: JobName): Queue => {
    let found = queues.get(name)
    if (!found) {
      found = open.queue(name)
      found.on('error', settings.onError)
      queues.set(name, found)
    }
    return found
  }
  return {
    async wake(name, payload) {
      try {
        await queue(name).add(name, payload, { ...JOB_OPTIONS, jobId: jobId(name, payload) })
      } catch (error) {
        settings.onError(error as Error)
      }
    },
    async keepSweeping(everyMilliseconds) {
      await queue('sweep').upsertJobScheduler('sweep', { every: everyMilliseconds }, { name: 'sweep', data: {}, opts: { attempts: 1, removeOnComplete: true, removeOnFail: true } })
    },
    async work(handlers, onFailure) {
      const workers = JOB_NAMES.map((name) => {
        const worker = open.worker(name, (job, token, signal) => doJob(handlers, name, job, token, signal))
        worker.on('error', settings.onError)
        worker.on('failed', (_job, error) => onFailure(name, error))
        return worker
      })
      await Promise.all(workers.map((worker) => worker.waitUntilReady()))
      return {
        async close() {
          await Promise.all(workers.map((worker) => worker.close()))
        },
      }
    },
    async counts() {
      const counts = await Promise.all(JOB_NAMES.map(async (name): Promise<[JobName, number]> => [name, await queue(name).count()]))
      return Object.fromEntries(counts) as Record<JobName, number>
    },
    async close() {
      await Promise.all([...queues.values()].map((opened) => opened.close()))
      await open.close()
    },
  }
}

async function doJob(handlers: Handlers, name: JobName, job: Job, token: string | undefined, signal: AbortSignal | undefined): Promise<string> {
  const handler = handlers[name] as Handler<JobName>
  const outcome = await handler(job.data as Payloads[JobName], signal ?? new AbortController().signal)
  if (outcome.kind !== 'snooze') return outcome.kind === 'cancel' ? `cancelled: ${outcome.reason}` : 'done'
  await job.moveToDelayed(Date.now() + outcome.milliseconds, token)
  throw new DelayedError()
}

type Processor = (job: Job, token?: string, signal?: AbortSignal) => Promise<string>
type Backend = { queue(name: JobName): Queue; worker(name: JobName, processor: Processor): Worker; close(): Promise<void> }

/** The four kinds share one schema and keep few connections: the hot path has its own pool. */
function onPostgres(databaseUrl: string): Backend {
  const connection = { connectionString: databaseUrl, schema: SCHEMA, max: 3, application_name: 'muster queue' }
  return {
    queue: (name) => new Queue(name, { connection, prefix: PREFIX } as never, createPostgresBackend as never),
    worker: (name, processor) => new Worker(name, processor, { connection, prefix: PREFIX, concurrency: CONCURRENCY[name] } as never, createPostgresBackend as never),
    close: () => Promise.resolve(),
  }
}

function onRedis(redisUrl: string): Backend {
  // Null: a worker waits for a Redis that is away instead of giving up.
  const waiting = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const asking = new Redis(redisUrl, { maxRetriesPerRequest: 3 })
  for (const redis of [waiting, asking]) redis.on('error', () => undefined)
  return {
    queue: (name) => new Queue(name, { connection: asking, prefix: PREFIX }),
    worker: (name, processor) => new Worker(name, processor, { connection: waiting, prefix: PREFIX, concurrency: CONCURRENCY[name] }),
    close() {
      waiting.disconnect()
      asking.disconnect()
      return Promise.resolve()
    },
  }
}
