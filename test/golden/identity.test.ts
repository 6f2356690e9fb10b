/** Who is who (spec B4): the match ladder, people who are there twice, addresses that move, people who come back. */
import { describe, expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import { codes, deactivate, fates, markSent, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const HEADER = 'External ID|First Name|Last Name|Email|Phone'
const ADA = 'E1|Ada|Lovelace|ada@int.test|6125550100'

test('the External ID finds a person before the address does', async () => {
  const acme = await importing(database.current, QUIET)
  await acme.run(sheet(HEADER, ADA))
  const again = await acme.run(sheet(HEADER, 'E1|Ada|King|ada.king@int.test|6125550100'))
  expect([fates(again), codes(again)]).toEqual([{ read: 1, updated: 1 }, []])
  expect(await acme.contacts()).toMatchObject([{ externalId: 'E1', lastName: 'King', email: 'ada.king@int.test' }])
})

test('without an External ID the address finds a person, whatever its case, and the External ID is entered', async () => {
  const acme = await importing(database.current, QUIET)
  await acme.run(sheet('First Name|Last Name|Email', 'Ada|Lovelace|Ada@int.test'))
  const again = await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|aDA@INT.test|'))
  expect(fates(again)).toEqual({ read: 1, updated: 1 })
  expect(await acme.contacts()).toMatchObject([{ externalId: 'E1', email: 'aDA@int.test' }])
})

test('people with neither whose names are one only when written in one line are two', async () => {
  const acme = await importing(database.current, QUIET)
  expect(fates(await acme.run(sheet('First Name|Last Name', 'Ana|Bo Lee', 'Ana Bo|Lee', 'Ana|Bo Lee')))).toEqual({ read: 3, created: 2, rejected: 1 })
})

test('people with neither are told apart by their names, and never found by the name of somebody who has one of them', async () => {
  const acme = await importing(database.current, QUIET)
  expect(fates(await acme.run(sheet('First Name|Last Name|Phone', 'Ada|Lovelace|6125550100', 'Ben|Okafor|')))).toEqual({ read: 2, created: 2 })
  expect(fates(await acme.run(sheet('First Name|Last Name|Phone', 'Ada|Lovelace|6125550199', 'Ben|Okafor|')))).toEqual({ read: 2, updated: 1, unchanged: 1 })
  expect(fates(await acme.run(sheet(HEADER, 'E7|Ada|Lovelace|ada@int.test|')))).toEqual({ read: 1, created: 1 })
  expect(fates(await acme.run(sheet('First Name|Last Name|Phone', 'Ada|Lovelace|6125550199')))).toEqual({ read: 1, unchanged: 1 })
})

describe('somebody who is in a file twice', () => {
  test('keeps the first row, by External ID, by address and by name', async () => {
    const acme = await importing(database.current, QUIET)
    const report = await acme.run(sheet(HEADER, ADA, 'E1|Other|Person|other@int.test|', 'E3|Third|Person|ADA@int.test|', '|No|Keys||', '|No|Keys||'))
    expect(fates(report)).toEqual({ read: 5, created: 2, rejected: 3 })
    expect(report.issues.map(({ row, column, code, message }) => [row, column, code, message])).toEqual([
      [3, 'External ID', 'duplicate.in_file', 'The same person stands in row 2 of this file too (same External ID).'],
      [4, 'Email', 'duplicate.in_file', 'The same person stands in row 2 of this file too (same Email).'],
      [6, 'First Name and Last Name', 'duplicate.in_file', 'The same person stands in row 5 of this file too (same First Name and Last Name).'],
    ])
  })

  test("is told under the sender's own headers", async () => {
    const acme = await importing(database.current, QUIET)
    const report = await acme.run(sheet('Personalnummer|Vorname|Nachname|E-Mail', '1|Ada|Lovelace|ada@int.test', '1|Ada|Lovelace|a@int.test', '2|Ada|Lovelace|ada@int.test'))
    expect(report.issues).toMatchObject([{ column: 'Personalnummer', message: expect.stringContaining('same Personalnummer') as string }, { column: 'E-Mail', message: expect.stringContaining('same E-Mail') as string }])
  })

  test('once by External ID and once by the address that the person has had, is not written twice', async () => {
    const acme = await importing(database.current, QUIET)
    await acme.run(sheet(HEADER, ADA, 'E2|Ben|Okafor|ben@int.test|'))
    const report = await acme.run(sheet(HEADER, 'E1|Ada|King||6125550101', '|Ada|Byron|ada@int.test|6125550102', '|Ben|Okafor|ben@int.test|6125550103', 'E2|Ben|Other||'))
    expect([fates(report), codes(report)]).toEqual([{ read: 4, updated: 2, rejected: 2 }, ['duplicate.in_file 3', 'duplicate.in_file 5']])
    expect(await acme.contacts()).toMatchObject([{ lastName: 'King', phone: '6125550101' }, { lastName: 'Okafor', phone: '6125550103' }])
  })

  test('a row that is rejected for itself does not stand against a later one', async () => {
    const acme = await importing(database.current, QUIET)
    const report = await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|ada@int.test|555', ADA))
    expect([fates(report), codes(report)]).toEqual([{ read: 2, created: 1, rejected: 1 }, ['phone.not_ten_digits 2']])
  })
})

test('an address of somebody else is rejected, and whose it is is told', async () => {
  const acme = await importing(database.current, QUIET)
  await acme.run(sheet(HEADER, ADA, 'E2|Ben|Okafor|ben@int.test|', '|Cleo|Nobody|cleo@int.test|'))
  const report = await acme.run(sheet(HEADER, 'E2|Ben|Okafor|ada@int.test|', 'E9|New|Person|ben@int.test|', 'E1|Ada|Lovelace|cleo@int.test|'))
  expect(codes(report)).toEqual(['identity.conflict 2', 'identity.conflict 3', 'duplicate.email 4'])
  expect(report.issues[0]!.message).toBe('The address ada@int.test belongs to External ID E1, but this row says E2.')
  expect(report.issues[1]!.message).toBe('The address ben@int.test belongs to External ID E2, but this row says E9.')
  expect(report.issues[2]!.message).toContain('Cleo Nobody')
  expect((await acme.contacts()).map(({ email }) => email)).toEqual(['ada@int.test', 'ben@int.test', 'cleo@int.test'])
})

describe('an address that moves', () => {
  test('is held where a mail went out', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, ADA), { delivery: { kind: 'now' } })
    await markSent(acme)
    const report = await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|somebody.else@int.test|6125550199'))
    expect([fates(report), codes(report)]).toEqual([{ read: 1, held: 1 }, ['identity.moved 2']])
    expect(report.issues[0]!.message).toBe('External ID E1 has had the address ada@int.test and was mailed there; the row says somebody.else@int.test.')
    expect(await acme.contacts()).toMatchObject([{ email: 'ada@int.test', phone: '6125550100' }])
  })

  test('is written where nobody was mailed yet', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, ADA))
    expect(fates(await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|new@int.test|')))).toEqual({ read: 1, updated: 1 })
    expect(await acme.deliveries()).toMatchObject([{ to: 'new@int.test', state: 'held' }])
  })

  test('is no move where only its case changed', async () => {
    const acme = await importing(database.current)
    await acme.run(sheet(HEADER, ADA))
    await markSent(acme)
    expect(codes(await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|ADA@int.test|')))).toEqual([])
  })
})

