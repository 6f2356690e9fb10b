/** What the jobs of an import do when something beside them goes wrong, or runs at the same time. In this process, without a queue. */
import type { PoolClient } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { beginStaging, stageRows, StagingTakenAway } from '../../src/importers/stage.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { cancelImport, finishImport } from '../../src/jobs/finishImport.ts'
import { beginCommit, stageImport, type ImportParts } from '../../src/jobs/stageImport.ts'
import { sweepOnce } from '../../src/jobs/sweep.ts'
import { importing, type Importing } from '../support/importing.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

let server: TestDatabase
let database: Database
let people: Importing
let parts: ImportParts
let woken: string[]
const others: PoolClient[] = []

beforeAll(async () => {
  server = await testDatabase()
  database = new Database(server.url, { maxConnections: 4 })
})
beforeEach(async () => {
  people = await importing(database, { operators: ['desk@acme.example'] })
  woken = []
  parts = {
    database,
    failpoint: () => Promise.resolve(),
    queues: { wake: (name, payload) => Promise.resolve(void woken.push([name, ...Object.values(payload)].join('-'))) },
  }
})
afterEach(() => {
  for (const client of others.splice(0)) client.release(true)
})
afterAll(async () => {
  // Waits for every connection to be given back: one that leaked would keep it from its end.
  await database.close()
  await server.drop()
})

const csvOf = (count: number): string =>
  `External ID,First Name,Last Name,Email\n${Array.from({ length: count }, (_, index) => `E${index + 1},Ana,Nguyen,ana${index + 1}@acme.example\n`).join('')}`
const receive = (csv: string): Promise<string> => receiveFile(database, people.organizationId, { name: 'people.csv', bytes: [Buffer.from(csv)] }, DEFAULT_OPTIONS)
const stage = (importId: string, signal = new AbortController().signal) => stageImport(parts, { organizationId: people.organizationId, importId }, signal)
const commit = (importId: string, chunk = 0) => commitChunk(parts, { organizationId: people.organizationId, importId, chunk })

/** More problems than are written at once: staging writes some of them while it copies. */
const WRONG = 12_000
const WRONG_CSV = csvOf(WRONG).replaceAll('@acme', '')

/** From here on whoever stages stops in the middle, until `goOn` is called. */
async function holdStaging(): Promise<{ client: PoolClient; reached(): Promise<void>; goOn(): Promise<void> }> {
  const client = await database.pool.connect()
  await client.query(`create or replace function hold_staging() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
    create or replace trigger hold_staging before insert on import_issues for each statement execute function hold_staging();
    select pg_advisory_lock(4711)`)
  return {
    client,
    async reached() {
      const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into import_issues%'`
      await expect.poll(async () => (await client.query(waiting)).rowCount, { interval: 5, timeout: 10_000 }).toBe(1)
    },
    async goOn() {
      await client.query('select pg_advisory_unlock(4711)')
      client.release()
    },
  }
}

/** Somebody else's transaction, open until the end of the test. */
async function elsewhere(...statements: string[]): Promise<PoolClient> {
  const client = await database.pool.connect()
  others.push(client)
  await client.query('begin')
  for (const statement of statements) await client.query(statement)
  return client
}

