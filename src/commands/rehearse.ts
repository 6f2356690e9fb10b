import { setTimeout as pause } from 'node:timers/promises'
import type { Database, Transaction } from '../entities/database.ts'

/** Others were faster: two waited for each other, or a name was given in between. */
const TRY_AGAIN: readonly string[] = ['40P01', '40001', '23505']
const TRIES = 8

/**
 * Does the work and takes it back: what would come of it, by the very statements that will do it. Sequences are all that is left of it.
 */
export async function rehearse<T>(database: Database, organizationId: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const takenBack = new Error('taken back')
  let result: { of: T } | undefined
  try {
    await again(() =>
      database.tenant(organizationId, async (tx) => {
        result = { of: await work(tx) }
        throw takenBack
      }),
    )
  } catch (error) {
    if (error !== takenBack) throw error
  }
  return result!.of
}

/** Does the work in a transaction; anew where others were faster. */
export function perform<T>(database: Database, organizationId: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return again(() => database.tenant(organizationId, work))
}

async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries >= TRIES || !TRY_AGAIN.includes((error as { code?: string }).code ?? '')) throw error
      await pause(20 * tries)
    }
  }
}
