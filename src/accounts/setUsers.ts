import type { Transaction } from '../entities/database.ts'
import { SECURITY_DIMENSIONS } from '../entities/states.ts'
import { splitUsername } from '../rules/usernames.ts'
import { lockSeats, lockUsers, takeSeat, type LeftOutUser } from './lockUsers.ts'
import { SECURITY_COLUMNS } from './planUsers.ts'
import { missingRoles } from './requiredRoles.ts'
import { ChangeRefused, type ListChange, type UserChanges } from './userChanges.ts'

/** What became of one thing, for so many users: from null where it was added, to null where it was taken away. */
export type Effect = { what: string; from: string | null; to: string | null; users: number }

export type Setting = {
  userIds: string[]
  leftOut: LeftOutUser[]
  effects: Effect[]
  /** Users who can log in now and could not before, and the other way round. */
  loginable: { gained: number; lost: number }
  rolesMissing: string[]
}

type Counted = { userId: string; what: string; from: string | null; to: string | null }

/**
 * Changes groups, profile, license, roles, username, row-level security and authorized lookups of users (spec C6, C9), all of one user or
 * nothing: whoever finds no seat of the new license is left alone. Somebody who keeps a role at a product that was to be taken away is named,
 * whether anything else was changed or not. The version of every user who changed counts up.
 * @throws ChangeRefused username.taken where somebody has or had the name, usage.username where several would get it
 */
export async function setUsers(tx: Transaction, chosen: readonly string[], changes: UserChanges): Promise<Setting> {
  if (changes.username !== undefined && new Set(chosen).size > 1) throw new ChangeRefused('usage.username', `A username is one user's: ${chosen.length} are chosen.`, 'Choose one user with --id.')
  const users = await lockUsers(tx, chosen)
  const missingBefore = await missingRoles(tx, null)
  const needing = users.filter(({ state, licenseId }) => state === 'active' && changes.license !== undefined && changes.license !== null && licenseId !== changes.license)
  const free = await lockSeats(tx, needing.length === 0 ? [] : [changes.license!])
  const unseated = new Set(needing.filter(() => !takeSeat(free, changes.license!)))
  const ids = users.filter((user) => !unseated.has(user)).map(({ userId }) => userId)

  const columns = columnsOf(changes)
  const counted: Counted[] = [
    ...(await differences(tx, ids, columns)),
    ...(await setHeld(tx, 'group', ids, changes.groups)),
    ...(await setHeld(tx, 'role', ids, changes.roles)),
    ...(changes.username === undefined ? [] : await setUsername(tx, ids, changes.username)),
  ]
  for (const { field, groups } of changes.lookups) counted.push(...(await setLookup(tx, ids, field, groups)))

  const changed = new Set(counted.map(({ userId }) => userId))
  const userIds = users.map(({ userId }) => userId).filter((id) => changed.has(id))
  await tx.run(
    `update users set ${columns.map(({ column }, index) => `${column} = $${index + 2}::bigint, `).join('')}version = version + 1, updated_at = now() where id = any ($1::bigint[])`,
    [userIds, ...columns.map(({ value }) => value)],
  )
  const couldLogIn = new Set(users.filter(({ loginable }) => loginable).map(({ userId }) => userId))
  const now = await lockUsers(tx, userIds)
  const keeping = await holdersAtProducts(tx, ids, changes.roles)
  return {
    userIds,
    leftOut: [
      ...leftFor('no_seat', [...unseated]),
      ...leftFor('role_at_product', users.filter(({ userId }) => keeping.has(userId))),
      ...leftFor('unchanged', users.filter((user) => !changed.has(user.userId) && !unseated.has(user) && !keeping.has(user.userId))),
    ],
    effects: effectsOf(counted),
    loginable: {
      gained: now.filter(({ userId, loginable }) => loginable && !couldLogIn.has(userId)).length,
      lost: now.filter(({ userId, loginable }) => !loginable && couldLogIn.has(userId)).length,
    },
    rolesMissing: (await missingRoles(tx, null)).filter((role) => !missingBefore.includes(role)),
  }
}

/** What happened to whom, as numbers of users for each change. */
function effectsOf(counted: readonly Counted[]): Effect[] {
  const groups = Map.groupBy(counted, ({ what, from, to }) => JSON.stringify([what, from, to]))
  return [...groups.values()].map((same) => ({ what: same[0]!.what, from: same[0]!.from, to: same[0]!.to, users: new Set(same.map(({ userId }) => userId)).size }))
}

/** A column that names an entry of the catalog, and what it is to be; column and table are ours, never typed. */
type Column = { what: string; column: string; table: string; value: string | null }

function columnsOf({ profile, license, security }: UserChanges): Column[] {
  const columns: (Omit<Column, 'value'> & { value: string | null | undefined })[] = [
    { what: 'profile', column: 'profile_id', table: 'profiles', value: profile },
    { what: 'license', column: 'license_id', table: 'licenses', value: license },
    ...SECURITY_DIMENSIONS.map((dimension) => ({ what: dimension, column: SECURITY_COLUMNS[dimension].column, table: 'security_groups', value: security[dimension] })),
  ]
  return columns.filter((column): column is Column => column.value !== undefined)
}

/** Who has something else in these columns. */
async function differences(tx: Transaction, ids: readonly string[], columns: readonly Column[]): Promise<Counted[]> {
  const counted: Counted[] = []
  for (const { what, column, table, value } of columns) {
    const rows = await tx.query<Omit<Counted, 'what'>>(
      `select u.id as "userId", e.name as "from", (select name from ${table} where id = $2::bigint) as "to"
       from users u left join ${table} e on e.id = u.${column} where u.id = any ($1::bigint[]) and u.${column} is distinct from $2::bigint`,
      [[...ids], value],
    )
    counted.push(...rows.map((row) => ({ ...row, what })))
  }
  return counted
}

