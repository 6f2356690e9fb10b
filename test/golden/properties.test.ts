/** What holds for every file, found by looking for one for which it does not. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { importing, useDatabase } from '../support/importing.ts'
import { csvOf, workbookOf } from '../support/writePeople.ts'
import { fates } from './sheets.ts'

const database = useDatabase()
const RUNS = 12
const HEADER = ['External ID', 'First Name', 'Last Name', 'Email', 'Phone', 'System User', 'User Group', 'Role', 'Username', 'Delivery', 'Send Date']

/** Cells that people might have typed, few enough that rows meet each other. */
const oneOf = (...values: (string | null)[]) => fc.constantFrom(...values)
const row = fc.tuple(
  oneOf('1', '2', '3', '4', null, ' 1 ', 'x\u200by'), oneOf('Ada', 'Ben', 'Zoë', '太郎', "O'Brien", 'R2', null), oneOf('Li', 'Lo', 'Nguyễn', '=x', null, 'a'.repeat(101)),
  oneOf('a@int.test', 'A@INT.test', 'b@int.test', 'c@bücher.test', 'no-at', 'x@y', null), oneOf('6125550100', '(612) 555-0101', '555', '6.125E+9', null), oneOf('yes', 'no', 'N', 'maybe', null),
  oneOf('Staff', 'staff;Supervisors', 'Nobody', null, ';'), oneOf('Customer Limited', 'No role assigned', 'Authorized Representative', 'King', null), oneOf('ada.li', 'ada.li2', 'Admin', 'own.name', null),
  oneOf('credentials', 'none', 'pigeon', null), oneOf('2099-12-01', '03/04/2099', '2020-01-01', null),
)
const rows = fc.array(row.map((cells) => cells.map((cell) => cell)), { minLength: 1, maxLength: 14 })

/** What became of the rows, without what differs between formats by nature. */
const verdicts = ({ totals, users, deliveries, issues }: ImportReport) => ({ totals, users, deliveries, issues: issues.map(({ row, column, code, value, message }) => ({ row, column, code, value, message })) })
const file = (cells: readonly (readonly (string | null)[])[]) => ({ name: 'people.csv', bytes: csvOf([HEADER, ...cells]) })

test('the same rows as CSV and as workbook get the same verdicts, and make the same people', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom(',', ';', '\t', '|'), async (cells, delimiter) => {
      // A line of nothing is a row of a CSV file; in a workbook it is none.
      const filled = cells.filter((row) => row.some((cell) => cell !== null))
      fc.pre(filled.length > 0)
      const [one, two] = [await importing(database.current), await importing(database.current)]
      const asCsv = await one.run({ name: 'people.csv', bytes: csvOf([HEADER, ...filled], delimiter) })
      const asWorkbook = await two.run({ name: 'people.xlsx', bytes: workbookOf([HEADER, ...filled]) })
      expect(asCsv.file).toMatchObject({ format: 'csv', delimiter })
      expect(verdicts(asWorkbook)).toEqual(verdicts(asCsv))
      const people = async (organization: typeof one) => (await organization.users()).map((user) => ({ ...user, id: '', contactId: '' }))
      expect(await people(two)).toEqual(await people(one))
    }),
    { numRuns: RUNS },
  )
}, 60_000)

test('every row is in exactly one fate, and rows with an error are the ones that are rejected or held', async () => {
  await fc.assert(
    fc.asyncProperty(rows, rows, async (first, second) => {
      const organization = await importing(database.current)
      for (const cells of [first, second]) {
        const report = await organization.run(file(cells))
        const { read, ...counted } = report.totals
        expect(read).toBe(cells.length)
        expect(Object.values(counted).reduce((sum, count) => sum + count, 0)).toBe(read)
        const stopped = new Set(report.issues.filter(({ severity }) => severity === 'error').map(({ row }) => row))
        expect(stopped.size).toBe(report.totals.rejected + report.totals.held)
      }
    }),
    { numRuns: RUNS },
  )
}, 60_000)

test('importing twice is importing once', async () => {
  await fc.assert(
    fc.asyncProperty(rows, async (cells) => {
      const organization = await importing(database.current)
      const first = await organization.run(file(cells))
      const people = await organization.users()
      const second = await organization.run(file(cells))
      expect(fates(second)['created'] ?? 0).toBe(0)
      expect(fates(second)['updated'] ?? 0).toBe(0)
      expect(second.totals).toEqual({ ...first.totals, created: 0, unchanged: first.totals.created })
      expect(await organization.users()).toEqual(people)
    }),
    { numRuns: RUNS },
  )
}, 60_000)

test('a plan and its commit agree', async () => {
  await fc.assert(
    fc.asyncProperty(rows, async (cells) => {
      const organization = await importing(database.current)
      const planned = await organization.preview(file(cells))
      const names = (await organization.plan(planned.id)).flatMap(({ username }) => username ?? [])
      const done = await organization.commit(planned.id)
      expect(verdicts(done)).toEqual(verdicts(planned))
      expect((await organization.users()).map(({ username }) => username).sort()).toEqual(names.sort())
    }),
    { numRuns: RUNS },
  )
}, 60_000)
