/** What people get (spec C): usernames, defaults, seats, products, security, customers, SSO, roles that are not invited alone. */
import { describe, expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { codes, deactivate, fates, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const usernames = async (organization: Importing): Promise<string[]> => (await organization.users()).map(({ username }) => username)

describe('usernames', () => {
  test('people of the same name are numbered in the order of their rows', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('External ID|First Name|Last Name', '1|Ada|Lovelace', '2|Ada|Lovelace', '3|ADA|Lovelace'))
    await acme.run(sheet('External ID|First Name|Last Name', '4|Ada|Lovelace'))
    expect(await usernames(acme)).toEqual(['ada.lovelace', 'ada.lovelace2', 'ada.lovelace3', 'ada.lovelace4'])
  })

  test('numbers a username behind those typed in the same file', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('External ID|First Name|Last Name|Username', '1|Ada|Lovelace|', '2|Ben|Okafor|Ada.Lovelace7', '3|Cai|Li|ada.lovelace'))
    expect(await usernames(acme)).toEqual(['ada.lovelace8', 'ada.lovelace7', 'ada.lovelace'])
  })

  test('a typed username that somebody has, or that stands in an earlier row, is rejected', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('External ID|First Name|Last Name|Username', '1|Ada|Lovelace|ada'))
    const report = await acme.run(sheet('External ID|First Name|Last Name|Username', '2|Ben|Okafor|ADA', '3|Cai|Li|cai', '4|Dee|Lo|cai', '1|Ada|Lovelace|ada'))
    expect([fates(report), codes(report)]).toEqual([{ read: 4, created: 1, unchanged: 1, rejected: 2 }, ['username.taken 2', 'username.taken 4']])
    expect(report.issues[0]).toMatchObject({ column: 'Username', value: 'ada' })
  })

  test('a released username is given to nobody, whether typed or made', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('External ID|First Name|Last Name', '1|Ada|Lovelace'))
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name|Username', '1|Ada|Lovelace|countess')))).toEqual({ read: 1, updated: 1 })
    const report = await acme.run(sheet('External ID|First Name|Last Name|Username', '2|Ada|Lovelace|', '3|Ben|Okafor|ada.lovelace', '1|Ada|Lovelace|ada.lovelace'))
    expect(codes(report)).toEqual(['username.taken 3', 'username.taken 4'])
    expect(await usernames(acme)).toEqual(['countess', 'ada.lovelace2'])
  })

  test('a username released between preview and commit is given to nobody', async () => {
    const acme = await importing(database.current, QUIET)
    const plan = await acme.preview(sheet('External ID|First Name|Last Name', '1|Ada|Lovelace'))
    await acme.run(sheet('External ID|First Name|Last Name', '2|Ada|Lovelace'))
    await acme.run(sheet('External ID|First Name|Last Name|Username', '2|Ada|Lovelace|countess'))
    const report = await acme.commit(plan.id)
    expect([fates(report), codes(report)]).toEqual([{ read: 1, held: 1 }, ['plan.stale 2']])
    expect(await usernames(acme)).toEqual(['countess'])
  })

  test('a rerun gives the same usernames', async () => {
    const file = sheet('External ID|First Name|Last Name|Username', ...Array.from({ length: 40 }, (_, index) => `${index}|${['Ada', 'Ben'][index % 2]}|${['Lo', 'Li', 'Lo'][index % 3]}|${index === 9 ? 'ada.lo5' : ''}`))
    const [one, two] = [await importing(database.current, QUIET), await importing(database.current, QUIET)]
    await one.run(file)
    const plan = await two.preview(file)
    const planned = (await two.plan(plan.id)).map(({ username }) => username)
    await two.commit(plan.id)
    expect(await usernames(two)).toEqual(planned)
    expect(await usernames(two)).toEqual(await usernames(one))
    expect(new Set(planned).size).toBe(40)
  })

  test('names of any script become plain ones, reserved words are avoided, and long ones leave room for a number', async () => {
    const acme = await importing(database.current, { ...QUIET, username: { format: '{first}', maxLength: 16 } })
    await acme.run(sheet('First Name|Last Name', 'Zoë|A', 'Admin|B', 'Žofie-Anežka Krásnohorská|C', 'Žofie-Anežka Krásnohorská|D', 'Ø|E', '太郎|F'))
    expect(await usernames(acme)).toEqual(['zoe', 'admin-user', 'zofie-anez', 'zofie-anez2', 'o', 'tailang'])
  })

  test('follow the format of the organization', async () => {
    const format = async (text: string) => {
      const acme = await importing(database.current, { ...QUIET, username: { format: text } })
      await acme.run(sheet('External ID|First Name|Last Name|Email', 'X-9|Ada|Lovelace|Ada@int.test', 'X-8|Ben|Okafor|'))
      return usernames(acme)
    }
    expect(await format('{f}{last}')).toEqual(['alovelace', 'bokafor'])
    expect(await format('{email}')).toEqual(['ada@int.test', 'user'])
    expect(await format('{externalId}')).toEqual(['x-9', 'x-8'])
  })
})

