import type { Transaction } from '../entities/database.ts'
import { CONTACT_FIELDS, CONTACT_TEXTS, filterSql, USER_FIELDS, USER_TEXTS, USERS, type PeopleFilter } from './filterPeople.ts'
import { LOGINABLE } from './loginable.ts'
import { planned } from './planned.ts'

/** A contact as scripts rely on it (interface.md). `users` are usernames. */
export type ContactLine = {
  id: string
  externalId: string | null
  firstName: string
  lastName: string
  email: string | null
  phone: string | null
  kind: string
  attributes: Record<string, string>
  users: string[]
  state: string
  /** Where the contact belongs, and what he or she is there (spec C8). */
  customers: { customer: string; worksite: string | null; contactRole: string | null }[]
}

/** A user as scripts rely on it (interface.md). */
export type UserLine = {
  id: string
  contactId: string
  externalId: string | null
  username: string
  email: string | null
  accountKind: string
  state: string
  loginable: boolean
  groups: string[]
  profile: string | null
  license: string | null
  roles: string[]
  mustChangePassword: boolean
  lastLoginAt: string | null
  onboarding: string | null
}

/** Pages of contacts in the order of their ids, so that memory stays flat. */
export async function listContacts(tx: Transaction, filter: PeopleFilter, page: { after: string; limit: number }): Promise<ContactLine[]> {
  const { where, values } = filterSql(filter, CONTACT_FIELDS, CONTACT_TEXTS, 2)
  return tx.query<ContactLine>(
    `select c.id, c.external_id as "externalId", c.first_name as "firstName", c.last_name as "lastName", c.email, c.phone, c.kind,
       coalesce(c.attributes, '{}') as attributes, coalesce((select array_agg(u.username order by u.id) from users u where u.contact_id = c.id), '{}') as users, c.state,
       (select coalesce(json_agg(json_build_object('customer', q.name, 'worksite', w.name, 'contactRole', r.name) order by q.name, w.name, r.name), '[]')
        from contact_customers k join customers q on q.id = k.customer_id left join worksites w on w.id = k.worksite_id left join contact_roles r on r.id = k.contact_role_id
        where k.contact_id = c.id) as customers
     from contacts c where c.id > $1 ${where} order by c.id limit $2`,
    [page.after, page.limit, ...values],
  )
}

/** SQL: users as lines, up to the condition. */
const USER_LINES = `
  select u.id, u.contact_id as "contactId", c.external_id as "externalId", u.username, c.email, u.account_kind as "accountKind", u.state, ${LOGINABLE} as loginable,
    coalesce((select array_agg(g.name order by g.name) from user_group_members m join user_groups g on g.id = m.group_id where m.user_id = u.id), '{}') as groups,
    pr.name as profile, li.name as license,
    coalesce((select array_agg(distinct r.name order by r.name) from user_roles l join roles r on r.id = l.role_id where l.user_id = u.id), '{}') as roles,
    u.must_change_password as "mustChangePassword", to_json(u.last_login_at) #>> '{}' as "lastLoginAt", inv.state as onboarding
  from ${USERS}`

/** Pages of users in the order of their ids. */
export async function listUsers(tx: Transaction, filter: PeopleFilter, page: { after: string; limit: number }): Promise<UserLine[]> {
  const { where, values } = filterSql(filter, USER_FIELDS, USER_TEXTS, 2)
  return tx.query<UserLine>(`${USER_LINES} where u.id > $1 ${where} order by u.id limit $2`, [page.after, page.limit, ...values])
}

/** One user's line; null where there is no such user. Read at every sign-in through the API, so that a connection plans it once. */
export async function readUserLine(tx: Transaction, userId: string): Promise<UserLine | null> {
  const [line] = await planned<UserLine>(tx, 'users.line', `${USER_LINES} where u.id = $1`, [userId])
  return line ?? null
}
