import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LEFT_OUT } from '../../src/deliveries/choose.ts'
import { oweMails } from '../../src/deliveries/oweMails.ts'
import { listReleases, showRelease, type ReleaseLine } from '../../src/deliveries/releasePlan.ts'
import { cancelRelease, createRelease, freezeRelease, moveRelease, resumeRelease, ReleaseRefused, usersOwedBy, type ReleaseWish } from '../../src/deliveries/releases.ts'
import { sweepReleases } from '../../src/deliveries/waves.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { sweepDeliveries } from '../../src/jobs/deliver.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 1 })
})
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const within = <T>(scene: Scene, work: (tx: Transaction) => Promise<T>): Promise<T> => run.database.tenant(scene.organizationId, work)
const ids = async (scene: Scene, sql: string): Promise<string[]> => (await scene.sql<{ id: string }>(sql, [scene.organizationId])).map(({ id }) => id)
/** Users who can log in and are owed nothing. */
async function people(scene: Scene, count: number): Promise<string[]> {
  const deliveries = await scene.owe(count, { state: 'held', sendAt: 'null' })
  const users = (await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1) order by user_id', [deliveries])).map(({ id }) => id)
  await scene.sql('delete from deliveries where id = any ($1)', [deliveries])
  await scene.sql('delete from invitations where user_id = any ($1)', [users])
  return users
}
const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000)
const wishOf = (userIds: string[], changes: Partial<ReleaseWish> = {}): ReleaseWish => ({
  name: `go-live ${userIds[0]}`, userIds, purpose: 'invitation', sendAt: inHours(1), ratePerMinute: null, firstWave: 0, restAfterMinutes: 15, operator: 'olga', ...changes,
})
const create = (scene: Scene, wish: ReleaseWish) => within(scene, (tx) => createRelease(tx, wish))
const show = (scene: Scene, id: string): Promise<ReleaseLine> => within(scene, (tx) => showRelease(tx, id))
const sweep = (scene: Scene) => within(scene, sweepReleases)
/** Its date comes, by the clock of the database. */
async function comes(scene: Scene, id: string): Promise<void> {
  const [{ by }] = (await scene.sql<{ by: string }>('select (send_at - now())::text as by from releases where id = $1', [id])) as [{ by: string }]
  await scene.sql('update releases set send_at = send_at - $2::interval where id = $1', [id, by])
  await scene.sql('update deliveries set send_at = send_at - $2::interval where release_id = $1', [id, by])
  await sweep(scene)
}
const states = async (scene: Scene, id: string): Promise<Record<string, number>> =>
  Object.fromEntries((await scene.sql<{ key: string; count: number }>(`select concat_ws(' ', state, reason) as key, count(*)::int as count from deliveries where release_id = $1 group by 1 order by 1`, [id])).map(({ key, count }) => [key, count]))

