import type { Transaction } from '../entities/database.ts'
import { fieldNamed, type FieldName } from '../rules/fields.ts'
import { furtherTable, planTable, rowsTable } from './stagedRow.ts'

/**
 * Rows that make a further account, of another kind, of a person whom an earlier row of the file makes or changes (spec, Words).
 * The earlier row alone writes the contact. A further one repeats its details or leaves them empty, and counts as `update` where it makes
 * or changes an account, else as `unchanged`.
 */

/** Makes the table of further rows, empty. `version` is the contact's where the first row leaves it untouched. */
export async function createFurtherTable(tx: Transaction, importId: string): Promise<void> {
  await tx.run(`drop table if exists ${furtherTable(importId)}`)
  await tx.run(`create table ${furtherTable(importId)} (row integer primary key, first_row integer not null, version integer) with (autovacuum_enabled = off)`)
}

/** Whether an import has such rows; hardly any has. */
export async function hasFurther(tx: Transaction, importId: string): Promise<boolean> {
  const [found] = await tx.query<{ some: boolean }>(`select exists (select from ${furtherTable(importId)}) as some`)
  return found!.some
}

/** SQL over a staged row: the kind of account that it speaks of. */
const kindOf = (row: string, usual: string): string => `coalesce(${row}.account_kind, '${usual}')`

/** SQL over a staged row: whether it wants an account. */
const wantsUser = (row: string): string => `${row}.wants_user is distinct from false`

/**
 * Moves repeated rows that speak of another kind of account than all before them from duplicate_rows to the further ones.
 * Two External IDs with one address are two people, whatever kinds they say.
 */
export async function moveFurther(tx: Transaction, importId: string, usualKind: string): Promise<void> {
  const rows = rowsTable(importId)
  const moved = await tx.run(
    `with repeated as (
       select d.row, d.first_row, ${kindOf('r', usualKind)} as kind, ${kindOf('f', usualKind)} as first_kind,
         ${wantsUser('r')} and (d.field = 'External ID' or r.external_id is null or f.external_id is null or r.external_id = f.external_id) as fit,
         row_number() over (partition by d.first_row, ${kindOf('r', usualKind)} order by d.row) as place
       from duplicate_rows d join ${rows} r on r.row = d.row join ${rows} f on f.row = d.first_row
     ), moved as (
       insert into ${furtherTable(importId)} (row, first_row) select row, first_row from repeated where fit and kind <> first_kind and place = 1 returning row
     )
     delete from duplicate_rows d using moved m where m.row = d.row`,
  )
  if (moved > 0) await repeatDetails(tx, importId)
}

/** As moveFurther, for people whom repeated_matches (row, contact_id) names once by External ID and once by address. */
export async function addFurtherMatches(tx: Transaction, importId: string, usualKind: string): Promise<void> {
  const added = await tx.run(
    `insert into ${furtherTable(importId)} (row, first_row)
     select row, first_row from (
       select p.row, p.contact_id, ${kindOf('r', usualKind)} as kind, ${wantsUser('r')} as wanted,
         min(p.row) over of_person as first_row, first_value(${kindOf('r', usualKind)}) over (of_person order by p.row) as first_kind,
         row_number() over (partition by p.contact_id, ${kindOf('r', usualKind)} order by p.row) as place
       from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
       where p.contact_id in (select contact_id from repeated_matches) and p.fate in ('update', 'unchanged', 'held')
       window of_person as (partition by p.contact_id)
     ) matched where row <> first_row and wanted and kind <> first_kind and place = 1 on conflict do nothing`,
  )
  if (added > 0) await repeatDetails(tx, importId)
}

/** What identifies the person, and makes a username, is the first row's where the further one leaves it empty. */
async function repeatDetails(tx: Transaction, importId: string): Promise<void> {
  await tx.run(
    `update ${rowsTable(importId)} r set external_id = coalesce(r.external_id, f.external_id), email = coalesce(r.email, f.email), email_key = coalesce(r.email_key, f.email_key),
       username_base = case when r.username is null then coalesce(f.username_base, r.username_base) end,
       username_stem = case when r.username is null and f.username_base is not null then f.username_stem else r.username_stem end
     from ${furtherTable(importId)} x join ${rowsTable(importId)} f on f.row = x.first_row where r.row = x.row`,
  )
}

