/** Fault 39: the disk of the database, or of the mailbox, is full. It fails closed, is told once, and goes on when there is room. */
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { listMailbox, startMailbox, type Mailbox } from '../../src/embedded/mailbox.ts'
import { acquireEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { migrate } from '../../src/entities/migrate.ts'
import { beginCommit } from '../../src/jobs/stageImport.ts'
import { newHome } from '../embedded/processes.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import { runMuster } from '../support/runMuster.ts'
import { TEST_SETTINGS } from '../support/settings.ts'
import { skipWithout, smallDisk, type SmallDisk } from '../support/smallDisk.ts'
import { endProcesses, expectEnded, importWorld, peopleCsv, type Process, type World } from './importProcesses.ts'
import { endWorkers, startChild, states } from './workers.ts'

/** More than fits into what is left of a full disk. */
const ROWS = 6_000
const LEFT = 256 * 1024

let numbered = 0
const someone = (count: number): string => {
  const csv = peopleCsv(count, numbered + 1)
  numbered += count
  return csv
}

describe.skipIf(skipWithout('mounts'))('39: the disk of the database is full', { timeout: 60_000 }, () => {
  let own: EmbeddedPostgres
  let disk: SmallDisk
  let world: World
  beforeAll(async () => {
    const home = newHome()
    own = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
    await migrate(own.databaseUrl)
    const server = new Client({ connectionString: own.databaseUrl.replace(/\/[^/]*$/, '/postgres') })
    await server.connect()
    try {
      const { rows } = await server.query<{ data_directory: string }>('show data_directory')
      const { uid, gid } = statSync(rows[0]!.data_directory)
      disk = smallDisk(join(dirname(home), 'disk'), 96, { uid, gid })
      // What all databases share, the log of changes above all, stays where there is room: without that the server would not run.
      await server.query(`create tablespace small location '${disk.folder}'`)
      await server.query('alter database muster set tablespace small')
    } finally {
      await server.end()
    }
    world = await importWorld(own.databaseUrl)
    // A note that somebody left once: the table has a page that can be written.
    await world.sql(`insert into service_pauses (service, reason, retry_at) values ('none', 'for tests', now())`)
  })
  afterEach(async () => {
    disk.makeRoom()
    await endProcesses()
    await world.sql('truncate bullmq.job, bullmq.scheduler, bullmq.dedup cascade')
    await world.sql(`delete from service_pauses where service = 'database'`)
  })
  afterAll(async () => {
    await world.close()
    await own.release()
    disk.remove()
  })

  const failures = (process: Process, job: string): number => process.output().split('\n').filter((line) => line.includes('"a job failed') && line.includes(`"job":"${job}"`) && line.includes('No space left')).length
  /** A job that found no room comes again after a while: here at once, as often as it takes to see what would become of it. */
  const failsAgainAndAgain = (process: Process, job: string, times = 3): Promise<void> =>
    expect
      .poll(
        async () => {
          await world.sql(`delete from bullmq.job where name = $1 and state = 'delayed'`, [job])
          return failures(process, job)
        },
        { interval: 50, timeout: 20_000, message: process.output() },
      )
      .toBeGreaterThanOrEqual(times)
  const doctor = async (): Promise<{ part: string; state: string; message: string }[]> => {
    const { json } = await runMuster(['doctor', '--json'], { folder: dirname(world.home), settings: { DATABASE_URL: own.databaseUrl, MUSTER_SECRET: 'disk-full-secret-0123456789abcdefghij', MUSTER_HOME: world.home, SMTP_URL: 'smtp://127.0.0.1:1' } })
    return (json['findings'] as { part: string; state: string; message: string }[]).filter(({ part }) => part === 'database')
  }
  const alerts = (...processes: Process[]): number => processes.map((process) => process.output().split('"alert":"database_full"').length - 1).reduce((sum, count) => sum + count, 0)

  test('while a file is read: nothing is there of it, it is told once, and the file is read when there is room', async () => {
    const importId = await world.receive(someone(ROWS))
    const workers = [await world.start('worker.ts'), await world.start('worker.ts')]
    await world.start('scheduler.ts')
    disk.fill(LEFT)
    await world.wake(importId)
    await expect.poll(() => workers.some((worker) => failures(worker, 'stage') > 0), { timeout: 20_000 }).toBe(true)
    await failsAgainAndAgain(workers.find((worker) => failures(worker, 'stage') > 0)!, 'stage')

    // More often than a file may take its worker with it. That an attempt does not count can be written only where there is room for it.
    const [row] = await world.sql<{ state: string; attempts: number; failure: object | null }>('select state, attempts, failure from imports where id = $1', [importId])
    expect(row).toMatchObject({ state: 'staging', failure: null })
    expect(row!.attempts, 'no attempt counts, but the one that may be under way').toBeLessThanOrEqual(1)
    expect(await world.sql('select from contacts where created_by_import = $1', [importId])).toEqual([])
    await expect.poll(() => alerts(...workers), { timeout: 15_000 }).toBe(1)
    expect(await doctor()).toContainEqual(expect.objectContaining({ state: 'failed', message: expect.stringContaining('No space left on device') }))

    disk.makeRoom()
    await world.sql(`delete from bullmq.job where name = 'stage' and state = 'delayed'`)
    await world.reaches(importId, 'committed')
    expect(await expectEnded(world, importId)).toMatchObject({ read: ROWS, created: ROWS })
    expect(alerts(...workers)).toBe(1)
    // A minute without a failure.
    await world.sql(`update service_pauses set retry_at = now() where service = 'database'`)
    expect((await doctor()).map(({ state }) => state)).toEqual(['well'])
  })

  test('while a plan is committed: nothing is there of the chunk, and it is done when there is room', async () => {
    const { id: importId } = await world.people.preview(someone(ROWS), { delivery: { kind: 'none' } })
    const worker = await world.start('worker.ts')
    await world.start('scheduler.ts')
    await expect.poll(() => world.sql('select from bullmq.job'), { timeout: 15_000, message: 'the sweep goes round' }).not.toEqual([])
    disk.fill(LEFT)
    await world.tenant((tx) => beginCommit(tx, importId))
    // Once is enough: the queue lies on the same disk, and may have no room to call again.
    await failsAgainAndAgain(worker, 'commit', 1)
    expect(await world.sql('select from contacts where created_by_import = $1', [importId])).toEqual([])
    expect(await world.sql('select state, failures from import_chunks where import_id = $1', [importId])).toEqual([{ state: 'pending', failures: 0 }])
    await expect.poll(() => alerts(worker), { timeout: 15_000 }).toBe(1)

    disk.makeRoom()
    await world.sql(`delete from bullmq.job where name = 'commit' and state = 'delayed'`)
    await world.reaches(importId, 'committed')
    expect(await expectEnded(world, importId)).toMatchObject({ read: ROWS, created: ROWS })
  })

  test('while a file is taken in: it is refused, and nothing is left of it', async () => {
    disk.fill()
    const before = await world.sql('select from imports')
    await expect(world.receive(someone(50_000))).rejects.toMatchObject({ code: '53100' })
    expect(await world.sql('select from imports')).toHaveLength(before.length)
    expect(await doctor(), 'found out without anybody having told').toContainEqual(expect.objectContaining({ state: 'failed', message: expect.stringContaining('No space left on device') }))
  })
})

describe.skipIf(skipWithout('mounts'))('39: the disk of the mailbox is full', () => {
  const PEOPLE = 3
  let run: DeliveryRun
  let disk: SmallDisk
  let mailbox: Mailbox
  beforeAll(async () => {
    run = await deliveryRun()
    disk = smallDisk(newHome(), 1)
    mailbox = await startMailbox(disk.folder)
  })
  afterEach(endWorkers)
  afterAll(async () => {
    await mailbox.close()
    disk.remove()
    await run.close()
  })

  const worker = (organizationId: string) => startChild('worker.ts', run.databaseUrl, { SMTP_URL: mailbox.url, ORGANIZATION: organizationId })

  test('mails are refused for now, leave nothing behind, and arrive once when there is room', async () => {
    const scene = await run.scene()
    const ids = await scene.owe(PEOPLE)
    disk.fill()
    expect(await worker(scene.organizationId).said('sent')).toMatchObject({ sent: 0, retried: PEOPLE, failed: 0, unknown: 0 })
    for (const id of ids) expect(await run.delivery(scene, id)).toMatchObject({ state: 'scheduled', reason: expect.stringMatching(/^refused_for_now: 452 .*no room/) })
    expect(readdirSync(join(disk.folder, 'mailbox'))).toEqual([])

    disk.makeRoom()
    await scene.sql(`update deliveries set send_at = now() where organization_id = $1`, [scene.organizationId])
    expect(await worker(scene.organizationId).said('sent')).toMatchObject({ sent: PEOPLE })
    expect(await states(scene)).toEqual({ sent: PEOPLE })
    expect((await listMailbox(disk.folder)).map(({ to }) => to).toSorted()).toEqual(['ana1@example.test', 'ana2@example.test', 'ana3@example.test'])
  })
})
