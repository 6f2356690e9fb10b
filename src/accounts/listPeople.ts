import type { Transaction } from '../entities/database.ts'
import { LOGINABLE } from './loginable.ts'

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

/** `text` is looked for in names, address, external id and username; the others have to be equal, without regard to case. */
export type PeopleFilter = { text?: string; fields: Record<string, string> }

/** A filter that names a field nobody knows. */
export class FilterRefused extends Error {
  readonly code = 'filter.unknown'
  constructor(field: string, known: readonly string[]) {
    super(`There is no field ${JSON.stringify(field)} to filter by. Known: ${known.join(', ')}.`)
    this.name = 'FilterRefused'
  }
}

const CONTACT_FIELDS: Record<string, string> = { externalId: 'c.external_id', firstName: 'c.first_name', lastName: 'c.last_name', email: 'c.email', phone: 'c.phone', kind: 'c.kind', state: 'c.state' }
const USER_FIELDS: Record<string, string> = {
  externalId: 'c.external_id', firstName: 'c.first_name', lastName: 'c.last_name', email: 'c.email', username: 'u.username', accountKind: 'u.account_kind', state: 'u.state',
  profile: 'pr.name', license: 'li.name', onboarding: "coalesce(inv.state, '')", loginable: `(${LOGINABLE})::text`,
}

/** Reads filters as the command line gives them: `field=value`, or a text to look for. */
export function parseFilters(texts: readonly string[]): PeopleFilter {
  const filter: PeopleFilter = { fields: {} }
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at > 0) filter.fields[text.slice(0, at).trim()] = text.slice(at + 1).trim()
    else filter.text = text.trim()
  }
  return filter
}

/** Pages of contacts in the order of their ids, so that memory stays flat. */
export async function listContacts(tx: Transaction, filter: PeopleFilter, page: { after: string; limit: number }): Promise<ContactLine[]> {
  const { where, values } = conditions(filter, CONTACT_FIELDS, ['c.first_name', 'c.last_name', 'c.email', 'c.external_id'])
  return tx.query<ContactLine>(
    `select c.id, c.external_id as "externalId", c.first_name as "firstName", c.last_name as "lastName", c.email, c.phone, c.kind,
       coalesce(c.attributes, '{}') as attributes, coalesce((select array_agg(u.username order by u.id) from users u where u.contact_id = c.id), '{}') as users, c.state
     from contacts c where c.id > $1 ${where} order by c.id limit $2`,
    [page.after, page.limit, ...values],
  )
}

/** Pages of users in the order of their ids. */
export async function listUsers(tx: Transaction, filter: PeopleFilter, page: { after: string; limit: number }): Promise<UserLine[]> {
  const { where, values } = conditions(filter, USER_FIELDS, ['c.first_name', 'c.last_name', 'c.email', 'c.external_id', 'u.username'])
  return tx.query<UserLine>(
    `select u.id, u.contact_id as "contactId", c.external_id as "externalId", u.username, c.email, u.account_kind as "accountKind", u.state, ${LOGINABLE} as loginable,
       coalesce((select array_agg(g.name order by g.name) from user_group_members m join user_groups g on g.id = m.group_id where m.user_id = u.id), '{}') as groups,
       pr.name as profile, li.name as license,
       coalesce((select array_agg(distinct r.name order by r.name) from user_roles l join roles r on r.id = l.role_id where l.user_id = u.id), '{}') as roles,
       u.must_change_password as "mustChangePassword", to_json(u.last_login_at) #>> '{}' as "lastLoginAt", inv.state as onboarding
     from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id
     left join profiles pr on pr.id = u.profile_id left join licenses li on li.id = u.license_id
     left join lateral (select state from invitations i where i.user_id = u.id order by epoch desc limit 1) inv on true
     where u.id > $1 ${where} order by u.id limit $2`,
    [page.after, page.limit, ...values],
  )
}

function conditions(filter: PeopleFilter, known: Record<string, string>, searched: readonly string[]): { where: string; values: string[] } {
  const values: string[] = []
  const parts = Object.entries(filter.fields).map(([field, value]) => {
    if (!Object.hasOwn(known, field)) throw new FilterRefused(field, Object.keys(known))
    values.push(value)
    return `lower(${known[field]}) = lower($${values.length + 2})`
  })
  if (filter.text) {
    values.push(`%${filter.text.replace(/[\\%_]/g, '\\$&')}%`)
    parts.push(`(${searched.map((column) => `${column} ilike $${values.length + 2}`).join(' or ')})`)
  }
  return { where: parts.map((part) => `and ${part}`).join(' '), values }
}
