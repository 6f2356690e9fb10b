/** Undoing (spec E4): from a file that was taken in by mistake to an organization that looks as before, and to the list of what could not be undone. */
import { describe, expect, test } from 'vitest'
import type { UserChanges } from '../../src/accounts/userChanges.ts'
import type { Transaction } from '../../src/entities/database.ts'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { approveImport } from '../../src/jobs/decideImport.ts'
import { deactivate, send, set } from '../../src/jobs/operateUsers.ts'
import { undoImport, type UndoReport } from '../../src/jobs/undoImport.ts'
import type { FeedIntake } from '../../src/rules/feedPolicy.ts'
import { importing, useDatabase, type DeclarationChanges, type Importing } from '../support/importing.ts'

const database = useDatabase()
const HEADER = 'External ID,First Name,Last Name,Email,Phone'
const sheet = (...rows: string[]): string => [HEADER, ...rows].join('\n')
const ADA = 'E1,Ada,Lovelace,ada@undo.test,6125550101'
const BEN = 'E2,Ben,Okafor,ben@undo.test,6125550102'
const CLEO = 'E3,Cleo,Diaz,cleo@undo.test,6125550103'
const UNCHANGED: UserChanges = { groups: { replace: null, add: [], remove: [] }, roles: { replace: null, add: [], remove: [] }, profile: undefined, license: undefined, username: undefined, security: {}, lookups: [] }

const organization = (changes: DeclarationChanges = {}): Promise<Importing> => importing(database.current, changes)
const tenant = <T>({ organizationId }: Importing, work: (tx: Transaction) => Promise<T>): Promise<T> => database.current.tenant(organizationId, work)
const undo = (acme: Importing, importId: string): Promise<UndoReport> => tenant(acme, (tx) => undoImport(tx, importId, 'olga'))
const left = (report: UndoReport): Record<string, number> => Object.fromEntries(report.left.map(({ reason, count }) => [reason, count]))
const names = async (acme: Importing): Promise<string[]> => (await acme.contacts()).map(({ firstName }) => firstName).toSorted()
const mails = async (acme: Importing): Promise<string[]> => (await acme.deliveries()).filter(({ userId }) => userId !== null).map(({ state, reason }) => [state, reason].filter(Boolean).join(' '))
const userOf = async (acme: Importing, externalId: string): Promise<string> =>
  (await acme.sql<{ id: string }>('select u.id from users u join contacts c on c.id = u.contact_id where c.organization_id = $1 and c.external_id = $2 order by u.id', [acme.organizationId, externalId]))[0]!.id
const contactOf = async (acme: Importing, externalId: string): Promise<string> => (await acme.sql<{ id: string }>('select id from contacts where organization_id = $1 and external_id = $2', [acme.organizationId, externalId]))[0]!.id

/** Everything that an import can change, without versions and instants. */
function content(acme: Importing): Promise<unknown> {
  return acme.sql(
    `select c.id, external_id, first_name, last_name, email, email_key, phone, c.state, coalesce(attributes, '{}') as attributes, awaiting_license, feed_id,
       (select json_agg(json_build_array(customer_id, worksite_id, contact_role_id) order by customer_id, worksite_id, contact_role_id) from contact_customers l where l.contact_id = c.id) as customers,
       (select json_agg(json_build_array(u.id, username, username_stem, username_number, u.state, profile_id, license_id, company_id, business_unit_id, department_id, location_id, account_kind,
          (select json_agg(group_id order by group_id) from user_group_members m where m.user_id = u.id),
          (select json_agg(json_build_array(role_id, product_id, tenant_id) order by role_id, product_id, tenant_id) from user_roles r where r.user_id = u.id),
          (select json_agg(security_group_id order by security_group_id) from user_lookups l where l.user_id = u.id)) order by u.id) from users u where u.contact_id = c.id) as users,
       (select json_agg(username order by username) from released_usernames n where n.organization_id = c.organization_id) as resting
     from contacts c where c.organization_id = $1 order by c.id`,
    [acme.organizationId],
  )
}

