/**
 * An organization with a feed on a real SSH server, whose jobs run in the test's own process and without a queue: a file is dropped, a run
 * looks, imports come to their end, and what happened is read from the tables and from the server. Guard with `skipIf(skipWithout('sshd'))`.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import { Database, type Transaction } from '../../src/entities/database.ts'
import type { Acknowledgement } from '../../src/feeds/acknowledge.ts'
import { parseFeed } from '../../src/feeds/declaration.ts'
import { applyFeed, pinHostKey, readFeed, type StoredFeed } from '../../src/feeds/feeds.ts'
import { storeSecret } from '../../src/feeds/secrets.ts'
import { manualRun } from '../../src/feeds/slots.ts'
import { wakeFeed } from '../../src/feeds/wake.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import type { Failpoint } from '../../src/jobs/failpoint.ts'
import type { Outcome } from '../../src/jobs/outcome.ts'
import { runFeed, type FeedParts } from '../../src/jobs/runFeed.ts'
import { stageImport } from '../../src/jobs/stageImport.ts'
import { importing, type DeclarationChanges, type Importing } from './importing.ts'
import { testDatabase, type TestDatabase } from './services.ts'
import { startSshServer, type SshServer } from './sshServer.ts'

export type FeedFileRow = { id: string; name: string; state: string; importId: string | null; problem: { code: string; detail: Record<string, unknown> } | null; acknowledged: string | null; archived: boolean; settles: boolean; attempts: number }
export type FeedRunRow = { id: string; kind: string; state: string; looks: number; filesTaken: number; problem: { code: string; detail: Record<string, unknown> } | null; nextIn: number | null }

export type FeedScene = {
  organizationId: string
  key: string
  people: Importing
  feed: StoredFeed
  server: SshServer
  /** Lines that were logged, each as JSON. */
  log: string[]
  /** Drops a file into the feed's folder; each is a second newer than the one before, unless a time is given. */
  put(name: string, bytes: string | Uint8Array, modifiedAt?: Date): void
  /** Has an operator tell it to run; gives the run's id. Nothing has happened yet. */
  tell(): Promise<string>
  /** Opens a run for a slot that was so many minutes ago. */
  slot(minutesAgo?: number): Promise<string>
  /** The job `feeds`, once. */
  turn(signal?: AbortSignal): Promise<Outcome>
  /** Everything that is woken: the feed, and its imports to their end or until they are held. */
  work(): Promise<void>
  /** `tell` and `work`. */
  run(): Promise<void>
  /** So many seconds pass for everything that is stored of the feed. */
  pass(seconds: number): Promise<void>
  /** Changes its declaration. */
  declare(changes: object): Promise<void>
  files(): Promise<FeedFileRow[]>
  runs(): Promise<FeedRunRow[]>
  /** Kinds of the open alerts, with their subjects. */
  alerts(): Promise<string[]>
  /** How often it was alerted of a kind, open or over. */
  alerted(kind: string): Promise<number>
  /** What lies on the server as the answer for a file. */
  answer(file: string): Acknowledgement
  /** External ids of those who are active, sorted. */
  active(): Promise<string[]>
  imports(): Promise<{ id: string; state: string }[]>
  sql<R extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
  tenant<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  parts: FeedParts
}

export type FeedSceneOptions = {
  /** Over the declaration: a full feed of people*.csv without limits, ready as it lies there, without schedule. */
  feed?: object
  organization?: DeclarationChanges
  /** The port that the feed connects to; default: the server's. */
  port?: number
  deadlines?: { connectMs?: number; silenceMs?: number }
  failpoint?: Failpoint
  /** By name, besides sftp-key, which the server takes. */
  secrets?: Record<string, string>
  /** MUSTER_SECRET, where processes of their own are to open what is sealed here. */
  secret?: string
}

export const AUTHOR = 'olga'
const FREE = { people: null, percent: null }
/** No change is too large. */
export const NO_LIMITS = { creations: FREE, updates: FREE, deactivations: FREE, changedEmails: FREE, reactivations: FREE }

/** A CSV file of these people, by number. */
export const peopleOf = (...numbers: readonly number[]): string => `External ID,First Name,Last Name,Email\n${numbers.map((number) => `E${number},Ana,Nguyen,ana${number}@acme.example\n`).join('')}`
/** Numbers from 1. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** A database and a server for the tests of a file, made before the first and gone behind the last of them. */
export function useFeeds(): { readonly database: Database; readonly databaseUrl: string; readonly server: SshServer; scene(options?: FeedSceneOptions): Promise<FeedScene> } {
  let kept: TestDatabase
  let database: Database
  let server: SshServer
  beforeAll(async () => {
    kept = await testDatabase()
    database = new Database(kept.url)
    server = await startSshServer()
  })
  afterAll(async () => {
    await server.stop()
    await database.close()
    await kept.drop()
  })
  return {
    get database() {
      return database
    },
    get databaseUrl() {
      return kept.url
    },
    get server() {
      return server
    },
    scene: (options = {}) => feedScene(database, server, options),
  }
}

let scenes = 0

