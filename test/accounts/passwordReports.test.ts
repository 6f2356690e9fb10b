/** The new-password report (spec D2): made by policy, kept under seal, shown once or gone within the hour. */
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { chooseForPasswords, fetchReport, makePasswords, ReportRefused, storePasswords, type MadePassword, type ReportedPassword } from '../../src/accounts/passwordReports.ts'
import { verifyPassword } from '../../src/accounts/passwords.ts'
import { selectUsers } from '../../src/accounts/selectUsers.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { SealBroken } from '../../src/organizations/seal.ts'
import { settingsSchema } from '../../src/organizations/declaration.ts'
import { inertCell } from '../../src/rules/inert.ts'
import { importing, useDatabase, type Importing } from '../support/importing.ts'

const database = useDatabase()
const COST = { memory: 64, passes: 1, parallelism: 1 }
const POLICY = settingsSchema.parse({}).password
const SECRET = 'a secret of the tests, long enough'
let acme: Importing

beforeEach(async () => {
  acme = await importing(database.current)
  await acme.run(['External ID,First Name,Last Name,Email,Delivery', '1,Ana,Nguyen,ana@one.example,credentials', '2,Bo,Lund,bo@one.example,none', '3,Cy,Ray,cy@one.example,none', '4,Di,Moss,,none', '5,Ed,Fox,,none'].join('\n'))
  await acme.sql(`update users set password_chosen_at = now(), password_hash = 'theirs' where organization_id = $1 and username = 'bo.lund'`, [acme.organizationId])
  await acme.sql(`update users set last_login_at = now() where organization_id = $1 and username = 'cy.ray'`, [acme.organizationId])
  await acme.sql(`update users set state = 'inactive' where organization_id = $1 and username = 'ed.fox'`, [acme.organizationId])
})

const tenant = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => database.current.tenant(acme.organizationId, work)
const everybody = (): Promise<string[]> => tenant(async (tx) => (await selectUsers(tx, { all: true })).userIds)
const make = (userIds: readonly string[]): Promise<MadePassword[]> => makePasswords(userIds, { policy: POLICY, random: randomBytes, cost: COST, lanes: 2 })
const store = (made: readonly MadePassword[], alsoRegistered = false) => tenant((tx) => storePasswords(tx, made, { operator: 'olive', secret: SECRET, random: randomBytes, alsoRegistered, mustChange: true }))
const fetch = (id: string, secret = SECRET, handOver: (lines: readonly ReportedPassword[]) => Promise<void> = async () => undefined) => fetchReport(database.current, acme.organizationId, id, 'olive', { secret, previous: null }, handOver)
const reported = async (): Promise<string> => {
  const { userIds } = await tenant(async (tx) => chooseForPasswords(tx, await everybody(), false))
  return (await store(await make(userIds)))!.id
}
const user = async (username: string) =>
  (await acme.sql<{ id: string; hash: string | null; chosen: Date | null; mustChange: boolean; version: number }>('select id, password_hash as hash, password_chosen_at as chosen, must_change_password as "mustChange", version from users where organization_id = $1 and username = $2', [acme.organizationId, username]))[0]!

test('who has a password in use is left out unless asked for; who cannot log in always is', async () => {
  const ids = await everybody()
  const chosen = await tenant((tx) => chooseForPasswords(tx, ids, false))
  expect([chosen.userIds.length, chosen.registered, chosen.owed]).toEqual([2, 0, 1])
  expect(chosen.leftOut.map(({ username, reason }) => [username, reason])).toEqual([['bo.lund', 'already_registered'], ['cy.ray', 'already_logged_in'], ['ed.fox', 'user_inactive']])
  const all = await tenant((tx) => chooseForPasswords(tx, ids, true))
  expect([all.userIds.length, all.registered, all.leftOut.map(({ reason }) => reason)]).toEqual([4, 2, ['user_inactive']])
})

test('the passwords of the report are those in force, by policy, and are to be changed; owed mails are not touched', async () => {
  const [session] = [(await user('ana.nguyen')).id]
  await acme.sql(`insert into sessions (token_hash, organization_id, user_id, expires_at) values ('s${session}', $1, $2, now() + interval '1 hour')`, [acme.organizationId, session])
  await acme.sql(`insert into password_resets (organization_id, user_id, epoch, token_hash, expires_at) values ($1, $2, 1, 'r${session}', now() + interval '1 hour')`, [acme.organizationId, session])
  const lines = await fetch(await reported())
  expect(lines.map(({ username, firstName, lastName, email }) => [username, firstName, lastName, email])).toEqual([['ana.nguyen', 'Ana', 'Nguyen', 'ana@one.example'], ['di.moss', 'Di', 'Moss', null]])
  for (const { username, password } of lines) {
    const { hash, mustChange, version } = await user(username)
    expect([password.length, await verifyPassword(hash!, password), mustChange, version]).toEqual([15, true, true, 2])
  }
  expect((await user('bo.lund')).hash).toBe('theirs')
  expect((await acme.deliveries()).map(({ state }) => state)).toEqual(['held'])
  expect(await acme.sql('select (select count(*)::int from sessions where organization_id = $1) as sessions, (select count(*)::int from password_resets where organization_id = $1 and used_at is null) as resets', [acme.organizationId])).toEqual([{ sessions: 0, resets: 0 }])
})

test('a reset by an operator counts as a password made for the person', async () => {
  const bo = await user('bo.lund')
  const report = await store(await make([bo.id]), true)
  const [line] = await fetch(report!.id)
  const now = await user('bo.lund')
  expect([await verifyPassword(now.hash!, line!.password), now.chosen, now.mustChange]).toEqual([true, null, true])
})

