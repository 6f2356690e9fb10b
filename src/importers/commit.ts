import type { Transaction } from '../entities/database.ts'
import type { ChunkKind } from '../entities/states.ts'
import { linkCustomers, speaksOfCustomers } from './customerLinks.ts'
import { registeredSince } from './personalDetails.ts'
import { adoptedTable, furtherTable, leavingTable, planTable, rowsTable, type StagedColumn } from './stagedRow.ts'

/** Rows that are committed together. Large enough that a transaction costs little, small enough to share and to resume. */
export const CHUNK_ROWS = 20_000

/** `first` and `last` are rows of the file; of people who leave, their numbers in the list of these. */
export type Chunk = { number: number; kind: ChunkKind; first: number; last: number }

/** Splits the plan into chunks for any workers to take, those who leave behind the rows. A repetition changes nothing. */
export async function splitIntoChunks(tx: Transaction, importId: string, chunkRows = CHUNK_ROWS): Promise<Chunk[]> {
  await tx.run(
    `insert into import_chunks (import_id, number, organization_id, first_row, last_row, state)
     select $1, row_number() over (order by first) - 1, $2, first, last, 'pending'
     from (select min(row) as first, max(row) as last from (select row, (row_number() over (order by row) - 1) / $3 as chunk from ${planTable(importId)}) numbered group by chunk) chunks
     on conflict do nothing`,
    [importId, tx.organizationId, chunkRows],
  )
  if (await hasLeaving(tx, importId)) {
    await tx.run(
      `insert into import_chunks (import_id, number, organization_id, kind, first_row, last_row, state)
       select $1, taken.chunks + chunk, $2, 'leaving', min(number), max(number), 'pending'
       from (select number, (number - 1) / $3 as chunk from ${leavingTable(importId)}) numbered, (select count(*)::int as chunks from import_chunks where import_id = $1 and kind = 'rows') taken
       group by taken.chunks, chunk
       on conflict do nothing`,
      [importId, tx.organizationId, chunkRows],
    )
  }
  return pendingChunks(tx, importId)
}

/** Whether an import's plan has a list of people who leave: a feed's has. */
export async function hasLeaving(tx: Transaction, importId: string): Promise<boolean> {
  const [row] = await tx.query<{ there: boolean }>('select to_regclass($1) is not null as there', [leavingTable(importId)])
  return row!.there
}

/** The chunks that nobody has done yet, in order. */
export async function pendingChunks(tx: Transaction, importId: string): Promise<Chunk[]> {
  return tx.query<Chunk>(`select number, kind, first_row as first, last_row as last from import_chunks where import_id = $1 and state = 'pending' order by number`, [importId])
}

/**
 * Takes a chunk for this transaction; null where it is done, or somebody else is at it.
 * Done is settled in the transaction that does it, so that running it twice, or dying in the middle, changes nothing.
 */
export async function takeChunk(tx: Transaction, importId: string, number: number): Promise<Chunk | null> {
  const [chunk] = await tx.query<Chunk>(
    `select number, kind, first_row as first, last_row as last from import_chunks where import_id = $1 and number = $2 and state = 'pending' for update skip locked`,
    [importId, number],
  )
  return chunk ?? null
}

/**
 * Whether a chunk, taken for this transaction, has to wait for others of its import: for those in which the people begin of whom it makes further accounts.
 * They come before it in the file, so that no two chunks wait for each other.
 */
export async function waitsForFirstRows(tx: Transaction, importId: string, chunk: Chunk): Promise<boolean> {
  const [found] = await tx.query<{ waits: boolean }>(
    `select exists (select from ${furtherTable(importId)} x join import_chunks b on b.import_id = $1 and b.state = 'pending' and b.number < $2 and x.first_row between b.first_row and b.last_row
       where x.row between $3 and $4) as waits`,
    [importId, chunk.number, chunk.first, chunk.last],
  )
  return found!.waits
}

/** Settles a chunk in the transaction that did it. `worker` is the name of who did. */
export async function finishChunk(tx: Transaction, importId: string, number: number, worker: string | null): Promise<void> {
  await tx.run(`update import_chunks set state = 'done', done_at = now(), worker = $3 where import_id = $1 and number = $2`, [importId, number, worker])
}

/** Times that the database may refuse a chunk for what its rows hold, before the import goes on without them. */
const MOST_FAILURES = 5

