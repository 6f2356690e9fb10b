import { createHmac, timingSafeEqual } from 'node:crypto'
import { keyFor } from '../organizations/seal.ts'
import type { RandomBytes } from './passwords.ts'

const NONCE_BYTES = 16

/** A browser that has signed in to this user before. */
export type Device = { userId: string; nonce: string }

/**
 * What a browser keeps to show that somebody has signed in from it before (OWASP, "Slow down online guessing attacks with device cookies"):
 * user id and nonce with an HMAC over them and the organization. It opens nothing; it gives the browser a throttle of its own.
 */
export function newDevice(secret: string, organizationId: string, userId: string, random: RandomBytes): string {
  const nonce = Buffer.from(random(NONCE_BYTES)).toString('base64url')
  return `${userId}.${nonce}.${signature(secret, organizationId, userId, nonce)}`
}

/** The device of a token that we made for this organization; null for every other text. */
export function readDevice(secret: string, organizationId: string, token: string | null): Device | null {
  const parts = /^(\d{1,18})\.([\w-]{22})\.([\w-]{43})$/.exec(token ?? '')
  if (!parts) return null
  const [, userId, nonce, signed] = parts as unknown as [string, string, string, string]
  const expected = signature(secret, organizationId, userId, nonce)
  return timingSafeEqual(Buffer.from(signed), Buffer.from(expected)) ? { userId, nonce } : null
}

function signature(secret: string, organizationId: string, userId: string, nonce: string): string {
  return createHmac('sha256', keyFor(secret, 'device')).update(JSON.stringify([organizationId, userId, nonce])).digest('base64url')
}
