/** The rows of a worksheet, out of its XML, in batches. One pass, one row held at a time. */
import type { SourceRow } from '../source.ts'
import { BOOLEAN, ERROR, INLINE, ISO_DATE, NUMBER, SHARED, TEXT_RESULT } from './cells.ts'
import type { CellType } from './cells.ts'
import { HYPERLINK, MERGE_CELL, WORKSHEET } from './marks.ts'
import { LAST_COLUMN, LAST_ROW, parseRange } from './references.ts'
import { RowBuilder } from './rowBuilder.ts'
import type { SheetContext } from './rowBuilder.ts'
import { readShortCells } from './shortCells.ts'
import { Texts } from './texts.ts'
import { CLOSE, MORE, OPEN, Xml, nameCode } from './xml.ts'

const SHEET_DATA = nameCode('sheetData'), ROW = nameCode('row'), C = nameCode('c'), V = nameCode('v'), F = nameCode('f'), IS = nameCode('is'), T = nameCode('t'), RUN = nameCode('r')
const ATTRIBUTE_R = nameCode('r'), ATTRIBUTE_S = nameCode('s'), ATTRIBUTE_T = nameCode('t'), HIDDEN = nameCode('hidden')

// Where in the sheet the reader stands.
const BEFORE = 0, DATA = 1, IN_ROW = 2, IN_CELL = 3, IN_VALUE = 4, IN_FORMULA = 5, IN_INLINE = 6, IN_RUN = 7, IN_INLINE_TEXT = 8, AFTER = 9

/**
 * Hands on the rows of a sheet that hold anything, with their own numbers, in batches of up to 2,000, fewer where they hold much text. `chunks` is valid UTF-8.
 * Throws FileRefused: `file.corrupt` where rows or cells contradict themselves, `file.too_large` beyond a limit.
 */
export async function* readSheet(chunks: AsyncIterable<Buffer>, context: SheetContext): AsyncGenerator<SourceRow[]> {
  const reader = new SheetReader(context)
  const { row } = reader
  for await (const _ of reader.xml.feed(chunks)) {
    while (!reader.run()) yield row.takeRows()
  }
  reader.finish()
  if (row.rows.length > 0) yield row.takeRows()
}

class SheetReader {
  readonly context: SheetContext
  readonly xml: Xml
  readonly row: RowBuilder
  readonly texts = new Texts()
  where = BEFORE
  /** Open elements within one that is passed over, itself included. */
  skipping = 0
  type: CellType = NUMBER
  style = 0
  formula = false
  value: string | null = null
  /** Where the t of an inline text stands, to come back to it. */
  textIn = IN_INLINE
  mergeElements = 0
  linkElements = 0

  constructor(context: SheetContext) {
    this.context = context
    this.xml = new Xml(context.part, Math.max(1024 * 1024, context.limits.cellCharacters * 10))
    this.row = new RowBuilder(context)
  }

  /** Reads on: true at the end of what is there, false where a batch is full before that. A chunk of little cells can name many long texts. */
  run(): boolean {
    const { xml, row, texts } = this
    for (;;) {
      if (this.where === IN_ROW && this.skipping === 0) readShortCells(xml, row, texts)
      const kind = xml.next()
      if (kind === MORE) return true
      if (this.skipping > 0) {
        if (kind === CLOSE) this.skipping--
        else if (kind === OPEN && !xml.empty) this.skipping++
      } else if (kind === OPEN) this.open()
      else if (kind === CLOSE) {
        this.close()
        if (this.where === DATA && row.isFull()) return false
      } else if (this.where === IN_VALUE || this.where === IN_INLINE_TEXT) this.append(xml.text())
    }
  }

  finish(): void {
    const { marks } = this.context
    if (this.row.row > 0 && (this.mergeElements !== marks.mergeElements || this.linkElements !== marks.linkElements)) {
      throw this.xml.damaged('tells of merged cells or links where none may stand')
    }
  }

  open(): void {
    const { xml } = this
    const { name, empty } = xml
    switch (this.where) {
      case DATA:
        if (name === ROW) return this.openRow()
        break
      case IN_ROW:
        if (name === C) return this.openCell()
        break
      case IN_CELL:
        if (name === F) return this.openFormula()
        if (name === V || name === IS) {
          this.value ??= ''
          if (!empty) this.where = name === V ? IN_VALUE : IN_INLINE
          return
        }
        break
      case IN_INLINE:
      case IN_RUN:
        if (name === T) {
          this.textIn = this.where
          if (!empty) this.where = IN_INLINE_TEXT
          return
        }
        if (name === RUN && this.where === IN_INLINE) {
          if (!empty) this.where = IN_RUN
          return
        }
        // Everything else is passed over, above all rPh, whose t is the reading and not the text.
        break
      case BEFORE:
        if (xml.depth === (empty ? 0 : 1) && name !== WORKSHEET) throw xml.damaged('is not a worksheet')
        if (name === SHEET_DATA) this.where = empty ? AFTER : DATA
        else this.countMark(name)
        return
      case AFTER:
        if (name === SHEET_DATA) throw xml.damaged('holds rows twice')
        this.countMark(name)
        return
    }
    if (!empty) this.skipping = 1
  }

