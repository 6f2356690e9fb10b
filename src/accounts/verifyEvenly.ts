import { costOf, verifyPassword, type HashCost } from './passwords.ts'

/** Against this every password is wrong: a tag that no salt leads to but by a chance of one in 2^256. */
const NOBODY = `${'A'.repeat(22)}$${'A'.repeat(43)}`

/** The dearest cost that was met under a setting. The setting's object is one for a process. */
const dearestMet = new WeakMap<HashCost, HashCost>()

const work = ({ memory, passes }: HashCost): number => memory * passes
const hashOfNobody = ({ memory, passes, parallelism }: HashCost): string => `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${NOBODY}`

/**
 * Whether this is the password of the hash, in such a way that a wrong answer costs the same whoever was asked for.
 *
 * - No hash (unknown user, none made yet): one argon2id against a hash that nobody has, of the current cost.
 * - A hash of the current cost: one argon2id.
 * - A cheaper one, of a user who has not signed in since the setting went up: when the answer is wrong, a second argon2id makes up for the
 *   difference in memory times passes, which is what its time goes by. A right answer tells the one who knows the password nothing.
 * - A dearer one, as the setting went down: from the first of them that this process meets, every wrong answer costs as much as the dearest.
 *
 * What is left is noise of the machine; `npm run bench` shows the two distributions side by side.
 * @param hash PHC string, or null
 * @param current what the setting asks for now
 */
export async function verifyEvenly(hash: string | null, password: string, current: HashCost): Promise<boolean> {
  const stored = hash === null ? null : costOf(hash)
  const met = dearestMet.get(current) ?? current
  const dearest = stored && work(stored) > work(met) ? stored : met
  if (dearest !== met) dearestMet.set(current, dearest)
  if (hash === null || stored === null) return verifyPassword(hashOfNobody(dearest), password)
  if (await verifyPassword(hash, password)) return true
  const missing = work(dearest) - work(stored)
  if (missing > 0) {
    const passes = Math.ceil(missing / dearest.memory)
    await verifyPassword(hashOfNobody({ memory: Math.max(8 * dearest.parallelism, Math.round(missing / passes)), passes, parallelism: dearest.parallelism }), password)
  }
  return false
}
