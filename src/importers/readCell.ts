import type { FieldDefinition } from '../rules/fields.ts'
import type { Report } from '../rules/problem.ts'
import { isBlank } from '../rules/text.ts'
import type { Cell } from './source.ts'

/** A cell's text, or why there is none: nothing in it, or a problem that was reported. */
export const BLANK = Symbol('blank')
export const UNREADABLE = Symbol('unreadable')
export type CellText = string | typeof BLANK | typeof UNREADABLE

/** Digits that a spreadsheet keeps of a number (IEEE 754 binary64). */
const SAFE_DIGITS = 15

/**
 * The text that a field's own rule is to judge (spec A2). Marks of the workbook become warnings or errors here:
 * formulas, error values, merged cells, links that differ from what is shown, and numbers that may have lost digits.
 */
export function readCell(cell: Cell | undefined, field: Pick<FieldDefinition, 'kind'>, report: Report): CellText {
  if (cell === null || cell === undefined) return BLANK
  if (typeof cell === 'string') return isBlankText(cell) ? BLANK : cell
  if (cell.type === 'uncalculated') return refuse(report, 'cell.formula_without_result')
  if (cell.type === 'merged') return refuse(report, 'cell.merged', { range: cell.range })
  if (cell.type === 'error') return refuse(report, 'cell.error')
  if (cell.formula) report('cell.formula')
  if (cell.linkTarget !== undefined) report('email.link_differs', { target: cell.linkTarget })
  switch (cell.type) {
    case 'text':
      return isBlankText(cell.text) ? BLANK : cell.text
    case 'number':
      return numberText(cell.text, field, report)
    case 'boolean':
      return field.kind === 'yesNo' ? (cell.value ? 'yes' : 'no') : refuse(report, 'cell.not_text', { kind: 'TRUE or FALSE' })
    case 'date':
      if (field.kind !== 'moment') return refuse(report, 'cell.not_text', { kind: 'a date' })
      return cell.serial !== null && cell.serial < 60 && cell.iso < '1904' ? refuse(report, 'date.before_1900_march') : cell.iso
  }
}

/** As readCell, for a contact's attribute: everything that can be shown is text. */
export function readAttribute(cell: Cell | undefined, report: Report): CellText {
  if (cell === null || cell === undefined || typeof cell === 'string') return readCell(cell, { kind: 'catalog' }, report)
  if (cell.type === 'date') return cell.iso
  if (cell.type === 'boolean') return cell.value ? 'yes' : 'no'
  if (cell.type === 'number') return cell.text
  return readCell(cell, { kind: 'catalog' }, report)
}

function numberText(text: string, field: Pick<FieldDefinition, 'kind'>, report: Report): CellText {
  if (field.kind !== 'identifier' && field.kind !== 'username') return text
  const digits = text.replace(/\.0+$/, '')
  if (!/^\d+$/.test(digits) || digits.length > SAFE_DIGITS) return refuse(report, 'cell.digits_lost')
  report('cell.identifier_as_number')
  return digits
}

function refuse(report: Report, ...problem: Parameters<Report>): typeof UNREADABLE {
  report(...problem)
  return UNREADABLE
}

/** The regular expression is asked only where the first character leaves a doubt. */
function isBlankText(text: string): boolean {
  const first = text.charCodeAt(0)
  return text === '' || ((first <= 32 || first > 126) && isBlank(text))
}

/** The cell as the sender sees it, for telling a problem. */
export function rawText(cell: Cell | undefined): string | null {
  if (cell === null || cell === undefined || typeof cell === 'string') return cell ?? null
  if ('text' in cell) return cell.text
  return cell.type === 'date' ? cell.iso : cell.type === 'boolean' ? (cell.value ? 'TRUE' : 'FALSE') : null
}

/** Nothing visible in any cell, of mapped columns or not. */
export function isBlankRow(cells: readonly Cell[]): boolean {
  for (const cell of cells) {
    if (cell === null) continue
    if (typeof cell !== 'string') return false
    if (cell.charCodeAt(0) > 32 && cell.charCodeAt(0) < 127) return false
    if (readCell(cell, { kind: 'catalog' }, () => undefined) !== BLANK) return false
  }
  return true
}
