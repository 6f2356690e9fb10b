/** Faults 19 to 25: what a mail server may answer, or not, to worker processes; what is waited for is the table, the sink and the process. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { resolve } from '../../src/deliveries/release.ts'
import { sweepDeliveries } from '../../src/jobs/deliver.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'
import type { Answer, Stage } from '../support/smtpSink.ts'
import { beginMails, bodiesOf, endWorkers, expectInvariants, healthyWorker, leasesRunOut, startWorker, states, SEEDED } from './workers.ts'

const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const PEOPLE = 3

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ extensions: ['PIPELINING', 'AUTH PLAIN'] })
})
afterEach(endWorkers)
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const at = (stage: Stage, answer: Answer) => run.sink.use((event) => (event.stage === stage ? answer : undefined))
/** Time passes until the next try of each mail. */
const pausesRunOut = (scene: Scene) => scene.sql(`update deliveries set send_at = now() where organization_id = $1 and state = 'scheduled'`, [scene.organizationId])
const bodies = (ids: readonly string[]) => ids.map((id) => bodiesOf(run, id).length)
const each = <T>(value: T): T[] => Array.from({ length: PEOPLE }, () => value)

describe.each(Array.from({ length: REPEATS }, (_, index) => index + 1))('round %i', (round) => {
  const begin = (people = PEOPLE) => beginMails(run, round, people)

  test.each<[string, Stage, Answer, string, number]>([
    ['19: 421 at MAIL', 'mail', { raw: '421 4.3.2 too many connections\r\n', next: 'close' }, '421 4.3.2 too many connections', 0],
    ['19: 451 at RCPT', 'rcpt', '451 4.7.1 greylisted', '451 4.7.1 greylisted', 0],
    ['21: 451 after the dot', 'end', '451 4.3.0 try again', '451 4.3.0 try again', 1],
    ['21: 421 after the dot', 'end', { raw: '421 4.3.2 closing\r\n', next: 'go on' }, '421 4.3.2 closing', 1],
  ])('fault %s: tried again after a pause, and sent once', async (_, stage, answer, words, refused) => {
    at(stage, answer)
    const { scene, ids } = await begin()
    expect(await healthyWorker(run, scene)).toMatchObject({ retried: PEOPLE, sent: 0, unknown: 0 })
    for (const id of ids) {
      const { delay, ...row } = await run.delivery(scene, id)
      expect(row).toMatchObject({ state: 'scheduled', attempts: 1, reason: `refused_for_now: ${words}` })
      // The first pause is a minute, give or take a tenth.
      expect(delay).toBeGreaterThan(40)
      expect(delay).toBeLessThan(67)
    }
    run.sink.use(() => undefined)
    expect(await healthyWorker(run, scene), 'nobody tries before the pause is over').toMatchObject({ sent: 0, retried: 0 })
    await pausesRunOut(scene)
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: PEOPLE })
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: PEOPLE })
    expect(bodies(ids)).toEqual(each(1 + refused))
    expect(await scene.sql('select distinct attempts, reason from deliveries where organization_id = $1', [scene.organizationId])).toEqual([{ attempts: 2, reason: null }])
  })

  test.each<[string, Stage, string, number]>([
    ['20: 550 at RCPT', 'rcpt', '550 5.1.1 no such user here', 0],
    ['20: 554 after the dot', 'end', '554 5.7.1 looks like spam', 1],
  ])('fault %s: failed for good, with the words of the server, and never tried again', async (_, stage, words, received) => {
    at(stage, words)
    const { scene, ids } = await begin()
    expect(await healthyWorker(run, scene)).toMatchObject({ failed: PEOPLE })
    run.sink.use(() => undefined)
    await leasesRunOut(run, scene)
    await pausesRunOut(scene)
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0, failed: 0 })
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ failed: PEOPLE })
    expect(bodies(ids)).toEqual(each(received))
    expect(await scene.sql('select distinct attempts, reason from deliveries where organization_id = $1', [scene.organizationId])).toEqual([{ attempts: 1, reason: `refused: ${words}` }])
  })

  test.each<[string, Answer]>([
    ['closed', { next: 'close' }],
    ['reset', { next: 'reset' }],
    ['silent', { next: 'hang' }],
    ['half an acceptance', { raw: '250 2.0', next: 'close' }],
    ['half a refusal', { raw: '550 5.7.1 no', next: 'close' }],
    ['the first line of a longer answer', { raw: '250-2.0.0 wait\r\n', next: 'close' }],
  ])('fault 22: %s after the dot: unknown, no resend; a second one only when somebody says so', async (_, answer) => {
    at('end', answer)
    const { scene, ids } = await begin(2)
    expect(await healthyWorker(run, scene, { answerMs: 300 })).toMatchObject({ unknown: 2, sent: 0, retried: 0, failed: 0 })
    run.sink.use(() => undefined)
    await leasesRunOut(run, scene)
    await pausesRunOut(scene)
    await run.database.tenant(scene.organizationId, (tx) => resolve(tx, ids[0]!, 'not-sent', 'olga'))
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 1 })
    await expectInvariants(run, scene)
    expect(bodies(ids)).toEqual([2, 1])
    expect(await run.delivery(scene, ids[0]!)).toMatchObject({ state: 'sent', epoch: 2 })
    expect(await run.delivery(scene, ids[1]!)).toMatchObject({ state: 'unknown', epoch: 1, reason: expect.stringMatching(/^no_answer: /) })
  })

  test('fault 23: 250, and then the connection is closed: sent', async () => {
    at('end', { raw: '250 2.0.0 taken\r\n', next: 'close' })
    const { scene, ids } = await begin()
    const connections = run.sink.connections
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: PEOPLE, unknown: 0, retried: 0 })
    expect(run.sink.connections - connections, 'it is closed each time').toBe(PEOPLE)
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: PEOPLE })
    expect(bodies(ids)).toEqual(each(1))
  })

  test('fault 24: the dot is answered after several leases: waited for, the lease renewed, and nobody else touches it', async () => {
    const answer = Promise.withResolvers<string>()
    const reached = Promise.withResolvers<void>()
    run.sink.use(({ stage }) => {
      if (stage !== 'end') return undefined
      reached.resolve()
      return answer.promise
    })
    const { scene, ids } = await begin(1)
    const patient = startWorker(run, scene, { leaseSeconds: 1 })
    await reached.promise
    const [{ lease }] = (await scene.sql<{ lease: string }>('select lease_until::text as lease from deliveries where id = $1', [ids[0]])) as [{ lease: string }]
    // Nine minutes of leases of a minute are here some seconds of leases of one.
    const renewed = () => scene.sql(`select from deliveries where id = $1 and state = 'sending' and lease_until > $2::timestamptz + interval '2.5 seconds'`, [ids[0], lease])
    await expect.poll(renewed, { timeout: 15_000, interval: 50 }).toHaveLength(1)
    expect(await sweepDeliveries(run.database, scene.organizationId)).toMatchObject({ givenBack: 0, unknown: 0 })
    expect(await healthyWorker(run, scene)).toMatchObject({ sent: 0 })
    answer.resolve('250 2.0.0 taken at last')
    expect(await patient.said('sent')).toMatchObject({ sent: 1 })
    expect(await patient.ended).toBe(0)
    await expectInvariants(run, scene)
    expect([await states(scene), bodies(ids)]).toEqual([{ sent: 1 }, [1]])
  })

  test('fault 25: the login is refused: mail is paused, one alert of all workers, no attempts burnt; it goes on by itself', async () => {
    at('auth', `535 5.7.8 bad credentials (${SEEDED.smtpPassword})`)
    const [one, two] = [await begin(), await begin()]
    const workers = [startWorker(run, one.scene), startWorker(run, two.scene)]
    for (const worker of workers) {
      expect(await worker.said('sent')).toMatchObject({ sent: 0, failed: 0, retried: 0, unknown: 0, outage: true })
      expect(await worker.ended).toBe(0)
    }
    expect(workers.map(({ output }) => output().split('smtp_login_refused').length - 1).reduce((sum, alerts) => sum + alerts, 0)).toBe(1)
    expect(await one.scene.sql('select service, reason from service_pauses')).toEqual([{ service: 'smtp', reason: '535 5.7.8 bad credentials ([removed])' }])
    for (const { scene } of [one, two]) {
      expect(await scene.sql('select distinct state, attempts, send_at <= now() as due from deliveries where organization_id = $1', [scene.organizationId])).toEqual([{ state: 'scheduled', attempts: 0, due: true }])
    }

    const { connections } = run.sink
    expect(await healthyWorker(run, one.scene), 'while it is paused nobody asks the server').toMatchObject({ sent: 0, outage: true })
    expect(run.sink.connections).toBe(connections)

    run.sink.use(() => undefined)
    await one.scene.sql(`update service_pauses set retry_at = now() - interval '1 second'`)
    for (const { scene, ids } of [one, two]) {
      expect(await healthyWorker(run, scene)).toMatchObject({ sent: PEOPLE })
      await expectInvariants(run, scene)
      expect(bodies(ids)).toEqual(each(1))
    }
    expect(await one.scene.sql('select from service_pauses')).toEqual([])
  })
})
