import { SECURITY_DIMENSIONS, type SecurityDimension } from '../entities/states.ts'
import type { Transaction } from '../entities/database.ts'
import { COLUMN_OF_FIELD, planTable, rowsTable } from './stagedRow.ts'

export type PlannedRow = {
  row: number
  fate: string
  contactId: string | null
  name: string
  /** Fields that change, with what they were and will be. */
  changes: Record<string, { old: string | null; new: string | null }>
  username: string | null
  mail: string | null
}

/** The plan row by row (spec E1), from behind row `after`. */
export async function readPlan(tx: Transaction, importId: string, page: { after: number; limit: number; fates?: readonly string[] }): Promise<PlannedRow[]> {
  return tx.query<PlannedRow>(
    `select p.row, p.fate, case when p.fate <> 'create' then p.contact_id::text end as "contactId", concat_ws(' ', r.first_name, r.last_name) as name,
       case when p.fate in ('update', 'held') and p.contact_version is not null then ${CONTACT_CHANGES} else '{}'::jsonb end || case when u.fate = 'update' then ${USER_CHANGES} else '{}'::jsonb end as changes,
       case when u.fate in ('create', 'update') then u.username end as username, u.purpose as mail
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     left join ${planTable(importId)}_users u on u.row = p.row
     left join users x on x.id = u.user_id
     left join contacts c on c.id = p.contact_id
     where p.row > $1 and ($3::text[] is null or p.fate = any ($3)) order by p.row limit $2`,
    [page.after, page.limit, page.fates ?? null],
  )
}

/** SQL: a field with its old and new value, where they differ. */
const change = (name: string, before: string, after: string): string => `case when (${after}) is distinct from (${before}) then jsonb_build_object('${name}', jsonb_build_object('old', ${before}, 'new', ${after})) else '{}'::jsonb end`

/** SQL over a staged row r and its contact c; a blank that clears is a change to nothing. */
const contactField = (name: string, column: string): string => change(name, `c.${column}`, `case when '${column}' = any (r.clears) then null else coalesce(r.${column}, c.${column}) end`)

const named = (table: string, id: string): string => `(select n.name from ${table} n where n.id = ${id})`
const allNamed = (table: string, ids: string): string => `(select string_agg(n.name, '; ' order by n.name) from ${table} n where n.id = any (${ids}))`
const cleared = (column: string): string => `coalesce('${column}' = any (r.clears), false)`

/** SQL: what contact c has of places, by name: customers in all, the rest at the customer that the row names, or everywhere. */
const placesHeld = (table: string, column: string): string => `(select string_agg(distinct n.name, '; ' order by n.name) from contact_customers l join ${table} n on n.id = l.${column}
  where l.contact_id = c.id${column === 'customer_id' ? '' : ' and (r.customer_id is null or l.customer_id = r.customer_id)'})`

/** SQL: a change of a contact's places, asked only where the row speaks of them. */
const placeChange = (name: string, table: string, column: string, after: string): string =>
  `case when r.customer_id is not null or r.clears && array['customer_id', 'worksite_id', 'contact_role_ids'] then ${change(name, placesHeld(table, column), after)} else '{}'::jsonb end`

const CONTACT_CHANGES = [
  contactField('externalId', 'external_id'),
  contactField('firstName', 'first_name'),
  contactField('lastName', 'last_name'),
  contactField('email', 'email'),
  contactField('phone', 'phone'),
  change('state', 'c.state', "case when p.reactivate then 'active' else c.state end"),
  `coalesce((select jsonb_object_agg(a.key, jsonb_build_object('old', c.attributes ->> a.key, 'new', a.value)) from jsonb_each_text(r.attributes) a where a.value is distinct from c.attributes ->> a.key), '{}')`,
  placeChange('customer', 'customers', 'customer_id', `case when ${cleared('customer_id')} then null when r.customer_id is not null and not exists (select from contact_customers l where l.contact_id = c.id and l.customer_id = r.customer_id)
    then concat_ws('; ', ${placesHeld('customers', 'customer_id')}, ${named('customers', 'r.customer_id')}) else ${placesHeld('customers', 'customer_id')} end`),
  placeChange('worksite', 'worksites', 'worksite_id', `case when ${cleared('worksite_id')} or ${cleared('customer_id')} then null else coalesce(${named('worksites', 'r.worksite_id')}, ${placesHeld('worksites', 'worksite_id')}) end`),
  placeChange('contactRole', 'contact_roles', 'contact_role_id', `case when ${cleared('contact_role_ids')} or ${cleared('customer_id')} then null else coalesce(${allNamed('contact_roles', 'r.contact_role_ids')}, ${placesHeld('contact_roles', 'contact_role_id')}) end`),
].join(' || ')

