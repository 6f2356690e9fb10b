import { hashesOf } from '../support/countHashes.ts'
import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { hashLane, MOST_WAITING } from '../../src/accounts/hashLanes.ts'
import { signIn, type SignInAsked } from '../../src/accounts/signIn.ts'
import { LIMITS } from '../../src/accounts/throttle.ts'
import { accessScene, CHEAP, PASSWORD, type AccessScene } from '../support/accessScene.ts'
import { useDatabase } from '../support/importing.ts'

const base = useDatabase()
const NEAR = '192.0.2.7'

const asking = (scene: AccessScene, username: string, more: Partial<SignInAsked> = {}) =>
  signIn(scene.parts, { organizationId: scene.organizationId, username, password: PASSWORD, address: NEAR, device: null, ...more })
const wrongly = (scene: AccessScene, username: string, more: Partial<SignInAsked> = {}) => asking(scene, username, { password: 'not the password', ...more })
const deviceOf = async (scene: AccessScene, username: string, more: Partial<SignInAsked> = {}): Promise<string> => {
  const answer = await asking(scene, username, more)
  if (answer.is !== 'right') throw new Error(`the sign-in was ${answer.is}`)
  return answer.device
}

describe('a right sign-in', () => {
  test('takes the user id in every case and with spaces around it, and sets the last login', async () => {
    const scene = await accessScene(base.current)
    const { userId } = await scene.person({ username: 'mei.okafor' })
    expect(await asking(scene, '  Mei.OKAFOR ')).toMatchObject({ is: 'right', userId, username: 'mei.okafor', firstName: 'Mei', lastName: 'Okafor', mustChangePassword: false, noticeAccepted: false })
    const [user] = await scene.sql<{ recent: boolean }>(`select last_login_at > now() - interval '1 minute' as recent from users where id = $1`, [userId])
    expect(user).toEqual({ recent: true })
  })

  test('takes a password typed with another keyboard: composed or decomposed, with an unusual space', async () => {
    const scene = await accessScene(base.current)
    await scene.person({ username: 'zoe', password: 'Zo\u00EB f\u00E4hrt nach Z\u00FCrich' })
    expect(await asking(scene, 'zoe', { password: 'Zoe\u0308 fa\u0308hrt\u00A0nach Zu\u0308rich' })).toMatchObject({ is: 'right' })
    expect(await asking(scene, 'zoe', { password: 'zo\u00EB f\u00E4hrt nach Z\u00FCrich' })).toEqual({ is: 'wrong' })
  })

  test('tells whether the password has to be changed', async () => {
    const scene = await accessScene(base.current)
    await scene.person({ username: 'new', mustChange: true })
    expect(await asking(scene, 'new')).toMatchObject({ is: 'right', mustChangePassword: true })
  })

  test('reads alongside in its own transaction', async () => {
    const scene = await accessScene(base.current)
    const { userId } = await scene.person({ username: 'abe' })
    const answer = await signIn(scene.parts, { organizationId: scene.organizationId, username: 'abe', password: PASSWORD, address: '', device: null }, (tx, id) => tx.query('select id, last_login_at = now()::timestamptz(3) as this from users where id = $1', [id]))
    expect(answer).toMatchObject({ is: 'right', alongside: [{ id: userId, this: true }] })
  })
})

