import type { Transaction } from '../entities/database.ts'
import { SECURITY_DIMENSIONS, type SecurityDimension } from '../entities/states.ts'
import type { Catalog, Entry } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'
import { ISSUES, type IssueCode } from '../rules/catalog.ts'

/** Where an import keeps its checked rows and its plan; users are planned beside it. `further` are rows of a further account (row, first_row). */
export type PlanTables = { rows: string; plan: string; users: string; further: string }

export type UserPlanContext = {
  importId: string
  tables: PlanTables
  settings: Settings
  catalog: Catalog
  /** SQL over a staged row `r`: the purpose of the mail that a new user of this row is owed, or null. */
  purpose: string
}

/** Row-level security (spec C6): the staging column of each dimension, with its name for people. */
export const SECURITY_COLUMNS = {
  company: { column: 'company_id', label: 'Company' },
  businessUnit: { column: 'business_unit_id', label: 'Business Unit' },
  department: { column: 'department_id', label: 'Department' },
  location: { column: 'location_id', label: 'Location' },
} as const satisfies Record<SecurityDimension, { column: string; label: string }>

/** The id of the group that stands for everything in a dimension or lookup field, which is whoever's row gives none (spec C6); null where there is none. */
export const groupOfAll = (groups: readonly Entry[]): string | null => groups.find(({ name, withdrawn }) => !withdrawn && name.toLowerCase() === 'all')?.id ?? null

/**
 * Decides which users the planned rows make or change (spec C1 to C6): usernames numbered, seats counted, defaults filled in.
 * Writes the users' plan beside the contacts'; rows that cannot have their user become `rejected` there.
 * Set-based, in the caller's transaction; a plan that was there is replaced.
 */
export async function planUsers(tx: Transaction, context: UserPlanContext): Promise<void> {
  const { tables } = context
  await tx.run(`drop table if exists ${tables.users}`)
  await tx.run(`create table ${tables.users} (
    row integer not null, fate text not null, user_id bigint, contact_id bigint not null, user_version integer, account_kind text not null,
    username text, username_stem text, username_number integer, profile_id bigint, license_id bigint, group_ids bigint[], role_ids bigint[],
    loginable boolean not null, purpose text, send_at timestamptz, takes_seat boolean not null, contact_known boolean not null
  ) with (autovacuum_enabled = off)`)
  const [wanted] = await tx.query<{ some: boolean }>(`select exists (select from ${tables.rows} where verdict = 'o' and wants_user is distinct from false) as some`)
  if (!wanted!.some) return
  await collect(tx, context)
  await rejectProblems(tx, context)
  // Seats before names: whoever awaits a license uses up no username.
  await seatUsers(tx, context)
  await nameUsers(tx)
  await writePlan(tx, context)
}

