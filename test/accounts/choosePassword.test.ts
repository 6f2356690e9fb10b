import { hashesOf } from '../support/countHashes.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { changePassword, judgePassword } from '../../src/accounts/choosePassword.ts'
import { askReset, readReset, resetPassword } from '../../src/accounts/resetPassword.ts'
import { openSession, readSession } from '../../src/accounts/sessions.ts'
import { signIn } from '../../src/accounts/signIn.ts'
import { LIMITS } from '../../src/accounts/throttle.ts'
import { accessScene, PASSWORD, type AccessScene } from '../support/accessScene.ts'
import { useDatabase } from '../support/importing.ts'

const base = useDatabase()
const NEXT = 'quiet-lantern-42-meadow'
const RULES = { passwordLength: 12, words: ['mei.okafor', 'Mei', 'Okafor', 'Acme Staffing'] }

const codesOf = async (password: string, rules = RULES) => (await judgePassword(password, rules)).map(({ code }) => code)
const login = (scene: AccessScene, username: string, password: string) => signIn(scene.parts, { organizationId: scene.organizationId, username, password, address: '', device: null })

describe('a password that somebody chooses', () => {
  test.each(['violet-canoe-7-harbour', 'correct horse battery', 'kaffeemaschine im flur', '\u732B\u304C\u597D\u304D\u3067\u3059\u3088\u306D\u672C\u5F53\u306B\u3002', 'x7Kq-pl2M-vv9Zt', '\u{1F40C}\u{1F955}\u{1F3BB}\u{1F30B}\u{1F9E6}\u{1F344}\u{1F3BA}\u{1F96F}\u{1F9CA}\u{1FA81}\u{1F6F6}\u{1F433}', 'we walk to the river at dawn'])('%s is taken', async (password) => {
    expect(await codesOf(password)).toEqual([])
  })

  test.each(['password1234', 'qwertyuiop123456', '123456789012', 'aaaaaaaaaaaaaaaa', 'Password123456', 'P@ssw0rd1234', 'letmein2026!', 'iloveyou2026', 'passwordpassword', 'abcdefghijklmnop', 'Welcome2026!!', 'Summer2026Summer', '111111222222'])('%s is too common', async (password) => {
    expect(await codesOf(password)).toEqual(['password.too_common'])
  })

  test('is counted in characters as people see them stored, not in bytes', async () => {
    expect(await judgePassword('\u00E9'.normalize('NFD').repeat(11), RULES)).toEqual([{ field: 'password', code: 'password.too_short', detail: { length: '11', limit: '12' } }])
    expect(await codesOf('\u{1F40C}'.repeat(11))).toEqual(['password.too_short'])
    expect(await judgePassword('ab'.repeat(65), RULES)).toEqual([{ field: 'password', code: 'password.too_long', detail: { length: '130', limit: '128' } }])
  })

  test('is judged within a moment, whatever it holds', async () => {
    for (const password of ['p@ssw0rd'.repeat(16), '1234567890'.repeat(12), 'qwertz'.repeat(21), '@4$5!1|0'.repeat(16), '1998'.repeat(32)]) {
      const started = performance.now()
      await judgePassword(password, RULES)
      expect(performance.now() - started, password).toBeLessThan(2_000)
    }
  })

  test('is never refused for its kinds of characters: random letters alone are taken', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'), { minLength: 20, maxLength: 24 }), async (letters) => {
        fc.pre(new Set(letters).size > 9)
        expect(await codesOf(letters.join(''))).toEqual([])
      }),
      { numRuns: 30 },
    )
  })

  test('holds no word of the person, in any case, with or without accents; short words do not count', async () => {
    expect(await judgePassword('river-OKAFOR-harbor-22', RULES)).toEqual([{ field: 'password', code: 'password.personal', detail: { word: 'Okafor' } }])
    expect(await codesOf('river-\u00F3k\u00E1for-harbor-22')).toEqual(['password.personal'])
    expect(await codesOf('river-mei-harbor-lantern')).toEqual([])
  })
})

