import type { Transaction } from '../entities/database.ts'
import { SECURITY_DIMENSIONS, type SecurityDimension } from '../entities/states.ts'
import type { Catalog } from '../organizations/catalog.ts'
import { groupOfAll, SECURITY_COLUMNS, type PlanTables } from './planUsers.ts'

/** Rows of an import that are committed together: first and last row number. */
export type RowRange = { first: number; last: number }

/**
 * Makes and changes the users that the plan says for a range of rows (spec C1 to C6): accounts, groups, roles, product instances.
 * Runs in the transaction that commits the range, after its contacts.
 * @returns the number of planned changes that found the user changed since (stale); the caller decides
 */
export async function provisionUsers(tx: Transaction, importId: string, tables: PlanTables, range: RowRange, catalog: Catalog, mustChangePassword: boolean): Promise<void> {
  const inRange = 'p.row between $1 and $2'
  const bounds = [range.first, range.last]
  const all = allOf(catalog)
  const made = await tx.run(
    `insert into users (id, organization_id, contact_id, account_kind, username, username_stem, username_number, profile_id, license_id,
       company_id, business_unit_id, department_id, location_id, must_change_password, created_by_import)
     select p.user_id, ${tx.organizationId}, p.contact_id, p.account_kind, p.username, p.username_stem, p.username_number, p.profile_id, p.license_id,
       coalesce(r.company_id, ${all('company')}), coalesce(r.business_unit_id, ${all('businessUnit')}), coalesce(r.department_id, ${all('department')}),
       coalesce(r.location_id, ${all('location')}), ${mustChangePassword}, ${importId}
     from ${tables.users} p join ${tables.rows} r on r.row = p.row where ${inRange} and p.fate = 'create'`,
    bounds,
  )
  const changed = await changeUsers(tx, tables, range, catalog)
  await tx.run(
    `update contacts c set awaiting_license = p.fate = 'awaiting' from ${tables.users} p
     where ${inRange} and (p.fate = 'awaiting' or p.fate = 'create' and p.contact_known) and c.id = p.contact_id and c.awaiting_license <> (p.fate = 'awaiting')`,
    bounds,
  )
  if (made + changed > 0) await linkGroups(tx, tables, range)
  if (made > 0) await linkRoles(tx, tables, range, catalog)
  if (changed > 0) await changeRoles(tx, tables, range)
  if (made + changed > 0) await limitLookups(tx, tables, range, catalog)
}

/** Row-level security is "all" unless given (C6), where the organization has such a group. */
const allOf = (catalog: Catalog) => (dimension: SecurityDimension): string => groupOfAll(catalog.securityGroups[dimension]) ?? 'null'

async function changeUsers(tx: Transaction, tables: PlanTables, range: RowRange, catalog: Catalog): Promise<number> {
  const bounds = [range.first, range.last]
  const all = allOf(catalog)
  const security = SECURITY_DIMENSIONS.map((dimension) => ({ column: SECURITY_COLUMNS[dimension].column, all: all(dimension) }))
  await tx.run(
    `insert into released_usernames (organization_id, username, username_stem, username_number)
     select u.organization_id, u.username, u.username_stem, u.username_number
     from ${tables.users} p join users u on u.id = p.user_id
     where p.row between $1 and $2 and p.fate = 'update' and p.username is not null and p.username <> u.username
     on conflict do nothing`,
    bounds,
  )
  return tx.run(
    `update users u set
       username = coalesce(p.username, u.username), username_stem = case when p.username is null then u.username_stem else p.username_stem end,
       username_number = case when p.username is null then u.username_number else p.username_number end,
       profile_id = p.profile_id, license_id = p.license_id,
       ${security.map(({ column, all }) => `${column} = case when '${column}' = any (r.clears) then ${all}::bigint else coalesce(r.${column}, u.${column}) end`).join(', ')},
       state = case when c.reactivate then 'active' else u.state end, version = u.version + 1, updated_at = now()
     from ${tables.users} p join ${tables.rows} r on r.row = p.row join ${tables.plan} c on c.row = p.row
     where p.row between $1 and $2 and p.fate = 'update' and u.id = p.user_id`,
    bounds,
  )
}

/**
 * Authorized lookups (spec C6): what a row says of a field takes the place of what was, other fields stay. A new user has "all" in
 * every field that the row does not name, where the organization has such a group; and so has one whose blank cell clears them (B8).
 */
async function limitLookups(tx: Transaction, tables: PlanTables, range: RowRange, catalog: Catalog): Promise<void> {
  const fields = Object.entries(catalog.lookups)
  if (fields.length === 0) return
  const all = fields.flatMap(([field, groups]) => {
    const id = groupOfAll(groups)
    return id === null ? [] : [{ field, id }]
  })
  const planned = `from ${tables.users} p join ${tables.rows} r on r.row = p.row`
  const cleared = "coalesce('lookup_ids' = any (r.clears), false)"
  const inFields = '(select k.dimension from security_groups k where k.id = any (r.lookup_ids))'
  await tx.run(
    `delete from user_lookups l using ${tables.users} p, ${tables.rows} r, security_groups g
     where p.row between $1 and $2 and p.fate = 'update' and r.row = p.row and (r.lookup_ids is not null or ${cleared}) and l.user_id = p.user_id and g.id = l.security_group_id
       and (${cleared} or g.dimension in ${inFields} and l.security_group_id <> all (r.lookup_ids))`,
    [range.first, range.last],
  )
  await tx.run(
    `insert into user_lookups (user_id, security_group_id, organization_id)
     select p.user_id, g.id, ${tx.organizationId} ${planned} cross join lateral (
       select unnest(r.lookup_ids) as id
       union select a.id from unnest($3::bigint[], $4::text[]) as a (id, field)
         where (p.fate = 'create' or ${cleared}) and (r.lookup_ids is null or a.field not in ${inFields})
     ) g where p.row between $1 and $2 and p.fate in ('create', 'update') on conflict do nothing`,
    [range.first, range.last, all.map(({ id }) => id), all.map(({ field }) => field)],
  )
}