describe('defaults and the loginability check', () => {
  test("the organization's defaults are overridden by the row", async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('First Name|Last Name|User Group|Profile|License|Role', 'Ada|Lovelace||||', 'Ben|Okafor|Staff;Supervisors|Manager|Read only|Customer Administrator'))
    expect(await acme.users()).toMatchObject([
      { groups: ['Staff'], profile: 'Standard', license: 'Full', roles: ['Customer Limited'], loginable: true },
      { groups: ['Staff', 'Supervisors'], profile: 'Manager', license: 'Read only', roles: ['Customer Administrator', 'Customer Limited'], loginable: true },
    ])
  })

  test('a user without group and profile is made, marked, and told in good grammar', async () => {
    const acme = await importing(database.current, { defaults: { groups: [], profile: null, delivery: 'none' } })
    const report = await acme.run(sheet('First Name|Last Name|Profile', 'Ada|Lovelace|', 'Ben|Okafor|Standard'))
    expect(report.users).toMatchObject({ created: 2, notLoginable: 2 })
    expect(report.issues.map(({ code, severity, message }) => [code, severity, message])).toEqual([
      ['user.not_loginable', 'warning', 'The user cannot log in yet: a user group and a profile are missing.'],
      ['user.not_loginable', 'warning', 'The user cannot log in yet: a user group is missing.'],
    ])
    expect((await acme.users()).map(({ loginable }) => loginable)).toEqual([false, false])
  })

  test('what a row says of groups and roles takes the place of what was', async () => {
    const acme = await importing(database.current, QUIET)
    const header = 'External ID|First Name|Last Name|User Group|Role'
    await acme.run(sheet(header, '1|Ada|Lovelace|Staff;Supervisors|Customer Administrator'))
    const report = await acme.run(sheet(header, '1|Ada|Lovelace|Supervisors|Customer Limited'))
    expect(report).toMatchObject({ totals: { updated: 1 }, users: { updated: 1 } })
    expect(await acme.users()).toMatchObject([{ groups: ['Supervisors'], roles: ['Customer Limited'] }])
  })

  test('a person may have accounts of several kinds', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('External ID|First Name|Last Name', '1|Ada|Lovelace'))
    const report = await acme.run(sheet('External ID|First Name|Last Name|Account Kind|System User', '1|Ada|Lovelace|service rep|yes'))
    expect(report.users.created).toBe(1)
    expect((await acme.users()).map(({ username, accountKind }) => [username, accountKind])).toEqual([['ada.lovelace', 'employee'], ['ada.lovelace2', 'service representative']])
    expect(await acme.contacts()).toMatchObject([{ users: ['ada.lovelace', 'ada.lovelace2'] }])
  })
})

