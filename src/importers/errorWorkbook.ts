import type { Writable } from 'node:stream'
import { ERRORS_HEADER } from '../rules/columns.ts'
import type { MatchedColumn } from '../rules/columns.ts'
import { fieldNamed } from '../rules/fields.ts'
import { columnOf, readRejected, tellProblems } from './rejectedRows.ts'
import type { Rejected, RejectedRow, Returned } from './rejectedRows.ts'
import type { ShownIssue } from './rowIssues.ts'
import type { Cell } from './source.ts'
import { IDENTITY_SHEET, identityRows } from './template/identity.ts'
import type { TemplateIdentity } from './template/identity.ts'
import { openWorkbookWriter } from './writeWorkbook.ts'
import type { Style, WorkbookCell, WorkbookWriter } from './writeWorkbook.ts'

export type RejectedOfWorkbook = Rejected & {
  /** Whose template the file was filled in from, if any, so that the mended one is recognized too. */
  identity?: TemplateIdentity | null
}

/** Rows, and characters in their cells, after which it is looked whether the destination keeps up. */
const BATCH = 200
const BATCH_CHARACTERS = 2 * 1024 * 1024
const ERRORS_WIDTH = 80
const FALLBACK_SHEET = 'People'

const WRONG = 'FFC7CE'
const DOUBTFUL = 'FFEB9C'
const HEADER: Style = { format: '@', bold: true, color: 'FFFFFF', fill: '1F4E79', centered: true }
const ERRORS_HEAD: Style = { format: '@', bold: true, color: 'FFFFFF', fill: 'A33A00', centered: true }
const TOLD: Style = { format: '@', color: '9C0006' }

/** The looks of a cell: as it was, doubtful (a warning), wrong. */
type Looks = { plain: Style; doubtful: Style; wrong: Style }
const looks = (format?: string): Looks => {
  const base = format === undefined ? {} : { format }
  return { plain: { ...base }, doubtful: { ...base, fill: DOUBTFUL }, wrong: { ...base, fill: WRONG } }
}
const TEXT = looks('@')
const NUMBER = looks()
const DAY = looks('yyyy-mm-dd')
const MOMENT = looks('yyyy-mm-dd hh:mm:ss')

/** Error values that a workbook may hold (ECMA-376 part 1, 18.17.2.7); others are written as text. */
const ERROR_VALUES = new Set(['#N/A', '#REF!', '#NAME?', '#DIV/0!', '#NULL!', '#VALUE!', '#NUM!'])

/**
 * Writes the error workbook (E3) into `out` and ends it: the sender's own header, only the rejected rows with their cells as they were,
 * the wrong ones colored and with a note, and an Errors column. Formulas come back as their last result, links as the text shown,
 * cells that were merged away or never calculated as blank ones. Memory stays flat, however many rows there are.
 * On a failure `out` is destroyed and the promise rejects.
 */
export async function writeErrorWorkbook(out: Writable, rejected: RejectedOfWorkbook): Promise<Returned> {
  try {
    const book = await openWorkbookWriter(out)
    const returned = await writeRows(book, rejected)
    if (rejected.identity) await writeIdentity(book, rejected.identity)
    await book.close()
    return returned
  } catch (error) {
    out.destroy()
    throw error
  }
}

