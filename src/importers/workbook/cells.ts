import type { Cell } from '../source.ts'
import { DAYS_1904, normalizeIso, serialToIso } from './dates.ts'
import { decodeEscapes } from './escapes.ts'

/** Types of a stored cell (the t of a cell); none written means NUMBER. */
export const NUMBER = 0
export const SHARED = 1
export const TEXT_RESULT = 2
export const INLINE = 3
export const BOOLEAN = 4
export const ERROR = 5
export const ISO_DATE = 6

export type CellType = typeof NUMBER | typeof SHARED | typeof TEXT_RESULT | typeof INLINE | typeof BOOLEAN | typeof ERROR | typeof ISO_DATE

const NUMERAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/**
 * What a cell means that is no shared string. `text` is its stored text with entities resolved, null where it has none;
 * `shown` tells whether its format shows a date. Content that does not fit its type is handed on as the text it is, to be judged there.
 */
export function cellOf(type: CellType, text: string | null, formula: boolean, dateFormat: boolean, date1904: boolean): Cell {
  if (formula && (text === null || text === '' && type !== TEXT_RESULT)) return { type: 'uncalculated' }
  if (text === null || text === '') return null
  const cell = valueOf(type, text, dateFormat, date1904)
  if (!formula || cell === null) return cell
  if (typeof cell === 'string') return { type: 'text', text: cell, formula: true }
  return { ...cell, formula: true } as Cell
}

function valueOf(type: CellType, text: string, dateFormat: boolean, date1904: boolean): Cell {
  switch (type) {
    case NUMBER: {
      const digits = text.trim()
      return NUMERAL.test(digits) ? numberOf(digits, dateFormat, date1904) : digits || null
    }
    case BOOLEAN: {
      const word = text.trim().toLowerCase()
      if (word === '1' || word === 'true') return { type: 'boolean', value: true }
      return word === '0' || word === 'false' ? { type: 'boolean', value: false } : text
    }
    case ERROR:
      return { type: 'error', text: text.trim() }
    case ISO_DATE: {
      const iso = normalizeIso(text.trim())
      return iso ? { type: 'date', iso, serial: null } : text
    }
    default:
      return decodeEscapes(text)
  }
}

/** A number, or the date that its format shows. The serial of a date is that of the 1900 system, whatever the workbook counts from. */
export function numberOf(text: string, dateFormat: boolean, date1904: boolean): Cell {
  const value = Number(text)
  if (dateFormat) {
    const serial = date1904 ? value + DAYS_1904 : value
    const iso = serialToIso(serial)
    if (iso) return { type: 'date', iso, serial }
  }
  return Number.isFinite(value) ? { type: 'number', value, text } : text
}
