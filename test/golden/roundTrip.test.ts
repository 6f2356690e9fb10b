/** The error files go back to whoever sent the rows, are mended, and come in as they are (spec E3). */
import { expect, test } from 'vitest'
import Papa from 'papaparse'
import type ExcelJS from 'exceljs'
import { writeTemplate } from '../../src/importers/template.ts'
import { declareCatalog, loadCatalog } from '../../src/organizations/catalog.ts'
import { readOrganization } from '../../src/organizations/organizations.ts'
import { loadBytes, saveBytes } from '../importers/returned.ts'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { csvOf, rowXml } from '../support/writePeople.ts'
import { writeWorkbook } from '../support/writeWorkbook.ts'
import { codes, fates } from './sheets.ts'

const database = useDatabase()
const HEADER = ['External ID', 'First Name', 'Last Name', 'Email', 'Phone', 'Role', 'Room']
/** Five people: one good, four with a problem of another kind each, and what mends it. */
const ROWS: (string | null)[][] = [
  ['01', 'Ada', 'Lovelace', 'ada@int.test', '(612) 555-0100', 'Customer Limited', '1'],
  ['02', 'Ben', 'Okafor', 'ben.int.test', '+1 (612) 555-0101', 'Customer Limited', '=1+1'],
  ['03', 'Cai', null, 'cai@int.test', '612555010', 'Customer Limited', "'quoted"],
  ['04', 'Dee', 'Lo', 'dee@int.test', null, 'Customr Limited', '-5 °C'],
  ['04', 'Eve', 'Ng', 'eve@int.test', null, 'Customer Limited', 'a;b,"c"'],
]
const MENDED: [row: number, column: string, value: string][] = [[1, 'Email', 'ben@int.test'], [2, 'Last Name', 'Li'], [2, 'Phone', '6125550102'], [3, 'Role', 'Customer Limited'], [4, 'External ID', '05']]
const PROBLEMS = ['email.missing_at 3', 'name.required 4', 'phone.lost_leading_zero 4', 'role.unknown 5', 'duplicate.in_file 6']
const OPTIONS = { setColumns: { Room: { attribute: 'Room' } } }

const expected = [['01', 'Lovelace', '6125550100', '1'], ['02', 'Okafor', '6125550101', '=1+1'], ['03', 'Li', '6125550102', "'quoted"], ['04', 'Lo', null, '-5 °C'], ['05', 'Ng', null, 'a;b,"c"']]
const people = async (acme: Importing) => (await acme.contacts()).map(({ externalId, lastName, phone, attributes }) => [externalId, lastName, phone, attributes['Room']])

test.each([',', ';', '\t', '|'])('a CSV file parted by %j comes back mended', async (delimiter) => {
  const acme = await importing(database.current)
  const first = await acme.run({ name: 'people.csv', bytes: csvOf([HEADER, ...ROWS], delimiter) }, OPTIONS)
  // The second row of External ID 04 is not compared with the first, which is rejected for its role.
  expect([fates(first), codes(first)]).toEqual([{ read: 5, created: 2, rejected: 3 }, PROBLEMS.slice(0, 4)])
  const parsed = Papa.parse<Record<string, string>>((await acme.errors(first.id)).toString().slice(1), { header: true, skipEmptyLines: true, delimiter })
  expect(parsed.data).toHaveLength(3)
  for (const [row, column, value] of MENDED) if (row < 4) parsed.data[row - 1]![column] = value
  parsed.data[2]!['External ID'] = '06'
  const mended = Papa.unparse(parsed.data, { delimiter, newline: '\r\n' })
  const second = await acme.run({ name: 'mended.csv', bytes: Buffer.from(mended) }, OPTIONS)
  expect([fates(second), codes(second)]).toEqual([{ read: 3, created: 3 }, []])
  expect((await people(acme)).sort()).toEqual([expected[0], expected[1], expected[2], ['04', 'Ng', null, 'a;b,"c"'], ['06', 'Lo', null, '-5 °C']])
})

