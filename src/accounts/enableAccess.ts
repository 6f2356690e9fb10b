import type { Transaction } from '../entities/database.ts'
import { SECURITY_DIMENSIONS, type SecurityDimension } from '../entities/states.ts'
import type { AccountKind } from '../entities/states.ts'
import type { Catalog } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'
import { numberedUsername, splitUsername, usernameBase, usernameStem } from '../rules/usernames.ts'
import { activateUsers } from './changeActivity.ts'
import { lockSeats, takeSeat } from './lockUsers.ts'
import { groupOfAll, SECURITY_COLUMNS } from './planUsers.ts'
import { refuseTaken } from './setUsers.ts'
import { ChangeRefused, type UserChanges } from './userChanges.ts'

export type Enabling = {
  contactIds: readonly string[]
  /** Null: the organization's default. */
  kind: AccountKind | null
  /** What is given instead of the defaults; of lists only `replace` counts, and an empty one gives nothing. */
  given: UserChanges
  /** A mail will be owed: whoever has no address is left out. */
  mailed: boolean
}

/** A contact of whom no user is made, and why; `username` is how people know the contact. */
export type LeftOutContact = { contactId: string; username: string; reason: string }

export type Enabled = {
  created: { userId: string; contactId: string; username: string; loginable: boolean }[]
  /** Users that were there already, deactivated, and are open again. */
  opened: string[]
  /** Contacts who await a license now. */
  awaiting: LeftOutContact[]
  leftOut: LeftOutContact[]
  /** The only role of the new users, where it is one that is not invited alone (spec C11). */
  notInvitable: string | null
}

type ContactRow = { id: string; firstName: string; lastName: string; email: string | null; externalId: string | null; state: string; userId: string | null; userState: string | null }
type Naming = { contactId: string; base: string; stem: string }

/** SQL: one at a time names users in an organization; what others number meanwhile is caught by the unique name. */
const NAMING_LOCK = `select pg_advisory_xact_lock(hashtext('usernames'), $1::int)`

/**
 * Makes users from contacts (spec, Words: enable access; C1 to C6), or opens those that are there. Seats are counted under lock in the
 * order of the contacts' ids; who finds none awaits a license, or is left out, as the organization chooses.
 * @throws ChangeRefused role.required, security.required, username.taken, usage.username
 */
export async function enableAccess(tx: Transaction, enabling: Enabling, catalog: Catalog, settings: Settings): Promise<Enabled> {
  const { given, mailed } = enabling
  const kind = enabling.kind ?? settings.defaults.accountKind
  if (given.username !== undefined && enabling.contactIds.length > 1) throw new ChangeRefused('usage.username', `A username is one user's: ${enabling.contactIds.length} contacts are chosen.`, 'Choose one with --contact.')
  const gets = whatTheyGet(given, catalog, settings)
  await tx.run('select from contacts where id = any ($1::bigint[]) order by id for no key update', [[...enabling.contactIds]])
  const contacts = await tx.query<ContactRow>(
    `select c.id, c.first_name as "firstName", c.last_name as "lastName", c.email, c.external_id as "externalId", c.state, u.id as "userId", u.state as "userState"
     from contacts c left join users u on u.contact_id = c.id and u.account_kind = $2 where c.id = any ($1::bigint[]) order by c.id`,
    [[...enabling.contactIds], kind],
  )
  const leftOut: LeftOutContact[] = []
  const leave = (contact: ContactRow, reason: string): void => void leftOut.push({ contactId: contact.id, username: labelOf(contact), reason })
  const fresh: ContactRow[] = []
  const closed: ContactRow[] = []
  for (const contact of contacts) {
    if (contact.userState === 'active') leave(contact, 'has_user')
    else if (contact.userId !== null) closed.push(contact)
    else if (contact.state !== 'active') leave(contact, 'contact_inactive')
    else if (mailed && contact.email === null) leave(contact, 'email_missing')
    else fresh.push(contact)
  }
  // The users' own locks come before the licenses', as everywhere.
  const activation = await activateUsers(tx, closed.map(({ userId }) => userId!))
  const opened = activation.userIds
  const byUser = new Map(closed.map((contact) => [contact.userId, contact]))
  for (const { userId, reason } of activation.leftOut) leave(byUser.get(userId)!, reason)

  const free = await lockSeats(tx, fresh.length === 0 ? [] : [gets.license])
  const seated = fresh.filter(() => takeSeat(free, gets.license))
  const without = fresh.slice(seated.length)
  const awaits = settings.whenOutOfSeats === 'contact-only'
  if (!awaits) for (const contact of without) leave(contact, 'no_seat')
  const awaiting = awaits ? without.map((contact) => ({ contactId: contact.id, username: labelOf(contact), reason: 'no_seat' })) : []
  await tx.run('update contacts set awaiting_license = true, version = version + 1, updated_at = now() where id = any ($1::bigint[]) and not awaiting_license', [awaiting.map(({ contactId }) => contactId)])

  const created = seated.length === 0 ? [] : await create(tx, seated, kind, gets, settings, given.username)
  // Somebody without roles of their own has those of the automatic products alone, as in an import.
  const held = [...new Set(gets.roles.length > 0 ? gets.roles : gets.products.flatMap(({ roleId }) => roleId ?? []))]
  const alone = held.length === 1 ? catalog.roles.find(({ id }) => id === held[0]) : undefined
  return { created, opened, awaiting, leftOut, notInvitable: alone && !alone.invitableAlone ? alone.name : null }
}

