import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { checkUsername, numberedUsername, RESERVED_USERNAMES, splitUsername, usernameBase, usernameFormatFault, usernameStem } from '../../src/rules/usernames.ts'
import type { UsernameParts } from '../../src/rules/usernames.ts'
import { reported, silent } from './reported.ts'

const base = (format: string, parts: Partial<UsernameParts>, maxLength = 32) =>
  usernameBase(format, { first: '', last: '', email: null, externalId: null, ...parts }, maxLength)

describe('a username made from a format (C1)', () => {
  test.each<[string, Partial<UsernameParts>, string]>([
    ['{first}.{last}', { first: 'John', last: 'Smith' }, 'john.smith'],
    ['{f}{last}', { first: 'Mary Ann', last: "O'Brien-Smith" }, 'mobrien-smith'],
    ['{first}{l}', { first: 'Jürgen', last: 'Æbler' }, 'jurgena'],
    ['{first}.{last}', { first: 'Nguyễn', last: 'Đỗ' }, 'nguyen.do'],
    ['{last}.{first}', { first: '小明', last: '王' }, 'wang.xiaoming'],
    ['{first}_{last}', { first: 'Владимир', last: 'Иванов' }, 'vladimir_ivanov'],
    ['{first}.{last}', { first: 'Cher' }, 'cher'],
    ['{first}.{last}', { first: 'J.', last: 'de la Cruz' }, 'j.delacruz'],
    ['{email}', { email: 'A.b+c@X.example' }, 'a.b+c@x.example'],
    ['{externalId}', { externalId: 'E/0042' }, 'e0042'],
    ['u-{externalId}', { externalId: '42' }, 'u-42'],
    ['{first}.{last}', {}, 'user'],
    ['{email}', {}, 'user'],
  ])('%s of %j is %s', (format, parts, name) => {
    expect(base(format, parts)).toBe(name)
  })

  test('is no reserved word, even for people who are called so', () => {
    expect(base('{last}', { last: 'Null' })).toBe('null-user')
    expect(base('{last}', { last: 'Root' }, 16)).toBe('root-user')
    for (const word of RESERVED_USERNAMES) expect(RESERVED_USERNAMES).not.toContain(base('{last}', { last: word }, 16))
  })

  test('leaves six characters for a number, and does not end in a separator where it was cut', () => {
    expect(base('{first}.{last}', { first: 'a'.repeat(25), last: 'b' })).toBe('a'.repeat(25))
    expect(base('{first}.{last}', { first: 'a'.repeat(40), last: 'b' })).toHaveLength(26)
  })

  test('is a username that could have been typed, and the same each time, whatever the name', () => {
    const parts = fc.record({ first: fc.string({ unit: 'grapheme' }), last: fc.string({ unit: 'binary' }), email: fc.option(fc.emailAddress()), externalId: fc.option(fc.string()) })
    const format = fc.constantFrom('{first}.{last}', '{f}{last}', '{email}', '{externalId}', 'x_{first}-{l}')
    fc.assert(fc.property(format, parts, fc.integer({ min: 12, max: 64 }), (format, parts, maxLength) => {
      const name = usernameBase(format, parts, maxLength)
      expect(name.length).toBeLessThanOrEqual(maxLength - 6)
      expect(name).toMatch(format === '{email}' ? /^[a-z0-9]+([._@+-][a-z0-9]+)*$/ : /^[a-z0-9]+([._-][a-z0-9]+)*$/)
      expect(checkUsername(name, maxLength, silent)).toBe(name)
      expect(usernameBase(format, parts, maxLength)).toBe(name)
    }))
  })
})

describe('the numbers behind a username', () => {
  test.each([['john', 'john'], ['r2d2', 'r2d2-']])('%s goes on as %s…', (name, stem) => {
    expect(usernameStem(name)).toBe(stem)
  })

  test.each([
    ['john', 'john', 1], ['john2', 'john', 2], ['john10', 'john', 10], ['john1', 'john1-', 1], ['r2d2-3', 'r2d2-', 3], ['a007', 'a007-', 1], ['12', '12-', 1], ['x1234567890', 'x1234567890-', 1],
  ])('%s is stem %s and number %i', (name, stem, number) => {
    expect(splitUsername(name)).toEqual({ stem, number })
  })

  test('a numbered name is taken apart into its stem and number again', () => {
    const bases = fc.stringMatching(/^[a-z][a-z0-9]{0,8}([._-][a-z0-9]{1,5})?$/)
    fc.assert(fc.property(bases, fc.integer({ min: 2, max: 999_999 }), (name, number) => {
      expect(splitUsername(numberedUsername(name, number))).toEqual({ stem: usernameStem(name), number })
    }))
  })

  test('two names never have the same stem and number', () => {
    const names = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', '-', '0', '1', '2'), minLength: 1, maxLength: 5 }).filter(name => !name.endsWith('-')), { minLength: 2 })
    fc.assert(fc.property(names, (names) => {
      const split = names.map(name => JSON.stringify(splitUsername(name)))
      expect(new Set(split).size).toBe(names.length)
    }))
  })
})

describe('a username that was typed', () => {
  test.each([['John.Doe', 'john.doe'], [' x ', 'x'], ['a_b-c.d', 'a_b-c.d'], ['a@b.com', 'a@b.com'], ['_svc_', '_svc_']])('%j is stored as %s', (typed, stored) => {
    expect(checkUsername(typed, 32, silent)).toBe(stored)
  })

  test.each(['', '-x', 'x.', 'a..b', 'root', 'ADMIN', 'é', 'a b', 'a/b', 'x'.repeat(33), 'a\n'.repeat(2)])('%j cannot be used, and the reason is told', (typed) => {
    const { value, codes, details } = reported(report => checkUsername(typed, 32, report))
    expect({ value, codes }).toEqual({ value: null, codes: ['username.invalid'] })
    expect(details[0]!['reason']).toMatch(/^it /)
  })
})

test('a username format is checked before it is used', () => {
  for (const format of ['{first}.{last}', '{f}{last}', '{email}', '{externalId}', 'acme-{l}{first}']) expect(usernameFormatFault(format)).toBeNull()
  for (const format of ['', 'user', '{First}', '{fristName}', '{}', '{first} {last}', 'ACME{last}', '{first}@{last}']) expect(usernameFormatFault(format)).not.toBeNull()
})
