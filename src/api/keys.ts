import type { FastifyRequest } from 'fastify'
import type { AccessParts } from '../accounts/accessParts.ts'
import { hashToken } from '../accounts/invitations.ts'
import { addressCounted, counterOf, countTry } from '../accounts/throttle.ts'
import { ApiProblem } from './problems.ts'
import type { ApiParts } from './parts.ts'

/** Milliseconds for which a key that was found is believed: so long, at most, one that is revoked goes on working. */
const BELIEVED_MS = 5_000
const MINUTE_MS = 60_000
const REQUESTS_PER_MINUTE = 6_000

/** Whose key it is. */
export type KeyHolder = { keyId: string; organizationId: string; organizationKey: string; sso: boolean }

type Known = KeyHolder & { foundAt: number; windowFrom: number; requests: number }

/**
 * Tells whose key a request shows. Keys that were found are remembered for five seconds, so that not every request asks the database; each
 * has its own number of requests a minute. Ones that are none are counted by address. Throws ApiProblem.
 */
export function keyReader({ access, requestsPerMinute = REQUESTS_PER_MINUTE }: ApiParts): (request: FastifyRequest) => Promise<KeyHolder> {
  const known = new Map<string, Known>()

  async function find(hash: string, request: FastifyRequest): Promise<Known> {
    const remembered = known.get(hash)
    const now = performance.now()
    if (remembered && now - remembered.foundAt < BELIEVED_MS) return remembered
    const holder = await readKey(access, hash)
    if (!holder) {
      known.delete(hash)
      const retryAfter = await access.database.fleet((tx) => countTry(tx, [counterOf(access.secret, 'apiKey', addressCounted(request.ip))]))
      throw retryAfter > 0 ? new ApiProblem('api.key_tries', { retryAfter }) : new ApiProblem('api.key_unknown')
    }
    const fresh = { windowFrom: now, requests: 0, ...known.get(hash), ...holder, foundAt: now }
    known.set(hash, fresh)
    return fresh
  }

  return async (request) => {
    const [, key] = /^Bearer +([\w-]{1,200})$/i.exec(request.headers.authorization ?? '') ?? []
    if (key === undefined) throw new ApiProblem('api.key_missing')
    const holder = await find(hashToken(key), request)
    const now = performance.now()
    if (now - holder.windowFrom >= MINUTE_MS) Object.assign(holder, { windowFrom: now, requests: 0 })
    if (++holder.requests > requestsPerMinute) throw new ApiProblem('api.too_many_requests', { retryAfter: Math.max(1, Math.ceil((holder.windowFrom + MINUTE_MS - now) / 1_000)) })
    return holder
  }
}

/** The holder of a key that is not revoked. Its last use is noted, once a minute at most. */
async function readKey({ database }: AccessParts, hash: string): Promise<KeyHolder | null> {
  const [found] = await database.fleet((tx) => tx.query<{ id: string | null }>('select fleet.organization_of_api_key($1) as id', [hash]))
  if (!found?.id) return null
  return database.tenant(found.id, async (tx) => {
    await tx.run(`update api_keys set last_used_at = now() where key_hash = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`, [hash])
    const [holder] = await tx.query<KeyHolder>(
      `select k.id as "keyId", o.id as "organizationId", o.key as "organizationKey", (o.settings #>> '{login,sso}')::boolean as sso
       from api_keys k join organizations o on o.id = k.organization_id where k.key_hash = $1 and k.revoked_at is null`,
      [hash],
    )
    return holder ?? null
  })
}
