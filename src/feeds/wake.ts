import type { Transaction } from '../entities/database.ts'

/**
 * Says that a worker has something to do for a feed: now, or at an instant. An earlier one that was said before stays. It holds once the
 * transaction is committed; the sweep finds it within a second.
 */
export async function wakeFeed(tx: Transaction, feedId: string, at?: Date): Promise<void> {
  // least() passes over null.
  await tx.run('update feeds set wake_at = least(wake_at, coalesce($2::timestamptz, now())) where id = $1', [feedId, at ?? null])
}