describe('seats', () => {
  const seats = (count: number, whenOutOfSeats = 'contact-only') => ({ ...QUIET, whenOutOfSeats, licenses: [{ name: 'Full', seats: count }, { name: 'Read only', seats: null }] })
  const FOUR = sheet('External ID|First Name|Last Name|License', '1|Ada|Lovelace|', '2|Ada|Lovelace|', '3|Cai|Li|Read only', '4|Ada|Lovelace|')

  test('takes no more seats than there are; the rest become contacts awaiting a license, who use up no username', async () => {
    const acme = await importing(database.current, seats(2))
    const report = await acme.run(FOUR)
    expect([fates(report), codes(report), report.users]).toEqual([{ read: 4, created: 4 }, ['license.awaiting 5'], { created: 3, updated: 0, notLoginable: 0, withoutSeat: 1 }])
    expect(await usernames(acme)).toEqual(['ada.lovelace', 'ada.lovelace2', 'cai.li'])
    await acme.declare({ licenses: [{ name: 'Full', seats: 3 }, { name: 'Read only', seats: null }] })
    const again = await acme.run(FOUR)
    expect([fates(again), again.users.created]).toEqual([{ read: 4, updated: 1, unchanged: 3 }, 1])
    expect(await usernames(acme)).toEqual(['ada.lovelace', 'ada.lovelace2', 'cai.li', 'ada.lovelace3'])
    const third = await acme.run(FOUR)
    expect([fates(third), codes(third)]).toEqual([{ read: 4, unchanged: 4 }, []])
  })

  test('what does not fit is rejected where the organization chooses so', async () => {
    const acme = await importing(database.current, seats(1, 'reject'))
    const report = await acme.run(FOUR)
    expect([fates(report), codes(report)]).toEqual([{ read: 4, created: 2, rejected: 2 }, ['license.no_seats 3', 'license.no_seats 5']])
    expect(report.issues[0]!.message).toBe('No seat of the license Full is free.')
  })

  test('a user who moves to a full license stays where they are', async () => {
    const acme = await importing(database.current, seats(1))
    await acme.run(sheet('External ID|First Name|Last Name|License', '1|Ada|Lovelace|Full', '2|Ben|Okafor|Read only'))
    const report = await acme.run(sheet('External ID|First Name|Last Name|License', '2|Ben|Okafor|Full'))
    expect([fates(report), codes(report)]).toEqual([{ read: 1, rejected: 1 }, ['license.no_seats 2']])
  })

  test('two previews that fit one by one do not fit together: the second changes nothing and says so', async () => {
    const acme = await importing(database.current, seats(3))
    const one = await acme.preview(sheet('External ID|First Name|Last Name', '1|Ada|Lovelace', '2|Ben|Okafor'))
    const two = await acme.preview(sheet('External ID|First Name|Last Name', '3|Cai|Li', '4|Dee|Lo'))
    expect([one.users.created, two.users.created]).toEqual([2, 2])
    await acme.commit(one.id)
    await expect(acme.commit(two.id)).rejects.toThrow('the seats of Full have gone to others. Nothing was changed.')
    expect((await acme.report(two.id)).state).toBe('previewed')
    expect(await acme.users()).toHaveLength(2)
    expect(await acme.sql('select from seat_reservations where organization_id = $1', [acme.organizationId])).toEqual([])
  })
})

