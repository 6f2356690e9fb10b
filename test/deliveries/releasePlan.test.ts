/** When a release is expected to end (spec D6): behind whatever shares its rate, and by the rate at which its mails leave. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endOfAll, showRelease, type ReleaseLine } from '../../src/deliveries/releasePlan.ts'
import { createRelease, moveRelease } from '../../src/deliveries/releases.ts'
import { sweepReleases } from '../../src/deliveries/waves.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 1 })
})
afterAll(() => run.close())

const within = <T>(scene: Scene, work: (tx: Transaction) => Promise<T>): Promise<T> => run.database.tenant(scene.organizationId, work)
const show = (scene: Scene, id: string): Promise<ReleaseLine> => within(scene, (tx) => showRelease(tx, id))
const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)
/** A release to so many people who are owed nothing else. */
async function release(scene: Scene, mails: number, sendAt: Date): Promise<{ id: string }> {
  const owed = await scene.owe(mails, { state: 'held', sendAt: 'null' })
  const users = await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1) order by user_id', [owed])
  return within(scene, (tx) => createRelease(tx, { name: `go-live ${owed[0]}`, userIds: users.map(({ id }) => id), purpose: 'invitation', sendAt, ratePerMinute: null, firstWave: 0, restAfterMinutes: 15, operator: 'olga' }))
}

test('mails that share a rate end when all of them have left, each from its instant on', () => {
  const at = (minute: number): Date => new Date(minute * 60_000)
  expect(endOfAll([{ at: at(10), count: 20 }, { at: at(0), count: 50 }], 10)).toEqual(at(12))
  expect(endOfAll([{ at: at(0), count: 150 }, { at: at(10), count: 20 }], 10)).toEqual(at(17))
})

test('the end is behind whatever else of the organization is due until then', async () => {
  const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 10 } } })
  const sendAt = inHours(1)
  const minutes = async (id: string): Promise<number> => {
    const { expectedAt } = await show(scene, id)
    return (new Date(expectedAt!).getTime() - sendAt.getTime()) / 60_000
  }
  const one = await release(scene, 10, sendAt)
  expect([await minutes(one.id), (await show(scene, one.id)).beside]).toEqual([1, 0])
  const two = await release(scene, 20, sendAt)
  // Ten and twenty, ten a minute: the last of both leaves after three.
  expect([await minutes(one.id), await minutes(two.id), (await show(scene, one.id)).beside, (await show(scene, two.id)).beside].map(Math.round)).toEqual([3, 3, 20, 10])
  await within(scene, (tx) => moveRelease(tx, two.id, inHours(5), 'olga'))
  expect([await minutes(one.id), (await show(scene, one.id)).beside]).toEqual([1, 0])
})

test('under way, the end is by the rate at which they leave', async () => {
  const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 600 } } })
  const { id } = await release(scene, 10, new Date(0))
  await within(scene, sweepReleases)
  const deliveries = (await scene.sql<{ id: string }>('select id from deliveries where organization_id = $1 order by id', [scene.organizationId])).map((delivery) => delivery.id)
  await scene.sql(`update deliveries set state = 'sent', sent_at = now() - interval '10 seconds' + (id - $2) * interval '2 seconds' where id = any ($1)`, [deliveries.slice(0, 5), deliveries[0]])
  const { actualRate, expectedAt, state } = await show(scene, id)
  expect([state, actualRate]).toEqual(['running', 30])
  const [clock] = await scene.sql<{ now: Date }>('select now() as now')
  const seconds = (new Date(expectedAt!).getTime() - clock!.now.getTime()) / 1000
  expect(seconds).toBeGreaterThan(8)
  expect(seconds).toBeLessThanOrEqual(10)
})
