import { PassThrough, Writable } from 'node:stream'
import ExcelJS from 'exceljs'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeErrorWorkbook } from '../../src/importers/errorWorkbook.ts'
import { IDENTITY_SHEET, readTemplateIdentity } from '../../src/importers/template/identity.ts'
import type { ShownIssue } from '../../src/importers/rowIssues.ts'
import type { Cell, Source } from '../../src/importers/source.ts'
import { ERRORS_HEADER } from '../../src/rules/columns.ts'
import { breakingAfter, collect, columnsOf, loadBytes, openBytes, problem, readAll, saveBytes, sourceOf } from './returned.ts'

const HEADER = ['External ID', 'First Name', 'Last Name', 'Email', 'Phone', 'Hired', 'Note']

const write = async (original: Source, issues: Iterable<ShownIssue>, more: { headerRow?: number; header?: readonly Cell[] } & Pick<Parameters<typeof writeErrorWorkbook>[1], 'identity'> = {}) => {
  const { headerRow = 1, header = HEADER, ...rest } = more
  return collect(out => writeErrorWorkbook(out, { original, headerRow, columns: columnsOf(header), issues, ...rest }))
}

const rowsOf = (rows: readonly (readonly Cell[])[], from = 2): Source =>
  sourceOf([{ row: 1, cells: HEADER }, ...rows.map((cells, index) => ({ row: from + index, cells }))])

