import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { IssueCode } from '../../src/rules/catalog.ts'
import { checkEmail, emailKey, showEmail } from '../../src/rules/emails.ts'
import { reported, silent } from './reported.ts'

const label = 'x'.repeat(60)

describe('an e-mail address (B2)', () => {
  test.each([
    'a@b.co', 'john.smith@company.com', 'o\'brien+tag@sub.example.co.uk', '123@123.com', 'a_b-c@x-y.example', 'x@1and1.de', '!#$%&*/=?^_`{|}~@iana.org', 'a@b--c.com',
    'a@xn--mnchen-3ya.de', 'a@x.xn--p1ai', `${'x'.repeat(64)}@example.com`, `a@${'x'.repeat(63)}.com`, `a@${label}.${label}.${label}.${label}.com`,
  ])('%s is taken as it stands', (address) => {
    expect(checkEmail(address, silent)).toBe(address)
  })

  test.each([
    [' a@b.com\t', 'a@b.com', 'spaces around it go'],
    ['\u00a0a@b.com', 'a@b.com', 'a no-break space too'],
    ['John.Smith@EXAMPLE.Com', 'John.Smith@example.com', 'the domain is in lower case, the local part as typed'],
    ['a@münchen.de', 'a@xn--mnchen-3ya.de', 'an IDN domain is stored in ASCII'],
    ['a@MÜNCHEN.DE', 'a@xn--mnchen-3ya.de', 'in any case'],
    ['a@mu\u0308nchen.de', 'a@xn--mnchen-3ya.de', 'in any normal form'],
    ['a@郵件.商務', 'a@xn--5nqv22n.xn--lhr59c', 'in any script'],
    ['a@faß.de', 'a@xn--fa-hia.de', 'ß is a letter of its own'],
  ])('%j is stored as %s: %s', (typed, stored) => {
    expect(checkEmail(typed, silent)).toBe(stored)
  })

  const failures: [string, IssueCode][] = [
    ['john.example.com', 'email.missing_at'],
    ['', 'email.missing_at'],
    ['a@localhost', 'email.missing_dot'],
    ['a@examplecom', 'email.missing_dot'],
    ['a@', 'email.missing_dot'],
    ['a@.com', 'email.empty_label'],
    ['a@b..com', 'email.empty_label'],
    ['a@b.com.', 'email.empty_label'],
    ['a@.', 'email.empty_label'],
    ['a@b.c', 'email.tld_too_short'],
    ['a@1.2.3.4', 'email.tld_too_short'],
    ['a@b_c.com', 'email.invalid_domain_character'],
    ['a@b c.com', 'email.invalid_domain_character'],
    ['a@b,com', 'email.invalid_domain_character'],
    ['a@b.com;', 'email.invalid_domain_character'],
    ['a@b。com', 'email.invalid_domain_character'],
    ['a@-b.com', 'email.invalid_domain_character'],
    ['a@b-.com', 'email.invalid_domain_character'],
    ['a@b.123', 'email.invalid_domain_character'],
    ['a@192.168.10.25', 'email.invalid_domain_character'],
    ['a@[192.168.0.1]', 'email.invalid_domain_character'],
    ['a@b.com(work)', 'email.invalid_domain_character'],
    ['a@xn--\u00fc.com', 'email.invalid_domain_character'],
    ['@b.com', 'email.invalid_local_character'],
    ['.a@b.com', 'email.invalid_local_character'],
    ['a.@b.com', 'email.invalid_local_character'],
    ['a..b@b.com', 'email.invalid_local_character'],
    ['a b@c.com', 'email.invalid_local_character'],
    ['jörg@b.com', 'email.invalid_local_character'],
    ['a(work)@b.com', 'email.invalid_local_character'],
    ['"a b"@c.com', 'email.invalid_local_character'],
    ['"evil@g.com x"@int.test', 'email.invalid_local_character'],
    ['mailto:a@b.com', 'email.invalid_local_character'],
    ['Ann Lee <a@b.com>', 'email.invalid_local_character'],
    ['"Lee, Ann" <a@b.com>', 'email.invalid_local_character'],
    ['a@b@c.com', 'email.multiple_at'],
    ['a@@c.com', 'email.multiple_at'],
    ['a@y, b@z', 'email.multiple_addresses'],
    ['a@y;b@z', 'email.multiple_addresses'],
    ['a@b.com b@c.com', 'email.multiple_addresses'],
    ['a@b.com/b@c.com', 'email.multiple_addresses'],
    ['A <a@b.com>; B <c@d.com>', 'email.multiple_addresses'],
    ['a@b.com\r\nBcc: c@d.com', 'email.control_character'],
    ['a@b.com\n', 'email.control_character'],
    ['a@b.com\u0000', 'email.control_character'],
    ['a\u200b@b.com', 'email.control_character'],
    ['\ufeffa@b.com', 'email.control_character'],
    ['a@b\u202e.com', 'email.control_character'],
    ['a@b.com\ud800', 'email.control_character'],
    ['ren\ufffd@b.com', 'email.control_character'],
    [`${'x'.repeat(65)}@b.com`, 'email.too_long'],
    [`a@${'x'.repeat(64)}.com`, 'email.too_long'],
    [`a@${'é'.repeat(60)}.com`, 'email.too_long'],
    [`a@${'ab.'.repeat(90)}com`, 'email.too_long'],
    [`${label}@${label}.${label}.${label}.${label}.com`, 'email.too_long'],
  ]
  test.each(failures)('%j is told apart as %s', (typed, code) => {
    expect(reported(report => checkEmail(typed, report))).toMatchObject({ value: null, codes: [code] })
  })

  test('every failure that B2 lists is reached', () => {
    expect(new Set(failures.map(([, code]) => code))).toEqual(new Set([
      'email.missing_at', 'email.missing_dot', 'email.empty_label', 'email.tld_too_short', 'email.invalid_domain_character', 'email.invalid_local_character',
      'email.multiple_at', 'email.too_long', 'email.control_character', 'email.multiple_addresses',
    ]))
  })

  test('a failure names what is wrong', () => {
    expect(reported(report => checkEmail('a b@c.com', report)).details).toEqual([{ character: ' ', fault: 'holds a space, which cannot stand there' }])
    expect(reported(report => checkEmail('@c.com', report)).details).toMatchObject([{ fault: 'is empty' }])
    expect(reported(report => checkEmail(`${'x'.repeat(65)}@c.com`, report)).details).toEqual([{ part: 'the part before the @', length: 65, limit: 64 }])
  })

  test('is one mailbox whatever its case', () => {
    expect(emailKey('John@Example.com')).toBe(emailKey('john@example.COM'))
  })

  test('is shown in the script of its domain', () => {
    expect(showEmail('a@xn--mnchen-3ya.de')).toBe('a@münchen.de')
    expect(showEmail('xn--a@example.com')).toBe('xn--a@example.com')
    expect(showEmail('a@example.com')).toBe('a@example.com')
  })

  test('what is stored is one line of ASCII with one @, and checking it again changes nothing', () => {
    const pieces = fc.string({ unit: fc.constantFrom('a', 'B', '1', '.', '@', '-', '+', 'é', 'ß', '郵', 'ｗ', '"', ' ', ',', '\n', 'xn--', '\u200d', '\u0301') })
    const likely = fc.tuple(fc.string({ unit: fc.constantFrom('a', 'Z', '.', '+'), minLength: 1 }), fc.array(fc.string({ unit: fc.constantFrom('a', 'É', 'ｗ', '1', '-', 'ß', '郵', 'ﬁ', '\u200d'), minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 })).map(([local, labels]) => `${local}@${labels.join('.')}`)
    fc.assert(fc.property(fc.oneof(pieces, likely, fc.emailAddress(), fc.string({ unit: 'binary' })), (typed) => {
      const { value, codes } = reported(report => checkEmail(typed, report))
      expect(codes).toHaveLength(value === null ? 1 : 0)
      if (value === null) return
      expect(value).toMatch(/^[!-?A-~]+@[!-?A-~]+$/)
      expect(checkEmail(value, silent)).toBe(value)
      expect(reported(report => checkEmail(showEmail(value), report)).value).toBe(value)
    }), { numRuns: 1_000 })
  })
})
