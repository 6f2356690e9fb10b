/** Rows of people as the files that senders make of them. */
import { writeWorkbook } from './writeWorkbook.ts'

/** Rows of texts as a CSV file; the first row is the header. */
export function csvOf(rows: readonly (readonly (string | null)[])[], delimiter = ','): Buffer {
  const field = (text: string | null): string => (text !== null && (/["\r\n]|^\s|\s$/.test(text) || text.includes(delimiter)) ? `"${text.replaceAll('"', '""')}"` : (text ?? ''))
  return Buffer.from(rows.map((row) => `${row.map(field).join(delimiter)}\r\n`).join(''))
}

/** Rows of texts as a workbook; the first row is the header. */
export function workbookOf(rows: readonly (readonly (string | null)[])[], sheet = 'People'): Buffer {
  return writeWorkbook({ sheets: [{ name: sheet, rows: rows.map((cells, index) => rowXml(index + 1, cells)).join('') }] })
}

/** A row of a sheet; a cell is text, or the XML between its name and its end as in ` t="n"><v>1</v>`. */
export function rowXml(row: number, cells: readonly (string | null | { xml: string })[], attributes = ''): string {
  const cell = (content: string | null | { xml: string }, index: number): string => {
    if (content === null) return ''
    const name = `${columnName(index)}${row}`
    if (typeof content === 'object') return `<c r="${name}"${content.xml}</c>`
    return `<c r="${name}" t="inlineStr"><is><t xml:space="preserve">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</t></is></c>`
  }
  return `<row r="${row}"${attributes}>${cells.map(cell).join('')}</row>`
}

const columnName = (index: number): string => (index < 26 ? '' : columnName(Math.floor(index / 26) - 1)) + String.fromCharCode(65 + (index % 26))
