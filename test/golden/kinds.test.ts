/** Several accounts of one person in one file, of different kinds (spec, Words): one contact, a user for each row. */
import { describe, expect, test } from 'vitest'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { beginCommit } from '../../src/jobs/stageImport.ts'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { codes, deactivate, dump, fates, sheet } from './sheets.ts'

const database = useDatabase()
const HEADER = 'External ID|First Name|Last Name|Email|Phone|Account Kind|System User'
const ADA = 'E1|Ada|Lovelace|ada@int.test|6125550100'
const accounts = async (acme: Importing) => (await acme.users()).map(({ externalId, username, accountKind }) => [externalId, username, accountKind])

test('rows of one person make one contact and an account of each kind; the first makes the contact, the others count as updates', async () => {
  const acme = await importing(database.current)
  const report = await acme.run(sheet(HEADER, `${ADA}||`, 'E1|Ada|Lovelace|||service representative|', 'E1|Ada|Lovelace|ADA@int.test||contact|yes', 'E2|Ben|Okafor|ben@int.test||contact|'))
  expect([fates(report), codes(report), report.users.created, report.deliveries.owed]).toEqual([{ read: 4, created: 2, updated: 2 }, [], 4, 4])
  expect(await accounts(acme)).toEqual([['E1', 'ada.lovelace', 'employee'], ['E1', 'ada.lovelace2', 'service representative'], ['E1', 'ada.lovelace3', 'contact'], ['E2', 'ben.okafor', 'contact']])
  expect(await acme.contacts()).toMatchObject([{ externalId: 'E1', email: 'ada@int.test', phone: '6125550100' }, { externalId: 'E2' }])
  expect((await acme.deliveries()).map(({ to }) => to)).toEqual(['ada@int.test', 'ada@int.test', 'ada@int.test', 'ben@int.test'])
})

test('taking the file in again changes nothing', async () => {
  const acme = await importing(database.current)
  const file = sheet(HEADER, `${ADA}||`, 'E1|Ada|Lovelace|||service representative|')
  await acme.run(file, { delivery: { kind: 'now' } })
  const before = await dump(acme)
  const again = await acme.run(file, { delivery: { kind: 'now' } })
  expect([fates(again), again.users.created, again.deliveries.owed]).toEqual([{ read: 2, unchanged: 2 }, 0, 0])
  const after = await dump(acme)
  for (const table of ['contacts', 'users', 'deliveries', 'user_roles']) expect(after[table], table).toEqual(before[table])
})

test('the preview tells each row, and the commit carries exactly that out', async () => {
  const acme = await importing(database.current)
  const planned = await acme.preview(sheet(HEADER, `${ADA}||`, 'E1|Ada|Lovelace|||service representative|'))
  expect((await acme.plan(planned.id)).map(({ row, fate, changes, username, mail }) => [row, fate, changes, username, mail])).toEqual([
    [2, 'create', {}, 'ada.lovelace', 'invitation'], [3, 'update', {}, 'ada.lovelace2', 'invitation'],
  ])
  const done = await acme.commit(planned.id)
  for (const part of ['totals', 'users', 'deliveries', 'notOwed', 'issues'] as const) expect(done[part]).toEqual(planned[part])
})

test('the same kind twice, or a further row that wants no account, repeats the person', async () => {
  const acme = await importing(database.current)
  const report = await acme.run(sheet(HEADER, `${ADA}|employee|`, `${ADA}||`, `${ADA}|contact|no`, `${ADA}|service rep|`, `${ADA}|service rep|yes`))
  expect([fates(report), codes(report)]).toEqual([{ read: 5, created: 1, updated: 1, rejected: 3 }, ['duplicate.in_file 3', 'duplicate.in_file 4', 'duplicate.in_file 6']])
})

test('a further row that says otherwise of the person is rejected, and each contradiction told', async () => {
  const acme = await importing(database.current)
  const report = await acme.run(sheet(`${HEADER}|Customer`, `E1|Ada|Lovelace|ada@int.test||||`, 'E1|Ada|King|other@int.test|6125550199|contact||', 'E1|Ada|Lovelace|||service rep||Ministry', 'E9|Cai|Li|ada@int.test||service rep||'))
  expect([fates(report), report.issues.map(({ row, column, field, code, message }) => [row, column, field, code, message])]).toEqual([
    { read: 4, created: 1, rejected: 3 },
    [
      [3, 'Last Name', 'lastName', 'duplicate.contradiction', 'Last Name says King, but row 2 of the same person says Lovelace.'],
      [3, 'Email', 'email', 'duplicate.contradiction', 'Email says other@int.test, but row 2 of the same person says ada@int.test.'],
      [3, 'Phone', 'phone', 'duplicate.contradiction', 'Phone says 6125550199, but row 2 of the same person says nothing.'],
      [4, 'Customer', 'customer', 'duplicate.contradiction', 'Customer says Ministry, but row 2 of the same person says nothing.'],
      [5, 'Email', 'email', 'duplicate.in_file', 'The same person stands in row 2 of this file too (same Email).'],
    ],
  ])
  expect(await accounts(acme)).toEqual([['E1', 'ada.lovelace', 'employee']])
})

test('a row falls with the first one of its person', async () => {
  const acme = await importing(database.current, { defaults: { role: null } })
  const report = await acme.run(sheet(`${HEADER}|Role`, `${ADA}|||`, `${ADA}|contact||Customer Limited`))
  expect([fates(report), codes(report)]).toEqual([{ read: 2, rejected: 2 }, ['role.required 2', 'duplicate.first_row 3']])
  expect(report.issues[1]!.message).toBe('The person of this row is made by row 2, which was not taken in.')
  expect(await acme.contacts()).toEqual([])
})

