/** Users changed in bulk (spec C9), made from contacts (C1 to C6), with what they are owed; on PostgreSQL, several at once where it matters. */
import { beforeEach, describe, expect, test } from 'vitest'
import { resolveChanges, type TypedChanges } from '../../src/accounts/userChanges.ts'
import type { Enabled } from '../../src/accounts/enableAccess.ts'
import { LEFT_OUT_OF_CHANGE, SETTLED } from '../../src/accounts/lockUsers.ts'
import { setUsers } from '../../src/accounts/setUsers.ts'
import { selectContacts, selectUsers } from '../../src/accounts/selectUsers.ts'
import { perform, rehearse } from '../../src/commands/rehearse.ts'
import type { Transaction } from '../../src/entities/database.ts'
import type { AccountKind } from '../../src/entities/states.ts'
import { activate, deactivate, enable, revoke, send, set, type Mailing } from '../../src/jobs/operateUsers.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { loadCatalog } from '../../src/organizations/catalog.ts'
import { readOrganization } from '../../src/organizations/organizations.ts'
import { importing, useDatabase, type DeclarationChanges, type Importing } from '../support/importing.ts'

const database = useDatabase()
const HEADER = 'External ID,First Name,Last Name,Email,Role,Delivery,System User'
let acme: Importing

const begin = async (changes: DeclarationChanges = {}, rows: readonly string[] = ['1,Ana,Nguyen,ana@one.example,,,yes', '2,Bo,Lund,bo@one.example,,,yes', '3,Cy,Ray,cy@one.example,,none,yes']): Promise<void> => {
  acme = await importing(database.current, changes)
  if (rows.length > 0) await acme.run([HEADER, ...rows].join('\n'))
}
const tenant = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => perform(database.current, acme.organizationId, work)
const usersOf = (...keys: string[]): Promise<string[]> => tenant(async (tx) => (await selectUsers(tx, { keys })).userIds)
const contactsOf = (...keys: string[]): Promise<string[]> => tenant(async (tx) => (await selectContacts(tx, { keys })).contactIds)
const setting = async (ids: readonly string[], typed: TypedChanges) =>
  tenant(async (tx) => set(tx, 'olive', ids, resolveChanges(typed, await loadCatalog(tx), (await readOrganization(tx)).settings)))
const enabling = (contactIds: readonly string[], { kind = null, mailing = null, ...typed }: TypedChanges & { kind?: AccountKind | null; mailing?: Mailing | null } = {}): Promise<Enabled & { sending: Awaited<ReturnType<typeof send>> }> =>
  tenant(async (tx) => {
    const catalog = await loadCatalog(tx)
    const { settings } = await readOrganization(tx)
    return enable(tx, 'olive', { contactIds, kind, given: resolveChanges(typed, catalog, settings), mailed: mailing !== null }, catalog, settings, mailing)
  })
const reasons = (leftOut: readonly { username: string; reason: string }[]): Record<string, string> => Object.fromEntries(leftOut.map(({ username, reason }) => [username, reason]))
const user = async (username: string) => (await acme.users()).find((line) => line.username === username)!
const people = (count: number, systemUser: string): string[] => Array.from({ length: count }, (_, index) => `${index + 1},P,Erson,p${index + 1}@one.example,,none,${systemUser}`)

