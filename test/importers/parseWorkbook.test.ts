import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { openWorkbook } from '../../src/importers/parseWorkbook.ts'
import { LIMITS } from '../../src/importers/source.ts'
import { bytesSource, sheetXml, workbookParts, writeWorkbook, writeZip } from '../support/writeWorkbook.ts'
import { readRows, refusalOf } from './workbook/support.ts'

const row = (text: string) => `<row r="1"><c r="A1" t="str"><v>${text}</v></c></row>`
const THREE = writeWorkbook({ sheets: [
  { name: 'Secret', state: 'hidden', rows: row('hidden') },
  { name: 'People & more', rows: row('people') },
  { name: 'Other', rows: row('other') },
  { name: '_muster', state: 'veryHidden', rows: '<row r="1"><c t="str"><v>organization</v></c><c t="str"><v>acme</v></c></row>' },
] })
const open = (bytes: Buffer, options = {}) => openWorkbook(bytesSource(bytes), LIMITS, options)
const textOf = async (bytes: Buffer, options = {}) => (await readRows(bytes, {}, options))[0]?.cells[0]

describe('sheets', () => {
  test('the first visible one is read, and all are told', async () => {
    const workbook = await open(THREE)
    expect(workbook.description).toEqual({ format: 'xlsx', sheet: 'People & more', encoding: null, delimiter: null })
    expect(workbook.sheets).toEqual([{ name: 'Secret', state: 'hidden' }, { name: 'People & more', state: 'visible' }, { name: 'Other', state: 'visible' }, { name: '_muster', state: 'veryHidden' }])
    expect(await textOf(THREE)).toBe('people')
  })

  test('another visible one is read by its name, whatever its case', async () => {
    expect(await textOf(THREE, { sheet: 'Other' })).toBe('other')
    expect(await textOf(THREE, { sheet: ' OTHER ' })).toBe('other')
  })

  test('a hidden or unknown one is refused by name', async () => {
    for (const sheet of ['Secret', '_muster', 'Gone', '']) expect(await refusalOf(open(THREE, { sheet }))).toMatchObject({ code: 'file.sheet_unknown', sheet, sheets: 'People & more, Other' })
  })

  test('a workbook without any visible sheet is refused', async () => {
    expect(await refusalOf(open(writeWorkbook({ sheets: [{ state: 'hidden' }, { state: 'veryHidden' }] })))).toMatchObject({ code: 'file.empty' })
  })

  test('only a sheet that is not visible can be read as hidden, up to 1,000 rows', async () => {
    const workbook = await open(THREE)
    expect(await workbook.readHiddenSheet('_muster')).toEqual([{ row: 1, cells: ['organization', 'acme'] }])
    expect(await workbook.readHiddenSheet('Other')).toEqual([])
    expect(await workbook.readHiddenSheet('Gone')).toEqual([])
    const long = await open(writeWorkbook({ sheets: [{}, { name: 'h', state: 'hidden', rows: '<row><c><v>1</v></c></row>'.repeat(5_000) }] }))
    expect(await long.readHiddenSheet('h')).toHaveLength(1_000)
  })

  test('parts are found through their relationships, wherever they lie', async () => {
    const relationships = (inner: string) => `<Relationships>${inner}</Relationships>`
    const bytes = writeZip([
      { name: '_rels/.rels', data: relationships('<Relationship Id="a" Type="http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument" Target="/odd/book.xml"/>') },
      { name: 'odd/book.xml', data: '<p:workbook xmlns:p="p"><p:sheets><p:sheet name="Chart" q:id="r0"/><p:sheet name="S" q:id="r1"/></p:sheets></p:workbook>' },
      { name: 'odd/_rels/book.xml.rels', data: relationships('<Relationship Id="r0" Type="x/chartsheet" Target="c.xml"/><Relationship Id="r1" Type="x/worksheet" Target="../Sheets/One.XML"/><Relationship Id="r2" Type="x/sharedStrings" Target="/texts.xml"/>') },
      { name: 'sheets/one.xml', data: sheetXml('<row><c t="s"><v>0</v></c></row>') },
      { name: 'texts.xml', data: '<sst><si><t>found</t></si></sst>' },
    ])
    expect(await textOf(bytes)).toBe('found')
  })

  test('a sheet that is named but missing is refused', async () => {
    expect(await refusalOf(readRows(writeWorkbook({ sheets: [{}], parts: { 'xl/worksheets/sheet1.xml': null } })))).toMatchObject({ code: 'file.corrupt', what: expect.stringContaining('missing') })
  })
})

describe('rows', () => {
  test('keep their own numbers; empty ones are left out, hidden ones are marked', async () => {
    const bytes = writeWorkbook({ sheets: [{ rows: '<row r="2"><c r="B2" t="str"><v>x</v></c><c r="C2" s="1"/></row><row r="3"/><row r="4"><c r="A4" s="1"/></row><row r="7" hidden="1"><c r="A7" t="str"><v>y</v></c></row><row r="8" hidden="0"><c t="b"><v>0</v></c></row>' }] })
    expect(await readRows(bytes)).toEqual([{ row: 2, cells: [null, 'x'] }, { row: 7, cells: ['y'], hidden: true }, { row: 8, cells: [{ type: 'boolean', value: false }] }])
  })

  test('a sheet without rows gives none', async () => {
    expect(await readRows(writeWorkbook({ sheets: [{}] }))).toEqual([])
    expect(await readRows(writeWorkbook({ sheets: [{ xml: '<worksheet><sheetData/><mergeCells><mergeCell ref="A1:B1"/></mergeCells></worksheet>' }] }))).toEqual([])
  })

  test('come in batches of at most 2,000, and can be read again', async () => {
    const workbook = await open(writeWorkbook({ sheets: [{ rows: '<row><c><v>1</v></c></row>'.repeat(4_500) }] }))
    for (let time = 0; time < 2; time++) expect((await Array.fromAsync(workbook.rows())).map((batch) => batch.length)).toEqual([2_000, 2_000, 500])
  })

  test('are unpacked only as fast as they are taken, and no longer than they are wanted', async () => {
    const lines = Array.from({ length: 20_000 }, () => `<row><c t="str"><v>${randomBytes(300).toString('base64')}</v></c></row>`)
    const bytes = writeZip([...workbookParts({ sheets: [{ rows: lines.join('') }] })].map(([name, data]) => ({ name, data })))
    expect(bytes.length).toBeGreaterThan(5_000_000)
    const source = bytesSource(bytes)
    const workbook = await openWorkbook(source, LIMITS)
    const batches = workbook.rows()[Symbol.asyncIterator]()
    await batches.next()
    const afterFirst = source.reads
    await new Promise((resolve) => setImmediate(resolve))
    // The pass before has read all of it once; the rows' own pass is at its beginning.
    const whole = Math.ceil(bytes.length / (256 * 1024))
    expect(source.reads).toBeLessThan(whole + 12)
    await batches.return?.()
    const afterReturn = source.reads
    await new Promise((resolve) => setImmediate(resolve))
    expect(source.reads).toBe(afterReturn)
    expect(afterReturn - afterFirst).toBeLessThan(3)
  })

  test('end with the signal\'s reason when reading is called off', async () => {
    const controller = new AbortController()
    const workbook = await open(writeWorkbook({ sheets: [{ rows: '<row><c><v>1</v></c></row>'.repeat(3_000) }] }), { signal: controller.signal })
    controller.abort(new Error('called off'))
    await expect(Array.fromAsync(workbook.rows())).rejects.toThrow('called off')
    await expect(open(THREE, { signal: controller.signal })).rejects.toThrow('called off')
  })
})