/** The rows that ask for a user, with the user that is there already, in a table of this transaction. */
async function collect(tx: Transaction, { tables, settings, catalog, purpose }: UserPlanContext): Promise<void> {
  const [further] = await tx.query<{ some: boolean }>(`select exists (select from ${tables.further}) as some`)
  // A further account of somebody new is wanted as the first one is.
  const ofSomebodyNew = further!.some ? `or exists (select from ${tables.further} x join ${tables.plan} f on f.row = x.first_row where x.row = r.row and f.fate = 'create')` : ''
  const idOf = (list: readonly { id: string; name: string }[], name: string | null): string => list.find((entry) => entry.name === name)?.id ?? 'null'
  const groups = settings.defaults.groups.map((name) => idOf(catalog.groups, name))
  const kind = settings.defaults.accountKind
  const unlessGiven = { profile: idOf(catalog.profiles, settings.defaults.profile), license: idOf(catalog.licenses, settings.defaults.license), role: idOf(catalog.roles, settings.defaults.role) }
  await tx.run('drop table if exists wanted_users')
  await tx.run(
    `create temporary table wanted_users on commit drop as
     select r.row, p.contact_id, coalesce(r.account_kind, '${kind}') as account_kind, u.id as user_id, u.version as user_version,
       case when u.id is null then 'create' else 'update' end as fate, null::text as problem, p.reactivate, p.fate <> 'create' as contact_known,
       r.username as typed, r.username_base as base, r.username_stem as stem, r.username_number as number, null::text as username,
       case when u.id is not null and ${CLEARED('license_id')} then null else coalesce(r.license_id, u.license_id, ${unlessGiven.license}::bigint) end as license_id,
       u.license_id as old_license_id, u.state as old_state,
       case when u.id is not null and ${CLEARED('profile_id')} then null else coalesce(r.profile_id, u.profile_id, ${unlessGiven.profile}::bigint) end as profile_id,
       case when u.id is null then coalesce(r.group_ids, '{${groups.join(',')}}'::bigint[]) when ${CLEARED('group_ids')} then '{}'::bigint[] else r.group_ids end as group_ids,
       case when r.no_role or u.id is not null and ${CLEARED('role_ids')} then '{}'::bigint[] when u.id is null then coalesce(r.role_ids, array_remove(array[${unlessGiven.role}::bigint], null)) else r.role_ids end as role_ids,
       u.id is null and r.no_role is not true and r.role_ids is null and ${unlessGiven.role}::bigint is null as role_missing,
       ${securityMissing(catalog)} as security_missing,
       case when u.id is null then ${purpose} end as purpose, r.send_at, r.email
     from ${tables.rows} r
     join ${tables.plan} p on p.row = r.row
     left join users u on u.contact_id = p.contact_id and u.account_kind = coalesce(r.account_kind, '${kind}')
     where p.fate in ('create', 'update', 'unchanged') and r.wants_user is distinct from false and (p.problem is null or p.problem not in ('identity.deactivated_skipped', 'identity.move_declined'))
       and case
         when u.id is not null then (${differences(catalog)}) or p.reactivate
         -- A person who is known and has no user gets one only where the file says so, or where a license was awaited; somebody new gets one unless it says no.
         else p.fate = 'create' or r.wants_user or p.contact_id in (select id from contacts where awaiting_license) ${ofSomebodyNew}
       end`,
  )
  await tx.run('analyze wanted_users')
}

/** SQL: whether a blank cell of row `r` clears what a user had in this column, as the mapping says (B8). */
const CLEARED = (column: StagedUserColumn): string => `coalesce('${column}' = any (r.clears), false)`
type StagedUserColumn = 'license_id' | 'profile_id' | 'group_ids' | 'role_ids' | 'lookup_ids' | (typeof SECURITY_COLUMNS)[SecurityDimension]['column']

/** SQL: names of the dimensions that limit a user and that row `r` leaves open, with no group "all" that would stand for them; null where all is well. */
function securityMissing(catalog: Catalog): string {
  const open = SECURITY_DIMENSIONS.filter((dimension) => groupOfAll(catalog.securityGroups[dimension]) === null && catalog.securityGroups[dimension].some(({ withdrawn }) => !withdrawn))
  if (open.length === 0) return 'null::text[]'
  const missing = open.map((dimension) => SECURITY_COLUMNS[dimension]).map(({ column, label }) => `case when r.${column} is null and (u.id is null or ${CLEARED(column)}) then '${label}' end`)
  return `nullif(array_remove(array[${missing.join(', ')}], null), '{}')`
}

/** SQL: whether row `r` names authorized lookups that user `u` has not, or in whose fields the user has others (spec C6). */
function lookupsDiffer(catalog: Catalog): string[] {
  const fields = Object.values(catalog.lookups)
  if (fields.length === 0) return []
  const all = fields.map(groupOfAll).filter((id) => id !== null)
  const held = 'select l.security_group_id from user_lookups l where l.user_id = u.id'
  return [
    `(r.lookup_ids is not null and (exists (select unnest(r.lookup_ids) except ${held})
      or exists (select from user_lookups l join security_groups g on g.id = l.security_group_id where l.user_id = u.id and l.security_group_id <> all (r.lookup_ids)
        and g.dimension in (select k.dimension from security_groups k where k.id = any (r.lookup_ids)))))`,
    `(${CLEARED('lookup_ids')} and array(${held} order by 1) <> array(select a from unnest('{${all.join(',')}}'::bigint[]) a order by 1))`,
  ]
}

