import { hashesOf } from '../support/countHashes.ts'
import { describe, expect, test } from 'vitest'
import { acceptNotice } from '../../src/accounts/acceptNotice.ts'
import { parseFilters } from '../../src/accounts/filterPeople.ts'
import { listUsers } from '../../src/accounts/listPeople.ts'
import { readInvitation, register } from '../../src/accounts/registration.ts'
import { signIn } from '../../src/accounts/signIn.ts'
import { LIMITS } from '../../src/accounts/throttle.ts'
import { Database } from '../../src/entities/database.ts'
import { accessScene, PASSWORD, type AccessScene, type Person } from '../support/accessScene.ts'
import { useDatabase } from '../support/importing.ts'

const base = useDatabase()
const NEW = 'quiet-lantern-42-meadow'

/** Somebody who was invited, with the token of the link. */
const invited = async (scene: AccessScene, options: Parameters<AccessScene['person']>[0] = {}): Promise<Person & { token: string }> => {
  const person = await scene.person({ password: null, ...options })
  return { ...person, token: await scene.invite(person.userId) }
}
const usernames = async (scene: AccessScene) => (await scene.sql<{ username: string }>('select username from users where organization_id = $1 order by username', [scene.organizationId])).map(({ username }) => username)
const invitation = async (scene: AccessScene, userId: string) => (await scene.sql<{ state: string }>('select state from invitations where user_id = $1 order by epoch', [userId])).map(({ state }) => state)

describe('a link', () => {
  test('that is open tells who is invited, until when, and the user id given so far', async () => {
    const scene = await accessScene(base.current)
    const { token } = await invited(scene, { username: 'mei.okafor', firstName: 'Mei' })
    expect(await readInvitation(scene.parts, token)).toMatchObject({ is: 'open', firstName: 'Mei', lastName: 'Okafor', username: 'mei.okafor', organization: { id: scene.organizationId, key: scene.key, language: 'en' } })
  })

  test('is not used up by being opened, however often', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene)
    const before = await scene.sql('select * from invitations where user_id = $1', [userId])
    for (let times = 0; times < 3; times++) expect((await readInvitation(scene.parts, token)).is).toBe('open')
    expect(await scene.sql('select * from invitations where user_id = $1', [userId])).toEqual(before)
  })

  const gone: [string, (scene: AccessScene) => Promise<string>, string][] = [
    ['nobody sent', async () => 'x'.repeat(43), 'unknown'],
    ['whose time is over', async (scene) => scene.invite((await scene.person({ password: null })).userId, { expiresAt: `now() - interval '1 second'` }), 'expired'],
    ['that is marked expired', async (scene) => scene.invite((await scene.person({ password: null })).userId, { state: 'expired' }), 'expired'],
    ['that a newer one has replaced', async (scene) => scene.invite((await scene.person({ password: null })).userId, { state: 'revoked' }), 'revoked'],
    ['somebody has registered with', async (scene) => scene.invite((await scene.person({ chosen: true })).userId, { state: 'in_progress' }), 'used'],
    ['of a person who is deactivated', async (scene) => {
      const { token, userId } = await invited(scene)
      await scene.sql(`update users set state = 'inactive' where id = $1`, [userId])
      return token
    }, 'revoked'],
    ['of a contact who is deactivated', async (scene) => {
      const { token, contactId } = await invited(scene)
      await scene.sql(`update contacts set state = 'inactive' where id = $1`, [contactId])
      return token
    }, 'revoked'],
    ['of an organization that has turned to SSO', async (scene) => {
      await scene.sql(`update organizations set settings = jsonb_set(settings, '{login,sso}', 'true') where id = $1`, [scene.organizationId])
      return (await invited(scene)).token
    }, 'revoked'],
    ['of a person who has chosen a password by other means', async (scene) => scene.invite((await scene.person({ chosen: true })).userId), 'used'],
    ['of a person who has signed in with mailed credentials', async (scene) => {
      const person = await scene.person()
      await scene.sql('update users set last_login_at = now() where id = $1', [person.userId])
      return scene.invite(person.userId)
    }, 'used'],
  ]

  test.each(gone)('%s leads nowhere, and costs no argon2id', async (_, make, why) => {
    const scene = await accessScene(base.current)
    const token = await make(scene)
    const passwords = () => scene.sql('select id, password_hash from users where organization_id = $1', [scene.organizationId])
    const before = await passwords()
    expect(await readInvitation(scene.parts, token)).toMatchObject({ is: 'gone', why })
    let answer: unknown
    expect(await hashesOf(async () => { answer = await register(scene.parts, token, { username: 'somebody.new', password: NEW }) })).toEqual([])
    expect(answer).toEqual({ is: 'gone', why })
    expect(await passwords()).toEqual(before)
  })

  test('that are none, too many from one address, make that address wait, and nobody else', async () => {
    const scene = await accessScene(base.current)
    const { token } = await invited(scene)
    for (let tries = 0; tries < LIMITS.token.limit; tries++) await register(scene.parts, `none-${tries}`, { username: 'a', password: 'b', address: '192.0.2.50' })
    const chosen = { username: 'anna.new', password: NEW }
    expect(await register(scene.parts, token, { ...chosen, address: '192.0.2.50' })).toMatchObject({ is: 'wait' })
    expect(await register(scene.parts, token, { ...chosen, address: '192.0.2.51' })).toMatchObject({ is: 'registered' })
  })
})

