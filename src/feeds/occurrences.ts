/**
 * The instants of a schedule in a time zone (spec A5). Pure calendar; what the days mean on which clocks change is decided here,
 * and told in docs/feeds.md.
 */

/** A schedule's five fields as the values that each of them allows. */
export type Fields = {
  /** Ascending; hours and minutes of the day. */
  minutes: readonly number[]
  hours: readonly number[]
  days: ReadonlySet<number>
  months: ReadonlySet<number>
  /** 1 is Monday, 7 is Sunday, as Temporal counts. */
  weekdays: ReadonlySet<number>
  /** Both kinds of days are given, and one of them is enough, as in cron. Else a date has to be in both sets. */
  eitherDay: boolean
  /** The hour field stands for the whole day (`*`, or a step over it): it follows the time that passes, not the wall clock. */
  allDay: boolean
}

const MINUTE_MS = 60_000
const DAY_MS = 1_440 * MINUTE_MS
/** From one 29 February to the next there may be eight years, over the end of a century. */
const LONGEST_PAUSE_DAYS = 8 * 366 + 1

/** Whether the fields have a day in any year: 30 February has none. */
export function everOccurs({ days, months, eitherDay }: Fields): boolean {
  return eitherDay || [...months].some((month) => [...days].some((day) => day <= LONGEST_MONTHS[month - 1]!))
}
const LONGEST_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * The instants of a schedule after `after`, ascending and each once, in milliseconds since 1970. Never ends for a schedule that ever occurs.
 *
 * A schedule that names hours goes by the wall clock. A time that the clocks skip comes as much later as they skip (02:30 is 03:30 in New
 * York on that day), and only once where another time of the schedule is then anyway; of a time that comes twice the first counts.
 * A schedule over all hours goes by the time that passes: both passes of an hour that comes twice, and nothing for one that is skipped.
 */
export function* occurrences(fields: Fields, zone: string, after: number): Generator<number, void> {
  // A time skipped at the end of a day comes on the next one.
  const first = Temporal.Instant.fromEpochMilliseconds(after).toZonedDateTimeISO(zone).toPlainDate().subtract({ days: 1 })
  let last = after
  let waiting: number[] = []
  for (const date of datesOf(fields, first)) {
    const day = readDay(date, zone)
    // What came out of the day before may lie between the times of this one.
    const passed = waiting.filter((instant) => instant < day.begins)
    waiting = [...waiting.slice(passed.length), ...instantsOf(fields, date, zone, day)].sort((one, other) => one - other)
    for (const instant of passed) {
      if (instant > last) yield (last = instant)
    }
  }
  for (const instant of waiting) if (instant > last) yield (last = instant)
}

/** The dates that the fields allow, from `first` on; ends when none has come for longer than any schedule pauses. */
function* datesOf({ days, months, weekdays, eitherDay }: Fields, first: Temporal.PlainDate): Generator<Temporal.PlainDate> {
  let date = first
  let giveUp = date.add({ days: LONGEST_PAUSE_DAYS })
  while (Temporal.PlainDate.compare(date, giveUp) <= 0) {
    if (!months.has(date.month)) {
      date = date.with({ day: 1 }).add({ months: 1 })
      continue
    }
    const onDay = days.has(date.day)
    const onWeekday = weekdays.has(date.dayOfWeek)
    if (eitherDay ? onDay || onWeekday : onDay && onWeekday) {
      yield date
      giveUp = date.add({ days: LONGEST_PAUSE_DAYS })
    }
    date = date.add({ days: 1 })
  }
}

/** `even`: no clock changes on the date or right behind it, so that its times follow from its beginning. */
type Day = { begins: number; even: boolean }

function readDay(date: Temporal.PlainDate, zone: string): Day {
  const [begins, ends, over] = [0, 1, 2].map((days) => date.add({ days }).toZonedDateTime(zone).epochMilliseconds) as [number, number, number]
  return { begins, even: ends - begins === DAY_MS && over - ends === DAY_MS }
}

function instantsOf({ hours, minutes, allDay }: Fields, date: Temporal.PlainDate, zone: string, { begins, even }: Day): number[] {
  if (even) return hours.flatMap((hour) => minutes.map((minute) => begins + (hour * 60 + minute) * MINUTE_MS))
  return hours.flatMap((hour) => minutes.flatMap((minute) => instantsOfWall(date.toPlainDateTime({ hour, minute }), zone, allDay)))
}

/** The instants at which a wall time counts. */
function instantsOfWall(wall: Temporal.PlainDateTime, zone: string, allDay: boolean): number[] {
  if (!allDay) return [wall.toZonedDateTime(zone, { disambiguation: 'compatible' }).epochMilliseconds]
  const both = (['earlier', 'later'] as const).map((disambiguation) => wall.toZonedDateTime(zone, { disambiguation }))
  // A time that the clocks skip comes back as another one.
  return both.filter((moment) => moment.toPlainDateTime().equals(wall)).map(({ epochMilliseconds }) => epochMilliseconds)
}
