/** Customers, worksites and contact roles (spec C8), with or without a user. */
import { expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { codes, fates, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const CHANGES = { ...QUIET, customers: [{ name: 'Ministry', worksites: ['Warehouse', 'Yard'], contactRoles: ['Approver', 'Payer'] }, { name: 'Harbor', worksites: ['Pier'], contactRoles: ['Approver'] }] }
const HEADER = 'External ID|First Name|Last Name|System User|Customer|Worksite|Contact Role'
const ADA = '1|Ada|Lovelace|no'
const places = async (acme: Importing) =>
  (await acme.sql<{ place: string }>(
    `select concat_ws('/', u.name, coalesce(w.name, '-'), coalesce(r.name, '-')) as place from contact_customers l join customers u on u.id = l.customer_id
     left join worksites w on w.id = l.worksite_id left join contact_roles r on r.id = l.contact_role_id where l.organization_id = $1 order by 1`,
    [acme.organizationId],
  )).map(({ place }) => place)

test('a worksite or contact role of another customer is rejected, and so is one without a customer', async () => {
  const acme = await importing(database.current, CHANGES)
  const report = await acme.run(sheet(HEADER, `${ADA}|Ministry|Pier|`, '2|Ben|Okafor|no|Harbor||Payer', '3|Cai|Li|no||Yard|', '4|Dee|Lo|no|Harbour|Pier|Approver'))
  expect([fates(report), codes(report)]).toEqual([{ read: 4, rejected: 4 }, ['worksite.unknown 2', 'contact_role.unknown 3', 'customer.required 4', 'customer.unknown 5']])
  expect(report.issues.at(-1)!.hint).toBe('Did you mean Harbor?')
  expect(await places(acme)).toEqual([])
})

test('what a row says of worksite and roles takes the place of what was at its customer; what it says nothing of stays, and so do other customers', async () => {
  const acme = await importing(database.current, CHANGES)
  await acme.run(sheet(HEADER, `${ADA}|Ministry|Warehouse|Approver; Payer`))
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|Harbor|Pier|`)))).toEqual({ read: 1, updated: 1 })
  expect(await places(acme)).toEqual(['Harbor/Pier/-', 'Ministry/Warehouse/Approver', 'Ministry/Warehouse/Payer'])
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|Ministry||`)))).toEqual({ read: 1, unchanged: 1 })
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|Ministry|Yard|`)))).toEqual({ read: 1, updated: 1 })
  expect(await places(acme)).toEqual(['Harbor/Pier/-', 'Ministry/Yard/Approver', 'Ministry/Yard/Payer'])
  const plan = await acme.preview(sheet(HEADER, `${ADA}|ministry|Warehouse|Payer`))
  expect((await acme.plan(plan.id))[0]!.changes).toEqual({ worksite: { old: 'Yard', new: 'Warehouse' }, contactRole: { old: 'Approver; Payer', new: 'Payer' } })
  await acme.commit(plan.id)
  expect(await places(acme)).toEqual(['Harbor/Pier/-', 'Ministry/Warehouse/Payer'])
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|Ministry|Warehouse|Payer`)))).toEqual({ read: 1, unchanged: 1 })
  const second = await acme.preview(sheet(HEADER, `${ADA}|Harbor||Approver`))
  expect((await acme.plan(second.id))[0]!.changes).toEqual({ contactRole: { old: null, new: 'Approver' } })
  await acme.commit(second.id)
  expect(await places(acme)).toEqual(['Harbor/Pier/Approver', 'Ministry/Warehouse/Payer'])
})

test('a blank cell that clears takes away the customers, or the worksite or roles at the customer that the row names', async () => {
  const acme = await importing(database.current, CHANGES)
  for (const [name, field] of [['site', 'worksite'], ['role', 'contactRole'], ['all', 'customer']] as const) await acme.saveMapping({ name, columns: {}, blank: { [field]: 'clear' } })
  await acme.run(sheet(HEADER, `${ADA}|Ministry|Warehouse|Approver; Payer`))
  await acme.run(sheet(HEADER, `${ADA}|Harbor|Pier|Approver`))
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|Ministry||`), { mapping: 'site' }))).toEqual({ read: 1, updated: 1 })
  expect(await places(acme)).toEqual(['Harbor/Pier/Approver', 'Ministry/-/Approver', 'Ministry/-/Payer'])
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|||`), { mapping: 'role' }))).toEqual({ read: 1, updated: 1 })
  expect(await places(acme)).toEqual(['Harbor/Pier/-', 'Ministry/-/-'])
  const plan = await acme.preview(sheet(HEADER, `${ADA}|||`), { mapping: 'all' })
  expect((await acme.plan(plan.id))[0]!.changes).toEqual({ customer: { old: 'Harbor; Ministry', new: null }, worksite: { old: 'Pier', new: null } })
  await acme.commit(plan.id)
  expect(await places(acme)).toEqual([])
  expect(fates(await acme.run(sheet(HEADER, `${ADA}|||`), { mapping: 'all' }))).toEqual({ read: 1, unchanged: 1 })
})

test('a user\'s contact has its places as one without a user', async () => {
  const acme = await importing(database.current, CHANGES)
  await acme.run(sheet(HEADER, '1|Ada|Lovelace|yes|Ministry|Yard|Payer', '2|Ben|Okafor|no|Ministry|Yard|Payer'))
  expect(await places(acme)).toEqual(['Ministry/Yard/Payer', 'Ministry/Yard/Payer'])
  expect(await acme.users()).toHaveLength(1)
})