describe('a release', () => {
  test('owes everybody the mail on its date, leaves on it and not before, and is finished', async () => {
    const scene = await run.scene()
    const users = await people(scene, 3)
    const { id, mailed, owed, leftOut } = await create(scene, wishOf(users))
    expect([mailed.toSorted(), owed, leftOut]).toEqual([users, 3, []])
    expect(await sweep(scene)).toEqual({ begun: [], followed: [], frozen: [], finished: [] })
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    await comes(scene, id)
    expect((await show(scene, id)).state).toBe('running')
    expect(await run.send(scene)).toMatchObject({ sent: 3 })
    expect(await sweep(scene)).toMatchObject({ finished: [id] })
    expect(await show(scene, id)).toMatchObject({ state: 'finished', counts: { total: 3, sent: 3, waiting: 0 }, expectedAt: null, finishedAt: expect.any(String) as string })
    expect(await sweep(scene)).toMatchObject({ finished: [] })
  })

  test('takes along what an import holds, and begins a new round for whom was mailed before', async () => {
    const scene = await run.scene()
    const [held, mailed] = [await scene.owe(1, { state: 'held', sendAt: 'null' }), await scene.owe(1)]
    await run.send(scene)
    const users = await ids(scene, 'select id from users where organization_id = $1 order by id')
    const { id } = await create(scene, wishOf(users))
    expect(await scene.sql('select epoch, state, id from deliveries where release_id = $1 order by epoch', [id])).toEqual([
      { epoch: 1, state: 'scheduled', id: held[0] }, { epoch: 2, state: 'scheduled', id: expect.not.stringMatching(`^${mailed[0]}$`) as string },
    ])
  })

  test('leaves out whom sending would leave out, counts them by reason, and keeps that', async () => {
    const scene = await run.scene()
    const users = await people(scene, 4)
    await scene.sql(`update users set state = 'inactive' where id = any ($1)`, [users.slice(0, 2)])
    await scene.sql('update users set profile_id = null where id = $1', [users[2]])
    const { id, leftOut } = await create(scene, wishOf(users))
    expect(leftOut.map(({ reason }) => reason).toSorted()).toEqual(['not_loginable', 'user_inactive', 'user_inactive'])
    expect(await show(scene, id)).toMatchObject({ counts: { total: 1 }, leftOutBefore: { user_inactive: 2, not_loginable: 1 }, purpose: 'invitation' })
    const [entry] = await within(scene, (tx) => readAudit(tx, 1))
    expect(entry).toMatchObject({ operator: 'olga', action: 'releases.create', detail: { releaseId: id, mailed: 1, leftOut: { user_inactive: 2, not_loginable: 1 } } })
  })

  test('is refused where nobody is left, to organizations with SSO, and under the name of one that is open', async () => {
    const scene = await run.scene()
    const users = await people(scene, 2)
    await create(scene, wishOf(users, { name: 'December' }))
    await expect(create(scene, wishOf(users, { name: 'January' }))).rejects.toMatchObject({ code: 'release.nobody' })
    await expect(create(scene, wishOf(users, { name: 'December' }))).rejects.toMatchObject({ code: 'release.name_taken' })
    const others = await run.scene({ settings: { login: { sso: true } } })
    await expect(create(others, wishOf(await people(others, 1)))).rejects.toMatchObject({ code: 'release.sso' })
  })

  test('made twice at the same moment under one name is made once, and nobody is owed twice', async () => {
    const scene = await run.scene()
    const users = await people(scene, 20)
    const made = await Promise.allSettled([1, 2, 3].map(() => create(scene, wishOf(users, { name: 'December' }))))
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await scene.sql('select count(*)::int as count from deliveries where user_id = any ($1)', [users])).toEqual([{ count: 20 }])
  })

  test('of a date that has passed leaves at once', async () => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 1), { sendAt: new Date(0) }))
    await sweep(scene)
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(new Date((await show(scene, id)).sendAt).getTime()).toBeGreaterThan(Date.now() - 60_000)
  })

  test('names those whom an import owes', async () => {
    const scene = await run.scene()
    const [imported] = await scene.sql<{ id: string }>(`insert into imports (organization_id, state, file_name, file_bytes, file_hash, options) values ($1, 'committed', 'a.csv', 1, 'x', '{}') returning id`, [scene.organizationId])
    const deliveries = await scene.owe(2, { state: 'held', sendAt: 'null' })
    await scene.sql('update deliveries set import_id = $1 where id = $2', [imported!.id, deliveries[1]])
    const owed = await within(scene, (tx) => usersOwedBy(tx, imported!.id))
    expect(owed).toEqual(await ids(scene, 'select user_id as id from deliveries where organization_id = $1 and import_id is not null'))
  })
})

