/** Puts one row of a sheet together: limits, marks of merged cells and links, and the batch that finished rows go to. */
import { FileRefused } from '../../rules/refusal.ts'
import type { Cell, Limits, SourceRow } from '../source.ts'
import { cellOf, numberOf } from './cells.ts'
import type { CellType } from './cells.ts'
import { RangeSweep } from './marks.ts'
import type { MailLink, Marks, Merge } from './marks.ts'
import { LAST_COLUMN, LAST_ROW, cellName } from './references.ts'
import type { Range } from './references.ts'
import type { SharedStrings } from './sharedStrings.ts'
import type { DateStyles } from './styles.ts'

export type SheetContext = {
  /** Name of the sheet's part, for refusals. */
  part: string
  strings: SharedStrings
  styles: DateStyles
  date1904: boolean
  limits: Limits
  marks: Marks
}

/** Rows in a batch. */
const BATCH_ROWS = 2_000
/**
 * Bytes of memory in a batch, estimated: a small file can share one long text among all its cells, each of which may make its own.
 * 2,000 ordinary rows are far below.
 */
const BATCH_BYTES = 16 * 1024 * 1024
/** Bytes of a cell besides its text: its object and its place. */
const CELL_BYTES = 64

/** Array formulas in force at one row; what lies in more than that is taken as typed values. */
const MOST_ARRAYS = 1_000

export class RowBuilder {
  readonly context: SheetContext
  /** Finished rows that nobody has taken yet, and about how many bytes they hold. */
  rows: SourceRow[] = []
  bytes = 0
  rowCount = 0
  /** Characters in the cells of the row being built. */
  characters = 0
  /** Number of the row begun last, and in it of the cell begun last; 0 = none. */
  row = 0
  column = 0
  hidden = false
  cells: Cell[] = []
  arrays: Range[] = []
  readonly merges: RangeSweep<Merge>
  readonly links: RangeSweep<MailLink>

  constructor(context: SheetContext) {
    this.context = context
    this.merges = new RangeSweep(context.marks.merges)
    this.links = new RangeSweep(context.marks.links)
  }

  openRow(row: number, hidden: boolean): void {
    if (row === this.row) throw this.damaged(`has row ${row} twice`)
    if (row < this.row) throw this.damaged(`has row ${row} after row ${this.row}`)
    if (row > LAST_ROW) throw this.damaged('has more rows than a sheet can have')
    this.row = row
    this.hidden = hidden
    this.column = 0
    this.characters = 0
    this.cells = []
    if (this.arrays.length > 0) this.arrays = this.arrays.filter((range) => range.bottom >= row)
  }

  openCell(column: number): void {
    if (column <= this.column) throw this.damaged(`has the cell ${cellName(this.row, column)} twice, or out of order`)
    if (column > LAST_COLUMN) throw this.damaged(`has a cell beyond the last column in row ${this.row}`)
    this.column = column
  }

  /** Cells in this range are results of one formula, which stands in the first of them only. */
  addArray(range: Range): void {
    if (this.arrays.length < MOST_ARRAYS) this.arrays.push(range)
  }

  putText(text: string, formula: boolean): void {
    if (text === '') return
    this.count(text.length)
    this.put(formula || this.arrays.length > 0 && this.inArray() ? { type: 'text', text, formula: true } : text)
  }

  putShared(index: number, formula: boolean): void {
    const text = this.context.strings.get(index)
    if (text === undefined) throw this.damaged(`has the cell ${this.here()} with a shared text that does not exist`)
    this.putText(text, formula)
  }

  /** A number written by its digits and without a formula. */
  putNumber(text: string, style: number): void {
    this.count(text.length)
    const cell = numberOf(text, this.context.styles.isDate(style), this.context.date1904)
    if (this.arrays.length > 0 && this.inArray() && typeof cell === 'object') this.put({ ...cell, formula: true } as Cell)
    else this.put(cell)
  }