/** Counts a chunk that the database refused; gives whether it was once too often. */
export async function countFailure(tx: Transaction, importId: string, number: number): Promise<boolean> {
  const [chunk] = await tx.query<{ failures: number }>(
    `update import_chunks set failures = failures + 1 where import_id = $1 and number = $2 and state = 'pending' returning failures`,
    [importId, number],
  )
  return chunk !== undefined && chunk.failures >= MOST_FAILURES
}

/** Holds all rows of a chunk that would have been written: none of them is, and each is told so. */
export async function setChunkAside(tx: Transaction, importId: string, chunk: Chunk, users: string): Promise<void> {
  const planned = await tx.query<{ row: number }>(`select row from ${planTable(importId)} where row between $1 and $2 and fate in ('create', 'update')`, [chunk.first, chunk.last])
  await holdRows(tx, importId, users, planned.map(({ row }) => row), 'row.not_written')
  await holdFollowers(tx, importId, chunk, users)
}

/** Rows of the plan become `held`, with the reason as their problem; no user is made of them. */
async function holdRows(tx: Transaction, importId: string, users: string, rows: number[], code: 'plan.stale' | 'row.not_written' | 'duplicate.first_row'): Promise<void> {
  if (rows.length === 0) return
  await tx.run(`update ${planTable(importId)} set fate = 'held' where row = any ($1)`, [rows])
  await tx.run(`delete from ${users} where row = any ($1)`, [rows])
  await tx.run(
    `insert into import_issues (organization_id, import_id, row, code, severity, detail)
     select $1, $2, h.row, $4, 'error', case when $4 = 'duplicate.first_row' then (select jsonb_build_object('firstRow', x.first_row) from ${furtherTable(importId)} x where x.row = h.row) end from unnest($3::int[]) as h (row)`,
    [tx.organizationId, importId, rows, code],
  )
}

/**
 * Sets aside the rows whose person was changed since the plan was made (spec E1): they become `held`, and are told.
 * `detailsOfPerson`: e-mail and phone belong to whoever has registered (D3), which may have happened meanwhile.
 * Locks the contacts and then the users that the chunk will change, in the order of their ids, so that two imports never wait for each other in a circle.
 */
