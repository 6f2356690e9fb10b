/** Chunks end anywhere: within a tag, an entity, a character. Nothing may depend on where. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../../src/importers/source.ts'
import type { Cell, SourceRow } from '../../../src/importers/source.ts'
import { decodeXml } from '../../../src/importers/workbook/decodeXml.ts'
import { readMarks } from '../../../src/importers/workbook/marks.ts'
import { readSharedStrings } from '../../../src/importers/workbook/sharedStrings.ts'
import { readSheet } from '../../../src/importers/workbook/sheet.ts'
import { sheetXml } from '../../support/writeWorkbook.ts'

/** The bytes cut at these places. */
async function* cut(bytes: Buffer, places: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0
  for (const place of [...places].sort((a, b) => a - b)) {
    yield bytes.subarray(start, place)
    start = place
  }
  yield bytes.subarray(start)
}

async function read(sheet: Buffer, strings: Buffer, places: readonly number[]): Promise<SourceRow[]> {
  const chunks = (bytes: Buffer) => decodeXml(cut(bytes, places.map((place) => place % (bytes.length + 1))), 'part')
  const context = { part: 'part', styles: { isDate: (style: number) => style === 1 }, date1904: false, limits: LIMITS }
  const marks = await readMarks(chunks(sheet), 'part', new Map([['l1', 'other@x.test']]))
  return (await Array.fromAsync(readSheet(chunks(sheet), { ...context, marks, strings: await readSharedStrings(chunks(strings), 'part', LIMITS) }))).flat()
}

const escape = (text: string) => text.replace(/[&<>\r]/g, (character) => `&#x${character.charCodeAt(0).toString(16)};`).replace(/_x/g, '_x005F_x')

const text = fc.oneof(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), fc.constantFrom('a&b', '<c>', 'Müller', '東京 😀', '_x000D_', ' blanks ', 'a\nb', 'a\rb', ']]', 'x'.repeat(300)))
  .filter((value) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(value))

/** How one cell is written, and what must come of it. `shared` collects the shared texts. */
type Written = { attributes: string; content: string; expected: Cell }
const cell: fc.Arbitrary<(shared: string[]) => Written> = fc.oneof(
  text.map((value) => (shared: string[]) => ({ attributes: 't="s"', content: `<v>${shared.push(`<si><t xml:space="preserve">${escape(value)}</t></si>`) - 1}</v>`, expected: value })),
  fc.array(text, { minLength: 1, maxLength: 3 }).map((runs) => (shared: string[]) => ({ attributes: "t='s'", content: `<v>${shared.push(`<si>${runs.map((run) => `<r><rPr><b/></rPr><t>${escape(run)}</t></r>`).join('')}<rPh><t>no</t></rPh></si>`) - 1}</v>`, expected: runs.join('') })),
  text.map((value) => () => ({ attributes: 't="inlineStr"', content: `<is><t>${escape(value)}</t></is>`, expected: value })),
  text.map((value) => () => ({ attributes: 't="str"', content: `<f>A1 &amp; B1</f><v>${escape(value)}</v>`, expected: { type: 'text', text: value, formula: true } as const })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => () => ({ attributes: '', content: `<v>${value}</v>`, expected: { type: 'number', value: Number(String(value)), text: String(value) } as const })),
  fc.integer({ min: 61, max: 2_000_000 }).map((day) => () => ({ attributes: 's="1"', content: `<v>${day}</v>`, expected: { type: 'date', iso: new Date((day - 25_569) * 86_400_000).toISOString().slice(0, 10), serial: day } as const })),
  fc.boolean().map((value) => () => ({ attributes: 't="b"', content: `<v>${Number(value)}</v>`, expected: { type: 'boolean', value } as const })),
  fc.constantFrom('#N/A', '#REF!').map((value) => () => ({ attributes: 't="e"', content: `<v>${value}</v>`, expected: { type: 'error', text: value } as const })),
  fc.constant(() => ({ attributes: 's="2"', content: '', expected: null })),
)

