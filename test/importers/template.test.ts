import type ExcelJS from 'exceljs'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeTemplate } from '../../src/importers/template.ts'
import { IDENTITY_SHEET, isExampleRow, readTemplateIdentity } from '../../src/importers/template/identity.ts'
import { parseDeclaration, settingsOf } from '../../src/organizations/declaration.ts'
import { matchHeaders } from '../../src/rules/columns.ts'
import { FIELDS } from '../../src/rules/fields.ts'
import type { FieldName } from '../../src/rules/fields.ts'
import { columnsOf, loadBytes, openBytes, readAll, saveBytes } from './returned.ts'

const manyRoles = Array.from({ length: 300 }, (_, index) => ({ name: `Role with a long name, number ${index + 1}` }))

const templateOf = (declaration: object): Promise<Buffer> => {
  const organization = parseDeclaration({ key: 'acme', name: 'Acme Staffing', timeZone: 'America/Chicago', ...declaration })
  return writeTemplate({ organization, settings: settingsOf(organization), catalog: organization })
}

const acme = {
  groups: ['Staff', 'Supervisors'], profiles: ['Standard'], licenses: [{ name: 'Full' }], roles: manyRoles,
  products: [{ name: 'WebCenter', tenants: ['North', 'South'] }, { name: 'Timecard', tenants: ['north', 'East'] }],
  customers: [{ name: 'Ministry', worksites: ['Warehouse'], contactRoles: ['Approver'] }, { name: 'Bank', worksites: ['Branch'], contactRoles: ['approver', 'Payer'] }],
  securityGroups: { department: ['all', 'HR'] }, lookups: { jobCode: ['all', 'Engineering'], payGroup: ['Weekly'] },
  defaults: { groups: ['Supervisors'], role: 'Role with a long name, number 7', delivery: 'invitation' },
}

const positionOf = (name: FieldName): number => FIELDS.findIndex(field => field.name === name) + 1