describe('whom the import made', () => {
  test('is deleted with users, mails and invitations, seats are free, and the names are given to the next ones', async () => {
    const acme = await organization({ licenses: [{ name: 'Full', seats: 2 }, { name: 'Read only', seats: null }] })
    const { id } = await acme.run(sheet(ADA, BEN))
    const report = await undo(acme, id)
    expect(report).toMatchObject({ contacts: { deleted: 2 }, users: { deleted: 2 }, mails: { cancelled: 2 }, usernames: { freed: 2 }, seats: [{ license: 'Full', count: 2 }], left: [], people: [] })
    expect([await acme.contacts(), await acme.users(), await mails(acme)]).toEqual([[], [], []])
    expect(await acme.run(sheet(ADA, CLEO))).toMatchObject({ users: { created: 2, withoutSeat: 0 } })
    expect((await acme.users()).map(({ username }) => username)).toEqual(['ada.lovelace', 'cleo.diaz'])
  })

  test('is deleted without a user as well', async () => {
    const acme = await organization()
    const { id } = await acme.run(`${HEADER},System User,Customer\n${ADA},no,Ministry`)
    expect(await undo(acme, id)).toMatchObject({ contacts: { deleted: 1 }, users: { deleted: 0 }, left: [] })
    expect(await acme.contacts()).toEqual([])
  })

  test('loses the user alone where the person was known before', async () => {
    const acme = await organization()
    await acme.run(`${HEADER},System User\n${ADA},no`)
    const before = await content(acme)
    const { id } = await acme.run(`${HEADER},System User\n${ADA},yes`)
    expect(await undo(acme, id)).toMatchObject({ contacts: { deleted: 0, putBack: 0 }, users: { deleted: 1 }, left: [] })
    expect(await content(acme)).toEqual(before)
  })

  /** What somebody else did to Ada before the import that made her and Ben is undone, and why she stays. */
  const STAYING: [reason: string, what: string, done: (acme: Importing) => Promise<unknown>, changes?: DeclarationChanges][] = [
    ...(['sent', 'bounced'] as const).map((state): (typeof STAYING)[number] => ['mailed', `a mail is ${state}`, async (acme) => acme.sql('update deliveries set state = $2 where user_id = $1', [await userOf(acme, 'E1'), state])]),
    ...(['sending', 'unknown'] as const).map((state): (typeof STAYING)[number] => ['may_have_left', `a mail is ${state}`, async (acme) => acme.sql('update deliveries set state = $2 where user_id = $1', [await userOf(acme, 'E1'), state])]),
    ['signed_in', 'the person has signed in', async (acme) => acme.sql('update users set last_login_at = now() where id = $1', [await userOf(acme, 'E1')])],
    ['registered', 'the person has chosen a password', async (acme) => acme.sql('update users set password_chosen_at = now() where id = $1', [await userOf(acme, 'E1')])],
    ['registered', 'the person is registering', async (acme) => acme.sql(`update invitations set state = 'in_progress' where user_id = $1`, [await userOf(acme, 'E1')])],
    ['changed', 'an operator changed the user', async (acme) => tenant(acme, async (tx) => set(tx, 'pat', [await userOf(acme, 'E1')], { ...UNCHANGED, profile: null }))],
    ['changed', 'an operator deactivated the user', async (acme) => tenant(acme, async (tx) => deactivate(tx, 'pat', [await userOf(acme, 'E1')]))],
    ['changed', 'a later import changed the contact', (acme) => acme.run(sheet(ADA.replace('0101', '0199')))],
    ['owed_by_others', 'an operator had a mail owed', async (acme) => tenant(acme, async (tx) => send(tx, 'pat', [await userOf(acme, 'E1')], { purpose: 'invitation', sendAt: null })), { defaults: { delivery: 'none' } }],
    ['further_user', 'a later import made a further account', (acme) => acme.run(`${HEADER},Account Kind,System User\n${ADA},service representative,yes`)],
    ['decision', 'somebody is asked who it is', async (acme) => acme.sql(`insert into identity_decisions (organization_id, contact_id, kind, row, given, state) values ($1, $2, 'moved', 2, '{}', 'waiting')`, [acme.organizationId, await contactOf(acme, 'E1')])],
    ['support_contact', 'the mails name the contact', (acme) => acme.declare({ supportContact: { externalId: 'E1' } })],
  ]

  test.each(STAYING)('stays as %s: %s', async (reason, _, done, changes = {}) => {
    const acme = await organization(changes)
    const { id } = await acme.run(sheet(ADA, BEN))
    await done(acme)
    const standing = (await content(acme)) as { id: string }[]
    const report = await undo(acme, id)
    expect([report.contacts.deleted, report.users.deleted, left(report)]).toEqual([1, 1, { [reason]: 1 }])
    expect(report.people).toMatchObject([{ reason, name: 'Ada Lovelace' }])
    const ada = await contactOf(acme, 'E1')
    expect(await content(acme)).toEqual(standing.filter((contact) => contact.id === ada))
  })

  test('and stays is mailed no more for this import: what has not left is cancelled, and its invitation revoked', async () => {
    const acme = await organization()
    const { id } = await acme.run(sheet(ADA), { delivery: { kind: 'now' } })
    await tenant(acme, async (tx) => set(tx, 'pat', [await userOf(acme, 'E1')], { ...UNCHANGED, profile: null }))
    expect(await undo(acme, id)).toMatchObject({ mails: { cancelled: 1 }, left: [{ reason: 'changed', count: 1 }] })
    expect(await mails(acme)).toEqual(['cancelled import_undone'])
    expect(await acme.sql('select state from invitations where organization_id = $1', [acme.organizationId])).toEqual([{ state: 'revoked' }])
  })

  test('keeps all accounts where one of them has to stay', async () => {
    const acme = await organization()
    const { id } = await acme.run(`${HEADER},Account Kind\n${ADA},employee\nE1,,,,,service representative`.replace('E1,,,,,', 'E1,Ada,Lovelace,ada@undo.test,6125550101,'))
    expect(await acme.users()).toHaveLength(2)
    await acme.sql(`update users set last_login_at = now() where organization_id = $1 and account_kind = 'employee'`, [acme.organizationId])
    expect(left(await undo(acme, id))).toEqual({ signed_in: 1 })
    expect(await acme.users()).toHaveLength(2)
  })
})

