import { argon2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Settings } from '../organizations/declaration.ts'
import { WORDS } from './words.ts'

/** So many random bytes, fit for secrets; node:crypto's randomBytes, or a fixed sequence in tests. */
export type RandomBytes = (count: number) => Uint8Array

/** What an organization asks of its passwords (spec D1). */
export type PasswordPolicy = Settings['password']

/** Letters, digits and signs of which none looks like another: no 0 O o, no 1 I i l, no quotes, dots or commas. */
export const PASSWORD_CHARACTERS = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789-+*#%=@'
const EACH_OF = [/[A-Z]/, /[a-z]/, /[2-9]/]

/** Cost of argon2id: memory in KiB, passes, lanes. */
export type HashCost = { readonly memory: number; readonly passes: number; readonly parallelism: number }

/** OWASP's first choice for argon2id where 19 MiB is the memory. */
export const HASH_COST: HashCost = { memory: 19_456, passes: 2, parallelism: 1 }

const SALT_BYTES = 16
const TAG_BYTES = 32
const derive = promisify(argon2)

/**
 * A password by the policy (spec D1): characters of PASSWORD_CHARACTERS, 5.9 bits each, with a capital, a small letter
 * and a digit among them; or words of a list of 7,772, 12.9 bits each, joined by hyphens.
 */
export function generatePassword(policy: PasswordPolicy, random: RandomBytes): string {
  const draw = drawer(random)
  if (policy.kind === 'passphrase') return Array.from({ length: policy.words }, () => WORDS[draw(WORDS.length)]!).join('-')
  for (;;) {
    const password = Array.from({ length: policy.length }, () => PASSWORD_CHARACTERS[draw(PASSWORD_CHARACTERS.length)]!).join('')
    // One that lacks a kind is thrown away whole: all that remain are equally likely.
    if (EACH_OF.every((kind) => kind.test(password))) return password
  }
}

/** Numbers below a limit of at most 65,536, each equally likely: two bytes that would favour some are drawn again. */
function drawer(random: RandomBytes): (limit: number) => number {
  let bytes: Uint8Array = new Uint8Array(0)
  let next = 0
  return (limit) => {
    const fair = 65_536 - (65_536 % limit)
    for (;;) {
      if (next + 2 > bytes.length) [bytes, next] = [random(64), 0]
      const value = bytes[next]! * 256 + bytes[next + 1]!
      next += 2
      if (value < fair) return value % limit
    }
  }
}

/**
 * A password as it is hashed and verified: by the OpaqueString profile (RFC 8265, section 4.2) every space beyond ASCII becomes an ordinary
 * one, and the text is put into NFC. Two keyboards that write the same character in two ways write the same password; case and width count.
 */
export function opaque(password: string): string {
  return password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
}

/**
 * The password's argon2id hash (RFC 9106, version 0x13) in PHC string form, under a salt of its own.
 * Takes some 20 ms of a core, on a thread of its own.
 */
export async function hashPassword(password: string, random: RandomBytes, cost: HashCost = HASH_COST): Promise<string> {
  const salt = random(SALT_BYTES)
  const tag = await derive('argon2id', { message: Buffer.from(opaque(password), 'utf8'), nonce: salt, tagLength: TAG_BYTES, ...cost })
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${unpadded(salt)}$${unpadded(tag)}`
}

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/** What the hash cost; null for a text that is not a hash of ours. */
export function costOf(hash: string): HashCost | null {
  const parts = PHC.exec(hash)
  return parts && { memory: Number(parts[1]), passes: Number(parts[2]), parallelism: Number(parts[3]) }
}

/** Whether the setting has gone up since the hash was made, in memory or passes. One that has gone down lowers nothing. */
export function needsRehash(hash: string, cost: HashCost): boolean {
  const stored = costOf(hash)
  return stored !== null && (cost.memory > stored.memory || cost.passes > stored.passes)
}

/** Whether this is the password of the hash. False, too, for a text that is not a hash of ours. */
export async function verifyPassword(hash: string, password: string): Promise<boolean> {
  const parts = PHC.exec(hash)
  if (!parts) return false
  const [, memory, passes, parallelism, salt, tag] = parts
  const expected = Buffer.from(tag!, 'base64')
  const actual = await derive('argon2id', {
    message: Buffer.from(opaque(password), 'utf8'),
    nonce: Buffer.from(salt!, 'base64'),
    tagLength: expected.length,
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
  })
  return timingSafeEqual(actual, expected)
}

/** Base64 without its padding, as PHC strings have it. */
function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64').replace(/=+$/, '')
}
