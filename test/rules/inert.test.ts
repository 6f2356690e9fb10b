import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { inertCell, uninertCell } from '../../src/rules/inert.ts'

test.each(['=cmd|calc', '+SUM(A1)', '-2+3', '-1-2', '+1-612-555-0100', '@SUM', '\tx', '\rx', '＝cmd', '＋1', '－1', '＠x', ' =cmd', '\u00a0=cmd', '\u200b=cmd', '\ufeff=cmd', '\n=cmd', "'=cmd"])('%j cannot run as a formula', (text) => {
  expect(inertCell(text)).toBe(`'${text}`)
  expect(uninertCell(inertCell(text))).toBe(text)
})

test.each(['', 'a=b', 'Ann', "O'Brien", "'t Hooft", '-5', '+493012345678', '+49 30 123456', '-1.5', '(612) 555-0100', 'x@y.com', '03/04/2026'])('%j is written as it is', (text) => {
  expect(inertCell(text)).toBe(text)
})

test('what was written reads back as it was, whatever it is', () => {
  const risky = fc.string({ unit: fc.constantFrom("'", '=', '+', '-', '@', '＝', ' ', '\t', '\r', '1', 'a', '\u200b') })
  fc.assert(fc.property(fc.oneof(risky, fc.string({ unit: 'binary' })), (text) => {
    expect(uninertCell(inertCell(text))).toBe(text)
    expect(inertCell(text)).not.toMatch(/^[\t\r]|^[\s\u200b]*(?:[=@＝＠＋－]|[+-](?!\d[\d .]*$))/u)
  }), { numRuns: 1_000 })
})
