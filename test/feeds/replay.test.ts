/** Thresholds replayed over what a feed's last files changed (spec A7). */
import { expect, test } from 'vitest'
import { parseFeed } from '../../src/feeds/declaration.ts'
import { replayThresholds } from '../../src/feeds/replay.ts'
import { DEFAULT_LIMIT, type ChangeCounts, type Thresholds } from '../../src/rules/feedPolicy.ts'
import { importing, useDatabase } from '../support/importing.ts'

const database = useDatabase()
const NONE = { people: null, percent: null }
const thresholds = (deactivations: Thresholds['deactivations']): Thresholds => ({ creations: NONE, updates: NONE, deactivations, changedEmails: NONE, reactivations: NONE })

/** A feed with one file a night, the last of these the newest. */
async function feedWithFiles(counts: (ChangeCounts | null)[]) {
  const acme = await importing(database.current)
  const { organization: _, name, ...definition } = parseFeed({ organization: acme.key, name: 'nightly', server: { host: 'sftp.acme.example', username: 'm', login: { password: 'p' } }, pattern: '*.csv', schedule: null, mode: 'full' })
  const [feed] = await acme.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, $2, 'active', $3, 'ana') returning id`, [acme.organizationId, name, definition])
  for (const [night, counted] of counts.entries()) {
    await acme.sql(
      `insert into feed_files (organization_id, feed_id, name, bytes, modified_at, state, counts, finished_at) values ($1, $2, $3, 1, now(), $4, $5, timestamptz '2026-01-01T02:00:00Z' + make_interval(days => $6))`,
      [acme.organizationId, feed!.id, `people-${night}.csv`, counted ? 'imported' : 'repeated', counted, night],
    )
  }
  return (limit: Thresholds['deactivations'], lookBack?: number) => database.current.tenant(acme.organizationId, (tx) => replayThresholds(tx, feed!.id, thresholds(limit), lookBack))
}
const leaving = (deactivations: number): ChangeCounts => ({ rows: 100, population: 100, creations: 0, updates: 0, deactivations, changedEmails: 0, reactivations: 0, adoptions: 0 })

test('"with this threshold, 3 of your last 90 runs would have been held", the newest of these first', async () => {
  const replay = await feedWithFiles([leaving(50), ...Array.from({ length: 90 }, (_, night) => leaving([3, 40, 80].includes(night) ? 5 : 4))])
  const { runs, held, which } = await replay(DEFAULT_LIMIT)
  expect({ runs, held }).toEqual({ runs: 90, held: 3 })
  expect(which).toEqual([81, 41, 4].map((night) => ({ file: `people-${night}.csv`, importId: null, at: new Date(Date.UTC(2026, 0, 1 + night, 2)), changes: ['deactivations'] })))
  expect(await replay({ people: 4, percent: null })).toMatchObject({ held: 3 })
  expect(await replay({ people: 3, percent: null })).toMatchObject({ held: 90 })
  expect(await replay(NONE)).toEqual({ runs: 90, held: 0, which: [] })
})

test('files of which nothing was counted are no runs, and fewer than asked for are told as they are', async () => {
  const replay = await feedWithFiles([leaving(9), null, leaving(0)])
  expect(await replay(DEFAULT_LIMIT)).toMatchObject({ runs: 2, held: 1 })
  expect(await replay(DEFAULT_LIMIT, 1)).toMatchObject({ runs: 1, held: 0 })
  expect(await (await feedWithFiles([]))(DEFAULT_LIMIT)).toEqual({ runs: 0, held: 0, which: [] })
})