/**
 * Plans the further rows from their first ones, behind these: the same contact, and the same end where it is not taken in.
 * A further row that says otherwise of the person is rejected, and each contradiction told.
 */
export async function settleFurther(tx: Transaction, importId: string): Promise<void> {
  if (!(await hasFurther(tx, importId))) return
  await tellContradictions(tx, importId)
  const plan = planTable(importId)
  await tx.run(
    `update ${plan} p set contact_id = f.contact_id, contact_version = null, by_id = f.by_id, reactivate = f.reactivate and not said.otherwise,
       fate = case when said.otherwise or f.fate = 'rejected' then 'rejected' when f.fate = 'held' then 'held' else 'unchanged' end,
       problem = case when said.otherwise then null when f.fate = 'rejected' then 'duplicate.first_row' when f.fate = 'held' or f.problem in ('identity.deactivated_skipped', 'identity.move_declined') then f.problem end,
       detail = case when said.otherwise then null when f.fate = 'rejected' then jsonb_build_object('firstRow', x.first_row) when f.fate = 'held' or f.problem = 'identity.move_declined' then f.detail end
     from ${furtherTable(importId)} x join ${plan} f on f.row = x.first_row
     cross join lateral (select exists (select from import_issues i where i.import_id = $1 and i.row = x.row and i.code = 'duplicate.contradiction') as otherwise) said
     where p.row = x.row`,
    [importId],
  )
  await tx.run(`update ${furtherTable(importId)} x set version = f.contact_version from ${plan} f where f.row = x.first_row and f.fate = 'unchanged'`)
}

/** SQL of what a further row r, its first one f and the known contact c say of a field, and whether they differ; nothing said is no difference. */
const SAID: readonly (readonly [field: FieldName, value: string, other: string, differ: string])[] = [
  ['externalId', 'r.external_id', 'coalesce(f.external_id, c.external_id)', ''],
  ['firstName', 'r.first_name', 'f.first_name', ''],
  ['lastName', 'r.last_name', 'f.last_name', ''],
  ['email', 'r.email', 'coalesce(f.email, c.email)', 'r.email_key <> coalesce(f.email_key, c.email_key) or f.email_key is null and c.email_key is null'],
  ['phone', 'r.phone', 'coalesce(f.phone, c.phone)', ''],
  ['customer', '(select name from customers where id = r.customer_id)', '(select name from customers where id = f.customer_id)', ''],
  ['worksite', '(select name from worksites where id = r.worksite_id)', '(select name from worksites where id = f.worksite_id)', ''],
  ['contactRole', `(select string_agg(name, '; ' order by name) from contact_roles where id = any (r.contact_role_ids))`, `(select string_agg(name, '; ' order by name) from contact_roles where id = any (f.contact_role_ids))`, ''],
]

async function tellContradictions(tx: Transaction, importId: string): Promise<void> {
  const said = SAID.map(([field, value, other, differ]) => `('${fieldNamed(field).header}', '${field}', ${value}, ${other}, ${differ || `${value} is distinct from ${other}`})`)
  await tx.run(
    `insert into import_issues (organization_id, import_id, row, header, field, code, severity, value, detail)
     select $1, $2, x.row, s.header, s.field, 'duplicate.contradiction', 'error', s.value, jsonb_build_object('firstRow', x.first_row, 'other', coalesce(s.other, 'nothing'))
     from ${furtherTable(importId)} x join ${rowsTable(importId)} r on r.row = x.row join ${rowsTable(importId)} f on f.row = x.first_row
     join ${planTable(importId)} p on p.row = x.first_row left join contacts c on c.id = p.contact_id
     cross join lateral (
       select * from (values ${said.join(', ')}) as columns (header, field, value, other, differ) where value is not null and differ
       union all select a.key, null, a.value, coalesce(f.attributes, c.attributes) ->> a.key, true from jsonb_each_text(r.attributes) a where a.value is distinct from coalesce(f.attributes ->> a.key, c.attributes ->> a.key)
     ) s
     order by x.row`,
    [tx.organizationId, importId],
  )
}