  /** A cell of any type but shared text; `text` null where the cell has no content. */
  putStored(type: CellType, text: string | null, formula: boolean, style: number): void {
    const cell = cellOf(type, text, formula || text !== null && this.arrays.length > 0 && this.inArray(), this.context.styles.isDate(style), this.context.date1904)
    if (typeof cell === 'string') this.putText(cell, false)
    else if (cell?.type === 'text') this.putText(cell.text, true)
    else if (cell) {
      this.count(text?.length ?? 0)
      this.put(cell)
    }
  }

  /** Counts the characters of a cell to come. */
  count(length: number): void {
    const { limits } = this.context
    if (length > limits.cellCharacters) throw this.tooLong(length)
    this.characters += length
    if (this.characters > limits.rowCharacters) throw new FileRefused('file.too_large', { what: `number of characters in row ${this.row}`, size: this.characters, limit: limits.rowCharacters })
  }

  put(cell: Cell): void {
    const { limits } = this.context
    if (this.column > limits.columns) throw new FileRefused('file.too_large', { what: 'number of columns', size: this.column, limit: limits.columns })
    const { cells } = this
    while (cells.length < this.column - 1) cells.push(null)
    cells.push(cell)
  }

  closeRow(): void {
    const { cells, row, context } = this
    if (cells.length === 0) return
    if (context.marks.links.length > 0) this.markLinks()
    if (context.marks.merges.length > 0) this.markMerged()
    if (++this.rowCount > context.limits.rows) throw new FileRefused('file.too_large', { what: 'number of rows', size: this.rowCount, limit: context.limits.rows })
    this.rows.push(this.hidden ? { row, cells, hidden: true } : { row, cells })
    this.bytes += cells.length * CELL_BYTES + this.characters * 2
  }

  /** Whether the finished rows are a batch: they are to be taken before more are read. */
  isFull(): boolean {
    return this.rows.length >= BATCH_ROWS || this.bytes >= BATCH_BYTES
  }

  /** Hands the finished rows over. */
  takeRows(): SourceRow[] {
    const { rows } = this
    this.rows = []
    this.bytes = 0
    return rows
  }

  /** A range over several rows marks all of its cells, as its value cannot be told to belong to one row; within one row only the covered ones. */
  markMerged(): void {
    const { cells, row } = this
    const { columns } = this.context.limits
    let marked = 0
    for (const range of this.merges.at(row)) {
      const right = Math.min(range.right, columns)
      const left = range.top === range.bottom ? range.left + 1 : range.left
      marked += Math.max(0, right - left + 1)
      // Ranges that overlap are no sheet of any program, and could be made to mark without end.
      if (marked > columns) throw this.damaged('merges cells that are merged already')
      for (let column = left; column <= right; column++) {
        while (cells.length < column) cells.push(null)
        cells[column - 1] = range.cell
      }
    }
  }

  /** What is shown counts; where a mail link leads elsewhere, the cell says so (faults: bad input 8). */
  markLinks(): void {
    const { cells } = this
    const links = this.links.at(this.row)
    if (links.length > LAST_COLUMN) throw this.damaged('links a cell many times')
    for (const { left, right, address } of links) {
      for (let column = left; column <= Math.min(right, cells.length); column++) {
        const cell = cells[column - 1]!
        const shown = typeof cell === 'string' ? cell : cell?.type === 'text' ? cell.text : null
        if (shown === null || shown.trim().toLowerCase() === address.toLowerCase()) continue
        cells[column - 1] = typeof cell === 'string' ? { type: 'text', text: shown, linkTarget: address } : { ...cell, linkTarget: address } as Cell
      }
    }
  }

  inArray(): boolean {
    return this.arrays.some((range) => this.row >= range.top && this.row <= range.bottom && this.column >= range.left && this.column <= range.right)
  }

  here(): string {
    return cellName(this.row, this.column)
  }

  tooLong(size: number): FileRefused {
    return new FileRefused('file.too_large', { what: `number of characters in cell ${this.here()}`, size, limit: this.context.limits.cellCharacters })
  }

  damaged(what: string): FileRefused {
    return new FileRefused('file.corrupt', { what: `its part ${this.context.part} ${what}` })
  }
}