describe('whatever is wrong', () => {
  const cases: [string, (scene: AccessScene) => Promise<Partial<SignInAsked>>][] = [
    ['the password', async (scene) => ({ username: (await scene.person()).username, password: 'not the password' })],
    ['the user id', async () => ({ username: 'nobody.of.this.name' })],
    ['the organization', async (scene) => ({ username: (await scene.person()).username, organizationId: null })],
    ['the organization, as the user is of another', async (scene) => ({ username: (await (await accessScene(base.current)).person({ username: 'of.another' })).username, organizationId: scene.organizationId })],
    ['that no password was ever made', async (scene) => ({ username: (await scene.person({ password: null })).username })],
    ['that the user is deactivated', async (scene) => {
      const { username, userId } = await scene.person()
      await scene.sql(`update users set state = 'inactive' where id = $1`, [userId])
      return { username }
    }],
    ['that the contact is deactivated', async (scene) => {
      const { username, contactId } = await scene.person()
      await scene.sql(`update contacts set state = 'inactive' where id = $1`, [contactId])
      return { username }
    }],
    ['the password, of an account without a profile', async (scene) => {
      const { username, userId } = await scene.person()
      await scene.sql('update users set profile_id = null where id = $1', [userId])
      return { username, password: 'not the password' }
    }],
    ['that a user without a profile is deactivated', async (scene) => {
      const { username, userId } = await scene.person()
      await scene.sql(`update users set profile_id = null, state = 'inactive' where id = $1`, [userId])
      return { username }
    }],
    ['that the organization signs in through SSO', async (scene) => {
      await scene.sql(`update organizations set settings = jsonb_set(settings, '{login,sso}', 'true') where id = $1`, [scene.organizationId])
      return { username: (await scene.person()).username }
    }],
    ['a user id that no text of PostgreSQL can be', async () => ({ username: 'nul\u0000inside' })],
    ['a password of 10,000 characters', async (scene) => ({ username: (await scene.person()).username, password: 'x'.repeat(10_000) })],
  ]

  test.each(cases)('%s: the same answer, one argon2id, and no last login', async (_, make) => {
    const scene = await accessScene(base.current)
    const asked = await make(scene)
    let answer: unknown
    const hashed = await hashesOf(async () => {
      answer = await signIn(scene.parts, { organizationId: scene.organizationId, username: '', password: PASSWORD, address: NEAR, device: null, ...asked })
    })
    expect(answer).toEqual({ is: 'wrong' })
    expect(hashed).toEqual([{ memory: CHEAP.memory, passes: CHEAP.passes }])
    expect(await scene.sql('select from users where organization_id = $1 and last_login_at is not null', [scene.organizationId])).toEqual([])
    await scene.endWindows()
  })

  test.each([
    ['a profile', 'update users set profile_id = null where id = $1'],
    ['a license', 'update users set license_id = null where id = $1'],
    ['a group', 'delete from user_group_members where user_id = $1'],
  ])('who gives the right password of an account without %s is told so, signs in to nothing, and counts nothing', async (_, without) => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    await scene.sql(without, [userId])
    for (let times = 0; times <= LIMITS.account.limit; times++) {
      let answer: unknown
      expect(await hashesOf(async () => { answer = await asking(scene, username) })).toHaveLength(1)
      expect(answer).toEqual({ is: 'notReady' })
    }
    expect(await scene.sql('select from users where id = $1 and last_login_at is not null', [userId])).toEqual([])
    await scene.endWindows()
  })

  test('all are counted alike: a name that nobody has comes to its limit as one that somebody has', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    for (const [name, organizationId] of [[username, scene.organizationId], ['nobody', scene.organizationId], ['nobody', null]] as const) {
      const answers = []
      for (let tries = 0; tries <= LIMITS.account.limit; tries++) answers.push((await wrongly(scene, name, { organizationId, address: '' })).is)
      expect(answers, name).toEqual([...Array.from({ length: LIMITS.account.limit }, () => 'wrong'), 'wait'])
    }
  })
})

