/** What `muster up` shows itself with: an organization, a workbook and a CSV, each with a few bad rows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { makeContractors, makePeople } from '../support/makeDemonstration.ts'

const FOLDER = join(import.meta.dirname, '../../fixtures/demonstration')
const file = (name: string) => ({ name, bytes: readFileSync(join(FOLDER, name)) })
const problems = ({ issues }: ImportReport) => issues.map(({ row, column, code, severity }) => [row, column, code, severity])

const database = useDatabase()
let acme: Importing
let people: ImportReport
let contractors: ImportReport

beforeAll(async () => {
  acme = await importing(database.current, JSON.parse(readFileSync(join(FOLDER, 'acme.organization.json'), 'utf8')) as Record<string, unknown>)
  people = await acme.run(file('people.xlsx'), { delivery: { kind: 'now' } })
  contractors = await acme.run(file('contractors.csv'), { delivery: { kind: 'now' } })
})

test('the files are the ones that makeDemonstration.ts makes', async () => {
  expect(file('people.xlsx').bytes.equals(await makePeople())).toBe(true)
  expect(file('contractors.csv').bytes.equals(makeContractors())).toBe(true)
})

test('the workbook: ten people, nine users, four bad rows', () => {
  expect(people).toMatchObject({
    state: 'committed', file: { format: 'xlsx', sheet: 'People' }, totals: { read: 14, created: 10, updated: 0, unchanged: 0, rejected: 4, held: 0, blank: 0 },
    users: { created: 9, notLoginable: 0, withoutSeat: 0 }, deliveries: { owed: 9, scheduled: 9, notOwed: 0 },
  })
  expect(problems(people)).toEqual([
    [12, 'Email', 'email.missing_at', 'error'], [13, 'Phone', 'phone.lost_leading_zero', 'error'], [14, 'Role', 'role.unknown', 'error'], [15, 'External ID', 'duplicate.in_file', 'error'],
  ])
  expect(people.issues[2]!.hint).toBe('Did you mean Customer Limited?')
})

test('the CSV: semicolons and German headers, one person who is known, two bad rows', () => {
  expect(contractors).toMatchObject({
    state: 'committed', file: { format: 'csv', encoding: 'UTF-8', delimiter: ';' }, totals: { read: 8, created: 5, updated: 1, unchanged: 0, rejected: 2, held: 0, blank: 0 },
    users: { created: 5 }, deliveries: { owed: 4, scheduled: 4, notOwed: 1 },
  })
  expect(contractors.columns.every(({ by }) => by === 'alias')).toBe(true)
  expect(problems(contractors)).toEqual([[8, 'E-Mail', 'email.multiple_at', 'error'], [9, 'Versanddatum', 'date.ambiguous', 'error']])
})

test('everybody can log in, under a name in plain letters, and no name is there twice', async () => {
  const users = await acme.users()
  expect(users.every(({ loginable }) => loginable)).toBe(true)
  expect(users.map(({ username }) => username)).toEqual([
    'maria.hernandez', 'sean.obrien', 'jeanne.darcy', 'thihoa.nguyen', 'zoe.kruger', 'tailang.shantian', 'oluwaseun.adebayo', 'lena.lindstrom-berg', 'john.smith',
    'jurgen.weiss', 'anneliese.gross-gerau', 'mehmet.yilmaz', 'katarzyna.wojcik', 'john.smith2',
  ])
})

test('mails go at once, but for the one with a date; two hold credentials', async () => {
  const mails = (await acme.deliveries()).filter(({ purpose }) => purpose !== 'operatorSummary')
  const now = (await database.current.now()).toISOString()
  expect(mails.filter(({ sendAt }) => sendAt! > now).map(({ to, sendAt }) => [to, sendAt])).toEqual([['o.adebayo@harbor.example', '2036-01-07T14:00:00.000Z']])
  expect(mails.filter(({ purpose }) => purpose === 'credentials').map(({ to }) => to)).toEqual(['juergen.weiss@bau.example', 'a.gross-gerau@bau.example'])
  expect(mails.every(({ state }) => state === 'scheduled')).toBe(true)
})
