import { FIELD_BY_KEY, FIELDS_PROPOSED, headerKey } from './aliases.ts'
import type { FailureCode } from './catalog.ts'
import { fieldNamed, FIELDS, isFieldName } from './fields.ts'
import type { FieldName } from './fields.ts'
import { slipsAllowed, slipsBetween } from './nearest.ts'
import type { IssueDetail } from './problem.ts'

/** What a mapping makes of a column: a field, nothing, or an attribute of the contact under a name. */
export type ColumnTarget = FieldName | 'ignore' | { attribute: string }

/** A saved mapping of an organization or feed (A4). Headers and values in it count without regard to case and spaces. */
export type Mapping = {
  name: string
  columns: Record<string, ColumnTarget>
  /** Values of the file -> values of Muster, by field: "Y" -> "yes", "Mgr" -> "Managers". */
  values?: Partial<Record<FieldName, Record<string, string>>>
  /** What a blank cell does to a value that is there already (B8). Default: keep. */
  blank?: Partial<Record<FieldName, 'keep' | 'clear' | 'refuse'>>
  /** How dates that are text are written, such as DD/MM/YYYY (B7); see dates.ts. */
  dateFormat?: string
  /** What becomes of a header that nothing claims. Default: ignore, and report it. */
  unclaimed?: 'ignore' | 'attribute' | 'refuse'
}

export type MatchedColumn = {
  /** Position in the file's header row, from 0. */
  index: number
  /** The header as the file has it, trimmed; '' where it has none. */
  header: string
  field: FieldName | null
  /** The name of the contact's attribute that the column fills, where the mapping makes it one. */
  attribute: string | null
  /** Who claimed the column. `ignored`: the mapping, a missing header, or Muster's own Errors column; `none`: nobody. */
  by: 'alias' | 'mapping' | 'attribute' | 'ignored' | 'none'
  /** For a column that nobody claimed: the field that it may have been meant to be. Never taken unasked. */
  nearest?: FieldName
}

export type MatchedHeaders = {
  /** One for each header of the file, in its order. */
  columns: MatchedColumn[]
  /** Reasons to refuse the file; empty where it can be read. */
  failures: { code: FailureCode; detail: IssueDetail }[]
  /** Headers that the mapping speaks of and the file does not have: column drift (A7), no fault by itself. */
  absent: string[]
}

export type MatchOptions = {
  /** Fields without which the file is refused. Default: first and last name. */
  required?: readonly FieldName[]
}

/** The header of the column that tells a row's problems in the files handed back (E3); read again, it says nothing. */
export const ERRORS_HEADER = 'Errors'

/** Whether a file holds rows that we handed back: its last column is that of their problems, and says nothing. */
export function holdsMendedRows(columns: readonly MatchedColumn[]): boolean {
  const last = columns.findLast(({ header }) => header !== '')
  return last?.header === ERRORS_HEADER && last.by === 'ignored'
}

/** Characters of a header that are shown and kept; what is longer is no header but a row of data. */
const LONGEST_HEADER = 200

/** Names that reach the insides of objects in JavaScript, or in whatever reads our JSON. */
const FORBIDDEN = new Set(['__proto__', 'prototype', 'constructor', '__definegetter__', '__definesetter__', '__lookupgetter__', '__lookupsetter__'])

const REQUIRED: readonly FieldName[] = FIELDS.filter(field => field.required).map(field => field.name)

/**
 * Decides what every column of a file is (A4), from its header row.
 * A mapping goes before the aliases; what neither claims is left alone and proposed, never guessed.
 * Nothing is thrown: `failures` says by name what is missing, double or forbidden.
 */
export function matchHeaders(headers: readonly (string | null)[], mapping: Mapping | null, options: MatchOptions = {}): MatchedHeaders {
  const mapped = new Map(Object.entries(mapping?.columns ?? {}).map(([header, target]) => [mappingKey(header), { header, target }]))
  const claimed = new Set<string>()
  const columns = headers.map((text, index): MatchedColumn => {
    const header = shownHeader(text)
    const key = mappingKey(header)
    const rule = header === '' ? undefined : mapped.get(key)
    if (rule !== undefined) claimed.add(key)
    return matchOne(index, header, rule?.target, mapping?.unclaimed ?? 'ignore')
  })
  propose(columns)
  return {
    columns,
    failures: [...forbidden(columns), ...duplicates(columns), ...missing(columns, options.required ?? REQUIRED), ...unclaimed(columns, mapping)],
    absent: [...mapped].filter(([key]) => !claimed.has(key)).map(([, { header }]) => header),
  }
}

/** "Header=field", "Header=ignore" or "Header=attribute:Name", as the command line takes it; null where it is none of them. */
export function parseSetColumn(text: string): { header: string; target: ColumnTarget } | null {
  // The last = parts them: a header may hold one, a field does not.
  const at = text.lastIndexOf('=')
  const header = text.slice(0, Math.max(at, 0)).trim()
  const target = text.slice(at + 1).trim()
  if (header === '' || target === '') return null
  if (target === 'ignore') return { header, target }
  if (target.startsWith('attribute:')) {
    const attribute = target.slice('attribute:'.length).trim()
    return attribute === '' || isForbidden(attribute) ? null : { header, target: { attribute } }
  }
  const named = isFieldName(target) ? target : FIELD_BY_KEY.get(headerKey(target))
  return named === undefined ? null : { header, target: named }
}