/** Makes an organization with a feed whose server is pinned. Each has a folder of its own on the server. */
export async function feedScene(database: Database, server: SshServer, options: FeedSceneOptions = {}): Promise<FeedScene> {
  const name = `nightly-${++scenes}`
  const people = await importing(database, { operators: ['desk@acme.example'], ...options.organization })
  const { organizationId, key } = people
  const tenant: FeedScene['tenant'] = (work) => database.tenant(organizationId, work)
  const secret = options.secret ?? 'feed-scene-secret-0123456789abcdef'
  const declaration = {
    organization: key, name, server: { host: server.host, port: options.port ?? server.port, username: server.username, login: { key: 'sftp-key' } },
    folder: name, pattern: 'people*.csv', schedule: null, readiness: { kind: 'rename' }, mode: 'full', thresholds: NO_LIMITS, delivery: 'none', ...options.feed,
  }
  server.makeFolder(name)
  const feedId = await tenant(async (tx) => {
    for (const [secretName, value] of Object.entries({ 'sftp-key': server.privateKey, ...options.secrets })) await storeSecret(tx, { secret, random: randomBytes }, secretName, value, AUTHOR)
    const { feed } = await applyFeed(tx, parseFeed(declaration), AUTHOR)
    await pinHostKey(tx, feed.id, server.hostKey, AUTHOR)
    return feed.id
  })
  const log: string[] = []
  const line = (detail: object, message: string): void => void log.push(JSON.stringify({ message, ...detail }))
  const jobs: { name: string; payload: Record<string, unknown> }[] = []
  const queues: FeedParts['queues'] = { wake: (name, payload) => Promise.resolve(void jobs.push({ name, payload })) }
  const failpoint = options.failpoint ?? (() => Promise.resolve())
  const parts: FeedParts = { database, queues, keys: { secret, previous: null }, log: { info: line, warn: line }, failpoint, ...(options.deadlines && { deadlines: options.deadlines }) }
  let newest = Math.floor(Date.now() / 1_000) - 3_600
  const signal = new AbortController().signal

  const doJobs = async (): Promise<boolean> => {
    let did = false
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      const importId = String(job.payload['importId'])
      if (job.name === 'stage') await stageImport({ database, queues, failpoint }, { organizationId, importId }, signal)
      if (job.name === 'commit') await commitChunk({ database, queues, failpoint }, { organizationId, importId, chunk: Number(job.payload['chunk']) })
      did ||= job.name === 'stage' || job.name === 'commit'
    }
    return did
  }
  const scene: FeedScene = {
    organizationId, key, people, server, log, tenant, parts,
    feed: (await tenant((tx) => readFeed(tx, feedId)))!,
    put: (file, bytes, modifiedAt) => server.put(`${name}/${file}`, bytes, { modifiedAt: modifiedAt ?? new Date(++newest * 1_000) }),
    tell: () => tenant((tx) => manualRun(tx, feedId, AUTHOR)),
    slot: (minutesAgo = 0) =>
      tenant(async (tx) => {
        const [run] = await tx.query<{ id: string }>(
          `insert into feed_runs (organization_id, feed_id, kind, slot_at, state, next_look_at) values ($1, $2, 'scheduled', now() - make_interval(mins => $3), 'due', now()) returning id`,
          [organizationId, feedId, minutesAgo],
        )
        await wakeFeed(tx, feedId)
        return run!.id
      }),
    turn: (told = signal) => runFeed(parts, { organizationId, feedId }, told),
    async work() {
      for (let again = true; again; ) {
        await scene.turn()
        again = await doJobs()
      }
    },
    async run() {
      await scene.tell()
      await scene.work()
    },
    async pass(seconds) {
      const earlier = (table: string, columns: readonly string[], where: string): Promise<unknown> =>
        scene.sql(`update ${table} set ${columns.map((column) => `${column} = ${column} - make_interval(secs => $2)`).join(', ')} where ${where}`, [feedId, seconds])
      await earlier('feed_runs', ['next_look_at', 'created_at', 'slot_at'], 'feed_id = $1')
      await scene.sql(
        `update feed_alerts set subject = to_char((subject::timestamptz - make_interval(secs => $2)) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') where feed_id = $1 and kind in ('late', 'missing')`,
        [feedId, seconds],
      )
      await earlier('feed_files', ['seen_at', 'settle_at'], 'feed_id = $1')
      await earlier('feeds', ['wake_at', 'lease_until'], 'id = $1')
      await earlier('imports', ['lease_until', 'hold_until'], 'feed_id = $1')
    },
    async declare(changes) {
      await tenant((tx) => applyFeed(tx, parseFeed({ ...declaration, ...changes }), AUTHOR))
      scene.feed = (await tenant((tx) => readFeed(tx, feedId)))!
    },
    files: () =>
      scene.sql<FeedFileRow>(
        `select id, name, state, import_id as "importId", problem, acknowledged, archived_at is not null as archived, settle_at is not null as settles, settle_attempts as attempts from feed_files where feed_id = $1 order by id`,
        [feedId],
      ),
    runs: () =>
      scene.sql<FeedRunRow>(
        `select id, kind, state, looks, files_taken as "filesTaken", problem, extract(epoch from next_look_at - now())::float8 as "nextIn" from feed_runs where feed_id = $1 order by id`,
        [feedId],
      ),
    alerts: async () => (await scene.sql<{ told: string }>(`select rtrim(kind || ' ' || subject) as told from feed_alerts where feed_id = $1 and state = 'raised' order by 1`, [feedId])).map(({ told }) => told),
    alerted: async (kind) => (await scene.sql('select from feed_alerts where feed_id = $1 and kind = $2', [feedId, kind])).length,
    answer: (file) => JSON.parse(server.read(`${name}/${file}.ack.json`).toString()) as Acknowledgement,
    active: async () => (await scene.sql<{ id: string }>(`select external_id as id from contacts where organization_id = $1 and state = 'active' order by length(external_id), external_id`, [organizationId])).map(({ id }) => id),
    imports: () => scene.sql<{ id: string; state: string }>('select id, state from imports where feed_id = $1 order by id', [feedId]),
    sql: async <R extends object>(text: string, values: unknown[] = []) => (await database.pool.query<R>(text, values)).rows,
  }
  return scene
}
