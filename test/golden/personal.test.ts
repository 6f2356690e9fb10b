/** E-mail and phone of people who have registered (spec D3): an import does not write over them where the organization leaves them to the person. */
import { expect, test } from 'vitest'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { codes, fates, markSent, QUIET, sheet } from './sheets.ts'

const database = useDatabase()
const PERSON = { onboarding: { contactDetails: 'person' } }
const HEADER = 'External ID|First Name|Last Name|Email|Phone|Profile'
const TWO = sheet(HEADER, 'E1|Ada|Lovelace|ada@int.test|6125550101|Standard', 'E2|Ben|Okafor|ben@int.test|6125550102|Standard', 'E3|Cai|Li|cai@int.test|6125550103|Standard')

/** Ada has registered, by the state of her invitation; Ben has chosen a password; Cai has done neither. */
const prepared = async (changes: Record<string, unknown>): Promise<Importing> => {
  const acme = await importing(database.current, changes)
  await acme.run(TWO)
  const person = 'select u.id from users u join contacts c on c.id = u.contact_id where c.organization_id = $1 and c.external_id = $2'
  await acme.sql(`insert into invitations (organization_id, user_id, epoch, state, launched_at, expires_at, token_hash) select $1::bigint, (${person}), 9, 'in_progress', now(), now(), $1 || '-used'`, [acme.organizationId, 'E1'])
  await acme.sql(`update users set password_chosen_at = now() where id = (${person})`, [acme.organizationId, 'E2'])
  return acme
}
const details = async (acme: Importing) => (await acme.contacts()).map(({ lastName, email, phone }) => [lastName, email, phone])

test('a different value is told and not written, and the row is otherwise taken in', async () => {
  const acme = await prepared({ ...QUIET, ...PERSON })
  const file = sheet(HEADER, 'E1|Ada|King|new.ada@int.test|6125550191|Manager', 'E2|Ben|Okafor|BEN@int.test|6125550192|Standard', 'E3|Cai|Li|new.cai@int.test|6125550193|Standard')
  const plan = await acme.preview(file)
  expect((await acme.plan(plan.id)).map(({ fate, changes }) => [fate, Object.keys(changes).sort()])).toEqual([['update', ['lastName', 'profile']], ['unchanged', []], ['update', ['email', 'phone']]])
  const report = await acme.commit(plan.id)
  expect([fates(report), codes(report)]).toEqual([{ read: 3, updated: 2, unchanged: 1 }, ['email.belongs_to_person 2', 'phone.belongs_to_person 2', 'phone.belongs_to_person 3']])
  expect(report.issues.slice(0, 2)).toMatchObject([
    { column: 'Email', severity: 'warning', value: 'new.ada@int.test', message: 'The person has registered and keeps the address ada@int.test; the file says new.ada@int.test.' },
    { column: 'Phone', severity: 'warning', value: '6125550191', message: 'The person has registered and keeps the phone number 6125550101; the file says 6125550191.' },
  ])
  expect(await details(acme)).toEqual([['King', 'ada@int.test', '6125550101'], ['Okafor', 'ben@int.test', '6125550102'], ['Li', 'new.cai@int.test', '6125550193']])
})

test('the address still finds the person, and another one neither makes a second person nor is held as moved', async () => {
  const acme = await prepared(PERSON)
  await markSent(acme)
  const found = await acme.run(sheet('First Name|Last Name|Email|Phone', 'Ada|King|ADA@int.test|'))
  expect([fates(found), codes(found)]).toEqual([{ read: 1, updated: 1 }, []])
  const moved = await acme.run(sheet(HEADER, 'E1|Ada|King|somebody@int.test||'))
  expect([fates(moved), codes(moved)]).toEqual([{ read: 1, unchanged: 1 }, ['email.belongs_to_person 2']])
  const twice = await acme.run(sheet(HEADER, 'E1|Ada|King|shared@int.test||', '|Other|Person|shared@int.test||'))
  expect([fates(twice), codes(twice)]).toEqual([{ read: 2, unchanged: 1, rejected: 1 }, ['email.belongs_to_person 2', 'duplicate.in_file 3']])
  expect(await details(acme)).toEqual([['King', 'ada@int.test', '6125550101'], ['Okafor', 'ben@int.test', '6125550102'], ['Li', 'cai@int.test', '6125550103']])
})

test('a blank cell that clears does not clear them either', async () => {
  const acme = await prepared({ ...QUIET, ...PERSON })
  await acme.saveMapping({ name: 'clearing', columns: {}, blank: { phone: 'clear' } })
  const report = await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|||', 'E3|Cai|Li|||'), { mapping: 'clearing' })
  expect([fates(report), report.issues.map(({ message }) => message)]).toEqual([{ read: 2, updated: 1, unchanged: 1 }, ['The person has registered and keeps the phone number 6125550101; the file says nothing.']])
  expect((await details(acme)).map(([, , phone]) => phone)).toEqual(['6125550101', '6125550102', null])
})

test('somebody who registers between preview and commit keeps them', async () => {
  const acme = await prepared({ ...QUIET, ...PERSON })
  const plan = await acme.preview(sheet(HEADER, 'E3|Cai|Li|new.cai@int.test||'))
  await acme.sql('update users set password_chosen_at = now() where organization_id = $1', [acme.organizationId])
  const report = await acme.commit(plan.id)
  expect([fates(report), codes(report)]).toEqual([{ read: 1, held: 1 }, ['plan.stale 2']])
  expect((await details(acme)).map(([, email]) => email)).toEqual(['ada@int.test', 'ben@int.test', 'cai@int.test'])
})

test('they are written where they are the organization\'s, registered or not', async () => {
  const acme = await prepared(QUIET)
  const report = await acme.run(sheet(HEADER, 'E1|Ada|Lovelace|new.ada@int.test|6125550191|', 'E2|Ben|Okafor|new.ben@int.test|6125550192|'))
  expect([fates(report), codes(report)]).toEqual([{ read: 2, updated: 2 }, []])
  expect((await details(acme)).map(([, email]) => email)).toEqual(['new.ada@int.test', 'new.ben@int.test', 'cai@int.test'])
})
