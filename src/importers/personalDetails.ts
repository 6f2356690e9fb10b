import type { Transaction } from '../entities/database.ts'
import type { Settings } from '../organizations/declaration.ts'
import { planTable, rowsTable, type StagedColumn } from './stagedRow.ts'

/** SQL: ids of contacts one of whose users has registered: from then on e-mail and phone may be theirs (spec D3). */
const REGISTERED = `
  select u.contact_id from users u where u.password_chosen_at is not null
  union all select u.contact_id from invitations i join users u on u.id = i.user_id where i.state in ('in_progress', 'completed')`

/** SQL: rows from $1 to $2 whose plan writes e-mail or phone of somebody who has registered since it was made. */
export const registeredSince = (importId: string): string => `
  select p.row from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row join contacts c on c.id = p.contact_id
  where p.row between $1 and $2 and p.fate = 'update' and p.contact_version is not null
    and (r.email <> c.email or r.email is not null and c.email is null or r.phone <> c.phone or r.phone is not null and c.phone is null or r.clears && array['email', 'phone'])
    and c.id in (${REGISTERED})`

/**
 * Takes out of the staged rows what the organization leaves to those who have registered: their e-mail and phone (spec D3). A different
 * value is told as a warning, and the row is otherwise taken in. Does nothing where the details are the organization's.
 * Runs behind the search for duplicates, which needs the addresses, and before the plan.
 */
export async function leavePersonalDetails(tx: Transaction, importId: string, staged: ReadonlySet<StagedColumn>, settings: Settings): Promise<void> {
  if (settings.onboarding.contactDetails !== 'person' || !(staged.has('email_key') || staged.has('phone'))) return
  const rows = rowsTable(importId)
  const cleared = (column: string): string => `coalesce('${column}' = any (r.clears), false)`
  await tx.run('drop table if exists personal_rows')
  await tx.run(
    `create temporary table personal_rows on commit drop as
     with registered as materialized (select * from contacts where id in (${REGISTERED})), known as (
       select r.row, c.id from ${rows} r join registered c on c.external_id = r.external_id
       union all select r.row, c.id from ${rows} r join registered c on c.email_key = r.email_key
         where r.external_id is null or c.external_id is null and not exists (select from contacts k where k.external_id = r.external_id)
       union all select r.row, c.id from ${rows} r join registered c on c.last_name = r.last_name and c.first_name = r.first_name
         where r.external_id is null and r.email_key is null and c.external_id is null and c.email_key is null
     )
     select r.row, c.email as old_email, c.phone as old_phone, r.email, r.phone,
       coalesce(r.email_key is distinct from c.email_key and r.email_key is not null or ${cleared('email')} and c.email is not null, false) as email_differs,
       coalesce(r.phone is distinct from c.phone and r.phone is not null or ${cleared('phone')} and c.phone is not null, false) as phone_differs
     from known k join registered c on c.id = k.id join ${rows} r on r.row = k.row
     where r.verdict = 'o' and not exists (select from duplicate_rows d where d.row = r.row)`,
  )
  const told = (field: 'email' | 'phone', header: string): string =>
    `select row, '${header}', '${field}', '${field}.belongs_to_person', ${field},
       jsonb_strip_nulls(jsonb_build_object('old', coalesce(old_${field}, '(none)'), 'value', case when ${field} is null then 'nothing' end)) from personal_rows where ${field}_differs`
  await tx.run(
    `insert into import_issues (organization_id, import_id, severity, row, header, field, code, value, detail)
     select $1, $2, 'warning', t.* from (${told('email', 'Email')} union all ${told('phone', 'Phone')}) as t`,
    [tx.organizationId, importId],
  )
  // The address is not written even where only its case differs; it still tells who it is.
  await tx.run(
    `update ${rows} r set email = null, email_key = case when o.email_differs then null else r.email_key end, phone = null,
       clears = array_remove(array_remove(r.clears, 'email'), 'phone')
     from personal_rows o where o.row = r.row`,
  )
}
