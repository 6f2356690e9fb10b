import { createHash } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'
import type { RandomBytes } from './passwords.ts'

const TOKEN_BYTES = 32

/** What stands in the link of an invitation: 256 random bits, base64url. It is in the mail and nowhere else (spec D3). */
export function newToken(random: RandomBytes): string {
  const bytes = random(TOKEN_BYTES)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/** What is kept of a token: its SHA-256 in hex. A token is random and long, so that nothing slower is needed. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex')
}

/** What is stored when an invitation's mail leaves. */
export type Launch = { tokenHash: string; lifetimeDays: number }

/**
 * SQL that launches invitations, for the statement that lets their mails leave: stores the token's hash, counts the lifetime
 * from now, and makes every earlier link of the same person void (spec D3).
 * @param leaving a table of user_id, epoch, and sealed: a Launch as jsonb
 */
export const launchSql = (leaving: string): string[] => [
  `update invitations i set state = 'revoked' from ${leaving} l
   where i.user_id = l.user_id and i.epoch < l.epoch and i.state in ('created', 'launched', 'expired')`,
  `insert into invitations (organization_id, user_id, epoch, state, token_hash, launched_at, expires_at)
   select u.organization_id, l.user_id, l.epoch, 'launched', l.sealed ->> 'tokenHash', now(), now() + make_interval(days => (l.sealed ->> 'lifetimeDays')::int)
   from ${leaving} l join users u on u.id = l.user_id
   on conflict (user_id, epoch) do update
   set state = 'launched', token_hash = excluded.token_hash, launched_at = excluded.launched_at, expires_at = excluded.expires_at
   where invitations.state in ('created', 'launched', 'expired')`,
]

/** Invitations whose time is over become expired. Gives how many. */
export function expireInvitations(tx: Transaction): Promise<number> {
  return tx.run(`update invitations set state = 'expired' where state = 'launched' and expires_at <= now()`)
}