describe('changing the password', () => {
  const change = (scene: AccessScene, userId: string, more: { current?: string | null; next?: string } = {}) =>
    changePassword(scene.parts, scene.organizationId, userId, { current: PASSWORD, next: NEXT, ...more })

  test('sets it, owes a mail, ends every session and every open link, and opens a session with another token', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person({ mustChange: true })
    const [here, there] = [await scene.openSession(userId), await scene.openSession(userId)]
    const link = await scene.sendReset(userId)
    const changed = await change(scene, userId)
    if (changed.is !== 'changed') throw new Error('it was refused')
    expect(await readSession(scene.parts, changed.session)).toMatchObject({ userId, mustChangePassword: false })
    for (const session of [here, there]) expect(await readSession(scene.parts, session)).toBeNull()
    expect((await readReset(scene.parts, link)).is).toBe('gone')
    expect(scene.owed).toEqual([{ purpose: 'passwordChanged', userId }])
    expect(await login(scene, username, PASSWORD)).toEqual({ is: 'wrong' })
    expect(await login(scene, username, NEXT)).toMatchObject({ is: 'right', mustChangePassword: false })
    expect(await scene.sql('select from users where id = $1 and password_chosen_at is not null', [userId])).toHaveLength(1)
  })

  test.each([
    ['a wrong current one', { current: 'not the password' }, [{ field: 'current', code: 'password.wrong' }]],
    ['no current one', { current: null }, [{ field: 'current', code: 'password.wrong' }]],
    ['the same one again', { next: PASSWORD }, [{ field: 'password', code: 'password.same_as_before' }]],
    ['the same one again, as another keyboard writes it', { next: PASSWORD.replaceAll(' ', '\u00A0') }, [{ field: 'password', code: 'password.same_as_before' }]],
    ['a short one', { next: 'short' }, [{ field: 'password', code: 'password.too_short', detail: { length: '5', limit: '12' } }]],
  ])('is refused for %s, and nothing changes', async (_, asked, problems) => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    const token = await scene.openSession(userId)
    expect(await change(scene, userId, asked)).toEqual({ is: 'refused', problems })
    expect(scene.owed).toEqual([])
    expect(await readSession(scene.parts, token)).toMatchObject({ userId })
    expect(await login(scene, username, PASSWORD)).toMatchObject({ is: 'right' })
  })

  test('after ten wrong current ones the right one waits, without argon2id; signing in is not touched by it', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    for (let tries = 0; tries < LIMITS.current.limit; tries++) await change(scene, userId, { current: 'wrong' })
    let answer: unknown
    expect(await hashesOf(async () => { answer = await change(scene, userId) })).toEqual([])
    expect(answer).toMatchObject({ is: 'refused', problems: [{ field: 'current', code: 'password.wait', detail: { seconds: expect.stringMatching(/^\d+$/) } }] })
    expect(await login(scene, username, PASSWORD)).toMatchObject({ is: 'right' })
    await scene.endWindows()
    expect(await change(scene, userId)).toMatchObject({ is: 'changed' })
  })

  test('done twice at the same moment changes it once', async () => {
    const scene = await accessScene(base.current)
    const { userId } = await scene.person()
    const answers = await scene.atOnce(userId, [() => change(scene, userId, { next: `${NEXT}-a` }), () => change(scene, userId, { next: `${NEXT}-b` })])
    expect(answers.filter(({ is }) => is === 'changed')).toHaveLength(1)
    expect(scene.owed).toHaveLength(1)
  })
})

