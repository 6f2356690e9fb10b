import type { Transaction } from '../entities/database.ts'
import type { Problem } from './accessParts.ts'
import { isCommon } from './commonPasswords.ts'
import { opaque } from './passwords.ts'

/** Characters at most: a passphrase of any length that somebody types, and no more work than that. */
export const LONGEST_PASSWORD = 128
/** Shorter words stand in too many others to be told apart from them. */
const SHORTEST_WORD = 4

/** What is to be kept out of a password, and how short it may be. */
export type PasswordRules = {
  /** Characters at least: settings.onboarding.passwordLength. */
  passwordLength: number
  /** User id, names and organization; see personalWords. */
  words: readonly string[]
}

/**
 * What is wrong with a password that somebody chooses; empty: it can be taken (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 5.0, V6.2). Any
 * characters of Unicode, spaces too, and no rule on kinds of characters. Counted in code points, as it is hashed (RFC 8265).
 * One problem is told at a time.
 */
export async function judgePassword(password: string, { passwordLength, words }: PasswordRules): Promise<Problem[]> {
  const text = opaque(password)
  const { length } = [...text]
  const told = (code: Problem['code'], detail?: Record<string, string>): Problem[] => [{ field: 'password', code, ...(detail && { detail }) }]
  if (length < passwordLength) return told('password.too_short', { length: String(length), limit: String(passwordLength) })
  if (length > LONGEST_PASSWORD) return told('password.too_long', { length: String(length), limit: String(LONGEST_PASSWORD) })
  const folded = fold(text)
  const word = words.find((candidate) => [...fold(candidate)].length >= SHORTEST_WORD && folded.includes(fold(candidate)))
  if (word !== undefined) return told('password.personal', { word })
  return (await isCommon(text, words)) ? told('password.too_common') : []
}

/** Case, accents and width make no other word. */
const fold = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()

/** The words that stand for a person: user id with its parts, names, the address before its @, and the organization's name and key with their parts. */
export function personalWords(about: { username: string; firstName: string; lastName: string; email: string | null; organizationName: string; organizationKey: string }): string[] {
  const whole = [about.username, about.firstName, about.lastName, about.email?.split('@')[0] ?? '', about.organizationName, about.organizationKey]
  const parts = whole.flatMap((text) => text.split(/[^\p{L}\p{N}]+/u))
  return [...new Set([...whole, ...parts].map((word) => word.trim()).filter((word) => word !== ''))]
}

/** Rules for a user's next password, with what the current one hashes to; null where there is no such active user. */
export async function readPasswordRules(tx: Transaction, userId: string): Promise<(PasswordRules & { username: string; passwordHash: string | null }) | null> {
  const [row] = await tx.query<Parameters<typeof personalWords>[0] & { passwordLength: number; passwordHash: string | null }>(
    `select u.username, u.password_hash as "passwordHash", c.first_name as "firstName", c.last_name as "lastName", c.email,
       o.name as "organizationName", o.key as "organizationKey", (o.settings #>> '{onboarding,passwordLength}')::int as "passwordLength"
     from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id
     where u.id = $1 and u.state = 'active' and c.state = 'active' and not (o.settings -> 'login' ->> 'sso')::boolean`,
    [userId],
  )
  return row ? { username: row.username, passwordHash: row.passwordHash, passwordLength: row.passwordLength, words: personalWords(row) } : null
}
