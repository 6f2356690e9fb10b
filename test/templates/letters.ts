import { exampleVariables, PURPOSES } from '../../src/templates/purposes.ts'
import type { Purpose, PurposeVariables } from '../../src/templates/purposes.ts'
import type { Language } from '../../src/templates/source.ts'

/** The examples of the catalog, with dates and numbers as a caller would format them for the language. */
export const lettersIn = (language: Language): PurposeVariables => {
  const expiresAt = {
    en: 'December 8, 2026, 8:00 AM (Chicago)',
    es: '8 de diciembre de 2026, 8:00 (Chicago)',
    fr: '8 décembre 2026 à 8 h 00 (Chicago)',
    de: '8. Dezember 2026, 8:00 Uhr (Chicago)',
  }[language]
  const separator = { en: ',', es: '.', fr: '\u202f', de: '.' }[language]
  const localized = <V extends object>(values: V): V =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof value === 'string' && /^\d,\d{3}$/.test(value) ? value.replace(',', separator) : value])) as V
  return {
    credentials: exampleVariables('credentials'),
    invitation: { ...exampleVariables('invitation'), expiresAt },
    operatorCredentials: exampleVariables('operatorCredentials'),
    alreadyRegistered: exampleVariables('alreadyRegistered'),
    welcome: exampleVariables('welcome'),
    passwordReset: { ...exampleVariables('passwordReset'), expiresAt },
    passwordChanged: { ...exampleVariables('passwordChanged'), changedAt: expiresAt },
    operatorSummary: localized(exampleVariables('operatorSummary')),
    feedAlert: { ...exampleVariables('feedAlert'), raisedAt: expiresAt },
    feedAllClear: { ...exampleVariables('feedAllClear'), raisedAt: expiresAt, clearedAt: expiresAt },
  }
}

export const PURPOSE_NAMES: readonly Purpose[] = ['credentials', 'invitation', 'operatorCredentials', 'alreadyRegistered', 'welcome', 'passwordReset', 'passwordChanged', 'operatorSummary', 'feedAlert', 'feedAllClear']

/** An alert and an all-clear of each kind. */
export const alerts = (purpose: 'feedAlert' | 'feedAllClear', language: Language): object[] => {
  const kinds = Object.entries(PURPOSES[purpose]).flatMap(([name, { kind }]) => (kind === 'flag' ? [name] : []))
  const letter: object = lettersIn(language)[purpose]
  return kinds.map((name) => ({ ...letter, ...Object.fromEntries(kinds.map((kind) => [kind, kind === name])) }))
}

const zero = { read: '0', created: '0', updated: '0', unchanged: '0', rejected: '0', held: '0', blank: '0', usersCreated: '0', deliveriesOwed: '0', deliveriesScheduled: '0', deliveriesHeld: '0' }

/** An operator summary for each way in which an import can end. */
export const endings = (language: Language): Record<string, PurposeVariables['operatorSummary']> => {
  const done = lettersIn(language).operatorSummary
  return {
    done,
    failed: { ...done, ...zero, failed: true, hasTotals: false, issues: [], moreIssues: null, failureMessage: 'The workbook is protected with a password.', failureHint: 'Open it, remove the password, and save it as .xlsx.' },
    cancelled: { ...done, cancelled: true, issues: [], moreIssues: null },
    awaiting: { ...done, awaitingDecision: true },
    nothing: { ...done, ...zero, read: '43', unchanged: '43', nothingChanged: true, issues: [], moreIssues: null },
  }
}
