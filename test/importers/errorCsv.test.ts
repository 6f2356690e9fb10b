import { PassThrough } from 'node:stream'
import * as fc from 'fast-check'
import Papa from 'papaparse'
import { describe, expect, test } from 'vitest'
import { asSent, writeErrorCsv } from '../../src/importers/errorCsv.ts'
import { openCsv } from '../../src/importers/parseCsv.ts'
import type { ShownIssue } from '../../src/importers/rowIssues.ts'
import { LIMITS } from '../../src/importers/source.ts'
import type { Cell, Source, SourceRow } from '../../src/importers/source.ts'
import { ERRORS_HEADER } from '../../src/rules/columns.ts'
import { bytesInPieces } from './csv/fromBytes.ts'
import { breakingAfter, collect, columnsOf, problem, readAll, sourceOf } from './returned.ts'

const HEADER = ['External ID', 'First Name', 'Last Name', 'Phone']

const open = async (content: string | Buffer): Promise<Source> => {
  const source = await openCsv(bytesInPieces(Buffer.from(content)), LIMITS, {})
  return { ...source, rows: () => asSent(source.rows()) }
}
const write = (original: Source, issues: Iterable<ShownIssue>, header: readonly Cell[] = HEADER) =>
  collect(out => writeErrorCsv(out, { original, headerRow: 1, columns: columnsOf(header), issues }))
const wrong = (row: number): ShownIssue => problem(row, 'name.required', 'First Name', 'firstName')
const csv = (rows: readonly SourceRow[], delimiter = ',') => sourceOf(rows, { format: 'csv', sheet: null, delimiter })
const cellsOf = async (source: Source): Promise<(readonly Cell[])[]> => (await readAll(source)).map(({ cells }) => cells)

test('holds the header and exactly the rejected rows, in the delimiter of the file', async () => {
  const original = await open('External ID;First Name;Last Name;Phone\r\n01;;Good;6125550100\r\n02;Ann;"Mc;Bad, the ""2nd""";\r\n03;;Bad;"1\n2"\r\n')
  const { bytes, returned } = await write(original, [wrong(2), problem(3, 'user.not_loginable'), wrong(4)])
  expect(returned).toEqual({ rows: 2, issues: 2 })
  const hint = 'Every person needs a first and a last name.'
  expect(bytes.toString()).toBe([
    '\ufeffExternal ID;First Name;Last Name;Phone;Errors',
    `01;;Good;6125550100;Row 2: [First Name] No name stands in First Name. ${hint}`,
    `03;;Bad;"1\n2";Row 4: [First Name] No name stands in First Name. ${hint}`,
    '',
  ].join('\r\n').replace(';Errors', `;${ERRORS_HEADER}`))
})

test('is read again as the same rows, whatever the delimiter was', async () => {
  for (const delimiter of [',', ';', '\t', '|']) {
    const rows = [['1', 'a,b;c|d\te', ' x ', '"q"'], ['2', 'line\r\nbreak', "O'Brien", '+1 (612) 555-0100']]
    const { bytes } = await write(csv([HEADER, ...rows].map((cells, index) => ({ row: index + 1, cells })), delimiter), [wrong(2), wrong(3)])
    const again = await open(bytes)
    expect(again.description).toMatchObject({ delimiter, encoding: 'UTF-8 with BOM' })
    expect((await cellsOf(again)).map(cells => cells.slice(0, 4))).toEqual([HEADER, ...rows])
  }
})

test('its totals are those of another reader too', async () => {
  const rows = Array.from({ length: 50 }, (_, index) => ({ row: index + 2, cells: [`${index}`, 'x "y"', 'a,b', '1\n2'] }))
  const { bytes, returned } = await write(csv([{ row: 1, cells: HEADER }, ...rows]), rows.map(({ row }) => wrong(row)))
  const { data, errors } = Papa.parse<Record<string, string>>(bytes.toString().slice(1), { header: true, skipEmptyLines: true })
  expect(errors).toEqual([])
  expect(data).toHaveLength(returned.rows)
  expect(data[49]).toMatchObject({ 'External ID': '49', 'First Name': 'x "y"', 'Last Name': 'a,b', Phone: '1\n2' })
})

describe('formulas', () => {
  const hostile = ['=1+1', '+cmd', '-a', '@SUM(A1)', '\t=1', '\r=1', '＝1', '＋1x', '－1x', '＠x', ' =1', "'=1", '\u200b=1']

  test('nothing that a spreadsheet runs stands at the beginning of a field', async () => {
    const { bytes } = await write(csv([{ row: 1, cells: ['=HEADER()', 'First Name', 'Last Name', 'Phone'] }, ...hostile.map((text, index) => ({ row: index + 2, cells: [text, null, text] }))]), hostile.map((_, index) => wrong(index + 2)))
    const { data } = Papa.parse<string[]>(bytes.toString().slice(1), { skipEmptyLines: true })
    expect(data).toHaveLength(hostile.length + 1)
    for (const field of data.flat()) expect(field).not.toMatch(/^[\s\u200b]*[=+\-@＝＋－＠]/)
  })

  test('they come back as they were sent', async () => {
    const rows = hostile.map((text, index) => ({ row: index + 2, cells: [String(index), null, text, text] }))
    const { bytes } = await write(csv([{ row: 1, cells: HEADER }, ...rows]), rows.map(({ row }) => wrong(row)))
    expect((await cellsOf(await open(bytes))).slice(1).map(cells => [cells[2], cells[3]])).toEqual(hostile.map(text => [text, text]))
  })

  test("an apostrophe of another's file is its own", async () => {
    expect((await cellsOf(await open("External ID,First Name\n'=1,'+x\n")))[1]).toEqual(["'=1", "'+x"])
  })
})

