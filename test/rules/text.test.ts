import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { cleanLines, cleanText, isBlank, showCharacter, trimSpaces } from '../../src/rules/text.ts'
import { reported, silent } from './reported.ts'

describe('the text of a cell', () => {
  test.each([
    ['plain text, as it is', 'plain text, as it is'], ['two  spaces', 'two  spaces'], ['\u00a0x\u2003y\t', 'x y'], ['', ''], [' \u3000 ', ''], ['e\u0301', 'é'], ['{{x}} <b> =cmd', '{{x}} <b> =cmd'], ['01234', '01234'],
  ])('%j is kept as %j', (text, kept) => {
    expect(cleanText(text, silent)).toBe(kept)
    expect(cleanLines(text, silent)).toBe(kept)
  })

  test('loses invisible characters with one warning that names each once', () => {
    expect(reported(report => cleanText('\ufeffA\u200bB\u200bC\u2069', report))).toEqual({ value: 'ABC', codes: ['cell.invisible_character'], details: [{ character: 'U+FEFF, U+200B, U+2069' }] })
  })

  test('keeps joiners where the script needs them, and drops them elsewhere', () => {
    expect(cleanText('می\u200cخواهم', silent)).toBe('می\u200cخواهم')
    expect(cleanText('क्\u200dष', silent)).toBe('क्\u200dष')
    expect(reported(report => cleanText('pass\u200dword', report)).value).toBe('password')
    expect(reported(report => cleanText('می\u200c', report)).value).toBe('می')
  })

  test.each(['a\nb', 'a\tb', 'a\u0000', '\u0007', 'a\u009f', 'a\u2028b', 'x\r'])('%j holds a control character', (text) => {
    expect(reported(report => cleanText(text, report))).toMatchObject({ value: null, codes: ['cell.control_character'] })
  })

  test.each(['\ud800', 'a\udfff', 'x\ufffdy', '\uffff'])('%j holds a broken character', (text) => {
    expect(reported(report => cleanText(text, report))).toMatchObject({ value: null, codes: ['cell.broken_character'] })
  })

  test('may have several lines where that is allowed', () => {
    expect(cleanLines('a\r\nb\rc\td\n', silent)).toBe('a\nb\nc\td')
    expect(reported(report => cleanLines('a\nb\u0000', report))).toMatchObject({ value: null, codes: ['cell.control_character'] })
  })

  test('is the same cleaned twice as once, and holds nothing that cannot be stored', () => {
    const nasty = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('a', '\u0301', '\u064e', '\u0628', '\u200c', '\u200d', '\u200b', '\u0d4d', '葛', '\ufe00', '\u1820', '\u180b', ' ', '\t', '\n', '\r', '\u00ad') }))
    fc.assert(fc.property(nasty, fc.constantFrom(cleanText, cleanLines), (text, rule) => {
      const { value } = reported(report => rule(text, report))
      if (value === null) return
      expect(rule(value, silent)).toBe(value)
      expect(value.isWellFormed()).toBe(true)
      expect(value.normalize('NFC')).toBe(value)
      expect(value).not.toMatch(/[\0\ufffd\u202e]/)
    }), { numRuns: 1_000 })
  })

  test('takes no longer for long runs of spaces and marks than for words', () => {
    const started = performance.now()
    for (const text of [`a${' '.repeat(32_000)}b`, '\u180b'.repeat(32_000), `x${'\u00a0'.repeat(32_000)}\u200b`]) cleanText(text, () => {})
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

test.each([['', true], [' \t\r\n', true], ['\u00a0\u200b\ufeff', true], ['\u3164', true], ['0', false], ['-', false], [' x', false], ['é', false]])('%j is blank: %s', (text, blank) => {
  expect(isBlank(text)).toBe(blank)
})

test('a character is shown so that it can be found', () => {
  expect([' ', '\n', '\t', '\u0000', '\u200b', '%', '\u0301', '😀'].map(showCharacter)).toEqual(['a space', 'a line break', 'a tab', 'U+0000', 'U+200B', '"%"', '"◌\u0301" (U+0301)', '"😀"'])
})

test('only spaces and tabs are trimmed, not line breaks', () => {
  expect(trimSpaces('\t \u00a0\nx\n\u3000')).toBe('\nx\n')
})