  close(): void {
    switch (this.where) {
      case DATA:
        this.where = AFTER
        break
      case IN_ROW:
        this.row.closeRow()
        this.where = DATA
        break
      case IN_CELL:
        this.closeCell()
        this.where = IN_ROW
        break
      case IN_VALUE:
      case IN_FORMULA:
      case IN_INLINE:
        this.where = IN_CELL
        break
      case IN_RUN:
        this.where = IN_INLINE
        break
      case IN_INLINE_TEXT:
        this.where = this.textIn
        break
    }
  }

  countMark(name: number): void {
    if (name === MERGE_CELL) this.mergeElements++
    if (name === HYPERLINK) this.linkElements++
  }

  openRow(): void {
    const { xml } = this
    let row = this.row.row + 1
    let hidden = false
    for (let index = 0; index < xml.attributes; index++) {
      const code = xml.attributeCodes[index]
      const start = xml.attributePlaces[index * 4 + 2]!
      const end = xml.attributePlaces[index * 4 + 3]!
      if (code === ATTRIBUTE_R) {
        row = digits(xml.window, start, end)
        if (row < 1 || row > LAST_ROW) throw xml.damaged(`has a row numbered ${xml.slice(start, Math.min(end, start + 20))}`)
      } else if (code === HIDDEN) {
        const first = xml.window[start]
        // 1 or true.
        hidden = first === 49 || first === 116
      }
    }
    this.row.openRow(row, hidden)
    if (!xml.empty) this.where = IN_ROW
  }

  openCell(): void {
    const { xml, row } = this
    let column = row.column + 1
    let type: CellType = NUMBER
    let style = 0
    for (let index = 0; index < xml.attributes; index++) {
      const code = xml.attributeCodes[index]
      const start = xml.attributePlaces[index * 4 + 2]!
      const end = xml.attributePlaces[index * 4 + 3]!
      if (code === ATTRIBUTE_R) column = this.columnOf(start, end)
      else if (code === ATTRIBUTE_T) type = this.typeOf(start, end)
      else if (code === ATTRIBUTE_S) style = digits(xml.window, start, end)
    }
    row.openCell(column)
    if (xml.empty) return
    this.type = type
    this.style = style
    this.formula = false
    this.value = null
    this.where = IN_CELL
  }

  openFormula(): void {
    const { xml } = this
    this.formula = true
    if (xml.attributes > 0) {
      const attributes = xml.attributeMap()
      const kind = attributes.get('t')
      const range = kind === 'array' || kind === 'dataTable' ? parseRange(attributes.get('ref') ?? '') : null
      if (range) this.row.addArray(range)
    }
    if (!xml.empty) this.where = IN_FORMULA
  }

  append(text: string): void {
    const value = (this.value ?? '') + text
    // Escapes take seven characters for one: only far beyond the limit is it sure before the end.
    if (value.length > this.context.limits.cellCharacters * 8) throw this.row.tooLong(value.length)
    this.value = value
  }

  closeCell(): void {
    if (this.type === SHARED && this.value) {
      const value = this.value.trim()
      this.row.putShared(/^\d{1,10}$/.test(value) ? Number(value) : -1, this.formula)
    } else {
      this.row.putStored(this.type, this.value, this.formula, this.style)
    }
  }

  columnOf(start: number, end: number): number {
    const { window } = this.xml
    let column = 0
    let at = start
    for (; at < end && at - start < 4; at++) {
      const byte = window[at]!
      if (byte < 65 || byte > 90) break
      column = column * 26 + byte - 64
    }
    if (column === 0 || column > LAST_COLUMN || digits(window, at, end) !== this.row.row) {
      throw this.xml.damaged(`has a cell named ${this.xml.slice(start, Math.min(end, start + 20))} in row ${this.row.row}`)
    }
    return column
  }

  typeOf(start: number, end: number): CellType {
    const name = this.xml.slice(start, Math.min(end, start + 20))
    const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined
    if (type === undefined) throw this.xml.damaged(`has a cell of the unknown type "${name}" in row ${this.row.row}`)
    return type
  }
}

const TYPES: Readonly<Record<string, CellType>> = { n: NUMBER, s: SHARED, str: TEXT_RESULT, inlineStr: INLINE, b: BOOLEAN, e: ERROR, d: ISO_DATE }

/** The number that bytes spell; -1 where they are no digits, or too many. */
function digits(bytes: Buffer, start: number, end: number): number {
  if (end === start || end - start > 9) return -1
  let number = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 48
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}
