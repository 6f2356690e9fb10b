import type { Transaction } from '../entities/database.ts'
import { audit } from '../organizations/audit.ts'
import { seal, SealBroken, unseal, unsealWithEither, type SealKeys } from '../organizations/seal.ts'

/** What feeds name: passwords, keys, passphrases. Sealed in the database with MUSTER_SECRET, and never shown again. */

const PURPOSE = 'feed-secret'
/** A secret of one organization and name opens as no other. */
const contextOf = (organizationId: string, name: string): string => `${organizationId}/${name}`
/** A private key of the largest kind has a few thousand characters. */
const LONGEST = 100_000
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** A feed names a secret that was never given. */
export class FeedSecretMissing extends Error {
  readonly code = 'feed.unknown_secret'
  readonly hint: string
  constructor(name: string) {
    super(`There is no secret ${JSON.stringify(name)}.`)
    this.name = 'FeedSecretMissing'
    this.hint = `Give it: ./muster feed secret ${name} --organization KEY`
  }
}

/** A secret that cannot be kept as it was given. */
export class FeedSecretRefused extends Error {
  readonly code = 'feed.invalid_secret'
  readonly hint: string
  constructor(message: string, hint: string) {
    super(message)
    this.name = 'FeedSecretRefused'
    this.hint = hint
  }
}

/**
 * Keeps a secret under seal, in place of what had its name. Whoever uses it takes the new one at the next connection.
 * @param random gives random bytes
 * @returns whether there was one of this name before
 * @throws FeedSecretRefused where it is empty, or its name is none
 */
export async function storeSecret(
  tx: Transaction,
  { secret, random }: { secret: string; random: (count: number) => Uint8Array },
  name: string,
  value: string,
  operator: string,
): Promise<{ replaced: boolean }> {
  if (!NAME.test(name)) throw new FeedSecretRefused(`${JSON.stringify(name)} is no name of a secret.`, 'Write letters, digits, dots, hyphens and underscores, at most 100.')
  if (value === '' || value.length > LONGEST) throw new FeedSecretRefused(`The secret ${JSON.stringify(name)} is ${value === '' ? 'empty' : `longer than ${LONGEST} characters`}.`, 'Nothing was kept. Give its value on standard input.')
  const sealed = seal(secret, PURPOSE, contextOf(tx.organizationId, name), Buffer.from(value), random)
  const [kept] = await tx.query<{ replaced: boolean }>(
    `insert into feed_secrets (organization_id, name, sealed, updated_by) values ($1, $2, $3, $4)
     on conflict (organization_id, name) do update set sealed = excluded.sealed, updated_by = excluded.updated_by, updated_at = now()
     returning xmax <> 0 as replaced`,
    [tx.organizationId, name, sealed, operator],
  )
  await audit(tx, operator, 'feeds.secret', { name, replaced: kept!.replaced })
  return kept!
}

/** A secret in clear, for the moment in which it is used. Throws FeedSecretMissing; SealBroken where MUSTER_SECRET is another one than when it was given. */
export async function openSecret(tx: Transaction, keys: SealKeys, name: string): Promise<string> {
  const [row] = await tx.query<{ sealed: Buffer }>('select sealed from feed_secrets where name = $1', [name])
  if (!row) throw new FeedSecretMissing(name)
  return unsealWithEither(keys, PURPOSE, contextOf(tx.organizationId, name), row.sealed).toString()
}

/** `sealedWith`: the MUSTER_SECRET of today, the previous one, or neither, and then it has to be given anew. */
export type KnownSecret = { name: string; updatedBy: string; updatedAt: Date; sealedWith: 'current' | 'previous' | 'neither' }

/** The organization's secrets by name, without their values. */
export async function listSecrets(tx: Transaction, keys: SealKeys): Promise<KnownSecret[]> {
  const rows = await readSealed(tx)
  return rows.map(({ name, sealed, updatedBy, updatedAt }) => ({ name, updatedBy, updatedAt, sealedWith: sealedWith(keys, contextOf(tx.organizationId, name), sealed) }))
}

/**
 * Seals anew, with the MUSTER_SECRET of today, what was sealed with the previous one; may be done twice. What opens with neither stays as it
 * is: listSecrets tells it.
 * @returns how many were sealed anew
 */
export async function resealAll(tx: Transaction, keys: SealKeys, random: (count: number) => Uint8Array): Promise<number> {
  const old = (await readSealed(tx, 'for update')).filter(({ name, sealed }) => sealedWith(keys, contextOf(tx.organizationId, name), sealed) === 'previous')
  if (old.length === 0) return 0
  const anew = old.map(({ name, sealed }) => {
    const context = contextOf(tx.organizationId, name)
    return seal(keys.secret, PURPOSE, context, unseal(keys.previous!, PURPOSE, context, sealed), random)
  })
  return tx.run('update feed_secrets s set sealed = n.sealed from unnest($1::text[], $2::bytea[]) as n (name, sealed) where s.name = n.name', [old.map(({ name }) => name), anew])
}

type Sealed = { name: string; sealed: Buffer; updatedBy: string; updatedAt: Date }

const readSealed = (tx: Transaction, lock: '' | 'for update' = ''): Promise<Sealed[]> =>
  tx.query<Sealed>(`select name, sealed, updated_by as "updatedBy", updated_at as "updatedAt" from feed_secrets order by name ${lock}`)

function sealedWith({ secret, previous }: SealKeys, context: string, sealed: Buffer): KnownSecret['sealedWith'] {
  if (opens(secret, context, sealed)) return 'current'
  return previous !== null && opens(previous, context, sealed) ? 'previous' : 'neither'
}

function opens(secret: string, context: string, sealed: Buffer): boolean {
  try {
    unseal(secret, PURPOSE, context, sealed)
    return true
  } catch (error) {
    if (error instanceof SealBroken) return false
    throw error
  }
}