const FULL = `${HEADER},Username,User Group,Profile,License,Role,Department,Job Code,Customer,Worksite,Contact Role,Product,Tenant`
const LOOKUPS: DeclarationChanges = { lookups: { jobCode: ['Sales', 'Engineering'] } }
const ADA_BEFORE = 'E1,Ada,Lovelace,ada@undo.test,6125550101,ada,Staff,Standard,Full,Customer Limited,HR,Sales,Ministry,,Approver,Payroll,North'
const ADA_AFTER = 'E1,Adah,Byron,adah@undo.test,6125550199,adah,Supervisors,Manager,Read only,Customer Administrator,all,Engineering,Ministry,Warehouse,Payer,Payroll,South'

describe('whom the import changed', () => {
  test('is put back in everything, and the name of before is in use instead of at rest', async () => {
    const acme = await organization(LOOKUPS)
    await acme.run(`${FULL}\n${ADA_BEFORE}`)
    const before = await content(acme)
    const { id, totals } = await acme.run(`${FULL}\n${ADA_AFTER}`)
    expect([totals.updated, await content(acme)]).not.toEqual([1, before])
    expect(await undo(acme, id)).toMatchObject({ contacts: { putBack: 1, deleted: 0 }, users: { putBack: 1, deleted: 0 }, usernames: { restored: 1 }, left: [] })
    expect(await content(acme)).toEqual(before)
  })

  test('gives the name rest that somebody may have heard of meanwhile', async () => {
    const acme = await organization(LOOKUPS)
    await acme.run(`${FULL}\n${ADA_BEFORE}`)
    const { id } = await acme.run(`${FULL}\n${ADA_AFTER}`)
    await acme.sql('update users set last_login_at = now() where organization_id = $1', [acme.organizationId])
    await undo(acme, id)
    expect(await acme.sql('select username from released_usernames where organization_id = $1', [acme.organizationId])).toEqual([{ username: 'adah' }])
  })

  test('makes links void that went to the address which is put back', async () => {
    const acme = await organization()
    await acme.run(sheet(ADA))
    const { id } = await acme.run(sheet(ADA.replace('ada@', 'adah@')))
    await acme.sql(`update invitations set state = 'launched', token_hash = 'x', launched_at = now(), expires_at = now() + interval '1 day' where organization_id = $1`, [acme.organizationId])
    expect(await undo(acme, id)).toMatchObject({ contacts: { putBack: 1 }, mails: { linksVoided: 1 } })
    expect(await acme.sql('select state from invitations where organization_id = $1', [acme.organizationId])).toEqual([{ state: 'revoked' }])
  })

  /** What somebody else did between the import that changed Ada and its undoing. `both`: contact and user. */
  const STAYING: [reason: string, what: string, done: (acme: Importing) => Promise<unknown>][] = [
    ['changed', 'a later import changed the contact', (acme) => acme.run(sheet('E1,Ada,King,adah@undo.test,6125550199'))],
    ['changed', 'an operator changed the user', async (acme) => tenant(acme, async (tx) => set(tx, 'pat', [await userOf(acme, 'E1')], { ...UNCHANGED, profile: null }))],
    ['address_taken', 'somebody else got the address of before', (acme) => acme.run(sheet('E9,Eva,Ng,ada@undo.test,'))],
    ['username_taken', 'somebody else has the name of before', async (acme) => {
      await acme.run(sheet('E9,Eva,Ng,eva@undo.test,'))
      await acme.sql(`update users set username = 'ada' where id = $1`, [await userOf(acme, 'E9')])
    }],
  ]

  test.each(STAYING)('stays as %s: %s', async (reason, _, done) => {
    const acme = await organization(LOOKUPS)
    await acme.run(`${FULL}\n${ADA_BEFORE}`)
    const { id } = await acme.run(`${FULL}\n${ADA_AFTER}`)
    await done(acme)
    const report = await undo(acme, id)
    expect(left(report)).toEqual({ [reason]: 1 })
    expect(report.contacts.putBack + report.users.putBack).toBe(1)
  })

  test('stays where the External ID of before belongs to somebody else', async () => {
    const acme = await organization()
    await acme.run(sheet(ADA))
    const { id } = await acme.run(sheet(ADA.replace('Ada', 'Adah')))
    await acme.sql(`update contacts set external_id = 'E8' where organization_id = $1`, [acme.organizationId])
    await acme.run(sheet('E1,Eva,Ng,eva@undo.test,'))
    expect(left(await undo(acme, id))).toEqual({ id_taken: 1 })
  })

  test('awaits a license no more, or again, as before', async () => {
    const acme = await organization({ licenses: [{ name: 'Full', seats: 0 }] })
    await acme.run(`${HEADER},System User\n${ADA},no`)
    const before = await content(acme)
    const { id, users } = await acme.run(`${HEADER},System User\n${ADA},yes`)
    expect(users.withoutSeat).toBe(1)
    await undo(acme, id)
    expect(await content(acme)).toEqual(before)
  })

  test('is deactivated again where the import had activated the person, and sessions end', async () => {
    const acme = await organization({ matching: { deactivated: 'reactivate' } })
    await acme.run(sheet(ADA))
    await tenant(acme, async (tx) => deactivate(tx, 'pat', [await userOf(acme, 'E1')]))
    await acme.sql(`update contacts set state = 'inactive' where organization_id = $1`, [acme.organizationId])
    const { id, totals } = await acme.run(sheet(ADA))
    expect(totals.updated).toBe(1)
    await acme.sql(`insert into sessions (token_hash, organization_id, user_id, expires_at) values ('h${id}', $1, $2, now() + interval '1 day')`, [acme.organizationId, await userOf(acme, 'E1')])
    expect(await undo(acme, id)).toMatchObject({ contacts: { putBack: 1 }, users: { putBack: 1, deactivated: 1 }, left: [] })
    expect([await acme.contacts(), await acme.users()]).toMatchObject([[{ state: 'inactive' }], [{ state: 'inactive' }]])
    expect(await acme.sql('select from sessions where organization_id = $1', [acme.organizationId])).toEqual([])
  })

  test('stays active where an account of the person does', async () => {
    const acme = await organization({ matching: { deactivated: 'reactivate' } })
    await acme.run(sheet(ADA))
    await tenant(acme, async (tx) => deactivate(tx, 'pat', [await userOf(acme, 'E1')]))
    await acme.sql(`update contacts set state = 'inactive' where organization_id = $1`, [acme.organizationId])
    const { id } = await acme.run(sheet(ADA))
    await tenant(acme, async (tx) => set(tx, 'pat', [await userOf(acme, 'E1')], { ...UNCHANGED, profile: null }))
    expect(left(await undo(acme, id))).toEqual({ changed: 1, user_active: 1 })
    expect([await acme.contacts(), await acme.users()]).toMatchObject([[{ state: 'active' }], [{ state: 'active' }]])
  })

  test('takes the seat of before only where one is free', async () => {
    const acme = await organization({ licenses: [{ name: 'Full', seats: 1 }, { name: 'Read only', seats: null }] })
    await acme.run(`${HEADER},License\n${ADA},Full`)
    const { id } = await acme.run(`${HEADER},License\n${ADA},Read only`)
    await acme.run(`${HEADER},License\n${BEN},Full`)
    expect(left(await undo(acme, id))).toEqual({ no_seat: 1 })
    expect((await acme.users()).map(({ license }) => license).toSorted()).toEqual(['Full', 'Read only'])
  })

  test('has the mails that the import let go held again, as they were', async () => {
    const acme = await organization()
    const first = await acme.run(sheet(ADA, BEN))
    const { id } = await acme.run(sheet(ADA), { delivery: { kind: 'now' } })
    expect((await mails(acme)).toSorted()).toEqual(['held', 'scheduled'])
    expect(await undo(acme, id)).toMatchObject({ mails: { heldAgain: 1, cancelled: 0 } })
    expect(await mails(acme)).toEqual(['held', 'held'])
    expect(await acme.sql('select distinct import_id, send_at from deliveries where organization_id = $1 and user_id is not null', [acme.organizationId])).toEqual([{ import_id: first.id, send_at: null }])
  })
})

