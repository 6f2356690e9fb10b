import { readFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { explainFailure, explainIssue, FAILURES, HOLDS, ISSUES } from '../../src/rules/catalog.ts'
import type { FailureCode, IssueCode } from '../../src/rules/catalog.ts'

const inTable = (text: string): string => text.replaceAll('|', '\\|')

const documented = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8').split('\n').filter(line => line.startsWith('| `'))
const known = [
  ...Object.entries(ISSUES).map(([code, { severity, message, hint }]) => `| \`${code}\` | ${severity} | ${inTable(message)} | ${inTable(hint)} |`),
  ...Object.entries(FAILURES).map(([code, { message, hint }]) => `| \`${code}\` | refused | ${inTable(message)} | ${inTable(hint)} |`),
  ...Object.entries(HOLDS).map(([code, { message, hint }]) => `| \`${code}\` | held | ${inTable(message)} | ${inTable(hint)} |`),
]

describe('docs/errors.md', () => {
  test('has a line for every problem of the catalog, word for word', () => {
    expect(known.filter(line => !documented.includes(line))).toEqual([])
  })

  test('has no line that the catalog does not know, and none twice', () => {
    expect(documented.filter(line => !known.includes(line))).toEqual([])
    expect(documented).toHaveLength(new Set(documented).size)
  })
})

describe('a problem is told in sentences', () => {
  test.each(Object.keys(ISSUES) as IssueCode[])('%s', (code) => {
    const detail = new Proxy({}, { get: (_, name) => String(name), getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: '' }) })
    const { message, hint } = explainIssue(code, detail)
    expect(message).toMatch(/^[^{}]+\.$/)
    expect(hint).toMatch(/^[^{}]+[.?]$/)
  })

  test.each(Object.keys(FAILURES) as FailureCode[])('%s', (code) => {
    const { message } = explainFailure(code, {})
    expect(message).toMatch(/^[^{}]+\.$/)
  })

  test('without a near value the hint says where to look', () => {
    expect(explainIssue('group.unknown', { value: 'x', nearest: '' }).hint).toBe('See the list of known values in the template.')
    expect(explainIssue('group.unknown', { value: 'x', nearest: 'Staff' }).hint).toBe('Did you mean Staff?')
  })

  test('a detail that was not given leaves no braces, and none is taken from objects in general', () => {
    expect(explainIssue('name.too_long', { column: 'First Name' }).message).toBe('First Name has  characters; at most  are allowed.')
    expect(explainIssue('username.taken', { toString: 'x' }).message).not.toContain('function')
  })
})
