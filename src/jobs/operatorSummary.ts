import type { Claimed, Composed, Composer } from '../deliveries/compose.ts'
import type { Database } from '../entities/database.ts'
import { readImport, reportImport } from '../importers/importReport.ts'

/** Problems that a closing notice lists; the rest are counted. */
const LISTED = 10

/** Makes the mail that tells an operator how an import ended (spec E2). */
export function operatorSummaryMail(database: Database, publicUrl: string): Composer<'operatorSummary'> {
  return { compose: (claimed) => compose(database, publicUrl, claimed) }
}

async function compose(database: Database, publicUrl: string, claimed: Claimed): Promise<Composed<'operatorSummary'>> {
  const { organization, importId } = claimed
  const report = await database.tenant(organization.id, async (tx) => {
    const stored = importId === null ? null : await readImport(tx, importId)
    if (!stored) throw new Error('the import it tells of is gone')
    return reportImport(tx, stored, null, LISTED)
  })
  const number = (value: number): string => value.toLocaleString(organization.language)
  const { totals, users, deliveries, failure } = report
  return {
    secret: null,
    sealed: null,
    variables: {
      organization: organization.name,
      importId: report.id,
      fileName: report.file.name,
      consoleUrl: `${publicUrl}/imports/${report.id}`,
      failed: report.state === 'failed',
      failureMessage: failure?.message ?? '',
      failureHint: failure?.hint ?? '',
      cancelled: report.state === 'cancelled',
      awaitingDecision: report.state === 'held',
      nothingChanged: totals.created + totals.updated + deliveries.owed + report.deactivated === 0,
      hasTotals: report.state !== 'failed',
      read: number(totals.read),
      created: number(totals.created),
      updated: number(totals.updated),
      unchanged: number(totals.unchanged),
      rejected: number(totals.rejected),
      held: number(totals.held),
      blank: number(totals.blank),
      usersCreated: number(users.created),
      deliveriesOwed: number(deliveries.owed),
      deliveriesScheduled: number(deliveries.scheduled),
      deliveriesHeld: number(deliveries.owed - deliveries.scheduled),
      issues: report.issues.map(({ row, column, message }) => ({ row: String(row), column: column ?? '', message })),
      moreIssues: report.issueCount > LISTED ? number(report.issueCount - LISTED) : '',
    },
  }
}