const styleOfWriting = fc.record({ prefix: fc.constantFrom('', 'x:'), names: fc.boolean(), comments: fc.boolean() })
const places = fc.array(fc.nat(5_000), { maxLength: 40 })

/** A sheet and its shared texts out of rows of cells, and the rows that must be read. */
function write(rows: ((shared: string[]) => Written)[][], { prefix, names, comments }: { prefix: string; names: boolean; comments: boolean }): { sheet: Buffer; strings: Buffer; expected: SourceRow[] } {
  const shared: string[] = []
  const expected: SourceRow[] = []
  const xml = rows.map((cells, index) => {
    const found: Cell[] = []
    const written = cells.map((make, column) => {
      const { attributes, content, expected } = make(shared)
      found.push(expected)
      const tag = `<c ${names ? `r="${String.fromCharCode(65 + column)}${index + 1}" ` : ''}${attributes}`
      return content ? `${tag}>${content}</c>${comments ? '<!-- x -->' : ''}` : `${tag}/>`
    }).join('')
    while (found.at(-1) === null) found.pop()
    if (found.length > 0) expected.push({ row: index + 1, cells: found })
    return `<row r="${index + 1}">${written}</row>`
  }).join('\n')
  const whole = sheetXml(xml).replace(/<(\/?)([a-zA-Z]+)/g, `<$1${prefix}$2`).replace(`<${prefix}xml`, '<?xml')
  return { sheet: Buffer.from(whole), strings: Buffer.from(`<sst>${shared.join('')}</sst>`), expected }
}

describe('chunks that end anywhere', () => {
  test('random cells, written in any way and cut at any places, read back the same', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.array(cell, { maxLength: 8 }), { maxLength: 12 }), styleOfWriting, places, async (rows, style, cuts) => {
      const { sheet, strings, expected } = write(rows, style)
      expect(await read(sheet, strings, cuts)).toEqual(expected)
    }), { numRuns: 300 })
  })

  test('one byte at a time gives the same as all at once', async () => {
    const strings = Buffer.from('\ufeff<?xml version="1.0" encoding="utf-8"?><sst><si><t>東京 &#x1F600;</t></si><si><r><t>a</t></r><!-- - --><r><t><![CDATA[<]]]]></t></r></si></sst>')
    const sheet = Buffer.from(sheetXml('<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is><t>Nguyễn</t></is></c></row><row r="2"><c r="A2" t="str"><v>a@x.test</v></c><c r="B2"><v>12.5</v></c></row>',
      '<mergeCells count="1"><mergeCell ref="B1:C1"/></mergeCells><hyperlinks><hyperlink ref="A2" r:id="l1"/></hyperlinks>'))
    const expected = [
      { row: 1, cells: ['東京 😀', 'a<]]', { type: 'merged', range: 'B1:C1' }] },
      { row: 2, cells: [{ type: 'text', text: 'a@x.test', linkTarget: 'other@x.test' }, { type: 'number', value: 12.5, text: '12.5' }] },
    ]
    const everywhere = Array.from({ length: Math.max(sheet.length, strings.length) }, (_, index) => index)
    expect(await read(sheet, strings, [])).toEqual(expected)
    expect(await read(sheet, strings, everywhere)).toEqual(expected)
  })

  test('texts far longer than a chunk come whole', async () => {
    const long = 'äbc'.repeat(10_000)
    const sheet = Buffer.from(sheetXml(`<row r="1"><c r="A1" t="inlineStr"><is><t>${long}</t></is></c><c r="B1" t="str"><v>end</v></c></row>`))
    const cuts = Array.from({ length: Math.floor(sheet.length / 1_000) }, (_, index) => index * 1_000)
    expect(await read(sheet, Buffer.from('<sst/>'), cuts)).toEqual([{ row: 1, cells: [long, 'end'] }])
  })
})
