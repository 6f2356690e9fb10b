import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { checkName } from '../../src/rules/names.ts'
import { reported, silent } from './reported.ts'

describe('a name (B1)', () => {
  test.each([
    'John', 'X', 'Null', "O'Brien", 'D’Arcy', 'Nguyễn', 'José', 'Anne-Marie', 'Jean‐Luc', 'J. R. R.', 'de la Cruz', 'Sammy Jr.',
    '王', '王小明', '田中', 'Владимир', 'علی', 'می\u200cخواهم', 'प्रिया', 'ക്‍', '葛\u{e0100}城', 'ʻOkina', '𠮷野', 'x'.repeat(100), '𠮷'.repeat(100),
  ])('is taken as it stands: %s', (name) => {
    expect(checkName(name, silent)).toBe(name)
  })

  test.each([
    ['  Mary   Ann ', 'Mary Ann', 'spaces at the ends go, inside they collapse'],
    ['Mary\u00a0Ann', 'Mary Ann', 'a no-break space is a space'],
    ['Mary\u3000Ann\t', 'Mary Ann', 'an ideographic space is a space, a tab at the end goes'],
    ['Jose\u0301', 'José', 'accents are composed (NFC)'],
  ])('%j is stored as %j: %s', (typed, stored) => {
    expect(checkName(typed, silent)).toBe(stored)
  })

  test.each([
    ['Bob\u200b', 'Bob', 'U+200B'],
    ['\ufeffBob', 'Bob', 'U+FEFF'],
    ['\u202egnp', 'gnp', 'U+202E'],
    ['Bo\u00adb\u200e', 'Bob', 'U+00AD, U+200E'],
    ['Bo\u200db', 'Bob', 'U+200D'],
  ])('%j loses its invisible characters with a warning', (typed, stored, character) => {
    expect(reported(report => checkName(typed, report))).toEqual({ value: stored, codes: ['cell.invisible_character'], details: [{ character }] })
  })

  test.each([
    ['R2', '"2"'], ['=cmd', '"="'], ['<b>Bob</b>', '"<"'], ['{{x}}', '"{"'], ['Ann, Jr', '","'], ['Ann–Marie', '"–"'], ['Ann/Bob', '"/"'], ['Ann@x', '"@"'], ['Bob 😀', '"😀"'], ['阿迪力·买买提', '"·"'],
  ])('%j is refused, and the character is named', (typed, character) => {
    expect(reported(report => checkName(typed, report))).toEqual({ value: null, codes: ['name.invalid_character'], details: [{ character }] })
  })

  test.each(['', ' ', '\u00a0', '-', '.', "'", '\u0301'])('%j has no letter and counts as missing', (typed) => {
    expect(reported(report => checkName(typed, report))).toMatchObject({ value: null, codes: ['name.required'] })
  })

  test.each([['x'.repeat(101), 101], [`${'y'.repeat(99)} z`, 101], ['𠮷'.repeat(150), 150]])('a name of more than 100 characters is too long', (typed, length) => {
    expect(reported(report => checkName(typed, report))).toEqual({ value: null, codes: ['name.too_long'], details: [{ length, limit: 100 }] })
  })

  test.each([
    ['Ann\nLee', 'a line break'], ['Ann\r\nBcc: x', 'a line break'], ['Ann\tLee', 'a tab'], ['Ann\u0000', 'U+0000'], ['Ann\u0085', 'U+0085'], ['Ann\u2028', 'U+2028'], ['Ann\n', 'a line break'],
  ])('%j holds a control character', (typed, character) => {
    expect(reported(report => checkName(typed, report))).toEqual({ value: null, codes: ['cell.control_character'], details: [{ character }] })
  })

  test.each(['Ann\ud800', '\udc00Ann', 'Ren\ufffd'])('%j holds a broken character, which is never stored', (typed) => {
    expect(reported(report => checkName(typed, report))).toMatchObject({ value: null, codes: ['cell.broken_character'] })
  })

  test('checking twice is checking once, whatever is typed', () => {
    const nasty = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('a', 'é', 'e', '\u0301', '\u064e', '\u0628', '\u200c', '\u200d', '\u200b', '\u0d4d', '\u0d15', '葛', '\ufe00', '\u1820', '\u180b', ' ', '\u00a0', '-', '’', '\t') }))
    fc.assert(fc.property(nasty, (typed) => {
      const first = reported(report => checkName(typed, report)).value
      expect(first === null ? null : checkName(first, silent)).toBe(first)
    }), { numRuns: 1_000 })
  })
})
