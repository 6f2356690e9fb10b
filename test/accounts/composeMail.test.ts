/** The mails about an account that go beside invitations and credentials: to whom, with what, and what is stored as they leave. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hashToken } from '../../src/accounts/invitations.ts'
import { verifyPassword } from '../../src/accounts/passwords.ts'
import { launchResetSql } from '../../src/accounts/passwordResets.ts'
import type { DeliveryPurpose } from '../../src/entities/states.ts'
import { deliveryRun } from '../support/deliveryRun.ts'
import type { DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

let run: DeliveryRun
let scene: Scene
let key: string

beforeAll(async () => {
  run = await deliveryRun()
})
afterAll(() => run.close())
beforeEach(async () => {
  scene = await run.scene({ timeZone: 'America/Chicago', settings: { supportContact: { name: 'Help desk', email: 'help@acme.example', phone: '6125550100' } } })
  key = String((await scene.sql('select key from organizations where id = $1', [scene.organizationId]))[0]!['key'])
})

const plain = (body: string) => Buffer.from(body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString()
const mailOf = (id: string) => {
  const mail = run.sink.messages.find(({ messageId }) => messageId.startsWith(`<${id}.`))!
  return { to: mail.to, headers: mail.body.split('\r\n\r\n')[0]!, body: plain(mail.body) }
}
/** Owes a mail of the purpose to somebody new, changes what the test says, and sends it. */
const mailed = async (purpose: DeliveryPurpose, change = '') => {
  const [id] = await scene.owe(1, { purpose })
  if (change !== '') await scene.sql(change, [id])
  expect(await run.send(scene)).toMatchObject({ sent: 1 })
  return mailOf(id!)
}
const again = async (user: string) => {
  const [row] = await scene.sql<{ id: string }>(
    `insert into deliveries (organization_id, user_id, purpose, epoch, state, send_at)
     select organization_id, id, 'passwordReset', (select max(epoch) + 1 from deliveries where user_id = $1), 'scheduled', now() from users where id = $1 returning id`, [user])
  expect(await run.send(scene)).toMatchObject({ sent: 1 })
  return mailOf(row!.id)
}

describe('credentials that an operator hands over (D2)', () => {
  test('go to the operator without the name of the person in the address, and name the person in the mail; the hash is stored', async () => {
    const { to, headers, body } = await mailed('operatorCredentials', `update deliveries set deliver_to = 'desk@acme.example' where id = $1`)
    expect(to).toEqual(['desk@acme.example'])
    expect(headers).toMatch(/^To: <?desk@acme\.example>?\r?$/m)
    expect(body).toContain('Ana Nguyễn-1')
    const [user] = await scene.sql<{ hash: string; must: boolean; username: string }>('select password_hash as hash, must_change_password as must, username from users where organization_id = $1', [scene.organizationId])
    const right = await Promise.all(body.split(/\s+/).map(async (word) => word.length === 15 && (await verifyPassword(user!.hash, word))))
    expect(right).toContain(true)
    expect(user!.must).toBe(true)
    expect(body).toContain(`https://muster.example/${key}/sign-in`)
    expect(body).not.toContain('Help desk')
  })
})

describe('what somebody gets who has registered, in place of an invitation (D3)', () => {
  test('names the user id, where to sign in, and where to ask for a new password; the organization has its own page, if it says so', async () => {
    const { to, body } = await mailed('alreadyRegistered', `update users set password_chosen_at = now(), last_login_at = now() where id = (select user_id from deliveries where id = $1)`)
    expect(to).toEqual(['ana1@example.test'])
    expect(body).toContain('\r\n    ana1\r\n')
    expect(body).toContain(`https://muster.example/${key}/sign-in`)
    expect(body).toContain(`https://muster.example/${key}/forgot`)
    const own = await mailed('welcome', `update organizations set settings = jsonb_set(settings, '{login,url}', '"https://acme.example/login"') where id = (select organization_id from deliveries where id = $1)`)
    expect(own.body).toContain('https://acme.example/login')
    expect(own.body).not.toContain('/sign-in')
  })
})

describe('a link to choose a new password (D4)', () => {
  const resets = () => scene.sql<{ hash: string; minutes: number; used: boolean; epoch: number }>(
    `select token_hash as hash, extract(epoch from expires_at - now())::float8 / 60 as minutes, used_at is not null as used, epoch from password_resets where organization_id = $1 order by epoch`, [scene.organizationId])
  const tokenIn = (body: string) => /https:\/\/muster\.example\/reset\/([\w-]{43})/.exec(body)![1]!
  const userId = async () => String((await scene.sql('select id from users where organization_id = $1', [scene.organizationId]))[0]!['id'])

  test('is the one whose hash is stored, and works for an hour from its leaving', async () => {
    const { headers, body } = await mailed('passwordReset')
    const [stored, ...more] = await resets()
    expect(more).toEqual([])
    expect(stored).toMatchObject({ hash: hashToken(tokenIn(body)), used: false, epoch: 1 })
    expect(stored!.minutes).toBeGreaterThan(59)
    expect(stored!.minutes).toBeLessThanOrEqual(60)
    expect(body).toMatch(/valid until \w+ \d{1,2}, 20\d\d at \d{1,2}:\d\d.[AP]M C[SD]T/)
    expect(headers).not.toContain(tokenIn(body))
    expect(JSON.stringify(await scene.sql('select d, a from deliveries d join delivery_attempts a on a.delivery_id = d.id where d.organization_id = $1', [scene.organizationId]))).not.toContain(tokenIn(body))
  })

  test('makes earlier ones void; one that was used stays as it was', async () => {
    await mailed('passwordReset')
    const user = await userId()
    const second = await again(user)
    expect(await resets()).toMatchObject([{ hash: hashToken(tokenIn(second.body)), epoch: 2 }])
    await scene.sql('update password_resets set used_at = now() where organization_id = $1', [scene.organizationId])
    const third = await again(user)
    expect(await resets()).toMatchObject([{ epoch: 2, used: true }, { hash: hashToken(tokenIn(third.body)), epoch: 3, used: false }])
  })

  test('that leaves again after a refusal takes the place of what was stored, unless that was used', async () => {
    await mailed('passwordReset')
    const user = await userId()
    const launch = (hash: string) => run.database.tenant(scene.organizationId, async (tx) => {
      await tx.run(`create temp table leaving on commit drop as select ${user}::bigint as user_id, 1 as epoch, '{"tokenHash":"${hash}"}'::jsonb as sealed`)
      for (const statement of launchResetSql('leaving')) await tx.run(statement)
    })
    await launch('a')
    expect(await resets()).toMatchObject([{ hash: 'a' }])
    await scene.sql('update password_resets set used_at = now() where organization_id = $1', [scene.organizationId])
    await launch('b')
    expect(await resets()).toMatchObject([{ hash: 'a', used: true }])
  })
})

describe('the mail that the password was changed (D4)', () => {
  test('says when, in the zone of the organization, and whom to turn to', async () => {
    const { body } = await mailed('passwordChanged', `update users set password_chosen_at = '2026-07-01T17:05:00Z' where id = (select user_id from deliveries where id = $1)`)
    expect(body).toMatch(/July 1, 2026 at 12:05.PM CDT/)
    expect(body).toContain('Help desk\r\nhelp@acme.example\r\n(612) 555-0100')
    expect(body).toContain(`https://muster.example/${key}/forgot`)
    expect(body).not.toMatch(/\/(reset|invitations)\//)
  })
})
