/** Faults 13, 14 and 15 of a Redis that is flushed, gone or unfit: the truth is in PostgreSQL, the queue only wakes somebody up. */
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { readImport } from '../../src/importers/importReport.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { done } from '../../src/jobs/outcome.ts'
import { checkRedis, openQueues, RedisUnfit, type Queues } from '../../src/jobs/queues.ts'
import { stageImport, type ImportParts } from '../../src/jobs/stageImport.ts'
import { startScheduler } from '../../src/jobs/startScheduler.ts'
import { sweepOnce } from '../../src/jobs/sweep.ts'
import { importing, type Importing } from '../support/importing.ts'
import { skipWithout, testDatabase } from '../support/services.ts'
import { startRedisServer, type RedisServer } from './redisServer.ts'

const FILE = Buffer.from('External ID,First Name,Last Name,Email\nE1,Ana,Nguyen,ana@acme.example\n')
const EVERY = { sweepMs: 50, keepMs: 100 }
const silent = pino({ level: 'silent' })

let database: Database
let people: Importing
let redis: RedisServer
let queues: Queues
const endings: (() => unknown)[] = []

/** A worker and a scheduler of a process that has been running for a while; `committed` resolves with each import that it ends. */
async function running(): Promise<{ committed(importId: string): Promise<void> }> {
  const ended = new Map<string, PromiseWithResolvers<void>>()
  const of = (importId: string): PromiseWithResolvers<void> => {
    if (!ended.has(importId)) ended.set(importId, Promise.withResolvers())
    return ended.get(importId)!
  }
  const parts: ImportParts = { database, queues, failpoint: () => Promise.resolve() }
  const workers = await queues.work(
    {
      stage: (payload, signal) => stageImport(parts, payload, signal),
      async commit(payload) {
        const outcome = await commitChunk(parts, payload)
        of(payload.importId).resolve()
        return outcome
      },
      feeds: () => Promise.resolve(done),
      webhooks: () => Promise.resolve(done),
      deliver: () => Promise.resolve(done),
      async sweep() {
        await sweepOnce({ database, queues })
        return done
      },
    },
    () => undefined,
  )
  endings.push(() => workers.close())
  const scheduler = await startScheduler(queues, silent, EVERY)
  endings.push(() => scheduler.close())
  return { committed: (importId) => of(importId).promise }
}

const stateOf = async (importId: string): Promise<string | undefined> => (await database.tenant(people.organizationId, (tx) => readImport(tx, importId)))?.state

describe.skipIf(skipWithout('redis'))('with the queue in Redis', () => {
  beforeEach(async () => {
    const server = await testDatabase()
    endings.push(() => server.drop())
    database = new Database(server.url)
    endings.push(() => database.close())
    people = await importing(database)
    redis = await startRedisServer()
    endings.push(() => redis.stop())
    queues = openQueues({ databaseUrl: server.url, redisUrl: redis.url, onError: () => undefined })
    endings.push(() => queues.close())
  })

  afterEach(async () => {
    for (const end of endings.splice(0).toReversed()) await end()
  })

  test('13: flushed while it runs, the schedule comes back and what is due is found', async () => {
    const { committed } = await running()
    await redis.command('FLUSHALL')
    const importId = await receiveFile(database, people.organizationId, { name: 'people.csv', bytes: [FILE] }, DEFAULT_OPTIONS)
    await committed(importId)
    expect(await stateOf(importId)).toBe('committed')
    expect(await people.contacts()).toHaveLength(1)
  })

  test('13: restarted empty, it goes on by itself', async () => {
    const { committed } = await running()
    await redis.stop()
    const importId = await receiveFile(database, people.organizationId, { name: 'people.csv', bytes: [FILE] }, DEFAULT_OPTIONS)
    await redis.start()
    await committed(importId)
    expect(await stateOf(importId)).toBe('committed')
  })

  test('13: a job that was waiting when it was flushed is found by the sweep', async () => {
    const importId = await receiveFile(database, people.organizationId, { name: 'people.csv', bytes: [FILE] }, DEFAULT_OPTIONS)
    await queues.wake('stage', { organizationId: people.organizationId, importId })
    expect((await queues.counts()).stage).toBe(1)
    await redis.command('FLUSHALL')
    expect((await queues.counts()).stage).toBe(0)
    await sweepOnce({ database, queues })
    expect((await queues.counts()).stage).toBe(1)
    expect(await stateOf(importId)).toBe('received')
  })

  test('14: gone while a file is received, the file is taken in all the same, and goes on when it is back', async () => {
    await queues.counts()
    await redis.stop()
    const importId = await receiveFile(database, people.organizationId, { name: 'people.csv', bytes: [FILE] }, DEFAULT_OPTIONS)
    await queues.wake('stage', { organizationId: people.organizationId, importId })
    expect(await stateOf(importId)).toBe('received')
    await redis.start()
    const { committed } = await running()
    await committed(importId)
    expect(await stateOf(importId)).toBe('committed')
  })

  test.each(['allkeys-lru', 'volatile-ttl', 'allkeys-random'])('15: with maxmemory-policy %s it is refused, and said what to set', async (policy) => {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', policy)
    const refusal = checkRedis(redis.url)
    await expect(refusal).rejects.toBeInstanceOf(RedisUnfit)
    await expect(refusal).rejects.toThrow(`maxmemory-policy ${policy}: it may throw jobs away. Set "maxmemory-policy noeviction"`)
  })

  test('15: with noeviction it is taken', async () => {
    await expect(checkRedis(redis.url)).resolves.toBeUndefined()
  })
})
