import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AHEAD_MS, allot, type Stream } from '../../src/deliveries/pace.ts'
import { createRelease } from '../../src/deliveries/releases.ts'
import { sweepReleases } from '../../src/deliveries/waves.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

const NOW = 1_000_000
const stream = (changes: Partial<Stream> = {}): Stream => ({ release: null, due: 1_000, gapMs: null, nextAt: 0, ...changes })
const unpaced = { gapMs: null, nextAt: 0 }

describe('instants', () => {
  test('without any rate are now, shared between the streams', () => {
    const { instants, nextInMs } = allot({ streams: [stream(), stream({ release: '1' })], organization: unpaced, now: NOW, limit: 10 })
    expect(instants.map((at) => at.length)).toEqual([5, 5])
    expect(new Set(instants.flat())).toEqual(new Set([NOW]))
    expect(nextInMs).toBeNull()
  })

  test('lie a gap apart, as far as it is looked ahead, and it is worth asking again before they are used up', () => {
    const { instants, streamsNextAt, nextInMs } = allot({ streams: [stream({ gapMs: 100 })], organization: unpaced, now: NOW, limit: 100 })
    expect(instants[0]).toEqual(Array.from({ length: 11 }, (_, index) => NOW + index * 100))
    expect(streamsNextAt).toEqual([NOW + 1_100])
    expect(nextInMs).toBe(1_100 - AHEAD_MS / 2)
  })

  test('go on where the queue ends; what nobody used is gone', () => {
    expect(allot({ streams: [stream({ gapMs: 100, nextAt: NOW + 350 })], organization: unpaced, now: NOW, limit: 2 }).instants[0]).toEqual([NOW + 350, NOW + 450])
    expect(allot({ streams: [stream({ gapMs: 100, nextAt: NOW - 60_000 })], organization: unpaced, now: NOW, limit: 2 }).instants[0]).toEqual([NOW, NOW + 100])
  })

  test('of releases with rates of their own keep the one of the organization together, and a slow one leaves the rest to the others', () => {
    const { instants } = allot({ streams: [stream({ release: '1', gapMs: 500 }), stream({ release: '2', gapMs: 10 }), stream()], organization: { gapMs: 100, nextAt: 0 }, now: NOW, limit: 100 })
    expect(instants.map((at) => at.length)).toEqual([2, 5, 4])
    expect(instants.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 11 }, (_, index) => NOW + index * 100))
  })

  test('one mail at a time, the streams take turns', () => {
    let organization = { gapMs: 10_000, nextAt: 0 }
    const taken = [0, 0, 0]
    for (let at = NOW; at < NOW + 300_000; at += 10_000) {
      const found = allot({ streams: [stream(), stream({ release: '1' }), stream({ release: '2' })], organization, now: at, limit: 100 })
      found.instants.forEach((instants, index) => (taken[index]! += instants.length))
      organization = { gapMs: 10_000, nextAt: found.organizationNextAt }
    }
    expect(taken).toEqual([10, 10, 10])
  })

  test('fewer than were planned all have their instants, however far ahead', () => {
    const streams = [stream({ release: '1', gapMs: 500, due: 3 }), stream({ release: '2', due: 1 }), stream({ due: 2 })]
    const { instants } = allot({ streams, organization: { gapMs: 400, nextAt: NOW }, now: NOW, limit: 6, aheadMs: Number.POSITIVE_INFINITY })
    expect(instants.map((at) => at.length)).toEqual([3, 1, 2])
    expect(instants[0]!.at(-1)! - instants[0]![0]!).toBeGreaterThanOrEqual(2 * 500)
    expect(Math.max(...instants.flat())).toBeGreaterThan(NOW + AHEAD_MS)
  })

  test('whatever the rates: never early, never closer than the stream and the organization allow, never more than are due', () => {
    const gap = fc.option(fc.double({ min: 0.06, max: 60_000, noNaN: true }))
    const streams = fc.array(fc.record({ due: fc.nat(50), gapMs: gap, nextAt: fc.integer({ min: NOW - 5_000, max: NOW + 5_000 }) }), { minLength: 1, maxLength: 5 })
    fc.assert(fc.property(streams, gap, fc.integer({ min: NOW - 5_000, max: NOW + 5_000 }), fc.nat(120), (found, gapMs, nextAt, limit) => {
      const all = found.map((one, index) => stream({ ...one, release: String(index) }))
      const { instants, streamsNextAt, organizationNextAt, nextInMs } = allot({ streams: all, organization: { gapMs, nextAt }, now: NOW, limit })
      const together = instants.flat().toSorted((a, b) => a - b)
      const apart = (times: readonly number[], least: number): boolean => times.every((at, index) => index === 0 || at - times[index - 1]! > least - 1e-6)
      expect(together.length).toBeLessThanOrEqual(limit)
      expect(together.every((at) => at >= Math.max(NOW, nextAt) && at <= NOW + AHEAD_MS)).toBe(true)
      if (gapMs !== null) expect(apart(together, gapMs)).toBe(true)
      if (gapMs !== null && together.length > 0) expect(organizationNextAt).toBeCloseTo(together.at(-1)! + gapMs, 6)
      all.forEach((one, index) => {
        expect(instants[index]!.length).toBeLessThanOrEqual(one.due)
        expect(instants[index]!.every((at) => at >= one.nextAt)).toBe(true)
        if (one.gapMs !== null) expect(apart(instants[index]!, one.gapMs)).toBe(true)
        if (one.gapMs !== null && instants[index]!.length > 0) expect(streamsNextAt[index]).toBeCloseTo(instants[index]!.at(-1)! + one.gapMs, 6)
      })
      // What is left over is left to a rate, or to the limit.
      const left = all.some((one, index) => instants[index]!.length < one.due)
      if (nextInMs === null) expect(!left || together.length === limit).toBe(true)
      else expect(left).toBe(true)
    }))
  })
})

