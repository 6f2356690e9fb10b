import type { Transaction } from '../entities/database.ts'
import { lockSeats, lockUsers, takeSeat, type LeftOutUser } from './lockUsers.ts'
import { missingRoles } from './requiredRoles.ts'

export type Deactivation = {
  userIds: string[]
  leftOut: LeftOutUser[]
  /** Open invitations that were revoked with them. */
  invitations: number
  sessions: number
  /** Seats that are free again, by license. */
  seats: { license: string; count: number }[]
  /** Required roles that nobody holds because of it (spec C4). */
  rolesMissing: string[]
}

/**
 * Deactivates users (spec C9): seats become free, open invitations and links to reset a password void, sessions end. What they are
 * owed is the caller's to cancel, in the same transaction; what is on its way falls at the fence.
 */
export async function deactivateUsers(tx: Transaction, chosen: readonly string[]): Promise<Deactivation> {
  const users = await lockUsers(tx, chosen)
  const userIds = users.filter(({ state }) => state === 'active').map(({ userId }) => userId)
  const before = await missingRoles(tx, null)
  const seats = await tx.query<{ license: string; count: number }>(
    `select l.name as license, count(*)::int as count from users u join licenses l on l.id = u.license_id where u.id = any ($1::bigint[]) group by l.id order by l.id`,
    [userIds],
  )
  await tx.run(`update users set state = 'inactive', version = version + 1, updated_at = now() where id = any ($1::bigint[])`, [userIds])
  const invitations = await revokeOpen(tx, userIds)
  const sessions = await endAccess(tx, userIds)
  const rolesMissing = (await missingRoles(tx, null)).filter((role) => !before.includes(role))
  return { userIds, leftOut: leaving(users.filter(({ state }) => state !== 'active'), 'already_inactive'), invitations, sessions, seats, rolesMissing }
}

export type Activation = { userIds: string[]; leftOut: LeftOutUser[]; /** Contacts who were deactivated themselves and are active again. */ contacts: number; notLoginable: number }

/**
 * Activates users (spec C9). Seats are taken again under lock, in the order of username; whoever finds none is left alone. A contact
 * who was deactivated comes back with the user. Locks contacts, then users, then licenses.
 * @param by who wants it. Somebody whom a feed had let go and a person brings back is no longer the feed's, which would let them go again with its next file
 */
export async function activateUsers(tx: Transaction, chosen: readonly string[], by: 'person' | 'feed' = 'person'): Promise<Activation> {
  await tx.run('select from contacts where id in (select contact_id from users where id = any ($1::bigint[])) order by id for no key update', [[...chosen]])
  const users = await lockUsers(tx, chosen)
  const inactive = users.filter(({ state }) => state !== 'active')
  const free = await lockSeats(tx, inactive.map(({ licenseId }) => licenseId))
  const seated = inactive.filter(({ licenseId }) => takeSeat(free, licenseId))
  const userIds = seated.map(({ userId }) => userId)
  const contacts = await tx.run(
    `update contacts set state = 'active', ${by === 'person' ? 'feed_id = null, ' : ''}version = version + 1, updated_at = now() where state = 'inactive' and id = any ($1::bigint[])`,
    [seated.map(({ contactId }) => contactId)],
  )
  await tx.run(`update users set state = 'active', version = version + 1, updated_at = now() where id = any ($1::bigint[])`, [userIds])
  const notLoginable = (await lockUsers(tx, userIds)).filter(({ loginable }) => !loginable).length
  const active = new Set(userIds)
  const without = inactive.filter(({ userId }) => !active.has(userId))
  return { userIds, leftOut: [...leaving(without, 'no_seat'), ...leaving(users.filter(({ state }) => state === 'active'), 'already_active')], contacts, notLoginable }
}

export type Revocation = { userIds: string[]; leftOut: LeftOutUser[]; invitations: number }

/**
 * Revokes the open invitations of users: those saved, and those whose link still works (spec D3). The mails that are owed for them are
 * the caller's to cancel, in the same transaction.
 */
export async function revokeInvitations(tx: Transaction, chosen: readonly string[]): Promise<Revocation> {
  const users = await lockUsers(tx, chosen)
  const open = await tx.query<{ userId: string; registered: boolean; open: boolean }>(
    `select u.id as "userId", u.password_chosen_at is not null or exists (select from invitations i where i.user_id = u.id and i.state in ('in_progress', 'completed')) as registered,
       exists (select from invitations i where i.user_id = u.id and i.state in ('created', 'launched')) as open
     from users u where u.id = any ($1::bigint[])`,
    [users.map(({ userId }) => userId)],
  )
  const standing = new Map(open.map((row) => [row.userId, row]))
  const revoked = users.filter(({ userId }) => standing.get(userId)!.open)
  const others = users.filter(({ userId }) => !standing.get(userId)!.open)
  const userIds = revoked.map(({ userId }) => userId)
  return {
    userIds,
    leftOut: others.map(({ userId, username }) => ({ userId, username, reason: standing.get(userId)!.registered ? 'already_registered' : 'no_open_invitation' })),
    invitations: await revokeOpen(tx, userIds),
  }
}

function revokeOpen(tx: Transaction, userIds: readonly string[]): Promise<number> {
  return tx.run(`update invitations set state = 'revoked' where user_id = any ($1::bigint[]) and state in ('created', 'launched')`, [[...userIds]])
}

/** Ends every session of these users and makes their open links to reset a password void. Gives the number of sessions. */
export async function endAccess(tx: Transaction, userIds: readonly string[]): Promise<number> {
  await tx.run('update password_resets set used_at = now() where user_id = any ($1::bigint[]) and used_at is null', [[...userIds]])
  return tx.run('delete from sessions where user_id = any ($1::bigint[])', [[...userIds]])
}

const leaving = (users: readonly { userId: string; username: string }[], reason: string): LeftOutUser[] => users.map(({ userId, username }) => ({ userId, username, reason }))