/** Whether a row says something else of an existing user `u`. */
function differences(catalog: Catalog): string {
  const security = SECURITY_DIMENSIONS.map((dimension) => ({ column: SECURITY_COLUMNS[dimension].column, all: groupOfAll(catalog.securityGroups[dimension]) ?? 'null' }))
  return [
    ...['license_id', 'profile_id', ...security.map(({ column }) => column)].map((column) => `(r.${column} is not null and r.${column} is distinct from u.${column})`),
    `(r.clears is not null and (${security.map(({ column, all }) => `${CLEARED(column)} and u.${column} is distinct from ${all}::bigint`).join(' or ')}))`,
    ...lookupsDiffer(catalog),
    `(r.clears is not null and (${CLEARED('license_id')} and u.license_id is not null or ${CLEARED('profile_id')} and u.profile_id is not null
      or ${CLEARED('group_ids')} and exists (select from user_group_members g where g.user_id = u.id)
      or ${CLEARED('role_ids')} and exists (select from user_roles l where l.user_id = u.id and l.role_id is not null and (l.product_id = any (r.product_ids) or r.product_ids is null and l.product_id is null))))`,
    '(r.username is not null and r.username <> u.username)',
    `(r.group_ids is not null and (select array_agg(g.group_id order by g.group_id) from user_group_members g where g.user_id = u.id)
      is distinct from (select array_agg(distinct g.id order by g.id) from unnest(r.group_ids) as g (id)))`,
    `((r.role_ids is not null or r.no_role) and (select array_agg(distinct l.role_id order by l.role_id) from user_roles l where l.user_id = u.id and l.role_id is not null
        and (r.product_ids is null and l.product_id is null or l.product_id = any (r.product_ids)))
      is distinct from (select array_agg(distinct g.id order by g.id) from unnest(r.role_ids) as g (id)))`,
    '(r.product_ids is not null and exists (select from unnest(r.product_ids) as g (id) where not exists (select from user_roles l where l.user_id = u.id and l.product_id = g.id)))',
    `(r.tenant_ids is not null and (select array_agg(distinct l.tenant_id order by l.tenant_id) from user_roles l
        where l.user_id = u.id and l.product_id in (select t.product_id from tenants t where t.id = any (r.tenant_ids)))
      is distinct from (select array_agg(distinct g.id order by g.id) from unnest(r.tenant_ids) as g (id)))`,
  ].join(' or ')
}

/** Missing roles and addresses, and usernames that somebody has or had. */
async function rejectProblems(tx: Transaction, context: UserPlanContext): Promise<void> {
  await tx.run(
    `update wanted_users w set problem = case
       when w.role_missing then 'role.required'
       when w.purpose is not null and w.email is null and not exists (select from contacts c where c.id = w.contact_id and c.email is not null) then 'email.required'
       when w.security_missing is not null then 'security.required'
       else 'username.taken' end
     where w.role_missing or w.security_missing is not null
        or (w.purpose is not null and w.email is null and not exists (select from contacts c where c.id = w.contact_id and c.email is not null))
        or (w.typed is not null and (
             exists (select from users u where u.username = w.typed and u.id is distinct from w.user_id)
             or exists (select from released_usernames u where u.username = w.typed)
             or exists (select from wanted_users o where o.typed = w.typed and o.row < w.row)))`,
  )
  await reject(tx, context)
}