async function writeRows(book: WorkbookWriter, rejected: Rejected): Promise<Returned> {
  const { header, width, rows } = await readRejected(rejected)
  const own = Array.from({ length: width }, (_, index) => rejected.columns.find(column => column.index === index))
  const retyped = own.map(isRetypedAsText)
  const sheet = book.addSheet({
    name: sheetName(rejected.original.description.sheet),
    columns: [...own.map((column, index) => ({ width: widthOf(column), ...(retyped[index] && { style: TEXT.plain }) })), { width: ERRORS_WIDTH, style: TOLD }],
    frozen: { rows: 1, columns: 0 },
    tab: 'A33A00',
  })
  sheet.addRow([...own.map((_, index) => ({ value: header[index] ?? null, style: HEADER })), { value: ERRORS_HEADER, style: ERRORS_HEAD }], 24)

  const returned = { rows: 0, issues: 0 }
  let characters = 0
  for await (const row of rows) {
    const cells = cellsOf(row, rejected.columns, retyped)
    sheet.addRow(cells)
    for (const cell of cells) if (typeof cell?.value === 'string') characters += cell.value.length
    returned.rows += 1
    returned.issues += row.issues.length
    if (returned.rows % BATCH !== 0 && characters < BATCH_CHARACTERS) continue
    await sheet.settle()
    characters = 0
  }
  await sheet.close()
  return returned
}

/** The cells below the header, and what is wrong with them. Cells beyond the header were never read, and are left out. */
function cellsOf(row: RejectedRow, columns: readonly MatchedColumn[], retyped: readonly boolean[]): (WorkbookCell | null)[] {
  const byColumn = Map.groupBy(row.issues, issue => columnOf(issue, columns))
  const cells = retyped.map((isRetyped, index) => cellOf(row.source.cells[index] ?? null, byColumn.get(index), isRetyped))
  return [...cells, { value: tellProblems(row), style: TOLD }]
}

function cellOf(cell: Cell, issues: readonly ShownIssue[] | undefined, isRetyped: boolean): WorkbookCell | null {
  const { value, as } = valueOf(cell)
  const style = isRetyped && as === NUMBER ? TEXT : as
  if (issues === undefined) return value === null ? null : { value, style: style.plain }
  const isWrong = issues.some(({ severity }) => severity === 'error')
  return { value, style: isWrong ? style.wrong : style.doubtful, note: issues.map(({ message, hint }) => `${message}\n${hint}`.trim()).join('\n\n') }
}

function valueOf(cell: Cell): { value: WorkbookCell['value']; as: Looks } {
  if (cell === null || typeof cell === 'string') return { value: cell, as: TEXT }
  switch (cell.type) {
    case 'text': return { value: cell.text, as: TEXT }
    case 'number': return { value: cell.value, as: NUMBER }
    case 'boolean': return { value: cell.value, as: NUMBER }
    case 'error': return { value: ERROR_VALUES.has(cell.text) ? { error: cell.text } : cell.text, as: TEXT }
    case 'date': return { value: cell.serial ?? new Date(`${cell.iso}${cell.iso.includes('T') ? '' : 'T00:00:00'}Z`), as: cell.iso.includes('T') ? MOMENT : DAY }
    case 'uncalculated':
    case 'merged': return { value: null, as: TEXT }
  }
}

/** Columns whose digits a spreadsheet must not take for a number again when somebody corrects them. */
const isRetypedAsText = (column: MatchedColumn | undefined): boolean =>
  column !== undefined && column.field !== null && ['identifier', 'phone', 'username'].includes(fieldNamed(column.field).kind)

const widthOf = (column: MatchedColumn | undefined): number =>
  column?.field === 'email' ? 32 : Math.min(32, Math.max(16, (column?.header.length ?? 0) + 4))

/** The sheet keeps its name as far as it is one that a workbook takes. */
const sheetName = (name: string | null): string =>
  name !== null && name.length <= 31 && !/[*?:\\/[\]\p{Cc}]|^'|'$/u.test(name) && name !== '' && name.toLowerCase() !== IDENTITY_SHEET ? name : FALLBACK_SHEET

async function writeIdentity(book: WorkbookWriter, identity: TemplateIdentity): Promise<void> {
  const sheet = book.addSheet({ name: IDENTITY_SHEET, state: 'veryHidden', columns: [{ width: 16, style: TEXT.plain }, { width: 40, style: TEXT.plain }] })
  for (const row of identityRows(identity)) sheet.addRow(row.map(value => ({ value, style: TEXT.plain })))
  await sheet.close()
}