const labelOf = ({ firstName, lastName, externalId, email }: ContactRow): string => `${firstName} ${lastName}${externalId ?? email ? ` (${externalId ?? email})` : ''}`

type Gets = { groups: string[]; roles: string[]; profile: string | null; license: string | null; security: Record<SecurityDimension, string | null>; lookups: string[]; products: { id: string; roleId: string | null }[] }

/** What was given, else the organization's defaults (C2); row-level security and lookups are "all" unless given (C6); automatic products come along (C5). */
function whatTheyGet(given: UserChanges, catalog: Catalog, settings: Settings): Gets {
  const idOf = (list: readonly { id: string; name: string }[], name: string | null): string | null => list.find((entry) => entry.name === name)?.id ?? null
  const role = idOf(catalog.roles, settings.defaults.role)
  const roles = given.roles.replace ?? (role === null ? null : [role])
  if (roles === null) throw new ChangeRefused('role.required', 'A user needs a role, and the organization has no default.', 'Give one with --role, or --role none for "No role assigned".')
  const open = SECURITY_DIMENSIONS.filter((dimension) => given.security[dimension] === undefined && groupOfAll(catalog.securityGroups[dimension]) === null && catalog.securityGroups[dimension].some(({ withdrawn }) => !withdrawn))
  if (open.length > 0) throw new ChangeRefused('security.required', `A user is limited in ${open.map((dimension) => SECURITY_COLUMNS[dimension].label).join(', ')}, and the organization has no group "all" there.`, 'Say which security group, such as --department NAME.')
  const unless = (value: string | null | undefined, otherwise: string | null): string | null => (value === undefined ? otherwise : value)
  return {
    groups: given.groups.replace ?? settings.defaults.groups.flatMap((name) => idOf(catalog.groups, name) ?? []),
    roles,
    profile: unless(given.profile, idOf(catalog.profiles, settings.defaults.profile)),
    license: unless(given.license, idOf(catalog.licenses, settings.defaults.license)),
    security: Object.fromEntries(SECURITY_DIMENSIONS.map((dimension) => [dimension, given.security[dimension] ?? groupOfAll(catalog.securityGroups[dimension])])) as Gets['security'],
    lookups: Object.entries(catalog.lookups).flatMap(([field, groups]) => given.lookups.find((lookup) => lookup.field === field)?.groups ?? groupOfAll(groups) ?? []),
    products: catalog.products.filter(({ autoLink, withdrawn }) => autoLink && !withdrawn),
  }
}

