import type { FeedDefinition } from './declaration.ts'

/** Which of the files that lie on a server are taken, and in which order (spec A6). Pure. */

/** Name and time tell which of two files is the newer one. */
export type Ordered = { name: string; modifiedAt: Date }

export type Choice<File extends Ordered> = {
  /** To be taken now; null: nothing, or not yet. */
  take: File | null
  /** It is older than this file, which was taken before: it is held (faults.md 32). */
  outOfOrder: { newer: string } | null
  /** A newer full file says better what these say. */
  supersede: File[]
  /** The import that is held is given up for it. */
  supersedesHeld: boolean
  /** What the files wait for: the import under way to end, or the held one to be decided about; null: nothing. */
  blocked: 'import' | 'decision' | null
}

/**
 * Chooses from the files that are whole and were not dealt with yet.
 * A full feed takes the newest alone, since it says everything; one that is older than the last one taken is taken only where it came alone.
 * A feed of changes takes one after the other, the oldest first, and nothing while one is held.
 * @param last the newest file that was taken before, by the same order
 */
export function chooseFile<File extends Ordered>(
  { mode, order }: Pick<FeedDefinition, 'mode' | 'order'>,
  whole: readonly File[],
  state: { last: Ordered | null; importing: boolean; held: boolean },
): Choice<File> {
  const files = whole.toSorted((a, b) => compareFiles(order, a, b))
  const nothing: Choice<File> = { take: null, outOfOrder: null, supersede: [], supersedesHeld: false, blocked: null }
  const { last } = state
  const take = mode === 'full' ? files.at(-1) : files[0]
  if (!take) return nothing
  const outOfOrder = last !== null && isOlder(order, take, last) ? { newer: last.name } : null
  const blocked = state.importing ? 'import' : state.held && (mode === 'changes' || outOfOrder !== null) ? 'decision' : null
  if (blocked !== null) return { ...nothing, blocked }
  return { take, outOfOrder, supersede: mode === 'full' ? files.slice(0, -1) : [], supersedesHeld: mode === 'full' && state.held, blocked }
}

/** The newest of the files; null where there is none. */
export function newestFile<File extends Ordered>(order: FeedDefinition['order'], files: readonly File[]): File | null {
  return files.reduce<File | null>((newest, file) => (newest === null || compareFiles(order, newest, file) < 0 ? file : newest), null)
}

/** Before or behind in a feed's order: servers tell times to the second, so that of two with the same one the name decides. */
function compareFiles(order: FeedDefinition['order'], a: Ordered, b: Ordered): number {
  const byTime = a.modifiedAt.getTime() - b.modifiedAt.getTime()
  const byName = a.name < b.name ? -1 : a.name > b.name ? 1 : 0
  return order === 'modified' ? byTime || byName : byName || byTime
}

/** Older for certain: what was written in the same second is not. */
function isOlder(order: FeedDefinition['order'], file: Ordered, last: Ordered): boolean {
  return order === 'modified' ? file.modifiedAt < last.modifiedAt : compareFiles(order, file, last) < 0
}
