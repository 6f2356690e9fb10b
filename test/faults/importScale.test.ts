/** Spec E6: any number of workers over one PostgreSQL, and nothing on a worker's disk. */
import { existsSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { redisUrl, skipWithout } from '../support/services.ts'
import { startRedisServer } from '../jobs/redisServer.ts'
import { endProcesses, expectEnded, importWorld, peopleCsv, type World } from './importProcesses.ts'

const PATIENCE_MS = 180_000
const ROWS = 60_000

let world: World | undefined
const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await endProcesses()
  await world?.close()
  for (const end of endings.splice(0).toReversed()) await end()
})

/** So many workers and a scheduler share one file; gives the names of the workers that wrote some of it. */
async function share(workers: number, environment: Record<string, string>): Promise<Set<string>> {
  const there = (world = await importWorld())
  const processes = await Promise.all([...Array.from({ length: workers }, () => there.start('worker.ts', environment)), there.start('scheduler.ts', environment)])
  const importId = await there.receive(peopleCsv(ROWS))
  await there.reaches(importId, 'committed')
  expect(await expectEnded(there, importId)).toEqual({ read: ROWS, created: ROWS, updated: 0, unchanged: 0, rejected: 0, held: 0, blank: 0 })

  const chunks = await there.sql<{ worker: string }>('select worker from import_chunks where import_id = $1', [importId])
  expect(chunks.length).toBe(3)
  const names = new Set((await Promise.all(processes.slice(0, workers).map((started) => started.said('worker ready')))).map((line) => line['worker']))
  expect(names.size).toBe(workers)
  for (const { worker } of chunks) expect(names).toContain(worker)

  for (const started of processes) started.process.kill('SIGTERM')
  for (const started of processes) {
    expect(await started.ended, started.output()).toBe(0)
    expect(started.output()).toContain('"msg":"ended"')
  }
  expect(await there.sql('select name from workers'), 'who has ended is not counted any more').toEqual([])
  expect(existsSync(there.home), 'nothing lies on a disk').toBe(false)
  return new Set(chunks.map(({ worker }) => worker))
}

describe('E6', () => {
  test.each([2, 4])('%i workers and a scheduler share one import, leave nothing on disk, and end in order', async (workers) => {
    expect((await share(workers, {})).size, 'more than one worker wrote chunks').toBeGreaterThan(1)
  }, PATIENCE_MS)

  test.skipIf(skipWithout('redis'))('the same over Redis', async () => {
    expect(redisUrl()).not.toBeNull()
    const redis = await startRedisServer()
    endings.push(() => redis.stop())
    expect((await share(2, { REDIS_URL: redis.url })).size).toBeGreaterThan(1)
  }, PATIENCE_MS)

  test.skipIf(skipWithout('redis'))('15: a worker refuses to start over a Redis that evicts, and says what to set', async () => {
    world = await importWorld()
    const redis = await startRedisServer('allkeys-lru')
    endings.push(() => redis.stop())
    await expect(world.start('worker.ts', { REDIS_URL: redis.url })).rejects.toThrow(/it ended \(1\)[\s\S]*maxmemory-policy allkeys-lru[\s\S]*noeviction/)
  }, PATIENCE_MS)

  test('a worker refuses to start over a database of another version, and says what to run', async () => {
    world = await importWorld()
    await world.sql(`delete from mikro_orm_migrations where name = '003-fleet'`)
    await expect(world.start('worker.ts')).rejects.toThrow(/it ended \(1\)[\s\S]*missing: 003-fleet[\s\S]*muster migrate/)
  }, PATIENCE_MS)
})
