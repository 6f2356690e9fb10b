import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { inertView } from '../../src/templates/pages.ts'
import { showBytes, showCount, showDuration, showInstant, showNumber, wordsOf } from '../../src/web/show.ts'

describe('numbers', () => {
  test('have thousands separators', () => {
    expect(showNumber(1_234_567)).toBe('1,234,567')
    expect([showCount(1, 'row'), showCount(1210, 'row'), showCount(2, 'delivery', 'deliveries')]).toEqual(['1 row', '1,210 rows', '2 deliveries'])
  })

  test('of bytes come in a unit that fits', () => {
    expect([0, 1, 999, 1_000, 8_123, 73_412, 5_500_000, 1_000_000_000].map(showBytes)).toEqual(['0 bytes', '1 byte', '999 bytes', '1.0 kB', '8.1 kB', '73 kB', '5.5 MB', '1.0 GB'])
  })

  test('of milliseconds never show a unit that has run over', () => {
    expect([-5, 0, 420, 9_940, 9_960, 59_600, 60_000, 200_000, 3_599_600, 3_600_000, 7_500_000].map(showDuration)).toEqual([
      '0.0 s', '0.0 s', '0.4 s', '9.9 s', '10 s', '1 min', '1 min', '3 min 20 s', '1 h', '1 h', '2 h 5 min',
    ])
    fc.assert(fc.property(fc.integer({ min: 0, max: 400_000_000 }), (ms) => !/\b60 (?:s|min)/.test(showDuration(ms))))
  })
})

describe('an instant', () => {
  test('stands on the clock of the zone, with the zone', () => {
    expect(showInstant('2026-12-01T14:00:00.000Z', 'America/Chicago')).toEqual({ iso: '2026-12-01T14:00:00.000Z', text: 'Dec 1, 2026, 8:00 AM CST' })
    expect(showInstant(new Date('2026-07-01T14:00:00Z'), 'America/Chicago')?.text).toBe('Jul 1, 2026, 9:00 AM CDT')
    expect(showInstant('2026-12-01T14:00:00.000Z', 'UTC')?.text).toBe('Dec 1, 2026, 2:00 PM UTC')
  })

  test('that is none is not shown', () => {
    expect([showInstant(null, 'UTC'), showInstant('soon', 'UTC')]).toEqual([null, null])
  })
})

describe('a view', () => {
  test('has no text left that deceives, however deep it stands', () => {
    const texts = fc.string({ unit: fc.oneof(fc.constantFrom('\u202e', '\u2066', '\u200f', '\u0000', '\u001b', '\u0085', '\u2028'), fc.string({ minLength: 1, maxLength: 1 })) })
    const views = fc.record({ text: texts, list: fc.array(fc.record({ inner: texts, count: fc.integer(), flag: fc.boolean(), none: fc.constant(null) })) })
    fc.assert(fc.property(views, (view) => {
      const shown = inertView(view)
      expect(JSON.stringify(shown)).not.toMatch(/[\p{Bidi_Control}\u2028\u2029\u0080-\u009f]|\\u00(?!09|0a)/u)
      expect(shown.list.map(({ count, flag, none }) => [count, flag, none])).toEqual(view.list.map(({ count, flag, none }) => [count, flag, none]))
    }))
  })

  test('keeps what people write: line breaks, tabs, emoji, Indic joiners', () => {
    const text = 'Zoë\n\t👩‍🌾 क्‍ष'
    expect(inertView({ text })).toEqual({ text })
    expect(inertView('gnp\u202eexe')).toBe('gnp[U+202E]exe')
  })
})

test('a command is the same again when its words are joined', () => {
  expect(wordsOf('./muster import people.xlsx --organization acme').join(' ')).toBe('./muster import people.xlsx --organization acme')
})