describe('asking for a link', () => {
  const ask = (scene: AccessScene, asked: string, address = '', organizationId: string | null = scene.organizationId) => askReset(scene.parts, organizationId, asked, address)

  test.each(['mei.okafor', ' MEI.OKAFOR ', 'Mei@Mail.test'])('finds somebody by %s', async (asked) => {
    const scene = await accessScene(base.current)
    const { userId } = await scene.person({ username: 'mei.okafor', email: 'mei@mail.test' })
    await ask(scene, asked)
    expect(scene.owed).toEqual([{ purpose: 'passwordReset', userId }])
  })

  const nobody: [string, (scene: AccessScene) => Promise<string>][] = [
    ['somebody who is not there', async () => 'nobody.of.this.name'],
    ['somebody without a password', async (scene) => (await scene.person({ password: null })).username],
    ['somebody who is deactivated', async (scene) => {
      const { username, userId } = await scene.person()
      await scene.sql(`update users set state = 'inactive' where id = $1`, [userId])
      return username
    }],
    ['somebody who cannot log in', async (scene) => {
      const { username, userId } = await scene.person()
      await scene.sql('update users set license_id = null where id = $1', [userId])
      return username
    }],
  ]
  test.each(nobody)('owes nothing to %s, and takes as long', async (_, make) => {
    const scene = await accessScene(base.current)
    const asked = await make(scene)
    const started = performance.now()
    expect(await ask(scene, asked)).toBeUndefined()
    expect(performance.now() - started).toBeGreaterThan(240)
    expect(scene.owed).toEqual([])
  })

  test('of an organization that there is not tells nothing', async () => {
    const scene = await accessScene(base.current)
    expect(await ask(scene, 'mei', '', null)).toBeUndefined()
    expect(scene.owed).toEqual([])
  })

  test('is counted for each account behind one address: whoever has had enough keeps no other waiting', async () => {
    const scene = await accessScene(base.current)
    const email = 'desk@mail.test'
    const people = [await scene.person({ email }), await scene.person()]
    await scene.sql(`update users set contact_id = $1, account_kind = 'service representative' where id = $2`, [people[0]!.contactId, people[1]!.userId])
    for (let times = 0; times < LIMITS.forgotUser.limit; times++) await ask(scene, people[0]!.username)
    scene.owed.splice(0)
    await ask(scene, email)
    expect(scene.owed).toEqual([{ purpose: 'passwordReset', userId: people[1]!.userId }])
  })

  test('three times in an hour owes no fourth mail, by whatever name, and tells nothing', async () => {
    const scene = await accessScene(base.current)
    await scene.person({ username: 'mei.okafor', email: 'mei@mail.test' })
    for (const asked of ['mei.okafor', 'mei@mail.test', 'mei.okafor', 'mei@mail.test', 'mei.okafor']) expect(await ask(scene, asked)).toBeUndefined()
    expect(scene.owed).toHaveLength(LIMITS.forgotUser.limit)
    await scene.endWindows()
    await ask(scene, 'mei.okafor')
    expect(scene.owed).toHaveLength(LIMITS.forgotUser.limit + 1)
  })

  test('twenty times an hour from one address is enough for that address', async () => {
    const scene = await accessScene(base.current)
    const { username } = await scene.person()
    await Promise.all(Array.from({ length: LIMITS.forgotAddress.limit }, (_, index) => ask(scene, `name.${index}`, '192.0.2.90')))
    await ask(scene, username, '192.0.2.90')
    expect(scene.owed).toEqual([])
    await ask(scene, username, '192.0.2.91')
    expect(scene.owed).toHaveLength(1)
  })
})

