/** Preview, commit and totals (spec B9, E1): what is planned is what is done, and nothing is done before. */
import { expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import { codes, deactivate, dump, fates, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const HEADER = 'External ID|First Name|Last Name|Email|Phone'
const MIXED = sheet(`${HEADER}|Profile`, '1|Ada|King|ada@int.test||Manager', '2|Ben|Okafor|ben@int.test|6125550102|', '3|New|Person|new@int.test||', '|||||', '4|Bad|Phone|bad@int.test|555|')

const prepared = async (changes = {}) => {
  const acme = await importing(database.current, changes)
  await acme.run(sheet(HEADER, '1|Ada|Lovelace|ada@int.test|6125550101', '2|Ben|Okafor|ben@int.test|6125550102'))
  return acme
}

test('preview changes nothing', async () => {
  const acme = await prepared()
  const before = await dump(acme)
  const report = await acme.preview(MIXED)
  expect(report).toMatchObject({ state: 'previewed', totals: { read: 5, created: 1, updated: 1, unchanged: 1, rejected: 1, blank: 1 } })
  const after = await dump(acme)
  for (const own of ['imports', 'file_pieces', 'import_issues', 'import_chunks']) {
    delete before[own]
    delete after[own]
  }
  expect(Object.keys(after).length).toBeGreaterThan(20)
  expect(after).toEqual(before)
})

test('a preview that is cancelled leaves no rows behind', async () => {
  const acme = await prepared()
  const { id } = await acme.preview(MIXED)
  expect(await acme.cancel(id)).toBe(true)
  expect(await acme.sql(`select from pg_tables where schemaname = 'staging' and tablename ~ ('_' || $1 || '(_|$)')`, [id])).toEqual([])
  expect((await acme.report(id)).state).toBe('cancelled')
  expect(await acme.cancel(id)).toBe(false)
  expect((await acme.commit(id)).state).toBe('cancelled')
  expect(await acme.contacts()).toHaveLength(2)
})

test("the plan tells each row's fate, old and new values, the username to be given and the mail that would be owed", async () => {
  const acme = await prepared()
  const { id } = await acme.preview(MIXED)
  expect((await acme.plan(id)).map(({ row, fate, name, changes, username, mail }) => ({ row, fate, name, changes, username, mail }))).toEqual([
    { row: 2, fate: 'update', name: 'Ada King', changes: { lastName: { old: 'Lovelace', new: 'King' }, profile: { old: 'Standard', new: 'Manager' } }, username: null, mail: null },
    { row: 3, fate: 'unchanged', name: 'Ben Okafor', changes: {}, username: null, mail: null },
    { row: 4, fate: 'create', name: 'New Person', changes: {}, username: 'new.person', mail: 'invitation' },
    { row: 5, fate: 'blank', name: '', changes: {}, username: null, mail: null },
    { row: 6, fate: 'rejected', name: 'Bad Phone', changes: {}, username: null, mail: null },
  ])
})

test('committing carries out exactly that plan', async () => {
  const acme = await prepared()
  const planned = await acme.preview(MIXED)
  const done = await acme.commit(planned.id)
  for (const part of ['totals', 'users', 'deliveries', 'issues', 'issueCount'] as const) expect(done[part]).toEqual(planned[part])
  expect(done.state).toBe('committed')
  expect((await acme.contacts()).map(({ lastName }) => lastName)).toEqual(['King', 'Okafor', 'Person'])
  expect((await acme.users()).map(({ profile }) => profile)).toEqual(['Manager', 'Standard', 'Standard'])
})

test('a plan previewed, then somebody changed: commit leaves that person alone and tells', async () => {
  const acme = await prepared(QUIET)
  const plan = await acme.preview(sheet(HEADER, '1|Ada|King|ada@int.test|', '2|Ben|King|ben@int.test|', '3|New|Person|new@int.test|'))
  await acme.run(sheet(HEADER, '1|Ada|Byron|ada@int.test|'))
  const report = await acme.commit(plan.id)
  expect([fates(report), codes(report)]).toEqual([{ read: 3, created: 1, updated: 1, held: 1 }, ['plan.stale 2']])
  expect((await acme.contacts()).map(({ lastName }) => lastName)).toEqual(['Byron', 'King', 'Person'])
})

test('a plan previewed, then somebody gone of whom it has nothing new to say: the row is told, not passed off as unchanged', async () => {
  const acme = await prepared(QUIET)
  await acme.run(sheet(HEADER, '1|Ada|Lovelace|ada@int.test|', '2|Ben|Okafor|ben@int.test|'))
  const plan = await acme.preview(sheet(HEADER, '1|Ada|Lovelace|ada@int.test|', '2|Ben|Okafor|ben@int.test|'))
  expect(fates(plan)).toEqual({ read: 2, unchanged: 2 })
  await acme.sql(`delete from contacts where organization_id = $1 and external_id = '2'`, [acme.organizationId])
  const report = await acme.commit(plan.id)
  expect([fates(report), codes(report)]).toEqual([{ read: 2, unchanged: 1, held: 1 }, ['plan.stale 3']])
})

test('a plan previewed, then the user changed, the id or address taken, or the person deactivated: each is left alone', async () => {
  const acme = await prepared(QUIET)
  await acme.run(sheet(HEADER, '5|Eve|Ng|eve@int.test|'))
  const plan = await acme.preview(sheet(`${HEADER}|Profile`, '1|Ada|Lovelace|ada@int.test||Manager', '3|New|Person|new@int.test||', '4|Other|Person|other@int.test||', '5|Eve|Stone|eve@int.test||', '6|Last|One|last@int.test||'))
  await acme.run(sheet('External ID|First Name|Last Name|License', '1|Ada|Lovelace|Read only'))
  await acme.run(sheet(HEADER, '3|Somebody|Else|else@int.test|', '9|And|Other|other@int.test|'))
  await deactivate(acme, '5')
  const report = await acme.commit(plan.id)
  expect([fates(report), codes(report)]).toEqual([{ read: 5, created: 1, held: 4 }, ['plan.stale 2', 'plan.stale 3', 'plan.stale 4', 'plan.stale 5']])
  expect(await acme.users()).toMatchObject([{ profile: 'Standard', license: 'Read only' }, {}, { email: 'eve@int.test' }, { email: 'last@int.test' }, { email: 'else@int.test' }, { email: 'other@int.test' }])
})

test('importing the same file twice changes nothing the second time, and says so by its totals', async () => {
  const acme = await importing(database.current)
  const file = sheet(
    `${HEADER}|User Group|Profile|License|Role|Product|Tenant|Department|Customer|Worksite|Contact Role|Username|Delivery|Send Date|Note`,
    '1|Ada|Lovelace|ada@int.test|6125550101|Staff;Supervisors|Manager|Read only|Customer Limited|Payroll|North|HR|Ministry|Warehouse|Approver|countess|credentials|2099-01-01|likes tea',
    '2|Ada|Lovelace|a2@int.test', '|Ben|Okafor|b@int.test', '3|No|Extras|c@int.test',
  )
  const setColumns = { Note: { attribute: 'Note' } }
  expect(fates(await acme.run(file, { setColumns, delivery: { kind: 'now' } }))).toEqual({ read: 4, created: 4 })
  const before = await dump(acme)
  const again = await acme.run(file, { setColumns, delivery: { kind: 'now' } })
  expect([fates(again), again.users, again.deliveries.owed]).toEqual([{ read: 4, unchanged: 4 }, { created: 0, updated: 0, notLoginable: 0, withoutSeat: 0 }, 0])
  const after = await dump(acme)
  for (const table of Object.keys(before).filter((name) => !/^(imports|file_pieces|import_chunks)$/.test(name))) expect(after[table], table).toEqual(before[table])
})

test('a warning does not stop a row, an error does, and both of one row are told', async () => {
  const acme = await importing(database.current, QUIET)
  const report = await acme.run(sheet(HEADER, '1|Zero\u200bWidth|Person||', '2|Zero\u200bWidth|Other|no-at|555'))
  expect([fates(report), codes(report)]).toEqual([{ read: 2, created: 1, rejected: 1 }, ['cell.invisible_character 2', 'cell.invisible_character 3', 'email.missing_at 3', 'phone.not_ten_digits 3']])
})

test('two imports of the same people, planned side by side, write each person once', async () => {
  const acme = await importing(database.current, QUIET)
  const file = sheet(HEADER, '1|Ada|Lovelace|ada@int.test|', '2|Ben|Okafor|ben@int.test|', '|No|Keys||')
  const [one, two] = [await acme.preview(file), await acme.preview(file)]
  const [first, second] = await Promise.all([acme.commit(one.id), acme.commit(two.id)])
  const reports = [fates(first), fates(second)]
  expect(reports.reduce((sum, { created = 0, held = 0, read = 0 }) => sum + created + held - read, 0)).toBe(0)
  expect(reports.reduce((sum, { created = 0 }) => sum + created, 0)).toBe(3)
  expect(await acme.contacts()).toHaveLength(3)
  expect(new Set((await acme.users()).map(({ username }) => username)).size).toBe(3)
})
