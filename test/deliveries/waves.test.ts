import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { showRelease } from '../../src/deliveries/releasePlan.ts'
import { releaseHeld } from '../../src/deliveries/release.ts'
import { createRelease, freezeRelease, moveRelease, resumeRelease, type ReleaseWish } from '../../src/deliveries/releases.ts'
import { judgeWave, readWave, sweepReleases, type Wave } from '../../src/deliveries/waves.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { sweepOnce } from '../../src/jobs/sweep.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 2 })
})
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const within = <T>(scene: Scene, work: (tx: Transaction) => Promise<T>): Promise<T> => run.database.tenant(scene.organizationId, work)
const sweep = (scene: Scene) => within(scene, sweepReleases)
const counts = async (scene: Scene, id: string) => (await within(scene, (tx) => showRelease(tx, id))).counts
/** A release whose date has come, with a first wave. */
async function begun(scene: Scene, people: number, firstWave: number, changes: Partial<ReleaseWish> = {}): Promise<string> {
  const deliveries = await scene.owe(people, { state: 'held', sendAt: 'null' })
  const users = (await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1)', [deliveries])).map(({ id }) => id)
  const { id } = await within(scene, (tx) => createRelease(tx, { name: 'go-live', userIds: users, purpose: 'invitation', sendAt: new Date(0), ratePerMinute: null, firstWave, restAfterMinutes: 15, operator: 'olga', ...changes }))
  await sweep(scene)
  return id
}
/** The time of the rest comes. */
const restDue = (scene: Scene, id: string) => scene.sql(`update releases set send_at = send_at - interval '15 minutes' where id = $1`, [id])
const refuse = (fraction: number) => {
  let asked = 0
  run.sink.use(({ stage }) => (stage === 'rcpt' && asked++ % fraction === 0 ? '550 5.1.1 no such user' : undefined))
}

describe('judging a first wave', () => {
  const wave = (changes: Partial<Wave>): Wave => ({ sent: 0, troubled: 0, retrying: 0, untried: 0, ...changes })
  test.each<[string, Wave, boolean, ReturnType<typeof judgeWave>]>([
    ['all sent, before the time', wave({ sent: 100 }), false, 'wait'],
    ['all sent', wave({ sent: 100 }), true, 'go'],
    ['19 of 100 in trouble', wave({ sent: 81, troubled: 19 }), true, 'go'],
    ['20 of 100 in trouble', wave({ sent: 80, troubled: 20 }), true, 'freeze'],
    ['20 of 100 in trouble, before the time, with others to come', wave({ sent: 10, troubled: 20, untried: 70 }), false, 'freeze'],
    ['the first three of 100 in trouble', wave({ troubled: 3, untried: 97 }), false, 'wait'],
    ['some not tried yet', wave({ sent: 99, untried: 1 }), true, 'wait'],
    ['many refused for now', wave({ sent: 50, retrying: 50 }), true, 'wait'],
    ['a few refused for now', wave({ sent: 95, retrying: 5 }), true, 'go'],
    ['trouble and refusals together', wave({ sent: 80, troubled: 10, retrying: 10 }), true, 'wait'],
    ['one mistyped address of five', wave({ sent: 4, troubled: 1 }), true, 'go'],
    ['two of five in trouble', wave({ sent: 3, troubled: 2 }), true, 'go'],
    ['three of five in trouble', wave({ sent: 2, troubled: 3 }), true, 'freeze'],
    ['half of a wave of two', wave({ sent: 1, troubled: 1 }), true, 'freeze'],
    ['the only one failed', wave({ troubled: 1 }), true, 'freeze'],
    ['everybody was left out at sending', wave({}), true, 'go'],
    ['everybody was left out, before the time', wave({}), false, 'wait'],
  ])('%s', (_, found, due, verdict) => {
    expect(judgeWave(found, due)).toBe(verdict)
  })
})

