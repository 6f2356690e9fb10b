import type { Report } from './problem.ts'

/** The order and separators of a declared date format, made by dateFormat(). */
export type DateFormat = { pattern: RegExp; order: readonly ('year' | 'month' | 'day')[] }

type Day = { year: number; month: number; day: number }
type Time = { hour: number; minute: number; second: number }
/** `offset` is Z or ±HH:MM where the text says so; null means the organization's zone. `time` is null for a whole day. */
type Moment = Day & { time: Time | null; offset: string | null }

const TIME = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)? ?([ap]\.?m\.?)?$/i
const WITH_TIME = /^(.*?),?[t ](?=\d{1,2}:)(.*?)(z|[+-]\d{2}:?\d{2})?$/i
const YEAR_FIRST = /^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})$/
const YEAR_LAST = /^(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})$/
const DAY_NAMED_MONTH = /^(\d{1,2})[- ]([a-z]{3,9})\.?,?[- ](\d{4})$/i
const NAMED_MONTH_DAY = /^([a-z]{3,9})\.? (\d{1,2}),? (\d{4})$/i
/** Characters of a day with a time, written as long as can be. */
const LONGEST = 60
/** Texts whose instants one reader remembers. */
const MOST_REMEMBERED = 1_000
const MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']

/**
 * Reads a mapping's date format (B7): YYYY, MM or M, and DD or D, each once, in any order, parted by one of / . - or a space;
 * a time such as HH:mm may follow and is read in any case. Null where it is no such format: a year of two digits never is.
 */
export function dateFormat(format: string): DateFormat | null {
  const [dates = ''] = format.trim().split(/[ T](?=[Hh])/)
  const parts = /^(YYYY|MM?|DD?)([-/. ])(YYYY|MM?|DD?)\2(YYYY|MM?|DD?)$/.exec(dates)
  if (parts === null || !/^(?:[ T](?:HH?|hh?):mm(?::ss)?(?: ?[Aa])?)?$/.test(format.trim().slice(dates.length))) return null
  const order = [parts[1]!, parts[3]!, parts[4]!].map(token => (token === 'YYYY' ? 'year' as const : token.startsWith('M') ? 'month' as const : 'day' as const))
  if (new Set(order).size !== 3) return null
  const number = (name: string) => (name === 'year' ? String.raw`(\d{4})` : String.raw`(\d{1,2})`)
  return { pattern: new RegExp(`^${order.map(number).join(`\\${parts[2]}`)}$`), order }
}

/**
 * A day (B7), as YYYY-MM-DD; null after an error. Takes ISO dates, what Excel's date cells give, days with an English
 * month's name, the declared format, and day and month in either order where only one order is possible.
 * A time behind the day has to be one, and is left out.
 */
export function parseDay(text: string, format: DateFormat | null, report: Report): string | null {
  const moment = readMoment(text, format, report)
  return moment === null ? null : isoDay(moment)
}

export type SendAtOptions = {
  /** The organization's IANA time zone. */
  zone: string
  format: DateFormat | null
  /** The clock: what lies before it has passed. */
  now: Temporal.Instant
}

/**
 * The instant from which a mail may go out (B7, D2), as an ISO string in UTC; null after an error.
 * A day without a time begins at 00:00 in the organization's zone, or at its first instant where the clocks skip midnight;
 * today's means at once. A time that comes twice (clocks put back) is the earlier one; one that the clocks skip is an error.
 */
export function parseSendAt(text: string, options: SendAtOptions, report: Report): string | null {
  const moment = readMoment(text, options.format, report)
  if (moment === null) return null
  const { zone, now } = options
  if (moment.time === null) {
    const day = Temporal.PlainDate.from(isoDay(moment))
    if (Temporal.PlainDate.compare(day, now.toZonedDateTimeISO(zone).toPlainDate()) < 0) return past(report)
    return day.toZonedDateTime(zone).toInstant().toString()
  }
  const wall = `${isoDay(moment)}T${[moment.time.hour, moment.time.minute, moment.time.second].map(twoDigits).join(':')}`
  let instant: Temporal.Instant
  if (moment.offset === null) {
    const zoned = Temporal.PlainDateTime.from(wall).toZonedDateTime(zone, { disambiguation: 'earlier' })
    // A time that the clocks skip comes back as another one.
    if (!zoned.toPlainDateTime().equals(Temporal.PlainDateTime.from(wall))) {
      report('date.nonexistent', { zone })
      return null
    }
    instant = zoned.toInstant()
  } else {
    instant = Temporal.Instant.from(`${wall}${moment.offset}`)
  }
  return Temporal.Instant.compare(instant, now) < 0 ? past(report) : instant.toString()
}

