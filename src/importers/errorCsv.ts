import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ERRORS_HEADER } from '../rules/columns.ts'
import { inertCell, uninertCell } from '../rules/inert.ts'
import { isTold, readRejected, tellProblems } from './rejectedRows.ts'
import type { Rejected, RejectedRow, Returned } from './rejectedRows.ts'
import type { Cell, SourceRow } from './source.ts'

/** Characters that are gathered before they are handed to the destination. */
const PIECE = 64 * 1024

/**
 * Writes the errors CSV (E3) into `out` and ends it: the sender's own delimiter and header, only the rejected rows with their fields as
 * they were, and an Errors column; UTF-8 with a byte order mark, lines ending in CRLF (RFC 4180).
 * What a spreadsheet would run as a formula has an apostrophe in front; asSent takes it away again.
 * On a failure `out` is destroyed and the promise rejects.
 */
export async function writeErrorCsv(out: Writable, rejected: Rejected): Promise<Returned> {
  const arrived = finished(out, { readable: false })
  arrived.catch(() => {})
  const returned = { rows: 0, issues: 0 }
  try {
    let text = ''
    for await (const line of linesOf(rejected, returned)) {
      text += line
      if (text.length < PIECE) continue
      await hand(out, text, arrived)
      text = ''
    }
    await hand(out, text, arrived)
    out.end()
    await arrived
    return returned
  } catch (error) {
    out.destroy()
    throw error
  }
}

async function hand(out: Writable, text: string, arrived: Promise<void>): Promise<void> {
  if (out.destroyed) await arrived
  if (!out.write(text, 'utf8')) await Promise.race([once(out, 'drain'), arrived])
}

/**
 * The rows of a CSV file as their sender wrote them: where the last column is an Errors column, the file is one of ours,
 * and the apostrophes that writeErrorCsv put in front are taken away, or a phone number like +1 (612) 555-0100 would come back changed.
 * Rows of all other files go through untouched.
 */
export async function* asSent(batches: AsyncIterable<SourceRow[]>): AsyncGenerator<SourceRow[]> {
  let isOurs: boolean | null = null
  for await (const batch of batches) {
    isOurs ??= batch[0]?.cells.findLast(cell => cell !== null) === ERRORS_HEADER
    yield isOurs ? batch.map(row => ({ ...row, cells: row.cells.map(cell => (typeof cell === 'string' ? uninertCell(cell) : cell)) })) : batch
  }
}

async function* linesOf(rejected: Rejected, returned: Returned): AsyncGenerator<string> {
  const { header, width, hadErrors, rows } = await readRejected(rejected)
  const delimiter = rejected.original.description.delimiter ?? ','
  const line = (fields: readonly string[]): string => `${fields.map(field => writeField(field, delimiter)).join(delimiter)}\r\n`
  // Fields without a header are the sender's too.
  const own = hadErrors ? width : header.length

  yield `\ufeff${line([...Array.from({ length: own }, (_, index) => header[index] ?? ''), ERRORS_HEADER])}`
  for await (const row of rows) {
    yield line([...fieldsOf(row, own, hadErrors), tellProblems(row)])
    returned.rows += 1
    returned.issues += row.issues.length
  }
}

/**
 * The sender's own fields. A row with too few or too many keeps as many as it has: brought to the header's number,
 * its values would be taken in under the wrong headers.
 */
function fieldsOf({ source }: RejectedRow, width: number, hadErrors: boolean): string[] {
  const fields = source.cells.map(textOf)
  if (source.fieldCount === undefined) return Array.from({ length: width }, (_, index) => fields[index] ?? '')
  if (hadErrors && isTold(fields.at(-1) ?? '')) fields.pop()
  return fields
}

function textOf(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell === 'string') return cell
  switch (cell.type) {
    case 'text':
    case 'number':
    case 'error': return cell.text
    case 'date': return cell.iso.replace('T', ' ')
    case 'boolean': return cell.value ? 'TRUE' : 'FALSE'
    case 'uncalculated':
    case 'merged': return ''
  }
}

/** A field as RFC 4180 wants it, and as no spreadsheet runs it. Spaces at the ends are quoted too: some readers drop them. */
function writeField(text: string, delimiter: string): string {
  const inert = inertCell(text)
  return inert.includes(delimiter) || /["\r\n]|^\s|\s$/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert
}
