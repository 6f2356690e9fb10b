import { from as copyFrom } from 'pg-copy-streams'
import type { Database, Transaction } from '../entities/database.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { matchHeaders, type MatchedColumn } from '../rules/columns.ts'
import { FileRefused } from '../rules/refusal.ts'
import { storedFile } from './filePieces.ts'
import { openSource, type OpenedSource } from './openSource.ts'
import { mappingFor, saveMapping, type ImportOptions } from './receive.ts'
import { IssueWriter } from './rowIssues.ts'
import type { Cell, SourceRow } from './source.ts'
import { planTable, rowsTable, STAGED_COLUMNS } from './stagedRow.ts'
import { isExampleRow } from './template/identity.ts'
import { RowValidator } from './validateRow.ts'

/** Times a file may take its worker with it before it is put aside (faults.md 42). */
const MOST_ATTEMPTS = 3
/** Seconds for which a worker that staged is believed alive without a sign. */
const LEASE_SECONDS = 60
/** Characters of lines handed to COPY at once. */
const COPY_BATCH = 256 * 1024

export type StagingImport = { id: string; fileName: string; fileBytes: number; options: ImportOptions; attempts: number; staged: boolean }

/**
 * Takes an import to be staged, unless it is taken or past that.
 * @returns null where there is nothing to do; throws FileRefused `import.interrupted` for a file that ends its workers
 */
export async function beginStaging(tx: Transaction, importId: string): Promise<StagingImport | null> {
  const [row] = await tx.query<StagingImport>(
    `update imports set state = 'staging', attempts = attempts + (staged_at is null)::int, started_at = coalesce(started_at, now()),
       lease_until = now() + interval '${LEASE_SECONDS} seconds'
     where id = $1 and (state = 'received' or (state = 'staging' and lease_until < now()))
     returning id, file_name as "fileName", file_bytes::float8 as "fileBytes", options, attempts, staged_at is not null as staged`,
    [importId],
  )
  if (row && row.attempts > MOST_ATTEMPTS) throw new FileRefused('import.interrupted', { times: MOST_ATTEMPTS })
  return row ?? null
}

/** Says that the worker is alive and how far it is; false where the import is no longer its to stage (it was cancelled). */
export async function renewStaging(tx: Transaction, importId: string, rowsStaged: number): Promise<boolean> {
  return (await tx.run(`update imports set rows_staged = $2, lease_until = now() + interval '${LEASE_SECONDS} seconds' where id = $1 and state = 'staging'`, [importId, rowsStaged])) === 1
}

/**
 * Reads the stored file, checks every row, and copies the checked rows into the import's staging table (spec B).
 * Begins from nothing each time: what an interrupted attempt left is dropped. Nothing outside staging and issues is written.
 * @returns how the headers were read; throws FileRefused for a file that is refused as a whole
 */
export async function stageRows(database: Database, organizationId: string, staging: StagingImport, signal: AbortSignal): Promise<void> {
  const mapping = await mappingFor(database, organizationId, staging.options)
  const source = await openSource(storedFile(database, organizationId, staging.id, staging.fileBytes), { name: staging.fileName, sheet: staging.options.sheet, signal })
  const { organization, catalog } = await database.tenant(organizationId, async (tx) => {
    await tx.run('delete from import_issues where import_id = $1', [staging.id])
    return { organization: await readOrganization(tx), catalog: await loadCatalog(tx) }
  })
  if (source.identity && source.identity.organization !== organization.key)
    throw new FileRefused('template.other_organization', { other: source.identity.organization, organization: organization.key })

  const batches = source.rows()[Symbol.asyncIterator]()
  try {
    const { header, rest } = await readHeader(batches)
    const { columns, failures } = matchHeaders(header.cells.map(headerText), mapping)
    const failure = failures[0]
    if (failure) throw new FileRefused(failure.code, failure.detail)
    await database.tenant(organizationId, async (tx) => {
      await describeSource(tx, staging.id, source, header.row, columns)
      if (staging.options.saveMapping !== null) await saveMapping(tx, staging.options.saveMapping, columns, mapping)
    })

    const issues = new IssueWriter(database, organizationId, staging.id)
    const validator = new RowValidator(
      { columns, mapping, settings: organization.settings, catalog, timeZone: organization.timeZone, now: Temporal.Instant.fromEpochMilliseconds((await database.now()).getTime()), headerFields: header.cells.length },
      (issue) => issues.add(issue),
    )
    const isExample = source.identity ? (row: SourceRow) => isExampleRow(row.cells, columns) : () => false
    await database.tenant(organizationId, async (tx) => {
      await createRowsTable(tx, staging.id)
      const staged = await copyRows(database, tx, staging.id, validator, rowsBehind(rest, batches), isExample, issues, signal)
      if (staged === 0) throw new FileRefused('file.empty', { what: 'a header and no rows' })
      await tx.run(`create unique index on ${rowsTable(staging.id)} (row)`)
      await tx.run(`analyze ${rowsTable(staging.id)}`)
      await tx.run('update imports set rows_staged = $2, staged_at = now() where id = $1', [staging.id, staged])
    })
    await issues.flush()
  } finally {
    await batches.return?.(undefined)
  }
}

