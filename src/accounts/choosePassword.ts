import type { Transaction } from '../entities/database.ts'
import type { AccessParts, Problem } from './accessParts.ts'
import { hashLane } from './hashLanes.ts'
import { judgePassword, readPasswordRules } from './judgePassword.ts'
import { hashPassword, opaque } from './passwords.ts'
import { endSessions, openSession } from './sessions.ts'
import { counterOf, countTry, giveBack } from './throttle.ts'
import { verifyEvenly } from './verifyEvenly.ts'

export { judgePassword } from './judgePassword.ts'

export type PasswordChanged = { is: 'changed'; /** For the browser's cookie. */ session: string } | { is: 'refused'; problems: Problem[] }

/**
 * Changes the password of somebody who is signed in; the one so far is always asked for, right after a sign-in too. Every session ends,
 * and another one is opened for who changed it, so that a token that somebody else has seen is worth nothing (OWASP ASVS 5.0, V7.2.4); links to
 * choose a new one are void, and a mail about it is owed, all in one transaction. Wrong current passwords are counted.
 * @returns what is wrong, `current` first; or the token of the new session
 */
export async function changePassword(
  parts: AccessParts,
  organizationId: string,
  userId: string,
  { current, next }: { current: string | null; next: string },
): Promise<PasswordChanged> {
  const { database, secret, random, hashCost } = parts
  const counter = counterOf(secret, 'current', organizationId, userId)
  const begun = await database.tenant(organizationId, async (tx) => {
    const seconds = await countTry(tx, [counter])
    return seconds || { rules: await readPasswordRules(tx, userId) }
  })
  if (typeof begun === 'number') return refusing([{ field: 'current', code: 'password.wait', detail: { seconds: String(begun) } }])
  const { rules } = begun
  const wrong = refusing([{ field: 'current', code: 'password.wrong' }])
  const right = await hashLane(() => verifyEvenly(rules?.passwordHash ?? null, current ?? '', hashCost))
  if (!rules?.passwordHash || current === null || !right) return wrong
  const { passwordHash } = rules
  await database.tenant(organizationId, (tx) => giveBack(tx, [counter]))
  if (opaque(next) === opaque(current)) return refusing([{ field: 'password', code: 'password.same_as_before' }])
  const problems = await judgePassword(next, rules)
  if (problems.length > 0) return refusing(problems)
  const nextHash = await hashLane(() => hashPassword(next, random, hashCost))
  return database.tenant(organizationId, async (tx) => {
    if (!(await storeChosen(tx, userId, nextHash, passwordHash))) return wrong
    await endSessions(tx, userId)
    const session = await openSession(tx, random, userId)
    await parts.owe(tx, 'passwordChanged', userId)
    return { is: 'changed', session }
  })
}

const refusing = (problems: Problem[]): PasswordChanged => ({ is: 'refused', problems })

/**
 * Stores the hash of a password that the person chose. Links to choose one anew are void from here on.
 * @param before the hash that it replaces; false where the user has another one by now. Null: whatever there was.
 */
export async function storeChosen(tx: Transaction, userId: string, hash: string, before: string | null): Promise<boolean> {
  const changed = await tx.run(
    `update users set password_hash = $2, password_chosen_at = now(), must_change_password = false, updated_at = now()
     where id = $1 and state = 'active' and ($3::text is null or password_hash = $3)`,
    [userId, hash, before],
  )
  if (changed === 0) return false
  await tx.run('update password_resets set used_at = now() where user_id = $1 and used_at is null', [userId])
  return true
}