async function create(tx: Transaction, contacts: readonly ContactRow[], kind: AccountKind, gets: Gets, settings: Settings, typed: string | undefined): Promise<Enabled['created']> {
  const names = typed === undefined ? await nameByFormat(tx, contacts, settings) : [await nameAsTyped(tx, contacts[0]!, typed)]
  const { company, businessUnit, department, location } = gets.security
  const users = await tx.query<{ userId: string; contactId: string; username: string }>(
    `insert into users (organization_id, contact_id, account_kind, username, username_stem, username_number, profile_id, license_id,
       company_id, business_unit_id, department_id, location_id, must_change_password)
     select $1, n.contact_id, $2, n.username, n.stem, n.number, $3, $4, $5, $6, $7, $8, $9
     from unnest($10::bigint[], $11::text[], $12::text[], $13::int[]) as n (contact_id, username, stem, number) order by n.contact_id
     returning id as "userId", contact_id as "contactId", username`,
    [
      tx.organizationId, kind, gets.profile, gets.license, company, businessUnit, department, location, settings.password.mustChange && !settings.login.sso,
      names.map(({ contactId }) => contactId), names.map(({ username }) => username), names.map(({ stem }) => stem), names.map(({ number }) => number),
    ],
  )
  const ids = users.map(({ userId }) => userId)
  await tx.run('insert into user_group_members (user_id, group_id, organization_id) select u.id, g.id, $3 from unnest($1::bigint[]) as u (id) cross join unnest($2::bigint[]) as g (id)', [ids, gets.groups, tx.organizationId])
  await tx.run(
    `insert into user_roles (user_id, role_id, product_id, organization_id)
     select u.id, r.role_id, r.product_id, $4 from unnest($1::bigint[]) as u (id) cross join unnest($2::bigint[], $3::bigint[]) as r (role_id, product_id) on conflict do nothing`,
    [ids, [...gets.roles, ...gets.products.map(({ roleId }) => roleId)], [...gets.roles.map(() => null), ...gets.products.map(({ id }) => id)], tx.organizationId],
  )
  await tx.run('insert into user_lookups (user_id, security_group_id, organization_id) select u.id, s.id, $3 from unnest($1::bigint[]) as u (id) cross join unnest($2::bigint[]) as s (id)', [ids, gets.lookups, tx.organizationId])
  await tx.run('update contacts set awaiting_license = false, version = version + 1, updated_at = now() where id = any ($1::bigint[]) and awaiting_license', [contacts.map(({ id }) => id)])
  const loginable = !settings.login.sso && gets.groups.length > 0 && gets.profile !== null && gets.license !== null
  return users.map((user) => ({ ...user, loginable }))
}

type Named = { contactId: string; username: string; stem: string; number: number }

async function nameAsTyped(tx: Transaction, contact: ContactRow, username: string): Promise<Named> {
  await refuseTaken(tx, username)
  return { contactId: contact.id, username, ...splitUsername(username) }
}

/** Each stem goes on behind the highest number that anybody has or had (spec C1), in the order of the contacts' ids. */
async function nameByFormat(tx: Transaction, contacts: readonly ContactRow[], { username: { format, maxLength } }: Settings): Promise<Named[]> {
  const wanted = contacts.map((contact): Naming => {
    const base = usernameBase(format, { first: contact.firstName, last: contact.lastName, email: contact.email, externalId: contact.externalId }, maxLength)
    return { contactId: contact.id, base, stem: usernameStem(base) }
  })
  await tx.run(NAMING_LOCK, [Number(BigInt(tx.organizationId) % 2_147_483_647n)])
  const taken = await tx.query<{ stem: string; number: number }>(
    `select stem, max(number) as number from (
       select username_stem as stem, username_number as number from users where username_stem = any ($1::text[])
       union all select username_stem, username_number from released_usernames where username_stem = any ($1::text[])) known group by stem`,
    [[...new Set(wanted.map(({ stem }) => stem))]],
  )
  const highest = new Map(taken.map(({ stem, number }) => [stem, number]))
  return wanted.map(({ contactId, base, stem }) => {
    const number = (highest.get(stem) ?? 0) + 1
    highest.set(stem, number)
    return { contactId, username: numberedUsername(base, number), stem, number }
  })
}
