import type { Transaction } from '../entities/database.ts'
import { planTable, rowsTable, type StagedColumn } from './stagedRow.ts'

/** Rows that are committed together. Large enough that a transaction costs little, small enough to share and to resume. */
export const CHUNK_ROWS = 20_000

export type Chunk = { number: number; first: number; last: number }

/** Splits the plan into chunks for any workers to take. A repetition changes nothing. */
export async function splitIntoChunks(tx: Transaction, importId: string, chunkRows = CHUNK_ROWS): Promise<Chunk[]> {
  await tx.run(
    `insert into import_chunks (import_id, number, organization_id, first_row, last_row, state)
     select $1, row_number() over (order by first) - 1, $2, first, last, 'pending'
     from (select min(row) as first, max(row) as last from (select row, (row_number() over (order by row) - 1) / $3 as chunk from ${planTable(importId)}) numbered group by chunk) chunks
     on conflict do nothing`,
    [importId, tx.organizationId, chunkRows],
  )
  return pendingChunks(tx, importId)
}

export async function pendingChunks(tx: Transaction, importId: string): Promise<Chunk[]> {
  return tx.query<Chunk>(`select number, first_row as first, last_row as last from import_chunks where import_id = $1 and state = 'pending' order by number`, [importId])
}

/**
 * Takes a chunk for this transaction; null where it is done, or somebody else is at it.
 * Done is settled in the transaction that does it, so that running it twice, or dying in the middle, changes nothing.
 */
export async function takeChunk(tx: Transaction, importId: string, number: number): Promise<Chunk | null> {
  const [chunk] = await tx.query<Chunk>(
    `select number, first_row as first, last_row as last from import_chunks where import_id = $1 and number = $2 and state = 'pending' for update skip locked`,
    [importId, number],
  )
  return chunk ?? null
}

export async function finishChunk(tx: Transaction, importId: string, number: number): Promise<void> {
  await tx.run(`update import_chunks set state = 'done', done_at = now() where import_id = $1 and number = $2`, [importId, number])
}

/**
 * Sets aside the rows whose person was changed since the plan was made (spec E1): they become `held`, and are told.
 * Locks the contacts and users that the chunk will change, in the order of their ids, so that two imports never wait for each other in a circle.
 */
export async function setStaleAside(tx: Transaction, importId: string, chunk: Chunk, options: { users: string; conflicts: boolean }): Promise<void> {
  const plan = planTable(importId)
  const bounds = [chunk.first, chunk.last]
  const stale = [
    `select p.row from ${plan} p join (select id, version from contacts where id in (select contact_id from ${plan} where row between $1 and $2 and fate = 'update') order by id for update) c
       on c.id = p.contact_id where p.row between $1 and $2 and p.fate = 'update' and c.version <> p.contact_version`,
    `select p.row from ${plan} p where p.row between $1 and $2 and p.fate = 'update' and not exists (select from contacts c where c.id = p.contact_id)`,
    `select p.row from ${options.users} p join (select id, version from users where id in (select user_id from ${options.users} where row between $1 and $2 and fate = 'update') order by id for update) u
       on u.id = p.user_id where p.row between $1 and $2 and p.fate = 'update' and u.version <> p.user_version`,
    // Looked for only after a unique index has objected: somebody else took the id, address, account or username meanwhile.
    ...(options.conflicts
      ? [
          `select p.row from ${plan} p join ${rowsTable(importId)} r on r.row = p.row join contacts c on (c.external_id = r.external_id or c.email_key = r.email_key) and c.id <> p.contact_id
           where p.row between $1 and $2 and p.fate in ('create', 'update')`,
          `select p.row from ${options.users} p join users u on (u.username = p.username or u.contact_id = p.contact_id and u.account_kind = p.account_kind) and u.id is distinct from p.user_id
           where p.row between $1 and $2 and p.fate in ('create', 'update')`,
        ]
      : []),
  ]
  const found = new Set<number>()
  for (const sql of stale) for (const { row } of await tx.query<{ row: number }>(sql, bounds)) found.add(row)
  if (found.size === 0) return
  const rows = [...found]
  await tx.run(`update ${plan} set fate = 'held' where row = any ($1)`, [rows])
  await tx.run(`delete from ${options.users} where row = any ($1)`, [rows])
  await tx.run(
    `insert into import_issues (organization_id, import_id, row, code, severity) select $1, $2, row, 'plan.stale', 'error' from unnest($3::int[]) as row`,
    [tx.organizationId, importId, rows],
  )
}

/** Writes the contacts that the plan says for a chunk (spec C, first step of commit). */
export async function commitContacts(tx: Transaction, importId: string, chunk: Chunk, staged: ReadonlySet<StagedColumn>): Promise<void> {
  const bounds = [chunk.first, chunk.last]
  const columns = (['external_id', 'first_name', 'last_name', 'email', 'email_key', 'phone', 'attributes'] as const).filter((column) => staged.has(column))
  await tx.run(
    `insert into contacts (id, organization_id, created_by_import, ${columns.join(', ')})
     select p.contact_id, ${tx.organizationId}, ${importId}, ${columns.map((column) => `r.${column}`).join(', ')}
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     where p.row between $1 and $2 and r.row between $1 and $2 and p.fate = 'create' order by p.row`,
    bounds,
  )
  const cleared = (column: string): string => (staged.has('clears') && column !== 'first_name' && column !== 'last_name' ? `case when '${column === 'email_key' ? 'email' : column}' = any (r.clears) then null else coalesce(r.${column}, c.${column}) end` : `coalesce(r.${column}, c.${column})`)
  const sets = columns.map((column) => (column === 'attributes' ? "attributes = coalesce(c.attributes, '{}') || coalesce(r.attributes, '{}')" : `${column} = ${cleared(column)}`))
  await tx.run(
    `update contacts c set ${[...sets, "state = case when p.reactivate then 'active' else c.state end"].join(', ')}, version = c.version + 1, updated_at = now()
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     where p.row between $1 and $2 and p.fate = 'update' and c.id = p.contact_id`,
    bounds,
  )
  if (staged.has('customer_id')) await linkCustomers(tx, importId, bounds)
}

/** A contact's place at a customer, and the roles held there (spec C8). */
async function linkCustomers(tx: Transaction, importId: string, bounds: number[]): Promise<void> {
  await tx.run(
    `insert into contact_customers (organization_id, contact_id, customer_id, worksite_id, contact_role_id)
     select ${tx.organizationId}, p.contact_id, r.customer_id, r.worksite_id, wanted.id
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     cross join lateral unnest(coalesce(r.contact_role_ids, array[null::bigint])) as wanted (id)
     where p.row between $1 and $2 and p.fate in ('create', 'update') and r.customer_id is not null
     on conflict do nothing`,
    bounds,
  )
}
