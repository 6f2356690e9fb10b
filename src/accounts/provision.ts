import type { Transaction } from '../entities/database.ts'
import type { Catalog } from '../organizations/catalog.ts'
import type { PlanTables } from './planUsers.ts'

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
  const made = await tx.run(
    `insert into users (id, organization_id, contact_id, account_kind, username, username_stem, username_number, profile_id, license_id,
       company_id, business_unit_id, department_id, location_id, must_change_password, created_by_import)
     select p.user_id, ${tx.organizationId}, p.contact_id, p.account_kind, p.username, p.username_stem, p.username_number, p.profile_id, p.license_id,
       r.company_id, r.business_unit_id, r.department_id, r.location_id, ${mustChangePassword}, ${importId}
     from ${tables.users} p join ${tables.rows} r on r.row = p.row where ${inRange} and p.fate = 'create'`,
    bounds,
  )
  const changed = await changeUsers(tx, tables, range)
  await tx.run(`update contacts c set awaiting_license = true from ${tables.users} p where ${inRange} and p.fate = 'awaiting' and c.id = p.contact_id`, bounds)
  if (made + changed === 0) return
  await linkGroups(tx, tables, range)
  await linkRoles(tx, tables, range, catalog)
}

async function changeUsers(tx: Transaction, tables: PlanTables, range: RowRange): Promise<number> {
  const bounds = [range.first, range.last]
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
       company_id = coalesce(r.company_id, u.company_id), business_unit_id = coalesce(r.business_unit_id, u.business_unit_id),
       department_id = coalesce(r.department_id, u.department_id), location_id = coalesce(r.location_id, u.location_id),
       state = case when c.reactivate then 'active' else u.state end, version = u.version + 1, updated_at = now()
     from ${tables.users} p join ${tables.rows} r on r.row = p.row join ${tables.plan} c on c.row = p.row
     where p.row between $1 and $2 and p.fate = 'update' and u.id = p.user_id`,
    bounds,
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
 * Roles without a product are held in general; with products they are held there (spec C5).
 * A new user is linked to the organization's automatic products besides, unless the row names them.
 */
async function linkRoles(tx: Transaction, tables: PlanTables, range: RowRange, catalog: Catalog): Promise<void> {
  const bounds = [range.first, range.last]
  await tx.run(
    `delete from user_roles l using ${tables.users} p join ${tables.rows} r on r.row = p.row
     where p.row between $1 and $2 and p.fate = 'update' and p.role_ids is not null and l.user_id = p.user_id
       and case when r.product_ids is null then l.product_id is null else l.product_id = any (r.product_ids) end`,
    bounds,
  )
  const generally = `select p.user_id, g.id, null::bigint, null::bigint from ${tables.users} p join ${tables.rows} r on r.row = p.row
    cross join lateral (select distinct unnest(p.role_ids) as id) g
    where p.row between $1 and $2 and p.fate in ('create', 'update') and r.product_ids is null`
  const named = `select p.user_id, g.id, d.id, t.id from ${tables.users} p join ${tables.rows} r on r.row = p.row
    cross join lateral (select unnest(case when cardinality(p.role_ids) > 0 then p.role_ids else array[null::bigint] end) as id) g
    cross join lateral (select distinct unnest(r.product_ids) as id) d
    left join tenants t on t.product_id = d.id and t.id = any (r.tenant_ids)
    where p.row between $1 and $2 and p.fate in ('create', 'update')`
  const automatic = catalog.products.filter((product) => product.autoLink && !product.withdrawn)
  const linked = automatic.map(
    (product) => `select p.user_id, ${product.roleId ?? 'null'}::bigint, ${product.id}::bigint, t.id from ${tables.users} p join ${tables.rows} r on r.row = p.row
    left join tenants t on t.product_id = ${product.id} and t.id = any (r.tenant_ids)
    where p.row between $1 and $2 and p.fate = 'create' and not coalesce(${product.id} = any (r.product_ids), false)`,
  )
  await tx.run(
    `insert into user_roles (user_id, role_id, product_id, tenant_id, organization_id)
     select l.*, ${tx.organizationId} from (${[generally, named, ...linked].join(' union all ')}) l on conflict do nothing`,
    bounds,
  )
}
