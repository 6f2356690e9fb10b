/**
 * Every file of fixtures/accepted, rejected and hostile goes the whole way, and comes out as its expectation says (faults: bad input).
 * `vitest run test/golden/fixtures.test.ts -u` writes the expectations anew; read what changed before it is kept.
 */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { openCsv } from '../../src/importers/parseCsv.ts'
import { openWorkbook } from '../../src/importers/parseWorkbook.ts'
import { LIMITS } from '../../src/importers/source.ts'
import { FAILURES, ISSUES } from '../../src/rules/catalog.ts'
import { bytesSource } from '../support/writeWorkbook.ts'
import { FIXTURES } from '../support/makeFixtures.ts'
import { importing, useDatabase } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { layOut, readFixtures, stablePart } from './readFixtures.ts'

const { fixtures, alone } = readFixtures()
const database = useDatabase()

test('no fixture is without an expectation, and no expectation without a fixture', () => {
  expect(alone).toEqual([])
})

test('the files are the ones that makeFixtures.ts makes', () => {
  const made = Object.keys(FIXTURES)
  expect(fixtures.map(({ folder, name }) => `${folder}/${name}`).sort()).toEqual(made.sort())
  for (const { folder, name, path } of fixtures) expect(readFileSync(path).equals(FIXTURES[`${folder}/${name}`]!), name).toBe(true)
})

describe.each(fixtures)('$folder/$name', ({ folder, name, path, expectation, given }) => {
  let organization: Importing
  let report: ImportReport

  beforeAll(async () => {
    organization = await importing(database.current, given.organization ?? {})
    if (given.mapping) await organization.saveMapping(given.mapping)
    report = await organization.run({ name, bytes: readFileSync(path) }, { ...given.options, mapping: given.mapping?.name ?? null })
  })

  test('comes out as expected', async () => {
    const { failure, ...rest } = stablePart(report, await organization.contacts(), await organization.deliveries())
    await expect(layOut({ ...(Object.keys(given).length > 0 ? { given } : {}), ...(failure ? { failure } : {}), ...rest })).toMatchFileSnapshot(relative(import.meta.dirname, expectation))
  })

  test('every row that was read is in exactly one total', () => {
    const { read, ...fates } = report.totals
    expect(Object.values(fates).reduce((sum, count) => sum + count, 0)).toBe(read)
    const withError = new Set(report.issues.filter(({ severity }) => severity === 'error').map(({ row }) => row))
    expect(withError.size).toBe(report.totals.rejected + report.totals.held)
  })

  test('every problem is told in whole sentences', () => {
    if (report.failure) {
      const { message, hint } = FAILURES[report.failure.code as keyof typeof FAILURES]
      expect(report.failure.message).toMatch(filled(message))
      expect(report.failure.hint).toMatch(filled(hint))
    }
    for (const { code, message, hint } of report.issues) {
      const entry = ISSUES[code as keyof typeof ISSUES]
      expect(message).toMatch(filled(entry.message))
      expect(hint).toMatch(entry.hint.includes('{nearest}') ? new RegExp(`${filled(entry.hint).source}|^See the list`) : filled(entry.hint))
    }
  })

  test('it stands where it belongs', () => {
    if (folder === 'accepted') expect(report).toMatchObject({ state: 'committed', totals: { held: 0 } })
    else expect(report.state === 'failed' || report.totals.rejected > 0).toBe(true)
  })

  test('a file that is refused leaves nothing behind', async () => {
    const [left] = await organization.sql<Record<string, number>>(
      `select (select count(*)::int from contacts where organization_id = $1) as contacts, (select count(*)::int from users where organization_id = $1) as users,
         (select count(*)::int from deliveries where organization_id = $1) as deliveries, (select count(*)::int from import_issues where organization_id = $1) as issues,
         (select count(*)::int from pg_tables where schemaname = 'staging' and tablename ~ ('^(rows|plan)_' || $2 || '(_|$)')) as staging`,
      [organization.organizationId, report.id],
    )
    if (report.state === 'failed') expect(left).toEqual({ contacts: 0, users: 0, deliveries: 0, issues: 0, staging: 0 })
    else expect(left).toMatchObject({ contacts: report.totals.created, users: report.users.created, deliveries: report.deliveries.owed, issues: report.issueCount, staging: 0 })
  })

  test('its rejected rows come back, all of them, and nothing in them runs', async () => {
    if (report.state === 'failed') return
    const source = bytesSource(await organization.errors(report.id))
    const handedBack = report.file.format === 'xlsx' ? await openWorkbook(source, LIMITS) : await openCsv(source, LIMITS, {})
    const cells: unknown[] = []
    let rows = -1
    for await (const batch of handedBack.rows()) {
      rows += batch.length
      cells.push(...batch.flatMap((row) => [...row.cells]))
    }
    expect(rows).toBe(report.totals.rejected + report.totals.held)
    expect(cells.filter((cell) => typeof cell === 'object' && cell !== null && 'formula' in cell)).toEqual([])
    if (report.file.format === 'csv') for (const cell of cells) if (typeof cell === 'string') expect(cell).not.toMatch(/^[\s\u200b]*[=+\-@＝＋－＠](?![\d .]*$)/)
  })
})

/** A sentence of the catalog with something in every place that is to be filled in. */
function filled(sentence: string): RegExp {
  return new RegExp(`^${sentence.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]+')}$`)
}
