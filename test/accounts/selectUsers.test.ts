import { beforeAll, describe, expect, test } from 'vitest'
import { listUsers } from '../../src/accounts/listPeople.ts'
import { FilterRefused, parseFilters } from '../../src/accounts/filterPeople.ts'
import { nameUsers, selectContacts, selectUsers, type UserSelection } from '../../src/accounts/selectUsers.ts'
import { importing, useDatabase, type Importing } from '../support/importing.ts'

const database = useDatabase()
let acme: Importing
let other: Importing
let importId: string

beforeAll(async () => {
  acme = await importing(database.current)
  other = await importing(database.current)
  await other.run('External ID,First Name,Last Name,Email\nA1,Zoe,Other,ana@one.example\n')
  const file = [
    'External ID,First Name,Last Name,Email,User Group,Role,Department,Customer,Delivery,System User',
    'A1,Ana,Nguyen,ana@one.example,Staff,Customer Limited,HR,Ministry,invitation,yes',
    'A2,Bo,Lund,bo@one.example,Supervisors,Customer Administrator,,,credentials,yes',
    'A3,Cy,Ray,cy@münchen.example,Staff;Supervisors,Customer Limited,,,none,yes',
    'A4,Di,Moss,,,,,,,no',
    'bo.lund,Ed,Fox,ed@one.example,,,,,,yes',
  ].join('\n')
  importId = (await acme.run(file, { delivery: { kind: 'held' } })).id
  await acme.sql(`update users set last_login_at = now() where username = 'bo.lund' and organization_id = $1`, [acme.organizationId])
})

const selected = async (selection: UserSelection): Promise<{ usernames: string[]; unknown: string[] }> =>
  database.current.tenant(acme.organizationId, async (tx) => {
    const { userIds, unknown } = await selectUsers(tx, selection)
    return { usernames: (await nameUsers(tx, userIds, 100)).map(({ username }) => username), unknown }
  })
const names = async (...filters: string[]): Promise<string[]> => (await selected({ filters })).usernames

describe('who is meant', () => {
  test('nothing at all means nobody, and an empty file nobody; all means everybody of this organization', async () => {
    expect((await selected({})).usernames).toEqual([])
    expect((await selected({ keys: [] })).usernames).toEqual([])
    expect((await selected({ all: true })).usernames).toEqual(['ana.nguyen', 'bo.lund', 'cy.ray', 'ed.fox'])
  })

  test.each([
    ['group=staff', ['ana.nguyen', 'cy.ray', 'ed.fox']],
    ['role=Customer Administrator', ['bo.lund']],
    ['product=WebCenter', ['ana.nguyen', 'bo.lund', 'cy.ray', 'ed.fox']],
    ['department=hr', ['ana.nguyen']],
    ['company=ALL', ['ana.nguyen', 'bo.lund', 'cy.ray', 'ed.fox']],
    ['customer=Ministry', ['ana.nguyen']],
    ['login=never', ['ana.nguyen', 'cy.ray', 'ed.fox']],
    ['onboarding=created', ['ana.nguyen', 'ed.fox']],
    ['onboarding=none', ['bo.lund', 'cy.ray']],
    ['delivery=held', ['ana.nguyen', 'bo.lund', 'ed.fox']],
    ['delivery=sent', []],
    ['loginable=true', ['ana.nguyen', 'bo.lund', 'cy.ray', 'ed.fox']],
    ['Ana Nguyen', ['ana.nguyen']],
  ])('%s', async (filter, expected) => {
    expect(await names(filter)).toEqual(expected)
  })

  test('several filters all have to fit, the same field twice, too', async () => {
    expect(await names('group=Staff', 'group=Supervisors')).toEqual(['cy.ray'])
    expect(await names('group=Staff', 'login=never', 'one.example')).toEqual(['ana.nguyen', 'ed.fox'])
    expect(await names(`import=${importId}`, 'profile=Standard', 'lastName=ray')).toEqual(['cy.ray'])
    expect(await names('import=999999')).toEqual([])
  })

  test('a field that nobody knows is refused, and a value that the field never has', async () => {
    await expect(names('shoe=1')).rejects.toThrow(FilterRefused)
    await expect(names('constructor=1')).rejects.toThrow(FilterRefused)
    await expect(names('delivery=posted')).rejects.toThrow(/delivery is never "posted".*held/)
    await expect(names('login=yesterday')).rejects.toThrow(/never, ever/)
    await expect(names('state=foo')).rejects.toThrow(/state is never "foo".*active, inactive/)
    await expect(names('accountKind=foo')).rejects.toThrow(/employee, contact, service representative/)
    expect(await names('state=ACTIVE', 'accountKind=Employee', 'lastName=Ray')).toEqual(['cy.ray'])
  })

  test('a key is a username, else an external id, else an address in any spelling; those of nobody are told', async () => {
    expect(await selected({ keys: ['Bo.Lund', 'A1', ' CY@MÜNCHEN.example ', 'A4', 'nobody@one.example', 'zz', 'A1'] })).toEqual({
      usernames: ['ana.nguyen', 'bo.lund', 'cy.ray'],
      unknown: ['A4', 'nobody@one.example', 'zz'],
    })
  })

  test('ids and keys name people together, and filters choose among them', async () => {
    const [ana, bo] = await acme.users()
    expect(await selected({ ids: [ana!.id, '999999', 'x'], keys: ['bo.lund'] })).toEqual({ usernames: ['ana.nguyen', 'bo.lund'], unknown: ['999999', 'x'] })
    expect(await selected({ ids: [ana!.id, bo!.id], filters: ['group=Supervisors'] })).toEqual({ usernames: ['bo.lund'], unknown: [] })
  })

  test("another organization's people are nobody", async () => {
    const [theirs] = await other.users()
    expect(await selected({ ids: [theirs!.id], keys: ['zoe.other'] })).toEqual({ usernames: [], unknown: [theirs!.id, 'zoe.other'] })
  })

  test('the list takes the same filters as the selection', async () => {
    const lines = await database.current.tenant(acme.organizationId, (tx) => listUsers(tx, parseFilters(['group=Staff', 'login=never']), { after: '0', limit: 10 }))
    expect(lines.map(({ username }) => username)).toEqual(['ana.nguyen', 'cy.ray', 'ed.fox'])
  })
})

