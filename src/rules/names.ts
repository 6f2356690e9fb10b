import type { Report } from './problem.ts'
import { cleanText, showCharacter } from './text.ts'

/** Characters of a first or last name (spec B1), counted as people count them: a letter outside the basic plane is one. */
export const NAME_LIMIT = 100

/** Latin letters, whole, with single spaces, apostrophes, hyphens and periods between them: stored as it stands. */
const ORDINARY = /^[A-Za-zÀ-ÖØ-öø-ɏ]+(?:[ '’.-][A-Za-zÀ-ÖØ-öø-ɏ]+)*\.?$/

/** Both apostrophes; hyphen-minus, hyphen and non-breaking hyphen. What cleanText leaves of ignorable characters, spelling needs. */
const STRANGE = /[^\p{L}\p{M}\p{Default_Ignorable_Code_Point} '’.\-\u2010\u2011]/u

/**
 * A first or last name (B1), as it is stored: NFC, trimmed, spaces inside collapsed; null where an error stops it.
 * "Null", one letter and any script are names.
 */
export function checkName(text: string, report: Report): string | null {
  if (text.length <= NAME_LIMIT && ORDINARY.test(text)) return text
  const clean = cleanText(text, report)
  if (clean === null) return null
  const name = clean.replace(/ {2,}/g, ' ')
  const strange = STRANGE.exec(name)
  if (strange !== null) {
    report('name.invalid_character', { character: showCharacter(strange[0]) })
    return null
  }
  if (!/\p{L}/u.test(name)) {
    report('name.required')
    return null
  }
  const length = name.length > NAME_LIMIT ? [...name].length : name.length
  if (length > NAME_LIMIT) {
    report('name.too_long', { length, limit: NAME_LIMIT })
    return null
  }
  return name
}
