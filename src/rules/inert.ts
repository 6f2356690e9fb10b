/** A spreadsheet takes a cell for a formula when it begins so, spaces and invisible characters aside. */
const DANGEROUS = /^[\t\r]|^[\s\p{Z}\p{Default_Ignorable_Code_Point}]*[=+\-@\uff1d\uff0b\uff0d\uff20]/u
/** A signed number, or a phone number of digits and spaces, calculates nothing. */
const HARMLESS = /^[+-]\d[\d .]*$/
/** Most cells begin with a letter or digit: nothing to look at. */
const ORDINARY = /^[A-Za-z0-9]/

const runs = (text: string): boolean => DANGEROUS.test(text) && !HARMLESS.test(text)

/**
 * A cell's text as it may stand in a CSV file that we write: what a spreadsheet would run as a formula gets an apostrophe
 * in front. uninertCell gives the text back.
 */
export function inertCell(text: string): string {
  if (text === '' || ORDINARY.test(text)) return text
  // A text that has apostrophes already gets one more, or else reading it back would take away its own.
  return runs(text.replace(/^'+/, '')) ? `'${text}` : text
}

/** The text that inertCell was given. For files that we wrote ourselves: another's apostrophe may be meant. */
export function uninertCell(text: string): string {
  return text.startsWith("'") && runs(text.replace(/^'+/, '')) ? text.slice(1) : text
}