describe('products and tenants', () => {
  const links = async (acme: Importing, username: string) =>
    (await acme.sql<{ link: string }>(
      `select concat_ws('/', coalesce(p.name, '-'), coalesce(t.name, '-'), coalesce(r.name, '-')) as link from user_roles l join users u on u.id = l.user_id
       left join products p on p.id = l.product_id left join tenants t on t.id = l.tenant_id left join roles r on r.id = l.role_id
       where l.organization_id = $1 and u.username = $2 order by 1`,
      [acme.organizationId, username],
    )).map(({ link }) => link)
  const HEADER = 'External ID|First Name|Last Name|Role|Product|Tenant'

  test('automatic ones are linked beside those that are named, and the role applies to the latter', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|||', '2|Ben|Okafor|Customer Administrator|Payroll|North; South', '3|Cai|Li|Customer Administrator|WebCenter|', '4|Dee|Lo|No role assigned|Payroll|'))
    expect(await links(acme, 'ada.lovelace')).toEqual(['-/-/Customer Limited', 'WebCenter/-/Customer Limited'])
    expect(await links(acme, 'ben.okafor')).toEqual(['Payroll/North/Customer Administrator', 'Payroll/South/Customer Administrator', 'WebCenter/-/Customer Limited'])
    expect(await links(acme, 'cai.li')).toEqual(['WebCenter/-/Customer Administrator'])
    expect(await links(acme, 'dee.lo')).toEqual(['Payroll/-/-', 'WebCenter/-/Customer Limited'])
  })

  test('another role at a product leaves its tenants, and another tenant the role; other products stay', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Limited|Payroll|North'))
    const role = await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Administrator|Payroll|'))
    expect([fates(role), await links(acme, 'ada.lovelace')]).toEqual([{ read: 1, updated: 1 }, ['Payroll/North/Customer Administrator', 'WebCenter/-/Customer Limited']])
    const tenant = await acme.run(sheet(HEADER, '1|Ada|Lovelace||Payroll|South'))
    expect([fates(tenant), await links(acme, 'ada.lovelace')]).toEqual([{ read: 1, updated: 1 }, ['Payroll/South/Customer Administrator', 'WebCenter/-/Customer Limited']])
    expect(fates(await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Administrator|Payroll|South')))).toEqual({ read: 1, unchanged: 1 })
    expect(fates(await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Limited||')))).toEqual({ read: 1, updated: 1 })
    expect(await links(acme, 'ada.lovelace')).toEqual(['-/-/Customer Limited', 'Payroll/South/Customer Administrator', 'WebCenter/-/Customer Limited'])
  })

  test('a tenant is one of the products that the row names, or of those linked automatically; others are refused, with the nearest as a hint', async () => {
    const acme = await importing(database.current, { ...QUIET, products: [{ name: 'WebCenter', autoLink: true, role: 'Customer Limited', tenants: ['Blue'] }, { name: 'Payroll', tenants: ['North', 'South'] }, { name: 'Notes' }] })
    const report = await acme.run(sheet(HEADER, '1|Ada|Lovelace||Payroll|Blue', '2|Ben|Okafor||Notes;Payroll|Nort', '3|Cai|Li||Notes|North', '4|Dee|Lo|||North', '5|Eve|Ng|||Blue', '6|Fay|Oz||Payroll;WebCenter|South;Blue'))
    expect([fates(report), codes(report)]).toEqual([{ read: 6, created: 2, rejected: 4 }, ['tenant.unknown 2', 'tenant.unknown 3', 'tenant.unknown 4', 'product.required 5']])
    expect(report.issues[1]).toMatchObject({ column: 'Tenant', value: 'Nort', message: 'There is no tenant named Nort of the product Payroll, Notes.', hint: 'Did you mean North?' })
    expect(await links(acme, 'eve.ng')).toEqual(['-/-/Customer Limited', 'WebCenter/Blue/Customer Limited'])
    expect(await links(acme, 'fay.oz')).toEqual(['Payroll/South/Customer Limited', 'WebCenter/Blue/Customer Limited'])
  })

  test('the preview tells which products and tenants a user gains or loses', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Limited|Payroll|North'))
    const plan = await acme.preview(sheet(HEADER, '1|Ada|Lovelace||Payroll|South'))
    expect((await acme.plan(plan.id))[0]!.changes).toEqual({ tenant: { old: 'North', new: 'South' } })
    await acme.run(sheet('External ID|First Name|Last Name', '2|Ben|Okafor'))
    const linked = await acme.preview(sheet(HEADER, '2|Ben|Okafor|Customer Administrator|Payroll|'))
    expect((await acme.plan(linked.id))[0]!.changes).toEqual({ product: { old: 'WebCenter', new: 'Payroll; WebCenter' }, roles: { old: null, new: 'Customer Administrator' } })
  })

  test('a product that is named later is linked', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|||'))
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Limited|Payroll|'))
    expect(await links(acme, 'ada.lovelace')).toEqual(['-/-/Customer Limited', 'Payroll/-/Customer Limited', 'WebCenter/-/Customer Limited'])
  })
})

