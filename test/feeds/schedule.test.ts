import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeSchedule, latestSlot, nextSlot, scheduleFault, slotsBetween } from '../../src/feeds/schedule.ts'

const HOUR = 3_600_000
const between = (cron: string, zone: string, after: string, upTo: string): string[] => slotsBetween(cron, zone, new Date(after), new Date(upTo), 10_000).map((slot) => slot.toISOString().replace(':00.000Z', 'Z'))

describe('a schedule that names hours goes by the wall clock, once a day', () => {
  test.each<[name: string, cron: string, zone: string, after: string, upTo: string, slots: string[]]>([
    ['New York 02:30 does not exist on 8 March: 03:30', '30 2 * * *', 'America/New_York', '2026-03-07T00:00Z', '2026-03-10T00:00Z', ['2026-03-07T07:30Z', '2026-03-08T07:30Z', '2026-03-09T06:30Z']],
    ['New York 01:30 is as ever on that day', '30 1 * * *', 'America/New_York', '2026-03-07T00:00Z', '2026-03-10T00:00Z', ['2026-03-07T06:30Z', '2026-03-08T06:30Z', '2026-03-09T05:30Z']],
    ['New York 01:30 comes twice on 1 November: the first', '30 1 * * *', 'America/New_York', '2026-10-31T00:00Z', '2026-11-03T00:00Z', ['2026-10-31T05:30Z', '2026-11-01T05:30Z', '2026-11-02T06:30Z']],
    ['New York 02:30 is as ever on that day', '30 2 * * *', 'America/New_York', '2026-10-31T00:00Z', '2026-11-03T00:00Z', ['2026-10-31T06:30Z', '2026-11-01T07:30Z', '2026-11-02T07:30Z']],
    ['02:30 that is 03:30, where 03:30 is a time anyway: once', '30 2,3 * * *', 'America/New_York', '2026-03-08T00:00Z', '2026-03-09T00:00Z', ['2026-03-08T07:30Z']],
    ['02:45 that is 03:45 comes behind 03:15', '15,45 2,3 * * *', 'America/New_York', '2026-03-08T05:00Z', '2026-03-08T12:00Z', ['2026-03-08T07:15Z', '2026-03-08T07:45Z']],
    ['every quarter of a named hour that comes twice: its first pass', '*/15 1 * * *', 'America/New_York', '2026-11-01T00:00Z', '2026-11-02T00:00Z', ['2026-11-01T05:00Z', '2026-11-01T05:15Z', '2026-11-01T05:30Z', '2026-11-01T05:45Z']],
    ['the office hours of a day on which clocks change', '0 1-4 * * *', 'America/New_York', '2026-03-08T00:00Z', '2026-03-09T00:00Z', ['2026-03-08T06:00Z', '2026-03-08T07:00Z', '2026-03-08T08:00Z']],
    ['Lord Howe 02:15 does not exist on 4 October: 02:45', '15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T00:00Z', '2026-10-05T00:00Z', ['2026-10-02T15:45Z', '2026-10-03T15:45Z', '2026-10-04T15:15Z']],
    ['Lord Howe 01:45 comes twice on 5 April, half an hour apart: the first', '45 1 * * *', 'Australia/Lord_Howe', '2026-04-03T00:00Z', '2026-04-06T00:00Z', ['2026-04-03T14:45Z', '2026-04-04T14:45Z', '2026-04-05T15:15Z']],
    ['Lord Howe 02:00 on that day is behind both', '0 2 * * *', 'Australia/Lord_Howe', '2026-04-04T00:00Z', '2026-04-05T00:00Z', ['2026-04-04T15:30Z']],
    ['Berlin 02:30 in March', '30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-30T12:00Z', ['2026-03-29T01:30Z', '2026-03-30T00:30Z']],
    ['Kolkata, five hours and a half', '30 2 * * *', 'Asia/Kolkata', '2026-03-07T12:00Z', '2026-03-09T12:00Z', ['2026-03-07T21:00Z', '2026-03-08T21:00Z']],
    ['Kathmandu, five hours and three quarters', '0 0 * * *', 'Asia/Kathmandu', '2026-03-07T12:00Z', '2026-03-09T12:00Z', ['2026-03-07T18:15Z', '2026-03-08T18:15Z']],
    ['Chatham 03:15 does not exist on 27 September: 04:15', '15 3 * * *', 'Pacific/Chatham', '2026-09-25T12:00Z', '2026-09-28T12:00Z', ['2026-09-25T14:30Z', '2026-09-26T14:30Z', '2026-09-27T13:30Z']],
    ['Chatham 02:45 comes twice on 5 April: the first', '45 2 * * *', 'Pacific/Chatham', '2026-04-04T12:00Z', '2026-04-05T20:00Z', ['2026-04-04T13:00Z', '2026-04-05T14:00Z']],
    ['Cairo has no midnight on 24 April: 01:00', '0 0 * * *', 'Africa/Cairo', '2026-04-22T12:00Z', '2026-04-25T12:00Z', ['2026-04-22T22:00Z', '2026-04-23T22:00Z', '2026-04-24T21:00Z']],
    ['Cairo 00:30 on that day: 01:30', '30 0 * * *', 'Africa/Cairo', '2026-04-23T12:00Z', '2026-04-24T12:00Z', ['2026-04-23T22:30Z']],
    ['Cairo 23:30 comes twice on 29 October: the first', '30 23 * * *', 'Africa/Cairo', '2026-10-28T12:00Z', '2026-10-31T12:00Z', ['2026-10-28T20:30Z', '2026-10-29T20:30Z', '2026-10-30T21:30Z']],
    ['Sao Paulo had no midnight on 4 November 2018: 01:00', '0 0 * * *', 'America/Sao_Paulo', '2018-11-02T12:00Z', '2018-11-05T12:00Z', ['2018-11-03T03:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z']],
    ['Samoa had no 30 December 2011: the next day, on which it comes anyway', '0 2 * * *', 'Pacific/Apia', '2011-12-28T00:00Z', '2012-01-01T00:00Z', ['2011-12-28T12:00Z', '2011-12-29T12:00Z', '2011-12-30T12:00Z', '2011-12-31T12:00Z']],
    ['and where it does not come anyway, a day later', '0 2 30 * *', 'Pacific/Apia', '2011-12-01T00:00Z', '2012-01-31T00:00Z', ['2011-12-30T12:00Z', '2012-01-29T12:00Z']],
  ])('%s', (_, cron, zone, after, upTo, slots) => {
    expect(between(cron, zone, after, upTo)).toEqual(slots)
  })
})