/**
 * parseSendAt for many rows: instants are remembered by their text, for a file names the same few dates over and over.
 * Problems are worked out anew each time, so that every row has its own.
 */
export function sendAtReader(options: SendAtOptions): (text: string, report: Report) => string | null {
  const known = new Map<string, string>()
  return (text, report) => {
    const instant = known.get(text) ?? parseSendAt(text, options, report)
    if (instant !== null && known.size < MOST_REMEMBERED && text.length <= LONGEST) known.set(text, instant)
    return instant
  }
}

function past(report: Report): null {
  report('date.past')
  return null
}

const twoDigits = (number: number): string => String(number).padStart(2, '0')

const isoDay = ({ year, month, day }: Day): string => `${String(year).padStart(4, '0')}-${twoDigits(month)}-${twoDigits(day)}`

/** Whether the calendar has the day: no 31 April, 29 February only in leap years. */
function exists({ year, month, day }: Day): boolean {
  if (month < 1 || month > 12 || day < 1) return false
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  return day <= (month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31)
}

function readMoment(text: string, format: DateFormat | null, report: Report): Moment | null {
  const plain = text.replace(/[\s\p{Z}]+/gu, ' ').trim()
  const parts = plain.length > LONGEST ? null : WITH_TIME.exec(plain)
  const time = parts === null ? null : readTime(parts[2]!.trim())
  const day = parts !== null && time === null ? null : readDay(parts === null ? plain : parts[1]!, format, report)
  if (day === 'told') return null
  if (day === null || !offsetExists(parts?.[3])) {
    report('date.invalid')
    return null
  }
  return { ...day, time, offset: parts?.[3]?.toUpperCase() ?? null }
}

/** UTC offsets lie between -12:00 and +14:00; Z and none are offsets too. */
const offsetExists = (offset: string | undefined): boolean => offset === undefined || /^(?:z|[+-](?:0\d|1[0-4]):?[0-5]\d)$/i.test(offset)

function readTime(text: string): Time | null {
  const parts = TIME.exec(text)
  if (parts === null) return null
  const half = parts[4]?.[0]?.toLowerCase()
  const hour = Number(parts[1])
  const time = { hour: half === undefined ? hour : (hour % 12) + (half === 'p' ? 12 : 0), minute: Number(parts[2]), second: Number(parts[3] ?? 0) }
  const possible = half === undefined ? hour < 24 : hour >= 1 && hour <= 12
  return possible && time.minute < 60 && time.second < 60 ? time : null
}

/** A day of the calendar; null where the text is none; 'told' where the ambiguity has been reported. */
function readDay(text: string, format: DateFormat | null, report: Report): Day | null | 'told' {
  const existing = (day: Day): Day | null => (exists(day) ? day : null)
  const declared = format?.pattern.exec(text)
  if (declared) {
    const day = { year: 0, month: 0, day: 0 }
    format!.order.forEach((part, index) => { day[part] = Number(declared[index + 1]) })
    return existing(day)
  }
  const iso = YEAR_FIRST.exec(text)
  if (iso !== null) return existing({ year: Number(iso[1]), month: Number(iso[3]), day: Number(iso[4]) })
  const named = DAY_NAMED_MONTH.exec(text)
  if (named !== null) return existing({ year: Number(named[3]), month: monthNamed(named[2]!), day: Number(named[1]) })
  const american = NAMED_MONTH_DAY.exec(text)
  if (american !== null) return existing({ year: Number(american[3]), month: monthNamed(american[1]!), day: Number(american[2]) })
  const last = YEAR_LAST.exec(text)
  return last === null ? null : eitherOrder(Number(last[1]), Number(last[3]), last[4]!, report)
}

/** 1 to 12, or 0 where no month begins so. */
function monthNamed(name: string): number {
  return MONTHS.findIndex(month => month.startsWith(name.toLowerCase())) + 1
}

/** 03/04/2026 may be two days, and 13/04/26 lie in two centuries: neither is guessed. */
function eitherOrder(one: number, two: number, yearText: string, report: Report): Day | null | 'told' {
  const short = yearText.length === 2
  const year = short ? 2000 + Number(yearText) : Number(yearText)
  const readings = [{ year, month: two, day: one }, { year, month: one, day: two }].filter(exists)
  const [first, second] = one === two ? readings.slice(0, 1) : readings
  if (first === undefined) return null
  if (!short && second === undefined) return first
  report('date.ambiguous', { first: isoDay(first), second: isoDay(second ?? { ...first, year: year - 100 }) })
  return 'told'
}
