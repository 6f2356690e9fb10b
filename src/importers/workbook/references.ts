/** Cell addresses as spreadsheets write them: A1, XFD1048576, A1:B2. Rows and columns count from 1. */

export const LAST_ROW = 1_048_576
export const LAST_COLUMN = 16_384

export type Range = { top: number; left: number; bottom: number; right: number }

/** 1 -> A, 27 -> AA. */
export function columnName(column: number): string {
  let name = ''
  for (let rest = column; rest > 0; rest = Math.floor((rest - 1) / 26)) name = String.fromCharCode(65 + (rest - 1) % 26) + name
  return name
}

/** Row and column from 1 as A1. */
export const cellName = (row: number, column: number) => columnName(column) + row

/** A range as A1:B2. */
export const rangeName = (range: Range) => `${cellName(range.top, range.left)}:${cellName(range.bottom, range.right)}`

/** Reads A1 or A1:B2, with or without $ signs; corners in any order. Null where it is no address, or lies outside of a sheet. */
export function parseRange(text: string): Range | null {
  const [first, second = first, more] = text.split(':')
  const a = parseCell(first!)
  const b = parseCell(second!)
  if (!a || !b || more !== undefined) return null
  return { top: Math.min(a.row, b.row), left: Math.min(a.column, b.column), bottom: Math.max(a.row, b.row), right: Math.max(a.column, b.column) }
}

function parseCell(text: string): { row: number; column: number } | null {
  const match = /^\$?([A-Z]{1,3})\$?([1-9]\d{0,6})$/.exec(text)
  if (!match) return null
  let column = 0
  for (const letter of match[1]!) column = column * 26 + letter.charCodeAt(0) - 64
  const row = Number(match[2])
  return row <= LAST_ROW && column <= LAST_COLUMN ? { row, column } : null
}
