import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { normalizeIso, serialToIso } from '../../../src/importers/workbook/dates.ts'
import { isBuiltInDateFormat, isDateFormat } from '../../../src/importers/workbook/numberFormats.ts'

describe('serials of the 1900 date system', () => {
  test.each([
    [0, '1900-01-00'], [1, '1900-01-01'], [59, '1900-02-28'], [60, '1900-02-29'], [61, '1900-03-01'], [366, '1900-12-31'], [367, '1901-01-01'],
    [36_585, '2000-02-29'], [46_357, '2026-12-01'], [73_109, '2100-02-28'], [73_110, '2100-03-01'], [2_958_465, '9999-12-31'],
    [0.5, '1900-01-00T12:00:00'], [46_357.25, '2026-12-01T06:00:00'], [46_357.354849537, '2026-12-01T08:30:59'],
  ])('%f shows %s', (serial, iso) => expect(serialToIso(serial)).toBe(iso))

  test.each([-1, -0.1, 2_958_466, Number.NaN, Number.POSITIVE_INFINITY])('%f shows no date', (serial) => expect(serialToIso(serial)).toBeNull())

  test('a time is rounded to the second and never shows 60 seconds or 24 hours', () => {
    expect(serialToIso(46_357.999_999)).toBe('2026-12-02')
    expect(serialToIso(46_357 + 59.6 / 86_400)).toBe('2026-12-01T00:01:00')
    expect(serialToIso(2_958_465.999_999)).toBeNull()
  })

  test('every day and second from March 1900 is the one that the calendar has', () => {
    fc.assert(fc.property(fc.integer({ min: 61, max: 2_958_465 }), fc.integer({ min: 0, max: 86_399 }), (day, second) => {
      const expected = new Date((day - 25_569) * 86_400_000 + second * 1000).toISOString().slice(0, 19)
      const iso = serialToIso(day + second / 86_400)!
      expect(iso.length === 10 ? `${iso}T00:00:00` : iso).toBe(expected)
    }))
  })
})

test.each([
  ['2026-12-01', '2026-12-01'], ['2026-12-01T00:00:00', '2026-12-01'], ['2026-12-01T08:30:00Z', '2026-12-01T08:30:00'], ['2026-12-01T08:30', '2026-12-01T08:30:00'],
  ['2026-12-31T23:59:59.7', '2027-01-01'], ['2024-02-29T00:00:00.000', '2024-02-29'], ['0050-01-01', '0050-01-01'],
  ['2026-02-29', null], ['2026-13-01', null], ['2026-12-01T25:00:00', null], ['2026-12-01T08:30:00+02:00', null], ['08:30:00', null], ['1 December', null],
])('ISO text %s is read as %s', (text, iso) => expect(normalizeIso(text)).toBe(iso))

describe('number formats', () => {
  test.each([
    'yyyy-mm-dd', 'd/m/yy', 'mmm', 'h:mm AM/PM', '[$-409]d-mmm-yy;@', '[Red]dd.mm.yyyy', '[$-F800]dddd, mmmm dd, yyyy', 'yyyy"年"m"月"d"日"', 'ss.000', 'YYYY-MM-DD', 'd\\ mmmm', 'ggge', '[<60]h:mm', 'd [h]:mm',
  ])('%s shows a date', (code) => expect(isDateFormat(code)).toBe(true))

  test.each([
    'General', '0.00', '#,##0', '@', '0.00E+00', '##0.0E-0', '"day" 0', '0\\d', '0_d', '0*d', '[h]:mm', '[mm]:ss', '[ss].00', '[Red]0', '[$€-407]#,##0.00', '[$USD] 0', '0.0%', '# ?/?', '0;"yes"', '0;yyyy', 'GENERAL', '"unclosed d', '[unclosed d', '',
  ])('%s shows no date', (code) => expect(isDateFormat(code)).toBe(false))

  test('of the built-in ones, dates and times are, elapsed time and numbers are not', () => {
    const dates = Array.from({ length: 60 }, (_, id) => id).filter(isBuiltInDateFormat)
    expect(dates).toEqual([14, 15, 16, 17, 18, 19, 20, 21, 22, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 45, 47, 50, 51, 52, 53, 54, 55, 56, 57, 58])
  })
})
