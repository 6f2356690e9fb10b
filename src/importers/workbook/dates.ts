/** Serial numbers and ISO text of date cells (ECMA-376 part 1, 18.17.4), without any zone. */

const DAY = 86_400
/** 31 December 9999 and 24 hours: from here on Excel shows no date. */
const AFTER_LAST_DAY = 2_958_466
/** Days between the epochs of the two date systems. */
export const DAYS_1904 = 1_462

const two = (value: number) => value < 10 ? `0${value}` : String(value)

/**
 * A serial of the 1900 system as Excel shows it: YYYY-MM-DD, or with THH:MM:SS where it has a time, rounded to the second.
 * Serial 60 is 1900-02-29, a day that never was, and serial 0 is 1900-01-00: whoever judges must look at serials below 61.
 * Null where Excel shows no date (negative, or past the year 9999).
 */
export function serialToIso(serial: number): string | null {
  if (!(serial >= 0 && serial < AFTER_LAST_DAY)) return null
  const seconds = Math.round(serial * DAY)
  const day = Math.floor(seconds / DAY)
  if (day >= AFTER_LAST_DAY) return null
  const time = seconds - day * DAY
  const date = dayToIso(day)
  return time === 0 ? date : `${date}T${two(Math.floor(time / 3600))}:${two(Math.floor(time / 60) % 60)}:${two(time % 60)}`
}

function dayToIso(day: number): string {
  if (day === 0) return '1900-01-00'
  if (day === 60) return '1900-02-29'
  // Days since 1 March of the year 0 (Howard Hinnant, civil_from_days): no Date object for each cell.
  const shifted = day - (day > 60 ? 25_569 : 25_568) + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${year}-${two(month)}-${two(dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1)}`
}

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?Z?$/

/**
 * The text of a cell of type "d" as iso of the Cell type, rounded to the second. A Z is dropped: writers put it behind local time.
 * Null where it is no date of the calendar, or carries an offset that would be lost.
 */
export function normalizeIso(text: string): string | null {
  const match = ISO.exec(text)
  if (!match) return null
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '0'] = match
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return null
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null
  date.setUTCHours(Number(hour), Number(minute), Number(second) + Math.round(Number(`0.${fraction}`)))
  const iso = date.toISOString().slice(0, 19)
  return iso.endsWith('T00:00:00') ? iso.slice(0, 10) : iso
}
