/** The floor of credentials: argon2id alone. Every one costs as much on purpose; nothing can be faster. */
import { argon2, randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { HASH_COST } from '../src/accounts/passwords.ts'
import { timed } from './benchmark.ts'

const derive = promisify(argon2)

/**
 * Hashes so many passwords at the cost that ours have, as many at once as ours: one for each core.
 * @returns seconds
 */
export function hashBare(count: number): Promise<number> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await derive('argon2id', { message: randomBytes(15), nonce: randomBytes(16), tagLength: 32, ...HASH_COST })
  }
  return timed(() => Promise.all(Array.from({ length: availableParallelism() }, lane)))
}