describe('registering', () => {
  test('gives user id and password, and the invitation is in progress', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene, { username: 'mei.okafor' })
    expect(await register(scene.parts, token, { username: ' Mei ', password: NEW })).toMatchObject({ is: 'registered', organizationId: scene.organizationId, userId })
    expect(await scene.sql(`select username, username_stem, must_change_password, password_chosen_at is not null as chosen from users where id = $1`, [userId])).toEqual([{ username: 'mei', username_stem: 'mei', must_change_password: false, chosen: true }])
    expect(await invitation(scene, userId)).toEqual(['in_progress'])
    expect(await signIn(scene.parts, { organizationId: scene.organizationId, username: 'mei', password: NEW, address: '', device: null })).toMatchObject({ is: 'right', userId })
    expect(await signIn(scene.parts, { organizationId: scene.organizationId, username: 'mei.okafor', password: NEW, address: '', device: null })).toEqual({ is: 'wrong' })
  })

  test('puts the user id so far to rest, and a plan made before is stale', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene, { username: 'mei.okafor2' })
    await register(scene.parts, token, { username: 'mei', password: NEW })
    expect(await scene.sql('select username, username_stem, username_number from released_usernames where organization_id = $1', [scene.organizationId])).toEqual([{ username: 'mei.okafor2', username_stem: 'mei.okafor', username_number: 2 }])
    expect(await scene.sql('select version from users where id = $1', [userId])).toEqual([{ version: 2 }])
  })

  test('keeps the user id so far where that is what is chosen', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene, { username: 'mei.okafor' })
    expect(await register(scene.parts, token, { username: 'mei.okafor', password: NEW })).toMatchObject({ is: 'registered' })
    expect(await scene.sql('select from released_usernames where organization_id = $1', [scene.organizationId])).toEqual([])
    expect(await scene.sql('select version from users where id = $1', [userId])).toEqual([{ version: 1 }])
  })

  test('makes other links of the person void', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene)
    const later = await scene.invite(userId, { epoch: 2 })
    await register(scene.parts, token, { username: 'mei', password: NEW })
    expect(await invitation(scene, userId)).toEqual(['in_progress', 'revoked'])
    expect(await register(scene.parts, later, { username: 'mei', password: NEW })).toEqual({ is: 'gone', why: 'revoked' })
  })

  test('cancels an invitation that was owed meanwhile, and is shown as what the person did', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene)
    await scene.invite(userId, { epoch: 2, state: 'created' })
    await scene.sql(`insert into deliveries (organization_id, user_id, purpose, epoch, state) values ($1, $2, 'invitation', 1, 'sent'), ($1, $2, 'invitation', 2, 'held')`, [scene.organizationId, userId])
    await register(scene.parts, token, { username: 'mei', password: NEW })
    expect(await scene.sql('select epoch, state, reason from deliveries where user_id = $1 order by epoch', [userId])).toEqual([{ epoch: 1, state: 'sent', reason: null }, { epoch: 2, state: 'cancelled', reason: 'already_registered' }])
    const shown = (...filters: string[]) => base.current.tenant(scene.organizationId, (tx) => listUsers(tx, parseFilters(filters), { after: '0', limit: 10 }))
    expect((await shown()).map(({ onboarding }) => onboarding)).toEqual(['in_progress'])
    await acceptNotice(scene.parts, scene.organizationId, userId)
    expect((await shown('onboarding=completed')).map(({ id }) => id)).toEqual([userId])
    expect(await shown('onboarding=revoked')).toEqual([])
  })

  test.each([
    ['a user id that somebody has', 'taken.name', 'username.taken', { proposal: 'taken.name3' }],
    ['a user id that somebody had', 'former.name', 'username.taken', { proposal: 'former.name2' }],
    ['a reserved user id', 'admin', 'username.invalid', { reason: 'it is reserved' }],
    ['a user id with strange characters', 'mei okafor', 'username.invalid', { reason: expect.stringContaining('it holds') }],
    ['no user id', ' ', 'username.invalid', { reason: 'it is empty' }],
    ['a user id longer than the organization allows', 'm'.repeat(33), 'username.invalid', { reason: expect.stringContaining('32 are allowed') }],
  ])('%s is refused, and the link still works', async (_, username, code, detail) => {
    const scene = await accessScene(base.current)
    await scene.person({ username: 'taken.name' })
    await scene.person({ username: 'taken.name2' })
    await scene.sql(`insert into released_usernames (organization_id, username, username_stem, username_number) values ($1, 'former.name', 'former.name', 1)`, [scene.organizationId])
    const { token } = await invited(scene)
    expect(await register(scene.parts, token, { username, password: NEW })).toEqual({ is: 'refused', problems: [{ field: 'username', code, detail }] })
    expect((await readInvitation(scene.parts, token)).is).toBe('open')
    expect(await register(scene.parts, token, { username: 'free.name', password: NEW })).toMatchObject({ is: 'registered' })
  })

  test('every field is told of at once', async () => {
    const scene = await accessScene(base.current)
    const { token } = await invited(scene)
    expect(await register(scene.parts, token, { username: '', password: 'short' })).toMatchObject({ is: 'refused', problems: [{ field: 'username', code: 'username.invalid' }, { field: 'password', code: 'password.too_short' }] })
  })

  test("a password that holds the person's own name or the organization's is refused", async () => {
    const scene = await accessScene(base.current)
    const { token } = await invited(scene, { firstName: 'Jos\u00E9phine', email: 'jo.blanc@mail.test' })
    for (const [password, word] of [['river-JOSEPHINE-harbor-22', 'Jos\u00E9phine'], ['staffing-is-what-22-we-do', 'Staffing'], ['wild-chosen.name-gate-22', 'chosen.name'], ['a blanc page in march 17', 'blanc']] as const) {
      expect(await register(scene.parts, token, { username: 'chosen.name', password }), password).toEqual({ is: 'refused', problems: [{ field: 'password', code: 'password.personal', detail: { word } }] })
    }
  })
})