describe('the cost of hashing', () => {
  const DEAR = { memory: 128, passes: 2, parallelism: 1 }
  const work = (hashed: { memory: number; passes: number }[]) => hashed.reduce((sum, { memory, passes }) => sum + memory * passes, 0)

  test('is raised at the next right sign-in when the setting went up, and not again', async () => {
    const scene = await accessScene(base.current, { hashCost: DEAR })
    const { userId, username } = await scene.person({ cost: CHEAP })
    const hashOf = async () => (await scene.sql<{ hash: string }>('select password_hash as hash from users where id = $1', [userId]))[0]!.hash
    expect(await wrongly(scene, username)).toEqual({ is: 'wrong' })
    expect(await hashOf()).toContain('m=64,t=1')
    expect(await asking(scene, username)).toMatchObject({ is: 'right' })
    const raised = await hashOf()
    expect(raised).toContain('m=128,t=2')
    expect(await asking(scene, username)).toMatchObject({ is: 'right' })
    expect(await hashOf()).toBe(raised)
  })

  test('is not lowered when the setting went down', async () => {
    const scene = await accessScene(base.current, { hashCost: CHEAP })
    const { userId, username } = await scene.person({ cost: DEAR })
    expect(await asking(scene, username)).toMatchObject({ is: 'right' })
    expect(await scene.sql(`select from users where id = $1 and password_hash like '%m=128,t=2%'`, [userId])).toHaveLength(1)
  })

  test('is for a wrong password as much as for a wrong user id, while hashes of an older setting are about', async () => {
    const scene = await accessScene(base.current, { hashCost: DEAR })
    const old = await scene.person({ cost: CHEAP })
    const fresh = await scene.person({ cost: DEAR })
    for (const name of [old.username, fresh.username, 'nobody']) expect(work(await hashesOf(() => wrongly(scene, name))), name).toBe(work([DEAR]))
  })

  test('is the same for all, too, once a hash is met that cost more than the setting', async () => {
    const scene = await accessScene(base.current, { hashCost: CHEAP })
    const old = await scene.person({ cost: DEAR })
    const fresh = await scene.person({ cost: CHEAP })
    for (const name of [old.username, fresh.username, 'nobody']) expect(work(await hashesOf(() => wrongly(scene, name))), name).toBe(work([DEAR]))
  })

  test('does not undo a password that was changed while it was raised, and does not let the old one in', async () => {
    const scene = await accessScene(base.current, { hashCost: DEAR })
    const { userId, username } = await scene.person({ cost: CHEAP })
    const other = await scene.person({ password: 'another-good-Password-9' })
    const [changed] = await scene.sql<{ hash: string }>('select password_hash as hash from users where id = $1', [other.userId])
    // Between the verification and the writing, when the salt of the raised hash is drawn.
    let change: Promise<unknown> | undefined
    const parts = { ...scene.parts, random: (count: number) => {
      change ??= scene.sql('update users set password_hash = $2 where id = $1', [userId, changed!.hash])
      return scene.parts.random(count)
    } }
    const holding = await base.current.pool.connect()
    await holding.query('begin')
    await holding.query('select from users where id = $1 for update', [userId])
    const answer = signIn(parts, { organizationId: scene.organizationId, username, password: PASSWORD, address: NEAR, device: null })
    await expect.poll(async () => (await scene.sql<{ n: number }>(`select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'`))[0]!.n).toBeGreaterThan(1)
    await holding.query('update users set password_hash = $2 where id = $1', [userId, changed!.hash])
    await holding.query('commit')
    holding.release()
    await change
    expect(await answer).toEqual({ is: 'wrong' })
    expect((await scene.sql<{ hash: string }>('select password_hash as hash from users where id = $1', [userId]))[0]).toEqual(changed)
  })

  test('two sign-ins at the same moment that both raise it are both right', async () => {
    const scene = await accessScene(base.current, { hashCost: DEAR })
    const { username } = await scene.person({ cost: CHEAP })
    const answers = await Promise.all(Array.from({ length: 6 }, () => asking(scene, username)))
    expect(answers.map(({ is }) => is)).toEqual(Array.from({ length: 6 }, () => 'right'))
  })
})

