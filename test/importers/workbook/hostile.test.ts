/** Workbooks that no program writes by itself: each ends in right rows or a refusal that says why. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { bytesSource, sheetXml, workbookParts, writeWorkbook, writeZip } from '../../support/writeWorkbook.ts'
import type { WorkbookXml, ZipEntry } from '../../support/writeWorkbook.ts'
import { openWorkbook } from '../../../src/importers/parseWorkbook.ts'
import { LIMITS } from '../../../src/importers/source.ts'
import { ReadStalled } from '../../../src/importers/workbook/patience.ts'
import { readRows, readSheetRows, refusalOf } from './support.ts'

const ROW = '<row r="1"><c r="A1" t="str"><v>a</v></c></row>'
const entries = (workbook: WorkbookXml = { sheets: [{ rows: ROW }] }): ZipEntry[] => [...workbookParts(workbook)].map(([name, data]) => ({ name, data }))
const sheet = 'xl/worksheets/sheet1.xml'
/** The entries with one of them changed. */
const changed = (name: string, change: Partial<ZipEntry>) => entries().map((entry) => entry.name === name ? { ...entry, ...change } : entry)
const refusal = (bytes: Buffer, limits = {}) => refusalOf(readRows(bytes, limits))

describe('the container', () => {
  test('the workbook that the tests below damage is read', async () => {
    expect(await readRows(writeZip(entries()))).toEqual([{ row: 1, cells: ['a'] }])
    expect(await readRows(writeZip(entries().map((entry) => ({ ...entry, stored: true }))))).toEqual([{ row: 1, cells: ['a'] }])
  })

  test('a file of 0 bytes is refused', async () => expect(await refusal(Buffer.alloc(0))).toMatchObject({ code: 'file.empty' }))

  test('a file cut short anywhere is refused, and never hangs', async () => {
    const bytes = writeZip(entries())
    for (let length = 1; length < bytes.length; length += 13) expect(await refusal(bytes.subarray(0, length))).toMatchObject({ code: 'file.corrupt' })
  })

  test('with any one bit flipped the rows are right, or the file is refused', async () => {
    const bytes = writeZip(entries())
    let refused = 0
    for (let bit = 0; bit < bytes.length * 8; bit += 37) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << bit % 8
      try {
        expect(await readRows(flipped)).toEqual([{ row: 1, cells: ['a'] }])
      } catch (error) {
        if ((error as Error).name !== 'FileRefused') throw error
        refused++
      }
    }
    expect(refused).toBeGreaterThan(50)
  })

  test('a part with a wrong checksum is refused before a row of it is handed on', async () => {
    const workbook = await openWorkbook(bytesSource(writeZip(changed(sheet, { lie: { crc32: 1 } }))), LIMITS)
    expect(await refusalOf(workbook.rows()[Symbol.asyncIterator]().next())).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('checksum') })
  })

  test('more parts than the limit are refused unread', async () => {
    const many = Array.from({ length: 2_001 }, (_, index) => ({ name: `p${index}`, data: '' }))
    expect(await refusal(writeZip(many))).toMatchObject({ code: 'file.zip_bomb' })
    expect(await refusal(writeZip(entries(), 60_000))).toMatchObject({ code: 'file.zip_bomb' })
  })

  test('a part that unpacks out of all proportion is refused before it is unpacked', async () => {
    const bytes = writeZip(changed(sheet, { data: sheetXml(ROW + ' '.repeat(3_000_000)) }))
    const source = bytesSource(bytes)
    expect(await refusalOf(openWorkbook(source, LIMITS))).toMatchObject({ code: 'file.zip_bomb' })
    expect(source.reads).toBeLessThan(4)
  })

  test('parts that are too much together are refused', async () => {
    expect(await refusal(writeZip([...entries(), { name: 'x', data: randomBytes(50_000) }, { name: 'y', data: randomBytes(60_000) }]), { unpackedBytes: 100_000 })).toMatchObject({ code: 'file.zip_bomb' })
    expect(await refusal(writeZip([...entries(), { name: 'x', data: '', lie: { unpacked: 0xfffffff0 } }]))).toMatchObject({ code: 'file.zip_bomb' })
  })

  test('a part that holds more than it declares is stopped while it unpacks', async () => {
    expect(await refusal(writeZip(changed(sheet, { lie: { unpacked: 10 } })))).toMatchObject({ code: 'file.zip_bomb' })
    expect(await refusal(writeZip(changed(sheet, { lie: { unpacked: 10_000 } })))).toMatchObject({ code: 'file.corrupt' })
  })

  test('parts that share their bytes are refused', async () => {
    const own = entries()
    const overlapping = Array.from({ length: 30 }, (_, index): ZipEntry => ({ name: `o${index}`, data: '', lie: { offset: 0, packed: 500, unpacked: 500 } }))
    expect(await refusal(writeZip([...own, ...overlapping]))).toMatchObject({ code: 'file.zip_bomb' })
  })

  test.each(['../evil.xml', '/etc/passwd', 'a/../../b', 'C:\\x', 'xl\\workbook.xml'])('the part name %s is refused', async (name) => {
    expect(await refusal(writeZip([...entries(), { name, data: 'x' }]))).toMatchObject({ code: 'file.corrupt' })
  })

  test('a part that is there twice is refused, also in other case', async () => {
    expect(await refusal(writeZip([...entries(), { name: sheet, data: sheetXml('') }]))).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('twice') })
    expect(await refusal(writeZip([...entries(), { name: sheet.toUpperCase(), data: sheetXml('') }]))).toMatchObject({ code: 'file.corrupt' })
  })

  test('encrypted parts, unknown packing and offsets out of the file are refused', async () => {
    expect(await refusal(writeZip(changed(sheet, { lie: { flags: 1 } })))).toMatchObject({ code: 'file.encrypted' })
    expect(await refusal(writeZip(changed(sheet, { lie: { flags: 0x41 } })))).toMatchObject({ code: 'file.encrypted' })
    expect(await refusal(writeZip(changed(sheet, { lie: { method: 12 } })))).toMatchObject({ code: 'file.corrupt' })
    expect(await refusal(writeZip(changed(sheet, { lie: { offset: 0x7fffffff } })))).toMatchObject({ code: 'file.corrupt' })
  })

  test('a file above the limit of bytes is refused without being read', async () => {
    const source = bytesSource(writeZip(entries()))
    expect(await refusalOf(openWorkbook(source, { ...LIMITS, fileBytes: 100 }))).toMatchObject({ code: 'file.too_large', limit: 100 })
    expect(source.reads).toBe(0)
  })

  test('a source that keeps silent is given up after the deadline', async () => {
    const silent = { ...bytesSource(writeZip(entries())), read: () => new Promise<Buffer>(() => {}) }
    await expect(openWorkbook(silent, LIMITS, { deadlineMs: 20 })).rejects.toBeInstanceOf(ReadStalled)
  })

  test('a failing source is no damaged file', async () => {
    const failing = { ...bytesSource(writeZip(entries())), read: () => Promise.reject(new Error('connection lost')) }
    await expect(openWorkbook(failing, LIMITS)).rejects.toThrow('connection lost')
  })
})

