import { ACCOUNT_KINDS, ACTIVITY_STATES, DELIVERY_STATES, INVITATION_STATES } from '../entities/states.ts'
import { LOGINABLE } from './loginable.ts'

/** `texts` are looked for in names, address, external id and username; the fields have to be equal, without regard to case. All have to fit. */
export type PeopleFilter = { texts?: readonly string[]; fields: Readonly<Record<string, readonly string[]>> }

/** A filter that names a field nobody knows, or a value that the field never has. */
export class FilterRefused extends Error {
  readonly code = 'filter.unknown'
  constructor(message: string) {
    super(message)
    this.name = 'FilterRefused'
  }
}

/** SQL of a condition; the parameter is the value that was asked for. */
type Condition = (parameter: string) => string
/** A field to filter by: its condition, or one for each value it can have. */
type Field = Condition | Readonly<Record<string, string>> | { one: readonly string[]; is: Condition }

const equal = (column: string): Condition => (parameter) => `lower(${column}) = lower(${parameter})`
const among = (tables: string, link: string, column: string): Condition => (parameter) => `exists (select from ${tables} where ${link} and lower(${column}) = lower(${parameter}))`
/** Equal, and one of these words; any other is refused. */
const oneOf = (column: string, words: readonly string[]): Field => ({ one: words, is: (parameter) => `${column} = lower(${parameter})` })
const number = (column: string): Condition => (parameter) => `${column}::text = ${parameter}`
const held = (column: string): Condition => among('security_groups s', `s.id = ${column}`, 's.name')

const OF_CONTACT: Record<string, Field> = {
  externalId: equal('c.external_id'), firstName: equal('c.first_name'), lastName: equal('c.last_name'), email: equal('c.email'),
  customer: among('contact_customers k join customers q on q.id = k.customer_id', 'k.contact_id = c.id', 'q.name'),
  worksite: among('contact_customers k join worksites q on q.id = k.worksite_id', 'k.contact_id = c.id', 'q.name'),
  contactRole: among('contact_customers k join contact_roles q on q.id = k.contact_role_id', 'k.contact_id = c.id', 'q.name'),
}

/** Fields of contacts c. */
export const CONTACT_FIELDS: Readonly<Record<string, Field>> = {
  id: number('c.id'), ...OF_CONTACT, phone: equal('c.phone'), kind: oneOf('c.kind', ['person', 'party']), state: oneOf('c.state', ACTIVITY_STATES), import: number('c.created_by_import'),
  user: { none: 'not exists (select from users x where x.contact_id = c.id)', some: 'exists (select from users x where x.contact_id = c.id)' },
  awaitingLicense: { yes: 'c.awaiting_license', no: 'not c.awaiting_license' },
}

/** Fields of users, over the tables of USERS. */
export const USER_FIELDS: Readonly<Record<string, Field>> = {
  id: number('u.id'), ...OF_CONTACT, username: equal('u.username'), accountKind: oneOf('u.account_kind', ACCOUNT_KINDS), state: oneOf('u.state', ACTIVITY_STATES),
  group: among('user_group_members m join user_groups g on g.id = m.group_id', 'm.user_id = u.id', 'g.name'),
  profile: equal('pr.name'), license: equal('li.name'),
  role: among('user_roles l join roles r on r.id = l.role_id', 'l.user_id = u.id', 'r.name'),
  product: among('user_roles l join products q on q.id = l.product_id', 'l.user_id = u.id', 'q.name'),
  tenant: among('user_roles l join tenants q on q.id = l.tenant_id', 'l.user_id = u.id', 'q.name'),
  company: held('u.company_id'), businessUnit: held('u.business_unit_id'), department: held('u.department_id'), location: held('u.location_id'),
  loginable: { true: LOGINABLE, false: `not ${LOGINABLE}`, yes: LOGINABLE, no: `not ${LOGINABLE}` },
  login: { never: 'u.last_login_at is null', ever: 'u.last_login_at is not null' },
  password: { chosen: 'u.password_chosen_at is not null', made: 'u.password_hash is not null and u.password_chosen_at is null', none: 'u.password_hash is null' },
  onboarding: { one: [...INVITATION_STATES, 'none', ''], is: (parameter) => `coalesce(inv.state, 'none') = coalesce(nullif(lower(${parameter}), ''), 'none')` },
  // What was followed by a later epoch is history.
  delivery: {
    one: DELIVERY_STATES,
    is: (parameter) => `exists (select from deliveries d where d.user_id = u.id and d.state = lower(${parameter})
      and not exists (select from deliveries later where later.user_id = d.user_id and later.purpose = d.purpose and later.epoch > d.epoch))`,
  },
  import: number('u.created_by_import'),
}

