/** The date of a release on the days when clocks change, and in zones that are not whole hours away (fault 38, docs/operations.md). */
import { describe, expect, test } from 'vitest'
import { readReleaseDate, showEnd, showMoment } from '../../src/commands/releaseDate.ts'
import { sendAtReader } from '../../src/rules/dates.ts'
import { reported } from './reported.ts'

const now = Temporal.Instant.from('2026-01-01T12:00:00Z')

describe('the instant that is meant', () => {
  test.each<[string, string, string, string | null, string]>([
    ['America/New_York', '2026-03-08 01:59', '2026-03-08T06:59:00Z', null, 'the last minute before the clocks skip an hour'],
    ['America/New_York', '2026-03-08 03:00', '2026-03-08T07:00:00Z', null, 'the first one behind it'],
    ['America/New_York', '2026-11-01 00:59', '2026-11-01T04:59:00Z', null, 'before the hour that comes twice'],
    ['America/New_York', '2026-11-01 01:30', '2026-11-01T05:30:00Z', '2026-11-01T06:30:00Z', 'comes twice: the earlier'],
    ['America/New_York', '2026-11-01 02:00', '2026-11-01T07:00:00Z', null, 'behind the hour that comes twice'],
    ['America/New_York', '2026-11-01 01:30-05:00', '2026-11-01T06:30:00Z', '2026-11-01T06:30:00Z', 'with its offset written, the one that was written'],
    ['Australia/Lord_Howe', '2026-04-05 01:29', '2026-04-04T14:29:00Z', null, 'before the half hour that comes twice'],
    ['Australia/Lord_Howe', '2026-04-05 01:30', '2026-04-04T14:30:00Z', '2026-04-04T15:00:00Z', 'half an hour twice: the earlier'],
    ['Australia/Lord_Howe', '2026-04-05 01:59', '2026-04-04T14:59:00Z', '2026-04-04T15:29:00Z', 'its last minute'],
    ['Australia/Lord_Howe', '2026-04-05 02:00', '2026-04-04T15:30:00Z', null, 'once again'],
    ['Australia/Lord_Howe', '2026-10-04 01:59', '2026-10-03T15:29:00Z', null, 'before the half hour that the clocks skip'],
    ['Australia/Lord_Howe', '2026-10-04 02:30', '2026-10-03T15:30:00Z', null, 'right behind it'],
    ['Asia/Kathmandu', '2026-12-01 08:00', '2026-12-01T02:15:00Z', null, 'five hours and three quarters'],
    ['America/St_Johns', '2026-12-01 08:00', '2026-12-01T11:30:00Z', null, 'three and a half hours behind'],
    ['America/St_Johns', '2026-07-01 08:00', '2026-07-01T10:30:00Z', null, 'two and a half in summer'],
    ['Pacific/Kiritimati', '2026-12-01 00:00', '2026-11-30T10:00:00Z', null, 'fourteen hours ahead'],
  ])('%s %s is %s', (zone, text, instant, other) => {
    const read = readReleaseDate(text, zone, now)
    expect([read.instant.toString(), read.past]).toEqual([instant, false])
    // Twice a night: what is not meant is told, unless it is the one that was written.
    if (text.includes('-05:00')) expect(read.instant.toString()).toBe(other)
    else expect(read.other?.toString() ?? null).toBe(other)
    expect(sendAtReader({ zone, format: null, now })(text, () => undefined)).toBe(instant)
  })

  test.each([
    ['America/New_York', '2026-03-08 02:00'],
    ['America/New_York', '2026-03-08 02:30'],
    ['America/New_York', '2026-03-08 02:59'],
    ['Australia/Lord_Howe', '2026-10-04 02:00'],
    ['Australia/Lord_Howe', '2026-10-04 02:29'],
    ['America/St_Johns', '2026-03-08 02:30'],
  ])('%s %s is skipped by the clocks, and refused', (zone, text) => {
    expect(reported((report) => sendAtReader({ zone, format: null, now })(text, report))).toMatchObject({ value: null, codes: ['date.nonexistent'] })
    expect(() => readReleaseDate(text, zone, now)).toThrow(expect.objectContaining({ code: 'usage.at', message: expect.stringContaining('does not exist') as string }) as Error)
  })

  test('a day alone begins at midnight in the zone; one that has passed is told', () => {
    expect(readReleaseDate('2026-12-01', 'Asia/Kathmandu', now).instant.toString()).toBe('2026-11-30T18:15:00Z')
    expect(readReleaseDate('2025-12-01 08:00', 'UTC', now)).toMatchObject({ past: true })
    expect(readReleaseDate('now', 'UTC', now)).toEqual({ instant: now, past: false, other: null })
  })
})

describe('how it is shown', () => {
  test('on the clock of the zone and of UTC', () => {
    expect(showMoment(new Date('2026-12-01T02:15:00Z'), 'Asia/Kathmandu')).toBe('2026-12-01 08:00 Asia/Kathmandu (2026-12-01 02:15 UTC)')
    expect(showMoment(new Date('2026-12-01T02:15:00Z'), 'UTC')).toBe('2026-12-01 02:15 UTC')
  })

  test('the end is told by the minute in which it is over, with its day where that is another', () => {
    const since = new Date('2026-12-01T14:00:00Z')
    expect(showEnd(new Date('2026-12-01T14:20:40Z'), 'America/Chicago', since)).toBe('08:21')
    expect(showEnd(new Date('2026-12-02T14:20:00Z'), 'America/Chicago', since)).toBe('2026-12-02 08:20')
  })
})