/** SQL: a security group's name; one that a blank cell clears becomes the dimension's "all" (spec C6). */
const security = (dimension: SecurityDimension): string => {
  const column = COLUMN_OF_FIELD[dimension]
  const all = `(select g.name from security_groups g where g.dimension = '${dimension}' and not g.withdrawn and lower(g.name) = 'all')`
  return change(dimension, named('security_groups', `x.${column}`), `case when ${cleared(column)} then ${all} else ${named('security_groups', `coalesce(r.${column}, x.${column})`)} end`)
}

/** SQL: the names of what user x is linked to by user_roles. */
const linked = (table: string, column: string, where = ''): string => `(select string_agg(distinct n.name, '; ' order by n.name) from user_roles l join ${table} n on n.id = l.${column} where l.user_id = x.id ${where})`

/** SQL: authorized lookups of user x as Field=Group, of one field after the other. */
const LOOKUPS_HELD = `select g.dimension || '=' || g.name as held, g.dimension from user_lookups l join security_groups g on g.id = l.security_group_id where l.user_id = x.id`
const lookups = (selection: string): string => `(select string_agg(held, '; ' order by held) from (${selection}) as each_lookup)`

/** SQL over a planned user u, the user x as it is, and the staged row r. */
const USER_CHANGES = [
  change('username', 'x.username', 'coalesce(u.username, x.username)'),
  change('license', named('licenses', 'x.license_id'), named('licenses', 'u.license_id')),
  change('profile', named('profiles', 'x.profile_id'), named('profiles', 'u.profile_id')),
  change('groups', allNamed('user_groups', 'array(select m.group_id from user_group_members m where m.user_id = x.id)'), allNamed('user_groups', 'coalesce(u.group_ids, array(select m.group_id from user_group_members m where m.user_id = x.id))')),
  `case when u.role_ids is not null then ${change('roles', allNamed('roles', 'array(select l.role_id from user_roles l where l.user_id = x.id and (r.product_ids is null and l.product_id is null or l.product_id = any (r.product_ids)))'), allNamed('roles', 'u.role_ids'))} else '{}'::jsonb end`,
  `case when r.product_ids is not null then ${change('product', linked('products', 'product_id'), `(select string_agg(n.name, '; ' order by n.name) from products n where n.id = any (r.product_ids) or n.id in (select l.product_id from user_roles l where l.user_id = x.id))`)} else '{}'::jsonb end`,
  `case when r.tenant_ids is not null then ${change('tenant', linked('tenants', 'tenant_id', 'and l.product_id in (select t.product_id from tenants t where t.id = any (r.tenant_ids))'), allNamed('tenants', 'r.tenant_ids'))} else '{}'::jsonb end`,
  ...SECURITY_DIMENSIONS.map(security),
  `case when r.lookup_ids is not null or ${cleared('lookup_ids')} then ${change(
    'lookups',
    lookups(LOOKUPS_HELD),
    lookups(`select held from (${LOOKUPS_HELD}) h where r.lookup_ids is not null and dimension not in (select k.dimension from security_groups k where k.id = any (r.lookup_ids))
      union select g.dimension || '=' || g.name from security_groups g where g.id = any (r.lookup_ids) or ${cleared('lookup_ids')} and not g.withdrawn and lower(g.name) = 'all' and g.dimension not in ('${SECURITY_DIMENSIONS.join("', '")}')`),
  )} else '{}'::jsonb end`,
].join(' || ')