describe('deactivate and activate', () => {
  beforeEach(() => begin({ licenses: [{ name: 'Full', seats: 3 }, { name: 'Read only', seats: null }] }))

  test('a deactivated user loses mails, invitation and sessions, and gives the seat back; once', async () => {
    const [ana] = await usersOf('ana.nguyen')
    await acme.sql(`insert into sessions (token_hash, organization_id, user_id, expires_at) values ('a${ana}', $1, $2, now() + interval '1 hour')`, [acme.organizationId, ana])
    const ids = await usersOf('ana.nguyen', 'bo.lund')
    await acme.sql(`update deliveries set state = 'scheduled', send_at = now() where organization_id = $1 and user_id = $2`, [acme.organizationId, ana])
    const done = await tenant((tx) => deactivate(tx, 'olive', ids))
    expect(done).toMatchObject({ userIds: ids, mails: 2, invitations: 2, sessions: 1, seats: [{ license: 'Full', count: 2 }], leftOut: [] })
    expect((await acme.deliveries()).map(({ state, reason }) => [state, reason])).toEqual([['cancelled', 'user_inactive'], ['cancelled', 'user_inactive']])
    expect((await acme.users()).map(({ state, onboarding }) => [state, onboarding])).toEqual([['inactive', 'revoked'], ['inactive', 'revoked'], ['active', null]])
    const again = await tenant((tx) => deactivate(tx, 'olive', ids))
    expect(again).toMatchObject({ userIds: [], mails: 0, invitations: 0, sessions: 0, leftOut: [{ reason: 'already_inactive' }, { reason: 'already_inactive' }] })
    const audit = await tenant((tx) => readAudit(tx, 10))
    expect(audit.map(({ operator, action, detail }) => [operator, action, detail])).toEqual([['olive', 'users.deactivate', { users: ids, mails: 2 }]])
  })

  test('a required role that nobody holds afterwards is named', async () => {
    await begin({ roles: [{ name: 'Customer Limited' }, { name: 'Owner', required: true }] }, ['1,Ana,Nguyen,ana@one.example,Owner,none,yes', '2,Bo,Lund,bo@one.example,Owner,none,yes'])
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    expect((await tenant((tx) => deactivate(tx, 'olive', [ana!]))).rolesMissing).toEqual([])
    expect((await tenant((tx) => deactivate(tx, 'olive', [bo!]))).rolesMissing).toEqual(['Owner'])
    await tenant((tx) => activate(tx, 'olive', [ana!]))
    expect((await setting([ana!], { role: ['none'] })).rolesMissing).toEqual(['Owner'])
  })

  test('whoever finds no seat stays deactivated and is told; a contact comes back with the user', async () => {
    const ids = await usersOf('ana.nguyen', 'bo.lund', 'cy.ray')
    await tenant((tx) => deactivate(tx, 'olive', ids))
    await acme.declare({ licenses: [{ name: 'Full', seats: 1 }, { name: 'Read only', seats: null }] })
    await acme.sql(`update contacts set state = 'inactive' where organization_id = $1`, [acme.organizationId])
    const done = await tenant((tx) => activate(tx, 'olive', ids))
    expect([done.userIds, reasons(done.leftOut), done.contacts]).toEqual([[ids[0]], { 'bo.lund': 'no_seat', 'cy.ray': 'no_seat' }, 1])
    expect((await acme.users()).map(({ state, loginable }) => [state, loginable])).toEqual([['active', true], ['inactive', false], ['inactive', false]])
  })

  test('the contact is locked before the user, as an import locks them: neither waits for the other in a circle', async () => {
    const [ana] = await usersOf('ana.nguyen')
    await tenant((tx) => deactivate(tx, 'olive', [ana!]))
    await acme.sql(`update contacts set state = 'inactive' where organization_id = $1`, [acme.organizationId])
    let activated: Promise<unknown> | undefined
    await tenant(async (tx) => {
      await tx.run('select from contacts where id = (select contact_id from users where id = $1) for update', [ana])
      activated = tenant((other) => activate(other, 'olive', [ana!]))
      await expect.poll(async () => (await acme.sql(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length).toBeGreaterThan(0)
      expect(await tx.query('select id from users where id = $1 for update skip locked', [ana])).toEqual([{ id: ana }])
    })
    expect(await activated).toMatchObject({ userIds: [ana], contacts: 1 })
  })

  test('seats that are set aside for an import are not free', async () => {
    const ids = await usersOf('ana.nguyen', 'bo.lund', 'cy.ray')
    await tenant((tx) => deactivate(tx, 'olive', ids))
    await acme.sql(`insert into seat_reservations (license_id, import_id, organization_id, seats) select l.id, i.id, $1, 2 from licenses l, imports i where l.organization_id = $1 and l.name = 'Full' and i.organization_id = $1`, [acme.organizationId])
    const done = await tenant((tx) => activate(tx, 'olive', ids))
    expect([done.userIds, done.leftOut.map(({ reason }) => reason)]).toEqual([[ids[0]], ['no_seat', 'no_seat']])
  })

  test('eight operators at once never take more seats than there are', async () => {
    await begin({ licenses: [{ name: 'Full', seats: 24 }] }, people(24, 'yes'))
    const ids = (await acme.users()).map(({ id }) => id)
    await tenant((tx) => deactivate(tx, 'olive', ids))
    await acme.declare({ licenses: [{ name: 'Full', seats: 10 }] })
    // Overlapping parts, in differing order.
    const parts = Array.from({ length: 8 }, (_, index) => ids.slice(index * 2, index * 2 + 9).toSorted(() => (index % 2 === 0 ? 1 : -1)))
    const done = await Promise.all(parts.map((part) => tenant((tx) => activate(tx, 'olive', part))))
    expect(done.reduce((sum, { userIds }) => sum + userIds.length, 0)).toBe(10)
    expect((await acme.users()).filter(({ state }) => state === 'active')).toHaveLength(10)
  })
})

describe('enable access', () => {
  test('a user gets the defaults, "all" in security, the automatic products, and the next free username', async () => {
    await begin({ securityGroups: { department: ['all', 'HR'] }, lookups: { jobCode: ['all', 'Sales'] } }, ['1,Ana,Nguyen,ana@one.example,,none,yes', '2,Ana,Nguyen,ana2@one.example,,,no', '3,Ana,Nguyen,ana3@one.example,,,no'])
    await acme.sql(`insert into released_usernames (organization_id, username, username_stem, username_number) values ($1, 'ana.nguyen2', 'ana.nguyen', 2)`, [acme.organizationId])
    const contacts = await contactsOf('2', '3')
    const { created } = await enabling(contacts, { department: 'HR' })
    expect(created.map(({ username, loginable }) => [username, loginable])).toEqual([['ana.nguyen3', true], ['ana.nguyen4', true]])
    expect(await user('ana.nguyen3')).toMatchObject({ groups: ['Staff'], profile: 'Standard', license: 'Full', roles: ['Customer Limited'], mustChangePassword: true, accountKind: 'employee', onboarding: null })
    const held = await acme.sql<{ company: string; department: string; products: number; lookup: string }>(
      `select (select name from security_groups where id = company_id) as company, (select name from security_groups where id = department_id) as department,
         (select count(*)::int from user_roles r where r.user_id = u.id and r.product_id is not null) as products,
         (select string_agg(s.name, ',') from user_lookups l join security_groups s on s.id = l.security_group_id where l.user_id = u.id) as lookup
       from users u where organization_id = $1 and username = 'ana.nguyen3'`,
      [acme.organizationId],
    )
    expect(held).toEqual([{ company: 'all', department: 'HR', products: 1, lookup: 'all' }])
  })

  test('what is given goes before the defaults; role none is No role assigned; a typed username is taken once', async () => {
    await begin({}, ['1,Ana,Nguyen,ana@one.example,,none,yes', '2,Bo,Lund,bo@one.example,,,no', '3,Cy,Ray,cy@one.example,,,no'])
    const [bo, cy] = await contactsOf('2', '3')
    await enabling([bo!], { group: ['Supervisors'], profile: 'manager', license: 'Read Only', role: ['none'], username: 'Bo.X' })
    expect(await user('bo.x')).toMatchObject({ groups: ['Supervisors'], profile: 'Manager', license: 'Read only' })
    expect(await acme.sql(`select role_id from user_roles r join users u on u.id = r.user_id where u.username = 'bo.x' and r.product_id is null and u.organization_id = $1`, [acme.organizationId])).toEqual([])
    await expect(enabling([cy!], { username: 'bo.x' })).rejects.toMatchObject({ code: 'username.taken' })
    await expect(enabling([cy!], { username: 'root' })).rejects.toMatchObject({ code: 'username.invalid' })
    await expect(enabling([bo!, cy!], { username: 'two' })).rejects.toMatchObject({ code: 'usage.username' })
  })

  test('a contact with a user of that kind is opened instead: activated, or told', async () => {
    await begin()
    const contacts = await contactsOf('1', '2')
    await tenant(async (tx) => deactivate(tx, 'olive', (await selectUsers(tx, { keys: ['ana.nguyen'] })).userIds))
    const done = await enabling(contacts)
    expect([done.created, done.opened, done.leftOut.map(({ reason }) => reason)]).toEqual([[], await usersOf('ana.nguyen'), ['has_user']])
    const other = await enabling(contacts, { kind: 'service representative' })
    expect(other.created.map(({ username }) => username)).toEqual(['ana.nguyen2', 'bo.lund2'])
    expect((await acme.users()).filter(({ username }) => username.startsWith('ana'))).toMatchObject([{ accountKind: 'employee', state: 'active' }, { accountKind: 'service representative' }])
  })

  test('without a role and a default it is refused', async () => {
    await begin({ defaults: { role: null } }, ['1,Ana,Nguyen,ana@one.example,,,no'])
    await expect(enabling(await contactsOf('1'))).rejects.toMatchObject({ code: 'role.required' })
    expect(await acme.users()).toEqual([])
  })

  test.each([['contact-only', true, 0], ['reject', false, 2]])('out of seats, %s: the contact stays, awaiting %s', async (whenOutOfSeats, awaiting, leftOut) => {
    await begin({ whenOutOfSeats, licenses: [{ name: 'Full', seats: 1 }] }, people(3, 'no'))
    const contacts = await contactsOf('1', '2', '3')
    const done = await enabling(contacts)
    expect([done.created.length, done.awaiting.length, done.leftOut.length]).toEqual([1, awaiting ? 2 : 0, leftOut])
    expect(await acme.sql(`select id from contacts where organization_id = $1 and awaiting_license order by id`, [acme.organizationId])).toEqual(awaiting ? contacts.slice(1).map((id) => ({ id })) : [])
    await acme.declare({ licenses: [{ name: 'Full', seats: 3 }] })
    expect((await enabling(contacts)).created).toHaveLength(2)
    expect(await acme.sql(`select id from contacts where organization_id = $1 and awaiting_license`, [acme.organizationId])).toEqual([])
  })

  test('eight at once: never more users than seats, every username its own', async () => {
    await begin({ licenses: [{ name: 'Full', seats: 9 }] }, people(32, 'no'))
    const contacts = (await acme.contacts()).map(({ id }) => id)
    const done = await Promise.all(Array.from({ length: 8 }, (_, index) => enabling(contacts.slice(index * 4, index * 4 + 4))))
    expect(done.reduce((sum, { created }) => sum + created.length, 0)).toBe(9)
    const users = await acme.users()
    expect(users).toHaveLength(9)
    expect(new Set(users.map(({ username }) => username)).size).toBe(9)
    expect(await acme.sql(`select count(*)::int as count from contacts where organization_id = $1 and awaiting_license`, [acme.organizationId])).toEqual([{ count: 23 }])
  })

  test('two who enable the same contact at once make one user', async () => {
    await begin({}, people(6, 'no'))
    const contacts = (await acme.contacts()).map(({ id }) => id)
    const [first, second] = await Promise.all([enabling(contacts), enabling(contacts.toReversed())])
    expect(first.created.length + second.created.length).toBe(6)
    expect(first.leftOut.length + second.leftOut.length).toBe(6)
    expect(await acme.users()).toHaveLength(6)
  })

  test('with a mail: owed and held, whoever has no address is left out', async () => {
    await begin({}, ['1,Ana,Nguyen,ana@one.example,,,no', '2,Bo,Lund,,,,no'])
    const done = await enabling(await contactsOf('1', '2'), { mailing: { purpose: 'invitation', sendAt: null } })
    expect([done.created.length, reasons(done.leftOut)]).toEqual([1, { 'Bo Lund (2)': 'email_missing' }])
    expect(await acme.deliveries()).toMatchObject([{ purpose: 'invitation', state: 'held', to: 'ana@one.example' }])
    expect(await user('ana.nguyen')).toMatchObject({ onboarding: 'created' })
  })

  test('a lone role that is not invited alone: saved, not invited, told (C11)', async () => {
    await begin({}, ['1,Ana,Nguyen,ana@one.example,,,no'])
    const done = await enabling(await contactsOf('1'), { role: ['Authorized Representative'], mailing: { purpose: 'invitation', sendAt: 'now' } })
    expect([done.notInvitable, done.created.length, done.sending]).toEqual(['Authorized Representative', 1, { mailed: [], leftOut: [{ userId: done.created[0]!.userId, username: 'ana.nguyen', reason: 'not_invitable_alone' }] }])
    expect(await acme.deliveries()).toEqual([])
  })

  test('without a role of one\'s own those of the automatic products count: alone, they are not invited alone either (C11)', async () => {
    await begin({}, ['1,Ana,Nguyen,ana@one.example,,,no', '2,Bo,Lund,bo@one.example,,,no'])
    await acme.sql(`update roles set invitable_alone = false where id in (select role_id from products where auto_link and organization_id = $1)`, [acme.organizationId])
    const [ana, bo] = [await contactsOf('1'), await contactsOf('2')]
    const done = await enabling(ana, { role: ['none'], mailing: { purpose: 'invitation', sendAt: 'now' } })
    expect([done.notInvitable, done.sending]).toEqual([expect.any(String), { mailed: [], leftOut: [{ userId: done.created[0]!.userId, username: 'ana.nguyen', reason: 'not_invitable_alone' }] }])
    await acme.sql(`update roles set invitable_alone = true where id in (select role_id from products where auto_link and organization_id = $1)`, [acme.organizationId])
    const other = await enabling(bo, { role: ['none'], mailing: { purpose: 'invitation', sendAt: 'now' } })
    expect([other.notInvitable, other.sending.mailed]).toEqual([null, [{ purpose: 'invitation', userIds: [other.created[0]!.userId] }]])
  })

  test('a dimension without a group "all" has to be named', async () => {
    await begin({ securityGroups: { department: ['HR'] } }, ['1,Ana,Nguyen,ana@one.example,,,no'])
    await expect(enabling(await contactsOf('1'))).rejects.toMatchObject({ code: 'security.required' })
    expect((await enabling(await contactsOf('1'), { department: 'HR' })).created).toHaveLength(1)
  })
})

describe('set', () => {
  beforeEach(() => begin({ lookups: { jobCode: ['all', 'Engineering', 'Sales'] } }))
  const versions = () => acme.sql<{ version: number }>('select version from users where organization_id = $1 order by id', [acme.organizationId]).then((rows) => rows.map(({ version }) => version))

  test('groups, profile, roles, security and lookups, told from old to new; whoever has it so already is left alone', async () => {
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    await setting([ana!], { profile: 'Manager' })
    const done = await setting([ana!, bo!], { profile: 'Manager', addGroup: ['supervisors'], removeGroup: ['Staff'], addRole: ['Customer Administrator'], department: 'hr', lookup: ['jobCode=Engineering;Sales'] })
    expect(done.effects).toEqual([
      { what: 'profile', from: 'Standard', to: 'Manager', users: 1 }, { what: 'department', from: 'all', to: 'HR', users: 2 },
      { what: 'group', from: 'Staff', to: null, users: 2 }, { what: 'group', from: null, to: 'Supervisors', users: 2 }, { what: 'role', from: null, to: 'Customer Administrator', users: 2 },
      { what: 'jobCode', from: 'all', to: null, users: 2 }, { what: 'jobCode', from: null, to: 'Engineering', users: 2 }, { what: 'jobCode', from: null, to: 'Sales', users: 2 },
    ])
    expect(await user('ana.nguyen')).toMatchObject({ groups: ['Supervisors'], profile: 'Manager', roles: ['Customer Administrator', 'Customer Limited'] })
    expect(await tenant(async (tx) => (await selectUsers(tx, { filters: ['department=HR', 'profile=Manager'] })).userIds)).toEqual([ana, bo])
    expect(await versions()).toEqual([3, 2, 1])
    const again = await setting([ana!, bo!], { profile: 'Manager', group: ['Supervisors'], department: 'HR', lookup: ['jobCode=Sales;Engineering'] })
    expect([again.userIds, again.effects, reasons(again.leftOut)]).toEqual([[], [], { 'ana.nguyen': 'unchanged', 'bo.lund': 'unchanged' }])
    expect(await versions()).toEqual([3, 2, 1])
    expect((await setting([ana!], { lookup: ['jobCode='] })).effects).toEqual([{ what: 'jobCode', from: 'Engineering', to: null, users: 1 }, { what: 'jobCode', from: 'Sales', to: null, users: 1 }])
  })

  test('somebody who keeps a role at a product that was to be taken away is named for it, changed otherwise or not', async () => {
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    await acme.sql(`delete from user_roles where user_id = $1 and product_id is null`, [ana])
    await acme.sql(`insert into user_roles (user_id, organization_id, role_id, product_id) select u.id, $1, r.id, p.id from users u, roles r, products p
      where u.organization_id = $1 and r.organization_id = $1 and r.name = 'Customer Limited' and p.organization_id = $1 and p.name = 'Payroll' and u.id = any ($2)`, [acme.organizationId, [ana, bo]])
    const done = await setting([ana!, bo!], { removeRole: ['Customer Limited'] })
    expect([done.userIds, reasons(done.leftOut)]).toEqual([[bo], { 'ana.nguyen': 'role_at_product', 'bo.lund': 'role_at_product' }])
    expect(SETTLED).not.toContain('role_at_product')
    expect(LEFT_OUT_OF_CHANGE['role_at_product']).toBe('A role to take away is held at a product, and stays there.')
  })

  test('a username for several is refused before anybody is locked', async () => {
    const ids = await usersOf('ana.nguyen', 'bo.lund')
    await tenant(async (tx) => {
      await tx.run('select from users where id = any ($1::bigint[]) for update', [ids])
      await expect(database.current.tenant(acme.organizationId, async (other) => {
        await other.run(`set local lock_timeout = '100ms'`)
        return setUsers(other, ids, resolveChanges({ username: 'x.y' }, await loadCatalog(other), (await readOrganization(other)).settings))
      })).rejects.toMatchObject({ code: 'usage.username' })
    })
  })

  test('roles held at products stay; --role replaces those held in general', async () => {
    const [ana] = await usersOf('ana.nguyen')
    await setting([ana!], { role: ['Customer Administrator'] })
    expect(await acme.sql(`select r.name, l.product_id is not null as product from user_roles l join roles r on r.id = l.role_id where l.user_id = $1 order by 2`, [ana])).toEqual([{ name: 'Customer Administrator', product: false }, { name: 'Customer Limited', product: true }])
  })

  test('every unknown name is told, with the nearest known one', async () => {
    const [ana] = await usersOf('ana.nguyen')
    await expect(setting([ana!], { addGroup: ['Supervisor'], profile: 'Manger' })).rejects.toMatchObject({ code: 'group.unknown', message: expect.stringContaining('"Manger"') as string, hint: expect.stringMatching(/Manager.*Supervisors|Supervisors.*Manager/) as string })
    await expect(setting([ana!], { lookup: ['payGroup=x'] })).rejects.toMatchObject({ code: 'lookup.unknown', hint: 'Write one of jobCode=….' })
    await expect(setting([ana!], { department: 'none' })).rejects.toMatchObject({ code: 'security.unknown' })
    expect(await versions()).toEqual([1, 1, 1])
  })

  test('taking away group, profile or license takes the login away, and that is told', async () => {
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    expect((await setting([ana!, bo!], { group: ['none'] })).loginable).toEqual({ gained: 0, lost: 2 })
    expect((await setting([ana!], { group: ['Staff'] })).loginable).toEqual({ gained: 1, lost: 0 })
  })

  test('another license takes a seat; who finds none is left alone in everything', async () => {
    await acme.declare({ licenses: [{ name: 'Full', seats: null }, { name: 'Read only', seats: 1 }] })
    const ids = await usersOf('ana.nguyen', 'bo.lund', 'cy.ray')
    await tenant((tx) => deactivate(tx, 'olive', [ids[2]!]))
    const done = await setting(ids, { license: 'Read only', profile: 'Manager' })
    expect([done.userIds, reasons(done.leftOut)]).toEqual([[ids[0], ids[2]], { 'bo.lund': 'no_seat' }])
    expect(await user('bo.lund')).toMatchObject({ license: 'Full', profile: 'Standard' })
  })

  test('a username changes for one user; the old one rests for ever', async () => {
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    expect((await setting([ana!], { username: 'Ana' })).effects).toEqual([{ what: 'username', from: 'ana.nguyen', to: 'ana', users: 1 }])
    for (const name of ['ana', 'ana.nguyen']) await expect(setting([bo!], { username: name })).rejects.toMatchObject({ code: 'username.taken' })
    await expect(setting([ana!], { username: 'ana.nguyen' })).rejects.toMatchObject({ code: 'username.taken' })
    await expect(setting([ana!, bo!], { username: 'both' })).rejects.toMatchObject({ code: 'usage.username' })
    expect((await setting([ana!], { username: 'ana' })).leftOut).toMatchObject([{ reason: 'unchanged' }])
    await acme.run([HEADER, '9,Ana,Nguyen,ana9@one.example,,none,yes'].join('\n'))
    expect((await acme.users()).at(-1)!.username).toBe('ana.nguyen2')
  })

  test('two who take the same username at once: one gets it, the other is told', async () => {
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    const ended = await Promise.allSettled([setting([ana!], { username: 'chief' }), setting([bo!], { username: 'chief' })])
    expect(ended.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(ended.find((one) => one.status === 'rejected')!.reason).toMatchObject({ code: 'username.taken' })
  })

  test('two operators at once: both changes are whole for every user, and every version counts', async () => {
    await begin({}, people(20, 'yes'))
    const ids = (await acme.users()).map(({ id }) => id)
    await Promise.all([
      setting(ids, { profile: 'Manager', group: ['Supervisors'] }), setting(ids.toReversed(), { profile: 'Standard', group: ['Staff'], addRole: ['Customer Administrator'] }), tenant((tx) => deactivate(tx, 'olive', ids.slice(5))),
    ])
    const users = await acme.users()
    expect(new Set(users.map(({ profile, groups }) => `${profile} ${groups.join()}`))).toEqual(new Set([users[0]!.profile === 'Manager' ? 'Manager Supervisors' : 'Standard Staff']))
    expect(users.filter(({ state }) => state === 'inactive')).toHaveLength(15)
    expect(users.every(({ roles }) => roles.includes('Customer Administrator'))).toBe(true)
  })
})

describe('send and revoke', () => {
  const now: Mailing = { purpose: 'invitation', sendAt: 'now' }
  beforeEach(() => begin())

  test('an invitation again is a new epoch; the registered get another mail; who is left out is told (D3)', async () => {
    const ids = await usersOf('ana.nguyen', 'bo.lund', 'cy.ray')
    await acme.sql(`update deliveries set state = 'sent', sent_at = now() where organization_id = $1`, [acme.organizationId])
    await acme.sql(`update invitations set state = 'expired' where organization_id = $1 and user_id = $2`, [acme.organizationId, ids[0]])
    await acme.sql(`update invitations set state = 'in_progress' where organization_id = $1 and user_id = $2`, [acme.organizationId, ids[1]])
    await acme.sql(`update users set password_chosen_at = now() where id = $1`, [ids[1]])
    await acme.sql(`update users set last_login_at = now() where id = $1`, [ids[2]])
    const done = await tenant((tx) => send(tx, 'olive', ids, now))
    expect(done).toEqual({
      mailed: [{ purpose: 'invitation', userIds: [ids[0]] }, { purpose: 'alreadyRegistered', userIds: [ids[1]] }],
      leftOut: [{ userId: ids[2], username: 'cy.ray', reason: 'already_logged_in' }],
    })
    expect(await acme.sql('select epoch, state from invitations where user_id = $1 order by epoch', [ids[0]])).toEqual([{ epoch: 1, state: 'expired' }, { epoch: 2, state: 'created' }])
    expect((await acme.deliveries()).map(({ purpose, state }) => `${purpose} ${state}`).toSorted()).toEqual(['alreadyRegistered scheduled', 'invitation scheduled', 'invitation sent', 'invitation sent'])
  })

  test('everybody whose invitation expired, in one go', async () => {
    const [ana, bo] = await usersOf('ana.nguyen', 'bo.lund')
    await acme.sql(`update invitations set state = 'expired' where user_id = $1`, [ana])
    // Over, and no sweep was there yet.
    await acme.sql(`update invitations set state = 'launched', expires_at = now() - interval '1 second' where user_id = $1`, [bo])
    const ids = await tenant(async (tx) => (await selectUsers(tx, { filters: ['onboarding=expired'] })).userIds)
    expect((await tenant((tx) => send(tx, 'olive', ids, now))).mailed).toEqual([{ purpose: 'invitation', userIds: [ana, bo] }])
  })

  test('credentials to an operator are owed to that address, on a date', async () => {
    const ids = await usersOf('ana.nguyen')
    const at = new Date('2099-01-01T08:00:00Z')
    await tenant((tx) => send(tx, 'olive', ids, { purpose: 'credentials', sendAt: at, deliverTo: 'ops@acme.example' }))
    expect((await acme.deliveries()).filter(({ purpose }) => purpose === 'operatorCredentials')).toMatchObject([{ to: 'ops@acme.example', state: 'scheduled', sendAt: at.toISOString() }])
  })

  test('two who send the same at once owe it once', async () => {
    const ids = await usersOf('cy.ray')
    await Promise.all([tenant((tx) => send(tx, 'olive', ids, now)), tenant((tx) => send(tx, 'otto', ids, now))])
    expect((await acme.deliveries()).filter(({ userId }) => userId === ids[0])).toHaveLength(1)
  })

  test('revoking takes open invitations and their mails back, and leaves the rest alone', async () => {
    const ids = await usersOf('ana.nguyen', 'bo.lund', 'cy.ray')
    await acme.sql(`update invitations set state = 'completed' where user_id = $1`, [ids[1]])
    const done = await tenant((tx) => revoke(tx, 'olive', ids))
    expect([done.userIds, done.invitations, done.mails, reasons(done.leftOut)]).toEqual([[ids[0]], 1, 1, { 'bo.lund': 'already_registered', 'cy.ray': 'no_open_invitation' }])
    expect((await acme.deliveries()).map(({ state, reason }) => [state, reason])).toEqual([['cancelled', 'invitation_revoked'], ['held', null]])
  })
})

test('a rehearsal says what would be, and leaves nothing behind', async () => {
  await begin()
  const ids = await usersOf('ana.nguyen', 'bo.lund')
  const before = [await acme.users(), await acme.deliveries()]
  const would = await rehearse(database.current, acme.organizationId, (tx) => deactivate(tx, 'olive', ids))
  expect([would.userIds, would.mails]).toEqual([ids, 2])
  expect([await acme.users(), await acme.deliveries()]).toEqual(before)
  expect(await tenant((tx) => readAudit(tx, 10))).toEqual([])
  await expect(rehearse(database.current, acme.organizationId, () => Promise.reject(new Error('told')))).rejects.toThrow('told')
})