/** Takes rows with a problem out of both plans, and tells it; with them the further accounts of people whom they would have made. */
async function reject(tx: Transaction, { importId, tables, catalog }: UserPlanContext): Promise<void> {
  const [found] = await tx.query<{ some: boolean }>('select exists (select from wanted_users where problem is not null) as some')
  if (!found!.some) return
  const licenses = JSON.stringify(Object.fromEntries(catalog.licenses.map((license) => [license.id, license.name])))
  const fields = JSON.stringify(Object.fromEntries(SECURITY_DIMENSIONS.map((dimension) => [SECURITY_COLUMNS[dimension].label, dimension])))
  await tx.run(
    `insert into import_issues (organization_id, import_id, row, header, field, code, severity, value, detail)
     select $1, $2, row,
       case problem when 'role.required' then 'Role' when 'email.required' then 'Email' when 'username.taken' then 'Username' when 'security.required' then security_missing[1] else 'License' end,
       case problem when 'role.required' then 'roles' when 'email.required' then 'email' when 'username.taken' then 'username' when 'security.required' then $4::jsonb ->> security_missing[1] else 'license' end,
       problem, 'error', case when problem = 'username.taken' then typed end,
       case problem when 'license.no_seats' then jsonb_build_object('license', $3::jsonb ->> license_id::text) when 'security.required' then jsonb_build_object('fields', array_to_string(security_missing, ', ')) end
     from wanted_users where problem is not null`,
    [tx.organizationId, importId, licenses, fields],
  )
  await tx.run(`update ${tables.plan} p set fate = 'rejected' from wanted_users w where w.row = p.row and w.problem is not null`)
  await tx.run('delete from wanted_users where problem is not null')
  await tx.run(
    `with left_over as (
       update ${tables.plan} p set fate = 'rejected' from ${tables.further} x join ${tables.plan} f on f.row = x.first_row
       where p.row = x.row and f.fate = 'rejected' and p.fate <> 'rejected' returning p.row, x.first_row
     ), gone as (
       delete from wanted_users w using left_over l where w.row = l.row
     )
     insert into import_issues (organization_id, import_id, row, code, severity, detail)
     select $1, $2, row, 'duplicate.first_row', 'error', jsonb_build_object('firstRow', first_row) from left_over`,
    [tx.organizationId, importId],
  )
}

/**
 * Numbers the usernames (spec C1): each stem goes on behind the highest number that anybody has, had, or is typed in this file,
 * in the order of the rows, so that a rerun gives the same names.
 */
async function nameUsers(tx: Transaction): Promise<void> {
  await tx.run(
    `create temporary table named_users on commit drop as
     with stems as (select distinct stem from wanted_users where fate = 'create' and typed is null),
     taken as (
       select stem, max(number) as number from (
         select u.username_stem as stem, u.username_number as number from users u where u.username_stem in (select stem from stems)
         union all select u.username_stem, u.username_number from released_usernames u where u.username_stem in (select stem from stems)
         union all select w.stem, w.number from wanted_users w where w.typed is not null and w.stem in (select stem from stems)
       ) known group by stem
     )
     select w.row, w.base, w.stem, coalesce(t.number, 0) + row_number() over (partition by w.stem order by w.row) as number
     from wanted_users w left join taken t on t.stem = w.stem
     where w.fate = 'create' and w.typed is null`,
  )
  await tx.run(`update wanted_users set username = typed where typed is not null`)
}

/** SQL: whether row `w` needs a seat that it has not: a new user, another license, or somebody who comes back. */
const TAKES_SEAT = `w.license_id is not null and (w.fate = 'create' or (w.old_state = 'active' or w.reactivate)
  and (w.license_id is distinct from w.old_license_id or w.old_state = 'inactive'))`

/** Gives seats in the order of the rows (spec C3). What does not fit awaits a license, or is rejected, as the organization chooses. */
async function seatUsers(tx: Transaction, context: UserPlanContext): Promise<void> {
  const limited = context.catalog.licenses.filter((license) => license.seats !== null)
  if (limited.length === 0) return
  const full = context.settings.whenOutOfSeats
  await tx.run(
    `with free as (
       select l.id, l.seats
         - (select count(*) from users u where u.license_id = l.id and u.state = 'active')
         - (select coalesce(sum(s.seats), 0) from seat_reservations s where s.license_id = l.id and s.import_id <> $1) as seats
       from licenses l where l.seats is not null
     ), ranked as (
       select w.row, w.license_id, row_number() over (partition by w.license_id order by w.row) as place
       from wanted_users w where ${TAKES_SEAT}
     )
     update wanted_users w set
       problem = case when '${full}' = 'reject' or w.fate = 'update' then 'license.no_seats' end,
       fate = case when '${full}' = 'contact-only' and w.fate = 'create' then 'awaiting' else w.fate end
     from ranked r join free f on f.id = r.license_id
     where r.row = w.row and r.place > f.seats`,
    [context.importId],
  )
  await reject(tx, context)
}