describe('contacts', () => {
  const contacts = (selection: UserSelection) => database.current.tenant(acme.organizationId, (tx) => selectContacts(tx, selection))

  test('those without a user, by customer, by key', async () => {
    const all = await acme.contacts()
    const idOf = (externalId: string): string => all.find((contact) => contact.externalId === externalId)!.id
    expect(await contacts({ filters: ['user=none'] })).toEqual({ contactIds: [idOf('A4')], unknown: [] })
    expect(await contacts({ filters: ['customer=ministry'] })).toEqual({ contactIds: [idOf('A1')], unknown: [] })
    expect(await contacts({ keys: ['A4', 'ed.fox', 'bo.lund', 'BO@one.example', 'none'] })).toEqual({ contactIds: [idOf('A2'), idOf('A4'), idOf('bo.lund')], unknown: ['none'] })
  })

  test('of a state or kind that there is not are refused', async () => {
    await expect(contacts({ filters: ['state=gone'] })).rejects.toThrow(/active, inactive/)
    await expect(contacts({ filters: ['kind=animal'] })).rejects.toThrow(/person, party/)
    expect((await contacts({ filters: ['kind=Person', 'state=active'] })).contactIds).toHaveLength(5)
  })

  test('by a long file take time by its length, not by the square of it', async () => {
    const many = await importing(database.current)
    await many.sql("insert into contacts (organization_id, external_id, first_name, last_name) select $1, 'L-' || n, 'Many', 'People' from generate_series(1, 20000) n", [many.organizationId])
    await many.sql('analyze contacts')
    const found = await database.current.tenant(many.organizationId, async (tx) => {
      await tx.run("set local statement_timeout = '8s'")
      return selectContacts(tx, { keys: Array.from({ length: 20_000 }, (_, index) => `L-${index + 1}`) })
    })
    expect([found.contactIds.length, found.unknown]).toEqual([20_000, []])
  }, 30_000)

  test('a contact line tells its customers', async () => {
    const [ana] = await acme.contacts()
    expect(ana!.customers).toEqual([{ customer: 'Ministry', worksite: null, contactRole: null }])
  })
})
