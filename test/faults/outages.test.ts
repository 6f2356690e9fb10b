/** Faults 16 and 17: what lies between a worker and its queue or database goes silent, and PostgreSQL goes away in the middle of a commit. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { findBinaries, program, run } from '../../src/embedded/binaries.ts'
import { acquireEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { migrate } from '../../src/entities/migrate.ts'
import { splitIntoChunks } from '../../src/importers/commit.ts'
import { openQueues, type Queues } from '../../src/jobs/queues.ts'
import { beginCommit } from '../../src/jobs/stageImport.ts'
import { newHome } from '../embedded/processes.ts'
import { startRedisServer } from '../jobs/redisServer.ts'
import { skipWithout } from '../support/services.ts'
import { TEST_SETTINGS } from '../support/settings.ts'
import { startSink, type Sink } from '../support/smtpSink.ts'
import { startTcpProxy } from '../support/tcpProxy.ts'
import { endProcesses, expectEnded, importWorld, peopleCsv, underWay, type Process, type Totals, type World } from './importProcesses.ts'

/** Of a file, and of a chunk of it. */
const ROWS = 60
const CHUNK = 10

const endings: (() => unknown)[] = []
afterEach(async () => {
  await endProcesses()
  for (const end of endings.splice(0).toReversed()) await end()
})

let numbered = 0
const someone = (count: number): string => {
  const csv = peopleCsv(count, numbered + 1)
  numbered += count
  return csv
}

/** The address of a server, by way of a proxy. */
async function proxied(url: string): Promise<{ url: string; proxy: Awaited<ReturnType<typeof startTcpProxy>> }> {
  const address = new URL(url)
  const proxy = await startTcpProxy({ port: Number(address.port) })
  endings.push(() => proxy.close())
  address.hostname = '127.0.0.1'
  address.port = String(proxy.port)
  return { url: address.href, proxy }
}

async function endInOrder(...processes: Process[]): Promise<void> {
  for (const { process: child, ended } of processes) {
    child.kill('SIGTERM')
    expect(await ended, 'a process that is told to end ends in order').toBe(0)
  }
}

/**
 * Chunks from the second on wait inside their COMMIT from here on: what is written is written, and not yet there.
 * @returns how to let them go on
 */
async function holdCommits(world: World): Promise<{ reached(): Promise<void>; goOn(): Promise<void>; lost(): void }> {
  const holder = await world.database.pool.connect()
  holder.on('error', () => undefined)
  await holder.query(`create or replace function hold_commit() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(4712); return null; end $$;
    drop trigger if exists hold_commit on import_chunks;
    create constraint trigger hold_commit after update on import_chunks deferrable initially deferred for each row when (new.state = 'done' and new.number > 0) execute function hold_commit();
    select pg_advisory_lock(4712)`)
  return {
    reached: () => underWay(world, 'commit', true),
    async goOn() {
      await holder.query('select pg_advisory_unlock(4712)')
      holder.release()
    },
    lost: () => holder.release(true),
  }
}

/** Takes a file in as far as its plan, which is to be committed in chunks of CHUNK rows, and wakes workers for the chunks. */
async function commitInChunks(world: World, queues: Queues, delivery: { kind: 'none' } | { kind: 'now' } = { kind: 'none' }): Promise<string> {
  const { organizationId } = world.people
  const { id: importId } = await world.people.preview(someone(ROWS), { delivery })
  const chunks = await world.tenant(async (tx) => {
    await splitIntoChunks(tx, importId, CHUNK)
    return beginCommit(tx, importId)
  })
  expect(chunks).toHaveLength(ROWS / CHUNK)
  for (const chunk of chunks) await queues.wake('commit', { organizationId, importId, chunk })
  return importId
}

/**
 * The import comes to its end by itself. What the queue holds of chunks whose worker could not tell how they ended is let go at once: nobody waits the half
 * minute after which it would be.
 */
async function committed(world: World, importId: string): Promise<Totals> {
  const look = async (): Promise<string> => {
    await world.sql(`delete from bullmq.job where name = 'commit' and state = 'active'`)
    return (await world.people.report(importId)).state
  }
  await expect.poll(() => look().catch((error: Error) => error.message), { interval: 250, timeout: 30_000 }).toBe('committed')
  return expectEnded(world, importId)
}

const openQueue = (databaseUrl: string, redisUrl: string | null = null): Queues => {
  const queues = openQueues({ databaseUrl, redisUrl, onError: () => undefined })
  endings.push(() => queues.close())
  return queues
}

