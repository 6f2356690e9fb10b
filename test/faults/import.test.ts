/** Faults 2 to 5, 11, 17, 40 and 42 for imports, with processes that are really killed and stopped. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { findBinaries, program, run } from '../../src/embedded/binaries.ts'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { migrate } from '../../src/entities/migrate.ts'
import { cancelImport } from '../../src/jobs/finishImport.ts'
import { openQueues } from '../../src/jobs/queues.ts'
import { beginCommit } from '../../src/jobs/stageImport.ts'
import { newHome } from '../embedded/processes.ts'
import { endProcesses, expectEnded, importWorld, peopleCsv, underWay, wrongPeopleCsv, wrongTotals, type World } from './importProcesses.ts'

const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const PATIENCE_MS = 120_000

let world: World
beforeAll(async () => {
  world = await importWorld()
})
afterEach(endProcesses)
afterAll(() => world.close())

/** People that no other test has. */
let numbered = 0
const someone = (count: number): string => {
  const csv = peopleCsv(count, numbered + 1)
  numbered += count
  return csv
}

const someoneWrong = (count: number): string => {
  const csv = wrongPeopleCsv(count, numbered + 1)
  numbered += count
  return csv
}
/** Of a file that is stopped in the middle. */
const ROWS = 12_000

const contactsOf = async (importId: string): Promise<number> => (await world.sql<{ count: number }>('select count(*)::int as count from contacts where created_by_import = $1', [importId]))[0]!.count

