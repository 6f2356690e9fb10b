import { checkInternational, showInternational } from './phonesE164.ts'
import type { Report } from './problem.ts'
import { showCharacter, trimSpaces } from './text.ts'

/** What an organization takes for a phone number (B3). `nanp` is ten digits held to the North American numbering plan. */
export type PhonePolicy = 'ten-digit' | 'nanp' | 'e164'

const TEN_DIGITS = /^\d{10}$/
/** The usual ways to write ten digits, in ASCII: 612-555-0100, (612) 555-0100, +1 612.555.0100, 1 612 555 0100. */
const ORDINARY = /^(?:\+?1[ .-]?)?(?:\((\d{3})\) ?|(\d{3})[ .-]?)(\d{3})[ .-]?(\d{4})$/
/** Spaces of any kind, dots, parentheses, and all that people take for a dash. */
const SEPARATORS = /[\p{Zs}\t.()\-\u2010-\u2015\u2212\uff0d]+/gu
const SCIENTIFIC = /^\+?(\d+)(?:[.,](\d+))?e\+?(\d{1,3})$/i
/** A whole number as programs write numbers that may have fractions. */
const WHOLE = /^(\d+)\.0{1,2}$/

/**
 * A phone number typed as text (B3), as it is stored: ten digits, or + and digits (E.164); null where an error stops it.
 * Numbers that a spreadsheet has written into a CSV file ("6.12555E+09", "6125550100.0") are known by their look. Nothing is padded.
 */
export function checkPhone(text: string, policy: PhonePolicy, report: Report): string | null {
  if (policy === 'e164') return checkE164(text, report)
  const digits = TEN_DIGITS.test(text) ? text : tenDigits(text, report)
  return digits === null || policy === 'ten-digit' ? digits : inPlan(digits, report)
}

/**
 * A phone number from a cell that holds a number, from the number's text as the workbook stores it.
 * Recovered where every digit is there; told where the spreadsheet has lost some.
 */
export function checkPhoneNumberCell(text: string, policy: PhonePolicy, report: Report): string | null {
  const whole = wholeNumber(text.trim())
  if (whole === null) {
    report(SCIENTIFIC.test(text.trim()) ? 'phone.scientific_notation' : 'phone.not_numeric', { character: showCharacter(/[^\d]/.exec(text.trim())?.[0] ?? '.') })
    return null
  }
  return checkPhone(whole, policy, report)
}

/** A stored number as people read it: (612) 555-0100, or +49 30 1234567. */
export function showPhone(stored: string): string {
  if (TEN_DIGITS.test(stored)) return `(${stored.slice(0, 3)}) ${stored.slice(3, 6)}-${stored.slice(6)}`
  return stored.startsWith('+') ? showInternational(stored) : stored
}

/** The digits of a whole number, however it is written, or null where it is none or digits would have to be made up. */
function wholeNumber(text: string): string | null {
  if (/^\d+$/.test(text)) return text
  const whole = WHOLE.exec(text)
  if (whole !== null) return whole[1]!
  const scientific = SCIENTIFIC.exec(text)
  if (scientific === null) return null
  const [, ahead = '', behind = '', power = ''] = scientific
  const places = Number(power)
  return behind.length >= places && /^0*$/.test(behind.slice(places)) ? ahead + behind.slice(0, places) : null
}

function tenDigits(text: string, report: Report): string | null {
  const ordinary = ORDINARY.exec(text)
  if (ordinary !== null) return `${ordinary[1] ?? ordinary[2]}${ordinary[3]}${ordinary[4]}`
  const plain = fromSpreadsheet(text, report)
  if (plain === null) return null
  const bare = plain.replace(SEPARATORS, '')
  // Another country's code is no +1: its + is told as the character that does not belong there.
  const withCode = bare.startsWith('+1')
  const strange = /[^\d]/u.exec(withCode ? bare.slice(1) : bare)
  if (strange !== null) {
    report('phone.not_numeric', { character: showCharacter(strange[0]) })
    return null
  }
  const digits = withCode || /^1\d{10}$/.test(bare) ? bare.replace(/^\+?1/, '') : bare
  if (digits.length === 10) return digits
  // With separators somebody typed it so: only a bare number has been through a spreadsheet's hands.
  const lost = digits.length === 9 && /^\d{9}$/.test(plain)
  report(lost ? 'phone.lost_leading_zero' : 'phone.not_ten_digits', { digits: digits.length })
  return null
}

/** The text itself, or the digits where it is a number in a spreadsheet's clothes; null after an error. */
function fromSpreadsheet(text: string, report: Report): string | null {
  const trimmed = trimSpaces(text)
  if (WHOLE.test(trimmed)) return wholeNumber(trimmed)
  if (!SCIENTIFIC.test(trimmed)) return trimmed
  const whole = wholeNumber(trimmed)
  if (whole === null) report('phone.scientific_notation')
  return whole
}

/** The North American plan: an area code NXX that is no N11, an exchange NXX that is no N11 (N is 2 to 9). */
function inPlan(digits: string, report: Report): string | null {
  const fault = faultInPlan(digits)
  if (fault === null) return digits
  report('phone.invalid', { reason: fault })
  return null
}

function faultInPlan(digits: string): string | null {
  const area = digits.slice(0, 3)
  const exchange = digits.slice(3, 6)
  if (area < '200') return `an area code does not begin with ${area[0]}`
  if (area.endsWith('11')) return `${area} is a service number, not an area code`
  if (exchange < '200') return `the three digits behind the area code do not begin with ${exchange[0]}`
  if (exchange.endsWith('11')) return `${exchange} is a service number and cannot stand behind the area code`
  return null
}

function checkE164(text: string, report: Report): string | null {
  const plain = fromSpreadsheet(text, report)
  if (plain === null) return null
  const bare = plain.replace(SEPARATORS, '')
  const strange = /[^\d]/u.exec(bare.replace(/^\+/, ''))
  if (strange !== null || bare === '') {
    report('phone.not_numeric', { character: strange === null ? 'nothing' : showCharacter(strange[0]) })
    return null
  }
  const answer = checkInternational(bare)
  if (answer.number !== null) return answer.number
  report('phone.invalid', { reason: answer.reason })
  return null
}