describe('moving', () => {
  test('gives the new date to what has not left, and harms nothing when repeated', async () => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 3)))
    const later = inHours(48)
    expect(await within(scene, (tx) => moveRelease(tx, id, later, 'olga'))).toEqual({ id, state: 'scheduled', changed: true, mails: 3 })
    expect(await within(scene, (tx) => moveRelease(tx, id, later, 'olga'))).toMatchObject({ changed: false })
    expect(await scene.sql('select distinct send_at as at from deliveries where release_id = $1', [id])).toEqual([{ at: later }])
    expect((await show(scene, id)).sendAt).toBe(later.toISOString())
  })

  test('of one that is under way leaves what has left, and takes the rest out of the hands of the worker', async () => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 6), { sendAt: new Date(0) }))
    await sweep(scene)
    let moved: Promise<unknown> | undefined
    run.sink.use(({ stage }) => {
      if (stage !== 'end' || moved) return undefined
      moved = within(scene, (tx) => moveRelease(tx, id, inHours(24), 'olga'))
      return moved.then(() => undefined)
    })
    await run.send(scene)
    await moved
    const { counts, state } = await show(scene, id)
    expect(state).toBe('scheduled')
    expect(counts.sent).toBeGreaterThan(0)
    expect(counts.sent).toBeLessThan(6)
    expect(counts.sent + counts.waiting).toBe(6)
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    expect(run.sink.messages.length).toBeGreaterThan(0)
  })
})

describe('moving while the server has a mail', () => {
  test.each(['rcpt', 'end'] as const)('that it refuses for now at %s: the mail leaves on the new date, not after a minute', async (at) => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 1), { sendAt: new Date(0) }))
    let moved = false
    run.sink.use(async ({ stage }) => {
      if (stage !== at || moved) return undefined
      moved = true
      expect(await within(scene, (tx) => moveRelease(tx, id, inHours(24), 'olga'))).toMatchObject({ mails: at === 'end' ? 0 : 1 })
      return '451 4.7.1 greylisted'
    })
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    const [only] = await ids(scene, 'select id from deliveries where organization_id = $1')
    const kept = await run.delivery(scene, only!)
    expect(kept).toMatchObject({ state: 'scheduled', attempts: 1 })
    expect(kept.delay).toBeGreaterThan(86_000)
  })

  test('that it takes: it has left, and shows no date to come', async () => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 1), { sendAt: new Date(0) }))
    run.sink.use(({ stage }) => (stage === 'end' ? within(scene, (tx) => moveRelease(tx, id, inHours(24), 'olga')).then(() => undefined) : undefined))
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect((await run.delivery(scene, (await ids(scene, 'select id from deliveries where organization_id = $1'))[0]!)).delay).toBeLessThanOrEqual(0)
  })
})

describe('moving while somebody cannot log in', () => {
  test('gives that mail the new date, too: mended before, it waits for it', async () => {
    const scene = await run.scene()
    const users = await people(scene, 2)
    const { id } = await create(scene, wishOf(users))
    const [{ profile }] = (await scene.sql<{ profile: string }>('select profile_id as profile from users where id = $1', [users[0]])) as [{ profile: string }]
    await scene.sql('update users set profile_id = null where id = $1', [users[0]])
    await comes(scene, id)
    expect(await run.send(scene)).toMatchObject({ sent: 1, held: 1 })
    expect(await within(scene, (tx) => moveRelease(tx, id, inHours(24), 'olga'))).toMatchObject({ mails: 1 })
    expect(await states(scene, id)).toEqual({ 'held not_loginable': 1, sent: 1 })
    await scene.sql('update users set profile_id = $2 where id = $1', [users[0], profile])
    await sweepDeliveries(run.database, scene.organizationId)
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    await comes(scene, id)
    expect(await sweepDeliveries(run.database, scene.organizationId)).toMatchObject({ mended: 1 })
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
  })
})

