import type { Database } from '../entities/database.ts'
import { snooze, type Outcome } from './outcome.ts'

/** How long a file waits for those beside it in its process. */
const TURN_MS = 1_000
/** A file for which others wait and that does not come back for so long is read elsewhere. */
const GONE_MS = 5_000

/**
 * Makes what stands before the reading of files in a process: one that has ended a worker before is read while no other is, so that it takes none with it
 * when it does so again (fault 42). Others would be put aside for what it did. It waits for those under way, and who comes meanwhile waits for it.
 */
export function stagesAlone(database: Database): (payload: { organizationId: string; importId: string }, stage: () => Promise<Outcome>) => Promise<Outcome> {
  const underWay = new Set<string>()
  let alone: { importId: string; seenAt: number } | null = null
  return async ({ organizationId, importId }, stage) => {
    const suspected = await database.tenant(organizationId, (tx) =>
      tx.query(`select from imports where id = $1 and state = 'staging' and attempts > 0 and staged_at is null and lease_until < now()`, [importId]),
    )
    if (alone && !underWay.has(alone.importId) && performance.now() - alone.seenAt > GONE_MS) alone = null
    if (alone && alone.importId !== importId) return snooze(TURN_MS)
    if (suspected.length > 0) {
      alone = { importId, seenAt: performance.now() }
      if (underWay.size > 0) return snooze(TURN_MS)
    }
    underWay.add(importId)
    try {
      return await stage()
    } finally {
      underWay.delete(importId)
      if (alone?.importId === importId) alone = null
    }
  }
}
