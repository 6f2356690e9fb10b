import type { Transaction } from '../entities/database.ts'
import type { PlanTables } from './planUsers.ts'
import type { RowRange } from './provision.ts'

/** Columns of a user that an import can change. What they held is kept under their own names. */
export const RECORDED_COLUMNS = [
  'username', 'username_stem', 'username_number', 'state', 'profile_id', 'license_id', 'company_id', 'business_unit_id', 'department_id', 'location_id',
] as const

/** SQL over user `u`, its plan `p` and row `r`: what stands there. Lists that the row says nothing of are left out. */
const BEFORE = `jsonb_build_object('version', u.version, ${RECORDED_COLUMNS.map((column) => `'${column}', u.${column}`).join(', ')})
  || case when p.group_ids is null then '{}' else jsonb_build_object('groups', (select jsonb_agg(g.group_id) from user_group_members g where g.user_id = u.id)) end
  || case when p.role_ids is null and r.product_ids is null and r.tenant_ids is null then '{}'
     else jsonb_build_object('roles', (select jsonb_agg(jsonb_build_array(l.role_id, l.product_id, l.tenant_id)) from user_roles l where l.user_id = u.id)) end
  || case when r.lookup_ids is null and coalesce('lookup_ids' <> all (r.clears), true) then '{}'
     else jsonb_build_object('lookups', (select jsonb_agg(l.security_group_id) from user_lookups l where l.user_id = u.id)) end`

/**
 * Keeps what stands in the users that a chunk is about to change, so that it can be put back (spec E4), with the version that the chunk
 * leaves; besides, the mails held for them that it lets go, and contacts that it has wait for a license without changing them otherwise.
 * Of users that it makes nothing is kept. Call it before provisionUsers, in the chunk's transaction.
 */
export async function recordUsers(tx: Transaction, importId: string, tables: PlanTables & { held: string }, range: RowRange): Promise<void> {
  const bounds = [range.first, range.last]
  const record = (what: 'contact' | 'user', selection: string): Promise<number> =>
    tx.run(
      `insert into import_changes (import_id, what, target, organization_id, before, version)
       select ${importId}, '${what}', s.target, ${tx.organizationId}, s.before, s.version from (${selection}) s (target, before, version)
       on conflict (import_id, what, target) do update set before = import_changes.before || jsonb_build_object('mails', excluded.before -> 'mails') where excluded.before ? 'mails'`,
      bounds,
    )
  await record(
    'user',
    `select u.id, ${BEFORE}, u.version + 1 from ${tables.users} p join ${tables.rows} r on r.row = p.row join users u on u.id = p.user_id
     where p.row between $1 and $2 and p.fate = 'update'`,
  )
  await record(
    'contact',
    `select c.id, jsonb_build_object('version', c.version, 'awaiting_license', c.awaiting_license), c.version from ${tables.users} p join contacts c on c.id = p.contact_id
     where p.row between $1 and $2 and (p.fate = 'awaiting' or p.fate = 'create' and p.contact_known) and c.created_by_import is distinct from ${importId} and c.awaiting_license <> (p.fate = 'awaiting')`,
  )
  await record(
    'user',
    `select u.id, jsonb_build_object('version', u.version, 'mails', jsonb_agg(jsonb_build_array(d.id, d.import_id, d.send_at, d.reason))), u.version from ${tables.held} h join deliveries d on d.id = h.delivery_id
     join users u on u.id = d.user_id where h.row between $1 and $2 and d.state = 'held' and d.release_id is null and u.created_by_import is distinct from ${importId} group by u.id`,
  )
}

/** Keeps that these users were active until their people left. Call it behind the statement that deactivated them, with those alone, in its transaction. */
export async function recordUsersLeft(tx: Transaction, importId: string, userIds: readonly string[]): Promise<void> {
  await tx.run(
    `insert into import_changes (import_id, what, target, organization_id, before, version)
     select ${importId}, 'user', u.id, ${tx.organizationId}, jsonb_build_object('state', 'active', 'version', u.version - 1), u.version from users u where u.id = any ($1::bigint[]) on conflict do nothing`,
    [[...userIds]],
  )
}
