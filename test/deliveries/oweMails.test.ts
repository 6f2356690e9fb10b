/** Owing mails to chosen users (spec D2, D3, D6): who is left out and why, what is taken along, and what is owed anew. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chooseUsers, LEFT_OUT } from '../../src/deliveries/choose.ts'
import { oweMails, type Owing } from '../../src/deliveries/oweMails.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
let scene: Scene
let users: string[]

beforeAll(async () => {
  run = await deliveryRun()
})

afterAll(() => run.close())

beforeEach(async () => {
  scene = await run.scene()
  await scene.owe(3, { state: 'held' })
  users = (await scene.sql<{ id: string }>('select id from users where organization_id = $1 order by id', [scene.organizationId])).map(({ id }) => id)
})

const choose = (choice: Partial<Owing> = {}) => run.database.tenant(scene.organizationId, (tx) => chooseUsers(tx, { userIds: users, purpose: 'invitation', ...choice }))
const owe = (owing: Partial<Owing> = {}) => run.database.tenant(scene.organizationId, (tx) => oweMails(tx, { userIds: users, purpose: 'invitation', sendAt: 'now', ...owing }))
const ledger = () =>
  scene.sql<{ userId: string; purpose: string; epoch: number; state: string; releaseId: string | null; deliverTo: string | null; due: boolean }>(
    `select user_id as "userId", purpose, epoch, state, release_id as "releaseId", deliver_to as "deliverTo", coalesce(send_at <= now(), false) as due from deliveries where organization_id = $1 order by user_id, purpose, epoch`,
    [scene.organizationId],
  )
const set = (statement: string) => scene.sql(`${statement} and organization_id = $1`, [scene.organizationId])

describe('chosen users', () => {
  test('who can be mailed are mailed, in the order of their names', async () => {
    expect(await choose()).toEqual({ mailed: users, leftOut: [] })
  })

  test.each([
    ['user_inactive', () => set(`update users set state = 'inactive' where id = ${users[0]}`)],
    ['contact_inactive', () => set(`update contacts set state = 'inactive' where id = (select contact_id from users where id = ${users[0]})`)],
    ['already_registered', () => set(`update invitations set state = 'in_progress' where user_id = ${users[0]}`)],
    ['already_logged_in', () => set(`update users set last_login_at = now() where id = ${users[0]}`)],
    ['email_missing', () => set(`update contacts set email = null, email_key = null where id = (select contact_id from users where id = ${users[0]})`)],
    ['not_loginable', () => set(`update users set profile_id = null where id = ${users[0]}`)],
    ['being_sent', () => set(`update deliveries set state = 'queued', purpose = 'credentials' where user_id = ${users[0]}`)],
    ['being_sent', () => set(`update deliveries set state = 'sending' where user_id = ${users[0]}`)],
    ['needs_decision', () => set(`update deliveries set state = 'unknown' where user_id = ${users[0]}`)],
  ])('are left out with the reason: %s', async (reason, change) => {
    await change()
    const { mailed, leftOut } = await choose()
    expect(mailed).toEqual(users.slice(1))
    expect(leftOut).toEqual([{ userId: users[0], username: 'ana1', reason }])
    expect(LEFT_OUT).toHaveProperty(reason)
  })

  test('whose only role is not invited alone are left out of invitations, and get credentials', async () => {
    await scene.sql(
      `with r as (insert into roles (organization_id, name, invitable_alone) values ($1, 'Authorized Representative', false) returning id)
       insert into user_roles (organization_id, user_id, role_id) select $1, $2, id from r`,
      [scene.organizationId, users[0]],
    )
    expect((await choose()).leftOut).toEqual([{ userId: users[0], username: 'ana1', reason: 'not_invitable_alone' }])
    expect((await choose({ purpose: 'credentials' })).leftOut).toEqual([])
    // A role that comes along with a product for everybody says nothing about the person; one that was given does.
    await scene.sql(
      `with r as (insert into roles (organization_id, name) values ($1, 'Customer Limited') returning id),
         p as (insert into products (organization_id, name, auto_link, role_id) select $1, 'WebCenter', true, id from r returning id, role_id)
       insert into user_roles (organization_id, user_id, role_id, product_id) select $1, $2, role_id, id from p`,
      [scene.organizationId, users[0]],
    )
    expect((await choose()).leftOut.map(({ reason }) => reason)).toEqual(['not_invitable_alone'])
    await scene.sql(`insert into user_roles (organization_id, user_id, role_id) select $1, $2, id from roles where name = 'Customer Limited' and organization_id = $1`, [scene.organizationId, users[0]])
    expect((await choose()).leftOut).toEqual([])
  })

  test('of an organization that uses SSO are all left out, of whatever gives access', async () => {
    await scene.sql(`update organizations set settings = jsonb_set(settings, '{login,sso}', 'true') where id = $1`, [scene.organizationId])
    for (const purpose of ['invitation', 'credentials', 'operatorCredentials', 'passwordReset'] as const) expect((await choose({ purpose })).leftOut.map(({ reason }) => reason), purpose).toEqual(Array(3).fill('organization_uses_sso'))
  })

  test('who chose a password get no other one, by whatever way', async () => {
    await set(`update users set password_chosen_at = now() where id = ${users[0]}`)
    for (const purpose of ['invitation', 'credentials', 'operatorCredentials'] as const) expect((await choose({ purpose, deliverTo: 'ops@acme.example' })).leftOut.map(({ reason }) => reason), purpose).toEqual(['already_registered'])
  })

  test('without an address get credentials by way of an operator', async () => {
    await set(`update contacts set email = null, email_key = null where id = (select contact_id from users where id = ${users[0]})`)
    expect((await choose({ purpose: 'operatorCredentials', deliverTo: 'ops@acme.example' })).mailed).toEqual(users)
  })

  test('get no credentials by way of an operator who is not named', async () => {
    expect((await choose({ purpose: 'operatorCredentials' })).leftOut.map(({ reason }) => reason)).toEqual(Array(3).fill('email_missing'))
  })

  test('that are unknown or of another organization are in neither part', async () => {
    const other = await run.scene()
    await other.owe(1)
    const [stranger] = await other.sql<{ id: string }>('select id from users where organization_id = $1', [other.organizationId])
    expect(await choose({ userIds: [stranger!.id, '999999999'] })).toEqual({ mailed: [], leftOut: [] })
  })
})

describe('owing', () => {
  test('takes along what is held or scheduled already', async () => {
    expect(await owe()).toBe(3)
    expect(await ledger()).toEqual(users.map((userId) => ({ userId, purpose: 'invitation', epoch: 1, state: 'scheduled', releaseId: null, deliverTo: null, due: true })))
  })

  test.each(['sent', 'failed', 'bounced', 'cancelled'])('follows one that is %s with a new epoch and an invitation of its own', async (state) => {
    await set(`update deliveries set state = '${state}' where true`)
    expect(await owe({ sendAt: null })).toBe(3)
    expect((await ledger()).filter(({ epoch }) => epoch === 2).map(({ state }) => state)).toEqual(['held', 'held', 'held'])
    expect(await scene.sql('select from invitations where organization_id = $1 and epoch = 2 and state = $2', [scene.organizationId, 'created'])).toHaveLength(3)
  })

  test.each(['queued', 'sending', 'unknown'])('passes over one that is %s', async (state) => {
    await set(`update deliveries set state = '${state}' where user_id = ${users[0]}`)
    expect(await owe()).toBe(2)
    expect((await ledger()).filter(({ userId }) => userId === users[0])).toMatchObject([{ epoch: 1, state }])
  })

  test.each(['passwordReset', 'passwordChanged', 'welcome', 'alreadyRegistered'] as const)('a %s of which nobody knows the end is followed by another: it has a reason of its own', async (purpose) => {
    await owe({ purpose })
    await set(`update deliveries set state = 'unknown' where purpose = '${purpose}'`)
    expect(await owe({ purpose })).toBe(3)
    expect((await ledger()).filter((line) => line.purpose === purpose).map(({ epoch, state }) => `${epoch} ${state}`)).toEqual(users.flatMap(() => ['1 unknown', '2 scheduled']))
  })

  test('asked by two at once owes each user one', async () => {
    await set(`update deliveries set state = 'sent' where true`)
    const owed = await Promise.all([owe({ sendAt: null }), owe({ sendAt: null })])
    expect(Math.max(...owed)).toBeLessThanOrEqual(3)
    expect((await ledger()).filter(({ state }) => state === 'held')).toHaveLength(3)
  })

  test('after a resend the old link is void and the new one works (spec D3)', async () => {
    await owe({ userIds: users.slice(0, 1) })
    await run.send(scene)
    await owe({ userIds: users.slice(0, 1) })
    await run.send(scene)
    expect(await scene.sql('select epoch, state, token_hash is not null as launched from invitations where user_id = $1 order by epoch', [users[0]])).toEqual([
      { epoch: 1, state: 'revoked', launched: true },
      { epoch: 2, state: 'launched', launched: true },
    ])
  })

  test('access by another way cancels what has not left, and the invitation with it', async () => {
    expect(await owe({ purpose: 'credentials', sendAt: null })).toBe(3)
    expect((await ledger()).map(({ purpose, state }) => [purpose, state])).toEqual(users.flatMap(() => [['credentials', 'held'], ['invitation', 'cancelled']]))
    expect(await scene.sql('select distinct state from invitations where organization_id = $1', [scene.organizationId])).toEqual([{ state: 'revoked' }])
    expect(await owe({ sendAt: null })).toBe(3)
    expect((await ledger()).filter(({ state }) => state === 'held').map(({ purpose, epoch }) => [purpose, epoch])).toEqual(users.map(() => ['invitation', 2]))
  })

  test('to an operator leaves to that address, without the name of the person in the address', async () => {
    await owe({ userIds: users.slice(0, 1), purpose: 'operatorCredentials', deliverTo: 'ops@acme.example' })
    await run.send(scene)
    const [delivery] = await scene.sql<{ state: string; recipient: string }>(`select state, recipient from deliveries where user_id = $1 and purpose = 'operatorCredentials'`, [users[0]])
    expect(delivery).toEqual({ state: 'sent', recipient: 'ops@acme.example' })
    const mail = run.sink.accepted().at(-1)!
    expect(mail.to).toEqual(['ops@acme.example'])
    expect(/^To: (.*)$/m.exec(mail.body)![1]!.trim()).toBe('ops@acme.example')
    expect(await scene.sql('select must_change_password as must, password_hash is not null as made from users where id = $1', [users[0]])).toEqual([{ must: true, made: true }])
  })
})
