import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import { beginMails, endWorkers, expectInvariants, healthyWorker, leasesRunOut, startWorker, states, wireTo } from './workers.ts'

/**
 * Faults 6 to 12 and 18 for mail, with processes that are really killed, stopped, blocked and cut off. Of fault 7: nothing of a message
 * leaves before the fence, so that with the server waiting for it the dot provably never left, and it is sent again by itself. From its first
 * byte on the dot may have left with it, as both are given to the system at once: then it is unknown, whatever the server has seen.
 */
const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const PEOPLE = 4

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ extensions: ['PIPELINING', 'AUTH PLAIN'] })
})
afterEach(endWorkers)
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

/** The first time that the sink comes to a stage: waits there until `go on` is called. */
function holdAt(stage: 'data' | 'body' | 'end') {
  const reached = Promise.withResolvers<string>()
  const goOn = Promise.withResolvers<void>()
  let first = true
  run.sink.use(async (event) => {
    if (event.stage !== stage || !first) return undefined
    first = false
    reached.resolve(event.text)
    await goOn.promise
    return undefined
  })
  return { reached: reached.promise, goOn: goOn.resolve }
}

describe.each(Array.from({ length: REPEATS }, (_, index) => index + 1))('round %i', (round) => {
  const begin = (people = PEOPLE) => beginMails(run, round, people)

  test.each([
    ['6: kill -9 after the attempt is recorded, before connecting', 'deliver.claimed'],
    ['7: kill -9 when the server waits for the message', 'deliver.inData'],
  ])('fault %s: retried by itself', async (_, failpoint) => {
    const { scene } = await begin()
    expect(await startWorker(run, scene, { failpoint }).ended).toBe('SIGKILL')
    expect(await states(scene)).toEqual({ queued: PEOPLE })
    // Nobody touches them while the lease holds.
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    expect(await leasesRunOut(run, scene)).toMatchObject({ givenBack: PEOPLE, unknown: 0 })
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: PEOPLE })
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: PEOPLE })
  })

  test.each([
    ['7: kill -9 in the middle of the message', 'body'],
    ['8: kill -9 after the dot, before 250', 'end'],
  ] as const)('fault %s: unknown, and no resend', async (_, stage) => {
    const { scene } = await begin()
    const { reached, goOn } = holdAt(stage)
    const worker = startWorker(run, scene)
    await reached
    worker.process.kill('SIGKILL')
    expect(await worker.ended).toBe('SIGKILL')
    goOn()
    expect(await leasesRunOut(run, scene)).toMatchObject({ givenBack: PEOPLE - 1, unknown: 1 })
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: PEOPLE - 1 })
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: PEOPLE - 1, unknown: 1 })
  })

  test('fault 8: kill -9 between the fence and the message: unknown, and nothing was sent', async () => {
    const { scene, ids } = await begin(1)
    expect(await startWorker(run, scene, { failpoint: 'deliver.fenced' }).ended).toBe('SIGKILL')
    expect(await leasesRunOut(run, scene)).toMatchObject({ unknown: 1 })
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    await expectInvariants(run, scene)
    expect(run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${ids[0]}.`))).toEqual([])
  })

  test('fault 9: kill -9 after 250, before it is recorded: unknown, and no resend', async () => {
    const { scene, ids } = await begin(1)
    expect(await startWorker(run, scene, { failpoint: 'deliver.answered' }).ended).toBe('SIGKILL')
    expect(await leasesRunOut(run, scene)).toMatchObject({ unknown: 1 })
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    await expectInvariants(run, scene)
    expect(await run.delivery(scene, ids[0]!)).toMatchObject({ state: 'unknown', reason: 'worker_lost' })
  })

  test('fault 10: kill -9 after it is recorded: running it again is harmless', async () => {
    const { scene } = await begin(1)
    expect(await startWorker(run, scene, { failpoint: 'deliver.recorded' }).ended).toBe('SIGKILL')
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    await leasesRunOut(run, scene)
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: 1 })
  })

  test('kill -9 at any moment among many mails: each is sent once or unknown', async () => {
    const { scene } = await begin(20)
    let ended = 0
    const enough = Promise.withResolvers<void>()
    run.sink.use(({ stage }) => {
      if (stage === 'end' && ++ended === 5) enough.resolve()
      return undefined
    })
    const worker = startWorker(run, scene, { connections: 5 })
    await enough.promise
    worker.process.kill('SIGKILL')
    await worker.ended
    const { unknown } = await leasesRunOut(run, scene)
    expect(unknown).toBeLessThanOrEqual(5 + 5)
    await healthyWorker(run, scene)
    await expectInvariants(run, scene)
    const after = await states(scene)
    expect((after['sent'] ?? 0) + (after['unknown'] ?? 0)).toBe(20)
  })

  test('fault 11: a worker stopped and continued after its lease cannot send what another has sent', async () => {
    const { scene } = await begin(1)
    const { reached, goOn } = holdAt('data')
    const late = startWorker(run, scene)
    await reached
    late.process.kill('SIGSTOP')
    await leasesRunOut(run, scene)
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 1 })
    late.process.kill('SIGCONT')
    goOn()
    expect(await late.said('sent')).toMatchObject({ sent: 0 })
    expect(await late.ended).toBe(0)
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: 1 })
  })

  test('fault 11: a worker stopped between the fence and the message lets nothing out when it comes back too late', async () => {
    const { scene, ids } = await begin(1)
    const late = startWorker(run, scene, { at: 'deliver.fenced:stop', leaseSeconds: 1 })
    await late.said('at')
    await expect.poll(() => scene.sql('select from deliveries where state = \'sending\' and lease_until < clock_timestamp()'), { timeout: 10_000 }).toHaveLength(1)
    await leasesRunOut(run, scene)
    late.process.kill('SIGCONT')
    expect(await late.said('sent')).toMatchObject({ sent: 0 })
    await late.ended
    await expectInvariants(run, scene)
    expect(run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${ids[0]}.`))).toEqual([])
    expect(await states(scene)).toEqual({ unknown: 1 })
  })

  test.each(['deliver.inData', 'deliver.fenced'])('fault 12: an event loop blocked for longer than the lease at %s lets nothing out', async (place) => {
    const { scene, ids } = await begin(1)
    const late = startWorker(run, scene, { at: `${place}:block`, leaseSeconds: 1 })
    expect(await late.said('sent')).toMatchObject({ sent: 0 })
    await late.ended
    expect(run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${ids[0]}.`))).toEqual([])
    await leasesRunOut(run, scene)
    await healthyWorker(run, scene)
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: 1 })
  })

  test('fault 18: the database is gone when the answer comes: unknown, no resend, and the worker survives', async () => {
    const { scene } = await begin()
    const wire = await wireTo(run.databaseUrl)
    try {
      const { reached, goOn } = holdAt('end')
      const worker = startWorker(run, scene, { databaseUrl: wire.databaseUrl, turns: 2 })
      await reached
      wire.cut()
      goOn()
      expect(await worker.said('turnFailed')).toBeDefined()
      wire.mend()
      expect(await worker.ended).toBe(0)
      expect(await leasesRunOut(run, scene)).toMatchObject({ unknown: 1 })
      await healthyWorker(run, scene)
      await expectInvariants(run, scene)
      expect(await states(scene)).toEqual({ sent: PEOPLE - 1, unknown: 1 })
    } finally {
      await wire.close()
    }
  })

  test('the database is gone when the message may leave: nothing leaves, and it is sent later', async () => {
    const { scene } = await begin()
    const wire = await wireTo(run.databaseUrl)
    try {
      const { reached, goOn } = holdAt('data')
      const worker = startWorker(run, scene, { databaseUrl: wire.databaseUrl })
      await reached
      wire.cut()
      goOn()
      await worker.said('turnFailed')
      await worker.ended
      expect(await leasesRunOut(run, scene)).toMatchObject({ unknown: 0, givenBack: PEOPLE })
      expect(await healthyWorker(run, scene)).toMatchObject({ sent: PEOPLE })
      await expectInvariants(run, scene)
    } finally {
      await wire.close()
    }
  })
})