describe('a chunk', () => {
  test('done twice is done once', async () => {
    const importId = await receive(csvOf(10))
    await stage(importId)
    await Promise.all([commit(importId), commit(importId)])
    await commit(importId)
    expect(await people.report(importId)).toMatchObject({ state: 'committed', totals: { read: 10, created: 10 } })
    expect(await people.contacts()).toHaveLength(10)
    expect(await people.sql('select recipient from deliveries where import_id = $1 and user_id is null', [importId])).toEqual([{ recipient: 'desk@acme.example' }])
  })

  test('that the database refuses is tried again, and set aside row by row when it is refused for ever', async () => {
    const importId = await receive(csvOf(12))
    await stage(importId)
    await people.sql(`alter table contacts add constraint refuses check (organization_id <> ${people.organizationId} or external_id <> 'E7')`)
    try {
      for (let attempt = 1; attempt < 5; attempt++) await expect(commit(importId)).rejects.toMatchObject({ code: '23514' })
      expect((await people.report(importId)).state).toBe('committing')
      expect(await commit(importId)).toEqual({ kind: 'done' })
    } finally {
      await people.sql('alter table contacts drop constraint refuses')
    }
    const report = await people.report(importId)
    expect(report).toMatchObject({ state: 'committed', totals: { read: 12, created: 0, held: 12 }, users: { created: 0 } })
    expect(new Set(report.issues.map(({ code }) => code))).toEqual(new Set(['row.not_written']))
    expect(report.issueCount).toBe(12)
    expect(await people.contacts()).toEqual([])
    // The organization goes on: the same file takes them in.
    expect(await people.run(csvOf(12))).toMatchObject({ state: 'committed', totals: { created: 12 } })
  })

  test('does not count a refusal where the database was only out of reach', async () => {
    const importId = await receive(csvOf(3))
    await stage(importId)
    const lock = await elsewhere('lock table users in share mode')
    const cut = commit(importId)
    cut.catch(() => undefined)
    const waiting = () => people.sql<{ pid: number }>(`select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into users%'`)
    await expect.poll(waiting).toHaveLength(1)
    await people.sql('select pg_terminate_backend($1)', [(await waiting())[0]!.pid])
    await expect(cut).rejects.toThrow()
    expect(await people.sql('select failures from import_chunks where import_id = $1', [importId])).toEqual([{ failures: 0 }])
    await lock.query('rollback')
    await commit(importId)
    expect(await people.report(importId)).toMatchObject({ state: 'committed', totals: { created: 3 } })
  })

  test('says who did it', async () => {
    const importId = await receive(csvOf(1))
    parts = { ...parts, worker: 'worker-7' }
    await stage(importId)
    await commit(importId)
    expect(await people.sql('select worker, state from import_chunks where import_id = $1', [importId])).toEqual([{ worker: 'worker-7', state: 'done' }])
  })

  test('holds a person with a name alone whom another import has entered since the preview', async () => {
    const one = await people.preview('First Name,Last Name\nZoe,Abel\nYan,Bo\n', { delivery: { kind: 'none' } })
    const two = await people.preview('First Name,Last Name\nYan,Bo\nXi,Chu\n', { delivery: { kind: 'none' } })
    expect(await people.commit(one.id)).toMatchObject({ totals: { created: 2 } })
    const second = await people.commit(two.id)
    expect(second).toMatchObject({ totals: { read: 2, created: 1, held: 1 } })
    expect(second.issues).toMatchObject([{ row: 2, code: 'plan.stale' }])
    expect(await people.contacts()).toHaveLength(3)
  })
})

describe('the end of an import', () => {
  test('does not wait for chunks under way', async () => {
    const importId = await receive(csvOf(10))
    await stage(importId)
    // As if five rows were all that is committed together.
    await people.sql('insert into import_chunks (import_id, number, organization_id, first_row, last_row, state) select import_id, 1, organization_id, 7, last_row, state from import_chunks where import_id = $1', [importId])
    await people.sql('update import_chunks set last_row = 6 where import_id = $1 and number = 0', [importId])
    // A chunk under way refers to its import.
    await elsewhere(`select from imports where id = ${importId} for key share`)
    await commit(importId, 1)
    expect(await database.tenant(people.organizationId, (tx) => finishImport(tx, importId))).toBe(false)
    await commit(importId, 0)
    expect(await people.report(importId)).toMatchObject({ state: 'committed', totals: { read: 10, created: 10 } })
  })
})

