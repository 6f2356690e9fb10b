import type { Writable } from 'node:stream'
import type { Database } from '../entities/database.ts'
import { storedFile } from './filePieces.ts'
import { writeErrorCsv } from './errorCsv.ts'
import { writeErrorWorkbook } from './errorWorkbook.ts'
import type { StoredImport } from './importReport.ts'
import { openSource } from './openSource.ts'
import type { Returned } from './rejectedRows.ts'
import { eachIssue } from './rowIssues.ts'

/**
 * Writes the rejected rows of an import as its sender wrote them, with what is wrong (spec E3): a workbook for a workbook, CSV for CSV.
 * Uploading the mended file works as it is.
 * @throws where the import was refused before its header was read, or never read
 */
export async function writeErrors(database: Database, organizationId: string, stored: StoredImport, out: Writable): Promise<Returned> {
  const { source, columns } = stored
  if (source === null || columns === null) throw new Error(`import ${stored.id} has no rows to hand back`)
  const original = await openSource(storedFile(database, organizationId, stored.id, stored.fileBytes), { name: stored.fileName, sheet: stored.options.sheet })
  const rejected = { original, headerRow: source.headerRow, columns, issues: eachIssue(database, organizationId, stored.id) }
  return source.format === 'xlsx' ? writeErrorWorkbook(out, { ...rejected, identity: original.identity }) : writeErrorCsv(out, rejected)
}
