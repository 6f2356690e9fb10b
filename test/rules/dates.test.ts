import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { dateFormat, parseDay, parseSendAt, sendAtReader } from '../../src/rules/dates.ts'
import { reported, silent } from './reported.ts'

const now = Temporal.Instant.from('2026-01-01T12:00:00Z')
const newYork = { zone: 'America/New_York', format: null, now }
const sendAt = (text: string, options = {}) => reported(report => parseSendAt(text, { ...newYork, ...options }, report))

describe('a send date (B7)', () => {
  test.each([
    ['2026-12-01', '2026-12-01T05:00:00Z', 'a day begins at midnight in the zone'],
    ['2026-12-01 08:00', '2026-12-01T13:00:00Z', 'a wall time in the zone'],
    ['2026-07-01 08:00', '2026-07-01T12:00:00Z', 'in summer time'],
    ['2026-12-01T08:00:00', '2026-12-01T13:00:00Z', 'what a date cell gives'],
    ['2026-12-01T08:00:30.500', '2026-12-01T13:00:30Z', 'fractions of a second are left out'],
    ['2026-12-01T08:00Z', '2026-12-01T08:00:00Z', 'its own offset goes before the zone'],
    ['2026-12-01 08:00+05:30', '2026-12-01T02:30:00Z', 'in any spelling'],
    ['2026-12-01T08:00:00-0800', '2026-12-01T16:00:00Z', 'of ISO 8601'],
    [' 2026/12/1\u00a08:00 ', '2026-12-01T13:00:00Z', 'the year first leaves no doubt'],
    ['1 Dec 2026', '2026-12-01T05:00:00Z', 'nor does a month by name'],
    ['01-Dec-2026 8:00 PM', '2026-12-02T01:00:00Z', 'as spreadsheets write it'],
    ['December 1, 2026, 12:30 am', '2026-12-01T05:30:00Z', 'or Americans'],
    ['13/04/2026', '2026-04-13T04:00:00Z', 'no month has the number 13'],
    ['04/13/2026', '2026-04-13T04:00:00Z', 'in either order'],
    ['04.04.2026', '2026-04-04T04:00:00Z', 'the same in both orders'],
    ['2028-02-29', '2028-02-29T05:00:00Z', 'a leap day'],
    ['2026-01-01', '2026-01-01T05:00:00Z', 'today means at once, though midnight has passed'],
  ])('%j is %s: %s', (text, instant) => {
    expect(sendAt(text)).toEqual({ value: instant, codes: [], details: [] })
  })

  test.each([
    ['03/04/2026', '2026-04-03', '2026-03-04'],
    ['3.4.2026 10:00', '2026-04-03', '2026-03-04'],
    ['03/04/26', '2026-04-03', '2026-03-04'],
    ['13/04/26', '2026-04-13', '1926-04-13'],
  ])('%s is ambiguous, and both readings are told', (text, first, second) => {
    expect(sendAt(text)).toEqual({ value: null, codes: ['date.ambiguous'], details: [{ first, second }] })
  })

  test.each(['soon', '', '2026-13-01', '2026-02-30', '2026-02-29', '31.04.2026', '30.13.2026', '0/1/2026', '20261201', '46357', '2026-12-01 24:00', '2026-12-01 08:60', '2026-12-01 8', '2026-12-01 13:00 pm', '2026-12-01T08:00+25:00', '2026-12-01 08:00 CET', '1 Foo 2026', '2026-12/01', `2026-12-01${' 1:'.repeat(9_000)}`])('%.40j is no date', (text) => {
    expect(sendAt(text)).toMatchObject({ value: null, codes: ['date.invalid'] })
  })

  test.each(['2025-12-31', '2026-01-01 06:59', '2026-01-01T11:59:59Z', '13/04/2019'])('%s has passed', (text) => {
    expect(sendAt(text)).toMatchObject({ value: null, codes: ['date.past'] })
  })

  test.each([['America/New_York', '2026-03-08 02:30'], ['Australia/Lord_Howe', '2026-10-04 02:15'], ['Europe/Berlin', '2026-03-29T02:00:00']])('in %s the clocks skip %s', (zone, text) => {
    expect(sendAt(text, { zone })).toEqual({ value: null, codes: ['date.nonexistent'], details: [{ zone }] })
  })

  test.each([
    ['America/New_York', '2026-11-01 01:30', '2026-11-01T05:30:00Z'],
    ['Australia/Lord_Howe', '2026-04-05 01:45', '2026-04-04T14:45:00Z'],
  ])('in %s %s comes twice, and the earlier one is meant', (zone, text, instant) => {
    expect(sendAt(text, { zone }).value).toBe(instant)
  })

  test('begins at the first instant of a day whose midnight the clocks skip', () => {
    expect(sendAt('2026-09-06', { zone: 'America/Santiago' }).value).toBe('2026-09-06T04:00:00Z')
  })

  test('is today by the calendar of the organization, not of the machine', () => {
    expect(sendAt('2026-01-01', { zone: 'Pacific/Auckland' })).toMatchObject({ value: null, codes: ['date.past'] })
  })

  test('read twice is read once', () => {
    fc.assert(fc.property(fc.date({ min: new Date('2026-01-02'), max: new Date('2099-12-31'), noInvalidDate: true }), (date) => {
      const instant = parseSendAt(date.toISOString(), newYork, silent)!
      expect(Date.parse(instant)).toBe(Math.floor(date.getTime() / 1000) * 1000)
      expect(parseSendAt(instant, newYork, silent)).toBe(instant)
    }))
  })

  test('never throws, whatever is typed, and reports exactly what it does not take', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: fc.constantFrom(...'0123456789 /.-:TZapm+') }), fc.string({ unit: 'binary' })), (text) => {
      const { value, codes } = sendAt(text)
      expect(codes).toHaveLength(value === null ? 1 : 0)
    }), { numRuns: 1_000 })
  })

  test('a reader for many rows gives the same, and tells every row its own problem', () => {
    const read = sendAtReader(newYork)
    for (let round = 0; round < 2; round++) {
      expect(read('2026-12-01 08:00', silent)).toBe('2026-12-01T13:00:00Z')
      expect(reported(report => read('03/04/2026', report)).codes).toEqual(['date.ambiguous'])
    }
  })
})

