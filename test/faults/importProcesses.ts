/** Workers and schedulers as processes of their own over a test's database, and what must hold after anything was done to them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { expect } from 'vitest'
import { Database, type Transaction } from '../../src/entities/database.ts'
import { readImport, type ImportResult } from '../../src/importers/importReport.ts'
import { DEFAULT_OPTIONS, receiveFile, type ImportOptions } from '../../src/importers/receive.ts'
import { migrateQueues, openQueues } from '../../src/jobs/queues.ts'
import { importing, type Importing } from '../support/importing.ts'
import { runHome, testDatabase } from '../support/services.ts'

const CHECKOUT = join(import.meta.dirname, '..', '..')
const SECRET = 'import-faults-secret-0123456789abcdef'

export type Process = {
  process: ChildProcess
  /** Resolves with the first line it logs that has this message; rejects with all it said when it ends before. */
  said(message: string): Promise<Record<string, unknown>>
  /** The signal that ended it, or its exit status. */
  ended: Promise<string | number>
  output(): string
}

export type World = {
  databaseUrl: string
  database: Database
  people: Importing
  /** A MUSTER_HOME that is not there, and is not to be made. */
  home: string
  /** Starts an entry point; resolves once it is ready, unless a failpoint is given. */
  start(entry: 'worker.ts' | 'scheduler.ts', environment?: Record<string, string>): Promise<Process>
  /** Takes a CSV file in, as the command line does, without waking anybody. */
  receive(csv: string | Buffer, options?: Partial<ImportOptions>): Promise<string>
  wake(importId: string): Promise<void>
  sql<R extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
  tenant<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Time passes for the import's lease, and whatever the queue held of the dead is gone. */
  leaseRunsOut(importId: string): Promise<void>
  /** A second worker, and a scheduler, bring the import to its end. */
  recover(importId: string): Promise<void>
  /** From here on whoever stages stops in the middle, at the problems it writes while it copies; resolves once `goOn` is called. */
  holdStaging(): Promise<{ reached(): Promise<void>; goOn(): Promise<void> }>
  /** Resolves once the import is in one of these states. */
  reaches(importId: string, ...states: string[]): Promise<string>
  close(): Promise<void>
}

const running = new Set<ChildProcess>()

/** Ends what a test has left running. */
export async function endProcesses(): Promise<void> {
  await Promise.all(
    [...running].map(
      (child) =>
        new Promise<void>((resolve) => {
          child.once('exit', () => resolve())
          child.kill('SIGKILL')
        }),
    ),
  )
}

/** Rows whose problems are more than are written at once: staging writes some of them while it copies. */
const WRONG = 6_000

/** Of `count` people, numbered from `first`, the first WRONG have an address that is none. */
export const wrongPeopleCsv = (count: number, first = 1): string => {
  const [header, ...rows] = peopleCsv(count, first).trimEnd().split('\n')
  return `${[header, ...rows.map((row, index) => (index < WRONG ? row.replace('@', '') : row))].join('\n')}\n`
}
/** What becomes of them. */
export const wrongTotals = (count: number) => ({ read: count, created: count - WRONG, rejected: WRONG })

/** Header and rows of `count` people, numbered from `first`. */
export const peopleCsv = (count: number, first = 1): string =>
  `External ID,First Name,Last Name,Email\n${Array.from({ length: count }, (_, index) => `E${first + index},Ana,Nguyen,ana${first + index}@acme.example\n`).join('')}`

/** A database of its own (or the one of this address) with an organization whose operator is told how imports end. */
export async function importWorld(address?: string): Promise<World> {
  const server = address === undefined ? await testDatabase() : null
  const databaseUrl = address ?? server!.url
  await migrateQueues(databaseUrl)
  const database = new Database(databaseUrl, { maxConnections: 5 })
  const people = await importing(database, { operators: ['desk@acme.example'] })
  const parent = join(runHome(), 'homes')
  mkdirSync(parent, { recursive: true, mode: 0o755 })
  const home = join(mkdtempSync(join(parent, 'fault-')), 'none')
  const queues = openQueues({ databaseUrl, redisUrl: null, onError: () => undefined })
  const { organizationId } = people
  const world: World = {
    databaseUrl,
    database,
    people,
    home,
    sql: async <R extends object>(text: string, values: unknown[] = []) => (await database.pool.query<R>(text, values)).rows,
    tenant: (work) => database.tenant(organizationId, work),
    async start(entry, environment = {}) {
      const started = startProcess(entry, {
        PATH: process.env['PATH'] ?? '', NODE_ENV: 'test', LOG_LEVEL: 'info', DATABASE_URL: databaseUrl, MUSTER_SECRET: SECRET, MUSTER_HOME: home, SMTP_URL: 'smtp://127.0.0.1:1', ...environment,
      })
      await started.said(entry === 'worker.ts' ? 'worker ready' : 'scheduler ready')
      return started
    },
    receive: (csv, options = {}) => receiveFile(database, organizationId, { name: 'people.csv', bytes: [Buffer.from(csv)] }, { ...DEFAULT_OPTIONS, ...options }),
    wake: (importId) => queues.wake('stage', { organizationId, importId }),
    async leaseRunsOut(importId) {
      await world.sql(`update imports set lease_until = now() - interval '1 second' where id = $1 and state = 'staging'`, [importId])
      await world.sql('truncate bullmq.job, bullmq.scheduler, bullmq.dedup cascade')
    },
    async recover(importId) {
      await world.leaseRunsOut(importId)
      const [worker, scheduler] = await Promise.all([world.start('worker.ts'), world.start('scheduler.ts')])
      await world.reaches(importId, 'committed', 'failed')
      for (const { process: child, ended } of [worker, scheduler]) {
        child.kill('SIGTERM')
        expect(await ended, 'a process that is told to end ends in order').toBe(0)
      }
    },
    async holdStaging() {
      const holder = await database.pool.connect()
      await holder.query(`create or replace function hold_staging() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
        create or replace trigger hold_staging before insert on import_issues for each statement execute function hold_staging();
        select pg_advisory_lock(4711)`)
      return {
        reached: () => underWay(world, 'insert into import_issues%', true),
        async goOn() {
          await holder.query('select pg_advisory_unlock(4711)')
          holder.release()
        },
      }
    },
    async reaches(importId, ...states) {
      let state = ''
      const look = async (): Promise<boolean> => {
        state = (await world.tenant((tx) => readImport(tx, importId)).catch(() => null))?.state ?? state
        return states.includes(state)
      }
      await expect.poll(look, { interval: 25, timeout: 90_000, message: `import ${importId} comes to be ${states.join(' or ')}` }).toBe(true)
      return state
    },
    async close() {
      await endProcesses()
      await queues.close()
      await database.close()
      await server?.drop()
    },
  }
  return world
}