test('no more comes back from the database for many people than for few', async () => {
  const surname = (index: number): string => 'ABCDEFGHIJ'[index % 10]! + 'KLMNOPQRST'[Math.floor(index / 10)]!.toLowerCase()
  const people = (count: number, phone: string, profile: string): string =>
    [`${HEADER},Profile`, ...Array.from({ length: count }, (_, index) => `${index},Pat,${surname(index)},p${index}@undo.test,${phone},${profile}`)].join('\n')
  const rowsReturned = async (count: number): Promise<number> => {
    const acme = await organization()
    await acme.run(people(count, '6125550100', 'Standard'))
    const { id } = await acme.run(people(count, '6125550199', 'Manager'))
    return tenant(acme, async (tx) => {
      let rows = 0
      const counted = async (sql: string, values?: unknown[]): Promise<{ rows: object[]; rowCount: number | null }> => {
        const result = await tx.client.query<object>(sql, values)
        rows += result.rows.length
        return result
      }
      const query: Transaction['query'] = async <R extends object>(sql: string, values?: unknown[]) => (await counted(sql, values)).rows as R[]
      const run: Transaction['run'] = async (sql, values) => (await counted(sql, values)).rowCount ?? 0
      expect(await undoImport({ ...tx, query, run }, id, 'olga')).toMatchObject({ contacts: { putBack: count }, users: { putBack: count }, left: [] })
      return rows
    })
  }
  expect(await rowsReturned(40)).toBe(await rowsReturned(2))
})

