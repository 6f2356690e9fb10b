import { setTimeout as pause } from 'node:timers/promises'
import type { Database, Transaction } from '../entities/database.ts'
import { emailKey } from '../rules/emails.ts'
import { asLookedFor, portalOrganizationOf, type AccessParts, type PortalOrganization, type Problem } from './accessParts.ts'
import { storeChosen } from './choosePassword.ts'
import { newDevice } from './devices.ts'
import { hashLane } from './hashLanes.ts'
import { hashToken } from './invitations.ts'
import { judgePassword, readPasswordRules } from './judgePassword.ts'
import { LOGINABLE } from './loginable.ts'
import { hashPassword } from './passwords.ts'
import { endSessions } from './sessions.ts'
import { addressCounted, clearCounter, countEach, counterOf, countTry } from './throttle.ts'

/** Asking takes so long at least, in milliseconds: far longer than looking for somebody and owing a mail, so that the two look alike. */
const EVEN_MS = 250
/** Accounts behind one address that are mailed at one asking. */
const MOST_USERS = 20

export type ResetRead = { is: 'open'; organization: PortalOrganization; username: string } | { is: 'gone'; organization: PortalOrganization | null }
/** `device` is for the browser, as after a sign-in. */
export type ResetDone = { is: 'done'; organizationId: string; userId: string; device: string } | { is: 'refused'; problems: Problem[] } | { is: 'gone' }

/**
 * Owes a mail with a link to choose a new password to everybody of the organization who has this user id or address, can log in, and has had
 * a password; to nobody else. Tells nothing, by its answer or by the time it takes; asking too often is answered the same way.
 */
export async function askReset(parts: AccessParts, organizationId: string | null, nameOrEmail: string, address: string): Promise<void> {
  await Promise.all([ask(parts, organizationId, asLookedFor(nameOrEmail), address), pause(EVEN_MS)])
}

async function ask({ database, secret, owe }: AccessParts, organizationId: string | null, asked: string, address: string): Promise<void> {
  const counters = [
    counterOf(secret, 'forgot', organizationId ?? '', asked),
    ...(address === '' ? [] : [counterOf(secret, 'forgotAddress', addressCounted(address))]),
  ]
  if ((await database.fleet((tx) => countTry(tx, counters))) > 0 || organizationId === null) return
  await database.tenant(organizationId, async (tx) => {
    const users = await tx.query<{ id: string }>(
      `select u.id from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id
       where (u.username = $1 or c.email_key = $2) and u.password_hash is not null and ${LOGINABLE} order by u.id limit ${MOST_USERS}`,
      [asked, emailKey(asked)],
    )
    const counted = users.map(({ id }) => ({ id, counter: counterOf(secret, 'forgotUser', organizationId, id) }))
    const within = await countEach(tx, counted.map(({ counter }) => counter))
    for (const { id, counter } of counted) if (within.has(counter.key)) await owe(tx, 'passwordReset', id)
  })
}

/** What a mailed link to choose a new password leads to. Reads only. */
export async function readReset({ database }: Pick<AccessParts, 'database'>, token: string): Promise<ResetRead> {
  const organizationId = await organizationOf(database, token)
  if (organizationId === null) return { is: 'gone', organization: null }
  return database.tenant(organizationId, async (tx) => {
    const organization = await portalOrganizationOf(tx)
    const userId = await openReset(tx, token)
    const rules = userId === null ? null : await readPasswordRules(tx, userId)
    return rules ? { is: 'open', organization, username: rules.username } : { is: 'gone', organization }
  })
}

/**
 * Gives the person of a mailed link a new password, once: the link and every other open one are used, every session ends, and a mail about
 * it is owed, in one transaction under a lock on the user and the link. Whoever was locked out by somebody else's failures may sign in again.
 */
export async function resetPassword(parts: AccessParts, token: string, next: string): Promise<ResetDone> {
  const { database, secret, random, hashCost } = parts
  const organizationId = await organizationOf(database, token)
  if (organizationId === null) return { is: 'gone' }
  const rules = await database.tenant(organizationId, async (tx) => {
    const userId = await openReset(tx, token)
    return userId === null ? null : readPasswordRules(tx, userId)
  })
  if (!rules) return { is: 'gone' }
  const problems = await judgePassword(next, rules)
  if (problems.length > 0) return { is: 'refused', problems }
  const hash = await hashLane(() => hashPassword(next, random, hashCost))
  return database.tenant(organizationId, async (tx) => {
    // The user first, as everywhere: two who wait for each other get nowhere.
    await tx.run('select from users where id = (select user_id from password_resets where token_hash = $1) for update', [hashToken(token)])
    const userId = await openReset(tx, token, 'for update of r')
    if (userId === null || !(await readPasswordRules(tx, userId)) || !(await storeChosen(tx, userId, hash, null))) return { is: 'gone' }
    await endSessions(tx, userId)
    await clearCounter(tx, counterOf(secret, 'account', organizationId, rules.username))
    await parts.owe(tx, 'passwordChanged', userId)
    return { is: 'done', organizationId, userId, device: newDevice(secret, organizationId, userId, random) }
  })
}

async function organizationOf(database: Database, token: string): Promise<string | null> {
  const [row] = await database.fleet((tx) => tx.query<{ id: string | null }>('select fleet.organization_of_password_reset($1) as id', [hashToken(token)]))
  return row?.id ?? null
}

/** The user of a link that is open; null where it is used, over, or none. */
async function openReset(tx: Transaction, token: string, lock: '' | 'for update of r' = ''): Promise<string | null> {
  const [row] = await tx.query<{ userId: string }>(`select r.user_id as "userId" from password_resets r where r.token_hash = $1 and r.used_at is null and r.expires_at > now() ${lock}`, [hashToken(token)])
  return row?.userId ?? null
}