test('the clear text stands nowhere but under seal, and its fetch leaves nothing', async () => {
  const ids = await tenant(async (tx) => (await chooseForPasswords(tx, await everybody(), false)).userIds)
  const made = await make(ids)
  const { id } = (await store(made))!
  const rowsOf = async (): Promise<string> => JSON.stringify([await acme.sql(`select r.*, encode(sealed, 'escape') as bytes from password_reports r where organization_id = $1`, [acme.organizationId]), await tenant((tx) => readAudit(tx, 10)), await acme.sql('select * from users where organization_id = $1', [acme.organizationId])])
  for (const { password } of made) expect(await rowsOf()).not.toContain(password)
  await fetch(id)
  expect(await acme.sql('select sealed, fetched_by from password_reports where id = $1', [id])).toEqual([{ sealed: null, fetched_by: 'olive' }])
  expect((await tenant((tx) => readAudit(tx, 10))).map(({ action }) => action)).toEqual(['users.report', 'users.passwords'])
})

describe('once', () => {
  test('of two who fetch at the same moment one gets it', async () => {
    const id = await reported()
    const ended = await Promise.allSettled([fetch(id), fetch(id), fetch(id)])
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const one of ended) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'report.fetched' })
  })

  test('after its hour it is refused, whether the sweep was there or not', async () => {
    const [swept, unswept] = [await reported(), await reported()]
    await acme.sql(`update password_reports set expires_at = now() - interval '1 second' where organization_id = $1`, [acme.organizationId])
    await acme.sql(`update password_reports set sealed = null where id = $1`, [swept])
    for (const id of [swept, unswept]) await expect(fetch(id)).rejects.toMatchObject({ code: 'report.expired' })
    await expect(fetch('999999')).rejects.toThrow(ReportRefused)
  })

  test('its hour is an hour', async () => {
    const id = await reported()
    expect(await acme.sql('select extract(epoch from expires_at - created_at)::int as seconds from password_reports where id = $1', [id])).toEqual([{ seconds: 3600 }])
  })

  test('another secret opens nothing and uses nothing up', async () => {
    const id = await reported()
    await expect(fetch(id, 'another secret, as long as it is')).rejects.toThrow(SealBroken)
    expect(await fetch(id)).toHaveLength(2)
  })

  test('a report that was made under the previous secret is fetched all the same', async () => {
    const id = await reported()
    const keys = { secret: 'another secret, as long as it is', previous: SECRET }
    expect(await fetchReport(database.current, acme.organizationId, id, 'olive', keys, async () => undefined)).toHaveLength(2)
  })

  test('what could not be written is not used up, nor in the audit trail', async () => {
    const id = await reported()
    const handed: number[] = []
    await expect(fetch(id, SECRET, async (lines) => {
      handed.push(lines.length)
      throw new Error('the disk is full')
    })).rejects.toThrow('the disk is full')
    expect((await tenant((tx) => readAudit(tx, 10))).filter(({ action }) => action === 'users.report')).toEqual([])
    expect([handed, await fetch(id)]).toEqual([[2], expect.objectContaining({ length: 2 })])
  })

  test("another organization's report is unknown", async () => {
    const id = await reported()
    const other = await importing(database.current)
    await expect(fetchReport(database.current, other.organizationId, id, 'olive', { secret: SECRET, previous: null }, async () => undefined)).rejects.toMatchObject({ code: 'report.unknown' })
  })
})

test('whoever chose a password while passwords were made keeps it, and is not in the report', async () => {
  const ids = await tenant(async (tx) => (await chooseForPasswords(tx, await everybody(), false)).userIds)
  const made = await make(ids)
  await acme.sql(`update users set password_hash = 'new', password_chosen_at = now() where id = $1`, [ids[0]])
  const report = (await store(made))!
  expect([report.userIds, report.leftOut.map(({ reason }) => reason)]).toEqual([[ids[1]], ['already_registered']])
  expect((await user('ana.nguyen')).hash).toBe('new')
  await acme.sql(`update users set state = 'inactive' where organization_id = $1`, [acme.organizationId])
  expect(await store(made)).toBeNull()
})

test('a crash between making and storing changes nothing', async () => {
  const before = await acme.sql('select id, password_hash, version from users where organization_id = $1 order by id', [acme.organizationId])
  const made = await make(await everybody())
  await expect(
    tenant(async (tx) => {
      await storePasswords(tx, made, { operator: 'olive', secret: SECRET, random: randomBytes, alsoRegistered: true, mustChange: true })
      throw new Error('the machine is gone')
    }),
  ).rejects.toThrow('gone')
  expect(await acme.sql('select id, password_hash, version from users where organization_id = $1 order by id', [acme.organizationId])).toEqual(before)
  expect(await acme.sql('select id from password_reports where organization_id = $1', [acme.organizationId])).toEqual([])
})

test('every password stands in a CSV as it is', async () => {
  const made = await makePasswords(Array.from({ length: 300 }, (_, index) => String(index)), { policy: { kind: 'random', length: 8, mustChange: true }, random: randomBytes, cost: { memory: 8, passes: 1, parallelism: 1 }, lanes: 2 })
  expect(made).toHaveLength(300)
  expect(made.filter(({ password }) => inertCell(password) !== password || /[",\s]/.test(password))).toEqual([])
  expect(new Set(made.map(({ password }) => password)).size).toBe(300)
})