describe('two releases for the same people', () => {
  test('of two purposes: the second leaves them out, and takes nothing from the first', async () => {
    const scene = await run.scene()
    const users = await people(scene, 3)
    const { id } = await create(scene, wishOf(users.slice(0, 2)))
    const second = await create(scene, wishOf(users, { name: 'second', purpose: 'credentials', sendAt: inHours(48) }))
    expect(second.mailed).toEqual(users.slice(2))
    expect(second.leftOut.map(({ reason }) => reason)).toEqual(['in_other_release', 'in_other_release'])
    expect(await states(scene, id)).toEqual({ scheduled: 2 })
    await within(scene, (tx) => cancelRelease(tx, id, 'olga'))
    expect((await create(scene, wishOf(users, { name: 'third', purpose: 'credentials' }))).mailed).toEqual(users.slice(0, 2))
  })

  test('made at the same moment owe each person one of the two', async () => {
    const scene = await run.scene()
    const users = await people(scene, 1)
    const [made, commit] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    const first = within(scene, async (tx) => {
      await createRelease(tx, wishOf(users))
      made.resolve(undefined)
      await commit.promise
    })
    await made.promise
    const second = create(scene, wishOf(users, { name: 'second', purpose: 'credentials' }))
    const refused = second.then(() => 'made', (error: ReleaseRefused) => error.code)
    // Until it waits for the first, or has gone past it.
    await expect.poll(async () => (await scene.sql(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length, { timeout: 5_000 }).toBeGreaterThan(0)
    commit.resolve(undefined)
    await first
    expect(await refused).toBe('release.nobody')
    expect(await scene.sql('select purpose, state from deliveries where user_id = $1', [users[0]])).toEqual([{ purpose: 'invitation', state: 'scheduled' }])
  })
})

describe('a mail with a date of its own', () => {
  test.each(['invitation', 'credentials'] as const)('that is scheduled (%s) is left out with the reason, and keeps its date', async (purpose) => {
    const scene = await run.scene()
    const [own] = await scene.owe(1, { purpose, sendAt: `now() + interval '4 days'` })
    await scene.owe(1, { state: 'held', sendAt: 'null' })
    const users = await ids(scene, 'select id from users where organization_id = $1 order by id')
    const { mailed, leftOut } = await create(scene, wishOf(users, { sendAt: inHours(240) }))
    expect(mailed).toEqual(users.slice(1))
    expect(leftOut).toEqual([{ userId: users[0], username: 'ana1', reason: 'own_date' }])
    expect(LEFT_OUT).toHaveProperty('own_date')
    const kept = await run.delivery(scene, own!)
    expect(kept.state).toBe('scheduled')
    expect(kept.delay).toBeLessThan(4 * 86_400 + 1)
  })
})

describe('freezing', () => {
  test('holds what has not left, resuming lets it go on its date', async () => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 2)))
    expect(await within(scene, (tx) => freezeRelease(tx, id, 'olga'))).toEqual({ id, state: 'frozen', changed: true, mails: 2 })
    expect(await within(scene, (tx) => freezeRelease(tx, id, 'olga'))).toEqual({ id, state: 'frozen', changed: false, mails: 0 })
    expect(await states(scene, id)).toEqual({ 'held release_frozen': 2 })
    expect(await within(scene, (tx) => resumeRelease(tx, id, 'olga'))).toEqual({ id, state: 'scheduled', changed: true, mails: 2 })
    expect(await within(scene, (tx) => resumeRelease(tx, id, 'olga'))).toMatchObject({ changed: false })
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    expect((await run.delivery(scene, (await ids(scene, 'select id from deliveries where organization_id = $1'))[0]!)).delay).toBeGreaterThan(3_000)
  })

  test('while it is under way lets only those leave that are past the fence; resumed, each leaves once', async () => {
    const scene = await run.scene()
    const users = await people(scene, 12)
    const { id } = await create(scene, wishOf(users, { sendAt: new Date(0) }))
    await sweep(scene)
    const before = run.sink.messages.length
    let frozen: Promise<unknown> | undefined
    run.sink.use(({ stage }) => {
      if (stage !== 'end' || frozen) return undefined
      frozen = within(scene, (tx) => freezeRelease(tx, id, 'olga'))
      return frozen.then(() => undefined)
    })
    await run.send(scene)
    await run.send(scene)
    // One connection: the mail at its end, and at most one more whose fence was asked at that moment.
    expect(run.sink.messages.length - before).toBeLessThanOrEqual(2)
    expect(Object.keys(await states(scene, id)).toSorted()).toEqual(['held release_frozen', 'sent'])
    await within(scene, (tx) => resumeRelease(tx, id, 'olga'))
    await run.send(scene)
    await run.send(scene)
    expect(await states(scene, id)).toEqual({ sent: 12 })
    expect(run.sink.messages.length - before).toBe(12)
  })
})

