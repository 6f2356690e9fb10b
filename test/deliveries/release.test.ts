import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { listDeliveries, showDelivery } from '../../src/deliveries/list.ts'
import { DeliveryRefused, releaseHeld, resolve, retry } from '../../src/deliveries/release.ts'
import { oweMails } from '../../src/deliveries/oweMails.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { DELIVERY_LIFECYCLE } from '../../src/entities/states.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 1 })
})
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const bodies = (id: string) => run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.`))
const within = <T>(scene: Scene, work: Parameters<typeof run.database.tenant<T>>[1]) => run.database.tenant(scene.organizationId, work)
const lose = () => run.sink.use(({ stage }) => (stage === 'end' ? { next: 'close' } : undefined))

describe('release', () => {
  test('of held deliveries lets them go at once, or on the date', async () => {
    const scene = await run.scene()
    const [now, later, left] = await scene.owe(3, { state: 'held', sendAt: 'null' })
    expect(await within(scene, (tx) => releaseHeld(tx, { ids: [now!], sendAt: null }))).toBe(1)
    expect(await within(scene, (tx) => releaseHeld(tx, { ids: [later!], sendAt: new Date(Date.now() + 3_600_000) }))).toBe(1)
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect((await run.delivery(scene, later!)).delay).toBeGreaterThan(3_500)
    expect((await run.delivery(scene, left!)).state).toBe('held')
  })

  test('of an import takes that import only, and what is not held is left alone', async () => {
    const scene = await run.scene()
    const [imported] = await scene.sql<{ id: string }>(
      `insert into imports (organization_id, state, file_name, file_bytes, file_hash, options) values ($1, 'committed', 'a.csv', 1, 'x', '{}') returning id`,
      [scene.organizationId],
    )
    const ids = await scene.owe(3, { state: 'held', sendAt: 'null' })
    await scene.sql(`update deliveries set import_id = $1 where id = any ($2)`, [imported!.id, ids.slice(0, 2)])
    await scene.sql(`update deliveries set state = 'cancelled' where id = $1`, [ids[1]])
    expect(await within(scene, (tx) => releaseHeld(tx, { importId: imported!.id, sendAt: null }))).toBe(1)
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(bodies(ids[0]!)).toHaveLength(1)
  })

  test('does not reach into a release: what waits for its date, its first wave or a frozen one goes on waiting', async () => {
    const scene = await run.scene()
    const ids = await scene.owe(4, { state: 'held', sendAt: 'null' })
    const [release] = await scene.sql<{ id: string }>(`insert into releases (organization_id, name, state, send_at, first_wave, created_by) values ($1, 'Go-live', 'frozen', now(), 1, 'olga') returning id`, [scene.organizationId])
    await scene.sql('update deliveries set release_id = $1 where id = any ($2)', [release!.id, ids.slice(1)])
    expect(await within(scene, (tx) => releaseHeld(tx, { ids, sendAt: null }))).toBe(1)
    expect(await run.send(scene)).toMatchObject({ sent: 1, held: 0 })
    expect((await run.delivery(scene, ids[1]!)).state).toBe('held')
  })

  test("does not reach another organization's deliveries", async () => {
    const [mine, theirs] = [await run.scene(), await run.scene()]
    const [id] = await theirs.owe(1, { state: 'held', sendAt: 'null' })
    expect(await within(mine, (tx) => releaseHeld(tx, { ids: [id!], sendAt: null }))).toBe(0)
    await expect(within(mine, (tx) => retry(tx, id!, 'eve'))).rejects.toThrow(DeliveryRefused)
  })
})

describe('an unknown delivery', () => {
  const unknown = async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    lose()
    await run.send(scene)
    run.sink.use(() => undefined)
    return { scene, id: id! }
  }

  test('resolved as sent is never sent again', async () => {
    const { scene, id } = await unknown()
    await within(scene, (tx) => resolve(tx, id, 'sent', 'olga@acme.example'))
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    expect(await run.delivery(scene, id)).toMatchObject({ state: 'sent', reason: 'resolved_sent: olga@acme.example', sentAt: expect.any(Date) })
    expect(bodies(id)).toHaveLength(1)
  })

  test('resolved as not sent is sent once more, as an epoch of its own, with who decided on record', async () => {
    const { scene, id } = await unknown()
    await within(scene, (tx) => resolve(tx, id, 'not-sent', 'olga@acme.example'))
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(await run.delivery(scene, id)).toMatchObject({ state: 'sent', epoch: 2 })
    expect(bodies(id).map(({ messageId }) => messageId.split('.')[1])).toEqual(['1', '2'])
    const shown = await within(scene, (tx) => showDelivery(tx, id))
    expect(shown!.tries.map(({ stage, response }) => [stage, response])).toEqual([
      ['lost', expect.stringContaining('resolved as not-sent by olga@acme.example')],
      ['answered', '250 2.0.0 taken'],
    ])
    const invitations = await scene.sql('select epoch, state from invitations where organization_id = $1 order by epoch', [scene.organizationId])
    expect(invitations).toEqual([{ epoch: 1, state: 'revoked' }, { epoch: 2, state: 'launched' }])
  })

  test('cannot be retried', async () => {
    const { scene, id } = await unknown()
    await expect(within(scene, (tx) => retry(tx, id, 'olga'))).rejects.toMatchObject({ code: 'deliveries.wrong_state' })
    expect((await run.delivery(scene, id)).state).toBe('unknown')
  })

  test('becomes sent by itself where the answer comes after all', async () => {
    const late = await deliveryRun({ connections: 1 })
    try {
      const answer = Promise.withResolvers<string>()
      late.sink.use(({ stage }) => (stage === 'end' ? answer.promise : undefined))
      const scene = await late.scene()
      const [id] = await scene.owe(1)
      const sending = late.send(scene)
      await late.sink.reached('end')
      await scene.sql("update deliveries set state = 'unknown', reason = 'worker_lost', lease_until = null")
      answer.resolve('250 2.0.0 taken')
      expect(await sending).toMatchObject({ sent: 1 })
      expect(await late.delivery(scene, id!)).toMatchObject({ state: 'sent', reason: null })
    } finally {
      await late.close()
    }
  })
})

describe('a failed delivery', () => {
  test('is retried when somebody asks, with all its attempts before it', async () => {
    run.sink.use(({ stage }) => (stage === 'rcpt' ? '550 5.1.1 no such user' : undefined))
    const scene = await run.scene()
    const [id] = await scene.owe(1, { purpose: 'credentials' })
    await run.send(scene)
    run.sink.use(() => undefined)
    await within(scene, (tx) => retry(tx, id!, 'olga'))
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'sent', attempts: 1, epoch: 2 })
    expect((await within(scene, (tx) => showDelivery(tx, id!)))!.tries).toHaveLength(2)
  })

  test.each(DELIVERY_LIFECYCLE.states.filter((state) => state !== 'failed' && state !== 'bounced'))('one that is %s is not retried', async (state) => {
    const scene = await run.scene()
    const [id] = await scene.owe(1, { state })
    await expect(within(scene, (tx) => retry(tx, id!, 'olga'))).rejects.toMatchObject({ code: 'deliveries.wrong_state' })
  })

  test.each(['', '0', '999999999', 'x', '1; drop table users'])('%j is told not to be there', async (id) => {
    const scene = await run.scene()
    await expect(within(scene, (tx) => retry(tx, id, 'olga'))).rejects.toMatchObject({ code: 'deliveries.unknown_id' })
    await expect(within(scene, (tx) => showDelivery(tx, id))).resolves.toBeNull()
  })
})

describe('a delivery that another one has followed', () => {
  const failed = async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    await scene.sql(`update deliveries set state = 'failed' where id = $1`, [id])
    const [user] = await scene.sql<{ id: string }>('select id from users where organization_id = $1', [scene.organizationId])
    return { scene, id: id!, userId: user!.id }
  }

  test.each(['held', 'scheduled', 'sent', 'unknown'])('(%s) is not sent again', async (state) => {
    const { scene, id, userId } = await failed()
    await within(scene, (tx) => oweMails(tx, { userIds: [userId], purpose: 'invitation', sendAt: 'now' }))
    await scene.sql(`update deliveries set state = '${state}' where user_id = $1 and epoch = 2`, [userId])
    await expect(within(scene, (tx) => retry(tx, id, 'olga'))).rejects.toMatchObject({ code: 'deliveries.superseded', message: expect.stringContaining('users send') as string })
    expect(await run.delivery(scene, id)).toMatchObject({ state: 'failed', epoch: 1 })
    await scene.sql(`update deliveries set state = 'unknown' where id = $1`, [id])
    await expect(within(scene, (tx) => resolve(tx, id, 'not-sent', 'olga'))).rejects.toMatchObject({ code: 'deliveries.superseded' })
    await within(scene, (tx) => resolve(tx, id, 'sent', 'olga'))
  })

  test('by another way is not sent again; one that failed or was cancelled is none that followed', async () => {
    const { scene, id, userId } = await failed()
    await within(scene, (tx) => oweMails(tx, { userIds: [userId], purpose: 'credentials', sendAt: null }))
    await expect(within(scene, (tx) => retry(tx, id, 'olga'))).rejects.toMatchObject({ code: 'deliveries.superseded' })
    await scene.sql(`update deliveries set state = 'cancelled' where user_id = $1 and purpose = 'credentials'`, [userId])
    await within(scene, (tx) => retry(tx, id, 'olga'))
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
  })
})

test('a delivery of a cancelled release is sent when somebody asks for it, with the reason on record', async () => {
  for (const [state, again] of [['failed', retry], ['unknown', (tx: Transaction, id: string, operator: string) => resolve(tx, id, 'not-sent', operator)]] as const) {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    const [release] = await scene.sql<{ id: string }>(`insert into releases (organization_id, name, state, send_at, created_by) values ($1, 'Go-live', 'cancelled', now(), 'olga') returning id`, [scene.organizationId])
    await scene.sql('update deliveries set release_id = $1, state = $3 where id = $2', [release!.id, id, state])
    await within(scene, (tx) => again(tx, id!, 'olga'))
    expect((await run.delivery(scene, id!)).reason).toContain('olga')
    expect(await run.send(scene)).toMatchObject({ sent: 1, cancelled: 0 })
  }
})

describe('the list', () => {
  test('has the shape that scripts rely on', async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    await run.send(scene)
    const [line] = await within(scene, (tx) => listDeliveries(tx))
    expect(line).toEqual({
      id, userId: expect.stringMatching(/^\d+$/), purpose: 'invitation', to: 'ana1@example.test', state: 'sent', sendAt: expect.stringMatching(/^\d{4}-.*Z$/),
      sentAt: expect.stringMatching(/^\d{4}-.*Z$/), messageId: bodies(id!)[0]!.messageId, attempts: 1, reason: null,
    })
  })

  test('is filtered and paged', async () => {
    const scene = await run.scene()
    const held = await scene.owe(3, { state: 'held', sendAt: 'null' })
    const due = await scene.owe(2, { purpose: 'credentials' })
    const ids = (filter: Parameters<typeof listDeliveries>[1]) => within(scene, async (tx) => (await listDeliveries(tx, filter)).map(({ id }) => id))
    expect(await ids({ state: 'held' })).toEqual(held)
    expect(await ids({ purpose: 'credentials' })).toEqual(due)
    expect(await ids({ to: 'ANA2@' })).toEqual([held[1]])
    expect(await ids({ limit: 2 })).toEqual(held.slice(0, 2))
    expect(await ids({ limit: 2, after: held[1]! })).toEqual([held[2], due[0]])
  })
})
