/** What an import owes, to whom and when (interface.md: importing alone mails nobody). */
import { expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { codes, fates, sheet } from './sheets.ts'

const database = useDatabase()
const HEADER = 'External ID|First Name|Last Name|Email|Delivery|Send Date'
const THREE = sheet(HEADER, '1|Ada|Lovelace|a@int.test||', '2|Ben|Okafor|b@int.test|credentials|2099-06-01', '3|Cai|Li||none|')
const owed = async (acme: Importing) => (await acme.deliveries()).map(({ to, purpose, state, sendAt }) => [to, purpose, state, sendAt === null ? null : sendAt > '2099' ? sendAt.slice(0, 16) : 'now'])

test('without a wish everything is held until it is released; a Send Date of a row wins', async () => {
  const acme = await importing(database.current)
  const report = await acme.run(THREE)
  expect(report.deliveries).toEqual({ owed: 2, scheduled: 1, notOwed: 1 })
  expect(await owed(acme)).toEqual([['a@int.test', 'invitation', 'held', null], ['b@int.test', 'credentials', 'scheduled', '2099-06-01T05:00']])
})

test('now lets go at once whatever has no date of its own', async () => {
  const acme = await importing(database.current)
  expect((await acme.run(THREE, { delivery: { kind: 'now' } })).deliveries).toEqual({ owed: 2, scheduled: 2, notOwed: 1 })
  expect(await owed(acme)).toEqual([['a@int.test', 'invitation', 'scheduled', 'now'], ['b@int.test', 'credentials', 'scheduled', '2099-06-01T05:00']])
})

test('a date lets go then', async () => {
  const acme = await importing(database.current)
  await acme.run(THREE, { delivery: { kind: 'at', instant: '2099-12-01T14:00:00Z' } })
  expect(await owed(acme)).toEqual([['a@int.test', 'invitation', 'scheduled', '2099-12-01T14:00'], ['b@int.test', 'credentials', 'scheduled', '2099-06-01T05:00']])
})

test('none owes nothing, and asks for no address', async () => {
  const acme = await importing(database.current)
  const report = await acme.run(sheet(HEADER, '1|Ada|Lovelace|||', '2|Ben|Okafor|b@int.test|credentials|'), { delivery: { kind: 'none' } })
  expect([fates(report), report.deliveries]).toEqual([{ read: 2, created: 2 }, { owed: 0, scheduled: 0, notOwed: 2 }])
  expect(await owed(acme)).toEqual([])
})

test('a mail that is owed needs an address: of the row, or one that is known', async () => {
  const acme = await importing(database.current)
  await acme.run(sheet('External ID|First Name|Last Name|Email|System User', '2|Ben|Okafor|b@int.test|no'))
  const report = await acme.run(sheet('External ID|First Name|Last Name|Email|System User', '1|Ada|Lovelace||yes', '2|Ben|Okafor||yes'))
  expect([fates(report), codes(report)]).toEqual([{ read: 2, updated: 1, rejected: 1 }, ['email.required 2']])
  expect(await owed(acme)).toEqual([['b@int.test', 'invitation', 'held', null]])
})

test('somebody who has a user already is owed nothing by a later file', async () => {
  const acme = await importing(database.current)
  await acme.run(THREE)
  await acme.run(sheet(HEADER, '1|Ada|King|a@int.test|credentials|', '2|Ben|Okafor|b@int.test|invitation|'), { delivery: { kind: 'now' } })
  expect(await owed(acme)).toHaveLength(2)
})

test('what belongs to a release keeps the date that it has there, whatever a file says', async () => {
  const acme = await importing(database.current)
  const people = (sendAt: string) => sheet(HEADER, `1|Ada|Person|a@int.test||${sendAt}`)
  await acme.run(people(''))
  await acme.sql(`with r as (insert into releases (organization_id, name, state, send_at, created_by) values ($1, 'Go-live', 'frozen', now(), 'olga') returning id)
    update deliveries d set release_id = r.id, reason = 'release_frozen' from r where d.organization_id = $1`, [acme.organizationId])
  for (const [sendAt, delivery] of [['2099-01-01', undefined], ['', { kind: 'now' }]] as const) {
    const report = await acme.run(people(sendAt), delivery && { delivery })
    expect(report.deliveries).toMatchObject({ owed: 0, scheduled: 0 })
    expect(await owed(acme)).toEqual([['a@int.test', 'invitation', 'held', null]])
  }
})

test('now lets go what was held for the people of the file, save whom it gives another date or none', async () => {
  const acme = await importing(database.current)
  const people = (...wishes: [delivery: string, sendAt: string][]) => sheet(HEADER, ...wishes.map(([delivery, sendAt], index) => `${index}|Ada|Person|p${index}@int.test|${delivery}|${sendAt}`))
  await acme.run(people(['', ''], ['', ''], ['', ''], ['', '']))
  const report = await acme.run(people(['', ''], ['', '2099-01-01'], ['none', '']), { delivery: { kind: 'now' } })
  expect([fates(report), report.deliveries]).toEqual([{ read: 3, unchanged: 3 }, { owed: 2, scheduled: 2, notOwed: 0 }])
  expect(await owed(acme)).toEqual([
    ['p0@int.test', 'invitation', 'scheduled', 'now'],
    ['p1@int.test', 'invitation', 'scheduled', '2099-01-01T06:00'],
    ['p2@int.test', 'invitation', 'held', null],
    ['p3@int.test', 'invitation', 'held', null],
  ])
})

test('an invitation begins as created, credentials without one', async () => {
  const acme = await importing(database.current)
  await acme.run(THREE)
  expect((await acme.users()).map(({ externalId, onboarding }) => [externalId, onboarding])).toEqual([['1', 'created'], ['2', null], ['3', null]])
})

test('the operators are owed one closing notice each, for a file that was refused too', async () => {
  const acme = await importing(database.current, { operators: ['desk@acme.example', 'lead@acme.example'] })
  await acme.run(THREE)
  await acme.run({ name: 'people.xlsx', bytes: Buffer.alloc(0) })
  expect((await acme.deliveries()).filter(({ purpose }) => purpose === 'operatorSummary').map(({ to, state }) => [to, state])).toEqual([
    ['desk@acme.example', 'scheduled'], ['lead@acme.example', 'scheduled'], ['desk@acme.example', 'scheduled'], ['lead@acme.example', 'scheduled'],
  ])
})
