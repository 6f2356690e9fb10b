import { FileRefused } from '../../rules/refusal.ts'
import type { Cell, Limits, SourceRow } from '../source.ts'
import { countNewlines, nextQuote, splitRecords, splitUnfinished } from './records.ts'

/** Characters that are split into records at once. */
const PIECE = 256 * 1024
/** The most rows handed on at once. */
const BATCH = 4_096
/** As many columns as a sheet can have: trailing delimiters without a value are passed over as far as that. */
const SHEET_COLUMNS = 16_384

export type RowsOptions = {
  /** The characters of a `sep=` line with which the text begins, or 0. */
  start: number
  delimiter: string
  limits: Limits
  /** Characters that are split into records at once. */
  pieceSize?: number
}

/**
 * The rows of a text that comes in pieces, in batches; `openCsv` says what a row is. Nothing is read ahead of the consumer:
 * one piece and the beginning of one record are held. Throws FileRefused as `openCsv` says.
 */
export async function* readRows(texts: AsyncIterable<string>, { start, delimiter, limits, pieceSize = PIECE }: RowsOptions): AsyncGenerator<SourceRow[]> {
  const shape = rowShaper(limits)
  let line = start > 0 ? 2 : 1
  let rest = ''
  // A record longer than a piece is looked at again only when twice as much of it is there: linear, however long it is.
  const pieces = gather(texts, start, () => Math.max(pieceSize, 2 * rest.length))
  for await (const piece of pieces) {
    let text = rest + piece.text
    if (piece.isLast && text !== '' && !text.endsWith('\n')) text += '\n'
    const split = splitRecords(text, delimiter)
    if (split.ambiguousAfter !== null) throw unclosedQuote(line + split.ambiguousAfter)
    const { records, areLines } = split
    for (let from = 0; from < records.length; from += BATCH) {
      const batch: SourceRow[] = []
      for (let index = from; index < Math.min(from + BATCH, records.length); index += 1) {
        const record = records[index]!
        const lines = areLines ? 1 : linesOf(record)
        const row = shape(line, record)
        if (row) batch.push(row)
        line += lines
      }
      if (batch.length > 0) yield batch
    }
    rest = split.rest
    if (piece.isLast && rest !== '') throw unclosedQuote(line + (splitUnfinished(rest, delimiter).open?.newlinesBefore ?? 0))
    if (rest.length > limits.cellCharacters) await checkUnfinished(rest, line, pieces, delimiter, limits)
  }
  if (!shape.hasHeader()) throw new FileRefused('file.empty', { what: 'no data' })
}

/** Joins texts into pieces of at least as many characters as are wanted; leaves off the first `start` characters. */
async function* gather(texts: AsyncIterable<string>, start: number, wanted: () => number): AsyncGenerator<{ text: string; isLast: boolean }> {
  let parts: string[] = []
  let size = 0
  let skip = start
  for await (const text of texts) {
    parts.push(text)
    size += text.length
    if (size < Math.max(start, wanted())) continue
    yield { text: parts.join('').slice(skip), isLast: false }
    parts = []
    size = 0
    skip = 0
  }
  yield { text: parts.join('').slice(skip), isLast: true }
}

const linesOf = (record: readonly string[]): number => {
  let lines = 1
  for (const field of record) {
    if (field.includes('\n') || field.includes('\r')) lines += countNewlines(field)
  }
  return lines
}

type RowShaper = { (line: number, record: string[]): SourceRow | null; hasHeader(): boolean }

/** Makes rows of records in file order, the first one the header. Changes the records' arrays instead of copying them. */
const rowShaper = (limits: Limits): RowShaper => {
  let count = 0
  let width = 0
  let needed = 0

  const shape = (line: number, record: string[]): SourceRow | null => {
    const isBlank = record.length === 1 && record[0] === ''
    if (isBlank && count === 0) return null
    count += 1
    if (count > limits.rows) throw tooLarge('number of rows', count, limits.rows)
    if (isBlank) return { row: line, cells: [] }

    const cells: Cell[] = record
    let characters = 0
    for (let index = 0; index < record.length; index += 1) {
      const { length } = record[index]!
      if (length === 0) cells[index] = null
      else if (length > limits.cellCharacters) throw tooLarge('number of characters in one cell', length, limits.cellCharacters)
      characters += length
    }
    if (characters > limits.rowCharacters) throw tooLarge('number of characters in one row', characters, limits.rowCharacters)
    if (record.length === width) return { row: line, cells }

    const filled = cells.findLastIndex((cell) => cell !== null) + 1
    if (filled > limits.columns || cells.length > Math.max(SHEET_COLUMNS, limits.columns)) throw tooLarge('number of columns', cells.length, limits.columns)
    if (count === 1) {
      if (cells.length > limits.columns) cells.length = filled
      width = cells.length
      needed = filled
      return { row: line, cells }
    }
    if (cells.length > width) {
      cells.length = Math.max(width, filled)
      return filled > width ? { row: line, cells, fieldCount: 'too_many' } : { row: line, cells }
    }
    // A record of delimiters alone holds nothing that could stand in the wrong column.
    return cells.length < needed && filled > 0 ? { row: line, cells, fieldCount: 'too_few' } : { row: line, cells }
  }
  return Object.assign(shape, { hasHeader: () => count > 0 })
}

/** What is too large, its size and the limit, as the refusal of the file. */
export const tooLarge = (what: string, size: number, limit: number): FileRefused => new FileRefused('file.too_large', { what, size, limit })

const unclosedQuote = (line: number): FileRefused => new FileRefused('file.unclosed_quote', { line })

/** Refuses a record that is too wide, or has a field too long, before it has been read to its end: memory has a bound. */
const checkUnfinished = async (text: string, line: number, pieces: AsyncIterable<{ text: string }>, delimiter: string, limits: Limits): Promise<void> => {
  const { fields, open } = splitUnfinished(text, delimiter)
  if (fields.length > Math.max(SHEET_COLUMNS, limits.columns)) throw tooLarge('number of columns', fields.length, limits.columns)
  const long = fields.findIndex((field) => field.length > limits.cellCharacters)
  if (long === -1 && text.length > limits.rowCharacters) throw tooLarge('number of characters in one row', text.length, limits.rowCharacters)
  if (long === -1) return
  if (open === null || long < fields.length - 1) throw tooLarge('number of characters in one cell', fields[long]!.length, limits.cellCharacters)

  // Within quotes: whether the field is too long, or its quote was never closed, shows where it ends. Nothing is kept until there.
  const refusal = unclosedQuote(line + open.newlinesBefore)
  let size = 0
  let tail = open.text
  const settle = (): void => {
    const { at, kind } = nextQuote(tail, 0, delimiter)
    if (kind === 'closing') throw tooLarge('number of characters in one cell', size + at, limits.cellCharacters)
    const kept = at === -1 ? '' : tail.slice(at)
    if (kind === 'alone' || kept.length > limits.cellCharacters) throw refusal
    size += tail.length - kept.length
    tail = kept
  }
  settle()
  for await (const piece of pieces) {
    tail += piece.text
    settle()
  }
  throw refusal
}
