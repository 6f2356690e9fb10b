/**
 * What both readers (workbook and CSV) hand on: rows of cells in batches, in file order.
 * A plain text cell is a string, an empty one null; anything that needs judging is an object.
 */
export type Cell = string | null | TypedCell

export type TypedCell =
  /** `text` is the number as stored in the file, before any loss through floating point. */
  | ({ type: 'number'; value: number; text: string } & CellMarks)
  /** `iso` is YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, without a zone: the organization's zone applies. */
  | ({ type: 'date'; iso: string; serial: number | null } & CellMarks)
  | ({ type: 'boolean'; value: boolean } & CellMarks)
  /** An error value such as #N/A. */
  | ({ type: 'error'; text: string } & CellMarks)
  /** Text that carries a mark; without a mark text is a plain string. */
  | ({ type: 'text'; text: string } & CellMarks)
  /** A formula that was stored without a result: nothing can be read from it. */
  | { type: 'uncalculated' }
  /** A cell covered by a merged range whose value stands elsewhere; the range as A1:B2. */
  | { type: 'merged'; range: string }

export type CellMarks = {
  /** The value is the cached result of a formula. */
  formula?: true
  /** The address behind a mailto: link that differs from the text shown. */
  linkTarget?: string
}

export type SourceRow = {
  /** The sheet's own row number, or the line on which a CSV record begins. 1 = first. */
  row: number
  cells: readonly Cell[]
  /** The row is hidden or filtered out in the sheet: imported, and counted. */
  hidden?: true
  /** A CSV record with another number of fields than the header has. */
  fieldCount?: 'too_few' | 'too_many'
}

/** Bytes that can be read from anywhere: a file on disk, or chunks in PostgreSQL. */
export type ByteSource = {
  /** Size in bytes. */
  size: number
  /** Exactly `length` bytes from `offset`; rejects when the source ends before. */
  read(offset: number, length: number): Promise<Buffer>
  /** The whole in order, in pieces of any size. */
  stream(): AsyncIterable<Buffer>
}

export type Limits = {
  /** Bytes of the file itself. */
  fileBytes: number
  /** Bytes of all parts of a workbook once unpacked. */
  unpackedBytes: number
  /** Unpacked bytes for each packed byte, of any one part above 1 MB. */
  ratio: number
  /** Parts in a workbook's container. */
  entries: number
  rows: number
  columns: number
  /** Characters in one cell. */
  cellCharacters: number
  /** Characters in all cells of one row: what bounds memory where its single cells are within their limit. */
  rowCharacters: number
}

export const LIMITS: Limits = {
  fileBytes: 512 * 1024 * 1024,
  unpackedBytes: 4 * 1024 * 1024 * 1024,
  ratio: 200,
  entries: 2_000,
  rows: 1_048_576,
  columns: 500,
  cellCharacters: 32_767,
  rowCharacters: 4 * 1024 * 1024,
}

/** What was found out about a file before its rows are read; shown to people as it is. */
export type SourceDescription = {
  format: 'xlsx' | 'csv'
  sheet: string | null
  encoding: string | null
  delimiter: string | null
}

export type Source = {
  description: SourceDescription
  /** Batches of up to some thousand rows, fewer where they hold much: a batch takes some MB of memory. Ends early only by throwing FileRefused. */
  rows(): AsyncIterable<SourceRow[]>
}
