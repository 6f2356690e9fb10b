import { countOwed, countOwedOf, oweSummaries } from '../deliveries/owe.ts'
import { lapseUnnamed } from '../importers/identityDecisions.ts'
import { countNotOwed, countTotals, countUsers, explainNotDeactivated, type ImportResult } from '../importers/importReport.ts'
import { hasLeaving, pendingChunks } from '../importers/commit.ts'
import { countLeaving } from '../importers/departures.ts'
import { settleRows } from '../importers/knownRows.ts'
import type { ImportOptions } from '../importers/receive.ts'
import { dropIdleStaging, dropStaging } from '../importers/stage.ts'
import { missingRoles } from '../accounts/requiredRoles.ts'
import { countSeats, releaseSeats } from '../accounts/reserveSeats.ts'
import type { Transaction } from '../entities/database.ts'
import type { FileRefused } from '../rules/refusal.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { clearHold, wakeFeedOf } from './feedOfImport.ts'
import { importTables } from './importTables.ts'

/** What the import's plan says, counted from its rows: totals, users, mails (interface.md). */
export async function countImport(tx: Transaction, importId: string, options: Pick<ImportOptions, 'delivery' | 'feed'>): Promise<ImportResult> {
  const tables = importTables(importId)
  const deliveries = await countOwed(tx, tables, options.delivery)
  return {
    totals: await countTotals(tx, importId),
    users: await countUsers(tx, tables.users),
    ...(await countDeactivated(tx, importId, options)),
    deliveries,
    notOwed: await countNotOwed(tx, importId, tables.users, deliveries.notOwed, (await readOrganization(tx)).settings.login.sso),
    seats: await countSeats(tx, importId, tables.users),
    missingRoles: await missingRoles(tx, tables),
  }
}

/** People whom a feed's full file no longer names: those who leave or have left, and those who were left alone. */
async function countDeactivated(tx: Transaction, importId: string, { feed }: Pick<ImportOptions, 'feed'>): Promise<Pick<ImportResult, 'deactivated' | 'notDeactivated'>> {
  if (feed?.mode !== 'full' || !(await hasLeaving(tx, importId))) return { deactivated: 0, notDeactivated: [] }
  const leaving = await countLeaving(tx, importId)
  return { deactivated: leaving.left, notDeactivated: explainNotDeactivated(leaving) }
}

/**
 * Ends an import whose chunks are all done: keeps its totals, frees what was set aside, empties staging, owes the closing notice.
 * @returns whether it was this call that ended it
 */
export async function finishImport(tx: Transaction, importId: string): Promise<boolean> {
  if ((await pendingChunks(tx, importId)).length > 0) return false
  // No stronger: chunks under way refer to the import, and would have to end before a lock for an update of its key.
  const [open] = await tx.query<{ options: ImportOptions }>(`select options from imports where id = $1 and state = 'committing' for no key update`, [importId])
  if (!open || (await pendingChunks(tx, importId)).length > 0) return false
  const tables = importTables(importId)
  const { settings } = await readOrganization(tx)
  const deliveries = await countOwedOf(tx, importId, tables)
  const notOwed = await countNotOwed(tx, importId, tables.users, deliveries.notOwed, settings.login.sso)
  const result: ImportResult = {
    totals: await countTotals(tx, importId),
    users: await countUsers(tx, tables.users),
    ...(await countDeactivated(tx, importId, open.options)),
    deliveries,
    notOwed,
    seats: [],
    missingRoles: await missingRoles(tx, null),
  }
  await tx.run(`update imports set state = 'committed', result = $2, finished_at = now() where id = $1`, [importId, JSON.stringify(result)])
  await releaseSeats(tx, importId)
  await lapseUnnamed(tx, importId)
  await settleRows(tx, importId)
  await dropStaging(tx, importId)
  await tellEnd(tx, importId, settings.operators)
  return true
}

/** Owes the operators their closing notice, and has the import's feed follow. */
async function tellEnd(tx: Transaction, importId: string, operators: readonly string[]): Promise<void> {
  await oweSummaries(tx, importId, operators)
  await wakeFeedOf(tx, importId)
}

/** Refuses the file as a whole: nothing of it is taken in, and the operators are told. */
export async function failImport(tx: Transaction, importId: string, refusal: FileRefused): Promise<void> {
  const failed = await tx.run(
    `update imports set state = 'failed', failure = $2, finished_at = now(), lease_until = null
     where id = $1 and state in ('received', 'staging', 'previewed', 'held')`,
    [importId, JSON.stringify({ code: refusal.code, detail: refusal.detail })],
  )
  if (failed === 0) return
  // What was said of rows until then is said of the whole file now.
  await tx.run('delete from import_issues where import_id = $1', [importId])
  await dropIdleStaging(tx, importId)
  await tellEnd(tx, importId, (await readOrganization(tx)).settings.operators)
}

/** Gives an import up before anything of it was committed, and tells the operators; false where it is past that. One that was held is thereby decided. */
export async function cancelImport(tx: Transaction, importId: string): Promise<boolean> {
  const [cancelled] = await tx.query<{ held: boolean }>(
    `update imports set state = 'cancelled', finished_at = now(), lease_until = null,
       decision = case when plan_hash is null then decision else coalesce(decision, 'rejected') end, decided_at = case when plan_hash is null then decided_at else coalesce(decided_at, now()) end
     where id = $1 and state in ('received', 'staging', 'previewed', 'held') returning plan_hash is not null as held`,
    [importId],
  )
  if (!cancelled) return false
  if (cancelled.held) await clearHold(tx, importId)
  await dropIdleStaging(tx, importId)
  await tellEnd(tx, importId, (await readOrganization(tx)).settings.operators)
  return true
}