export async function setStaleAside(tx: Transaction, importId: string, chunk: Chunk, options: { users: string; conflicts: boolean; detailsOfPerson: boolean }): Promise<void> {
  const plan = planTable(importId)
  const bounds = [chunk.first, chunk.last]
  // Contacts before users: a feed that adopts writes some, too, of whom the file says nothing new.
  const [brought] = await tx.query<{ adopts: boolean }>(`select coalesce((options -> 'feed' -> 'adopts')::boolean, false) as adopts from imports where id = $1`, [importId])
  if (brought?.adopts) await tx.query(`select count(*) from (select from contacts where id in (select contact_id from ${plan} where row between $1 and $2 and (fate = 'update' or fate = 'unchanged' and contact_id in (select contact_id from ${adoptedTable(importId)}))) order by id for update) locked`, bounds)
  const stale = [
    `select p.row from ${plan} p join (select id, version from contacts where id in (select contact_id from ${plan} where row between $1 and $2 and fate = 'update') order by id for update) c
       on c.id = p.contact_id where p.row between $1 and $2 and p.fate = 'update' and c.version <> p.contact_version`,
    // Of somebody who is gone it cannot be said either that nothing was new.
    `select p.row from ${plan} p where p.row between $1 and $2 and p.fate in ('update', 'unchanged') and p.contact_version is not null and not exists (select from contacts c where c.id = p.contact_id)`,
    `select p.row from ${options.users} p join (select id, version from users where id in (select user_id from ${options.users} where row between $1 and $2 and fate = 'update') order by id for update) u
       on u.id = p.user_id where p.row between $1 and $2 and p.fate = 'update' and u.version <> p.user_version`,
    // A name that somebody had meanwhile rests: no unique index stands against giving it away again (C1).
    `select p.row from ${options.users} p join released_usernames n on n.username = p.username where p.row between $1 and $2 and p.fate in ('create', 'update')`,
    ...(options.detailsOfPerson ? [registeredSince(importId)] : []),
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
  for (const row of await namesTaken(tx, importId, chunk)) found.add(row)
  await holdRows(tx, importId, options.users, [...found], 'plan.stale')
  await holdFollowers(tx, importId, chunk, options.users)
}

/** Holds rows of further accounts whose person the first row did not bring, or somebody has changed since the plan was made. */
async function holdFollowers(tx: Transaction, importId: string, chunk: Chunk, users: string): Promise<void> {
  const plan = planTable(importId)
  const followers = await tx.query<{ row: number; stale: boolean }>(
    `select x.row, f.fate <> 'held' as stale from ${furtherTable(importId)} x join ${plan} p on p.row = x.row join ${plan} f on f.row = x.first_row left join contacts c on c.id = p.contact_id
     where x.row between $1 and $2 and p.fate in ('update', 'unchanged') and (f.fate = 'held' or f.fate = 'unchanged' and p.fate = 'update' and c.version is distinct from x.version)`,
    [chunk.first, chunk.last],
  )
  await holdRows(tx, importId, users, followers.filter(({ stale }) => stale).map(({ row }) => row), 'plan.stale')
  await holdRows(tx, importId, users, followers.filter(({ stale }) => !stale).map(({ row }) => row), 'duplicate.first_row')
}

/**
 * Rows of new people with neither id nor address whose name another import has entered meanwhile. No unique index stands
 * against that. Imports that are committed side by side take turns at such rows: one alone shares the lock with itself.
 */
async function namesTaken(tx: Transaction, importId: string, chunk: Chunk): Promise<number[]> {
  const bounds = [chunk.first, chunk.last]
  const namesOnly = `from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
    where p.row between $1 and $2 and p.fate = 'create' and r.external_id is null and r.email_key is null`
  const [found] = await tx.query<{ some: boolean; others: boolean }>(
    `select exists (select ${namesOnly}) as some, exists (select from imports where state = 'committing' and id <> $3) as others`,
    [...bounds, importId],
  )
  if (!found!.some) return []
  await tx.run(`select pg_advisory_xact_lock${found!.others ? '' : '_shared'}(hashtext('muster.names'), hashtext($1))`, [tx.organizationId])
  const taken = await tx.query<{ row: number }>(
    `select p.row ${namesOnly} and exists (
       select from contacts n where n.last_name = r.last_name and n.first_name = r.first_name and n.external_id is null and n.email_key is null)`,
    bounds,
  )
  return taken.map(({ row }) => row)
}

/**
 * Writes the contacts that the plan says for a chunk (spec C, first step of commit).
 * @param feedId the feed that brings the file; null where a person did. New people are its own, and those whom it brings back though another feed let them go: else the one
 * would let them go and the other bring them back with each file.
 */
export async function commitContacts(tx: Transaction, importId: string, chunk: Chunk, staged: ReadonlySet<StagedColumn>, feedId: string | null): Promise<void> {
  const bounds = [chunk.first, chunk.last]
  const columns = (['external_id', 'first_name', 'last_name', 'email', 'email_key', 'phone', 'attributes'] as const).filter((column) => staged.has(column))
  await tx.run(
    `insert into contacts (id, organization_id, created_by_import, feed_id, ${columns.join(', ')})
     select p.contact_id, ${tx.organizationId}, ${importId}, $3::bigint, ${columns.map((column) => `r.${column}`).join(', ')}
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     where p.row between $1 and $2 and r.row between $1 and $2 and p.fate = 'create' order by p.row`,
    [...bounds, feedId],
  )
  const cleared = (column: string): string => (staged.has('clears') && column !== 'first_name' && column !== 'last_name' ? `case when '${column === 'email_key' ? 'email' : column}' = any (r.clears) then null else coalesce(r.${column}, c.${column}) end` : `coalesce(r.${column}, c.${column})`)
  const sets = columns.map((column) => (column === 'attributes' ? "attributes = coalesce(c.attributes, '{}') || coalesce(r.attributes, '{}')" : `${column} = ${cleared(column)}`))
  await tx.run(
    `update contacts c set ${[...sets, "state = case when p.reactivate then 'active' else c.state end", 'feed_id = case when p.reactivate and c.feed_id <> $3::bigint then $3::bigint else c.feed_id end'].join(', ')}, version = c.version + 1, updated_at = now()
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     where p.row between $1 and $2 and p.fate = 'update' and p.contact_version is not null and c.id = p.contact_id`,
    [...bounds, feedId],
  )
  if (speaksOfCustomers(staged)) await linkCustomers(tx, importId, bounds)
}
