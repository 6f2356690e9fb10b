import { explainIssue } from '../rules/catalog.ts'
import { parseSendAt } from '../rules/dates.ts'
import { CommandRefused } from './find.ts'

/** The instant of a release, and what is to be said about it. */
export type ReleaseDate = {
  instant: Temporal.Instant
  /** It lies before the clock: at once. */
  past: boolean
  /** Of a wall time that comes twice the other instant, which is not meant. */
  other: Temporal.Instant | null
}

/** Before everything that people write, so that a date is read as it is before it is compared with the clock. */
const LONG_AGO = Temporal.Instant.from('0001-01-01T00:00:00Z')

/**
 * Reads `--at`: "now", or a wall time in the zone such as "2026-12-01 08:00". One that the clocks skip is refused; of one that comes
 * twice the earlier is meant, and the other is told. Throws CommandRefused.
 */
export function readReleaseDate(text: string, zone: string, now: Temporal.Instant): ReleaseDate {
  assertZone(zone)
  if (text === 'now') return { instant: now, past: false, other: null }
  let problem = ''
  const read = parseSendAt(text, { zone, format: null, now: LONG_AGO }, (code, detail) => {
    problem = explainIssue(code, { column: '--at', value: text, ...detail }).message
  })
  if (read === null) throw new CommandRefused('usage.at', `--at: ${problem}`, 'Write a date and time, such as "2026-12-01 08:00", or now.')
  const instant = Temporal.Instant.from(read)
  const wall = instant.toZonedDateTimeISO(zone).toPlainDateTime()
  const later = wall.toZonedDateTime(zone, { disambiguation: 'later' }).toInstant()
  return { instant, past: Temporal.Instant.compare(instant, now) < 0, other: later.equals(instant) ? null : later }
}

function assertZone(zone: string): void {
  try {
    LONG_AGO.toZonedDateTimeISO(zone)
  } catch {
    throw new CommandRefused('usage.zone', `--zone ${JSON.stringify(zone)} is no time zone.`, 'Write its IANA name, such as America/Chicago.')
  }
}

/** 2026-12-01 08:00 America/Chicago (2026-12-01 14:00 UTC) */
export function showMoment(instant: Date | Temporal.Instant, zone: string): string {
  const utc = `${at(instant, 'UTC')} UTC`
  return zone === 'UTC' ? utc : `${at(instant, zone)} ${zone} (${utc})`
}

/** 2026-12-01 08:00 America/Chicago */
export const showLocal = (instant: Date, zone: string): string => `${at(instant, zone)} ${zone}`

/** The time of day in the zone, rounded up to the minute; with the day where that is another one than of `since`. */
export function showEnd(instant: Date, zone: string, since: Date): string {
  const text = at(new Date(Math.ceil(instant.getTime() / 60_000) * 60_000), zone)
  return text.slice(0, 10) === at(since, zone).slice(0, 10) ? text.slice(11) : text
}

const at = (instant: Date | Temporal.Instant, zone: string): string => {
  const moment = instant instanceof Date ? Temporal.Instant.fromEpochMilliseconds(instant.getTime()) : instant
  return moment.toZonedDateTimeISO(zone).toPlainDateTime().toString({ smallestUnit: 'minute' }).replace('T', ' ')
}