test('a workbook comes back mended, whatever kinds of cell it had', async () => {
  const acme = await importing(database.current)
  const number = (text: string) => ({ xml: `><v>${text}</v>` })
  const rows = [
    HEADER, [number('1'), 'Ada', 'Lovelace', { xml: ' t="str"><f>LOWER("X")</f><v>ada@int.test</v>' }, number('6125550100'), 'Customer Limited', null],
    ['02', 'Ben', { xml: ' t="str"><f>A1</f>' }, 'ben@int.test', number('612555010'), 'Customer Limited', '=1+1'], ['03', { xml: ' t="e"><v>#N/A</v>' }, 'Li', 'cai@int.test', null, 'Customr Limited', number('7')],
  ]
  const first = await acme.run({ name: 'people.xlsx', bytes: writeWorkbook({ sheets: [{ name: 'Staff list', rows: rows.map((cells, index) => rowXml(index + 1, cells)).join('') }] }) }, OPTIONS)
  expect(fates(first)).toEqual({ read: 3, created: 1, rejected: 2 })
  const book = await loadBytes(await acme.errors(first.id))
  const sheet = book.getWorksheet('Staff list')!
  expect(sheet.rowCount).toBe(3)
  mend(sheet, [[1, 'Last Name', 'Okafor'], [1, 'Phone', '6125550102'], [2, 'First Name', 'Cai'], [2, 'Role', 'Customer Limited']])
  const second = await acme.run({ name: 'mended.xlsx', bytes: await saveBytes(book) }, OPTIONS)
  expect([fates(second), codes(second)]).toEqual([{ read: 2, created: 2 }, []])
  expect(await people(acme)).toEqual([['1', 'Lovelace', '6125550100', undefined], ['02', 'Okafor', '6125550102', '=1+1'], ['03', 'Li', null, '7']])
})

test("a mended error workbook of the organization's own template is still known as that", async () => {
  const acme = await importing(database.current)
  const other = await importing(database.current)
  const template = await database.current.tenant(acme.organizationId, async (tx) => {
    const { settings, ...organization } = await readOrganization(tx)
    return writeTemplate({ organization, settings, catalog: declareCatalog(await loadCatalog(tx)) })
  })
  const book = await loadBytes(Buffer.from(template))
  const sheet = book.getWorksheet('People')!
  const fill = (row: number, values: Record<string, string>) => mend(sheet, Object.entries(values).map(([column, value]) => [row - 1, column, value]))
  const first = sheet.rowCount < 2 ? 2 : 3
  fill(first, { 'External ID': '01', 'First Name': 'Ada', 'Last Name': 'Lovelace', Email: 'ada@int.test' })
  fill(first + 1, { 'External ID': '02', 'First Name': 'Ben', 'Last Name': 'Okafor', Email: 'no-at' })
  const filled = { name: 'people.xlsx', bytes: await saveBytes(book) }
  expect((await other.run(filled)).failure).toMatchObject({ code: 'template.other_organization' })
  const report = await acme.run(filled)
  expect(report.totals).toMatchObject({ created: 1, rejected: 1 })
  const errors = await loadBytes(await acme.errors(report.id))
  mend(errors.getWorksheet('People')!, [[1, 'Email', 'ben@int.test']])
  const mended = { name: 'mended.xlsx', bytes: await saveBytes(errors) }
  expect((await other.run(mended)).failure).toMatchObject({ code: 'template.other_organization' })
  expect(fates(await acme.run(mended))).toEqual({ read: 1, created: 1 })
})

test('rows that were held come back too, and an import without a bad row gives the header alone', async () => {
  const acme = await importing(database.current, { matching: { deactivated: 'ask' }, defaults: { delivery: 'none' } })
  await acme.run({ name: 'a.csv', bytes: csvOf([HEADER, ROWS[0]!]) })
  await acme.sql("update contacts set state = 'inactive' where organization_id = $1", [acme.organizationId])
  const held = await acme.run({ name: 'a.csv', bytes: csvOf([HEADER, ROWS[0]!]) })
  expect((await acme.errors(held.id)).toString()).toContain('This person was deactivated; the organization wants to be asked.')
  const good = await acme.run({ name: 'b.csv', bytes: csvOf([['First Name', 'Last Name'], ['Cai', 'Li']]) })
  expect((await acme.errors(good.id)).toString()).toBe('\ufeffFirst Name,Last Name,Errors\r\n')
})

/** Types values into cells; rows are counted from the first below the header. */
function mend(sheet: ExcelJS.Worksheet, values: readonly (readonly [row: number, column: string, value: string])[]): void {
  const header = sheet.getRow(1).values as unknown[]
  for (const [row, column, value] of values) {
    const at = header.indexOf(column)
    if (at < 1) throw new Error(`no column ${column} in ${header.join(', ')}`)
    sheet.getRow(row + 1).getCell(at).value = value
  }
}