describe('somebody who was deactivated', () => {
  const prepared = async (deactivated: 'reactivate' | 'skip' | 'ask', changes = {}) => {
    const acme = await importing(database.current, { ...QUIET, matching: { deactivated }, ...changes })
    await acme.run(sheet(`${HEADER}|Profile`, `${ADA}|Standard`))
    await deactivate(acme, 'E1')
    return acme
  }
  const ROW = 'E1|Ada|Lovelace|ada@int.test|6125550199|Manager'

  test('is brought back, user and all, and told, where the organization reactivates', async () => {
    const acme = await prepared('reactivate')
    const report = await acme.run(sheet(`${HEADER}|Profile`, ROW))
    expect([fates(report), codes(report)]).toEqual([{ read: 1, updated: 1 }, ['identity.reactivated 2']])
    expect(await acme.contacts()).toMatchObject([{ state: 'active', phone: '6125550199' }])
    expect(await acme.users()).toMatchObject([{ state: 'active', profile: 'Manager' }])
  })

  test('is left as is, user and all, where the organization skips', async () => {
    const acme = await prepared('skip')
    const report = await acme.run(sheet(`${HEADER}|Profile`, ROW))
    expect([fates(report), codes(report)]).toEqual([{ read: 1, unchanged: 1 }, ['identity.deactivated_skipped 2']])
    expect(await acme.contacts()).toMatchObject([{ state: 'inactive', phone: '6125550100' }])
    expect(await acme.users()).toMatchObject([{ state: 'inactive', profile: 'Standard' }])
  })

  test('is held where the organization wants to be asked', async () => {
    const acme = await prepared('ask')
    const report = await acme.run(sheet(`${HEADER}|Profile`, ROW))
    expect([fates(report), codes(report)]).toEqual([{ read: 1, held: 1 }, ['identity.deactivated 2']])
    expect(await acme.users()).toMatchObject([{ state: 'inactive', profile: 'Standard' }])
  })

  test('takes a seat again, or stays away where none is free', async () => {
    const acme = await prepared('reactivate', { licenses: [{ name: 'Full', seats: 1 }] })
    expect(fates(await acme.run(sheet(HEADER, 'E2|Ben|Okafor|ben@int.test|')))).toEqual({ read: 1, created: 1 })
    const report = await acme.run(sheet(`${HEADER}|Profile`, ROW))
    expect(codes(report)).toEqual(expect.arrayContaining(['license.no_seats 2']))
    expect((await acme.users()).filter(({ state }) => state === 'active')).toHaveLength(1)
  })
})

test('what one organization knows, another does not', async () => {
  const [acme, other] = [await importing(database.current, QUIET), await importing(database.current, QUIET)]
  await acme.run(sheet(HEADER, ADA))
  expect(fates(await other.run(sheet(HEADER, 'E1|Somebody|Else|ada@int.test|')))).toEqual({ read: 1, created: 1 })
  expect(await acme.contacts()).toMatchObject([{ firstName: 'Ada' }])
})
