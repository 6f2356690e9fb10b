/**
 * Counts the argon2id of a test's file by what each of them costs: how long something takes on a busy machine is chance, how much is
 * hashed is not. To be imported before everything that hashes.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'

const made: { memory: number; passes: number }[] = []
const { argon2 } = crypto

crypto.argon2 = (algorithm, parameters, callback) => {
  made.push({ memory: parameters.memory, passes: parameters.passes })
  return argon2(algorithm, parameters, callback)
}
syncBuiltinESMExports()

/** What was hashed while `work` ran, in the order of beginning. */
export async function hashesOf(work: () => Promise<unknown>): Promise<{ memory: number; passes: number }[]> {
  made.length = 0
  await work()
  return [...made]
}