/** The letters over a column in a spreadsheet: 0 -> A, 26 -> AA. */
export function columnLetters(index: number): string {
  let letters = ''
  for (let rest = index + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters
  return letters
}

function matchOne(index: number, header: string, target: ColumnTarget | undefined, rest: 'ignore' | 'attribute' | 'refuse'): MatchedColumn {
  const column = { index, header, field: null, attribute: null }
  if (header === '' || target === 'ignore') return { ...column, by: 'ignored' }
  if (typeof target === 'object') return { ...column, attribute: target.attribute, by: 'attribute' }
  if (target !== undefined) return { ...column, field: target, by: 'mapping' }
  const key = headerKey(header)
  const field = FIELD_BY_KEY.get(key)
  if (field !== undefined) return { ...column, field, by: 'alias' }
  if (key === headerKey(ERRORS_HEADER)) return { ...column, by: 'ignored' }
  if (rest === 'attribute') return { ...column, attribute: header, by: 'attribute' }
  return { ...column, by: 'none' }
}

/** Trimmed, on one line, without invisible characters, and not longer than a header is. */
function shownHeader(text: string | null): string {
  if (text === null) return ''
  const plain = text.normalize('NFC').replace(/[\p{Cc}\p{Z}]+/gu, ' ').replace(/[\p{Cf}\p{Cs}]+/gu, '').trim()
  return plain.length > LONGEST_HEADER ? `${[...plain].slice(0, LONGEST_HEADER).join('')}…` : plain
}

/** Headers of punctuation alone ("#") are told apart by their text, all others as aliases are. */
const mappingKey = (header: string): string => headerKey(header) || header.trim()

const isForbidden = (name: string): boolean => FORBIDDEN.has(name.trim().toLowerCase())

/** Tells for each column that nobody claimed which free field it may have been meant to be. */
function propose(columns: MatchedColumn[]): void {
  const taken = new Set(columns.map(column => column.field))
  for (const column of columns) {
    if (column.by !== 'none') continue
    const nearest = nearestField(headerKey(column.header), taken)
    if (nearest !== null) column.nearest = nearest
  }
}

function nearestField(key: string, taken: ReadonlySet<FieldName | null>): FieldName | null {
  const meant = FIELDS_PROPOSED.get(key)
  if (meant !== undefined) return meant.find(name => !taken.has(name)) ?? null
  let best: FieldName | null = null
  let fewest = slipsAllowed(key.length) + 1
  for (const [alias, name] of FIELD_BY_KEY) {
    if (taken.has(name) || alias.length < 4 || Math.abs(alias.length - key.length) >= fewest) continue
    const slips = slipsBetween(key, alias)
    if (slips < fewest) {
      fewest = slips
      best = name
    }
  }
  return best
}

type Failures = MatchedHeaders['failures']

const quoted = (column: MatchedColumn): string => `"${column.header}" (column ${columnLetters(column.index)})`

function forbidden(columns: readonly MatchedColumn[]): Failures {
  return columns
    .filter(column => isForbidden(column.header) || (column.attribute !== null && isForbidden(column.attribute)))
    .map(column => ({ code: 'header.forbidden', detail: { header: quoted(column) } }))
}

/** Two columns for one field or attribute, or the same header twice, unless the mapping ignores it. */
function duplicates(columns: readonly MatchedColumn[]): Failures {
  const groups = new Map<string, { label: string; columns: MatchedColumn[] }>()
  for (const column of columns) {
    if (column.by === 'ignored') continue
    const label = column.field !== null ? fieldNamed(column.field).header : (column.attribute ?? column.header)
    const key = column.field !== null ? `field ${column.field}` : `other ${mappingKey(label)}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { label, columns: [column] })
    else group.columns.push(column)
  }
  return [...groups.values()]
    .filter(group => group.columns.length > 1)
    .map(group => ({ code: 'header.duplicate', detail: { field: group.label, columns: group.columns.map(quoted).join(', ') } }))
}

function missing(columns: readonly MatchedColumn[], required: readonly FieldName[]): Failures {
  const lost = required.filter(name => !columns.some(column => column.field === name))
  if (lost.length === 0) return []
  const near = columns.filter(column => column.nearest !== undefined && lost.includes(column.nearest))
  const proposals = near.map(column => proposal(column, lost))
  const advice = `Add the column${lost.length > 1 ? 's' : ''} ${lost.map(name => fieldNamed(name).header).join(' and ')}${proposals.length > 0 ? `; or ${proposals.join('; ')}` : ''}.`
  return [{ code: 'header.missing', detail: { columns: lost.map(name => fieldNamed(name).header).join(', '), advice } }]
}

/** What to do with a column that may be one of those that are missing. One that may hold several of them has to be split. */
function proposal(column: MatchedColumn, lost: readonly FieldName[]): string {
  const meant = (FIELDS_PROPOSED.get(headerKey(column.header)) ?? []).filter(name => lost.includes(name))
  if (meant.length > 1) return `split ${quoted(column)} if it holds both`
  return `if ${quoted(column)} is ${fieldNamed(column.nearest!).header}, say --set-column "${column.header}=${column.nearest}"`
}

function unclaimed(columns: readonly MatchedColumn[], mapping: Mapping | null): Failures {
  if (mapping?.unclaimed !== 'refuse') return []
  const strangers = columns.filter(column => column.by === 'none')
  if (strangers.length === 0) return []
  const near = strangers.filter(column => column.nearest !== undefined)
  const advice = near.length > 0
    ? `Did you mean ${near.map(column => `${fieldNamed(column.nearest!).header} by "${column.header}"`).join(', ')}? Map the column, or remove it.`
    : 'Map the column to a field, an attribute or "ignore", or remove it.'
  return [{ code: 'header.unclaimed', detail: { columns: strangers.map(quoted).join(', '), advice } }]
}
