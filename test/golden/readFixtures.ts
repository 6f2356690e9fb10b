/** The files of fixtures/accepted, rejected and hostile, each with what is expected of it. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join, parse } from 'node:path'
import type { ContactLine } from '../../src/accounts/listPeople.ts'
import type { DeliveryLine } from '../../src/deliveries/list.ts'
import type { ImportReport } from '../../src/importers/importReport.ts'
import type { ImportOptions } from '../../src/importers/receive.ts'
import type { Mapping } from '../../src/rules/columns.ts'
import type { DeclarationChanges } from '../support/importing.ts'

/** What a file is taken in with, beside the file. */
export type Given = { organization?: DeclarationChanges; mapping?: Mapping; options?: Partial<ImportOptions> }

export type Fixture = { folder: string; name: string; path: string; expectation: string; given: Given }

export const FOLDERS = ['accepted', 'rejected', 'hostile'] as const
const ENDING = '.expected.json'
const ROOT = join(import.meta.dirname, '../../fixtures')

/** Every fixture, and the names that stand alone: a file without expectation, an expectation without file. */
export function readFixtures(): { fixtures: Fixture[]; alone: string[] } {
  const fixtures: Fixture[] = []
  const alone: string[] = []
  for (const folder of FOLDERS) {
    const names = readdirSync(join(ROOT, folder))
    const files = names.filter((name) => !name.endsWith(ENDING))
    for (const name of files) {
      const path = join(ROOT, folder, name)
      const expectation = join(ROOT, folder, `${parse(name).name}${ENDING}`)
      if (!existsSync(expectation)) alone.push(path)
      const given = existsSync(expectation) ? ((JSON.parse(readFileSync(expectation, 'utf8')) as { given?: Given }).given ?? {}) : {}
      fixtures.push({ folder, name, path, expectation, given })
    }
    const stems = files.map((name) => parse(name).name)
    if (new Set(stems).size !== stems.length) throw new Error(`two files of fixtures/${folder} share their expectation`)
    alone.push(...names.filter((name) => name.endsWith(ENDING) && !stems.includes(name.slice(0, -ENDING.length))).map((name) => join(ROOT, folder, name)))
  }
  return { fixtures, alone }
}

/** The part of a report that is the same each time, and who is there afterwards. */
export function stablePart(report: ImportReport, contacts: readonly ContactLine[], mails: readonly DeliveryLine[]): Record<string, unknown> {
  const { format, sheet, encoding, delimiter, headerRow, hiddenRows } = report.file
  const special = report.columns.filter(({ by }) => by !== 'alias')
  return {
    state: report.state,
    ...(report.failure ? { failure: report.failure } : {}),
    file: { format, sheet, encoding, delimiter, headerRow, hiddenRows },
    ...(special.length > 0 ? { columns: special } : {}),
    totals: report.totals,
    users: report.users,
    deliveries: report.deliveries,
    issues: report.issues.map(({ row, column, code, severity, value, message }) => ({ row, column, code, severity, value, message })),
    contacts: contacts.map(({ externalId, firstName, lastName, email, phone, attributes }) => ({ externalId, firstName, lastName, email, phone, ...(Object.keys(attributes).length > 0 ? { attributes } : {}) })),
    ...(mails.some(({ sendAt }) => sendAt !== null) ? { mails: mails.map(({ to, state, sendAt }) => ({ to, state, sendAt })) } : {}),
  }
}

/** JSON with one entry of a list, and one section, on a line: short, and readable where it changes. */
export function layOut(content: Record<string, unknown>): string {
  const list = (values: readonly unknown[]): string => (values.length === 0 ? '[]' : `[\n${values.map((value) => `    ${JSON.stringify(value)}`).join(',\n')}\n  ]`)
  return `{\n${Object.entries(content).map(([key, value]) => `  ${JSON.stringify(key)}: ${Array.isArray(value) ? list(value) : JSON.stringify(value)}`).join(',\n')}\n}\n`
}