describe('a first wave', () => {
  test('leaves alone; the rest follows when its time has come, each once', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 20, 5)
    const before = run.sink.messages.length
    expect(await run.send(scene)).toMatchObject({ sent: 5 })
    expect(await sweep(scene)).toMatchObject({ followed: [], finished: [] })
    expect(await counts(scene, id)).toMatchObject({ sent: 5, held: 15 })
    await restDue(scene, id)
    expect(await sweep(scene)).toMatchObject({ followed: [id] })
    expect(await run.send(scene)).toMatchObject({ sent: 15 })
    expect(await sweep(scene)).toMatchObject({ finished: [id], followed: [] })
    expect(run.sink.messages.length - before).toBe(20)
  })

  test('is looked at by several sweeps at once, and the rest let go once', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 10, 3)
    await run.send(scene)
    await restDue(scene, id)
    const swept = await Promise.all([sweep(scene), sweep(scene), sweep(scene)])
    expect(swept.flatMap(({ followed }) => followed)).toEqual([id])
  })

  test('that is in trouble freezes the release with the reason and one alert; resumed, the rest goes all the same', async () => {
    const scene = await run.scene()
    refuse(2)
    const id = await begun(scene, 30, 10)
    expect(await run.send(scene)).toMatchObject({ sent: 5, failed: 5 })
    const alerts: object[] = []
    const look = () => sweepOnce({ database: run.database, queues: { wake: () => Promise.resolve() }, log: { error: (detail) => void alerts.push(detail) } })
    await look()
    await look()
    expect(alerts).toEqual([expect.objectContaining({ alert: 'release_frozen', release: id })])
    expect(await within(scene, (tx) => showRelease(tx, id))).toMatchObject({ state: 'frozen', reason: 'first_wave: 5 of 10 failed, came back or are unknown', counts: { held: 20 } })
    await restDue(scene, id)
    run.sink.use(() => undefined)
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    await within(scene, (tx) => resumeRelease(tx, id, 'olga'))
    await sweep(scene)
    expect(await run.send(scene)).toMatchObject({ sent: 20 })
    expect(await sweep(scene)).toMatchObject({ frozen: [], finished: [id] })
  })

  test('that is in trouble, moved, leaves with the rest on the new date, and does not freeze again', async () => {
    const scene = await run.scene()
    refuse(1)
    const id = await begun(scene, 10, 3)
    await run.send(scene)
    expect(await sweep(scene)).toMatchObject({ frozen: [{ id }] })
    run.sink.use(() => undefined)
    await within(scene, (tx) => moveRelease(tx, id, new Date(0), 'olga'))
    expect(await sweep(scene)).toMatchObject({ begun: [id], frozen: [] })
    expect(await run.send(scene)).toMatchObject({ sent: 7 })
    expect(await sweep(scene)).toMatchObject({ finished: [id] })
  })

  test('frozen by somebody goes on as a wave, and the wait for the rest begins anew', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 10, 4)
    await within(scene, (tx) => freezeRelease(tx, id, 'olga'))
    await restDue(scene, id)
    await within(scene, (tx) => resumeRelease(tx, id, 'olga'))
    await sweep(scene)
    expect(await run.send(scene)).toMatchObject({ sent: 4 })
    expect(await sweep(scene)).toMatchObject({ followed: [] })
    expect(await counts(scene, id)).toMatchObject({ sent: 4, held: 6 })
  })

  test('waits for those that are refused for now', async () => {
    const scene = await run.scene()
    run.sink.use(({ stage }) => (stage === 'rcpt' ? '451 4.7.1 greylisted' : undefined))
    const id = await begun(scene, 10, 4)
    await run.send(scene)
    await restDue(scene, id)
    expect(await within(scene, (tx) => readWave(tx, id))).toEqual({ sent: 0, troubled: 0, retrying: 4, untried: 0 })
    expect(await sweep(scene)).toMatchObject({ followed: [], frozen: [] })
    run.sink.use(() => undefined)
    await scene.sql('update deliveries set send_at = now() where release_id = $1 and attempts > 0', [id])
    await run.send(scene)
    expect(await sweep(scene)).toMatchObject({ followed: [id] })
  })

  test('takes along whoever a claim has held for a state of the release that is over', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 10, 4)
    // As by a claim that began before the release was resumed, or the rest let go, and ended after it.
    const hold = (reason: string, which: string) => scene.sql(`update deliveries set state = 'held', reason = '${reason}' where release_id = $1 and ${which}`, [id])
    await hold('release_frozen', 'first_wave')
    await sweep(scene)
    expect(await counts(scene, id)).toMatchObject({ waiting: 4, held: 6 })
    expect(await run.send(scene)).toMatchObject({ sent: 4 })
    await restDue(scene, id)
    expect(await sweep(scene)).toMatchObject({ followed: [id] })
    await hold('first_wave', `state = 'scheduled' and id % 2 = 0`)
    await hold('release_frozen', `state = 'scheduled'`)
    expect(await sweep(scene)).toMatchObject({ finished: [] })
    expect(await run.send(scene)).toMatchObject({ sent: 6 })
    expect(await sweep(scene)).toMatchObject({ finished: [id] })
  })

  test('frozen holds them, whatever the sweep does', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 4, 0)
    await within(scene, (tx) => freezeRelease(tx, id, 'olga'))
    await sweep(scene)
    expect(await counts(scene, id)).toMatchObject({ waiting: 0, held: 4 })
  })

  test('is no wave where it would be everybody', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 3, 3)
    expect(await counts(scene, id)).toMatchObject({ held: 0, waiting: 3 })
  })

  test('holds the rest whatever else would let it go', async () => {
    const scene = await run.scene()
    const id = await begun(scene, 10, 4)
    const rest = (await scene.sql<{ id: string }>('select id from deliveries where release_id = $1 and not first_wave', [id])).map((row) => row.id)
    await within(scene, (tx) => releaseHeld(tx, { ids: rest, sendAt: null }))
    await scene.sql('update deliveries set send_at = now() where release_id = $1', [id])
    await run.send(scene)
    await run.send(scene)
    expect(await counts(scene, id)).toMatchObject({ sent: 4, held: 6 })
  })
})
