import type { Transaction } from '../entities/database.ts'
import type { Settings } from '../organizations/declaration.ts'
import type { AccessParts } from './accessParts.ts'
import { hashToken, newToken } from './invitations.ts'
import type { RandomBytes } from './passwords.ts'

/** A session without a request for so long ends (OWASP ASVS 5.0, V7.3.1). */
const IDLE = '30 minutes'
/** However busy, a session ends then (V7.3.2). */
const ABSOLUTE = '12 hours'
/** Seen is written this often at most: a page with its parts is one writing. */
const SEEN_EVERY = '1 minute'

/** Who is signed in to the portal. */
export type SessionUser = {
  organizationId: string
  organizationKey: string
  organizationName: string
  language: string
  settings: Settings
  userId: string
  username: string
  firstName: string
  lastName: string
  mustChangePassword: boolean
  noticeAccepted: boolean
  tokenHash: string
}

/**
 * Opens a session for somebody who has just signed in, in the transaction that finds the password right or changes it: whoever changes it at the
 * same moment waits for the user's row, and then finds this session and ends it.
 * @returns its token, 256 random bits in base64url, for the browser's cookie: only its SHA-256 is kept
 */
export async function openSession(tx: Transaction, random: RandomBytes, userId: string): Promise<string> {
  const token = newToken(random)
  await tx.run(`insert into sessions (token_hash, organization_id, user_id, expires_at) values ($1, $2, $3, now() + interval '${ABSOLUTE}')`, [hashToken(token), tx.organizationId, userId])
  return token
}

/**
 * Who has this token's session; null where it is unknown, idle for 30 minutes, older than 12 hours, or its user may not be here any more:
 * user or contact deactivated, organization switched to SSO.
 */
export async function readSession({ database }: Pick<AccessParts, 'database'>, token: string): Promise<SessionUser | null> {
  const tokenHash = hashToken(token)
  const [found] = await database.fleet((tx) => tx.query<{ id: string | null }>('select fleet.organization_of_session($1) as id', [tokenHash]))
  if (!found?.id) return null
  return database.tenant(found.id, async (tx) => {
    const [row] = await tx.query<SessionUser & { stale: boolean }>(
      `select o.id as "organizationId", o.key as "organizationKey", o.name as "organizationName", o.language, o.settings,
         u.id as "userId", u.username, c.first_name as "firstName", c.last_name as "lastName", u.must_change_password as "mustChangePassword",
         u.notice_accepted_at is not null as "noticeAccepted", s.token_hash as "tokenHash", s.seen_at < now() - interval '${SEEN_EVERY}' as stale
       from sessions s join users u on u.id = s.user_id join contacts c on c.id = u.contact_id join organizations o on o.id = s.organization_id
       where s.token_hash = $1 and s.expires_at > now() and s.seen_at > now() - interval '${IDLE}'
         and u.state = 'active' and c.state = 'active' and not (o.settings -> 'login' ->> 'sso')::boolean`,
      [tokenHash],
    )
    if (!row) return null
    const { stale, ...user } = row
    if (stale) await tx.run('update sessions set seen_at = now() where token_hash = $1', [tokenHash])
    return user
  })
}

/** Ends the session of this token, if there is one. */
export async function endSession({ database }: Pick<AccessParts, 'database'>, token: string): Promise<void> {
  const tokenHash = hashToken(token)
  const [found] = await database.fleet((tx) => tx.query<{ id: string | null }>('select fleet.organization_of_session($1) as id', [tokenHash]))
  if (found?.id) await database.tenant(found.id, (tx) => tx.run('delete from sessions where token_hash = $1', [tokenHash]))
}

/** Ends every session of a user (ASVS 5.0, V7.4.3), in the transaction that changes the password. */
export async function endSessions(tx: Transaction, userId: string): Promise<void> {
  await tx.run('delete from sessions where user_id = $1', [userId])
}
