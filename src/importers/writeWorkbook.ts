import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type ExcelJS from 'exceljs'

/** How a cell looks. Share one object among the cells that look alike: each object is translated once for a workbook. */
export type Style = {
  /** The number format; '@' is text, which keeps leading zeros and turns nothing typed into a formula. Default: General. */
  format?: string
  bold?: boolean
  italic?: boolean
  /** Points. Default: 11. */
  size?: number
  /** Of the text and of the background, as RRGGBB. */
  color?: string
  fill?: string
  wrap?: boolean
  /** Halfway up the row instead of at its top. */
  centered?: boolean
  /** A little away from the cell's left edge. */
  indented?: boolean
  /** A thin line below. */
  underlined?: boolean
}

/** What a cell holds. There is no formula among these, and a string is always stored as text, whatever it begins with. */
export type WorkbookCell = {
  value: string | number | boolean | Date | { error: string } | null
  style?: Style
  note?: string
}

export type DropDown = {
  /** The cells that have the list: B2:B5000. */
  range: string
  /** Where its values stand: Lists!$A$2:$A$9. A list may be of any length so. */
  values: string
  /** What is asked when something else is typed; null where anything may be typed, such as several values. */
  question: { title: string; text: string } | null
}

export type SheetLayout = {
  name: string
  /** `veryHidden` cannot be shown from a spreadsheet's menu. Default: visible. */
  state?: 'visible' | 'hidden' | 'veryHidden'
  /** Width in characters; the style also holds for the cells below the last row. */
  columns: readonly { width: number; style?: Style }[]
  frozen?: { rows: number; columns: number }
  gridLines?: boolean
  /** Printed, all columns stand on one page. */
  onePageWide?: boolean
  /** The color of the tab, as RRGGBB. */
  tab?: string
  dropDowns?: readonly DropDown[]
}

export type SheetWriter = {
  /** Appends a row. `height` in points. */
  addRow(cells: readonly (WorkbookCell | null)[], height?: number): void
  /** Resolves when what was added so far has gone out, as far as memory has to care. Await it every some hundred rows. */
  settle(): Promise<void>
  /** Ends the sheet. Sheets are written one after the other. */
  close(): Promise<void>
}

export type WorkbookWriter = {
  addSheet(layout: SheetLayout): SheetWriter
  /** Ends the workbook and resolves once the destination has it all. Rejects where the destination broke. */
  close(): Promise<void>
}

/**
 * Notes of one workbook. They are held in memory until their sheet ends, and a spreadsheet becomes slow with
 * tens of thousands of them: what comes after these keeps its color and goes without.
 */
const MOST_NOTES = 20_000
const MOST_NOTE_CHARACTERS = 1_000
/** A cell holds no more (ECMA-376 and Excel's limits). */
const MOST_CELL_CHARACTERS = 32_767

const EMPTY = Buffer.alloc(0)

/** What a worksheet of exceljs 4.4 writes into, as far as its types do not tell: it never waits by itself. */
type Internals = {
  stream: { pipes: Writable[] }
  dataValidations: { add(range: string, validation: ExcelJS.DataValidation): void }
}

/**
 * Writes a workbook (.xlsx) into `out` as it grows, in flat memory, and ends `out` with it.
 * The one place that knows exceljs.
 */