/** What a row says of groups takes the place of what was. */
async function linkGroups(tx: Transaction, tables: PlanTables, range: RowRange): Promise<void> {
  const bounds = [range.first, range.last]
  await tx.run(
    `delete from user_group_members g using ${tables.users} p
     where p.row between $1 and $2 and p.fate = 'update' and p.group_ids is not null and g.user_id = p.user_id and g.group_id <> all (p.group_ids)`,
    bounds,
  )
  await tx.run(
    `insert into user_group_members (user_id, group_id, organization_id)
     select p.user_id, g.id, ${tx.organizationId} from ${tables.users} p cross join lateral (select distinct unnest(p.group_ids) as id) g
     where p.row between $1 and $2 and p.fate in ('create', 'update') on conflict do nothing`,
    bounds,
  )
}

/**
 * Roles without a product are held in general; with products they are held there (spec C5), in the tenants that the row names.
 * A new user is linked to the organization's automatic products besides, unless the row names them.
 */
async function linkRoles(tx: Transaction, tables: PlanTables, range: RowRange, catalog: Catalog): Promise<void> {
  const bounds = [range.first, range.last]
  const created = `from ${tables.users} p join ${tables.rows} r on r.row = p.row`
  const inRange = `where p.row between $1 and $2 and p.fate = 'create'`
  const generally = `select p.user_id, g.id, null::bigint, null::bigint ${created} cross join lateral (select distinct unnest(p.role_ids) as id) g ${inRange} and r.product_ids is null`
  const named = `select p.user_id, g.id, d.id, t.id ${created}
    cross join lateral (select unnest(case when cardinality(p.role_ids) > 0 then p.role_ids else array[null::bigint] end) as id) g
    cross join lateral (select distinct unnest(r.product_ids) as id) d
    left join tenants t on t.product_id = d.id and t.id = any (r.tenant_ids) ${inRange}`
  const linked = catalog.products.filter((product) => product.autoLink && !product.withdrawn).map(
    (product) => `select p.user_id, ${product.roleId ?? 'null'}::bigint, ${product.id}::bigint, t.id ${created}
    left join tenants t on t.product_id = ${product.id} and t.id = any (r.tenant_ids) ${inRange} and not coalesce(${product.id} = any (r.product_ids), false)`,
  )
  await tx.run(
    `insert into user_roles (user_id, role_id, product_id, tenant_id, organization_id)
     select l.*, ${tx.organizationId} from (${[generally, named, ...linked].join(' union all ')}) l on conflict do nothing`,
    bounds,
  )
}

/**
 * What a row says of roles takes the place of what its user held: at the products that it names, at those of its tenants, or in general.
 * Where it says nothing of roles, or nothing of tenants, those held there stay (B8).
 */
async function changeRoles(tx: Transaction, tables: PlanTables, range: RowRange): Promise<void> {
  const held = (column: string): string => `(select array_agg(distinct l.${column}) from user_roles l where l.user_id = s.user_id and l.product_id = s.product_id)`
  await tx.run(
    `with changed as (
       select p.user_id, p.role_ids, r.product_ids, r.tenant_ids from ${tables.users} p join ${tables.rows} r on r.row = p.row where p.row between $1 and $2 and p.fate = 'update'
     ), spoken as (
       select c.user_id, d.id as product_id, c.role_ids, (select array_agg(t.id) from tenants t where t.product_id = d.id and t.id = any (c.tenant_ids)) as tenant_ids
       from changed c cross join lateral (select unnest(c.product_ids) as id union select t.product_id from tenants t where t.id = any (c.tenant_ids)) d
       union all select c.user_id, null, c.role_ids, null from changed c where c.product_ids is null and c.role_ids is not null
     ), wanted as (
       select s.user_id, g.id as role_id, s.product_id, t.id as tenant_id from spoken s
       cross join lateral unnest(case when s.product_id is null or cardinality(s.role_ids) > 0 then s.role_ids
         when s.role_ids is null then coalesce(${held('role_id')}, array[null::bigint]) else array[null::bigint] end) as g (id)
       cross join lateral unnest(case when s.product_id is null then array[null::bigint] else coalesce(s.tenant_ids, ${held('tenant_id')}, array[null::bigint]) end) as t (id)
     ), gone as (
       delete from user_roles l using spoken s where l.user_id = s.user_id and l.product_id is not distinct from s.product_id
         and not exists (select from wanted w where w.user_id = l.user_id and w.product_id is not distinct from l.product_id and w.role_id is not distinct from l.role_id and w.tenant_id is not distinct from l.tenant_id)
     )
     insert into user_roles (user_id, role_id, product_id, tenant_id, organization_id) select user_id, role_id, product_id, tenant_id, ${tx.organizationId} from wanted on conflict do nothing`,
    [range.first, range.last],
  )
}
