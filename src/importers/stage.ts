import { from as copyFrom } from 'pg-copy-streams'
import type { Database, Transaction } from '../entities/database.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { matchHeaders, type MatchedColumn } from '../rules/columns.ts'
import { FileRefused } from '../rules/refusal.ts'
import { storedFile } from './filePieces.ts'
import { mayKnowRows, rememberRows, standingTable, type RowMemory } from './knownRows.ts'
import { openSource, type OpenedSource } from './openSource.ts'
import { mappingFor, saveMapping, type ImportOptions } from './receive.ts'
import { IssueWriter } from './rowIssues.ts'
import type { Cell, SourceRow } from './source.ts'
import { adoptedTable, furtherTable, leavingTable, planTable, rowsTable, STAGED_COLUMNS } from './stagedRow.ts'
import { isExampleRow } from './template/identity.ts'
import { RowValidator } from './validateRow.ts'

/** Times a file may take its worker with it, or fail without a reason that is told, before it is put aside (faults.md 42). */
const MOST_ATTEMPTS = 2
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

/** The import is still this attempt's to stage: neither cancelled nor given to another worker. $1 is its id, $2 the attempt. */
const STILL_OURS = `id = $1 and attempts = $2 and state = 'staging' and staged_at is null`

/** Says that the worker is alive and how far it is; throws StagingTakenAway where the import is no longer its to stage. */
async function renewStaging(tx: Transaction, { id, attempts }: StagingImport, rowsStaged: number): Promise<void> {
  const renewed = await tx.run(`update imports set rows_staged = $3, lease_until = now() + interval '${LEASE_SECONDS} seconds' where ${STILL_OURS}`, [id, attempts, rowsStaged])
  if (renewed === 0) throw new StagingTakenAway(id)
}

/** Gives an import back that this worker leaves for no fault of the file: another may begin at once, and the attempt does not count. */
export async function giveStagingBack(tx: Transaction, { id, attempts }: StagingImport): Promise<void> {
  await tx.run(`update imports set lease_until = now(), attempts = attempts - 1 where ${STILL_OURS}`, [id, attempts])
}

/** Has an import that is staged staged anew, with every row of its file (knownRows.ts). That attempt does not count. */
export async function stageWhole(tx: Transaction, importId: string): Promise<void> {
  await tx.run(
    `update imports set options = options || '{"readWhole": true}', staged_at = null, attempts = attempts - 1, lease_until = now() where id = $1 and state = 'staging' and staged_at is not null`,
    [importId],
  )
}

/**
 * The database as one attempt to stage sees it: what it writes besides its rows is written only while the import is its own.
 * The share lock makes whoever takes the import over wait until that is settled.
 */
function whileOurs(database: Database, { id, attempts }: StagingImport): Pick<Database, 'tenant'> {
  return {
    tenant: (organizationId, work) =>
      database.tenant(organizationId, async (tx) => {
        // A worker that is stopped right here would keep others out until it goes on.
        await tx.run(`set local idle_in_transaction_session_timeout = '10s'`)
        const [ours] = await tx.query(`select from imports where ${STILL_OURS} for share`, [id, attempts])
        if (!ours) throw new StagingTakenAway(id)
        return work(tx)
      }),
  }
}

/**
 * Reads the stored file, checks every row, and copies the checked rows into the import's staging table (spec B).
 * Begins from nothing each time: what an interrupted attempt left is dropped. Nothing outside staging and issues is written.
 * Throws FileRefused for a file that is refused as a whole, StagingTakenAway where the import is somebody else's by now.
 */