describe('the XML', () => {
  const xml = (content: string | Buffer) => refusal(writeWorkbook({ sheets: [{ xml: content }] }))
  const inCell = (text: string) => refusalOf(readSheetRows(`<row r="1"><c r="A1" t="str"><v>${text}</v></c></row>`))

  test('entities of one\'s own are refused, declared or not, internal or external', async () => {
    const declared = '<!DOCTYPE worksheet [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
    expect(await xml(sheetXml(ROW).replace('<worksheet', `${declared}<worksheet`))).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('entities') })
    for (const entity of ['&a;', '&nbsp;', '&#x110000;', '&#xZZ;', '&;', '& ', '&amp', '&constructor;', '&toString;']) expect(await inCell(entity)).toMatchObject({ code: 'file.corrupt' })
    expect(await refusal(writeWorkbook({ strings: '<si><t>&a;</t></si>', sheets: [{ rows: '<row r="1"><c r="A1" t="s"><v>0</v></c></row>' }] }))).toMatchObject({ code: 'file.corrupt' })
  })

  test('XML that is none, breaks off, or goes on after its end is refused', async () => {
    const whole = sheetXml(ROW)
    for (const broken of [whole.slice(0, -5), whole.slice(0, 200), `${whole}<x/>`, `${whole}text`, `text${whole}`, whole.replace('</v>', '</w>'), whole.replace('<v>', '<v'), whole.replace('r="1"', 'r=1'), '', ' ', 'PNG', '<html></html>', whole.replace('</c>', '')]) {
      expect(await xml(broken)).toMatchObject({ code: 'file.corrupt' })
    }
  })

  test('elements nested without end, and a tag without end, are refused', async () => {
    expect(await refusal(writeWorkbook({ sheets: [{ xml: sheetXml(ROW, '<a>'.repeat(500)) }] }))).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('deeply') })
    expect(await refusal(writeZip(changed(sheet, { stored: true, data: sheetXml(`<row r="${'1'.repeat(3_000_000)}`) })))).toMatchObject({ code: 'file.corrupt' })
  })

  test('rows that stand twice, and marks outside of their place, are refused', async () => {
    expect(await xml(sheetXml(ROW, `<sheetData>${ROW}</sheetData>`))).toMatchObject({ code: 'file.corrupt' })
    expect(await xml(sheetXml(ROW).replace('<sheetData>', '<mergeCells><mergeCell ref="A1:A2"/></mergeCells><sheetData>'))).toMatchObject({ code: 'file.corrupt' })
    // An end of rows within CDATA must not hide what stands behind the true one.
    expect(await xml(sheetXml('<row r="1"><c r="A1" t="str"><v><![CDATA[</sheetData>]]></v></c></row>', '<mergeCells><mergeCell ref="A1:A2"/></mergeCells>'))).toMatchObject({ code: 'file.corrupt' })
  })

  test('prefixes, either quote, attributes in any order, and no numbers at all make no difference', async () => {
    const rows = "<x:row hidden='true' spans='1:2' r='3'><x:c t='str' r='B3'><x:v>b</x:v></x:c ></x:row><x:row><x:c><x:v>1</x:v></x:c><x:c/><x:c t = \"str\"><x:v>c</x:v></x:c></x:row>"
    const content = `\ufeff<?xml version="1.0"?><!-- c --><x:worksheet xmlns:x="urn:x">\n<x:sheetPr/><x:sheetData>\n ${rows} \n</x:sheetData ><x:mergeCells><x:mergeCell ref="C4:D4"/></x:mergeCells></x:worksheet>\n<!-- end -->`
    expect(await readRows(writeWorkbook({ sheets: [{ xml: content }] }))).toEqual([
      { row: 3, cells: [null, 'b'], hidden: true },
      { row: 4, cells: [{ type: 'number', value: 1, text: '1' }, null, 'c', { type: 'merged', range: 'C4:D4' }] },
    ])
  })

  test('UTF-16 is read, with a byte order mark and without', async () => {
    const content = sheetXml('<row r="1"><c r="A1" t="str"><v>Nguyễn 😀</v></c></row>').replace('UTF-8', 'UTF-16')
    const little = Buffer.from(content, 'utf16le')
    const big = Buffer.from(little).swap16()
    for (const bytes of [little, big, Buffer.from(`\ufeff${content}`, 'utf16le'), Buffer.from(`\ufeff${content}`, 'utf16le').swap16()]) {
      expect(await readRows(writeWorkbook({ sheets: [{ xml: bytes }] }))).toEqual([{ row: 1, cells: ['Nguyễn 😀'] }])
    }
  })

  test('other encodings, and bytes that are none of the one declared, are refused', async () => {
    const content = sheetXml('<row r="1"><c r="A1" t="str"><v>Müller</v></c></row>')
    expect(await xml(Buffer.from(content.replace('UTF-8', 'ISO-8859-1'), 'latin1'))).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('iso-8859-1') })
    expect(await xml(Buffer.from(content, 'latin1'))).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('UTF-8') })
    expect(await xml(Buffer.from(`\ufeff${content}\ud800`, 'utf16le'))).toMatchObject({ code: 'file.corrupt' })
  })
})