describe('cancelling', () => {
  test('ends what has not left, and revokes invitations that were never launched; what is owed later is a new round', async () => {
    const scene = await run.scene()
    const users = await people(scene, 2)
    const { id } = await create(scene, wishOf(users))
    expect(await within(scene, (tx) => cancelRelease(tx, id, 'olga'))).toEqual({ id, state: 'cancelled', changed: true, mails: 2 })
    expect(await within(scene, (tx) => cancelRelease(tx, id, 'olga'))).toMatchObject({ changed: false })
    expect(await states(scene, id)).toEqual({ 'cancelled release_cancelled': 2 })
    expect(await scene.sql('select state from invitations where user_id = any ($1)', [users])).toEqual([{ state: 'revoked' }, { state: 'revoked' }])
    expect(await within(scene, (tx) => oweMails(tx, { userIds: users, purpose: 'invitation', sendAt: 'now' }))).toBe(2)
    expect(await run.send(scene)).toMatchObject({ sent: 2 })
  })

  test('while it is under way lets what is in hands fall, with the reason of the release', async () => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 8), { sendAt: new Date(0) }))
    await sweep(scene)
    let cancelled: Promise<unknown> | undefined
    run.sink.use(({ stage }) => {
      if (stage !== 'end' || cancelled) return undefined
      cancelled = within(scene, (tx) => cancelRelease(tx, id, 'olga'))
      return cancelled.then(() => undefined)
    })
    await run.send(scene)
    await run.send(scene)
    const found = await states(scene, id)
    expect(Object.keys(found).toSorted()).toEqual(['cancelled release_cancelled', 'sent'])
    expect(await scene.sql(`select count(*)::int as count from invitations i join deliveries d using (user_id, epoch) where d.release_id = $1 and i.state = 'revoked'`, [id])).toEqual([{ count: found['cancelled release_cancelled'] }])
  })
})

describe('a step that the state does not allow', () => {
  const steps: [string, (tx: Transaction, id: string) => Promise<unknown>][] = [
    ['move', (tx, id) => moveRelease(tx, id, inHours(1), 'olga')],
    ['freeze', (tx, id) => freezeRelease(tx, id, 'olga')],
    ['resume', (tx, id) => resumeRelease(tx, id, 'olga')],
    ['cancel', (tx, id) => cancelRelease(tx, id, 'olga')],
  ]
  test.each(steps)('%s of a finished one is refused, and of one that is not there', async (_, step) => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 1), { sendAt: new Date(0) }))
    await scene.sql(`update releases set state = 'finished' where id = $1`, [id])
    await expect(within(scene, (tx) => step(tx, id))).rejects.toMatchObject({ code: 'release.wrong_state', hint: expect.stringContaining(id) as string })
    for (const nobody of ['0', '999999999', 'x', '1; drop table users']) await expect(within(scene, (tx) => step(tx, nobody))).rejects.toThrow(ReleaseRefused)
    const other = await run.scene()
    await expect(within(other, (tx) => step(tx, id))).rejects.toMatchObject({ code: 'release.unknown_id' })
  })

  test.each(['freeze', 'cancel', 'move'])('%s twice at the same moment is done once', async (name) => {
    const scene = await run.scene()
    const { id } = await create(scene, wishOf(await people(scene, 30)))
    const at = inHours(9)
    const step = { freeze: (tx: Transaction) => freezeRelease(tx, id, 'olga'), cancel: (tx: Transaction) => cancelRelease(tx, id, 'olga'), move: (tx: Transaction) => moveRelease(tx, id, at, 'olga') }[name]!
    const done = await Promise.all([within(scene, step), within(scene, step), within(scene, step)])
    expect(done.filter(({ changed }) => changed)).toHaveLength(1)
    expect((await within(scene, (tx) => readAudit(tx, 10))).filter(({ action }) => action === `releases.${name}`)).toHaveLength(1)
  })
})

