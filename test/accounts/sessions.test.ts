import { describe, expect, test } from 'vitest'
import { register } from '../../src/accounts/registration.ts'
import { resetPassword } from '../../src/accounts/resetPassword.ts'
import { endSession, endSessions, readSession } from '../../src/accounts/sessions.ts'
import { signIn } from '../../src/accounts/signIn.ts'
import { createKey } from '../../src/accounts/apiKeys.ts'
import { portalOrganization } from '../../src/accounts/registration.ts'
import { accessScene, PASSWORD } from '../support/accessScene.ts'
import { useDatabase } from '../support/importing.ts'

const base = useDatabase()

const opened = async () => {
  const scene = await accessScene(base.current)
  const person = await scene.person({ username: 'mei.okafor' })
  const token = await scene.openSession(person.userId)
  return { scene, ...person, token, read: () => readSession(scene.parts, token) }
}

describe('a session', () => {
  test('tells who is signed in, and with whom', async () => {
    const { scene, read, userId } = await opened()
    expect(await read()).toMatchObject({ organizationId: scene.organizationId, organizationKey: scene.key, organizationName: 'Acme Staffing', language: 'en', userId, username: 'mei.okafor', firstName: 'Mei', lastName: 'Okafor', mustChangePassword: false, noticeAccepted: false })
  })

  test('has a token of 256 random bits, of which only the hash is kept', async () => {
    const { scene, token } = await opened()
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(JSON.stringify(await scene.sql('select * from sessions'))).not.toContain(token)
  })

  test.each([
    ['an unknown token', 'select 1'],
    ['30 minutes without a request', `update sessions set seen_at = now() - interval '30 minutes' where user_id = $1`],
    ['12 hours', `update sessions set expires_at = now() - interval '1 second', seen_at = now() where user_id = $1`],
    ['the user being deactivated', `update users set state = 'inactive' where id = $1`],
    ['the contact being deactivated', `update contacts set state = 'inactive' where id = (select contact_id from users where id = $1)`],
    ['the organization turning to SSO', `update organizations set settings = jsonb_set(settings, '{login,sso}', 'true') where id = (select organization_id from users where id = $1)`],
  ])('is none after %s', async (what, sql) => {
    const { scene, read, userId, token } = await opened()
    expect(await read()).not.toBeNull()
    if (what === 'an unknown token') expect(await readSession(scene.parts, `${token}x`)).toBeNull()
    else {
      await scene.sql(sql, [userId])
      expect(await read()).toBeNull()
    }
  })

  test('begins with twelve hours, and stays while there are requests', async () => {
    const { scene, read, userId } = await opened()
    expect(await scene.sql(`select from sessions where user_id = $1 and expires_at between now() + interval '11 hours 59 minutes' and now() + interval '12 hours'`, [userId])).toHaveLength(1)
    await scene.sql(`update sessions set seen_at = now() - interval '29 minutes' where user_id = $1`, [userId])
    expect(await read()).not.toBeNull()
    expect(await scene.sql(`select from sessions where user_id = $1 and seen_at > now() - interval '10 seconds'`, [userId])).toHaveLength(1)
  })

  test('is written to once a minute at most', async () => {
    const { scene, read, userId } = await opened()
    await scene.sql(`update sessions set seen_at = date_trunc('second', now() - interval '50 seconds') where user_id = $1`, [userId])
    const seen = () => scene.sql('select seen_at, xmin from sessions where user_id = $1', [userId])
    const before = await seen()
    await read()
    expect(await seen()).toEqual(before)
  })

  test('ends, and ending it again is no fault', async () => {
    const { scene, token, read } = await opened()
    await endSession(scene.parts, token)
    await endSession(scene.parts, token)
    expect(await read()).toBeNull()
  })

  test('all of a user end, and nobody else\'s', async () => {
    const { scene, userId, read } = await opened()
    const other = await scene.openSession(userId)
    const neighbor = await scene.openSession((await scene.person()).userId)
    await base.current.tenant(scene.organizationId, (tx) => endSessions(tx, userId))
    expect([await read(), await readSession(scene.parts, other), await readSession(scene.parts, neighbor)].map((session) => session !== null)).toEqual([false, false, true])
  })
})

test('an organization is found by its key, and by no other text', async () => {
  const { scene } = await opened()
  expect(await portalOrganization(scene.parts, scene.key)).toMatchObject({ id: scene.organizationId, key: scene.key, name: 'Acme Staffing', timeZone: 'UTC', settings: { onboarding: { passwordLength: 12 } } })
  for (const key of ['', 'no-such-organization', scene.key.toUpperCase(), `${scene.key}\u0000`]) expect(await portalOrganization(scene.parts, key)).toBeNull()
})

test('no secret stands in any table (invariant I5)', async () => {
  const scene = await accessScene(base.current)
  const { userId } = await scene.person({ password: null })
  const invitation = await scene.invite(userId)
  const chosen = 'brass-lantern-19-orchards'
  await register(scene.parts, invitation, { username: 'chosen.name', password: chosen, address: '203.0.113.200' })
  const answer = await signIn(scene.parts, { organizationId: scene.organizationId, username: 'chosen.name', password: chosen, address: '203.0.113.200', device: null })
  const session = await scene.openSession(userId)
  await signIn(scene.parts, { organizationId: scene.organizationId, username: 'chosen.name', password: PASSWORD, address: '203.0.113.200', device: (answer as { device: string }).device })
  const reset = await scene.sendReset(userId)
  const next = 'tin-whistle-23-orchards'
  await resetPassword(scene.parts, reset, next)
  const { key } = await base.current.tenant(scene.organizationId, (tx) => createKey(tx, 'WebCenter', 'operator', scene.parts.random))
  const tables = await scene.sql<{ name: string }>(`select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables where table_schema in ('public', 'staging')`)
  let text = ''
  for (const { name } of tables) text += JSON.stringify(await scene.sql(`select t::text from ${name} t`))
  expect(text.includes('chosen.name')).toBe(true)
  for (const secret of [invitation, chosen, session, reset, next, key, PASSWORD, '203.0.113.200', (answer as { device: string }).device]) expect(text.includes(secret), secret).toBe(false)
})
