import type { Transaction } from '../entities/database.ts'
import { planTable, rowsTable, type StagedColumn } from './stagedRow.ts'

/**
 * A contact's places at customers, and the roles held there (spec C8). What a row says of worksite and contact roles takes the place of what
 * was at the customer that it names; other customers stay. A blank cell that clears (B8) takes away what it stands for: all customers,
 * or the worksites or roles at the customer that the row names, at every one where it names none.
 */

/** Whether a file may change places at customers. */
export const speaksOfCustomers = (staged: ReadonlySet<StagedColumn>): boolean => staged.has('customer_id') || staged.has('worksite_id') || staged.has('contact_role_ids')

/** SQL: whether a blank cell of row `r` clears the column. */
const cleared = (column: StagedColumn): string => `coalesce('${column}' = any (r.clears), false)`

/** SQL over a staged row `r`: whether it says anything of customers. */
const SPEAKS = `(r.customer_id is not null or r.clears && array['customer_id', 'worksite_id', 'contact_role_ids'])`

/** SQL: the places of contact `contact` that row `r` speaks of, as `l`. */
const at = (contact: string, l: string): string => `${l}.contact_id = ${contact} and (r.customer_id is null or ${l}.customer_id = r.customer_id)`

/** SQL: worksite and role that row `r` makes of the place `l`, the role being one `g` of those given. */
const WORKSITE = `case when r.worksite_id is not null then r.worksite_id when ${cleared('worksite_id')} then null else l.worksite_id end`
const ROLE = `case when r.contact_role_ids is not null then g.id when ${cleared('contact_role_ids')} then null else l.contact_role_id end`

/** SQL: whether row `r` changes the places of the contact whose id is `contact`. */
export const customersDiffer = (contact: string): string => `(${SPEAKS} and (
  ${cleared('customer_id')} and exists (select from contact_customers l where l.contact_id = ${contact})
  or r.customer_id is not null and not exists (select from contact_customers l where ${at(contact, 'l')})
  or exists (select from contact_customers l where ${at(contact, 'l')} and (
    r.worksite_id is distinct from l.worksite_id and (r.worksite_id is not null or ${cleared('worksite_id')})
    or l.contact_role_id is not null and (l.contact_role_id <> all (r.contact_role_ids) or ${cleared('contact_role_ids')})
    or l.contact_role_id is null and r.contact_role_ids is not null))
  or exists (select from contact_customers l cross join lateral unnest(r.contact_role_ids) as g (id) where ${at(contact, 'l')} and not exists (
    select from contact_customers k where k.contact_id = l.contact_id and k.customer_id = l.customer_id and k.worksite_id is not distinct from ${WORKSITE} and k.contact_role_id = g.id))))`

/** Writes the places of a chunk's contacts, behind the contacts. */
export async function linkCustomers(tx: Transaction, importId: string, bounds: number[]): Promise<void> {
  const planned = `from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row where p.row between $1 and $2`
  await tx.run(
    `insert into contact_customers (organization_id, contact_id, customer_id, worksite_id, contact_role_id)
     select ${tx.organizationId}, p.contact_id, r.customer_id, r.worksite_id, wanted.id
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     cross join lateral unnest(coalesce(r.contact_role_ids, array[null::bigint])) as wanted (id)
     where p.row between $1 and $2 and p.fate = 'create' and r.customer_id is not null
     on conflict do nothing`,
    bounds,
  )
  // Rows of a further account have no version: their person's first row says this.
  const spoken = `${planned} and p.fate = 'update' and p.contact_version is not null`
  await tx.run(
    `with r as materialized (
       select p.contact_id, r.customer_id, r.worksite_id, r.contact_role_ids, r.clears ${spoken} and ${SPEAKS}
     ), wanted as materialized (
       select distinct r.contact_id, coalesce(r.customer_id, l.customer_id) as customer_id, ${WORKSITE} as worksite_id, ${ROLE} as contact_role_id
       from r left join contact_customers l on ${at('r.contact_id', 'l')} left join lateral unnest(r.contact_role_ids) as g (id) on true
       where not ${cleared('customer_id')} and coalesce(r.customer_id, l.customer_id) is not null
     ), gone as (
       delete from contact_customers l using r where ${at('r.contact_id', 'l')} and not exists (
         select from wanted w where w.contact_id = l.contact_id and w.customer_id = l.customer_id
           and w.worksite_id is not distinct from l.worksite_id and w.contact_role_id is not distinct from l.contact_role_id)
     )
     insert into contact_customers (organization_id, contact_id, customer_id, worksite_id, contact_role_id)
     select ${tx.organizationId}, contact_id, customer_id, worksite_id, contact_role_id from wanted on conflict do nothing`,
    bounds,
  )
}