describe('a connection that is half open', { timeout: 40_000 }, () => {
  let world: World
  beforeAll(async () => {
    world = await importWorld()
  })
  afterAll(() => world.close())

  test.skipIf(skipWithout('redis'))('16: to Redis, while jobs wait: the worker makes another one and goes on', async () => {
    const redis = await startRedisServer()
    endings.push(() => redis.stop())
    const { url, proxy } = await proxied(redis.url)
    const worker = await world.start('worker.ts', { REDIS_URL: url })
    const queues = openQueue(world.databaseUrl, redis.url)
    const wake = (importId: string) => queues.wake('stage', { organizationId: world.people.organizationId, importId })
    const before = await world.receive(someone(3))
    await wake(before)
    await world.reaches(before, 'committed')

    const made = proxy.made()
    proxy.halfOpen()
    const importId = await world.receive(someone(3))
    await wake(importId)
    expect((await queues.counts()).stage).toBe(1)
    // Nobody sweeps: the worker hears of it on a new connection or not at all.
    await world.reaches(importId, 'committed')
    expect(proxy.made()).toBeGreaterThan(made)
    expect(await expectEnded(world, importId)).toMatchObject({ created: 3 })
    await endInOrder(worker)
  })

  test('to PostgreSQL, in the middle of a chunk: it is given up, and the chunk done once by the same worker', async () => {
    const { url, proxy } = await proxied(world.databaseUrl)
    const worker = await world.start('worker.ts', { DATABASE_URL: url })
    const scheduler = await world.start('scheduler.ts')
    const held = await holdCommits(world)
    const importId = await commitInChunks(world, openQueue(world.databaseUrl))
    await held.reached()
    proxy.halfOpen()
    // The server comes to the end of the commits, and nobody hears of it.
    await held.goOn()
    expect(await committed(world, importId)).toMatchObject({ read: ROWS, created: ROWS })
    await endInOrder(worker, scheduler)
  })

  test('17: the answer to a commit is lost: what is there is not done again', async () => {
    const { url, proxy } = await proxied(world.databaseUrl)
    const worker = await world.start('worker.ts', { DATABASE_URL: url })
    const scheduler = await world.start('scheduler.ts')
    const held = await holdCommits(world)
    const importId = await commitInChunks(world, openQueue(world.databaseUrl))
    await held.reached()
    proxy.cut()
    await held.goOn()
    expect(await committed(world, importId)).toMatchObject({ read: ROWS, created: ROWS })
    await endInOrder(worker, scheduler)
  })
})

describe('17: PostgreSQL, with data of its own, in the middle of commits', { timeout: 40_000 }, () => {
  let own: EmbeddedPostgres
  let world: World
  let sink: Sink
  let data: string
  let user: { uid: number; gid: number } | Record<string, never>
  beforeAll(async () => {
    own = await acquireEmbeddedPostgres(newHome(), { log: () => undefined, settings: { ...TEST_SETTINGS, fsync: 'on' } })
    await migrate(own.databaseUrl)
    world = await importWorld(own.databaseUrl)
    sink = await startSink()
    data = (await world.sql<{ data_directory: string }>('show data_directory'))[0]!.data_directory
    const { uid, gid } = statSync(data)
    user = process.getuid?.() === 0 ? { uid, gid } : {}
  })
  afterAll(async () => {
    await world.close()
    await sink.close()
    await own.release()
  })

  const restart = async (mode: string): Promise<unknown> => run(program(await findBinaries(), 'pg_ctl'), ['restart', '-D', data, '-m', mode, '-w', '-l', join(data, 'restart.log')], user)

  test.each<[string, () => Promise<unknown>]>([
    ['restarted in haste', () => restart('fast')],
    [
      'killed, and started again',
      async () => {
        process.kill(Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGKILL')
        // Until its last session has noticed, the next server refuses to begin.
        await expect.poll(() => restart('immediate').then(() => 'started', () => 'refused'), { timeout: 20_000 }).toBe('started')
      },
    ],
  ])('%s: nothing is lost, nothing is done twice, nobody is mailed twice', async (_, deed) => {
    const worker = await world.start('worker.ts', { SMTP_URL: sink.url })
    const scheduler = await world.start('scheduler.ts')
    const held = await holdCommits(world)
    const importId = await commitInChunks(world, openQueue(world.databaseUrl), { kind: 'now' })
    await held.reached()
    await deed()
    held.lost()
    expect(await committed(world, importId)).toMatchObject({ read: ROWS, created: ROWS })

    const mails = () => world.sql<{ id: string; state: string }>('select id, state from deliveries where import_id = $1 and user_id is not null', [importId])
    await expect.poll(async () => (await mails()).filter(({ state }) => state !== 'sent' && state !== 'unknown'), { timeout: 20_000 }).toEqual([])
    const bodies = (await mails()).map(({ id }) => sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.`)).length)
    expect(bodies).toHaveLength(ROWS)
    expect(Math.max(...bodies), 'I2').toBe(1)
    // The same processes: they have outlived their connections.
    await endInOrder(worker, scheduler)
  })
})
