import type { Transaction } from '../entities/database.ts'
import { clearAlert } from '../feeds/alerts.ts'
import type { FeedDefinition } from '../feeds/declaration.ts'
import { wakeFeed } from '../feeds/wake.ts'

/** A feed as far as deciding about its imports, and telling of them, needs it. */
export type ImportsFeed = { id: string; name: string; author: string; definition: FeedDefinition }

/** The feed that brought an import; null where a person did, or the feed is gone. */
export async function feedOfImport(tx: Transaction, importId: string): Promise<ImportsFeed | null> {
  const [feed] = await tx.query<ImportsFeed>(`select f.id, f.name, f.author, f.definition from imports i join feeds f on f.id = ${FEED_ID} where i.id = $1`, [importId])
  return feed ?? null
}

/** Says that an import of a feed is held, or has ended: the feed's file has to follow. Nothing where a person brought the import. */
export async function wakeFeedOf(tx: Transaction, importId: string): Promise<void> {
  const [found] = await tx.query<{ feedId: string | null }>(`select ${FEED_ID} as "feedId" from imports i where i.id = $1`, [importId])
  if (found && found.feedId !== null) await wakeFeed(tx, found.feedId)
}

/** Ends the alert that asked for a decision about an import, now that there is one. */
export async function clearHold(tx: Transaction, importId: string): Promise<void> {
  const feed = await feedOfImport(tx, importId)
  if (!feed) return
  const [file] = await tx.query<{ name: string }>('select file_name as name from imports where id = $1', [importId])
  for (const kind of ['held', 'outOfOrder'] as const) await clearAlert(tx, feed, kind, file!.name)
}

const FEED_ID = `coalesce(i.feed_id, (i.options #>> '{feed,feedId}')::bigint)`