describe('at the same moment', () => {
  /** Connections of its own for each, as of two portals. */
  const portals = async <T>(scene: AccessScene, works: ((parts: AccessScene['parts']) => Promise<T>)[]): Promise<T[]> => {
    const url = base.current.pool.options.connectionString!
    const databases = works.map(() => new Database(url))
    try {
      return await Promise.all(works.map((work, index) => work({ ...scene.parts, database: databases[index]! })))
    } finally {
      for (const database of databases) await database.close()
    }
  }

  test('a link used twice registers once; the other one finds it used, and its password is not taken', async () => {
    for (let round = 0; round < 5; round++) {
      const scene = await accessScene(base.current)
      const { token, userId } = await invited(scene)
      const chosen = [{ username: 'one.of.them', password: `${NEW}-1` }, { username: 'the.other', password: `${NEW}-2` }]
      const answers = await portals(scene, chosen.map((choice) => (parts) => register(parts, token, choice)))
      expect(answers.map(({ is }) => is).toSorted()).toEqual(['gone', 'registered'])
      expect(answers.find(({ is }) => is === 'gone')).toEqual({ is: 'gone', why: 'used' })
      const winner = chosen[answers.findIndex(({ is }) => is === 'registered')]!
      expect(await usernames(scene)).toEqual([winner.username])
      expect(await signIn(scene.parts, { organizationId: scene.organizationId, ...winner, address: '', device: null })).toMatchObject({ is: 'right', userId })
      expect(await scene.sql('select from released_usernames where organization_id = $1', [scene.organizationId])).toHaveLength(1)
    }
  })

  test('of two people who choose the same user id one gets it; the other is told, has lost nothing, and registers with another', async () => {
    for (let round = 0; round < 5; round++) {
      const scene = await accessScene(base.current)
      const people = [await invited(scene, { username: 'first.person' }), await invited(scene, { username: 'second.person' })]
      const answers = await portals(scene, people.map(({ token }) => (parts) => register(parts, token, { username: 'wanted', password: NEW })))
      expect(answers.map(({ is }) => is).toSorted()).toEqual(['refused', 'registered'])
      const loser = people[answers.findIndex(({ is }) => is === 'refused')]!
      expect(answers.find(({ is }) => is === 'refused')).toEqual({ is: 'refused', problems: [{ field: 'username', code: 'username.taken', detail: { proposal: 'wanted2' } }] })
      expect(await usernames(scene)).toEqual([loser.username, 'wanted'].toSorted())
      expect(await scene.sql('select from users where id = $1 and password_hash is null and password_chosen_at is null', [loser.userId])).toHaveLength(1)
      expect(await register(scene.parts, loser.token, { username: 'wanted2', password: NEW })).toMatchObject({ is: 'registered', userId: loser.userId })
    }
  })

  /** Parts with which `happening` is done while the password is being hashed: between the look at the link and the writing. */
  const meanwhile = (scene: AccessScene, happening: () => Promise<unknown>): { parts: AccessScene['parts']; done: () => Promise<unknown> } => {
    let begun: Promise<unknown> | undefined
    const random = (count: number) => {
      begun ??= happening()
      return scene.parts.random(count)
    }
    const { database } = scene.parts
    const waiting = async (...asked: Parameters<Database['tenant']>): Promise<unknown> => {
      await begun
      return database.tenant(...asked)
    }
    const held = new Proxy(database, { get: (target, name) => (name === 'tenant' ? waiting : Reflect.get(target, name).bind(target)) })
    return { parts: { ...scene.parts, random, database: held }, done: () => begun ?? Promise.reject(new Error('nothing was hashed')) }
  }

  test('a name that was given up a moment ago goes to nobody', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene, { username: 'taker' })
    const { parts, done } = meanwhile(scene, () => scene.sql(`insert into released_usernames (organization_id, username, username_stem, username_number) values ($1, 'given.up', 'given.up', 1)`, [scene.organizationId]))
    expect(await register(parts, token, { username: 'given.up', password: NEW })).toMatchObject({ is: 'refused', problems: [{ code: 'username.taken', detail: { proposal: 'given.up2' } }] })
    await done()
    expect(await scene.sql('select from users where id = $1 and username = $2 and password_hash is null', [userId, 'taker'])).toHaveLength(1)
    expect((await readInvitation(scene.parts, token)).is).toBe('open')
  })

  test.each([
    ['deactivated', `update users set state = 'inactive' where id = $1`, 'revoked'],
    ['sent another link', `update invitations set state = 'revoked' where user_id = $1`, 'revoked'],
    ['expired', `update invitations set expires_at = now() - interval '1 second' where user_id = $1`, 'expired'],
  ])('somebody who is %s while registering has not registered', async (_, sql, why) => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene)
    const { parts, done } = meanwhile(scene, () => scene.sql(sql, [userId]))
    expect(await register(parts, token, { username: 'mei', password: NEW })).toEqual({ is: 'gone', why })
    await done()
    expect(await scene.sql('select from users where id = $1 and password_hash is null', [userId])).toHaveLength(1)
  })

  test('two people who exchange their names get neither, and both links still work', async () => {
    const scene = await accessScene(base.current)
    const people = [await invited(scene, { username: 'name.a' }), await invited(scene, { username: 'name.b' })]
    const answers = await portals(scene, [(parts) => register(parts, people[0]!.token, { username: 'name.b', password: NEW }), (parts) => register(parts, people[1]!.token, { username: 'name.a', password: NEW })])
    expect(answers).toMatchObject([{ is: 'refused', problems: [{ code: 'username.taken' }] }, { is: 'refused', problems: [{ code: 'username.taken' }] }])
    for (const { token } of people) expect((await readInvitation(scene.parts, token)).is).toBe('open')
  })
})

describe('the notice', () => {
  test('accepted by somebody who was invited completes the invitation and owes one welcome, however often it is sent', async () => {
    const scene = await accessScene(base.current)
    const { token, userId } = await invited(scene)
    await register(scene.parts, token, { username: 'mei', password: NEW })
    const answers = await Promise.all(Array.from({ length: 4 }, () => acceptNotice(scene.parts, scene.organizationId, userId)))
    expect(answers.filter(Boolean)).toHaveLength(1)
    expect(await invitation(scene, userId)).toEqual(['completed'])
    expect(scene.owed).toEqual([{ purpose: 'welcome', userId }])
  })

  test('accepted by somebody with mailed credentials is recorded, and no welcome is owed', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    expect(await acceptNotice(scene.parts, scene.organizationId, userId)).toBe(true)
    expect(await acceptNotice(scene.parts, scene.organizationId, userId)).toBe(false)
    expect(scene.owed).toEqual([])
    expect(await signIn(scene.parts, { organizationId: scene.organizationId, username, password: PASSWORD, address: '', device: null })).toMatchObject({ is: 'right', noticeAccepted: true })
  })
})