describe('a link to choose a new password', () => {
  test('sets the password once, ends every session, voids other links, and owes a mail', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person({ mustChange: true })
    const session = await scene.openSession(userId)
    const [older, token] = [await scene.sendReset(userId, { epoch: 1 }), await scene.sendReset(userId, { epoch: 2 })]
    expect(await readReset(scene.parts, token)).toMatchObject({ is: 'open', username, organization: { key: scene.key } })
    expect(await resetPassword(scene.parts, token, NEXT)).toMatchObject({ is: 'done', organizationId: scene.organizationId, userId })
    expect(scene.owed).toEqual([{ purpose: 'passwordChanged', userId }])
    expect(await readSession(scene.parts, session)).toBeNull()
    for (const link of [token, older]) {
      expect((await readReset(scene.parts, link)).is).toBe('gone')
      expect(await resetPassword(scene.parts, link, `${NEXT}-2`)).toEqual({ is: 'gone' })
    }
    expect(await login(scene, username, NEXT)).toMatchObject({ is: 'right', mustChangePassword: false })
  })

  test('still works after a password that was refused', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    const token = await scene.sendReset(userId)
    expect(await resetPassword(scene.parts, token, 'password1234')).toEqual({ is: 'refused', problems: [{ field: 'password', code: 'password.too_common' }] })
    expect(await login(scene, username, PASSWORD)).toMatchObject({ is: 'right' })
    expect(await resetPassword(scene.parts, token, NEXT)).toMatchObject({ is: 'done' })
  })

  test('ends the session of somebody who signs in with the old password at the same moment', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    const token = await scene.sendReset(userId)
    let done: ReturnType<typeof resetPassword> | undefined
    const answer = await signIn(scene.parts, { organizationId: scene.organizationId, username, password: PASSWORD, address: '', device: null }, async (tx) => {
      done = resetPassword(scene.parts, token, NEXT)
      const waiting = `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      await expect.poll(async () => (await scene.sql<{ n: number }>(waiting))[0]!.n).toBeGreaterThan(0)
      return openSession(tx, scene.parts.random, userId)
    })
    expect(await done).toMatchObject({ is: 'done' })
    expect(await readSession(scene.parts, (answer as { alongside: string }).alongside)).toBeNull()
  })

  test('used twice at the same moment works once', async () => {
    const scene = await accessScene(base.current)
    const { userId } = await scene.person()
    const token = await scene.sendReset(userId)
    const answers = await scene.atOnce(userId, ['a', 'b', 'c'].map((end) => () => resetPassword(scene.parts, token, `${NEXT}-${end}`)))
    expect(answers.map(({ is }) => is).toSorted()).toEqual(['done', 'gone', 'gone'])
    expect(scene.owed).toHaveLength(1)
  })

  test.each([
    ['whose hour is over', async (scene: AccessScene) => scene.sendReset((await scene.person()).userId, { expiresAt: `now() - interval '1 second'` })],
    ['that nobody sent', async () => 'x'.repeat(43)],
    ['of somebody who was deactivated', async (scene: AccessScene) => {
      const { userId } = await scene.person()
      await scene.sql(`update users set state = 'inactive' where id = $1`, [userId])
      return scene.sendReset(userId)
    }],
  ])('%s is gone, and costs no argon2id', async (_, make) => {
    const scene = await accessScene(base.current)
    const token = await make(scene)
    expect((await readReset(scene.parts, token)).is).toBe('gone')
    let answer: unknown
    expect(await hashesOf(async () => { answer = await resetPassword(scene.parts, token, NEXT) })).toEqual([])
    expect(answer).toEqual({ is: 'gone' })
  })

  test('lets somebody in whom others have locked out, and gives the browser a counter of its own', async () => {
    const scene = await accessScene(base.current)
    const { userId, username } = await scene.person()
    for (let tries = 0; tries < LIMITS.account.limit; tries++) await login(scene, username, 'wrong')
    expect(await login(scene, username, PASSWORD)).toMatchObject({ is: 'wait' })
    const done = await resetPassword(scene.parts, await scene.sendReset(userId), NEXT)
    expect(await login(scene, username, NEXT)).toMatchObject({ is: 'right' })
    for (let tries = 0; tries < LIMITS.account.limit; tries++) await login(scene, username, 'wrong')
    expect(await signIn(scene.parts, { organizationId: scene.organizationId, username, password: NEXT, address: '', device: (done as { device: string }).device })).toMatchObject({ is: 'right' })
  })
})