describe('the template', () => {
  let bytes: Buffer
  let book: ExcelJS.Workbook
  let people: ExcelJS.Worksheet
  beforeAll(async () => {
    bytes = await templateOf(acme)
    book = await loadBytes(bytes)
    people = book.getWorksheet('People')!
  })

  /** The validation of a column, and the values that its range holds. */
  const listOf = (name: FieldName, row = 3) => {
    const rule = people.getCell(row, positionOf(name)).dataValidation
    const [sheet, range] = String(rule?.formulae[0]).split('!')
    const [, column, from, to] = /^\$([A-Z]+)\$(\d+):\$[A-Z]+\$(\d+)$/.exec(range!)!
    const values = Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => book.getWorksheet(sheet)!.getCell(`${column}${Number(from) + index}`).value)
    return { rule, values }
  }

  test('has the sheet to fill in first, instructions, hidden lists, and an identity that no menu shows', () => {
    expect(book.worksheets.map(({ name, state }) => [name, state])).toEqual([
      ['People', 'visible'], ['Instructions', 'visible'], ['Lists', 'hidden'], [IDENTITY_SHEET, 'veryHidden'],
    ])
  })

  test('has every field under its exact label, each with a note, and the header stays in sight', () => {
    FIELDS.forEach((field, index) => {
      const cell = people.getCell(1, index + 1)
      expect(cell.value).toBe(field.header)
      const note = cell.note
      expect(typeof note === 'object' ? note.texts?.map(({ text }) => text).join('') : note).toBe(field.help)
    })
    expect(people.views[0]).toMatchObject({ state: 'frozen', ySplit: 1 })
    expect(people.columnCount).toBe(FIELDS.length)
  })

  test('marks required columns by another color than optional ones', () => {
    const fill = (name: FieldName) => (people.getCell(1, positionOf(name)).fill as ExcelJS.FillPattern).fgColor?.argb
    expect(fill('firstName')).toBe(fill('lastName'))
    expect(fill('firstName')).not.toBe(fill('email'))
  })

  test('its columns are text as far down as anybody types, the date apart', () => {
    for (const name of ['externalId', 'phone', 'username', 'groups'] as const) expect(people.getColumn(positionOf(name)).numFmt).toBe('@')
    expect(people.getColumn(positionOf('sendAt')).numFmt).toBe('yyyy-mm-dd hh:mm')
  })

  test('offers lists of any length, from the catalog and from Muster', () => {
    expect(listOf('roles').values).toEqual(['No role assigned', ...manyRoles.map(({ name }) => name)])
    expect(listOf('roles', 4_000).values).toHaveLength(301)
    expect(listOf('groups').values).toEqual(['Staff', 'Supervisors'])
    expect(listOf('systemUser').values).toEqual(['yes', 'no'])
    expect(listOf('accountKind').values).toEqual(['employee', 'contact', 'service representative'])
    expect(listOf('delivery').values).toEqual(['credentials', 'invitation', 'none'])
    expect(listOf('department').values).toEqual(['all', 'HR'])
    expect(listOf('lookups').values).toEqual(['jobCode=all', 'jobCode=Engineering', 'payGroup=Weekly'])
    expect(listOf('worksite').values).toEqual(['Warehouse', 'Branch'])
  })

  test('offers a name once, however many products or customers have it', () => {
    expect(listOf('tenant').values).toHaveLength(3)
    expect(listOf('contactRole').values).toHaveLength(2)
  })

  test('lets several values be typed where several are allowed, and asks elsewhere', () => {
    const listed = FIELDS.filter(({ name }) => people.getCell(3, positionOf(name)).dataValidation !== undefined)
    expect(listed).toHaveLength(17)
    expect(listed.filter(({ name }) => !listOf(name).rule.showErrorMessage)).toEqual(listed.filter(({ multiple }) => multiple))
  })

  test('keeps the limits that spreadsheets set to questions', () => {
    for (const { name } of FIELDS) {
      const rule = people.getCell(3, positionOf(name)).dataValidation
      expect(rule?.errorTitle?.length ?? 0).toBeLessThanOrEqual(32)
      expect(rule?.error?.length ?? 0).toBeLessThanOrEqual(225)
    }
  })

  test('its headers are all known, and nothing required is missing', async () => {
    const [header] = await readAll(await openBytes(bytes))
    const matched = matchHeaders(header!.cells.map(cell => (typeof cell === 'string' ? cell : null)), null)
    expect(matched.failures).toEqual([])
    expect(matched.columns.map(({ field }) => field)).toEqual(FIELDS.map(({ name }) => name))
  })

  test('tells whose it is', async () => {
    const opened = await openBytes(bytes)
    expect(readTemplateIdentity(await opened.readHiddenSheet(IDENTITY_SHEET))).toEqual({ template: 'people', version: '1', organization: 'acme' })
    const other = await openBytes(await templateOf({ key: 'other', name: 'Other' }))
    expect(readTemplateIdentity(await other.readHiddenSheet(IDENTITY_SHEET))?.organization).toBe('other')
  })

  test('filled in, gives the rows as they were typed, leading zeros and all', async () => {
    const filled = await loadBytes(bytes)
    const sheet = filled.getWorksheet('People')!
    const person: Partial<Record<FieldName, string>> = { externalId: '01234', firstName: '=cmd', lastName: "O'Brien", email: 'o@acme.example', phone: '0612345678', groups: 'Staff;Supervisors', sendAt: '2026-12-01' }
    for (const [name, value] of Object.entries(person)) sheet.getCell(3, positionOf(name as FieldName)).value = value
    const rows = await readAll(await openBytes(await saveBytes(filled)))
    expect(rows.map(({ row }) => row)).toEqual([1, 2, 3])
    const columns = columnsOf(rows[0]!.cells)
    expect(isExampleRow(rows[1]!.cells, columns)).toBe(true)
    expect(isExampleRow(rows[2]!.cells, columns)).toBe(false)
    const read = Object.fromEntries(columns.flatMap(({ field, index }) => (rows[2]!.cells[index] == null ? [] : [[field, rows[2]!.cells[index]]])))
    expect(read).toEqual(person)
  })

  test('its example shows the defaults of the organization', async () => {
    const example = people.getRow(2)
    expect(example.getCell(positionOf('externalId')).value).toBe('EXAMPLE')
    expect(example.getCell(positionOf('groups')).value).toBe('Supervisors')
    expect(example.getCell(positionOf('roles')).value).toBe('Role with a long name, number 7')
    expect(example.getCell(positionOf('delivery')).value).toBe('invitation')
    expect(example.getCell(positionOf('firstName')).font?.italic).toBe(true)
  })

  test('an example that somebody typed over is a row like any other', async () => {
    const filled = await loadBytes(bytes)
    filled.getWorksheet('People')!.getCell(2, positionOf('email')).value = 'real@acme.example'
    const [header, row] = await readAll(await openBytes(await saveBytes(filled)))
    expect(isExampleRow(row!.cells, columnsOf(header!.cells))).toBe(false)
  })

  test('explains every column and how to hand the file over', () => {
    const sheet = book.getWorksheet('Instructions')!
    const texts: string[] = []
    sheet.eachRow(row => row.eachCell(cell => texts.push(cell.text)))
    for (const { header, help } of FIELDS) expect(texts).toEqual(expect.arrayContaining([header, help]))
    expect(texts.join('\n')).toContain('muster import FILE.xlsx --organization acme --preview')
    expect(texts.join('\n')).toContain('Importing mails nobody by itself')
    expect(texts.join('\n')).toContain('and 289 more')
  })
})

test('no value of a catalog can run as a formula', async () => {
  const hostile = ['=1+1', '+cmd|x', '-2', '@SUM(A1)', '＝1']
  const book = await loadBytes(await templateOf({ groups: hostile, roles: hostile.map(name => ({ name, description: name })), defaults: { groups: ['=1+1'] } }))
  const cells: ExcelJS.Cell[] = []
  for (const sheet of book.worksheets) sheet.eachRow(row => row.eachCell(cell => cells.push(cell)))
  expect(cells.filter(cell => cell.formula !== undefined)).toEqual([])
  const values = cells.filter(({ text }) => hostile.includes(text))
  expect(values.length).toBeGreaterThan(2 * hostile.length)
  // Somebody who edits the cell and leaves it does not make a formula of it either.
  expect(values.filter(({ numFmt }) => numFmt !== '@')).toEqual([])
})

test('an organization with nothing declared gets a template without empty lists', async () => {
  const people = (await loadBytes(await templateOf({}))).getWorksheet('People')!
  expect(people.getCell(3, positionOf('groups')).dataValidation).toBeUndefined()
  expect(people.getCell(3, positionOf('systemUser')).dataValidation?.type).toBe('list')
  expect(people.getCell(2, positionOf('roles')).value).toBe('No role assigned')
})

test('a workbook that is no template has no identity', () => {
  expect(readTemplateIdentity([])).toBeNull()
  expect(readTemplateIdentity([{ row: 1, cells: ['template', 'prices'] }, { row: 2, cells: ['version', '1'] }, { row: 3, cells: ['organization', 'acme'] }])).toBeNull()
  expect(readTemplateIdentity([{ row: 1, cells: ['template', 'people'] }])).toBeNull()
})
