/** A go-live with everything real but the processes: queue, scheduler, two workers, mail server. Nobody presses anything on the date. */
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRelease } from '../../src/deliveries/releases.ts'
import { showRelease } from '../../src/deliveries/releasePlan.ts'
import { Database } from '../../src/entities/database.ts'
import { migrateQueues, openQueues } from '../../src/jobs/queues.ts'
import { startScheduler } from '../../src/jobs/startScheduler.ts'
import { startWorker, type RunningWorker } from '../../src/jobs/startWorker.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'

let run: DeliveryRun
const closing: (() => Promise<void>)[] = []
const workers: RunningWorker[] = []
beforeAll(async () => {
  run = await deliveryRun()
  await migrateQueues(run.databaseUrl)
  const log = pino({ level: 'silent' })
  // A queue of its own for each, as a process has.
  for (let worker = 0; worker < 2; worker++) {
    const database = new Database(run.databaseUrl)
    const queues = openQueues({ databaseUrl: run.databaseUrl, redisUrl: null, onError: () => undefined })
    const running = await startWorker({ database, queues, secrets: { secret: 'a secret of no other use than this test', previous: null }, smtpUrl: run.sink.url, publicUrl: 'https://muster.example', log, failpoint: () => Promise.resolve() })
    workers.push(running)
    const scheduler = await startScheduler(queues, log)
    closing.push(async () => {
      scheduler.close()
      await running.close()
      await queues.close()
      await database.close()
    })
  }
})
afterAll(async () => {
  await Promise.all(closing.map((close) => close()))
  await run.close()
})

test('begins by itself on its date, not before, leaves at its rate, each mail once, and ends', async () => {
  const scene = await run.scene()
  const deliveries = await scene.owe(10, { state: 'held', sendAt: 'null' })
  const users = (await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1)', [deliveries])).map(({ id }) => id)
  const arrived: number[] = []
  run.sink.use(({ stage }) => {
    if (stage === 'end') arrived.push(Date.now())
    return undefined
  })
  const sendAt = new Date((await run.database.now()).getTime() + 2_000)
  const { id } = await run.database.tenant(scene.organizationId, (tx) =>
    createRelease(tx, { name: 'go-live', userIds: users, purpose: 'invitation', sendAt, ratePerMinute: 600, firstWave: 0, restAfterMinutes: 15, operator: 'olga' }))
  await run.sink.reached('end', 10)
  expect(arrived[0]).toBeGreaterThanOrEqual(sendAt.getTime())
  arrived.forEach((at, index) => expect(at).toBeGreaterThanOrEqual(sendAt.getTime() + index * 100))
  const show = () => run.database.tenant(scene.organizationId, (tx) => showRelease(tx, id))
  await expect.poll(async () => (await show()).state, { timeout: 15_000 }).toBe('finished')
  expect(await show()).toMatchObject({ counts: { total: 10, sent: 10 } })
  expect(new Set(run.sink.messages.map(({ to }) => to.join())).size).toBe(10)
})

test('of many organizations at the same instant each begins at once and keeps its rate', { timeout: 60_000 }, async () => {
  const scenes = await Promise.all(Array.from({ length: 24 }, () => run.scene()))
  for (const scene of scenes) await scene.owe(5, { state: 'held', sendAt: 'null' })
  const before = run.sink.events.filter(({ stage }) => stage === 'end').length
  const sendAt = new Date((await run.database.now()).getTime() + 4_000)
  for (const [index, { organizationId, sql }] of scenes.entries()) {
    const userIds = (await sql<{ id: string }>('select user_id as id from deliveries where organization_id = $1', [organizationId])).map(({ id }) => id)
    await run.database.tenant(organizationId, (tx) =>
      createRelease(tx, { name: `go-live ${index}`, userIds, purpose: 'invitation', sendAt, ratePerMinute: 120, firstWave: 0, restAfterMinutes: 15, operator: 'olga' }))
  }
  expect((await run.database.now()).getTime()).toBeLessThan(sendAt.getTime())
  await run.sink.reached('end', before + 120)
  const all = "select extract(epoch from sent_at - $1::timestamptz)::float8 as after, (row_number() over (partition by organization_id order by sent_at) - 1)::int as place from deliveries where organization_id = any ($2) and state = 'sent'"
  const find = () => scenes[0]!.sql<{ after: number; place: number }>(all, [sendAt, scenes.map(({ organizationId }) => organizationId)])
  await expect.poll(async () => (await find()).length, { timeout: 5_000 }).toBe(120)
  const sent = await find()
  for (const { after, place } of sent) {
    // Each waits half a second for the one before it, and on a busy machine for more; a turn of somebody else would be 30 seconds.
    expect(after).toBeGreaterThanOrEqual(place * 0.5)
    expect(after).toBeLessThan(place * 0.5 + 6)
  }
})

test('a mail whose answer is slow holds up nobody, and a worker that ends sees it to its end', { timeout: 30_000 }, async () => {
  const answer = Promise.withResolvers<string>()
  const scene = await run.scene()
  const begun = run.sink.events.filter(({ stage }) => stage === 'end').length
  try {
    const [slow] = await scene.owe(1, { state: 'held', sendAt: 'null' })
    run.sink.use(({ stage, text }) => (stage === 'end' && text.includes(`<${slow}.`) ? answer.promise : undefined))
    await scene.sql("update deliveries set state = 'scheduled', send_at = now() where id = $1", [slow])
    await run.sink.reached('end', begun + 1)
    // Its job has ended: whoever is owed a mail now has a turn of their own.
    const queues = openQueues({ databaseUrl: run.databaseUrl, redisUrl: null, onError: () => undefined })
    closing.push(() => queues.close())
    await expect.poll(async () => (await queues.counts()).deliver, { timeout: 5_000 }).toBe(0)
    const [asked] = await scene.owe(1, { purpose: 'passwordChanged' })
    await expect.poll(async () => (await run.delivery(scene, asked!)).state, { timeout: 2_500 }).toBe('sent')
    expect((await run.delivery(scene, slow!)).state).toBe('sending')
    const ended = Promise.all(workers.map((worker) => worker.close()))
    await expect.poll(async () => (await scene.sql('select from workers')).length).toBe(0)
    answer.resolve('250 2.0.0 taken at last')
    await ended
    expect((await run.delivery(scene, slow!)).state).toBe('sent')
  } finally {
    answer.resolve('250 2.0.0 taken')
  }
})
