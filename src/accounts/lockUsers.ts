import type { Transaction } from '../entities/database.ts'
import { LOGINABLE } from './loginable.ts'

/** A user as it stands while nobody else can change it. */
export type LockedUser = { userId: string; username: string; state: 'active' | 'inactive'; contactState: 'active' | 'inactive'; contactId: string; licenseId: string | null; loginable: boolean }

/** Somebody of whom nothing is changed, and why: a key of LEFT_OUT_OF_CHANGE. */
export type LeftOutUser = { userId: string; username: string; reason: string }

/** Every reason for which a change leaves somebody alone. */
export const LEFT_OUT_OF_CHANGE: Readonly<Record<string, string>> = {
  already_inactive: 'Deactivated already.',
  already_active: 'Active already.',
  no_seat: 'No seat of the license is free.',
  unchanged: 'Nothing of this is new to them.',
  role_at_product: 'A role to take away is held at a product, and stays there.',
  has_user: 'There is an active user of this kind already.',
  contact_inactive: 'The contact is deactivated.',
  email_missing: 'There is no e-mail address, and a mail would be owed.',
  no_open_invitation: 'There is no open invitation.',
  already_registered: 'The person has registered already.',
  already_logged_in: 'The person has logged in already.',
  user_inactive: 'The user is deactivated.',
  not_loginable: 'Without a group, a profile and a license the person cannot log in.',
}

/** Reasons for which nothing is missing: those left out are as they should be. */
export const SETTLED: readonly string[] = ['already_inactive', 'already_active', 'unchanged', 'has_user']

/**
 * Locks users until the transaction ends, in the order of their ids, so that two operators wait for each other instead of meeting halfway.
 * Ids of nobody are passed over. What comes back is what holds now, in the order of username.
 */
export async function lockUsers(tx: Transaction, userIds: readonly string[]): Promise<LockedUser[]> {
  await tx.run('select from users where id = any ($1::bigint[]) order by id for no key update', [[...userIds]])
  // Read in a statement of its own: the one that waited sees what was there before the wait.
  return tx.query<LockedUser>(
    `select u.id as "userId", u.username, u.state, c.state as "contactState", c.id as "contactId", u.license_id as "licenseId", ${LOGINABLE} as loginable
     from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id
     where u.id = any ($1::bigint[]) order by u.username`,
    [[...userIds]],
  )
}

/**
 * Locks limited licenses and gives their free seats by id (spec C3); those without limit are not in it. Lock users before.
 * Nobody else gives seats of them until the transaction ends.
 */
export async function lockSeats(tx: Transaction, licenseIds: readonly (string | null)[]): Promise<Map<string, number>> {
  const ids = [...new Set(licenseIds.filter((id) => id !== null))]
  if (ids.length === 0) return new Map()
  await tx.run('select from licenses where id = any ($1::bigint[]) and seats is not null order by id for no key update', [ids])
  const rows = await tx.query<{ id: string; free: number }>(
    `select l.id, (l.seats - (select count(*) from users u where u.license_id = l.id and u.state = 'active')
       - (select coalesce(sum(s.seats), 0) from seat_reservations s where s.license_id = l.id))::int as free
     from licenses l where l.id = any ($1::bigint[]) and l.seats is not null`,
    [ids],
  )
  return new Map(rows.map(({ id, free }) => [id, free]))
}

/** Takes a seat of the license; false where none is free. Without a license, or without a limit, there is always one. */
export function takeSeat(free: Map<string, number>, licenseId: string | null): boolean {
  const seats = licenseId === null ? undefined : free.get(licenseId)
  if (seats === undefined) return true
  if (seats <= 0) return false
  free.set(licenseId!, seats - 1)
  return true
}