test('row-level security is "all" unless given, and stays where the row says nothing', async () => {
  const acme = await importing(database.current, QUIET)
  const security = () =>
    acme.sql(
      `select c.name as company, b.name as unit, d.name as department, l.name as location from users u left join security_groups c on c.id = u.company_id
       left join security_groups b on b.id = u.business_unit_id left join security_groups d on d.id = u.department_id left join security_groups l on l.id = u.location_id where u.organization_id = $1`,
      [acme.organizationId],
    )
  await acme.run(sheet('External ID|First Name|Last Name|Department', '1|Ada|Lovelace|hr'))
  expect(await security()).toEqual([{ company: 'all', unit: 'all', department: 'HR', location: 'all' }])
  await acme.run(sheet('External ID|First Name|Last Name|Department|Location', '1|Ada|Lovelace||Duluth'))
  expect(await security()).toEqual([{ company: 'all', unit: 'all', department: 'HR', location: 'Duluth' }])
})

test('a contact is linked to a customer and worksite, and holds contact roles there', async () => {
  const acme = await importing(database.current, QUIET)
  const header = 'External ID|First Name|Last Name|System User|Customer|Worksite|Contact Role'
  const file = sheet(header, '1|Ada|Lovelace|no|ministry|Warehouse|Approver; Payer', '2|Ben|Okafor|no|Ministry||')
  await acme.run(file)
  const places = () =>
    acme.sql(
      `select c.external_id as id, u.name as customer, w.name as worksite, r.name as role from contact_customers l join contacts c on c.id = l.contact_id join customers u on u.id = l.customer_id
       left join worksites w on w.id = l.worksite_id left join contact_roles r on r.id = l.contact_role_id where l.organization_id = $1 order by 1, 4`,
      [acme.organizationId],
    )
  const expected = [
    { id: '1', customer: 'Ministry', worksite: 'Warehouse', role: 'Approver' }, { id: '1', customer: 'Ministry', worksite: 'Warehouse', role: 'Payer' }, { id: '2', customer: 'Ministry', worksite: null, role: null },
  ]
  expect(await places()).toEqual(expected)
  expect(fates(await acme.run(file))).toEqual({ read: 2, unchanged: 2 })
  expect(await places()).toEqual(expected)
  expect(await acme.users()).toEqual([])
})

