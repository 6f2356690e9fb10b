/**
 * Fault 41 with a real import, release and declaration: a worker process holds mails that the mail server is already waiting for, while
 * something changes for their people. What was true when they were claimed no longer counts.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRelease, cancelRelease, freezeRelease, moveRelease, resumeRelease } from '../../src/deliveries/releases.ts'
import type { Transaction } from '../../src/entities/database.ts'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { deactivate } from '../../src/jobs/operateUsers.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import { importing, type Importing } from '../support/importing.ts'
import { bodiesOf, endWorkers, expectInvariants, healthyWorker, startWorker, states } from './workers.ts'

const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const PEOPLE = 3

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ extensions: ['PIPELINING', 'AUTH PLAIN'] })
})
afterEach(endWorkers)
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

let released = 0
const csv = (domain: string): string => `External ID,First Name,Last Name,Email\n${Array.from({ length: PEOPLE }, (_, index) => `E${index},Ana,Nguyen,ana${index}@${domain}\n`).join('')}`

function expectTotals({ totals }: ImportReport): void {
  const { read, ...rest } = totals
  expect(Object.values(rest).reduce((sum, count) => sum + count, 0), 'I1').toBe(read)
}

type Held = {
  acme: Importing
  releaseId: string
  ids: string[]
  within<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
}

/** People of an import, released now. */
async function goLive(): Promise<Held> {
  const acme = await importing(run.database)
  const report = await acme.run(csv('old.example'))
  expectTotals(report)
  const within: Held['within'] = (work) => run.database.tenant(acme.organizationId, work)
  const userIds = (await acme.users()).map(({ id }) => id)
  const { id: releaseId, owed } = await within((tx) => createRelease(tx, { name: `go-live ${++released}`, userIds, purpose: 'invitation', sendAt: new Date(0), ratePerMinute: null, firstWave: 0, restAfterMinutes: 0, operator: 'olga' }))
  expect(owed).toBe(PEOPLE)
  return { acme, releaseId, ids: (await acme.deliveries()).map(({ id }) => id), within }
}

/** Has a worker bring all of them to where the server waits for the message, does it, and lets the server go on; gives what the worker says. */
async function during({ acme }: Held, stage: 'rcpt' | 'data', change: () => Promise<unknown>): Promise<Record<string, unknown>> {
  const reached = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  let waiting = 0
  run.sink.use(async (event) => {
    if (event.stage !== stage) return undefined
    if (++waiting === PEOPLE) reached.resolve()
    await goOn.promise
    return undefined
  })
  const worker = startWorker(run, acme, { connections: PEOPLE })
  await reached.promise
  expect(await states(acme)).toEqual({ queued: PEOPLE })
  await change()
  goOn.resolve()
  const report = await worker.said('sent')
  expect(await worker.ended).toBe(0)
  run.sink.use(() => undefined)
  return report
}

const reasons = async ({ acme }: Held) => (await acme.deliveries()).map(({ state, reason }) => [state, reason])
const each = <T>(value: T): T[] => Array.from({ length: PEOPLE }, () => value)

describe.each(Array.from({ length: REPEATS }, (_, index) => index + 1))('round %i: fault 41, while the server waits,', () => {
  const changes: [string, 'rcpt' | 'data', (held: Held) => Promise<unknown>, state: string, reason: string][] = [
    ['users are deactivated', 'data', ({ acme, within }) => within(async (tx) => deactivate(tx, 'olga', (await acme.users()).map(({ id }) => id))), 'cancelled', 'user_inactive'],
    ['the organization is declared to use SSO', 'data', ({ acme }) => acme.declare({ login: { sso: true } }), 'cancelled', 'organization_uses_sso'],
    ['the release is cancelled', 'data', ({ releaseId, within }) => within((tx) => cancelRelease(tx, releaseId, 'olga')), 'cancelled', 'release_cancelled'],
    ['the release is frozen', 'rcpt', ({ releaseId, within }) => within((tx) => freezeRelease(tx, releaseId, 'olga')), 'held', 'release_frozen'],
  ]
  test.each(changes)('%s: nobody gets a stale mail, and the reason is kept', async (_, stage, change, state, reason) => {
    const held = await goLive()
    expect(await during(held, stage, () => change(held))).toMatchObject({ sent: 0, unknown: 0 })
    expect(await healthyWorker(run, held.acme)).toMatchObject({ sent: 0 })
    expect(await reasons(held)).toEqual(each([state, reason]))
    expect(held.ids.flatMap((id) => bodiesOf(run, id))).toEqual([])
    await expectInvariants(run, held.acme)
  })

  test('go-live is moved: nothing leaves before the new date, and everybody gets one mail on it', async () => {
    const held = await goLive()
    const tomorrow = new Date((await run.database.now()).getTime() + 86_400_000)
    expect(await during(held, 'data', () => held.within((tx) => moveRelease(tx, held.releaseId, tomorrow, 'olga')))).toMatchObject({ sent: 0, unknown: 0 })
    expect(await healthyWorker(run, held.acme)).toMatchObject({ sent: 0 })
    expect((await held.acme.deliveries()).map(({ state, sendAt, attempts }) => [state, sendAt, attempts])).toEqual(each(['scheduled', tomorrow.toISOString(), 0]))
    expect(held.ids.flatMap((id) => bodiesOf(run, id))).toEqual([])
    await held.within((tx) => moveRelease(tx, held.releaseId, new Date(0), 'olga'))
    expect(await healthyWorker(run, held.acme)).toMatchObject({ sent: PEOPLE })
    expect(held.ids.map((id) => bodiesOf(run, id).length)).toEqual(each(1))
    await expectInvariants(run, held.acme)
  })

  test('a release that was frozen and goes on sends each mail once', async () => {
    const held = await goLive()
    await during(held, 'data', () => held.within((tx) => freezeRelease(tx, held.releaseId, 'olga')))
    await healthyWorker(run, held.acme)
    await held.within((tx) => resumeRelease(tx, held.releaseId, 'olga'))
    expect(await healthyWorker(run, held.acme)).toMatchObject({ sent: PEOPLE })
    expect(held.ids.map((id) => bodiesOf(run, id).length)).toEqual(each(1))
    await expectInvariants(run, held.acme)
  })

  test('an import brings other addresses: the old ones get nothing, the new ones a mail with a link of its own', async () => {
    const held = await goLive()
    const report = await during(held, 'data', async () => {
      const taken = await held.acme.run(csv('new.example'))
      expectTotals(taken)
      expect(taken.totals.updated).toBe(PEOPLE)
    })
    expect(report).toMatchObject({ sent: 0, unknown: 0 })
    expect(await healthyWorker(run, held.acme)).toMatchObject({ sent: PEOPLE })
    const bodies = held.ids.flatMap((id) => bodiesOf(run, id))
    expect(bodies.map(({ to }) => to[0]).sort()).toEqual(Array.from({ length: PEOPLE }, (_, index) => `ana${index}@new.example`))
    expect((await held.acme.deliveries()).map(({ state, to }) => [state, to])).toEqual(Array.from({ length: PEOPLE }, (_, index) => ['sent', `ana${index}@new.example`]))
    await expectInvariants(run, held.acme)
  })
})
