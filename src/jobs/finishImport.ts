import { countOwed, countOwedOf, oweSummaries } from '../deliveries/owe.ts'
import { countNotOwed, countTotals, countUsers, type ImportResult } from '../importers/importReport.ts'
import { pendingChunks } from '../importers/commit.ts'
import type { ImportOptions } from '../importers/receive.ts'
import { dropIdleStaging, dropStaging } from '../importers/stage.ts'
import { missingRoles } from '../accounts/requiredRoles.ts'
import { countSeats, releaseSeats } from '../accounts/reserveSeats.ts'
import type { Transaction } from '../entities/database.ts'
import type { FileRefused } from '../rules/refusal.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { importTables } from './importTables.ts'

/** What the import's plan says, counted from its rows: totals, users, mails (interface.md). */
export async function countImport(tx: Transaction, importId: string, options: Pick<ImportOptions, 'delivery'>): Promise<ImportResult> {
  const tables = importTables(importId)
  const deliveries = await countOwed(tx, tables, options.delivery)
  return {
    totals: await countTotals(tx, importId),
    users: await countUsers(tx, tables.users),
    deliveries,
    notOwed: await countNotOwed(tx, importId, tables.users, deliveries.notOwed, (await readOrganization(tx)).settings.login.sso),
    seats: await countSeats(tx, importId, tables.users),
    missingRoles: await missingRoles(tx, tables),
  }
}

/**
 * Ends an import whose chunks are all done: keeps its totals, frees what was set aside, empties staging, owes the closing notice.
 * @returns whether it was this call that ended it
 */
export async function finishImport(tx: Transaction, importId: string): Promise<boolean> {
  if ((await pendingChunks(tx, importId)).length > 0) return false
  // No stronger: chunks under way refer to the import, and would have to end before a lock for an update of its key.
  const [open] = await tx.query(`select from imports where id = $1 and state = 'committing' for no key update`, [importId])
  if (!open || (await pendingChunks(tx, importId)).length > 0) return false
  const tables = importTables(importId)
  const { settings } = await readOrganization(tx)
  const deliveries = await countOwedOf(tx, importId, tables)
  const notOwed = await countNotOwed(tx, importId, tables.users, deliveries.notOwed, settings.login.sso)
  const result: ImportResult = { totals: await countTotals(tx, importId), users: await countUsers(tx, tables.users), deliveries, notOwed, seats: [], missingRoles: await missingRoles(tx, null) }
  await tx.run(`update imports set state = 'committed', result = $2, finished_at = now() where id = $1`, [importId, JSON.stringify(result)])
  await releaseSeats(tx, importId)
  await dropStaging(tx, importId)
  await oweSummaries(tx, importId, settings.operators)
  return true
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
  await oweSummaries(tx, importId, (await readOrganization(tx)).settings.operators)
}

/** Gives an import up before anything of it was committed, and tells the operators; false where it is past that. */
export async function cancelImport(tx: Transaction, importId: string): Promise<boolean> {
  const cancelled = await tx.run(`update imports set state = 'cancelled', finished_at = now(), lease_until = null where id = $1 and state in ('received', 'staging', 'previewed', 'held')`, [importId])
  if (cancelled === 0) return false
  await dropIdleStaging(tx, importId)
  await oweSummaries(tx, importId, (await readOrganization(tx)).settings.operators)
  return true
}