describe('throttles', () => {
  const exhaust = async (scene: AccessScene, username: string, more: Partial<SignInAsked> = {}) => {
    for (let tries = 0; tries < LIMITS.account.limit; tries++) await wrongly(scene, username, more)
  }

  test('after ten wrong tries the right password waits too, at most 15 minutes, and costs no argon2id', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    await exhaust(scene, username)
    let answer: Awaited<ReturnType<typeof asking>> | undefined
    expect(await hashesOf(async () => { answer = await asking(scene, username) })).toEqual([])
    expect(answer).toMatchObject({ is: 'wait' })
    const { seconds } = answer as { seconds: number }
    expect(seconds).toBeGreaterThan(15 * 60 - 60)
    expect(seconds).toBeLessThanOrEqual(15 * 60)
  })

  test('what is throttled does not lengthen the wait', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    await exhaust(scene, username)
    await scene.sql(`update throttles set ends_at = ends_at - interval '10 minutes'`)
    for (let tries = 0; tries < 5; tries++) expect(await asking(scene, username)).toMatchObject({ is: 'wait' })
    const { seconds } = (await asking(scene, username)) as { seconds: number }
    expect(seconds).toBeLessThanOrEqual(5 * 60)
    await scene.endWindows()
    expect(await asking(scene, username)).toMatchObject({ is: 'right' })
  })

  test('tries at the same moment are counted before they are made: no more than ten are verified', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    const hashed = await hashesOf(() => Promise.all(Array.from({ length: 30 }, () => wrongly(scene, username))))
    expect(hashed).toHaveLength(LIMITS.account.limit)
  })

  test('right sign-ins count nothing, however many', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    for (let times = 0; times < LIMITS.account.limit + 5; times++) expect(await asking(scene, username)).toMatchObject({ is: 'right' })
  })

  test('an attacker does not lock out the browser that has signed in before', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    const device = await deviceOf(scene, username)
    await exhaust(scene, username, { address: '203.0.113.9' })
    expect(await asking(scene, username)).toMatchObject({ is: 'wait' })
    expect(await asking(scene, username, { device })).toMatchObject({ is: 'right', device })
  })

  test('made-up names from the same address do not lock it out either, and its own failures do not count for the address', async () => {
    const scene = await accessScene(base.current)
    const [{ username }, other] = [await scene.person(), await scene.person()]
    const address = '192.0.2.99'
    const device = await deviceOf(scene, username)
    for (let tries = 0; tries < LIMITS.address.limit - 1; tries++) await wrongly(scene, `nobody.${tries}`, { address })
    for (let tries = 0; tries < 3; tries++) expect(await wrongly(scene, username, { device, address })).toEqual({ is: 'wrong' })
    expect(await asking(scene, other.username, { address })).toMatchObject({ is: 'right' })
    await wrongly(scene, 'nobody.more', { address })
    expect(await asking(scene, other.username, { address })).toMatchObject({ is: 'wait' })
    expect(await asking(scene, username, { device, address })).toMatchObject({ is: 'right', device })
  })

  test('a browser that several people sign in from has one for each of them', async () => {
    const scene = await accessScene(base.current)
    const [one, two] = [await scene.person(), await scene.person()]
    const devices = [await deviceOf(scene, one.username), await deviceOf(scene, two.username)]
    for (const { username } of [one, two]) await exhaust(scene, username, { address: '' })
    expect(await asking(scene, one.username, { device: devices })).toMatchObject({ is: 'right', device: devices[0] })
    expect(await asking(scene, two.username, { device: devices })).toMatchObject({ is: 'right', device: devices[1] })
  })

  test('a browser of its own has a limit of its own, which a right sign-in clears', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    const device = await deviceOf(scene, username)
    for (let tries = 0; tries < LIMITS.device.limit - 1; tries++) expect(await wrongly(scene, username, { device })).toEqual({ is: 'wrong' })
    expect(await asking(scene, username, { device })).toMatchObject({ is: 'right' })
    for (let tries = 0; tries < LIMITS.device.limit; tries++) expect(await wrongly(scene, username, { device })).toEqual({ is: 'wrong' })
    expect(await asking(scene, username, { device })).toMatchObject({ is: 'wait' })
    expect(await asking(scene, username)).toMatchObject({ is: 'right' })
  })

  test("somebody else's device, one of another organization and a forged one give no counter of their own", async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    const attacker = await scene.person()
    const elsewhere = await accessScene(base.current)
    const far = await elsewhere.person({ username })
    await exhaust(scene, username)
    const own = await deviceOf(scene, attacker.username)
    const devices = [own, own.replace(/^\d+/, (await scene.sql<{ id: string }>('select id from users where username = $1 and organization_id = $2', [username, scene.organizationId]))[0]!.id), await deviceOf(elsewhere, far.username), `${far.userId}.x.y`, '']
    for (const device of devices) expect(await asking(scene, username, { device }), device).toMatchObject({ is: 'wait' })
  })

  test('one address comes to its limit over many names, and other addresses go on', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    const address = '198.51.100.20'
    for (let tries = 0; tries < LIMITS.address.limit; tries++) await wrongly(scene, `name.${tries}`, { address })
    expect(await asking(scene, username, { address })).toMatchObject({ is: 'wait' })
    expect(await asking(scene, username, { address: `::ffff:${address}` })).toMatchObject({ is: 'wait' })
    expect(await asking(scene, username, { address, addressBy: 'somebody else' })).toMatchObject({ is: 'right' })
    expect(await asking(scene, username, { address: '198.51.100.21' })).toMatchObject({ is: 'right' })
    expect(await asking(scene, username, { address: '' })).toMatchObject({ is: 'right' })
  })

  test('when more wait for a lane than could be served soon, the next one is asked to come back, and nothing is counted', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const occupied = Array.from({ length: MOST_WAITING + availableParallelism() }, () => hashLane(() => held))
    expect(await asking(scene, username)).toEqual({ is: 'wait', seconds: 2 })
    release()
    await Promise.all(occupied)
    expect(await asking(scene, username)).toMatchObject({ is: 'right' })
  })

  test('names and addresses do not stand in the table', async () => {
    const scene = await accessScene(base.current)
    await wrongly(scene, 'secret.name', { address: '198.51.100.77' })
    const text = JSON.stringify(await scene.sql('select * from throttles'))
    expect(text).not.toMatch(/secret.name|198\.51/)
  })
})
