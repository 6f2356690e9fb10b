/** A go-live with everything real but the processes: queue, scheduler, two workers, mail server. Nobody presses anything on the date. */
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRelease } from '../../src/deliveries/releases.ts'
import { showRelease } from '../../src/deliveries/releasePlan.ts'
import { Database } from '../../src/entities/database.ts'
import { migrateQueues, openQueues } from '../../src/jobs/queues.ts'
import { startScheduler } from '../../src/jobs/startScheduler.ts'
import { startWorker } from '../../src/jobs/startWorker.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'

let run: DeliveryRun
const closing: (() => Promise<void>)[] = []
beforeAll(async () => {
  run = await deliveryRun()
  await migrateQueues(run.databaseUrl)
  const log = pino({ level: 'silent' })
  // A queue of its own for each, as a process has.
  for (let worker = 0; worker < 2; worker++) {
    const database = new Database(run.databaseUrl)
    const queues = openQueues({ databaseUrl: run.databaseUrl, redisUrl: null, onError: () => undefined })
    const running = await startWorker({ database, queues, smtpUrl: run.sink.url, publicUrl: 'https://muster.example', log, failpoint: () => Promise.resolve() })
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
