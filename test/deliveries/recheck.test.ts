import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { OBJECTIONS } from '../../src/deliveries/recheck.ts'
import { sweepDeliveries } from '../../src/jobs/deliver.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

/** Fault 41 and spec D7: what is true at the moment of sending decides, whatever was true when the mail was owed. */
let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 1 })
})
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const ofOrganization = (scene: Scene) => `organization_id = ${scene.organizationId}`
const bodies = (id: string) => run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.`))

/** SQL that makes all deliveries those of a release, past its date, in this state and with this first wave. */
const released = (scene: Scene, stateAndWave: string): string =>
  `with r as (insert into releases (organization_id, name, state, first_wave, send_at, created_by) values (${scene.organizationId}, 'Go-live', ${stateAndWave}, now(), 'somebody') returning id)
   update deliveries d set release_id = r.id from r where d.${ofOrganization(scene)}`

/** SQL that makes all deliveries mails about an alert of a feed in this state, of this purpose, to an operator. */
const aboutFeed = (scene: Scene, purpose: string, state: string): string =>
  `with f as (insert into feeds (organization_id, name, state, definition, author) values (${scene.organizationId}, 'nightly', 'active', '{}', 'ana') returning id),
     a as (insert into feed_alerts (organization_id, feed_id, kind, state, detail) select ${scene.organizationId}, id, 'login', '${state}', '{}' from f returning id)
   update deliveries d set user_id = null, purpose = '${purpose}', feed_alert_id = a.id, recipient = (select email from contacts where ${ofOrganization(scene)}) from a where d.${ofOrganization(scene)}`

type Change = [reason: string, state: 'cancelled' | 'held', sql: (scene: Scene) => string]
const CHANGES: Change[] = [
  ['user_inactive', 'cancelled', (scene) => `update users set state = 'inactive' where ${ofOrganization(scene)}`],
  ['contact_inactive', 'cancelled', (scene) => `update contacts set state = 'inactive' where ${ofOrganization(scene)}`],
  ['organization_uses_sso', 'cancelled', (scene) => `update organizations set settings = jsonb_set(settings, '{login,sso}', 'true') where id = ${scene.organizationId}`],
  ['already_logged_in', 'cancelled', (scene) => `update users set last_login_at = now() where ${ofOrganization(scene)}`],
  ['already_registered', 'cancelled', (scene) => `update invitations set state = 'in_progress' where ${ofOrganization(scene)}`],
  ['invitation_revoked', 'cancelled', (scene) => `update invitations set state = 'revoked' where ${ofOrganization(scene)}`],
  ['already_registered', 'cancelled', (scene) => `update users set password_chosen_at = now() where ${ofOrganization(scene)}`],
  ['not_invitable_alone', 'cancelled', (scene) =>
    `with r as (insert into roles (organization_id, name, invitable_alone) values (${scene.organizationId}, 'Representative', false) returning id)
     insert into user_roles (organization_id, user_id, role_id) select ${scene.organizationId}, u.id, r.id from users u, r where u.${ofOrganization(scene)}`],
  ['release_cancelled', 'cancelled', (scene) => released(scene, `'cancelled', 0`)],
  ['release_frozen', 'held', (scene) => released(scene, `'frozen', 0`)],
  ['first_wave', 'held', (scene) => released(scene, `'running', 1`)],
  ['alert_over', 'cancelled', (scene) => aboutFeed(scene, 'feedAlert', 'cleared')],
  ['alert_not_told', 'cancelled', (scene) => aboutFeed(scene, 'feedAllClear', 'cleared')],
  ['email_missing', 'cancelled', (scene) => `update contacts set email = null, email_key = null where ${ofOrganization(scene)}`],
  ['not_loginable', 'held', (scene) => `delete from user_group_members where ${ofOrganization(scene)}`],
  ['not_loginable', 'held', (scene) => `update users set profile_id = null where ${ofOrganization(scene)}`],
  ['not_loginable', 'held', (scene) => `update users set license_id = null where ${ofOrganization(scene)}`],
]

test('every reason is explained', () => {
  expect(new Set(CHANGES.map(([reason]) => reason))).toEqual(new Set(Object.keys(OBJECTIONS)))
})

describe.each(CHANGES)('%s: %s', (reason, state, sql) => {
  test('before the claim', async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    await scene.sql(sql(scene))
    expect(await run.send(scene)).toMatchObject({ sent: 0, [state]: 1 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state, reason, attempts: 0 })
    expect(bodies(id!)).toEqual([])
  })

  test('after the claim, when the server already waits for the message', async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    let changed = false
    run.sink.use(async ({ stage }) => {
      if (stage === 'rcpt' && !changed) {
        changed = true
        await scene.sql(sql(scene))
      }
      return undefined
    })
    expect(await run.send(scene)).toMatchObject({ sent: 0, givenBack: 1, nextInMs: 0 })
    expect(await run.send(scene)).toMatchObject({ sent: 0, [state]: 1 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state, reason, attempts: 0 })
    expect(bodies(id!)).toEqual([])
    expect(await scene.sql(`select from users where password_hash is not null and ${ofOrganization(scene)}`)).toEqual([])
  })
})

test('somebody who can log in again gets the mail after all', async () => {
  const scene = await run.scene()
  const [id] = await scene.owe(1)
  await scene.sql(`update users set profile_id = null where ${ofOrganization(scene)}`)
  await run.send(scene)
  expect(await sweepDeliveries(run.database, scene.organizationId)).toMatchObject({ mended: 0 })
  await scene.sql(`update users set profile_id = (select id from profiles where ${ofOrganization(scene)}) where ${ofOrganization(scene)}`)
  expect(await sweepDeliveries(run.database, scene.organizationId)).toMatchObject({ mended: 1 })
  expect(await run.send(scene)).toMatchObject({ sent: 1 })
  expect(bodies(id!)).toHaveLength(1)
})

describe('changed between claim and end', () => {
  /** Runs SQL when the server is told the recipient, once. */
  const during = (scene: Scene, sql: string) => {
    let done = false
    run.sink.use(async ({ stage }) => {
      if (stage === 'rcpt' && !done) {
        done = true
        await scene.sql(sql)
      }
      return undefined
    })
  }

  test('the address: the old one gets nothing, the new one a mail made anew', async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    during(scene, `update contacts set email = 'new@example.test', email_key = 'new@example.test' where ${ofOrganization(scene)}`)
    expect(await run.send(scene)).toMatchObject({ sent: 0, givenBack: 1 })
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(bodies(id!).map(({ to }) => to)).toEqual([['new@example.test']])
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'sent', recipient: 'new@example.test' })
  })

  test('the date: moved into the future, it waits', async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    during(scene, `update deliveries set send_at = now() + interval '1 day' where ${ofOrganization(scene)}`)
    expect(await run.send(scene)).toMatchObject({ sent: 0, givenBack: 1 })
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    const kept = await run.delivery(scene, id!)
    expect(kept).toMatchObject({ state: 'scheduled', attempts: 0 })
    expect(kept.delay).toBeGreaterThan(86_000)
  })

  test('the delivery itself: held or cancelled meanwhile, it stays so', async () => {
    for (const state of ['held', 'cancelled']) {
      const scene = await run.scene()
      const [id] = await scene.owe(1)
      during(scene, `update deliveries set state = '${state}' where ${ofOrganization(scene)}`)
      await run.send(scene)
      expect(await run.delivery(scene, id!)).toMatchObject({ state })
      expect(bodies(id!)).toEqual([])
    }
  })
})
