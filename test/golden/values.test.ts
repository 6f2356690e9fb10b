/** What a cell does to a value (spec B5, B6, B8), attributes, and mappings (A4). */
import { describe, expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import { codes, fates, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const ADA = sheet('External ID|First Name|Last Name|Email|Phone', 'E1|Ada|Lovelace|ada@int.test|6125550100')

describe('absent is not blank, and blank is not false', () => {
  test('keeps the old phone when the new cell is blank', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(ADA)
    const report = await acme.run(sheet('External ID|First Name|Last Name|Email|Phone', 'E1|Ada|King||'))
    expect(fates(report)).toEqual({ read: 1, updated: 1 })
    expect(await acme.contacts()).toMatchObject([{ lastName: 'King', email: 'ada@int.test', phone: '6125550100' }])
  })

  test('a column that is not in the file changes nothing', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(ADA)
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name', 'E1|Ada|Lovelace')))).toEqual({ read: 1, unchanged: 1 })
    expect(await acme.users()).toMatchObject([{ groups: ['Staff'], profile: 'Standard', license: 'Full', roles: ['Customer Limited'] }])
  })

  test('clears the phone, and what a user has, where the mapping says so', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.saveMapping({ name: 'clearing', columns: {}, blank: { phone: 'clear', email: 'clear', groups: 'clear', profile: 'clear', roles: 'clear', license: 'clear' } })
    const header = 'External ID|First Name|Last Name|Email|Phone|User Group|Profile|License|Role'
    await acme.run(sheet(header, 'E1|Ada|Lovelace|ada@int.test|6125550100|Supervisors|Manager|Read only|Customer Limited'))
    const blank = sheet(header, 'E1|Ada|Lovelace||||||')
    expect(fates(await acme.run(blank, { mapping: 'clearing' }))).toEqual({ read: 1, updated: 1 })
    expect(await acme.contacts()).toMatchObject([{ email: null, phone: null }])
    const [user] = await acme.users()
    expect(user).toMatchObject({ groups: [], profile: null, license: null, loginable: false })
    expect(user!.roles).toEqual(['Customer Limited'])
    expect(await acme.sql('select from user_roles where organization_id = $1 and product_id is null', [acme.organizationId])).toEqual([])
    expect(fates(await acme.run(blank, { mapping: 'clearing' }))).toEqual({ read: 1, unchanged: 1 })
  })

  test('an address that was cleared is free for somebody else', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.saveMapping({ name: 'clearing', columns: {}, blank: { email: 'clear' } })
    await acme.run(ADA)
    await acme.run(sheet('External ID|First Name|Last Name|Email', 'E1|Ada|Lovelace|'), { mapping: 'clearing' })
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name|Email', 'E2|Ben|Okafor|ada@int.test')))).toEqual({ read: 1, created: 1 })
  })

  test('a new person is given the defaults where a blank cell would clear', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.saveMapping({ name: 'clearing', columns: {}, blank: { profile: 'clear', groups: 'clear' } })
    await acme.run(sheet('First Name|Last Name|Profile|User Group', 'Ada|Lovelace||'), { mapping: 'clearing' })
    expect(await acme.users()).toMatchObject([{ profile: 'Standard', groups: ['Staff'], loginable: true }])
  })

  test('refuses a blank cell where the mapping wants a value', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.saveMapping({ name: 'strict', columns: {}, blank: { phone: 'refuse' } })
    const report = await acme.run(sheet('First Name|Last Name|Phone', 'Ada|Lovelace|', 'Ben|Okafor|6125550101'), { mapping: 'strict' })
    expect([fates(report), codes(report)]).toEqual([{ read: 2, created: 1, rejected: 1 }, ['value.blank_refused 2']])
  })

  test('a blank System User of somebody new is a yes, a no makes a contact alone', async () => {
    const acme = await importing(database.current, QUIET)
    const report = await acme.run(sheet('First Name|Last Name|System User', 'Ada|Lovelace|', 'Ben|Okafor|no', 'Cai|Li|x'))
    expect(report.users.created).toBe(2)
    expect((await acme.contacts()).map(({ firstName, users }) => [firstName, users])).toEqual([['Ada', ['ada.lovelace']], ['Ben', []], ['Cai', ['cai.li']]])
  })

  test('a contact who is there without a user gets one only where the file says so', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet('External ID|First Name|Last Name|System User', 'E1|Ada|Lovelace|no'))
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name', 'E1|Ada|Lovelace')))).toEqual({ read: 1, unchanged: 1 })
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name|System User', 'E1|Ada|Lovelace|')))).toEqual({ read: 1, unchanged: 1 })
    const enabled = await acme.run(sheet('External ID|First Name|Last Name|System User', 'E1|Ada|Lovelace|yes'))
    expect([fates(enabled), enabled.users.created]).toEqual([{ read: 1, updated: 1 }, 1])
  })
})

