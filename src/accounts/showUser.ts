import type { Transaction } from '../entities/database.ts'
import { listUsers, type UserLine } from './listPeople.ts'

export type InvitationLine = { epoch: number; state: string; createdAt: string; launchedAt: string | null; expiresAt: string | null }

/** Everything that is known of a user. Instants are ISO 8601 in UTC. */
export type UserDetail = UserLine & {
  firstName: string
  lastName: string
  contactState: string
  company: string | null
  businessUnit: string | null
  department: string | null
  location: string | null
  /** By field, such as jobCode. */
  lookups: Record<string, string[]>
  /** Product null: held in general; role null: linked without a role. */
  rolesHeld: { role: string | null; userType: string | null; product: string | null; tenant: string | null }[]
  customers: { customer: string; worksite: string | null; contactRole: string | null }[]
  /** `none` was ever made, `made` for the person, `chosen` by the person. */
  password: 'none' | 'made' | 'chosen'
  noticeAcceptedAt: string | null
  createdByImport: string | null
  createdAt: string
  updatedAt: string
  version: number
  invitations: InvitationLine[]
  /** Open sessions at the portal. */
  sessions: number
}

const ISO = (column: string): string => `to_json(${column}) #>> '{}'`

/** A user by name, or null. */
export async function showUser(tx: Transaction, username: string): Promise<UserDetail | null> {
  const [line] = await listUsers(tx, { fields: { username: [username] } }, { after: '0', limit: 1 })
  if (!line) return null
  const [more] = await tx.query<Omit<UserDetail, keyof UserLine | 'invitations'>>(
    `select c.first_name as "firstName", c.last_name as "lastName", c.state as "contactState",
       ${Object.entries({ company: 'company_id', businessUnit: 'business_unit_id', department: 'department_id', location: 'location_id' }).map(([name, column]) => `(select name from security_groups where id = u.${column}) as "${name}"`).join(', ')},
       (select coalesce(json_object_agg(dimension, names), '{}') from (
          select s.dimension, json_agg(s.name order by s.id) as names from user_lookups l join security_groups s on s.id = l.security_group_id where l.user_id = u.id group by s.dimension order by s.dimension) k) as lookups,
       (select coalesce(json_agg(json_build_object('role', r.name, 'userType', r.user_type, 'product', p.name, 'tenant', t.name) order by p.name nulls first, t.name, r.name), '[]')
        from user_roles l left join roles r on r.id = l.role_id left join products p on p.id = l.product_id left join tenants t on t.id = l.tenant_id where l.user_id = u.id) as "rolesHeld",
       (select coalesce(json_agg(json_build_object('customer', q.name, 'worksite', w.name, 'contactRole', k.name) order by q.name, w.name, k.name), '[]')
        from contact_customers l join customers q on q.id = l.customer_id left join worksites w on w.id = l.worksite_id left join contact_roles k on k.id = l.contact_role_id where l.contact_id = c.id) as customers,
       case when u.password_hash is null then 'none' when u.password_chosen_at is null then 'made' else 'chosen' end as password,
       ${ISO('u.notice_accepted_at')} as "noticeAcceptedAt", u.created_by_import as "createdByImport", ${ISO('u.created_at')} as "createdAt", ${ISO('u.updated_at')} as "updatedAt", u.version,
       (select count(*)::int from sessions s where s.user_id = u.id and s.expires_at > now()) as sessions
     from users u join contacts c on c.id = u.contact_id where u.id = $1`,
    [line.id],
  )
  const invitations = await tx.query<InvitationLine>(
    `select epoch, state, ${ISO('created_at')} as "createdAt", ${ISO('launched_at')} as "launchedAt", ${ISO('expires_at')} as "expiresAt" from invitations where user_id = $1 order by epoch`,
    [line.id],
  )
  return { ...line, ...more!, invitations }
}
