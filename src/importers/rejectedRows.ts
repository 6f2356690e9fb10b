import { ERRORS_HEADER } from '../rules/columns.ts'
import type { MatchedColumn } from '../rules/columns.ts'
import type { ShownIssue } from './rowIssues.ts'
import type { Cell, Source, SourceRow } from './source.ts'

/** What is handed back to a sender (E3). */
export type Rejected = {
  /** The sender's own file, to be read anew. */
  original: Source
  /** The row of its header, and what each column was taken for. */
  headerRow: number
  columns: readonly MatchedColumn[]
  /** The problems of the rejected and held rows, by ascending row. Rows that have warnings alone are left out. */
  issues: AsyncIterable<ShownIssue> | Iterable<ShownIssue>
}

/** How much was handed back: rows, and the problems told of them. */
export type Returned = { rows: number; issues: number }

export type RejectedRow = { source: SourceRow; issues: readonly ShownIssue[] }

export type RejectedRows = {
  /** The header's texts as they stand in the file. */
  header: readonly (string | null)[]
  /** How many of the columns are the sender's own. An Errors column that was added before is left off, to be written anew. */
  width: number
  /** Whether the file had such an Errors column. */
  hadErrors: boolean
  rows: AsyncGenerator<RejectedRow, void>
}

/**
 * Reads the rejected rows with their problems, in file order. Holds one row's problems and one batch of the file at a time.
 * Throws, now or while rows are read, where the problems are out of order or speak of a row that the file does not have:
 * as many rows have to be handed back as were rejected.
 */
export async function readRejected({ original, headerRow, columns, issues }: Rejected): Promise<RejectedRows> {
  const batches = original.rows()[Symbol.asyncIterator]()
  for (let next = await batches.next(); !next.done; next = await batches.next()) {
    const at = next.value.findIndex(({ row }) => row === headerRow)
    if (at === -1) continue
    const header = next.value[at]!.cells.map(headerText)
    const filled = header.findLastIndex(text => text !== null && text.trim() !== '') + 1
    const hadErrors = header[filled - 1] === ERRORS_HEADER && columns.find(({ index }) => index === filled - 1)?.by === 'ignored'
    return { header, width: hadErrors ? filled - 1 : filled, hadErrors, rows: join(next.value.slice(at + 1), batches, issues) }
  }
  throw new Error(`row ${headerRow}, the header, is not in the file`)
}

async function* join(first: readonly SourceRow[], batches: AsyncIterator<SourceRow[]>, issues: Rejected['issues']): AsyncGenerator<RejectedRow, void> {
  const wanted = rowsWithErrors(issues)
  try {
    let next = await wanted.next()
    let batch: readonly SourceRow[] | undefined = first
    while (!next.done) {
      if (batch === undefined) throw new Error(`row ${next.value.row} has problems but is not in the file`)
      for (const source of batch) {
        if (next.done || source.row < next.value.row) continue
        if (source.row > next.value.row) throw new Error(`row ${next.value.row} has problems but is not in the file`)
        yield { source, issues: next.value.issues }
        next = await wanted.next()
      }
      if (next.done) return
      const read = await batches.next()
      batch = read.done ? undefined : read.value
    }
  } finally {
    await wanted.return()
    await batches.return?.()
  }
}

type ProblemsOfRow = { row: number; issues: ShownIssue[] }

async function* rowsWithErrors(issues: Rejected['issues']): AsyncGenerator<ProblemsOfRow, void> {
  let current: ProblemsOfRow = { row: 0, issues: [] }
  for await (const issue of issues) {
    if (issue.row < current.row) throw new Error(`the problems of row ${issue.row} come after those of row ${current.row}`)
    if (issue.row > current.row) {
      if (isStopped(current)) yield current
      current = { row: issue.row, issues: [] }
    }
    current.issues.push(issue)
  }
  if (isStopped(current)) yield current
}

const isStopped = ({ issues }: ProblemsOfRow): boolean => issues.some(({ severity }) => severity === 'error')

function headerText(cell: Cell): string | null {
  if (cell === null || typeof cell === 'string') return cell
  return 'text' in cell ? cell.text : cell.type === 'date' ? cell.iso : null
}

/** The column that a problem stands in, from 0; -1 where it concerns the whole row, or a column that the file does not have. */
export function columnOf(issue: ShownIssue, columns: readonly MatchedColumn[]): number {
  const byHeader = issue.column === null ? undefined : columns.find(column => column.header === issue.column)
  const byField = issue.field === null ? undefined : columns.find(column => column.field === issue.field)
  return (byField ?? byHeader)?.index ?? -1
}

/** What the Errors column says: the row of the sender's file, and each problem in a sentence. */
export function tellProblems({ source, issues }: RejectedRow): string {
  const sentences = issues.map(({ column, severity, message, hint }) => {
    const place = [...(column === null ? [] : [column]), ...(severity === 'warning' ? ['warning'] : [])].join(', ')
    return `${place === '' ? '' : `[${place}] `}${message} ${hint}`.trim()
  })
  return `Row ${source.row}: ${sentences.join(' ')}`
}

/** Whether a text is one of tellProblems. */
export const isTold = (text: string): boolean => /^Row \d+: /.test(text)