describe('roles and catalog values', () => {
  test('a user without a role is rejected, one with "No role assigned" is not', async () => {
    const acme = await importing(database.current, { defaults: { delivery: 'none', role: null } })
    const report = await acme.run(sheet('First Name|Last Name|Role', 'Ada|Lovelace|', 'Ben|Okafor|no role assigned', 'Cai|Li|;'))
    expect(codes(report)).toEqual(['role.required 2', 'role.required 4'])
    expect(await acme.users()).toMatchObject([{ username: 'ben.okafor', roles: ['Customer Limited'] }])
    expect(await acme.sql('select product_id is null as "inGeneral" from user_roles where organization_id = $1', [acme.organizationId])).toEqual([{ inGeneral: false }])
  })

  test('a contact alone needs no role', async () => {
    const acme = await importing(database.current, { defaults: { delivery: 'none', role: null } })
    expect(fates(await acme.run(sheet('First Name|Last Name|Role|System User', 'Ada|Lovelace||no')))).toEqual({ read: 1, created: 1 })
  })

  test('the same role twice for the same product is told', async () => {
    const acme = await importing(database.current, QUIET)
    expect(codes(await acme.run(sheet('First Name|Last Name|Role', 'Ada|Lovelace|Customer Limited; CUSTOMER  LIMITED')))).toEqual(['role.duplicate 2'])
  })

  test('values are known without regard to case and spaces, and the nearest known one is the hint', async () => {
    const acme = await importing(database.current, QUIET)
    const report = await acme.run(sheet('First Name|Last Name|User Group|Role', 'Ada|Lovelace| sTAFF ;supervisors|customer limited', 'Ben|Okafor|Supervisers|Customr Limited', 'Cai|Li|Zebra|'))
    expect(report.issues.map(({ code, hint }) => [code, hint])).toEqual([
      ['group.unknown', 'Did you mean Supervisors?'], ['role.unknown', 'Did you mean Customer Limited?'], ['group.unknown', 'See the list of known values in the template.'],
    ])
    expect(await acme.users()).toMatchObject([{ groups: ['Staff', 'Supervisors'] }])
  })

  test('a value that was withdrawn is unknown', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.declare({ groups: ['Staff'] })
    expect(codes(await acme.run(sheet('First Name|Last Name|User Group', 'Ada|Lovelace|Supervisors')))).toEqual(['group.unknown 2'])
  })
})