describe('roles that somebody must hold', () => {
  const roles = ['Customer Limited', 'Customer Administrator', 'Authorized Representative'].map((name) => ({ name, required: name !== 'Customer Limited' }))
  const HEADER = 'External ID|First Name|Last Name|Role|Product'
  /** What is missing by the preview, and once it is committed. */
  const missing = async (acme: Importing, file: string) => {
    const plan = await acme.preview(file)
    return [plan.missingRoles, (await acme.commit(plan.id)).missingRoles]
  }

  test('and nobody does, are listed by name in the preview and when it is committed', async () => {
    const acme = await importing(database.current, { ...QUIET, roles })
    expect(await missing(acme, sheet(HEADER, '1|Ada|Lovelace||'))).toEqual([['Customer Administrator', 'Authorized Representative'], ['Customer Administrator', 'Authorized Representative']])
    expect(await missing(acme, sheet(HEADER, '2|Ben|Okafor|Customer Administrator|'))).toEqual([['Authorized Representative'], ['Authorized Representative']])
    expect(await missing(acme, sheet(HEADER, '3|Cai|Li|Authorized Representative|Payroll'))).toEqual([[], []])
  })

  test('are missing where the file takes them from the last who had them, and not where another gets them', async () => {
    const acme = await importing(database.current, { ...QUIET, roles })
    await acme.run(sheet(HEADER, '1|Ada|Lovelace|Customer Administrator|', '2|Ben|Okafor|Authorized Representative|Payroll'))
    expect(await missing(acme, sheet(HEADER, '1|Ada|Lovelace|Customer Limited|'))).toEqual([['Customer Administrator'], ['Customer Administrator']])
    expect(await missing(acme, sheet(HEADER, '2|Ben|Okafor|Customer Limited|', '1|Ada|Lovelace|Customer Administrator|'))).toEqual([[], []])
    expect(await missing(acme, sheet(HEADER, '2|Ben|Okafor|Customer Administrator|Payroll', '1|Ada|Lovelace|Authorized Representative|'))).toEqual([[], []])
  })

  test('are held by whoever is linked to a product with them, and not by somebody deactivated', async () => {
    const acme = await importing(database.current, { ...QUIET, roles, products: [{ name: 'WebCenter', autoLink: true, role: 'Customer Administrator' }, { name: 'Payroll' }] })
    expect(await missing(acme, sheet(HEADER, '1|Ada|Lovelace|Authorized Representative|'))).toEqual([[], []])
    await deactivate(acme, '1')
    expect(await missing(acme, sheet(HEADER, '2|Ben|Okafor|Customer Limited|WebCenter'))).toEqual([['Customer Administrator', 'Authorized Representative'], ['Customer Administrator', 'Authorized Representative']])
    expect(await missing(acme, sheet(HEADER, '1|Ada|Lovelace||'))).toEqual([[], []])
  })
})

test('an SSO organization owes nobody a mail, needs no address, and makes users without passwords', async () => {
  const acme = await importing(database.current, { login: { sso: true }, defaults: { delivery: 'credentials' } })
  const report = await acme.run(sheet('First Name|Last Name|Email|Delivery', 'Ada|Lovelace||', 'Ben|Okafor|ben@int.test|invitation', 'Cai|Li||none'), { delivery: { kind: 'now' } })
  expect([fates(report), codes(report), report.deliveries]).toEqual([{ read: 3, created: 3 }, ['delivery.sso 3'], { owed: 0, scheduled: 0, notOwed: 3 }])
  expect(report.notOwed).toEqual([{ reason: 'organization_uses_sso', count: 3, message: 'The organization signs in through SSO: no credentials or invitations are sent.' }])
  expect(await acme.deliveries()).toEqual([])
  expect(await acme.sql('select from users where organization_id = $1 and password_hash is not null', [acme.organizationId])).toEqual([])
})

test('a person whose only role is not invited alone is saved, and the invitation is refused with a message', async () => {
  const acme = await importing(database.current)
  const report = await acme.run(sheet('First Name|Last Name|Email|Role', 'Ada|Lovelace|a@int.test|Authorized Representative', 'Ben|Okafor|b@int.test|Authorized Representative; Customer Limited'))
  expect([fates(report), report.deliveries]).toEqual([{ read: 2, created: 2 }, { owed: 1, scheduled: 0, notOwed: 1 }])
  expect(report.issues).toMatchObject([{ row: 2, column: 'Role', code: 'delivery.not_invitable', severity: 'warning', message: 'The role Authorized Representative alone cannot be invited.' }])
  expect(report.notOwed).toMatchObject([{ reason: 'not_invitable_alone', count: 1 }])
  const products = await importing(database.current, { products: [{ name: 'WebCenter', autoLink: true, role: 'Authorized Representative' }] })
  const linked = await products.run(sheet('First Name|Last Name|Email|Role', 'Ada|Lovelace|a@int.test|No role assigned', 'Ben|Okafor|b@int.test|Customer Limited'))
  expect([codes(linked), linked.deliveries]).toEqual([['delivery.not_invitable 2'], { owed: 1, scheduled: 0, notOwed: 1 }])
  expect(await acme.deliveries()).toMatchObject([{ to: 'b@int.test' }])
})