describe('whoever has registered meanwhile', () => {
  test('gets no invitation, and is told so once instead', async () => {
    const scene = await run.scene()
    const users = await people(scene, 2)
    const { id } = await create(scene, wishOf(users, { sendAt: new Date(0) }))
    await scene.sql('update users set password_chosen_at = now() where id = $1', [users[0]])
    await run.send(scene)
    await run.send(scene)
    const told = await scene.sql(`select d.purpose, d.epoch, d.release_id as release from deliveries d where user_id = $1 order by id`, [users[0]])
    expect(told).toEqual([{ purpose: 'invitation', epoch: 1, release: id }, { purpose: 'alreadyRegistered', epoch: 1, release: id }])
    expect(await show(scene, id)).toMatchObject({ counts: { total: 2, sent: 1, leftOut: 1 }, reasons: { already_registered: 1 } })
  })
})

describe('what is shown', () => {
  test('counts by state, the rate as it is, and when the last one leaves', async () => {
    const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 600 } } })
    const { id } = await create(scene, wishOf(await people(scene, 10), { ratePerMinute: 60 }))
    const planned = await show(scene, id)
    expect(planned).toMatchObject({ rate: { own: 60, organization: 600, effective: 60 }, actualRate: null, counts: { total: 10, waiting: 10 } })
    expect(new Date(planned.expectedAt!).getTime() - new Date(planned.sendAt).getTime()).toBe(10_000)
    const deliveries = await ids(scene, 'select id from deliveries where organization_id = $1 order by id')
    // Five have left, two seconds apart, a while ago; one failed; one is unknown.
    await scene.sql(`update deliveries set state = 'sent', sent_at = now() - interval '1 hour' + (id - $2) * interval '2 seconds' where id = any ($1)`, [deliveries.slice(0, 5), deliveries[0]])
    await scene.sql(`update deliveries set state = 'failed' where id = $1`, [deliveries[5]])
    await scene.sql(`update deliveries set state = 'unknown' where id = $1`, [deliveries[6]])
    await scene.sql(`update deliveries set state = 'cancelled', reason = 'user_inactive' where id = $1`, [deliveries[7]])
    expect(await show(scene, id)).toMatchObject({ counts: { total: 10, sent: 5, failed: 1, unknown: 1, leftOut: 1, waiting: 2 }, actualRate: 30, reasons: { user_inactive: 1 } })
  })

  test('lists the newest first, of this organization only', async () => {
    const [scene, other] = [await run.scene(), await run.scene()]
    const made: string[] = []
    for (const count of [1, 1, 1]) made.push((await create(scene, wishOf(await people(scene, count)))).id)
    await create(other, wishOf(await people(other, 1)))
    const listed = (limit: number, before?: string) => within(scene, async (tx) => (await listReleases(tx, { limit, before })).map(({ id }) => id))
    expect(await listed(10)).toEqual(made.toReversed())
    expect(await listed(1, made[2])).toEqual([made[1]])
    await expect(within(other, (tx) => showRelease(tx, made[0]!))).rejects.toMatchObject({ code: 'release.unknown_id' })
  })
})