export async function stageRows(database: Database, organizationId: string, staging: StagingImport, signal: AbortSignal): Promise<void> {
  const mapping = await mappingFor(database, organizationId, staging.options)
  const source = await openSource(storedFile(database, organizationId, staging.id, staging.fileBytes), { name: staging.fileName, sheet: staging.options.sheet, signal })
  const ours = whileOurs(database, staging)
  const { organization, catalog } = await ours.tenant(organizationId, async (tx) => {
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
    await database.tenant(organizationId, (tx) => describeSource(tx, staging.id, source, header.row, columns))

    const issues = new IssueWriter(ours, organizationId, staging.id)
    const validator = new RowValidator(
      { columns, mapping, settings: organization.settings, catalog, timeZone: organization.timeZone, now: Temporal.Instant.fromEpochMilliseconds((await database.now()).getTime()), headerFields: header.cells.length },
      (issue) => issues.add(issue),
    )
    const reading = { header: header.cells.map(headerText), columns, mapping, settings: organization.settings, catalog, options: staging.options }
    const memory = mayKnowRows(reading) ? await database.tenant(organizationId, (tx) => rememberRows(tx, staging.id, reading)) : null
    const isExample = source.identity ? (row: SourceRow) => isExampleRow(row.cells, columns) : () => false
    await database.tenant(organizationId, async (tx) => {
      const table = await createRowsTable(tx, staging)
      const { staged, hidden } = await copyRows(database, tx, staging, table, validator, rowsBehind(rest, batches), isExample, memory, issues, signal)
      if (staged === 0) throw new FileRefused('file.empty', { what: 'a header and no rows' })
      // Before the rows are settled: a worker that died between the two would leave rejected rows without their problems.
      await issues.flush()
      await tx.run(`create unique index on ${table} (row)`)
      await tx.run(`analyze ${table}`)
      await memory?.keep(tx, staging.options.feed!.feedId, staging.id)
      const described = { hiddenRows: hidden, ...(memory && { knownRows: memory.known, lastKnownRow: memory.lastRow }) }
      const settled = await tx.run(`update imports set rows_staged = $3, staged_at = now(), source = source || $4 where ${STILL_OURS}`, [staging.id, staging.attempts, staged, JSON.stringify(described)])
      if (settled === 0) throw new StagingTakenAway(staging.id)
      // Not before: a file that is refused saves nothing.
      if (staging.options.saveMapping !== null) await saveMapping(tx, staging.options.saveMapping, columns, mapping)
      await dropStaging(tx, staging.id)
      await tx.run(`alter table ${table} rename to ${rowsTable(staging.id).replace('staging.', '')}`)
    })
  } finally {
    await batches.return?.(undefined)
  }
}

/** Everything that an import keeps while it is under way. */
const stagingTables = (importId: string): string[] => [rowsTable(importId), planTable(importId), `${planTable(importId)}_users`, `${planTable(importId)}_held`, furtherTable(importId), leavingTable(importId), adoptedTable(importId), standingTable(importId)]

/** Removes what staging left; harmless where there is nothing. */
export async function dropStaging(tx: Pick<Transaction, 'run'>, importId: string): Promise<void> {
  await tx.run(`drop table if exists ${stagingTables(importId).join(', ')}`)
}

/**
 * Removes what staging left unless somebody is at it, a plan under way for instance: waiting for that could be waiting in a circle.
 * What is left so is found by the sweep.
 */
export async function dropIdleStaging(tx: Pick<Transaction, 'run'>, importId: string): Promise<void> {
  const tables = stagingTables(importId)
  await tx.run(`do $$
    declare name text;
    begin
      foreach name in array array['${tables.join("', '")}'] loop
        if to_regclass(name) is not null then execute 'lock table ' || name || ' in access exclusive mode nowait'; end if;
      end loop;
      drop table if exists ${tables.join(', ')};
    exception when lock_not_available or undefined_table then null;
    end $$`)
}

async function describeSource(tx: Transaction, importId: string, source: OpenedSource, headerRow: number, columns: readonly MatchedColumn[]): Promise<void> {
  await tx.run('update imports set source = $2, columns = $3 where id = $1', [importId, JSON.stringify({ ...source.description, headerRow }), JSON.stringify(columns)])
}

/** Each attempt has a table of its own, so that one that is stopped in the middle does not keep the next from beginning. */
async function createRowsTable(tx: Transaction, { id, attempts }: StagingImport): Promise<string> {
  const table = `${rowsTable(id)}_${attempts}`
  const columns = Object.entries(STAGED_COLUMNS).map(([name, type]) => `${name} ${type}`)
  // Autovacuum would compete with the plan for a table that lives minutes.
  await tx.run(`create table ${table} (${columns.join(', ')}) with (autovacuum_enabled = off)`)
  return table
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
  staging: StagingImport,
  table: string,
  validator: RowValidator,
  batches: AsyncIterable<SourceRow[]>,
  isExample: (row: SourceRow) => boolean,
  memory: RowMemory | null,
  issues: IssueWriter,
  signal: AbortSignal,
): Promise<{ staged: number; hidden: number }> {
  const copy = tx.client.query(copyFrom(`copy ${table} (${validator.stagedColumns.join(', ')}) from stdin`))
  const finished = new Promise<void>((resolve, reject) => {
    copy.once('finish', resolve)
    copy.once('error', reject)
  })
  finished.catch(() => undefined)
  // A second error (what was written to a connection that is gone) says nothing new, and unheard it would end the process.
  copy.on('error', () => undefined)
  let staged = 0
  let hidden = 0
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
        if (row.hidden) hidden++
        if (memory?.passesOver(row)) continue
        text += validator.validate(isExample(row) ? { ...row, cells: [] } : row) + '\n'
        if (text.length >= COPY_BATCH) await send()
        if (issues.isFull) await issues.flush()
      }
      staged += rows.length
      if (performance.now() - renewedAt > 2_000) {
        renewedAt = performance.now()
        await database.tenant(tx.organizationId, (other) => renewStaging(other, staging, staged))
      }
    }
    if (text !== '') await send()
    copy.end()
    await finished
    return { staged, hidden }
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