describe('rows with another number of fields than the header', () => {
  const file = 'External ID,First Name,Last Name,Phone\n1,Ann Bad,6125550100\n2,Bo,Bad,6125550100,extra\n'

  test('keep their fields, and are rejected again until they are mended', async () => {
    const issues = [problem(2, 'row.too_few_fields'), problem(3, 'row.too_many_fields')]
    let original = await open(file)
    let header: readonly Cell[] = HEADER
    // However often the file is handed in as it is, nothing slips under another header.
    for (let turn = 0; turn < 3; turn += 1) {
      const { bytes } = await write(original, issues, header)
      original = await open(bytes)
      const rows = await readAll(original)
      header = rows[0]!.cells
      expect(header).toEqual([...HEADER, ERRORS_HEADER])
      expect(rows.slice(1).map(({ fieldCount }) => fieldCount)).toEqual(['too_few', 'too_many'])
      expect(rows[1]!.cells.slice(0, 3)).toEqual(['1', 'Ann Bad', '6125550100'])
      expect(rows[1]!.cells).toHaveLength(4)
      expect(rows[2]!.cells.slice(0, 5)).toEqual(['2', 'Bo', 'Bad', '6125550100', 'extra'])
      expect(rows[2]!.cells).toHaveLength(6)
    }
  })
})

test('handed in again it has its Errors column once', async () => {
  const { bytes } = await write(await open('External ID,First Name,Last Name,Phone\n1,,x,\n2,,y,\n'), [wrong(2), wrong(3)])
  const second = await write(await open(bytes), [wrong(3)], [...HEADER, ERRORS_HEADER])
  const rows = await cellsOf(await open(second.bytes))
  expect(rows[0]).toEqual([...HEADER, ERRORS_HEADER])
  expect(rows).toHaveLength(2)
  expect(rows[1]!.slice(0, 4)).toEqual(['2', null, 'y', null])
  expect(rows[1]![4]).toMatch(/^Row 3: /)
})

test('a column without a header is kept', async () => {
  const { bytes } = await write(await open('First Name,Last Name,\n,Bad,mine\n'), [wrong(2)], ['First Name', 'Last Name', null])
  expect((await cellsOf(await open(bytes)))[1]!.slice(0, 3)).toEqual([null, 'Bad', 'mine'])
})

test('the rows of a workbook are written as their texts', async () => {
  const cells: Cell[] = [{ type: 'number', value: 15_551_000_000, text: '15551000000' }, { type: 'date', iso: '2026-03-04T08:00:00', serial: 1 }, { type: 'boolean', value: true }, { type: 'error', text: '#N/A' }]
  const { bytes } = await write(sourceOf([{ row: 1, cells: HEADER }, { row: 2, cells }]), [wrong(2)])
  expect(bytes.toString()).toContain('\r\n15551000000,2026-03-04 08:00:00,TRUE,#N/A,Row 2: ')
})

test('a destination that breaks, a source that fails and a row that is missing reject', async () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => ({ row: index + 2, cells: [`${index}`, 'x'.repeat(50)] }))
  const original = csv([{ row: 1, cells: HEADER }, ...rows])
  const rejected = { original, headerRow: 1, columns: columnsOf(HEADER), issues: rows.map(({ row }) => wrong(row)) }
  await expect(writeErrorCsv(breakingAfter(2), rejected)).rejects.toThrow('Premature close')
  await expect(writeErrorCsv(new PassThrough().destroy(), rejected)).rejects.toThrow('Premature close')
  const failing = { ...original, async *rows() { yield [{ row: 1, cells: HEADER }]; throw new Error('gone') } }
  await expect(writeErrorCsv(new PassThrough().resume(), { ...rejected, original: failing })).rejects.toThrow('gone')
  await expect(writeErrorCsv(new PassThrough().resume(), { ...rejected, issues: [wrong(90_000)] })).rejects.toThrow('row 90000')
})

test('any texts come back as they were', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom('"', ',', ';', '\t', '|', '\n', '\r', "'", '=', '+', '-', '@', '＝', ' ', '\u200b', '\ufeff', '1', 'a') }),
  )
  const record = fc.tuple(fc.stringMatching(/^[a-z0-9]{1,4}$/), text, text, text)
  await fc.assert(fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 10 }), fc.constantFrom(',', ';', '\t', '|'), async (records, delimiter) => {
    const original = csv([HEADER, ...records].map((cells, index) => ({ row: index + 1, cells: cells.map(cell => cell || null) })), delimiter)
    const { bytes, returned } = await write(original, records.map((_, index) => wrong(index + 2)))
    expect(returned.rows).toBe(records.length)
    const again = await open(bytes)
    expect((await cellsOf(again)).slice(1).map(cells => cells.slice(0, 4).map(cell => cell ?? ''))).toEqual(records)
  }), { numRuns: 300 })
})