test('a mail that the import let go, and that is in a release since, stays there', async () => {
  const acme = await organization()
  await acme.run(sheet(ADA))
  const { id } = await acme.run(sheet(ADA), { delivery: { kind: 'now' } })
  await acme.sql(`with r as (insert into releases (organization_id, name, state, send_at, created_by) values ($1, 'Go', 'scheduled', now(), 'pat') returning id) update deliveries set release_id = r.id from r where organization_id = $1`, [acme.organizationId])
  expect(await undo(acme, id)).toMatchObject({ mails: { heldAgain: 0, cancelled: 0 } })
  expect(await mails(acme)).toEqual(['scheduled'])
})

test('what an undone import asks about somebody is no question any more', async () => {
  const acme = await organization()
  await acme.run(sheet(ADA))
  await acme.sql(`update deliveries set state = 'sent' where organization_id = $1`, [acme.organizationId])
  const { id, totals } = await acme.run(sheet(ADA.replace('ada@', 'adah@')))
  expect(totals.held).toBe(1)
  await undo(acme, id)
  expect(await acme.sql('select state from identity_decisions where organization_id = $1', [acme.organizationId])).toEqual([{ state: 'lapsed' }])
})

describe('a full feed', () => {
  const NONE = { people: null, percent: null }
  const intake = (feedId: string): FeedIntake => ({
    feedId, fileId: '1', mode: 'full', scope: { kind: 'own' }, adopts: false, thresholds: { creations: NONE, updates: NONE, deactivations: NONE, changedEmails: NONE, reactivations: NONE },
    rows: { least: null, most: null, changePercent: null }, lastHeaders: null, lastRows: null, outOfOrder: null, holdHours: 24,
  })
  /** Takes in the first file of a feed that adopts: it is held, and approved. */
  async function adopt(acme: Importing, feedId: string, text: string): Promise<ImportReport> {
    const { id } = await acme.run(text, { feed: { ...intake(feedId), adopts: true } })
    const parts = { database: database.current, failpoint: () => Promise.resolve(), queues: { wake: () => Promise.resolve() } }
    for (const chunk of await tenant(acme, (tx) => approveImport(tx, id, 'eve'))) await commitChunk(parts, { organizationId: acme.organizationId, importId: id, chunk })
    return acme.report(id)
  }
  /** An organization with a feed that has brought Ada and Ben, and then Ada alone; gives the import by which Ben left. */
  async function benLeft(changes: DeclarationChanges = {}): Promise<{ acme: Importing; id: string; before: unknown }> {
    const acme = await organization(changes)
    const [feed] = await acme.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, 'nightly', 'active', '{}', 'olga') returning id`, [acme.organizationId])
    const run = (text: string) => acme.run(text, { feed: intake(feed!.id) })
    await run(sheet(ADA, BEN))
    const before = await content(acme)
    const { id } = await run(sheet(ADA))
    await acme.sql('update imports set feed_id = $2 where id = $1', [id, feed!.id])
    expect((await acme.contacts()).map(({ firstName, state }) => `${firstName} ${state}`)).toEqual(['Ada active', 'Ben inactive'])
    return { acme, id, before }
  }

  test('whom it left out is active again, with the user, and it is told what is not owed again', async () => {
    const { acme, id, before } = await benLeft()
    expect(await undo(acme, id)).toMatchObject({ feed: { name: 'nightly' }, contacts: { putBack: 1, activated: 1 }, users: { putBack: 1, activated: 1 }, mails: { lost: 1 }, left: [] })
    expect(await content(acme)).toEqual(before)
  })

  test('owns nobody any more whom it had adopted by that file', async () => {
    const acme = await organization()
    const [feed] = await acme.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, 'nightly', 'active', '{"alerts": {"mails": []}}', 'olga') returning id`, [acme.organizationId])
    await acme.run(sheet(ADA, BEN))
    const before = await content(acme)
    const { id, totals } = await adopt(acme, feed!.id, sheet(ADA.replace('0101', '0199'), BEN))
    expect([totals, await acme.sql('select distinct feed_id from contacts where organization_id = $1', [acme.organizationId])]).toMatchObject([{ updated: 1, unchanged: 1 }, [{ feed_id: feed!.id }]])
    expect(left(await undo(acme, id))).toEqual({})
    expect(await content(acme)).toEqual(before)
  })

  test('and the imports before it, a person’s own among them, are undone one after the other', async () => {
    const acme = await organization()
    const [feed] = await acme.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, 'nightly', 'active', '{"alerts": {"mails": []}}', 'olga') returning id`, [acme.organizationId])
    const first = await acme.run(sheet(ADA, BEN))
    const adopted = await adopt(acme, feed!.id, sheet(ADA, BEN))
    const gone = await acme.run(sheet(ADA), { feed: { ...intake(feed!.id), adopts: true } })
    expect([gone.deactivated, left(await undo(acme, gone.id)), left(await undo(acme, adopted.id))]).toEqual([1, {}, {}])
    expect(await acme.sql('select distinct state, feed_id from contacts where organization_id = $1', [acme.organizationId])).toEqual([{ state: 'active', feed_id: null }])
    expect(await undo(acme, first.id)).toMatchObject({ contacts: { deleted: 2 }, users: { deleted: 2 }, left: [] })
  })

  test('stays away, contact and user, where the seat is gone', async () => {
    const { acme, id } = await benLeft({ licenses: [{ name: 'Full', seats: 2 }] })
    await acme.run(sheet(CLEO))
    expect(left(await undo(acme, id))).toEqual({ no_seat: 1 })
    expect((await acme.contacts()).map(({ firstName, state }) => `${firstName} ${state}`)).toEqual(['Ada active', 'Ben inactive', 'Cleo active'])
  })

  test('stays away with the contact where that one was changed since', async () => {
    const { acme, id } = await benLeft()
    await acme.sql(`update contacts set phone = null, version = version + 1 where organization_id = $1 and state = 'inactive'`, [acme.organizationId])
    expect(left(await undo(acme, id))).toEqual({ changed: 1 })
    expect(await acme.users()).toMatchObject([{ state: 'active' }, { state: 'inactive' }])
  })
})

describe('the import', () => {
  test('is undone once', async () => {
    const acme = await organization()
    const { id } = await acme.run(sheet(ADA))
    await undo(acme, id)
    await expect(undo(acme, id)).rejects.toMatchObject({ code: 'import.wrong_state' })
    expect(await acme.report(id)).toMatchObject({ state: 'undone', totals: { created: 1 } })
  })

  test('is undone only where it is committed', async () => {
    const acme = await organization()
    const { id } = await acme.preview(sheet(ADA))
    await expect(undo(acme, id)).rejects.toMatchObject({ code: 'import.wrong_state' })
    await expect(undo(acme, '999999')).rejects.toMatchObject({ code: 'import.unknown' })
  })

  test('keeps what came of it and who undid it, in counts and ids', async () => {
    const acme = await organization()
    const { id } = await acme.run(sheet(ADA, BEN))
    await acme.sql('update users set last_login_at = now() where id = $1', [await userOf(acme, 'E1')])
    await undo(acme, id)
    const [stored] = await acme.sql<{ undo: UndoReport; by: string; at: Date }>('select undo, undone_by as by, undone_at as at from imports where id = $1', [id])
    expect(stored).toMatchObject({ undo: { users: { deleted: 1 }, people: [{ userId: await userOf(acme, 'E1'), reason: 'signed_in' }] }, by: 'olga', at: expect.any(Date) })
    const audit = await acme.sql(`select operator, detail from audit_entries where organization_id = $1 and action = 'import.undo'`, [acme.organizationId])
    expect(audit).toMatchObject([{ operator: 'olga', detail: { import: id, contacts: { deleted: 1 } } }])
    expect(JSON.stringify([stored, audit])).not.toMatch(/Ada|Lovelace|undo\.test/)
  })

  test('before it can be undone in its turn, the later ones first', async () => {
    const acme = await organization(LOOKUPS)
    const first = await acme.run(`${FULL}\n${ADA_BEFORE}`)
    const before = await content(acme)
    const second = await acme.run(`${FULL}\n${ADA_AFTER}`)
    const between = await content(acme)
    const third = await acme.run(`${FULL}\n${ADA_AFTER.replace('Adah', 'Augusta').replace('Manager', 'Standard')}`)
    expect(left(await undo(acme, third.id))).toEqual({})
    expect(await content(acme)).toEqual(between)
    expect(left(await undo(acme, second.id))).toEqual({})
    expect(await content(acme)).toEqual(before)
    expect(await undo(acme, first.id)).toMatchObject({ contacts: { deleted: 1 }, left: [] })
    expect(await names(acme)).toEqual([])
  })
})