describe('of a workbook with every kind of cell', () => {
  let original: Source
  let before: Map<number, readonly Cell[]>
  let written: Awaited<ReturnType<typeof write>>
  let bytes: Buffer
  let sheet: ExcelJS.Worksheet
  beforeAll(async () => {
    const book = new ExcelJS.Workbook()
    const people = book.addWorksheet('New hires')
    people.addRow(HEADER)
    people.addRow(['01234', 'Ann', 'Good', 'ann@acme.example', '6125550100', new Date('2026-03-04T00:00:00Z'), 'fine'])
    people.addRow(['00777', '=cmd', "O'Brien", 'brien.example.com', 61255501, new Date('2026-03-05T08:30:15Z'), true])
    people.addRow([42, 'Nguyễn', '李', { text: 'x@y.example', hyperlink: 'mailto:z@y.example' }, 15_551_000_000, new Date('2026-03-05T00:00:00Z'), { formula: '1+1', result: 2 }])
    people.addRow(['1', 'Warned', 'Only', 'w@acme.example', null, null, null])
    people.addRow([' 5 ', '@x', '-', { error: '#N/A' }, '+1 (612) 555-0100', null, { richText: [{ text: 'a' }, { text: 'b', font: { bold: true } }] }])
    original = await openBytes(await saveBytes(book))
    before = new Map((await readAll(original)).map(({ row, cells }) => [row, cells]))
    written = await write(original, [
      problem(3, 'email.missing_at', 'Email', 'email'),
      problem(3, 'phone.not_ten_digits', 'Phone', 'phone'),
      problem(4, 'cell.identifier_as_number', 'External ID', 'externalId'),
      problem(4, 'row.too_few_fields'),
      problem(5, 'user.not_loginable'),
      problem(6, 'cell.error', 'Email', 'email'),
    ])
    bytes = written.bytes
    sheet = (await loadBytes(bytes)).worksheets[0]!
  })

  test('holds the header and exactly the rejected rows, not those with warnings alone', async () => {
    const rows = await readAll(await openBytes(bytes))
    expect(rows[0]!.cells).toEqual([...HEADER, ERRORS_HEADER])
    expect(rows.slice(1).map(({ cells }) => cells[2])).toEqual(["O'Brien", '李', '-'])
    expect(written.returned).toEqual({ rows: 3, issues: 5 })
    expect(sheet.name).toBe('New hires')
  })

  test('leaves every cell as it was: text is text, numbers numbers, dates dates, formulas their results', async () => {
    const rows = await readAll(await openBytes(bytes))
    const seen = rows.slice(1).map(({ cells }) => Array.from({ length: HEADER.length }, (_, index) => cells[index] ?? null))
    const plain = (cells: readonly Cell[]) => Array.from({ length: HEADER.length }, (_, index) => {
      const cell = cells[index] ?? null
      if (cell === null || typeof cell === 'string') return cell
      if (cell.type === 'text') return cell.text
      const { formula: _formula, ...rest } = cell as Exclude<typeof cell, { type: 'uncalculated' | 'merged' }>
      return rest
    })
    expect(seen).toEqual([3, 4, 6].map(row => plain(before.get(row)!)))
    expect(seen[0]![0]).toBe('00777')
    expect(seen[1]![4]).toMatchObject({ type: 'number', text: '15551000000' })
    expect(seen[0]![5]).toMatchObject({ type: 'date', iso: '2026-03-05T08:30:15' })
    expect(seen[1]![5]).toMatchObject({ type: 'date', iso: '2026-03-05' })
    expect(seen[2]![3]).toMatchObject({ type: 'error', text: '#N/A' })
  })

  const noteOf = (address: string): string => {
    const { note } = sheet.getCell(address)
    return typeof note === 'object' ? (note.texts ?? []).map(({ text }) => text).join('') : (note ?? '')
  }
  const fillOf = (address: string) => (sheet.getCell(address).fill as ExcelJS.FillPattern | undefined)?.fgColor?.argb

  test('colors the wrong cells with a note of what is wrong and what to do', () => {
    expect(noteOf('D2')).toBe('The address has no @.\nAn address looks like name@company.com.')
    expect(fillOf('D2')).toBe('FFFFC7CE')
    expect(fillOf('E2')).toBe('FFFFC7CE')
    expect(fillOf('A3')).toBe('FFFFEB9C')
    const right = ['A2', 'B2', 'C2', 'B3', 'D3', 'A4', 'E4']
    expect(right.map(address => [address, fillOf(address), noteOf(address)])).toEqual(right.map(address => [address, undefined, '']))
  })

  test('tells all problems of a row in its last column', () => {
    expect(sheet.getCell('H2').text).toMatch(/^Row 3: \[Email\] The address has no @\. .*\[Phone\] The phone number has/)
    expect(sheet.getCell('H3').text).toMatch(/^Row 4: \[External ID, warning\] .* The row has/)
  })

  test('nothing in it can run as a formula, also when a cell is edited', () => {
    const cells: ExcelJS.Cell[] = []
    sheet.eachRow(row => row.eachCell(cell => cells.push(cell)))
    expect(cells.filter(cell => cell.formula !== undefined)).toEqual([])
    const strings = cells.filter(({ type }) => type === ExcelJS.ValueType.String)
    expect(strings.map(({ text }) => text)).toEqual(expect.arrayContaining(['=cmd', '@x', '-', '+1 (612) 555-0100']))
    expect(strings.filter(({ numFmt }) => numFmt !== '@')).toEqual([])
  })

  test('identifiers and phone numbers stay text when they are typed again', () => {
    expect(sheet.getColumn(1).numFmt).toBe('@')
    expect(sheet.getColumn(5).numFmt).toBe('@')
    expect(sheet.getCell('E2').numFmt).toBe('@')
  })

  test('mended and handed in again it has its Errors column once', async () => {
    const again = await openBytes(bytes)
    const { bytes: second } = await write(again, [problem(2, 'email.missing_dot', 'Email', 'email')], { header: [...HEADER, ERRORS_HEADER] })
    const rows = await readAll(await openBytes(second))
    expect(rows[0]!.cells).toEqual([...HEADER, ERRORS_HEADER])
    expect(rows).toHaveLength(2)
    expect(rows[1]!.cells[HEADER.length]).toMatch(/^Row 2: \[Email\] There is no dot/)
  })
})

test('keeps the identity of the template that the file was filled in from', async () => {
  const identity = { template: 'people', version: '1', organization: 'acme' } as const
  const issues = [problem(2, 'name.required', 'First Name', 'firstName')]
  const kept = await openBytes((await write(rowsOf([['1']]), issues, { identity })).bytes)
  expect(readTemplateIdentity(await kept.readHiddenSheet(IDENTITY_SHEET))).toEqual(identity)
  expect(kept.sheets).toContainEqual({ name: IDENTITY_SHEET, state: 'veryHidden' })
  const none = await openBytes((await write(rowsOf([['1']]), issues)).bytes)
  expect(none.sheets.map(({ name }) => name)).toEqual(['Staff'])
})

test('a header further down is found, and what stands above it left out', async () => {
  const original = sourceOf([{ row: 1, cells: [null] }, { row: 4, cells: HEADER }, { row: 5, cells: ['1'] }, { row: 9, cells: ['2'] }], {}, 1)
  const rows = await readAll(await openBytes((await write(original, [problem(9, 'name.required')], { headerRow: 4 })).bytes))
  expect(rows.map(({ cells }) => cells[0])).toEqual(['External ID', '2'])
})