/** SQL: invitations i of a user, the one that counts first: whoever has registered has done so, whatever was owed behind it. */
const LATEST_INVITATION = `(i.state in ('in_progress', 'completed')) desc, i.epoch desc`

/** Users u with contact c, organization o, profile pr, license li and the invitation inv that counts: expired once its time is over, whether the sweep was there or not. */
export const USERS = `users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id
  left join profiles pr on pr.id = u.profile_id left join licenses li on li.id = u.license_id
  left join lateral (select case when i.state = 'launched' and i.expires_at <= now() then 'expired' else i.state end as state from invitations i where i.user_id = u.id order by ${LATEST_INVITATION} limit 1) inv on true`

/** Where a text is looked for. */
export const CONTACT_TEXTS = ['c.first_name', 'c.last_name', "c.first_name || ' ' || c.last_name", 'c.email', 'c.external_id']
/** As CONTACT_TEXTS, for users. */
export const USER_TEXTS = [...CONTACT_TEXTS, 'u.username']

/** Reads filters as the command line gives them: `field=value`, or a text to look for. */
export function parseFilters(filters: readonly string[]): PeopleFilter {
  // Without a prototype: a field may be called anything.
  const fields = Object.create(null) as Record<string, string[]>
  const texts: string[] = []
  for (const filter of filters) {
    const at = filter.indexOf('=')
    if (at > 0) (fields[filter.slice(0, at).trim()] ??= []).push(filter.slice(at + 1).trim())
    else texts.push(filter.trim())
  }
  return { texts, fields }
}

/**
 * SQL that a filter stands for, each part behind an `and`, and its values.
 * @param before how many parameters the statement has already
 * @throws FilterRefused
 */
export function filterSql(filter: PeopleFilter, known: Readonly<Record<string, Field>>, searched: readonly string[], before: number): { where: string; values: string[] } {
  const values: string[] = []
  const parameter = (value: string): string => `$${before + values.push(value)}::text`
  const parts = Object.entries(filter.fields).flatMap(([name, wanted]) => {
    const field = Object.hasOwn(known, name) ? known[name]! : null
    if (field === null) throw new FilterRefused(`There is no field ${JSON.stringify(name)} to filter by. Known: ${Object.keys(known).join(', ')}.`)
    return wanted.map((value) => conditionOf(name, field, value, parameter))
  })
  for (const text of filter.texts ?? []) {
    const pattern = parameter(`%${text.replace(/[\\%_]/g, '\\$&')}%`)
    parts.push(`(${searched.map((column) => `${column} ilike ${pattern}`).join(' or ')})`)
  }
  return { where: parts.map((part) => `and ${part}`).join(' '), values }
}

function conditionOf(name: string, field: Field, value: string, parameter: (value: string) => string): string {
  if (typeof field === 'function') return field(parameter(value))
  const word = value.toLowerCase()
  if (isChoice(field)) {
    if (!field.one.includes(word)) throw new FilterRefused(`${name} is never ${JSON.stringify(value)}. It is one of ${field.one.filter(Boolean).join(', ')}.`)
    return field.is(parameter(word))
  }
  if (!Object.hasOwn(field, word)) throw new FilterRefused(`${name} is never ${JSON.stringify(value)}. It is one of ${Object.keys(field).join(', ')}.`)
  return field[word]!
}

const isChoice = (field: Exclude<Field, Condition>): field is { one: readonly string[]; is: Condition } => typeof field['is'] === 'function'
