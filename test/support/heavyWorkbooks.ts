/** Small workbooks whose rows hold gigabytes, or would if a reader let them: what bounds memory has to bound these. */
import { randomBytes } from 'node:crypto'
import { writeWorkbook } from './writeWorkbook.ts'

/** Texts between two that share a place in the reader's memory of texts. */
const SHARED = 16_384
const LONG = 32_000

type Heavy = { rows: number; columns: number; state?: 'veryHidden' }

const headerRow = (columns: number): string =>
  `<row r="1">${['External ID', 'First Name', 'Last Name', 'Email', ...Array.from({ length: columns - 4 }, (_, index) => `Note ${index}`)].map((text) => `<c t="inlineStr"><is><t>${text}</t></is></c>`).join('')}</row>`
// Styles that vary keep a part from being packed out of all proportion.
const rowsOf = ({ rows, columns }: Heavy, text: (row: number, column: number) => number): string =>
  Array.from({ length: rows }, (_, index) => {
    const cells = Array.from({ length: columns }, (_, column) => `<c s="${((index + 2) * 7919 + column * 104_729) % 997}" t="s"><v>${text(index, column)}</v></c>`)
    return `<row r="${index + 2}">${cells.join('')}</row>`
  }).join('')

/** Two long texts, each the text of half of all cells: by their numbers each drives the other out of the reader's memory of texts. */
export function fewLongTexts(heavy: Heavy): Buffer {
  const long = (letter: string): string => `<si><t>${letter.repeat(LONG)}</t></si>`
  const rows = headerRow(heavy.columns) + rowsOf(heavy, (_, column) => (column % 2) * SHARED)
  const sheets = heavy.state ? [{ rows: '<row r="1"><c t="inlineStr"><is><t>Email</t></is></c></row>' }, { name: '_muster', state: heavy.state, rows }] : [{ rows }]
  return writeWorkbook({ sheets, strings: long('a') + '<si><t>-</t></si>'.repeat(SHARED - 1) + long('b') })
}

/** A long text of its own in every cell: as many as the reader could remember. */
export function manyLongTexts(heavy: Heavy): Buffer {
  const strings = Array.from({ length: heavy.rows * heavy.columns }, () => `<si><t>${randomBytes(300).toString('hex').padEnd(LONG, 'a')}</t></si>`)
  return writeWorkbook({ sheets: [{ rows: headerRow(heavy.columns) + rowsOf(heavy, (row, column) => row * heavy.columns + column) }], strings: strings.join('') })
}