describe('staging', () => {
  test('gives its connection back whatever happens to it in the middle', async () => {
    for (const csv of [`${csvOf(9_000)}E9,"never closed,x,y\n`, `${csvOf(9_000)}"\xff`]) {
      const importId = await receive(csv)
      expect(await stage(importId)).toMatchObject({ kind: 'cancel', reason: 'file.unclosed_quote' })
      const report = await people.report(importId)
      expect(report).toMatchObject({ state: 'failed', failure: { code: 'file.unclosed_quote' }, issueCount: 0 })
      expect(await people.sql(`select tablename from pg_tables where schemaname = 'staging' and tablename ~ $1`, [`_${importId}(_|$)`])).toEqual([])
    }
    // More at once than there are connections, one after the other.
    for (let again = 0; again < 5; again++) expect(await people.run(csvOf(2))).toMatchObject({ state: 'committed' })
  })

  test('outlives its connections, and begins anew', async () => {
    const importId = await receive(WRONG_CSV)
    const held = await holdStaging()
    const staged = stage(importId)
    staged.catch(() => undefined)
    await held.reached()
    // The one that holds stays; all others are cut off, as by a server that is restarted.
    await held.client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()')
    await expect(staged).rejects.toThrow()
    await held.goOn()
    await people.sql(`update imports set lease_until = now() - interval '1 second' where id = $1`, [importId])
    await stage(importId)
    // That the database went away is no fault of the file: the attempt does not count.
    expect(await people.sql('select state, attempts, rows_staged from imports where id = $1', [importId])).toEqual([{ state: 'committing', attempts: 1, rows_staged: WRONG }])
    expect((await people.report(importId)).issueCount).toBe(WRONG)
  })

  test('that is told to end gives the file back as if it had never begun', async () => {
    const importId = await receive(WRONG_CSV)
    const ending = new AbortController()
    const held = await holdStaging()
    const staged = stage(importId, ending.signal)
    staged.catch(() => undefined)
    await held.reached()
    ending.abort(new Error('the worker is ending'))
    await held.goOn()
    await expect(staged).rejects.toThrow('the worker is ending')
    expect(await people.sql('select state, attempts, lease_until <= now() as free from imports where id = $1', [importId])).toEqual([{ state: 'staging', attempts: 0, free: true }])
    await stage(importId)
    await commit(importId)
    expect(await people.report(importId)).toMatchObject({ state: 'committed', totals: { read: WRONG, rejected: WRONG }, issueCount: WRONG })
  })

  test('that somebody else has taken over writes nothing any more, not even problems', async () => {
    const importId = await receive(csvOf(20).replaceAll('@acme', ''))
    const late = await database.tenant(people.organizationId, (tx) => beginStaging(tx, importId))
    expect(late).toMatchObject({ attempts: 1 })
    // It was stopped for longer than its lease; another one has begun, and has not come far.
    await people.sql(`update imports set lease_until = now() - interval '1 second' where id = $1`, [importId])
    await database.tenant(people.organizationId, (tx) => beginStaging(tx, importId))
    await expect(stageRows(database, people.organizationId, late!, new AbortController().signal)).rejects.toBeInstanceOf(StagingTakenAway)
    expect(await people.sql('select from import_issues where import_id = $1', [importId])).toEqual([])
    expect(await people.sql('select state, attempts, staged_at from imports where id = $1', [importId])).toEqual([{ state: 'staging', attempts: 2, staged_at: null }])
  })

  test('waits its turn while another import of the organization is committed', async () => {
    const one = await receive(csvOf(3))
    const two = await receive(csvOf(3))
    await stage(one)
    expect(await stage(two)).toMatchObject({ kind: 'snooze' })
    await commit(one)
    await people.sql(`update imports set lease_until = now() - interval '1 second' where id = $1 and state = 'staging'`, [two])
    await stage(two)
    await commit(two)
    expect(await people.report(two)).toMatchObject({ state: 'committed', totals: { unchanged: 3, held: 0 } })
  })
})

describe('cancelling', () => {
  test('does not wait for who reads the plan; what is left is swept', async () => {
    const { id } = await people.preview(csvOf(4))
    const reader = await elsewhere(`select from staging.plan_${id}`)
    expect(await database.tenant(people.organizationId, (tx) => cancelImport(tx, id))).toBe(true)
    const left = () => people.sql(`select tablename from pg_tables where schemaname = 'staging' and tablename ~ $1`, [`_${id}(_|$)`])
    expect(await left()).toHaveLength(5)
    await sweepOnce({ database, queues: parts.queues })
    expect(await left()).toHaveLength(5)
    await reader.query('rollback')
    await sweepOnce({ database, queues: parts.queues })
    expect(await left()).toEqual([])
  })

  test('tells the operators, once', async () => {
    const { id } = await people.preview(csvOf(4))
    expect(await people.cancel(id)).toBe(true)
    expect(await people.cancel(id)).toBe(false)
    expect(await people.sql('select recipient, state from deliveries where import_id = $1', [id])).toEqual([{ recipient: 'desk@acme.example', state: 'scheduled' }])
  })
})

describe('the sweep', () => {
  test('sees to everybody else where it fails over one', async () => {
    const broken = await people.preview(csvOf(2))
    await database.tenant(people.organizationId, (tx) => beginCommit(tx, broken.id))
    await people.sql('delete from import_chunks where import_id = $1', [broken.id])
    await people.sql(`drop table staging.plan_${broken.id}`)
    const other = await importing(database)
    const waiting = await receiveFile(database, other.organizationId, { name: 'people.csv', bytes: [Buffer.from(csvOf(1))] }, DEFAULT_OPTIONS)
    await people.sql(`insert into workers (name, seen_at) values ('long gone', now() - interval '1 day')`)
    const swept = sweepOnce({ database, queues: parts.queues })
    await expect(swept).rejects.toThrow(`plan_${broken.id}`)
    expect(woken).toContain(`stage-${other.organizationId}-${waiting}`)
    expect(await people.sql(`select name from workers where name = 'long gone'`)).toEqual([])
    await people.sql('delete from imports where id = any ($1)', [[broken.id, waiting]])
  })

  test('wakes somebody for every chunk that is left, and ends what has none', async () => {
    const importId = await receive(csvOf(3))
    await stage(importId)
    woken = []
    await sweepOnce({ database, queues: parts.queues })
    expect(woken).toContain(`commit-${people.organizationId}-${importId}-0`)
    await database.tenant(people.organizationId, (tx) => tx.run(`update import_chunks set state = 'done', done_at = now() where import_id = $1`, [importId]))
    await sweepOnce({ database, queues: parts.queues })
    expect((await people.report(importId)).state).toBe('committed')
  })
})