/** What users hold of a catalog: the table that says so, and the catalog's. Roles are those held in general; those at product instances are another matter (spec C5). */
const HELD = {
  group: { links: 'user_group_members', column: 'group_id', catalog: 'user_groups', those: 'true' },
  role: { links: 'user_roles', column: 'role_id', catalog: 'roles', those: 'l.product_id is null and l.role_id is not null' },
} as const

async function setHeld(tx: Transaction, what: keyof typeof HELD, ids: readonly string[], { replace, add, remove }: ListChange): Promise<Counted[]> {
  const { links, column, catalog, those } = HELD[what]
  const gone = await tx.query<{ userId: string; name: string }>(
    `with gone as (delete from ${links} l where l.user_id = any ($1::bigint[]) and ${those}
       and (l.${column} = any ($2::bigint[]) or $3::bigint[] is not null and l.${column} <> all ($3) and l.${column} <> all ($4::bigint[])) returning l.user_id, l.${column} as id)
     select gone.user_id as "userId", k.name from gone join ${catalog} k on k.id = gone.id`,
    [[...ids], remove, replace, add],
  )
  const given = await tx.query<{ userId: string; name: string }>(
    `with given as (insert into ${links} (user_id, ${column}, organization_id)
       select u.id, k.id, $3 from unnest($1::bigint[]) as u (id) cross join unnest($2::bigint[]) as k (id) on conflict do nothing returning user_id, ${column} as id)
     select given.user_id as "userId", k.name from given join ${catalog} k on k.id = given.id`,
    [[...ids], [...new Set([...(replace ?? []), ...add])].filter((id) => !remove.includes(id)), tx.organizationId],
  )
  return [...gone.map(taken(what)), ...given.map(added(what))]
}

/** Who holds, at a product, a role that was to be taken away, and keeps it there. */
async function holdersAtProducts(tx: Transaction, ids: readonly string[], { remove }: ListChange): Promise<Set<string>> {
  if (remove.length === 0) return new Set()
  const rows = await tx.query<{ userId: string }>('select distinct user_id as "userId" from user_roles where user_id = any ($1::bigint[]) and role_id = any ($2::bigint[]) and product_id is not null', [[...ids], remove])
  return new Set(rows.map(({ userId }) => userId))
}

async function setLookup(tx: Transaction, ids: readonly string[], field: string, groups: readonly string[]): Promise<Counted[]> {
  const gone = await tx.query<{ userId: string; name: string }>(
    `with gone as (delete from user_lookups l using security_groups s where s.id = l.security_group_id and s.dimension = $2 and l.user_id = any ($1::bigint[])
       and l.security_group_id <> all ($3::bigint[]) returning l.user_id, s.name)
     select user_id as "userId", name from gone`,
    [[...ids], field, [...groups]],
  )
  const given = await tx.query<{ userId: string; name: string }>(
    `with given as (insert into user_lookups (user_id, security_group_id, organization_id)
       select u.id, s.id, $3 from unnest($1::bigint[]) as u (id) cross join unnest($2::bigint[]) as s (id) on conflict do nothing returning user_id, security_group_id)
     select given.user_id as "userId", s.name from given join security_groups s on s.id = given.security_group_id`,
    [[...ids], [...groups], tx.organizationId],
  )
  return [...gone.map(taken(field)), ...given.map(added(field))]
}

/** The name that somebody had rests, and is given to nobody again (spec C1). */
async function setUsername(tx: Transaction, ids: readonly string[], username: string): Promise<Counted[]> {
  const [user] = await tx.query<{ userId: string; from: string }>('select id as "userId", username as "from" from users where id = any ($1::bigint[]) and username <> $2', [[...ids], username])
  if (!user) return []
  await refuseTaken(tx, username)
  const { stem, number } = splitUsername(username)
  await tx.run(
    `insert into released_usernames (organization_id, username, username_stem, username_number)
     select organization_id, username, username_stem, username_number from users where id = $1 on conflict do nothing`,
    [user.userId],
  )
  try {
    await tx.run('update users set username = $2, username_stem = $3, username_number = $4 where id = $1', [user.userId, username, stem, number])
  } catch (error) {
    if ((error as { code?: string }).code === '23505') throw takenBySomebody(username)
    throw error
  }
  return [{ ...user, what: 'username', to: username }]
}

/** Refuses a username that somebody has, or had (spec C1). */
export async function refuseTaken(tx: Transaction, username: string): Promise<void> {
  const [taken] = await tx.query<{ taken: boolean }>('select exists (select from users where username = $1) or exists (select from released_usernames where username = $1) as taken', [username])
  if (taken!.taken) throw takenBySomebody(username)
}

const takenBySomebody = (username: string): ChangeRefused => new ChangeRefused('username.taken', `The username ${JSON.stringify(username)} belongs to somebody else, or did so before.`, 'Choose another one.')
const leftFor = (reason: string, users: readonly { userId: string; username: string }[]): LeftOutUser[] => users.map(({ userId, username }) => ({ userId, username, reason }))
const taken = (what: string) => ({ userId, name }: { userId: string; name: string }): Counted => ({ userId, what, from: name, to: null })
const added = (what: string) => ({ userId, name }: { userId: string; name: string }): Counted => ({ userId, what, from: null, to: name })
