import { PassThrough } from 'node:stream'
import type { Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import ExcelJS from 'exceljs'
import { openWorkbook } from '../../src/importers/parseWorkbook.ts'
import type { ShownIssue } from '../../src/importers/rowIssues.ts'
import { LIMITS } from '../../src/importers/source.ts'
import type { Cell, Source, SourceRow } from '../../src/importers/source.ts'
import { explainIssue } from '../../src/rules/catalog.ts'
import type { IssueCode } from '../../src/rules/catalog.ts'
import { matchHeaders } from '../../src/rules/columns.ts'
import type { MatchedColumn } from '../../src/rules/columns.ts'
import type { FieldName } from '../../src/rules/fields.ts'
import { bytesInPieces } from './csv/fromBytes.ts'

/** A problem as it is shown, of a row and a column given by its header and field. */
export const problem = (row: number, code: IssueCode, column: string | null = null, field: FieldName | null = null): ShownIssue =>
  ({ row, column, field, code, value: null, ...explainIssue(code, { column: column ?? 'The row' }) })

export const columnsOf = (header: readonly Cell[]): MatchedColumn[] =>
  matchHeaders(header.map(cell => (typeof cell === 'string' ? cell : null)), null).columns

/** A source of rows in memory, in batches of the given size; the first is the header. */
export const sourceOf = (rows: readonly SourceRow[], description: Partial<Source['description']> = {}, batch = 3): Source => ({
  description: { format: 'xlsx', sheet: 'Staff', encoding: null, delimiter: null, ...description },
  async *rows() {
    for (let from = 0; from < rows.length; from += batch) yield rows.slice(from, from + batch)
  },
})

export const openBytes = (bytes: Buffer) => openWorkbook(bytesInPieces(bytes), LIMITS)

export const readAll = async (source: Pick<Source, 'rows'>): Promise<SourceRow[]> => {
  const rows: SourceRow[] = []
  for await (const batch of source.rows()) rows.push(...batch)
  return rows
}

/** A workbook as another program sees it. */
export const loadBytes = async (bytes: Buffer): Promise<ExcelJS.Workbook> => {
  const book = new ExcelJS.Workbook()
  await book.xlsx.load(bytes as unknown as ArrayBuffer)
  return book
}

export const saveBytes = async (book: ExcelJS.Workbook): Promise<Buffer> => Buffer.from(await book.xlsx.writeBuffer())

/** What a function writes into a stream, and what it returns. */
export const collect = async <T>(write: (out: Writable) => Promise<T>): Promise<{ bytes: Buffer; returned: T }> => {
  const out = new PassThrough()
  const [bytes, returned] = await Promise.all([buffer(out), write(out)])
  return { bytes, returned }
}

/** Takes a few pieces, then breaks. */
export const breakingAfter = (pieces: number): PassThrough => {
  const out = new PassThrough()
  let seen = 0
  out.on('data', () => {
    seen += 1
    if (seen === pieces) out.destroy()
  })
  return out
}