test('what has no rate never takes the places of what has one, and leaves it no more than half where there are too few', () => {
  const gap = fc.double({ min: 5, max: 5_000, noNaN: true })
  fc.assert(fc.property(fc.array(gap, { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 10, max: 200 }), fc.integer({ min: -500, max: 900 }), (gaps, others, limit, from) => {
    const paced = gaps.map((gapMs, index) => stream({ release: `paced ${index}`, gapMs, nextAt: NOW + from }))
    const unpacedOnes = Array.from({ length: others }, (_, index) => stream({ release: `other ${index}` }))
    const alone = allot({ streams: paced, organization: unpaced, now: NOW, limit: Math.ceil(limit / 2) })
    const together = allot({ streams: [...unpacedOnes, ...paced], organization: unpaced, now: NOW, limit })
    const taken = together.instants.slice(others).flat().length
    expect(taken).toBe(alone.instants.flat().length)
    expect(together.instants.flat()).toHaveLength(limit)
  }))
})

test('a claim after the other, a release keeps its rate beside one that could always leave', () => {
  let nextAt = 0
  let taken = 0
  // Claims of 100 as they are made by a worker that sends 200 a second.
  for (let now = NOW; now < NOW + 60_000; now += 500) {
    const found = allot({ streams: [stream(), stream({ release: '1', gapMs: 100, nextAt })], organization: unpaced, now, limit: 100 })
    taken += found.instants[1]!.length
    nextAt = found.streamsNextAt[1]!
  }
  expect(taken).toBeGreaterThanOrEqual(600)
})

describe('rates over all workers (D6)', () => {
  let run: DeliveryRun
  beforeAll(async () => {
    run = await deliveryRun({ connections: 5 })
  })
  afterAll(() => run.close())

  const release = async (scene: Scene, people: number, ratePerMinute: number | null): Promise<{ id: string; deliveries: string[] }> => {
    const deliveries = await scene.owe(people, { state: 'held', sendAt: 'null' })
    const userIds = (await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1)', [deliveries])).map((row) => row.id)
    return run.database.tenant(scene.organizationId, async (tx) => {
      const { id } = await createRelease(tx, { name: `release of ${userIds[0]}`, userIds, purpose: 'invitation', sendAt: new Date(0), ratePerMinute, firstWave: 0, restAfterMinutes: 15, operator: 'olga' })
      await sweepReleases(tx)
      return { id, deliveries }
    })
  }
  /** When each of them left, in milliseconds, in order. */
  const watch = () => {
    const left: { id: string; at: number }[] = []
    run.sink.use(({ stage, text }) => {
      if (stage === 'end') left.push({ id: /^Message-ID: <(\d+)\./im.exec(text)![1]!, at: performance.now() })
      return undefined
    })
    return { left, of: (deliveries: readonly string[]) => left.filter(({ id }) => deliveries.includes(id)).map(({ at }) => at) }
  }
  test('two releases with rates of their own and mails of none keep theirs, and together the one of the organization', async () => {
    const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 3_000 } } })
    const fast = await release(scene, 20, 1_200)
    const slow = await release(scene, 5, 120)
    const alone = await scene.owe(20)
    const { left, of } = watch()
    const begun = performance.now()
    const reports = await Promise.all([run.send(scene), run.send(scene), run.send(scene)])
    expect(reports.reduce((sum, { sent }) => sum + sent, 0)).toBe(45)
    // A mail may be late on a busy machine, never early.
    const keeps = (times: number[], gap: number): void => times.forEach((at, index) => expect(at).toBeGreaterThan(begun + index * gap - 1))
    keeps(of(fast.deliveries), 50)
    keeps(of(slow.deliveries), 500)
    keeps(left.map(({ at }) => at), 20)
    // Nobody waited for the slow one.
    expect(of(slow.deliveries).at(-1)).toBeGreaterThan(of(alone).at(-1)!)
  })

  test('a new password leaves at once, though thousands are due before it at a slow rate', async () => {
    const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 60 } } })
    await release(scene, 300, null)
    await scene.owe(300)
    const { of, left } = watch()
    const controller = new AbortController()
    const sending = run.send(scene, { signal: controller.signal })
    await run.sink.reached('end')
    const [asked] = await scene.owe(1, { purpose: 'passwordChanged' })
    const askedAt = performance.now()
    await expect.poll(() => of([asked!]).length, { timeout: 5_000 }).toBe(1)
    controller.abort()
    await sending
    expect(of([asked!])[0]! - askedAt).toBeLessThan(1_000)
    expect(left.length).toBeLessThan(10)
  })

  test('what was refused takes nobody’s instant', async () => {
    const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 600 } } })
    const { deliveries } = await release(scene, 40, null)
    await scene.sql(`update users set state = 'inactive' where id in (select user_id from deliveries where id = any ($1))`, [deliveries.slice(0, 35)])
    const begun = performance.now()
    expect(await run.send(scene)).toMatchObject({ sent: 5, cancelled: 35 })
    expect(performance.now() - begun).toBeLessThan(35 * 100)
  })
})
