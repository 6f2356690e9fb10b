import { PageRefused } from './errors.ts'
import type { Section } from './parts.ts'

/** A query's value: '' and repeated names count as not given. */
export function textOf(query: unknown, name: string): string | null {
  if (query === null || typeof query !== 'object' || !Object.hasOwn(query, name)) return null
  const value = (query as Record<string, unknown>)[name]
  // PostgreSQL has no NUL in its texts: nothing is found by one.
  return typeof value === 'string' && value.trim() !== '' && !value.includes('\0') ? value.trim() : null
}

/** A query's value that has to be one of a few. Throws PageRefused. */
export function choiceOf<Value extends string>(query: unknown, name: string, known: readonly Value[], section: Section): Value | null {
  const text = textOf(query, name)
  if (text === null) return null
  if ((known as readonly string[]).includes(text)) return text as Value
  throw new PageRefused(400, `There is no ${name} named ${JSON.stringify(text)}`, `Known: ${known.join(', ')}.`, { section })
}

/** A query's value that has to be digits; anything else counts as not given. */
export function idOf(query: unknown, name: string): string | null {
  const text = textOf(query, name)
  return text !== null && isId(text) ? text : null
}

/** Whether a text can be the id of a row. */
export const isId = (text: string): boolean => /^\d{1,18}$/.test(text)

/** The query of a link: given values only, in order. '' or "?a=b". */
export function queryOf(values: Readonly<Record<string, string | null>>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== '')
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`
}
