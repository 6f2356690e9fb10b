import type { Transaction } from '../entities/database.ts'
import { adoptedTable, leavingTable, planTable, rowsTable } from './stagedRow.ts'

/**
 * SHA-256 in hex of everything that an import's plan changes: contacts, users, people who leave or become the feed's own, mails let go, and what was asked for
 * the file as a whole. What is approved is this (spec A6). The same changes give the same hash whatever the order of the rows, and whatever ids
 * are set aside for people and users who are not there yet.
 * Of a person who is known it holds the version at which the change was planned.
 * @param plannedBy what stands for the settings and catalog that the plan was made by, as some of it is carried out by them
 */
export async function planHash(tx: Transaction, importId: string, plannedBy: string): Promise<string> {
  const [plan, rows] = [planTable(importId), rowsTable(importId)]
  const said = await columnsOf(tx, rows, 'r', ['row', 'verdict'])
  const user = await columnsOf(tx, `${plan}_users`, 'u', ['row', 'contact_id', 'user_id'])
  // As records, which are written faster than JSON by far.
  const changes = [
    `select row('row', p.fate, case when p.fate <> 'create' then p.contact_id end, p.contact_version, p.reactivate, ${said}, case when u.fate = 'update' then u.user_id end, ${user})::text
     from ${plan} p join ${rows} r on r.row = p.row left join ${plan}_users u on u.row = p.row where p.fate in ('create', 'update') or u.row is not null`,
    `select row('mail', h.delivery_id, extract(epoch from h.send_at))::text from ${plan}_held h`,
    `select row('leaving', l.contact_id, l.version, l.users_version)::text from ${leavingTable(importId)} l`,
    `select row('adopted', a.contact_id)::text from ${adoptedTable(importId)} a`,
    `select row('asked', $2::text, i.options -> 'delivery', i.options #> '{feed,feedId}', i.options #> '{feed,adopts}')::text from imports i where i.id = $1`,
  ]
  const [found] = await tx.query<{ hash: string }>(
    `select encode(sha256(string_agg(hash, ''::bytea order by hash)), 'hex') as hash
     from (select sha256(convert_to(change, 'UTF8')) as hash from (${changes.join(' union all ')}) as changes (change)) hashed`,
    [importId, plannedBy],
  )
  return found!.hash
}

/** SQL: the columns of a table of the plan, but these. Instants as numbers: as text they would follow the zone of the session. */
async function columnsOf(tx: Transaction, table: string, alias: string, without: readonly string[]): Promise<string> {
  const columns = await tx.query<{ sql: string }>(
    `select format(case when a.atttypid = 'timestamptz'::regtype then 'extract(epoch from %s.%I)' else '%s.%I' end, $2::text, a.attname) as sql
     from pg_attribute a where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attname <> all ($3::text[]) order by a.attname`,
    [table, alias, [...without]],
  )
  return columns.map(({ sql }) => sql).join(', ')
}
