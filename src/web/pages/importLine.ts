import type { Transaction } from '../../entities/database.ts'
import type { StoredImport } from '../../importers/importReport.ts'
import { readProgress } from '../../importers/importProgress.ts'
import type { Organization } from '../../organizations/organizations.ts'
import { explainFailure } from '../../rules/catalog.ts'
import { showInstant } from '../show.ts'
import type { Badge, ShownInstant } from '../show.ts'
import { progressView } from './progress.ts'
import type { ProgressView } from './progress.ts'
import { importBadge, isRunning } from './states.ts'
import { totalsLine, totalsView } from './totals.ts'
import type { TotalsView } from './totals.ts'

/** An import as a row of a list. */
export type ImportLine = {
  id: string
  href: string
  file: string
  organization: { name: string; href: string }
  badge: Badge
  received: ShownInstant | null
  totals: TotalsView | null
  /** What became of it, in words. */
  outcome: string | null
  progress: ProgressView | null
}

/** A line of a list of imports: state, outcome or progress, read in the caller's transaction. */
export async function importLine(tx: Transaction, stored: StoredImport, organization: Organization): Promise<ImportLine> {
  const progress = isRunning(stored.state) ? await readProgress(tx, stored.id) : null
  const { result, failure } = stored
  return {
    id: stored.id,
    href: `/imports/${stored.id}`,
    file: stored.fileName,
    organization: { name: organization.name, href: `/organizations/${encodeURIComponent(organization.key)}/imports` },
    badge: importBadge(stored),
    received: showInstant(stored.createdAt, organization.timeZone),
    totals: result ? totalsView(result.totals) : null,
    outcome: failure ? explainFailure(failure.code, failure.detail).message : result ? totalsLine(result.totals) : WAITING[stored.state] ?? null,
    progress: progress ? progressView(progress) : null,
  }
}

const WAITING: Readonly<Record<string, string>> = { previewed: 'Nothing changed yet: waits for a decision', held: 'Held until somebody decides', cancelled: 'Nothing was changed' }
