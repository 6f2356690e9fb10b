import { createRequire } from 'node:module'

import type * as Numbering from 'libphonenumber-js/max'

type Library = typeof Numbering

let loaded: Library | null = null

/** The world's numbering plans take a tenth of a second to load, at every start of every command; few organizations need them. */
function library(): Library {
  loaded ??= createRequire(import.meta.url)('libphonenumber-js/max') as Library
  return loaded
}

/** E.164: + and at most fifteen digits, the first of them not 0. */
const FORM = /^\+[1-9]\d{4,14}$/

type Answer = { number: string; reason: null } | { number: null; reason: string }

const no = (reason: string): Answer => ({ number: null, reason })

/**
 * Checks + and digits, without separators, against the world's numbering plans (libphonenumber).
 * Without + the country is not known, and is not guessed.
 */
export function checkInternational(bare: string): Answer {
  if (!bare.startsWith('+')) return no('a number in international form begins with + and the country code')
  if (!FORM.test(bare)) return no('+ is followed by at most fifteen digits, the first of them not 0')
  const parsed = library().parsePhoneNumberFromString(bare)
  if (parsed === undefined) return no('no country has this code')
  if (!parsed.isPossible()) return no(`the number is too short or too long for the country code ${parsed.countryCallingCode}`)
  if (!parsed.isValid()) return no(`the country code ${parsed.countryCallingCode} has no such numbers`)
  return { number: parsed.number, reason: null }
}

/** +493012345678 -> +49 30 12345678; what no plan knows is left as it is. */
export function showInternational(stored: string): string {
  return library().parsePhoneNumberFromString(stored)?.formatInternational() ?? stored
}
