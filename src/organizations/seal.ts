import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** First byte of what is sealed: how it was sealed. */
const VERSION = 1

/** The secret that everything is sealed with, MUSTER_SECRET, and what it was before; null: it never was another one, or nothing is left from then. */
export type SealKeys = { secret: string; previous: string | null }

/** What was sealed cannot be opened: by another secret, for something else, or changed since. */
export class SealBroken extends Error {
  readonly code = 'seal.broken'
  constructor() {
    super('What was sealed cannot be opened: MUSTER_SECRET is another one than when it was sealed, or it was changed.')
    this.name = 'SealBroken'
  }
}

/** A key for one purpose, derived from MUSTER_SECRET (HKDF-SHA-256, RFC 5869): what is made with it is of no use anywhere else. */
export function keyFor(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'muster', purpose, KEY_BYTES))
}

/**
 * Seals bytes with MUSTER_SECRET: AES-256-GCM (NIST SP 800-38D) under a key for the purpose, with a random nonce.
 * @param context what it belongs to, such as an organization's id; it has to be the same when it is opened
 * @param random gives random bytes
 */
export function seal(secret: string, purpose: string, context: string, bytes: Uint8Array, random: (count: number) => Uint8Array): Buffer {
  const nonce = random(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFor(secret, purpose), nonce).setAAD(Buffer.from(context))
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
}

/** Opens what `seal` made. Throws SealBroken. */
export function unseal(secret: string, purpose: string, context: string, sealed: Uint8Array): Buffer {
  if (sealed[0] !== VERSION || sealed.length < 1 + NONCE_BYTES + TAG_BYTES) throw new SealBroken()
  const end = sealed.length - TAG_BYTES
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyFor(secret, purpose), sealed.subarray(1, 1 + NONCE_BYTES)).setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(end))
    return Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES, end)), decipher.final()])
  } catch {
    throw new SealBroken()
  }
}

/** Opens what `seal` made with the secret of today, or with the one before it. Throws SealBroken. */
export function unsealWithEither({ secret, previous }: SealKeys, purpose: string, context: string, sealed: Uint8Array): Buffer {
  try {
    return unseal(secret, purpose, context, sealed)
  } catch (error) {
    if (previous === null) throw error
    return unseal(previous, purpose, context, sealed)
  }
}
