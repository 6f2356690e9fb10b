import { countOwed, oweSummaries } from '../deliveries/owe.ts'
import { countUsers, type ImportResult } from '../importers/importReport.ts'
import { countTotals } from '../importers/importReport.ts'
import { pendingChunks } from '../importers/commit.ts'
import type { ImportOptions } from '../importers/receive.ts'
import { dropStaging } from '../importers/stage.ts'
import { releaseSeats } from '../accounts/reserveSeats.ts'
import type { Transaction } from '../entities/database.ts'
import type { FileRefused } from '../rules/refusal.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { importTables } from './importTables.ts'

/** What the import's plan says, counted from its rows: totals, users, mails (interface.md). */
export async function countImport(tx: Transaction, importId: string, options: Pick<ImportOptions, 'delivery'>): Promise<ImportResult> {
  const tables = importTables(importId)
  return { totals: await countTotals(tx, importId), users: await countUsers(tx, tables.users), deliveries: await countOwed(tx, tables, options.delivery) }
}

/**
 * Ends an import whose chunks are all done: keeps its totals, frees what was set aside, empties staging, owes the closing notice.
 * @returns whether it was this call that ended it
 */
export async function finishImport(tx: Transaction, importId: string): Promise<boolean> {
  const [open] = await tx.query<{ options: ImportOptions }>(`select options from imports where id = $1 and state = 'committing' for update`, [importId])
  if (!open || (await pendingChunks(tx, importId)).length > 0) return false
  const result = await countImport(tx, importId, open.options)
  await tx.run(`update imports set state = 'committed', result = $2, finished_at = now() where id = $1`, [importId, JSON.stringify(result)])
  await releaseSeats(tx, importId)
  await dropStaging(tx, importId)
  await oweSummaries(tx, importId, (await readOrganization(tx)).settings.operators)
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
  await dropStaging(tx, importId)
  await oweSummaries(tx, importId, (await readOrganization(tx)).settings.operators)
}

/** Gives an import up before anything of it was committed; false where it is past that. */
export async function cancelImport(tx: Transaction, importId: string): Promise<boolean> {
  const cancelled = await tx.run(`update imports set state = 'cancelled', finished_at = now(), lease_until = null where id = $1 and state in ('received', 'staging', 'previewed', 'held')`, [importId])
  if (cancelled === 1) await dropStaging(tx, importId)
  return cancelled === 1
}