function startProcess(entry: string, environment: Record<string, string>): Process {
  // Code is compiled once for all of them: most of their time would go there.
  const child = spawn(process.execPath, [join(CHECKOUT, entry)], { stdio: ['ignore', 'ignore', 'pipe'], env: { NODE_COMPILE_CACHE: join(runHome(), 'compiled'), ...environment } })
  running.add(child)
  let output = ''
  const lines: Record<string, unknown>[] = []
  const waiting: { message: string; resolve: (line: Record<string, unknown>) => void; reject: (error: Error) => void }[] = []
  createInterface({ input: child.stderr }).on('line', (text) => {
    output += `${text}\n`
    if (!text.startsWith('{')) return
    const line = JSON.parse(text) as Record<string, unknown>
    lines.push(line)
    for (const { message, resolve } of waiting) if (line['msg'] === message) resolve(line)
  })
  const ended = new Promise<string | number>((resolve) =>
    child.once('close', (code, signal) => {
      running.delete(child)
      for (const { message, reject } of waiting) reject(new Error(`it ended (${signal ?? code}) and never said "${message}":\n${output}`))
      resolve(signal ?? code ?? -1)
    }),
  )
  return {
    process: child,
    output: () => output,
    ended,
    said(message) {
      const line = lines.find(({ msg }) => msg === message)
      if (line) return Promise.resolve(line)
      const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>()
      waiting.push({ message, resolve, reject })
      // Who does not wait for it is not to end of its rejection.
      promise.catch(() => undefined)
      return promise
    },
  }
}

/** Resolves once a statement that matches is under way, or waits for a lock, in another connection. */
export async function underWay(world: World, like: string, waiting = false): Promise<void> {
  const look = `select count(*)::int as count from pg_stat_activity where datname = current_database() and state = 'active' and query like $1 and pid <> pg_backend_pid() and ($2 = false or wait_event_type = 'Lock')`
  await expect.poll(async () => (await world.sql<{ count: number }>(look, [like, waiting]))[0]!.count, { interval: 5, timeout: 30_000 }).toBeGreaterThan(0)
}

export type Totals = ImportResult['totals']

/** What must hold of an ended import whatever was done meanwhile. Gives its totals. */
export async function expectEnded(world: World, importId: string, state: 'committed' | 'failed' = 'committed'): Promise<Totals> {
  const report = await world.people.report(importId)
  expect(report.state).toBe(state)
  const { read, created, updated, unchanged, rejected, held, blank } = report.totals
  expect(created + updated + unchanged + rejected + held + blank, 'I1').toBe(read)
  const issues = await world.sql<{ row: number; code: string }>(`select row, code from import_issues where import_id = $1 and severity = 'error'`, [importId])
  expect(new Set(issues.map(({ row }) => row)).size, 'every row that is left out says why').toBe(rejected + held)

  expect(await world.sql('select external_id from contacts where organization_id = $1 and external_id is not null group by external_id having count(*) > 1', [world.people.organizationId]), 'nobody is there twice').toEqual([])
  expect(await world.sql('select contact_id from users where organization_id = $1 group by contact_id having count(*) > 1', [world.people.organizationId])).toEqual([])
  expect(await world.sql('select user_id from deliveries where organization_id = $1 and user_id is not null group by user_id having count(*) > 1', [world.people.organizationId]), 'nobody is owed two mails').toEqual([])
  const [made] = await world.sql<{ contacts: number; users: number; mails: number }>(
    `select (select count(*)::int from contacts where created_by_import = $1) as contacts, (select count(*)::int from users where created_by_import = $1) as users,
       (select count(*)::int from deliveries where import_id = $1 and user_id is not null) as mails`,
    [importId],
  )
  expect(made).toEqual({ contacts: created, users: report.users.created, mails: report.deliveries.owed })

  expect(await world.sql(`select from import_chunks where import_id = $1 and state <> 'done'`, [importId])).toEqual([])
  expect(await world.sql('select from seat_reservations where import_id = $1', [importId])).toEqual([])
  await expect.poll(() => world.sql(`select tablename from pg_tables where schemaname = 'staging' and tablename ~ $1`, [`_${importId}(_|$)`]), { message: 'staging is empty' }).toEqual([])
  expect(await world.sql(`select recipient from deliveries where import_id = $1 and purpose = 'operatorSummary'`, [importId]), 'one closing notice').toEqual([{ recipient: 'desk@acme.example' }])
  return report.totals
}
