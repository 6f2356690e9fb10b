import type { Transaction } from '../entities/database.ts'
import { audit } from '../organizations/audit.ts'
import { hashToken, newToken } from './invitations.ts'
import type { RandomBytes } from './passwords.ts'

/** Begins every key, so that one that lies about is recognized for what it is. */
const PREFIX = 'mk_'
const HINT_LENGTH = 8

/** An API key as lists show it. Instants are ISO 8601 in UTC. */
export type ApiKeyLine = { id: string; name: string; hint: string; createdBy: string; createdAt: string; lastUsedAt: string | null; revokedAt: string | null }

/**
 * Makes an API key of the transaction's organization: mk_ and 256 random bits in base64url. Its SHA-256 and first eight characters are kept.
 * @returns the key itself too: this is the only time that anybody sees it
 */
export async function createKey(tx: Transaction, name: string, operator: string, random: RandomBytes): Promise<{ id: string; key: string; hint: string }> {
  const key = PREFIX + newToken(random)
  const hint = key.slice(0, HINT_LENGTH)
  const [row] = await tx.query<{ id: string }>('insert into api_keys (organization_id, name, key_hash, hint, created_by) values ($1, $2, $3, $4, $5) returning id', [tx.organizationId, name, hashToken(key), hint, operator])
  await audit(tx, operator, 'keys.create', { id: row!.id, name, hint })
  return { id: row!.id, key, hint }
}

/** Every key of the organization, revoked ones too, newest first. */
export function listKeys(tx: Transaction): Promise<ApiKeyLine[]> {
  return tx.query<ApiKeyLine>(
    `select id, name, hint, created_by as "createdBy", to_json(created_at) #>> '{}' as "createdAt", to_json(last_used_at) #>> '{}' as "lastUsedAt", to_json(revoked_at) #>> '{}' as "revokedAt"
     from api_keys order by id desc`,
  )
}

/** Makes a key void, for good. False where there is no such key, or it is void already. */
export async function revokeKey(tx: Transaction, id: string, operator: string): Promise<boolean> {
  const revoked = await tx.run('update api_keys set revoked_at = now() where id = $1 and revoked_at is null', [id])
  if (revoked > 0) await audit(tx, operator, 'keys.revoke', { id })
  return revoked > 0
}
