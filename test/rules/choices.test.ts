import { describe, expect, test } from 'vitest'

import { checkAccountKind, checkDelivery, checkYesNo, isNoRole } from '../../src/rules/choices.ts'
import { reported, silent } from './reported.ts'

describe('values that are Muster\'s own', () => {
  test.each(['yes', 'Y', 'TRUE', '1', 'Sí', 'oui', 'Ja', ' yes ', 'WAHR', 'x'])('%j means yes', text => expect(checkYesNo(text, silent)).toBe(true))
  test.each(['no', 'N', 'false', '0', 'non', 'Nein', 'nee', 'FAUX'])('%j means no', text => expect(checkYesNo(text, silent)).toBe(false))
  test.each([['Employee', 'employee'], ['SERVICE  Representative', 'service representative'], ['Kontakt', 'contact'], ['Mitarbeiter', 'employee']])('%j is the account kind %s', (text, kind) => expect(checkAccountKind(text, silent)).toBe(kind))
  test.each([['Invitation', 'invitation'], ['credentials', 'credentials'], ['None', 'none'], ['einladung', 'invitation']])('%j is the delivery %s', (text, delivery) => expect(checkDelivery(text, silent)).toBe(delivery))
  test.each(['no role assigned', ' No  Role Assigned'])('%j says that a user has no role', text => expect(isNoRole(text)).toBe(true))
  test('an empty or other text does not say so', () => expect(['', 'none', 'No role'].map(isNoRole)).toEqual([false, false, false]))

  test.each([checkYesNo, checkAccountKind, checkDelivery])('anything else is told with what is allowed', (rule) => {
    for (const text of ['perhaps', '', '2', 'constructor']) {
      const { value, codes, details } = reported(report => rule(text, report))
      expect({ value, codes }).toEqual({ value: null, codes: ['value.unknown'] })
      expect(details[0]!['allowed']).toMatch(/, /)
    }
  })
})
