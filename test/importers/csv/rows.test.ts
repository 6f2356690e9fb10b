import * as fc from 'fast-check'
import Papa from 'papaparse'
import { expect, test } from 'vitest'
import { readRows } from '../../../src/importers/csv/rows.ts'
import { LIMITS } from '../../../src/importers/source.ts'
import type { SourceRow } from '../../../src/importers/source.ts'
import { FileRefused } from '../../../src/rules/refusal.ts'
import { encodeSingleByte, readCsv, utf16 } from './fromBytes.ts'

const DELIMITERS = [',', ';', '\t', '|']
const NEWLINES = ['\n', '\r\n', '\r']

const read = async (text: string, delimiter: string, cut: number, pieceSize: number): Promise<SourceRow[] | string> => {
  const rows: SourceRow[] = []
  const pieces = async function* () {
    for (let start = 0; start < text.length; start += cut) yield text.slice(start, start + cut)
  }
  try {
    for await (const batch of readRows(pieces(), { start: 0, delimiter, limits: LIMITS, pieceSize })) rows.push(...batch)
  } catch (error) {
    if (error instanceof FileRefused) return `${error.code} ${JSON.stringify(error.detail)}`
    throw error
  }
  return rows
}

/** Records of a text character by character, as RFC 4180 has them with every newline; null where a quote is odd. */
const readPlainly = (text: string, delimiter: string): SourceRow[] | null => {
  const rows: SourceRow[] = []
  let [line, row, field, fields, at] = [1, 1, '', [] as string[], 0]
  const endRecord = (): void => {
    fields.push(field)
    rows.push({ row, cells: fields.length === 1 && field === '' ? [] : fields.map((value) => value === '' ? null : value) })
    fields = []
    field = ''
  }
  const newlineAt = (position: number): number => text.startsWith('\r\n', position) ? 2 : /[\r\n]/.test(text[position] ?? '') ? 1 : 0
  while (at < text.length) {
    if (field === '' && text[at] === '"') {
      for (at += 1; ; at += 1) {
        if (at >= text.length) return null
        if (text[at] === '"' && text[at + 1] === '"') at += 1
        else if (text[at] === '"') break
        else if (newlineAt(at) > 0 && !(text[at] === '\n' && text[at - 1] === '\r')) line += 1
        field += text[at]
      }
      at += 1
      if (at < text.length && text[at] !== delimiter && newlineAt(at) === 0) return null
      if (at === text.length) break
    }
    const newline = newlineAt(at)
    if (newline > 0) {
      endRecord()
      line += 1
      row = line
      at += newline
    } else if (text[at] === delimiter) {
      fields.push(field)
      field = ''
      at += 1
    } else {
      field += text[at]
      at += 1
    }
  }
  if (text !== '' && !/[\r\n]$/.test(text)) endRecord()
  else if (field !== '' || fields.length > 0) endRecord()
  return rows
}

const snippet = fc.array(fc.constantFrom('a', 'b', '"', '"', '""', ',', ',', '\n', '\r', '\r\n', ' ', '",', '"\n', ',"'), { maxLength: 30 }).map((parts) => parts.join(''))

test('the same rows and the same refusals come out however a text is cut', async () => {
  await fc.assert(fc.asyncProperty(snippet, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), async (text, cut, pieceSize) => {
    expect(await read(`h,i\n${text}`, ',', cut, pieceSize)).toEqual(await read(`h,i\n${text}`, ',', 1_000, 100_000))
  }), { numRuns: 3_000 })
})

test('well-formed text reads as it does character by character', async () => {
  let compared = 0
  await fc.assert(fc.asyncProperty(snippet, fc.integer({ min: 1, max: 9 }), async (text, cut) => {
    const plain = readPlainly(`h,i,j,k\n${text}`, ',')
    if (plain === null) return
    compared += 1
    const rows = await read(`h,i,j,k\n${text}`, ',', cut, cut)
    expect(rows).not.toBeTypeOf('string')
    const whole = (row: SourceRow) => [row.row, row.cells.slice(0, 4 + Math.max(0, row.cells.slice(4).findLastIndex((cell) => cell !== null) + 1))]
    expect((rows as SourceRow[]).map(whole)).toEqual(plain.map(whole))
  }), { numRuns: 3_000 })
  expect(compared).toBeGreaterThan(500)
})

const value = (character: fc.Arbitrary<string>) => fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: character, maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom('', ' x ', '"', 'a"b', 'x\ny', 'x\r\ny', 'x\ry', '\r', '\n', ',', ';', '\t', '|', '""', '="0123"') },
)
const CASES = [
  { encoding: 'UTF-8', character: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), encode: (text: string) => Buffer.from(text), declared: 'utf-8' },
  { encoding: 'UTF-8 with BOM', character: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }), encode: (text: string) => Buffer.from(`\ufeff${text}`) },
  { encoding: 'UTF-16LE', character: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), encode: (text: string) => utf16(text, 'LE') },
  { encoding: 'UTF-16BE', character: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }), encode: (text: string) => utf16(text, 'BE') },
  { encoding: 'Windows-1252', character: fc.constantFrom('a', 'Z', ' ', '0', 'é', '€', '“', 'Ÿ', 'ÿ', 'ß', 'Œ', '…'), encode: (text: string) => encodeSingleByte(text, 'windows-1252'), declared: 'windows-1252' },
]

test.each(CASES)('a table written in $encoding with any delimiter and newlines reads back the same, with its lines', async ({ encoding, character, encode, declared }) => {
  const tables = fc.integer({ min: 1, max: 5 }).chain((columns) => fc.array(fc.array(value(character), { minLength: columns, maxLength: columns }), { maxLength: 12 }))
  await fc.assert(fc.asyncProperty(
    tables, fc.constantFrom(...DELIMITERS), fc.array(fc.constantFrom(...NEWLINES), { minLength: 1, maxLength: 4 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }), fc.boolean(),
    async (table, delimiter, newlines, sizes, isTerminated) => {
      const records = [Array.from({ length: table[0]?.length ?? 1 }, (_, column) => `h${column}`), ...table]
      const expected: SourceRow[] = []
      let text = ''
      let line = 1
      records.forEach((record, index) => {
        // Quoted, so that a CR in a value is never next to the newline behind it.
        const written = Papa.unparse([record], { delimiter, quotes: record.map((field) => /[\r\n"]/.test(field)) })
        const isLast = index === records.length - 1
        const newline = isLast && !isTerminated && written !== '' ? '' : newlines[index % newlines.length]!
        // CR and LF of a blank line in between would make one newline.
        const end = newline === '\r' && !isLast && records[index + 1]!.length === 1 && records[index + 1]![0] === '' ? '\r\n' : newline
        expected.push({ row: line, cells: written === '' ? [] : record.map((field) => field === '' ? null : field) })
        text += written + end
        line += 1 + (record.join('.').match(/\r\n|\r|\n/g)?.length ?? 0)
      })
      const result = await readCsv(encode(text), { delimiter, sizes, ...(declared === undefined ? {} : { encoding: declared }) })
      expect(result.rows).toEqual(expected)
      expect(result.description.encoding).toBe(encoding)
    },
  ), { numRuns: 400 })
})
