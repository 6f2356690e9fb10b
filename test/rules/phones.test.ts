import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { IssueCode } from '../../src/rules/catalog.ts'
import { checkPhone, checkPhoneNumberCell, showPhone } from '../../src/rules/phones.ts'
import type { PhonePolicy } from '../../src/rules/phones.ts'
import { reported, silent } from './reported.ts'

describe('a phone number of ten digits (B3)', () => {
  test.each([
    '6125550100', '612-555-0100', '612.555.0100', '612 555 0100', '(612) 555-0100', '(612)555-0100', '+1 612 555 0100', '+1 (612) 555-0100', '1-612-555-0100', '16125550100', '+16125550100',
    ' 612\u00a0555\u00a00100 ', '612–555–0100', '61 25 55 01 00', '6125550100.0', '6.125550100E9', '6.125550100e+09', '6125550100.00',
  ])('%j is stored as its ten digits', (typed) => {
    expect(checkPhone(typed, 'ten-digit', silent)).toBe('6125550100')
  })

  const failures: [string, IssueCode][] = [
    ['612 555 0100 x5', 'phone.not_numeric'],
    ['1-800-FLOWERS', 'phone.not_numeric'],
    ['n/a', 'phone.not_numeric'],
    ['+44 20 7946 0958', 'phone.not_numeric'],
    ['+6125550100', 'phone.not_numeric'],
    ['612555+0100', 'phone.not_numeric'],
    ['６１２５５５０１００', 'phone.not_numeric'],
    ['612-555-0100\r\n', 'phone.not_numeric'],
    ['555-0100', 'phone.not_ten_digits'],
    ['61255501001', 'phone.not_ten_digits'],
    ['+1 234 567 890', 'phone.not_ten_digits'],
    ['612-555-010', 'phone.not_ten_digits'],
    ['6125550100 6125550101', 'phone.not_ten_digits'],
    ['-', 'phone.not_ten_digits'],
    ['', 'phone.not_ten_digits'],
    ['1.5551E+10', 'phone.scientific_notation'],
    ['6.12555E+09', 'phone.scientific_notation'],
    ['6,12555E+09', 'phone.scientific_notation'],
    ['612555010', 'phone.lost_leading_zero'],
    ['612555010.0', 'phone.lost_leading_zero'],
  ]
  test.each(failures)('%j is told apart as %s', (typed, code) => {
    expect(reported(report => checkPhone(typed, 'ten-digit', report))).toMatchObject({ value: null, codes: [code] })
  })

  test('every failure that B3 lists is reached', () => {
    expect(new Set(failures.map(([, code]) => code))).toEqual(new Set(['phone.not_numeric', 'phone.not_ten_digits', 'phone.scientific_notation', 'phone.lost_leading_zero']))
  })

  test.each(['234-911-5678', '123-456-7890', '000-000-0000'])('%s is taken, since the plan is not asked', (typed) => {
    expect(checkPhone(typed, 'ten-digit', silent)).toBe(typed.replaceAll('-', ''))
  })

  test('is never padded: what is stored are digits of what was typed', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'0123456789 .-()+eE,') }), (typed) => {
      const { value } = reported(report => checkPhone(typed, 'ten-digit', report))
      expect(typed.replaceAll(/\D/g, '')).toContain(value ?? '')
    }), { numRuns: 1_000 })
  })
})

describe('a phone number from a cell that holds a number', () => {
  test.each([['6125550100', '6125550100'], ['16125550100', '6125550100'], ['6.125550100E9', '6125550100'], ['6125550100.0', '6125550100'], ['1.6125550100000E10', '6125550100']])('%s has all its digits', (text, stored) => {
    expect(checkPhoneNumberCell(text, 'ten-digit', silent)).toBe(stored)
  })

  test.each<[string, IssueCode]>([
    ['1.5551E+10', 'phone.scientific_notation'], ['1E10', 'phone.scientific_notation'], ['6.1255501005E9', 'phone.scientific_notation'],
    ['612555010', 'phone.lost_leading_zero'], ['6125550100.5', 'phone.not_numeric'], ['-6125550100', 'phone.not_numeric'], ['5550100', 'phone.not_ten_digits'],
  ])('%s is told apart as %s', (text, code) => {
    expect(reported(report => checkPhoneNumberCell(text, 'ten-digit', report))).toMatchObject({ value: null, codes: [code] })
  })

  test('has lost its + and so its country, where the organization asks for E.164', () => {
    expect(reported(report => checkPhoneNumberCell('16125550100', 'e164', report))).toMatchObject({ value: null, codes: ['phone.invalid'] })
  })
})

describe('the stricter policies', () => {
  test.each([
    ['(612) 555-0100', '6125550100'], ['+1 212 555 1234', '2125551234'],
  ])('the North American plan takes %s', (typed, stored) => {
    expect(checkPhone(typed, 'nanp', silent)).toBe(stored)
  })

  test.each(['234-911-5678', '123-456-7890', '911-555-0100', '612-055-0100', '612-155-0100'])('the North American plan refuses %s and says why', (typed) => {
    const { value, codes, details } = reported(report => checkPhone(typed, 'nanp', report))
    expect({ value, codes }).toEqual({ value: null, codes: ['phone.invalid'] })
    expect(details[0]!['reason']).toMatch(/begin|service/)
  })

  test.each([
    ['+49 30 12345678', '+493012345678'], ['+1 (612) 555-0100', '+16125550100'], ['+442079460958', '+442079460958'],
  ])('E.164 takes %s', (typed, stored) => {
    expect(checkPhone(typed, 'e164', silent)).toBe(stored)
  })

  test.each<[string, IssueCode]>([
    ['612 555 0100', 'phone.invalid'], ['+49 30', 'phone.invalid'], ['+999123456789', 'phone.invalid'], ['+0123456789', 'phone.invalid'], ['+1 123 456 7890', 'phone.invalid'],
    ['+49 30 1234567 ext 5', 'phone.not_numeric'], ['+', 'phone.invalid'], ['', 'phone.not_numeric'], ['4.93012E+11', 'phone.scientific_notation'],
  ])('E.164 refuses %j as %s', (typed, code) => {
    expect(reported(report => checkPhone(typed, 'e164', report))).toMatchObject({ value: null, codes: [code] })
  })

  test('checking twice is checking once, by every policy', () => {
    const typed = fc.oneof(fc.string({ unit: fc.constantFrom(...'0123456789 .-()+') }), fc.stringMatching(/^\+?1?[ -]?\(?[2-9]\d{2}\)?[ -]?[2-9]\d{2}[ -]?\d{4}$/), fc.stringMatching(/^\+(?:49|44|33|81)\d{8,10}$/), fc.string({ unit: 'binary' }))
    fc.assert(fc.property(typed, fc.constantFrom<PhonePolicy>('ten-digit', 'nanp', 'e164'), (text, policy) => {
      const { value, codes } = reported(report => checkPhone(text, policy, report))
      expect(codes).toHaveLength(value === null ? 1 : 0)
      expect(value === null ? null : checkPhone(value, policy, silent)).toBe(value)
    }), { numRuns: 1_000 })
  })
})

test('a stored number is shown as people read it', () => {
  expect(showPhone('6125550100')).toBe('(612) 555-0100')
  expect(showPhone('+493012345678')).toBe('+49 30 12345678')
  expect(showPhone('12')).toBe('12')
})