describe('attributes', () => {
  test('a header that nothing claims becomes an attribute where the mapping says so, and is kept out otherwise', async () => {
    const acme = await importing(database.current, QUIET)
    const file = sheet('External ID|First Name|Last Name|Shoe Size|Cost Centre', 'E1|Ada|Lovelace|38|=1+1')
    const plain = await acme.run(file)
    expect(plain.columns.filter(({ by }) => by === 'none').map(({ header }) => header)).toEqual(['Shoe Size', 'Cost Centre'])
    expect(await acme.contacts()).toMatchObject([{ attributes: {} }])
    await acme.run(file, { setColumns: { 'shoe size': { attribute: 'Shoes' }, 'Cost Centre': 'ignore' } })
    expect(await acme.contacts()).toMatchObject([{ attributes: { Shoes: '38' } }])
  })

  test('are added to those that are there; a blank one keeps, another value replaces', async () => {
    const acme = await importing(database.current, QUIET)
    const setColumns = { Size: { attribute: 'Size' }, Color: { attribute: 'Color' } }
    await acme.run(sheet('External ID|First Name|Last Name|Size|Color', 'E1|Ada|Lovelace|38|red'), { setColumns })
    expect(fates(await acme.run(sheet('External ID|First Name|Last Name|Size|Color', 'E1|Ada|Lovelace|39|'), { setColumns }))).toEqual({ read: 1, updated: 1 })
    expect(await acme.contacts()).toMatchObject([{ attributes: { Size: '39', Color: 'red' } }])
  })

  test('one named like the inside of an object stays a name, or is refused', async () => {
    const acme = await importing(database.current, QUIET)
    const setColumns = { a: { attribute: 'toString' }, b: { attribute: 'hasOwnProperty' } }
    await acme.run(sheet('First Name|Last Name|a|b', 'Ada|Lovelace|1|2'), { setColumns })
    expect(Object.entries((await acme.contacts())[0]!.attributes)).toEqual(expect.arrayContaining([['toString', '1'], ['hasOwnProperty', '2']]))
    expect((await acme.run(sheet('First Name|Last Name|a', 'Ada|Lovelace|1'), { setColumns: { a: { attribute: '__proto__' } } })).failure).toMatchObject({ code: 'header.forbidden' })
  })
})

describe('mappings', () => {
  const FILE = sheet('Num|Given|Family|Dept head?|Grp', 'E1|Ada|Lovelace|Y|Mgr', 'E2|Ben|Okafor|N|Mgr')
  const SET = { Num: 'externalId', Given: 'firstName', Family: 'lastName', 'Dept head?': 'systemUser', Grp: 'groups' } as const

  test('columns set by hand are kept under a name, and read the next file by themselves', async () => {
    const acme = await importing(database.current, { ...QUIET, groups: ['Staff', 'Mgr'] })
    const first = await acme.run(FILE, { setColumns: SET, saveMapping: 'payroll' })
    expect(first.columns.map(({ by }) => by)).toEqual(['mapping', 'mapping', 'mapping', 'mapping', 'mapping'])
    const second = await acme.run(FILE, { mapping: 'payroll' })
    expect([second.state, fates(second)]).toEqual(['committed', { read: 2, unchanged: 2 }])
  })

  test('values are translated before they are judged, without regard to case', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.saveMapping({ name: 'payroll', columns: SET, values: { groups: { mgr: 'Supervisors' }, systemUser: { Y: 'no', N: 'yes' } } })
    const report = await acme.run(FILE, { mapping: 'payroll' })
    expect([fates(report), report.users.created]).toEqual([{ read: 2, created: 2 }, 1])
    expect(await acme.users()).toMatchObject([{ externalId: 'E2', groups: ['Supervisors'] }])
  })

  test('a mapping that nobody saved is refused, and so is a header that a strict one does not know', async () => {
    const acme = await importing(database.current, QUIET)
    expect((await acme.run(FILE, { mapping: 'nobody' })).failure).toMatchObject({ code: 'mapping.unknown', hint: 'Save one with --save-mapping nobody.' })
    await acme.saveMapping({ name: 'strict', columns: {}, unclaimed: 'refuse' })
    expect((await acme.run(sheet('First Name|Last Name|Phne', 'Ada|Lovelace|1'), { mapping: 'strict' })).failure).toMatchObject({ code: 'header.unclaimed', hint: 'Did you mean Phone by "Phne"? Map the column, or remove it.' })
  })

  test('a file that is refused saves no mapping', async () => {
    const acme = await importing(database.current, QUIET)
    const broken = await acme.run('First Name,Last Name\r\n"Ada,Lovelace\r\n', { saveMapping: 'broken' })
    expect(broken.state).toBe('failed')
    expect(await acme.sql('select from mappings where organization_id = $1', [acme.organizationId])).toEqual([])
  })
})