describe.each(Array.from({ length: REPEATS }, (_, index) => index + 1))('round %i', (round) => {
  test.each([
    ['2: when every row is staged', 'import.staged', 'staging', 0],
    ['3: when a chunk is written and not committed', 'import.chunk_applied', 'committing', 0],
    ['4: when the plan is made and nobody was told', 'import.planned', 'committing', 0],
    ['4: when a chunk is committed and nobody was told', 'import.chunk_committed', 'committing', 30],
    ['5: when the import has ended and nobody was told', 'import.committed', 'committed', 30],
  ])('kill -9, %s: it comes to its end by another worker', async (_, failpoint, state, written) => {
    const importId = await world.receive(someone(30).replace('ana2@', 'ana2'))
    const expected = { read: 30, created: 30, updated: 0, unchanged: 0, rejected: 0, held: 0, blank: 0 }
    const worker = await world.start('worker.ts', { MUSTER_FAILPOINT: failpoint })
    await world.wake(importId)
    expect(await worker.ended).toBe('SIGKILL')
    const rejected = (await world.sql<{ count: number }>(`select count(*)::int as count from import_issues where import_id = $1 and severity = 'error'`, [importId]))[0]!.count
    expect(await world.reaches(importId, state)).toBe(state)
    expect(await contactsOf(importId)).toBe(written === 0 ? 0 : written - rejected)

    await world.recover(importId)
    expect(await expectEnded(world, importId)).toEqual({ ...expected, created: 30 - rejected, rejected })
  }, PATIENCE_MS)

  test('5: the mails of an import that ended as its worker died are found by the sweep', async () => {
    const importId = await world.receive(someone(3), { delivery: { kind: 'now' } })
    const worker = await world.start('worker.ts', { MUSTER_FAILPOINT: 'import.committed' })
    await world.wake(importId)
    expect(await worker.ended).toBe('SIGKILL')
    const attempts = () => world.sql<{ tried: boolean }>('select attempts > 0 as tried from deliveries where import_id = $1 and user_id is not null', [importId])
    expect(await attempts()).toEqual([{ tried: false }, { tried: false }, { tried: false }])
    await world.leaseRunsOut(importId)
    await world.start('worker.ts')
    await world.start('scheduler.ts')
    // Nobody listens where SMTP_URL points: that it was tried is what can be seen.
    await expect.poll(attempts, { timeout: 30_000 }).toEqual([{ tried: true }, { tried: true }, { tried: true }])
  }, PATIENCE_MS)

  test('2: kill -9 in the middle of copying leaves nothing, and the next worker begins anew', async () => {
    const importId = await world.receive(someoneWrong(ROWS))
    const held = await world.holdStaging()
    const worker = await world.start('worker.ts')
    await world.wake(importId)
    await held.reached()
    worker.process.kill('SIGKILL')
    expect(await worker.ended).toBe('SIGKILL')
    await held.goOn()
    expect(await world.reaches(importId, 'staging')).toBe('staging')
    expect(await contactsOf(importId)).toBe(0)
    await world.recover(importId)
    expect(await expectEnded(world, importId)).toMatchObject(wrongTotals(ROWS))
  }, PATIENCE_MS)

  test('11: a worker that was stopped in the middle of copying and goes on later changes nothing any more', async () => {
    const importId = await world.receive(someoneWrong(ROWS))
    const held = await world.holdStaging()
    const late = await world.start('worker.ts')
    await world.wake(importId)
    await held.reached()
    late.process.kill('SIGSTOP')
    await held.goOn()
    await world.recover(importId)
    const totals = await expectEnded(world, importId)
    expect(totals).toMatchObject(wrongTotals(ROWS))
    late.process.kill('SIGCONT')
    late.process.kill('SIGTERM')
    expect(await late.ended).toBe(0)
    expect(await expectEnded(world, importId)).toEqual(totals)
  }, PATIENCE_MS)

  test('a worker that is told to end while it copies leaves the file to another, and the attempt does not count', async () => {
    const importId = await world.receive(someoneWrong(ROWS))
    const held = await world.holdStaging()
    const worker = await world.start('worker.ts')
    await world.wake(importId)
    await held.reached()
    worker.process.kill('SIGTERM')
    await worker.said('ending')
    await held.goOn()
    expect(await worker.ended).toBe(0)
    expect(await world.sql('select state, attempts from imports where id = $1', [importId])).toEqual([{ state: 'staging', attempts: 0 }])
    await world.recover(importId)
    expect(await expectEnded(world, importId)).toMatchObject(wrongTotals(ROWS))
  }, PATIENCE_MS)

  test('an import that is cancelled while it is copied is gone at once, and its worker goes on with others', async () => {
    const importId = await world.receive(someoneWrong(ROWS))
    const held = await world.holdStaging()
    await world.start('worker.ts')
    await world.wake(importId)
    await held.reached()
    const cancelled = world.tenant((tx) => cancelImport(tx, importId))
    await held.goOn()
    expect(await cancelled).toBe(true)
    const next = await world.receive(someone(5))
    await world.wake(next)
    await world.reaches(next, 'committed')
    await expectEnded(world, next)
    expect(await world.reaches(importId, 'cancelled')).toBe('cancelled')
    expect(await contactsOf(importId)).toBe(0)
    expect(await world.sql(`select from deliveries where import_id = $1 and purpose = 'operatorSummary'`, [importId])).toHaveLength(1)
    await world.start('scheduler.ts')
    await expect.poll(() => world.sql(`select tablename from pg_tables where schemaname = 'staging' and tablename ~ $1`, [`_${importId}(_|$)`]), { timeout: 30_000 }).toEqual([])
  }, PATIENCE_MS)

  test('42: a file that ends its workers again and again is put aside, and others go on', async () => {
    const importId = await world.receive(someoneWrong(ROWS))
    for (let attempt = 1; attempt <= 2; attempt++) {
      const held = await world.holdStaging()
      const worker = await world.start('worker.ts')
      await world.wake(importId)
      await held.reached()
      worker.process.kill('SIGKILL')
      expect(await worker.ended).toBe('SIGKILL')
      await held.goOn()
      expect(await world.sql('select state, attempts from imports where id = $1', [importId])).toEqual([{ state: 'staging', attempts: attempt }])
      await world.leaseRunsOut(importId)
    }
    await world.recover(importId)
    await expectEnded(world, importId, 'failed')
    expect((await world.people.report(importId)).failure?.code).toBe('import.interrupted')
    expect(await contactsOf(importId)).toBe(0)
    const next = await world.receive(someone(5))
    await world.recover(next)
    expect(await expectEnded(world, next)).toMatchObject({ created: 5 })
  }, PATIENCE_MS)

  test('40: two files with the same people, taken in at once by two workers, make everybody once', async () => {
    const csv = someone(500)
    const one = await world.receive(csv)
    const two = await world.receive(csv)
    await world.start('worker.ts')
    await world.start('worker.ts')
    await world.start('scheduler.ts')
    await Promise.all([world.wake(one), world.wake(two)])
    await Promise.all([world.reaches(one, 'committed'), world.reaches(two, 'committed')])
    const totals = [await expectEnded(world, one), await expectEnded(world, two)]
    expect(totals.map(({ created, unchanged }) => ({ created, unchanged })).toSorted((a, b) => b.created - a.created)).toEqual([{ created: 500, unchanged: 0 }, { created: 0, unchanged: 500 }])
  }, PATIENCE_MS)

  test('40: two previews of the same people, committed at once by two workers, make everybody once; who came second is told', async () => {
    // Some are known by their name alone: no unique index stands between them.
    const nameless = Array.from({ length: 50 }, (_, index) => `,Zoe,${'abcdefghij'[index % 10]}${'klmno'[Math.floor(index / 10)]}${'x'.repeat(round)}son,\n`)
    const csv = `${someone(400)}${nameless.join('')}`
    const reversed = csv.split('\n').filter(Boolean)
    const backwards = [reversed[0], ...reversed.slice(1).toReversed(), ''].join('\n')
    const [one, two] = [await world.receive(csv, { preview: true, delivery: { kind: 'none' } }), await world.receive(backwards, { preview: true, delivery: { kind: 'none' } })]
    await world.start('worker.ts')
    await world.start('worker.ts')
    for (const importId of [one, two]) await world.wake(importId)
    for (const importId of [one, two]) await world.reaches(importId, 'previewed')
    await world.start('scheduler.ts')
    const queues = openQueues({ databaseUrl: world.databaseUrl, redisUrl: null, onError: () => undefined })
    for (const importId of [one, two]) await world.tenant((tx) => beginCommit(tx, importId))
    await Promise.all([one, two].map((importId) => queues.wake('commit', { organizationId: world.people.organizationId, importId, chunk: 0 })))
    await queues.close()
    await Promise.all([one, two].map((importId) => world.reaches(importId, 'committed')))
    const totals = [await expectEnded(world, one), await expectEnded(world, two)]
    expect(totals.map(({ created, held }) => ({ created, held })).toSorted((a, b) => b.created - a.created)).toEqual([{ created: 450, held: 0 }, { created: 0, held: 450 }])
    expect(await world.sql(`select first_name, last_name from contacts where organization_id = $1 and external_id is null group by 1, 2 having count(*) > 1`, [world.people.organizationId])).toEqual([])
  }, PATIENCE_MS)

  test('17: PostgreSQL restarted in the middle of a commit loses nothing and does nothing twice', async () => {
    const home = newHome()
    const own = await acquireEmbeddedPostgres(home, { log: () => undefined })
    let there: World | undefined
    try {
      await migrate(own.databaseUrl)
      there = await importWorld(own.databaseUrl)
      const importId = await there.receive(peopleCsv(300))
      // The chunk comes as far as the users, and waits there.
      const holding = await there.database.pool.connect()
      holding.on('error', () => undefined)
      await holding.query('begin; lock table users in share mode')
      const worker = await there.start('worker.ts')
      const scheduler = await there.start('scheduler.ts')
      await there.wake(importId)
      await underWay(there, 'insert into users%', true)
      const { data_directory: data } = (await there.sql<{ data_directory: string }>('show data_directory'))[0]!
      const { uid, gid } = statSync(data)
      await run(program(await findBinaries(), 'pg_ctl'), ['restart', '-D', data, '-m', 'immediate', '-w', '-l', join(data, 'restart.log')], process.getuid?.() === 0 ? { uid, gid } : {})
      holding.release(true)
      await expect.poll(() => there!.sql('select 1 as one').catch(() => []), { timeout: 30_000 }).toEqual([{ one: 1 }])
      await there.reaches(importId, 'committed')
      expect(await expectEnded(there, importId)).toMatchObject({ read: 300, created: 300 })
      // The same processes: they have outlived their connections.
      for (const { process: child, ended } of [worker, scheduler]) {
        child.kill('SIGTERM')
        expect(await ended).toBe(0)
      }
    } finally {
      await there?.close()
      await own.release()
    }
  }, PATIENCE_MS)
})