describe('a schedule over all hours goes by the time that passes', () => {
  test.each<[name: string, cron: string, zone: string, after: string, upTo: string, slots: string[]]>([
    ['nothing for the hour that is skipped', '30 * * * *', 'America/New_York', '2026-03-08T05:45Z', '2026-03-08T08:45Z', ['2026-03-08T06:30Z', '2026-03-08T07:30Z', '2026-03-08T08:30Z']],
    ['both passes of the hour that comes twice', '30 * * * *', 'America/New_York', '2026-11-01T04:45Z', '2026-11-01T07:45Z', ['2026-11-01T05:30Z', '2026-11-01T06:30Z', '2026-11-01T07:30Z']],
    ['*/1 is every hour', '30 */1 * * *', 'America/New_York', '2026-11-01T04:45Z', '2026-11-01T07:45Z', ['2026-11-01T05:30Z', '2026-11-01T06:30Z', '2026-11-01T07:30Z']],
    ['and so is 0-23', '30 0-23 * * *', 'America/New_York', '2026-11-01T04:45Z', '2026-11-01T07:45Z', ['2026-11-01T05:30Z', '2026-11-01T06:30Z', '2026-11-01T07:30Z']],
    ['every second hour: 02:00 does not exist, and nothing stands in for it', '0 */2 * * *', 'America/New_York', '2026-03-08T04:30Z', '2026-03-08T10:30Z', ['2026-03-08T05:00Z', '2026-03-08T08:00Z', '2026-03-08T10:00Z']],
    ['every second hour: Berlin has 02:00 twice', '0 */2 * * *', 'Europe/Berlin', '2026-10-24T21:30Z', '2026-10-25T03:30Z', ['2026-10-24T22:00Z', '2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T03:00Z']],
    ['Lord Howe, half an hour twice', '*/15 * * * *', 'Australia/Lord_Howe', '2026-04-04T14:29Z', '2026-04-04T15:31Z', ['2026-04-04T14:30Z', '2026-04-04T14:45Z', '2026-04-04T15:00Z', '2026-04-04T15:15Z', '2026-04-04T15:30Z']],
    ['Cairo 23:30, twice before midnight', '30 * * * *', 'Africa/Cairo', '2026-10-29T20:00Z', '2026-10-29T23:00Z', ['2026-10-29T20:30Z', '2026-10-29T21:30Z', '2026-10-29T22:30Z']],
  ])('%s', (_, cron, zone, after, upTo, slots) => {
    expect(between(cron, zone, after, upTo)).toEqual(slots)
  })
})