test('a sheet whose name a workbook cannot have gets another', async () => {
  const original = sourceOf([{ row: 1, cells: HEADER }], { sheet: 'a/b' })
  expect((await openBytes((await write(original, [])).bytes)).description.sheet).toBe('People')
})

test('no problems give a header alone', async () => {
  const { bytes, returned } = await write(rowsOf([['1']]), [])
  expect(returned).toEqual({ rows: 0, issues: 0 })
  expect(await readAll(await openBytes(bytes))).toHaveLength(1)
})

test('problems of a row that the file does not have are an error, not a row less', async () => {
  await expect(write(rowsOf([['1']]), [problem(7, 'name.required')])).rejects.toThrow('row 7')
  await expect(write(rowsOf([['1'], ['2'], ['3']]), [problem(4, 'name.required'), problem(2, 'name.required')])).rejects.toThrow('row 2')
})

test('a destination that breaks rejects instead of waiting for ever', async () => {
  const many = Array.from({ length: 3_000 }, (_, index) => [`${index}`, crypto.randomUUID(), crypto.randomUUID()])
  const issues = many.map((_, index) => problem(index + 2, 'email.required', 'Email', 'email'))
  const rejected = { original: rowsOf(many), headerRow: 1, columns: columnsOf(HEADER), issues }
  await expect(writeErrorWorkbook(breakingAfter(2), rejected)).rejects.toThrow('Premature close')
  const closed = new PassThrough().destroy()
  await expect(writeErrorWorkbook(closed, rejected)).rejects.toThrow('Premature close')
})

test('a destination that does not take more holds the reading back, so that memory stays flat', async () => {
  let read = 0
  const endless = Array.from({ length: 200 }, () => ['1', crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()])
  const original: Source = { ...rowsOf([]), async *rows() {
    yield [{ row: 1, cells: HEADER }]
    for (let from = 2; ; from += endless.length) {
      read += endless.length
      yield endless.map((cells, index) => ({ row: from + index, cells }))
    }
  } }
  const issues = function* () { for (let row = 2; ; row += 1) yield problem(row, 'email.required', 'Email', 'email') }
  const stuck = new Writable({ highWaterMark: 1, write: () => {} })
  const writing = writeErrorWorkbook(stuck, { original, headerRow: 1, columns: columnsOf(HEADER), issues: issues() })
  for (let turn = 0; turn < 3_000; turn += 1) await new Promise(resolve => { setImmediate(resolve) })
  expect(read).toBeGreaterThan(0)
  expect(read).toBeLessThan(50_000)
  stuck.destroy()
  await expect(writing).rejects.toThrow('Premature close')
})

test('a source that fails ends the file instead of passing for a whole one', async () => {
  const original = { ...rowsOf([]), async *rows() { yield [{ row: 1, cells: HEADER }]; throw new Error('gone') } }
  const out = new PassThrough()
  out.resume()
  await expect(writeErrorWorkbook(out, { original, headerRow: 1, columns: columnsOf(HEADER), issues: [problem(2, 'name.required')] })).rejects.toThrow('gone')
  expect(out.destroyed).toBe(true)
})

test('any text comes back as it was', async () => {
  const text = fc.oneof(
    fc.array(fc.integer({ min: 0, max: 0x10_ff_ff }), { minLength: 1, maxLength: 10 }).map(points => String.fromCodePoint(...points)),
    fc.string({ unit: fc.constantFrom(' ', '\t', '\r', '\n', '_x000D_', '_', 'x0041_', '\u0000', '\u007f', '\ud800', '\uffff', 'a', '<', '&', '=', '+', '@', '\ufeff'), minLength: 1 }),
  )
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 20, maxLength: 60 }), async (pairs) => {
    const original = rowsOf(pairs.map(([first, last]) => ['id', first, last, '.']))
    const { bytes } = await write(original, pairs.map((_, index) => problem(index + 2, 'name.required', 'First Name', 'firstName')))
    const rows = await readAll(await openBytes(bytes))
    expect(rows.slice(1).map(({ cells }) => [cells[1], cells[2]])).toEqual(pairs)
  }), { numRuns: 12 })
})