describe('a declared date format', () => {
  test.each([
    ['DD/MM/YYYY', '03/04/2026', '2026-04-03'],
    ['MM/DD/YYYY', '3/4/2026', '2026-03-04'],
    ['DD.MM.YYYY', '03.04.2026', '2026-04-03'],
    ['D.M.YYYY', '03.04.2026', '2026-04-03'],
    ['MM/DD/YYYY HH:mm', '03/04/2026 10:15', '2026-03-04'],
    ['MM/DD/YYYY hh:mm A', '03/04/2026 10:15 PM', '2026-03-04'],
    ['YYYY-DD-MM', '2026-03-04', '2026-04-03'],
    ['DD MM YYYY', '03 04 2026', '2026-04-03'],
    ['DD/MM/YYYY', '2026-04-03', '2026-04-03'],
  ])('%s reads %s as %s', (format, text, day) => {
    const compiled = dateFormat(format)
    expect(compiled).not.toBeNull()
    expect(parseDay(text, compiled, silent)).toBe(day)
  })

  test('does not turn a month 13 into a day', () => {
    expect(reported(report => parseDay('04/13/2026', dateFormat('DD/MM/YYYY'), report))).toMatchObject({ value: null, codes: ['date.invalid'] })
  })

  test('says nothing of other separators', () => {
    expect(reported(report => parseDay('03.04.2026', dateFormat('DD/MM/YYYY'), report))).toMatchObject({ value: null, codes: ['date.ambiguous'] })
  })

  test.each(['', 'DD-MM-YY', 'YYYY', 'DD/DD/YYYY', 'DD/MM.YYYY', 'DD/MM/YYYY foo', 'dd/mm/yyyy', '.*'])('%j is none', (format) => {
    expect(dateFormat(format)).toBeNull()
  })
})