export async function openWorkbookWriter(out: Writable): Promise<WorkbookWriter> {
  // Loading the library takes a moment that only those who write a workbook should wait for.
  const { default: ExcelJS } = await import('exceljs')
  const book = new ExcelJS.stream.xlsx.WorkbookWriter({ stream: out, useStyles: true, useSharedStrings: false })
  book.creator = 'Muster'
  book.lastModifiedBy = 'Muster'
  // The library waits for `finish` alone, and would wait for ever for a destination that was closed.
  const arrived = finished(out, { readable: false })
  arrived.catch(() => {})
  const styles = new Map<Style, Partial<ExcelJS.Style>>()
  const styled = (style: Style): Partial<ExcelJS.Style> => {
    const known = styles.get(style)
    if (known !== undefined) return known
    const made = makeStyle(style)
    styles.set(style, made)
    return made
  }
  let notes = 0

  const addSheet = (layout: SheetLayout): SheetWriter => {
    const sheet = book.addWorksheet(layout.name, sheetOptions(layout))
    const inside = sheet as unknown as Internals
    sheet.columns = layout.columns.map(({ width, style }) => ({ width, ...(style && { style: styled(style) }) }))
    for (const { range, values, question } of layout.dropDowns ?? []) {
      inside.dataValidations.add(range, {
        type: 'list', formulae: [values], allowBlank: true,
        ...(question && { showErrorMessage: true, errorStyle: 'warning', errorTitle: question.title, error: question.text }),
      })
    }
    let row = 0

    const addRow = (cells: readonly (WorkbookCell | null)[], height?: number): void => {
      row += 1
      const line = sheet.getRow(row)
      if (height !== undefined) line.height = height
      for (const [index, given] of cells.entries()) {
        if (given === null) continue
        const cell = line.getCell(index + 1)
        if (given.value !== null) cell.value = makeValue(given.value)
        if (given.style !== undefined) cell.style = styled(given.style)
        if (given.note !== undefined && notes < MOST_NOTES) {
          notes += 1
          cell.note = { texts: [{ font: { size: 9, name: 'Tahoma' }, text: escapeText(shorten(given.note, MOST_NOTE_CHARACTERS)) }] }
        }
      }
      line.commit()
    }
    const settle = async (): Promise<void> => {
      if (out.destroyed) await arrived
      // An empty piece is taken when all before it have been: the pipes are of a readable-stream that tells no other way.
      const taken = inside.stream.pipes.map(pipe => new Promise<void>(resolve => { pipe.write(EMPTY, () => { resolve() }) }))
      await Promise.race([Promise.all(taken), arrived])
    }
    const close = async (): Promise<void> => {
      sheet.commit()
      if (out.destroyed) await arrived
    }
    return { addRow, settle, close }
  }

  const close = async (): Promise<void> => {
    await Promise.race([book.commit(), arrived])
    await arrived
  }
  return { addSheet, close }
}

const sheetOptions = (layout: SheetLayout): Partial<ExcelJS.AddWorksheetOptions> => ({
  state: layout.state ?? 'visible',
  properties: { ...(layout.tab !== undefined && { tabColor: { argb: `FF${layout.tab}` } }) },
  pageSetup: { orientation: 'landscape', paperSize: 9, ...(layout.onePageWide && { fitToPage: true, fitToWidth: 1, fitToHeight: 0 }) },
  views: [{
    showGridLines: layout.gridLines ?? true,
    ...(layout.frozen ? { state: 'frozen', ySplit: layout.frozen.rows, xSplit: layout.frozen.columns } : { state: 'normal' }),
  }],
})

const solid = (rgb: string): ExcelJS.Fill => ({ type: 'pattern', pattern: 'solid', fgColor: { argb: `FF${rgb}` } })

const makeStyle = (style: Style): Partial<ExcelJS.Style> => ({
  ...(style.format !== undefined && { numFmt: style.format }),
  font: {
    name: 'Calibri', family: 2, size: style.size ?? 11,
    ...(style.bold && { bold: true }), ...(style.italic && { italic: true }), ...(style.color !== undefined && { color: { argb: `FF${style.color}` } }),
  },
  ...(style.fill !== undefined && { fill: solid(style.fill) }),
  alignment: { vertical: style.centered ? 'middle' : 'top', ...(style.wrap && { wrapText: true }), ...(style.indented && { horizontal: 'left', indent: 1 }) },
  ...(style.underlined && { border: { bottom: { style: 'thin', color: { argb: 'FFD5DCE4' } } } }),
})

const makeValue = (value: NonNullable<WorkbookCell['value']>): ExcelJS.CellValue => {
  if (typeof value === 'string') return makeText(value)
  return typeof value === 'object' && 'error' in value ? { error: value.error as ExcelJS.CellErrorValue['error'] } : value
}

/**
 * A run of inline text, and not a plain string: only there the library keeps spaces at the ends,
 * and there the escapes of escapeText are read by everybody.
 */
const makeText = (text: string): ExcelJS.CellValue => {
  const whole = escapeText(shorten(text, MOST_CELL_CHARACTERS))
  return whole === text && !/^\s|\s$|[\t\n]/.test(text) ? text : { richText: [{ text: whole }] }
}

const shorten = (text: string, limit: number): string => text.length <= limit ? text : `${text.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`

/**
 * What XML cannot hold (control characters, halves of characters) or does not keep (carriage returns) as _xHHHH_,
 * and a text that looks like such an escape with its underscore escaped (ST_Xstring, ECMA-376 part 1, 22.9.2.19).
 */
const escapeText = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]|\p{Cs}|_(?=x[0-9A-Fa-f]{4}_)/gu, character =>
    `_x${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`)
