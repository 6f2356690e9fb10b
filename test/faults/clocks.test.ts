/** Faults 37 and 38: wrong clocks of machines, and days on which clocks change. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import { importing } from '../support/importing.ts'
import { bodiesOf, endWorkers, expectInvariants, healthyWorker, startWorker, states } from './workers.ts'

const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const HOUR = 3_600_000

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ extensions: ['PIPELINING', 'AUTH PLAIN'] })
})
afterEach(endWorkers)
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const headerOf = (body: string, name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(body)![1]!.trim()

describe.each(Array.from({ length: REPEATS }, (_, index) => index + 1))('round %i', () => {
  test.each([['an hour fast', HOUR], ['an hour slow', -HOUR], ['a day fast', 24 * HOUR], ['a day slow', -24 * HOUR]])('fault 37: a worker whose clock is %s sends nothing early, nothing late, and dates mails rightly', async (_, clockOffsetMs) => {
    // With a rate, instants are reckoned with, too.
    const scene = await run.scene({ settings: { mail: { from: 'Acme <no-reply@acme.example>', ratePerMinute: 6_000 } } })
    const due = [...(await scene.owe(3)), ...(await scene.owe(1, { purpose: 'credentials' }))]
    const early = [...(await scene.owe(1, { sendAt: "now() + interval '50 minutes'" })), ...(await scene.owe(1, { sendAt: "now() + interval '23 hours'" }))]
    const worker = startWorker(run, scene, { clockOffsetMs })
    const { clock } = await worker.said('clock')
    expect(Math.abs(Date.parse(clock as string) - Date.now() - clockOffsetMs), 'its clock is wrong indeed').toBeLessThan(60_000)
    expect(await worker.said('sent')).toMatchObject({ sent: due.length })
    expect(await worker.ended).toBe(0)
    await expectInvariants(run, scene)
    expect(await states(scene)).toEqual({ sent: due.length, scheduled: early.length })
    expect(early.flatMap((id) => bodiesOf(run, id))).toEqual([])
    const now = (await run.database.now()).getTime()
    for (const { body } of due.flatMap((id) => bodiesOf(run, id))) expect(Math.abs(Date.parse(headerOf(body, 'date')) - now)).toBeLessThan(60_000)
    const [lifetime] = await scene.sql<{ days: number }>(`select max(abs(extract(epoch from expires_at - now()) / 86400 - 7))::float8 as days from invitations where organization_id = $1 and state = 'launched'`, [scene.organizationId])
    expect(lifetime!.days, 'an invitation lasts seven days from its sending').toBeLessThan(0.01)
  })

  /** Each Send Date as a file writes it, and the instant; null: there is no such time, and the row is rejected. */
  const zones: [zone: string, dates: [written: string, instant: string | null][]][] = [
    ['America/New_York', [
      ['2031-03-09 01:59', '2031-03-09T06:59:00.000Z'],
      ['2031-03-09 02:30', null],
      ['2031-03-09 03:00', '2031-03-09T07:00:00.000Z'],
      ['2031-11-02 00:59', '2031-11-02T04:59:00.000Z'],
      ['2031-11-02 01:30', '2031-11-02T05:30:00.000Z'],
      ['2031-11-02 02:00', '2031-11-02T07:00:00.000Z'],
    ]],
    ['Australia/Lord_Howe', [
      ['2031-04-06 01:29', '2031-04-05T14:29:00.000Z'],
      ['2031-04-06 01:45', '2031-04-05T14:45:00.000Z'],
      ['2031-04-06 02:00', '2031-04-05T15:30:00.000Z'],
      ['2031-10-05 01:59', '2031-10-04T15:29:00.000Z'],
      ['2031-10-05 02:15', null],
      ['2031-10-05 02:30', '2031-10-04T15:30:00.000Z'],
    ]],
  ]

  test.each(zones)('fault 38: dates of a file on the days when the clocks of %s change are owed once each, at the instant that the documents say', async (timeZone, dates) => {
    const acme = await importing(run.database, { timeZone })
    const csv = `External ID,First Name,Last Name,Email,Send Date\n${dates.map(([written], index) => `E${index},Ana,Nguyen,ana${index}@dst.example,${written}\n`).join('')}`
    const report = await acme.run(csv)
    const { read, ...rest } = report.totals
    expect(Object.values(rest).reduce((sum, count) => sum + count, 0), 'I1').toBe(read)
    const skipped = dates.flatMap(([, instant], index) => (instant === null ? [index + 2] : []))
    expect(report.issues.filter(({ severity }) => severity === 'error').map(({ row, code }) => [row, code])).toEqual(skipped.map((row) => [row, 'date.nonexistent']))
    const expected = dates.flatMap(([, instant], index) => (instant === null ? [] : [{ to: `ana${index}@dst.example`, state: 'scheduled', sendAt: instant }]))
    const owed = async () => (await acme.deliveries()).map(({ to, state, sendAt }) => ({ to, state, sendAt }))
    expect(await owed()).toEqual(expected)
    await acme.run(csv)
    expect(await owed(), 'taken in again, nobody is owed a second').toEqual(expected)

    // Time passes, the same for all: those of the first half are due, and the last one of them to the second.
    const half = expected.toSorted((a, b) => a.sendAt.localeCompare(b.sendAt)).slice(0, 3)
    const last = half.at(-1)!.sendAt
    await acme.sql(`update deliveries set send_at = send_at - ($2::timestamptz - now()) where organization_id = $1`, [acme.organizationId, last])
    expect(await healthyWorker(run, acme)).toMatchObject({ sent: 3 })
    expect(await healthyWorker(run, acme)).toMatchObject({ sent: 0 })
    const left = (await acme.deliveries()).filter(({ state }) => state === 'sent')
    expect(left.map(({ to }) => to).sort()).toEqual(half.map(({ to }) => to).sort())
    expect(left.map(({ id }) => bodiesOf(run, id).length)).toEqual([1, 1, 1])
    await expectInvariants(run, acme)
  })
})
