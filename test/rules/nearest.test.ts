import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { catalogKey, nearestFinder, nearestValue } from '../../src/rules/nearest.ts'

describe('the nearest known value (B6)', () => {
  const known = ['Staff', 'Managers', 'Supervisors', 'Approver (EMEA)', 'René']

  test.each([['Managr', 'Managers'], ['mangers', 'Managers'], ['STAFF', 'Staff'], ['Stff', 'Staff'], ['Approver', 'Approver (EMEA)'], ['Rene', 'René'], ['supervisor', 'Supervisors']])('of %s is %s', (text, value) => {
    expect(nearestValue(text, known)).toBe(value)
  })

  test.each(['Gardener', 'xyz', '', '\u200b', 'x'.repeat(500)])('of %.20s is none', (text) => {
    expect(nearestValue(text, known)).toBeNull()
  })

  test('is none where two values hold the text alike', () => {
    expect(nearestValue('Approver', ['Approver (EMEA)', 'Approver (Asia Pacific)'])).toBeNull()
  })

  test('is not looked for among more than 5,000', () => {
    const many = Array.from({ length: 5_001 }, (_, index) => `Group ${index}`)
    expect(nearestFinder(many)('Group 17')).toBeNull()
    expect(nearestFinder(many.slice(1))('group 17')).toBe('Group 17')
  })

  test('is the same when asked again', () => {
    const find = nearestFinder(known)
    expect([find('Managr'), find('Managr'), find('xyz'), find('xyz')]).toEqual(['Managers', 'Managers', null, null])
  })
})

describe('the key of a catalog value', () => {
  test.each([['Staff', ' STAFF '], ['Two Words', 'two\u00a0 words'], ['ＡＢＣ', 'abc'], ['É', 'e\u0301'], ['Fi', 'ﬁ'], ['❤️', '❤']])('%j and %j are the same', (one, other) => {
    expect(catalogKey(one)).toBe(catalogKey(other))
  })

  test.each([['René', 'Rene'], ['A-B', 'AB'], ['1', '01']])('%j and %j are not', (one, other) => {
    expect(catalogKey(one)).not.toBe(catalogKey(other))
  })

  test('of a key is the key', () => {
    const foldable = fc.string({ unit: fc.constantFrom('İ', 'ẞ', 'ﬁ', '℃', '\u0307', 'Ａ', ' ', '\u200b', '\u0345', 'Σ') })
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), foldable), (text) => {
      expect(catalogKey(catalogKey(text))).toBe(catalogKey(text))
    }), { numRuns: 1_000 })
  })
})
