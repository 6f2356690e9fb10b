/** One night of a feed, in this process: the run, and what it wakes. */
import type { Database } from '../src/entities/database.ts'
import { manualRun } from '../src/feeds/slots.ts'
import { readImport, type Totals } from '../src/importers/importReport.ts'
import { commitChunk } from '../src/jobs/commitChunk.ts'
import { CONCURRENCY, type Payloads } from '../src/jobs/queues.ts'
import { runFeed } from '../src/jobs/runFeed.ts'
import { stageImport, type ImportParts } from '../src/jobs/stageImport.ts'
import { SECRET } from './feedScene.ts'
import type { Ground } from './ground.ts'

/**
 * Has a feed take the file that lies ready on its server.
 * @param expected what the totals must come to; a wrong import is no measurement
 * @returns seconds from the file on the server until its import is committed
 */
export async function takeFeed(ground: Ground, database: Database, feed: { organizationId: string; feedId: string }, expected: Partial<Totals>, deactivated = 0): Promise<number> {
  const { organizationId, feedId } = feed
  const staged: string[] = []
  const chunks: number[] = []
  const laps: string[] = []
  const signal = new AbortController().signal
  let at = performance.now()
  const started = at
  const lap = (name: string): void => {
    const now = performance.now()
    laps.push(`${name} ${((now - at) / 1000).toFixed(2)} s`)
    at = now
  }
  const parts: ImportParts = {
    database,
    queues: {
      wake(name, payload) {
        if (name === 'stage') staged.push((payload as Payloads['stage']).importId)
        if (name === 'commit') chunks.push((payload as Payloads['commit']).chunk)
        return Promise.resolve()
      },
    },
    failpoint(name) {
      if (name === 'import.staged') lap('staging')
      if (name === 'import.planned') lap('planning')
      return Promise.resolve()
    },
  }
  await database.tenant(organizationId, (tx) => manualRun(tx, feedId, 'bench'))
  await runFeed({ ...parts, keys: { secret: SECRET, previous: null }, log: { info: () => undefined, warn: (detail, message) => ground.say(`${message}: ${JSON.stringify(detail)}`) } }, feed, signal)
  lap('fetching')
  const importId = staged[0]
  if (importId === undefined) throw new Error('the feed took no file')
  while ((await stageImport(parts, { organizationId, importId }, signal)).kind === 'snooze');
  const lane = async (): Promise<void> => {
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      const outcome = await commitChunk(parts, { organizationId, importId, chunk })
      // Whoever leaves waits for all rows to be written: its turn comes again.
      if (outcome.kind === 'snooze') chunks.push(chunk)
    }
  }
  while (chunks.length > 0) await Promise.all(Array.from({ length: CONCURRENCY.commit }, lane))
  lap('committing')
  const seconds = (performance.now() - started) / 1000
  ground.say(`  ${laps.join(', ')}`)

  const stored = await database.tenant(organizationId, (tx) => readImport(tx, importId))
  const result = stored?.result
  const differs = (Object.keys(expected) as (keyof Totals)[]).some((key) => result?.totals[key] !== expected[key])
  if (stored?.state !== 'committed' || differs || result?.deactivated !== deactivated) {
    throw new Error(`the file did not come out as it must: ${stored?.state}, ${JSON.stringify(stored?.failure ?? result)}, expected ${JSON.stringify(expected)} and ${deactivated} deactivated`)
  }
  return seconds
}
