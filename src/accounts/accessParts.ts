import type { Database, Transaction } from '../entities/database.ts'
import type { Settings } from '../organizations/declaration.ts'
import { readOrganization } from '../organizations/organizations.ts'
import type { HashCost, RandomBytes } from './passwords.ts'

/** A mail that follows from what a person does with an account. */
export type AccessMail = 'welcome' | 'passwordReset' | 'passwordChanged'

/** What signing in, registering and choosing passwords work with. One for a process. */
export type AccessParts = {
  database: Database
  /** MUSTER_SECRET: keys the hashes of throttles and the tokens of devices. */
  secret: string
  /** What hashing a password costs from now on. */
  hashCost: HashCost
  random: RandomBytes
  /** Owes a mail in the transaction that is its reason. */
  owe: (tx: Transaction, purpose: AccessMail, userId: string) => Promise<void>
}

/** An organization as its people meet it. */
export type PortalOrganization = { id: string; key: string; name: string; language: string; timeZone: string; settings: Settings }

/**
 * What can be wrong with a user id or password that somebody types, by the detail that is told with it:
 * username.invalid (reason), username.taken (proposal: one that is free, or none), password.too_short (length, limit), password.too_long
 * (length, limit), password.personal (word), password.wait (seconds); the others have none.
 */
export const PROBLEM_CODES = [
  'username.invalid', 'username.taken', 'password.too_short', 'password.too_long', 'password.too_common', 'password.personal',
  'password.same_as_before', 'password.wrong', 'password.wait',
] as const
export type ProblemCode = (typeof PROBLEM_CODES)[number]

/** A problem with one field of a form; `current` is the password so far. */
export type Problem = { field: 'username' | 'password' | 'current'; code: ProblemCode; detail?: Record<string, string> }

/** The organization of this key; null where there is none. */
export async function portalOrganization({ database }: Pick<AccessParts, 'database'>, key: string): Promise<PortalOrganization | null> {
  if (!/^[a-z0-9-]{1,63}$/.test(key)) return null
  const [row] = await database.fleet((tx) => tx.query<{ id: string | null }>('select fleet.organization_of_key($1) as id', [key]))
  return row?.id ? database.tenant(row.id, portalOrganizationOf) : null
}

/** The organization of the transaction, as its people meet it. */
export async function portalOrganizationOf(tx: Transaction): Promise<PortalOrganization> {
  const { id, key, name, language, timeZone, settings } = await readOrganization(tx)
  return { id, key, name, language, timeZone, settings }
}

/** What somebody typed to say who they are, as it is looked for: no spaces around it, lower case, of a bounded length, and nothing that PostgreSQL's text cannot hold. */
export function asLookedFor(typed: string): string {
  return typed.slice(0, 1_000).trim().toLowerCase().replaceAll('\u0000', '\uFFFD').slice(0, 320)
}