async function writePlan(tx: Transaction, context: UserPlanContext): Promise<void> {
  const { tables, settings, catalog, importId } = context
  await tx.run(
    `insert into ${tables.users}
     select w.row, w.fate, case w.fate when 'create' then nextval('users_id_seq') else w.user_id end, w.contact_id, w.user_version, w.account_kind,
       case when w.typed is not null then w.typed when n.number = 1 then n.base else n.stem || n.number end,
       coalesce(n.stem, w.stem), coalesce(n.number, w.number), w.profile_id, w.license_id, w.group_ids, w.role_ids,
       ${settings.login.sso ? 'false' : 'true'} and w.profile_id is not null and w.license_id is not null
         and (w.fate = 'update' and w.group_ids is null or cardinality(w.group_ids) > 0),
       w.purpose, w.send_at, coalesce(${TAKES_SEAT}, false), w.contact_known
     from wanted_users w left join named_users n on n.row = w.row order by w.row`,
  )
  await tx.run(`create unique index on ${tables.users} (row)`)
  await tx.run(`analyze ${tables.users}`)
  await tx.run(`update ${tables.plan} p set fate = 'update' from ${tables.users} u where u.row = p.row and p.fate = 'unchanged' and u.fate <> 'awaiting'`)
  // A contact of whom one account awaits a license goes on waiting, whatever others it gets.
  await tx.run(`update ${tables.users} u set contact_known = false where u.fate = 'create' and u.contact_id in (select a.contact_id from ${tables.further} x join ${tables.plan} p on p.row = x.row join ${tables.users} a on a.contact_id = p.contact_id and a.fate = 'awaiting')`)
  const licenses = JSON.stringify(Object.fromEntries(catalog.licenses.map((license) => [license.id, license.name])))
  await warn(tx, importId, 'license.awaiting', `select row, 'License', 'license', jsonb_build_object('license', $5::jsonb ->> license_id::text) from ${tables.users} where fate = 'awaiting'`, licenses)
  const missing = `array_to_string(array_remove(array[case when coalesce(cardinality(group_ids), 0) = 0 then 'a user group' end, case when profile_id is null then 'a profile' end, case when license_id is null then 'a license' end], null), ' and ')`
  if (!settings.login.sso) await warn(tx, importId, 'user.not_loginable', `select row, null, null, jsonb_build_object('missing', ${missing} || case when ${missing} like '% and %' then ' are' else ' is' end) from ${tables.users} where fate = 'create' and not loginable and $5::text is null`, null)
  const alone = catalog.roles.filter((role) => !role.invitableAlone)
  if (alone.length > 0) {
    const names = JSON.stringify(Object.fromEntries(alone.map((role) => [role.id, role.name])))
    // Somebody without roles of their own has those of the automatic products alone.
    const automatic = [...new Set(catalog.products.flatMap((product) => (product.autoLink && !product.withdrawn && product.roleId !== null ? [product.roleId] : [])))]
    const only = `case cardinality(role_ids) when 1 then role_ids[1] when 0 then ${automatic.length === 1 ? automatic[0]! : 'null'}::bigint end`
    const lone = `purpose = 'invitation' and $5::jsonb ? (${only})::text`
    await warn(tx, importId, 'delivery.not_invitable', `select row, 'Role', 'roles', jsonb_build_object('role', $5::jsonb ->> (${only})::text) from ${tables.users} where ${lone}`, names)
    await tx.run(`update ${tables.users} set purpose = null where ${lone.replaceAll('$5', '$1')}`, [names])
  }
}

/** Tells a warning for each row of `selection` (row, header, field, detail); $5 is `parameter`. */
async function warn(tx: Transaction, importId: string, code: IssueCode, selection: string, parameter: string | null): Promise<void> {
  await tx.run(
    `insert into import_issues (organization_id, import_id, code, severity, row, header, field, detail)
     select $1, $2, $3, $4, warned.* from (${selection}) as warned (row, header, field, detail)`,
    [tx.organizationId, importId, code, ISSUES[code].severity, parameter],
  )
}