describe('people who are known', () => {
  test('get a further account from a further row that says yes, also when one row has the External ID and one the address', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, `${ADA}||`))
    const report = await acme.run(sheet(HEADER, 'E1|Ada|King||||', '|Ada|King|ada@int.test||contact|yes', 'E1|Ada|King|||service rep|'))
    expect([fates(report), codes(report)]).toEqual([{ read: 3, updated: 2, unchanged: 1 }, []])
    expect(await accounts(acme)).toEqual([['E1', 'ada.lovelace', 'employee'], ['E1', 'ada.king', 'contact']])
    expect(await acme.contacts()).toMatchObject([{ lastName: 'King' }])
  })

  test('whose contact stays as it is get the account all the same, and each account is changed by its own row', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, `${ADA}||`))
    expect(fates(await acme.run(sheet(HEADER, `${ADA}||`, `${ADA}|contact|yes`, `${ADA}|service rep|yes`)))).toEqual({ read: 3, updated: 2, unchanged: 1 })
    const report = await acme.run(sheet(`${HEADER}|Profile`, `${ADA}|||Standard`, `${ADA}|contact||Manager`))
    expect(fates(report)).toEqual({ read: 2, updated: 1, unchanged: 1 })
    expect((await acme.users()).map(({ accountKind, profile }) => [accountKind, profile])).toEqual([['employee', 'Standard'], ['contact', 'Manager'], ['service representative', 'Standard']])
  })

  test('are brought back with all their accounts', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, `${ADA}||`, `${ADA}|contact|`))
    await deactivate(acme, 'E1')
    const report = await acme.run(sheet(HEADER, `${ADA}||`, `${ADA}|contact|`))
    expect([fates(report), codes(report)]).toEqual([{ read: 2, updated: 2 }, ['identity.reactivated 2']])
    expect((await acme.users()).map(({ state }) => state)).toEqual(['active', 'active'])
  })

  test('who were changed since the preview are left alone, with every row of theirs', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, `${ADA}||`, 'E2|Ben|Okafor|ben@int.test|||'))
    const plan = await acme.preview(sheet(HEADER, 'E1|Ada|Byron|ada@int.test|||', 'E1|Ada|Byron|||contact|yes', 'E2|Ben|Okafor|ben@int.test|||', 'E2|Ben|Okafor|||contact|yes', 'E3|Cai|Li|cai@int.test|||', 'E3|Cai|Li|||contact|'))
    await acme.run(sheet(HEADER, 'E1|Ada|King|ada@int.test|||', 'E2|Ben|King|ben@int.test|||', 'E3|Other|Person|other@int.test|||'))
    const report = await acme.commit(plan.id)
    expect([fates(report), codes(report)]).toEqual([{ read: 6, unchanged: 1, held: 5 }, ['plan.stale 2', 'duplicate.first_row 3', 'plan.stale 5', 'plan.stale 6', 'plan.stale 7']])
    expect(await acme.users()).toHaveLength(3)
  })
})

test('one account may wait for a license while the other has one; the waiting one comes with the next seat', async () => {
  const seats = (full: number) => ({ licenses: [{ name: 'Full', seats: full }, { name: 'Read only', seats: null }] })
  const acme = await importing(database.current, seats(0))
  const file = sheet(`${HEADER}|License`, `${ADA}|||Full`, `${ADA}|contact||Read only`)
  const report = await acme.run(file)
  expect([fates(report), codes(report)]).toEqual([{ read: 2, created: 1, updated: 1 }, ['license.awaiting 2']])
  await acme.declare(seats(1))
  expect(fates(await acme.run(file))).toEqual({ read: 2, updated: 1, unchanged: 1 })
  expect((await accounts(acme)).map(([, , kind]) => kind)).toEqual(['contact', 'employee'])
})

test("held mails of an account are let go by its own row's word", async () => {
  const acme = await importing(database.current)
  const header = `${HEADER}|Delivery`
  await acme.run(sheet(header, `${ADA}|||`, `${ADA}|contact||`))
  const report = await acme.run(sheet(header, `${ADA}|||`, `${ADA}|contact||none`), { delivery: { kind: 'now' } })
  expect(report.deliveries).toEqual({ owed: 1, scheduled: 1, notOwed: 0 })
  expect((await acme.deliveries()).map(({ state }) => state)).toEqual(['scheduled', 'held'])
})

test('rows of a person far apart, in chunks that are committed in any order, make one contact; the later chunk waits', async () => {
  const acme = await importing(database.current, { defaults: { delivery: 'none' } })
  const others = Array.from({ length: 20_010 }, (_, index) => `N${index}|Person|Number||||no`)
  const plan = await acme.preview(sheet(HEADER, `${ADA}||`, ...others, `${ADA}|contact|`))
  const payload = { organizationId: acme.organizationId, importId: plan.id }
  const chunks = await database.current.tenant(acme.organizationId, (tx) => beginCommit(tx, plan.id))
  expect(chunks).toEqual([0, 1])
  const parts = { database: database.current, queues: { wake: () => Promise.resolve() }, failpoint: () => Promise.resolve() }
  expect((await commitChunk(parts, { ...payload, chunk: 1 })).kind).toBe('snooze')
  expect(await acme.users()).toEqual([])
  expect((await commitChunk(parts, { ...payload, chunk: 0 })).kind).toBe('done')
  expect((await commitChunk(parts, { ...payload, chunk: 1 })).kind).toBe('done')
  const report = await acme.report(plan.id)
  expect([report.state, fates(report)]).toEqual(['committed', { read: 20_012, created: 20_011, updated: 1 }])
  expect(await accounts(acme)).toEqual([['E1', 'ada.lovelace', 'employee'], ['E1', 'ada.lovelace2', 'contact']])
}, 60_000)