/** Removes what staging left; harmless where there is nothing. */
export async function dropStaging(tx: Pick<Transaction, 'run'>, importId: string): Promise<void> {
  await tx.run(`drop table if exists ${rowsTable(importId)}, ${planTable(importId)}, ${planTable(importId)}_users`)
}

async function describeSource(tx: Transaction, importId: string, source: OpenedSource, headerRow: number, columns: readonly MatchedColumn[]): Promise<void> {
  await tx.run('update imports set source = $2, columns = $3 where id = $1', [importId, JSON.stringify({ ...source.description, headerRow }), JSON.stringify(columns)])
}

async function createRowsTable(tx: Transaction, importId: string): Promise<void> {
  await dropStaging(tx, importId)
  const columns = Object.entries(STAGED_COLUMNS).map(([name, type]) => `${name} ${type}`)
  // Autovacuum would compete with the plan for a table that lives minutes.
  await tx.run(`create table ${rowsTable(importId)} (${columns.join(', ')}) with (autovacuum_enabled = off)`)
}

async function readHeader(batches: AsyncIterator<SourceRow[]>): Promise<{ header: SourceRow; rest: SourceRow[] }> {
  for (;;) {
    const next = await batches.next()
    if (next.done) throw new FileRefused('file.empty', { what: 'no rows' })
    const at = next.value.findIndex((row) => row.cells.some((cell) => headerText(cell)?.trim()))
    if (at >= 0) return { header: next.value[at]!, rest: next.value.slice(at + 1) }
  }
}

async function* rowsBehind(first: SourceRow[], batches: AsyncIterator<SourceRow[]>): AsyncGenerator<SourceRow[]> {
  if (first.length > 0) yield first
  for (let next = await batches.next(); !next.done; next = await batches.next()) yield next.value
}

async function copyRows(
  database: Database,
  tx: Transaction,
  importId: string,
  validator: RowValidator,
  batches: AsyncIterable<SourceRow[]>,
  isExample: (row: SourceRow) => boolean,
  issues: IssueWriter,
  signal: AbortSignal,
): Promise<number> {
  const copy = tx.client.query(copyFrom(`copy ${rowsTable(importId)} (${validator.stagedColumns.join(', ')}) from stdin`))
  const finished = new Promise<void>((resolve, reject) => {
    copy.once('finish', resolve)
    copy.once('error', reject)
  })
  finished.catch(() => undefined)
  let staged = 0
  let renewedAt = performance.now()
  let text = ''
  const send = async (): Promise<void> => {
    const written = copy.write(text)
    text = ''
    if (!written) await Promise.race([new Promise<void>((resolve) => void copy.once('drain', resolve)), finished])
  }
  try {
    for await (const rows of batches) {
      signal.throwIfAborted()
      for (const row of rows) {
        text += validator.validate(isExample(row) ? { ...row, cells: [] } : row) + '\n'
        if (text.length >= COPY_BATCH) await send()
      }
      staged += rows.length
      await issues.settle()
      if (performance.now() - renewedAt > 2_000) {
        renewedAt = performance.now()
        if (!(await database.tenant(tx.organizationId, (other) => renewStaging(other, importId, staged)))) throw new StagingTakenAway(importId)
      }
    }
    if (text !== '') await send()
    copy.end()
    await finished
    return staged
  } catch (error) {
    copy.destroy()
    throw error
  }
}

/** The import was cancelled, or given to another worker, while this one staged it. */
export class StagingTakenAway extends Error {
  constructor(importId: string) {
    super(`import ${importId} is no longer to be staged here`)
    this.name = 'StagingTakenAway'
  }
}

function headerText(cell: Cell): string | null {
  if (cell === null || typeof cell === 'string') return cell
  return 'text' in cell ? cell.text : cell.type === 'date' ? cell.iso : null
}
