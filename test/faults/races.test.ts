/** What several processes want at the same moment, and only one can have: a delivery, a seat. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import { importing, type Importing } from '../support/importing.ts'
import { bodiesOf, endWorkers, expectInvariants, startChild, startWorker, states, type Child } from './workers.ts'

const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const rounds = Array.from({ length: REPEATS }, (_, index) => index + 1)
/** Races of a round: processes are started once for all of them. */
const RACES = 15

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ extensions: ['PIPELINING', 'AUTH PLAIN'] })
})
afterAll(async () => {
  endWorkers()
  await run.close()
})
beforeEach(() => run.sink.use(() => undefined))

const all = <T>(children: readonly Child[], ask: (child: Child) => Promise<T>): Promise<T[]> => Promise.all(children.map(ask))

describe.each(rounds)('round %i', () => {
  afterEach(endWorkers)

  test.each([['one delivery', 1], ['three deliveries', 3]])(`two workers that race for %s, ${RACES} times: each is sent once, by one of them`, async (_, mails) => {
    const scene = await run.scene()
    const workers = [startWorker(run, scene, { told: true, turns: RACES }), startWorker(run, scene, { told: true, turns: RACES })]
    const won = [0, 0]
    for (let race = 0; race < RACES; race++) {
      await all(workers, (worker) => worker.said('ready'))
      const ids = await scene.owe(mails, { purpose: race % 2 === 0 ? 'invitation' : 'credentials' })
      for (const worker of workers) worker.tell({ go: race })
      const reports = await all(workers, (worker) => worker.said('sent'))
      for (const [index, { sent }] of reports.entries()) won[index]! += sent as number
      expect(reports.reduce((sum, { sent }) => sum + (sent as number), 0)).toBe(mails)
      expect(ids.map((id) => bodiesOf(run, id).length)).toEqual(ids.map(() => 1))
    }
    expect(await all(workers, ({ ended }) => ended)).toEqual([0, 0])
    expect(won[0]! + won[1]!).toBe(RACES * mails)
    expect(await states(scene)).toEqual({ sent: RACES * mails })
    const [attempts] = await scene.sql<{ most: number }>('select max(number) as most from delivery_attempts where organization_id = $1', [scene.organizationId])
    expect(attempts!.most, 'who came second tried nothing').toBe(1)
    await expectInvariants(run, scene)
  })
})

describe('seats run out under eight workers', { timeout: 60_000 }, () => {
  const WORKERS = 8
  const EACH = 5
  const SEATS = 13

  let children: Child[]
  beforeAll(async () => {
    children = Array.from({ length: WORKERS }, () => startChild('importer.ts', run.databaseUrl, {}))
    await all(children, (child) => child.said('ready'))
  })
  const seatsTaken = async (acme: Importing): Promise<number> => (await acme.sql<{ count: number }>(`select count(*)::int as count from users u join licenses l on l.id = u.license_id where l.name = 'Full' and u.state = 'active' and u.organization_id = $1`, [acme.organizationId]))[0]!.count

  /** An organization with fewer seats than eight files want, and the files received or previewed. */
  async function begin(preview: boolean) {
    const acme = await importing(run.database, { whenOutOfSeats: 'contact-only', licenses: [{ name: 'Full', seats: SEATS }, { name: 'Read only', seats: null }] })
    // Names of their own: plans made side by side would give out the same usernames.
    const csv = (file: number): string => `External ID,First Name,Last Name,Email\n${Array.from({ length: EACH }, (_, index) => `E${file}-${index},An${'abcdefgh'[file]},Nguyen,ana${file}-${index}@seats.example\n`).join('')}`
    const ids: string[] = []
    for (let file = 0; file < WORKERS; file++) {
      if (preview) ids.push((await acme.preview(csv(file))).id)
      else ids.push(await receiveFile(run.database, acme.organizationId, { name: 'people.csv', bytes: [Buffer.from(csv(file))] }, DEFAULT_OPTIONS))
    }
    return { acme, ids }
  }

  async function expectSettled(acme: Importing, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const { totals } = await acme.report(id)
      const { read, ...rest } = totals
      expect(Object.values(rest).reduce((sum, count) => sum + count, 0), 'I1').toBe(read)
    }
    expect(await acme.sql('select from seat_reservations where organization_id = $1', [acme.organizationId]), 'nothing stays set aside').toEqual([])
    await expectInvariants(run, acme)
  }

  test.each(rounds)('files taken in at once, round %i: every seat is given, none twice, and everybody else awaits one', async () => {
    const { acme, ids } = await begin(false)
    for (const [index, child] of children.entries()) child.tell({ organizationId: acme.organizationId, take: ids[index] })
    expect(await all(children, (child) => child.said('ended'))).toEqual(children.map(() => ({ ended: 'done' })))
    expect(await seatsTaken(acme)).toBe(SEATS)
    const reports = await Promise.all(ids.map((id) => acme.report(id)))
    expect(reports.map(({ state }) => state)).toEqual(ids.map(() => 'committed'))
    expect(reports.reduce((sum, { users }) => sum + users.created, 0)).toBe(SEATS)
    expect(reports.reduce((sum, { users }) => sum + users.withoutSeat, 0)).toBe(WORKERS * EACH - SEATS)
    expect(await acme.contacts()).toHaveLength(WORKERS * EACH)
    await expectSettled(acme, ids)
  })

  test.each(rounds)('plans that each fit alone, committed at once, round %i: those that still fit are carried out whole, of the others nothing', async () => {
    const { acme, ids } = await begin(true)
    for (const [index, child] of children.entries()) child.tell({ organizationId: acme.organizationId, commit: ids[index] })
    const ended = await all(children, (child) => child.said('ended'))
    const fit = Math.floor(SEATS / EACH)
    const done = ids.filter((_, index) => ended[index]!['ended'] === 'done')
    // While a plan is carried out its seats count twice: one less may fit, never one more.
    expect(done.length).toBeGreaterThan(0)
    expect(done.length).toBeLessThanOrEqual(fit)
    expect(ended.filter(({ ended }) => ended !== 'done').map(({ code }) => code)).toEqual(Array.from({ length: WORKERS - done.length }, () => 'license.seats_gone'))
    expect(await seatsTaken(acme)).toBe(done.length * EACH)
    expect(await acme.contacts(), 'of a refused plan nothing was written').toHaveLength(done.length * EACH)
    await expectSettled(acme, done)
  })

  test('the processes end in order with their input', async () => {
    for (const child of children) child.process.stdin!.end()
    expect(await all(children, ({ ended }) => ended)).toEqual(children.map(() => 0))
  })
})