describe('rows and cells', () => {
  const corrupt = expect.objectContaining({ code: 'file.corrupt' })
  const cell = (attributes: string, content = '<v>1</v>') => refusalOf(readSheetRows(`<row r="1"><c ${attributes}>${content}</c></row>`))

  test('a shared text that does not exist is refused', async () => {
    for (const index of ['1', '-1', '4294967296', '1.0', 'x', '1e0']) {
      expect(await refusalOf(readSheetRows(`<row r="1"><c r="A1" t="s"><v>${index}</v></c></row>`, { strings: '<si><t>only</t></si>' }))).toEqual(corrupt)
    }
    expect(await cell('r="A1" t="s"', '<v>0</v>')).toEqual(corrupt)
  })

  test('row numbers that repeat, go back or do not exist are refused', async () => {
    for (const numbers of [[1, 1], [2, 1], [0], [1_048_577], [-1], ['x'], ['1.5'], ['1e3'], ['']]) {
      expect(await refusalOf(readSheetRows(numbers.map((number) => `<row r="${number}"><c t="str"><v>a</v></c></row>`).join('')))).toEqual(corrupt)
    }
    expect(await refusalOf(readSheetRows('<row r="1048576"><c t="str"><v>a</v></c></row><row><c t="str"><v>a</v></c></row>'))).toEqual(corrupt)
  })

  test('cell names that do not fit are refused', async () => {
    for (const name of ['A2', 'XFE1', 'AAAA1', '1A', 'A', '1', 'a1', '$A$1', 'A01x', '', 'A1048577', 'ZZZZZZZZZZZZ1']) expect(await cell(`r="${name}"`)).toEqual(corrupt)
    expect(await refusalOf(readSheetRows('<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>'))).toEqual(corrupt)
    expect(await refusalOf(readSheetRows('<row r="1"><c r="B1"><v>1</v></c><c r="B1"><v>1</v></c></row>'))).toEqual(corrupt)
    expect(await refusalOf(readSheetRows('<row r="1"><c r="XFD1"/><c/></row>'))).toEqual(corrupt)
  })

  test('an unknown type of cell is refused', async () => {
    for (const type of ['x', '', 'constructor', 'S']) expect(await cell(`r="A1" t="${type}"`)).toEqual(corrupt)
  })

  test('the last row and the last column are kept without blowing up', async () => {
    const rows = await readSheetRows('<row r="1"><c r="XFD1" t="str"><v>edge</v></c></row><row r="1048576"><c r="A1048576" t="str"><v>bottom</v></c></row>', {}, { columns: 16_384 })
    expect(rows.map(({ row, cells }) => [row, cells.length, cells.at(-1)])).toEqual([[1, 16_384, 'edge'], [1_048_576, 1, 'bottom']])
    expect(await readSheetRows('<row r="1"><c r="A1" t="str"><v>a</v></c><c r="XFD1" s="3"/></row>')).toEqual([{ row: 1, cells: ['a'] }])
  })

  test('limits are told with their numbers', async () => {
    const many = (count: number) => Array.from({ length: count }, () => '<row><c t="str"><v>a</v></c></row>').join('')
    expect(await refusalOf(readSheetRows(many(11), {}, { rows: 10 }))).toMatchObject({ code: 'file.too_large', what: 'number of rows', size: 11, limit: 10 })
    expect(await readSheetRows(many(10), {}, { rows: 10 })).toHaveLength(10)
    expect(await refusalOf(readSheetRows('<row r="1"><c r="SG1"><v>1</v></c></row>'))).toMatchObject({ code: 'file.too_large', what: 'number of columns', size: 501, limit: 500 })
    for (const text of [`<c t="str"><v>${'x'.repeat(101)}</v></c>`, `<c t="inlineStr"><is><t>${'x'.repeat(60)}&amp;${'x'.repeat(60)}</t></is></c>`, `<c t="str"><v>${'x'.repeat(9_000)}</v></c>`]) {
      expect(await refusalOf(readSheetRows(`<row r="1">${text}</row>`, {}, { cellCharacters: 100 }))).toMatchObject({ code: 'file.too_large', what: 'number of characters in cell A1', limit: 100 })
    }
    expect(await refusalOf(readSheetRows('<row r="1"><c t="s"><v>0</v></c></row>', { strings: `<si><t>${'é'.repeat(101)}</t></si>` }, { cellCharacters: 100 }))).toMatchObject({ code: 'file.too_large' })
    expect(await readSheetRows('<row r="1"><c t="s"><v>0</v></c></row>', { strings: `<si><t>${'é'.repeat(100)}</t></si>` }, { cellCharacters: 100 })).toHaveLength(1)
  })

  test('a field of 10 MB is refused without being held', async () => {
    const long = 'x'.repeat(10_000_000)
    const stored = (workbook: WorkbookXml) => writeZip(entries(workbook).map((entry) => ({ ...entry, stored: true })))
    expect(await refusal(stored({ sheets: [{ rows: `<row r="1"><c t="str"><v>${long}</v></c></row>` }] }))).toMatchObject({ code: 'file.too_large' })
    expect(await refusal(stored({ strings: `<si><t>${long}</t></si>`, sheets: [{ rows: ROW }] }))).toMatchObject({ code: 'file.too_large' })
    expect(await refusal(stored({ strings: `<si>${'<r><t>0123456789012345678901234567890123456789</t></r>'.repeat(200_000)}</si>`, sheets: [{ rows: ROW }] }))).toMatchObject({ code: 'file.too_large' })
  })

  test('merged ranges that overlap or do not exist are refused', async () => {
    const merge = (range: string) => refusalOf(readSheetRows(ROW, { after: `<mergeCells>${range}</mergeCells>` }))
    expect(await merge('<mergeCell ref="A1:ALL99999999"/>')).toEqual(corrupt)
    expect(await merge('<mergeCell ref="A1:XFD1048576"/>'.repeat(2))).toEqual(corrupt)
  })

  test('a sheet merged as a whole marks its cells and goes no further than the limit of columns', async () => {
    const rows = await readSheetRows(ROW, { after: '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>' })
    expect(rows[0]!.cells).toHaveLength(500)
  })
})
