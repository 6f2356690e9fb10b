/**
 * Whether a number format shows a date (ECMA-376 part 1, 18.8.30 and 18.8.31). Elapsed time ([h]:mm) counts hours and is no date.
 */

/** Built-in formats that show a date or a time of day; 46 is [h]:mm:ss. The East Asian ones are dates in every language. */
export function isBuiltInDateFormat(id: number): boolean {
  return id >= 14 && id <= 22 || id >= 27 && id <= 36 || id === 45 || id === 47 || id >= 50 && id <= 58
}

/** Text in quotes, escaped characters, and the ones that only give a width (_) or a filling (*). */
const LITERALS = /"[^"]*(?:"|$)|[\\_*]./gs
const ELAPSED = /\[(?:h+|m+|s+)\]/i
/** Colors, conditions, languages and currencies, numerals. */
const BRACKETS = /\[[^\]]*(?:\]|$)/g

/** Judges by the first section, which is the one for positive numbers: a date's serial is never negative. */
export function isDateFormat(code: string): boolean {
  const section = code.replace(LITERALS, '').split(';', 1)[0]!
  const elapsed = ELAPSED.test(section)
  const tokens = section.replace(BRACKETS, '').replace(/General/gi, '').replace(/E[+-]/gi, '')
  return elapsed ? /[yd]/i.test(tokens) : /[ymdhsegb]/i.test(tokens)
}