describe('the calendar', () => {
  test.each<[name: string, cron: string, after: string, upTo: string, slots: string[]]>([
    ['a leap day', '0 0 29 2 *', '2026-01-01T00:00Z', '2033-01-01T00:00Z', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['a leap day over the end of a century', '0 0 29 2 *', '2096-01-01T00:00Z', '2105-01-01T00:00Z', ['2096-02-29T00:00Z', '2104-02-29T00:00Z']],
    ['the 31st, in months that have one', '0 6 31 * *', '2026-01-01T00:00Z', '2026-09-01T00:00Z', ['2026-01-31T06:00Z', '2026-03-31T06:00Z', '2026-05-31T06:00Z', '2026-07-31T06:00Z', '2026-08-31T06:00Z']],
    ['day of the month and day of the week: either is enough', '0 6 13 * 5', '2026-02-01T00:00Z', '2026-02-28T00:00Z', ['2026-02-06T06:00Z', '2026-02-13T06:00Z', '2026-02-20T06:00Z', '2026-02-27T06:00Z']],
    ['of which one is every day', '0 6 1-31 * 5', '2026-02-01T12:00Z', '2026-02-03T12:00Z', ['2026-02-02T06:00Z', '2026-02-03T06:00Z']],
    ['the second of which saves one that never came', '0 6 30 2 1', '2026-02-01T00:00Z', '2026-02-17T00:00Z', ['2026-02-02T06:00Z', '2026-02-09T06:00Z', '2026-02-16T06:00Z']],
    ['days of the week by name', '0 6 * * mon-fri', '2026-03-06T00:00Z', '2026-03-10T00:00Z', ['2026-03-06T06:00Z', '2026-03-09T06:00Z']],
    ['Sunday is 0 and 7', '0 6 * * 0', '2026-03-01T00:00Z', '2026-03-09T00:00Z', ['2026-03-01T06:00Z', '2026-03-08T06:00Z']],
    ['Sunday is 7 and 0', '0 6 * * 7', '2026-03-01T00:00Z', '2026-03-09T00:00Z', ['2026-03-01T06:00Z', '2026-03-08T06:00Z']],
    ['a weekend as a range', '0 6 * * 6-7', '2026-03-05T00:00Z', '2026-03-09T00:00Z', ['2026-03-07T06:00Z', '2026-03-08T06:00Z']],
    ['every second day of the month begins anew each month', '0 6 */2 * *', '2026-03-28T12:00Z', '2026-04-03T12:00Z', ['2026-03-29T06:00Z', '2026-03-31T06:00Z', '2026-04-01T06:00Z', '2026-04-03T06:00Z']],
    ['months by name', '0 6 1 jan,jul *', '2026-01-01T06:00Z', '2027-01-02T00:00Z', ['2026-07-01T06:00Z', '2027-01-01T06:00Z']],
    ['a slot is not behind itself', '0 6 * * *', '2026-03-01T06:00Z', '2026-03-02T06:00Z', ['2026-03-02T06:00Z']],
  ])('%s', (_, cron, after, upTo, slots) => {
    expect(between(cron, 'UTC', after, upTo)).toEqual(slots)
  })

  test('of many slots the first so many are told', () => {
    const day = ['2026-03-01T00:00Z', '2026-03-02T00:00Z'].map((text) => new Date(text)) as [Date, Date]
    expect(slotsBetween('0 * * * *', 'UTC', ...day, 3)).toEqual([1, 2, 3].map((hour) => new Date(day[0].getTime() + hour * HOUR)))
    expect(slotsBetween('0 * * * *', 'UTC', ...day, 0)).toEqual([])
  })

  test('of a year of minutes the latest is found, and all are counted, at once', () => {
    const begun = performance.now()
    expect(latestSlot('* * * * *', 'America/New_York', new Date('2025-01-01T00:00Z'), new Date('2026-01-01T00:00:30Z'))).toEqual({ slot: new Date('2026-01-01T00:00Z'), count: 365 * 1_440 })
    expect(performance.now() - begun).toBeLessThan(5_000)
    expect(latestSlot('0 6 * * *', 'UTC', new Date('2026-03-01T06:00Z'), new Date('2026-03-02T05:59Z'))).toBeNull()
  })
})

describe('a text that is no schedule', () => {
  test.each([
    ['0 0 30 2 *', 'never happens: no February has a day 30'],
    ['0 0 31 4,6,9,11 *', 'never happens: no month of it has a day 31'],
    ['0 0 30,31 2 *', 'never happens: no February has a day 30 or 31'],
    ['0 30 2 * * *', /^has 6 fields and not five: .* Seconds cannot be given\.$/],
    ['30 2 * *', /^has 4 fields and not five: minute, hour, /],
    ['', /^has 0 fields and not five/],
    ['@daily', 'is a nickname; write its five fields: "0 0 * * *"'],
    ['@Hourly', 'is a nickname; write its five fields: "0 * * * *"'],
    ['@reboot', /^is a nickname; write its five fields, such as/],
    ['60 2 * * *', /^has a minute that cannot be read, "60": write \*, or 0 to 59/],
    ['30 24 * * *', /^has an hour that cannot be read, "24"/],
    ['0 0 0 * *', /day of the month that cannot be read, "0"/],
    ['0 0 1 13 *', /month that cannot be read, "13"/],
    ['0 0 * * 8', /day of the week that cannot be read, "8"/],
    ['0 0 L * *', /day of the month that cannot be read, "L"/],
    ['0 0 15W * *', /day of the month that cannot be read/],
    ['0 0 * * 5#3', /day of the week that cannot be read/],
    ['0 0 ? * *', /day of the month that cannot be read/],
    ['H 0 * * *', /minute that cannot be read/],
    ['0 0 * * fri-mon', /day of the week that cannot be read, "fri-mon"/],
    ['0 22-2 * * *', /hour that cannot be read, "22-2"/],
    ['*/0 * * * *', /minute that cannot be read/],
    ['1,1 * * * *', /minute that cannot be read/],
    ['mon 2 * * *', /minute that cannot be read, "mon"/],
    ['0 0 */2 * 1', /has a step \(\*\/2\) for one kind of day and 1 for the other/],
    ['0 0 1 * */2', /has a step \(\*\/2\) for one kind of day and 1 for the other/],
  ])('%s', (cron, fault) => {
    expect(scheduleFault(cron)).toMatch(fault)
    expect(() => nextSlot(cron, 'UTC', new Date(0))).toThrow(RangeError)
  })

  test.each(['30 2 * * *', '*/5 * * * *', '0 0 29 2 *', '0 0 31 1,4 *', '0 0 */2 * *', '0 0 * * */2', '0,30 8-18/2 * jan-mar,dec mon,wed', ' 30  2 * * * '])('%s is one', (cron) => {
    expect(scheduleFault(cron)).toBeNull()
    expect(nextSlot(cron, 'UTC', new Date(0)).getTime()).toBeGreaterThan(0)
  })

  test('nor is a zone that nobody knows one', () => {
    expect(() => nextSlot('30 2 * * *', 'America/Metropolis', new Date(0))).toThrow(RangeError)
  })
})

test.each([
  ['30 2 * * *', 'America/New_York', 'At 02:30 (America/New_York)'],
  ['30 2 * * mon-fri', 'UTC', 'At 02:30, Monday through Friday (UTC)'],
  ['*/15 8-18 * * *', 'UTC', 'Every 15 minutes, between 08:00 and 18:59 (UTC)'],
  ['30 2 1 * 1-5', 'UTC', 'At 02:30, on day 1 of the month; and at 02:30, Monday through Friday (UTC)'],
])('%s in words', (cron, zone, words) => {
  expect(describeSchedule(cron, zone)).toBe(words)
})

describe('whatever the schedule and the zone', () => {
  const ZONES = ['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Asia/Kathmandu', 'Pacific/Chatham', 'Africa/Cairo', 'America/Sao_Paulo', 'America/St_Johns', 'Pacific/Apia', 'America/Havana', 'Asia/Tehran', 'Africa/Casablanca', 'Antarctica/Troll']
  const field = (least: number, most: number) =>
    fc.oneof(
      { weight: 2, arbitrary: fc.constant('*') },
      { weight: 3, arbitrary: fc.uniqueArray(fc.integer({ min: least, max: most }), { minLength: 1, maxLength: 3 }).map((list) => list.join(',')) },
      { weight: 1, arbitrary: fc.integer({ min: 2, max: 12 }).map((step) => `*/${step}`) },
      { weight: 1, arbitrary: fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most })).map((ends) => ends.toSorted((a, b) => a - b).join('-')) },
    )
  const crons = fc
    .tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
    .map((fields) => fields.join(' '))
    .filter((cron) => scheduleFault(cron) === null)
  const zones = fc.constantFrom(...ZONES)
  /** Half of them near an instant at which the zone's clocks change. */
  const moments = (zone: string) =>
    fc.tuple(fc.integer({ min: Date.UTC(1995, 0, 1), max: Date.UTC(2036, 0, 1) }), fc.boolean(), fc.integer({ min: -30 * HOUR, max: 6 * HOUR })).map(([instant, near, aside]) => {
      const change = near ? Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(zone).getTimeZoneTransition('next') : null
      return new Date(change === null ? instant : change.epochMilliseconds + aside)
    })
  const cases = fc.tuple(crons, zones).chain(([cron, zone]) => fc.tuple(fc.constant(cron), fc.constant(zone), moments(zone)))

  test('the next slot lies behind, each further than the one before, and slots between are just these', () => {
    fc.assert(
      fc.property(cases, ([cron, zone, after]) => {
        const repeated: Date[] = []
        for (let last = after; repeated.length < 5; last = repeated.at(-1)!) {
          const next = nextSlot(cron, zone, last)
          expect(next.getTime()).toBeGreaterThan(last.getTime())
          repeated.push(next)
        }
        const last = repeated.at(-1)!
        expect(slotsBetween(cron, zone, after, last, 100)).toEqual(repeated)
        expect(latestSlot(cron, zone, after, last)).toEqual({ slot: last, count: 5 })
        expect(slotsBetween(cron, zone, after, new Date(last.getTime() - 1), 100)).toEqual(repeated.slice(0, 4))
      }),
      { numRuns: 300 },
    )
  })

  /** The days around an instant, minute by minute of their wall clock: the rule as it is told, without the shortcuts. */
  function byTheMinute(cron: string, zone: string, after: Date, upTo: Date): number[] {
    const [minute, hour, day, month, weekday] = cron.split(' ').map((text, index) => allowed(text, [0, 0, 1, 1, 0][index]!, [59, 23, 31, 12, 6][index]!)) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>]
    const [, hours, days, , weekdays] = cron.split(' ') as [string, string, string, string, string]
    const either = !days.startsWith('*') && !weekdays.startsWith('*')
    const first = Temporal.Instant.fromEpochMilliseconds(after.getTime()).toZonedDateTimeISO(zone).toPlainDate().subtract({ days: 2 })
    const found = new Set<number>()
    for (let ahead = 0; ahead < 6; ahead++) {
      const date = first.add({ days: ahead })
      const [onDay, onWeekday] = [day.has(date.day), weekday.has(date.dayOfWeek % 7)]
      if (!month.has(date.month) || !(either ? onDay || onWeekday : onDay && onWeekday)) continue
      for (let at = 0; at < 1_440; at++) {
        if (!hour.has(Math.floor(at / 60)) || !minute.has(at % 60)) continue
        const wall = date.toPlainDateTime({ hour: Math.floor(at / 60), minute: at % 60 })
        const read = (disambiguation: 'compatible' | 'earlier' | 'later') => wall.toZonedDateTime(zone, { disambiguation })
        const moments = hours.startsWith('*') || hour.size === 24 ? [read('earlier'), read('later')].filter((moment) => moment.toPlainDateTime().equals(wall)) : [read('compatible')]
        for (const { epochMilliseconds } of moments) found.add(epochMilliseconds)
      }
    }
    return [...found].filter((instant) => instant > after.getTime() && instant <= upTo.getTime()).toSorted((a, b) => a - b)
  }

  function allowed(text: string, least: number, most: number): Set<number> {
    const all = Array.from({ length: most - least + 1 }, (_, index) => least + index)
    if (text === '*') return new Set(all)
    if (text.startsWith('*/')) return new Set(all.filter((value) => (value - least) % Number(text.slice(2)) === 0))
    const [from, to] = text.split('-').map(Number) as [number, number?]
    return to === undefined ? new Set(text.split(',').map(Number)) : new Set(all.filter((value) => value >= from && value <= to))
  }

  test('the slots of two days are those that the rule gives minute by minute', () => {
    fc.assert(
      fc.property(cases, ([cron, zone, after]) => {
        const upTo = new Date(after.getTime() + 48 * HOUR)
        expect(slotsBetween(cron, zone, after, upTo, 10_000).map((slot) => slot.getTime())).toEqual(byTheMinute(cron, zone, after, upTo))
      }),
      { numRuns: 150 },
    )
  })
})
