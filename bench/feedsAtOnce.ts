import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../src/entities/database.ts'
import { migrateQueues } from '../src/jobs/queues.ts'
import { seenWorkers } from '../src/jobs/seenWorkers.ts'
import { applyDeclaration } from '../src/organizations/apply.ts'
import type { SshServer } from '../test/support/sshServer.ts'
import type { Benchmark } from './benchmark.ts'
import { declareFeeds, SECRET, withServer } from './feedScene.ts'
import { ended, type Ground } from './ground.ts'
import { withDatabase } from './importScene.ts'
import { peakMemory } from './peakMemory.ts'

/** Feeds that are due at one minute, over so many organizations, with so many people each. */
const FEEDS = 500
const ORGANIZATIONS = 25
const PEOPLE = 40
const LEAD_SECONDS = 10
const POLL_MS = 250
const PATIENCE_SECONDS = 600
const TEMPLATE = 'bench_feeds_at_once'

/** Seconds from the slot until the last feed was begun and until the last was taken in; what the worker needed for it. */
type Night = { begun: number; done: number; memory: number; memoryFirst: number }

const night = (ground: Ground): Promise<Night> =>
  ground.once('night of many feeds', async () => {
    await ground.template(TEMPLATE, null, migrateQueues)
    const found = await withServer(ground, (server) => ground.withCopy(TEMPLATE, (url) => withDatabase(url, (database) => spend(ground, url, database, server))))
    ground.say(`feeds: all begun after ${found.begun.toFixed(1)} s, all taken in after ${found.done.toFixed(1)} s, ${found.memory.toFixed(0)} MB (${found.memoryFirst.toFixed(0)} MB after a tenth of them)`)
    return found
  })

async function spend(ground: Ground, url: string, database: Database, server: SshServer): Promise<Night> {
  const feeds = ground.scaled(FEEDS)
  const each = Math.ceil(feeds / ORGANIZATIONS)
  ground.say(`preparing ${feeds} feeds`)
  for (let organization = 0; organization * each < feeds; organization++) {
    const key = `bench-${organization}`
    const { id } = await applyDeclaration(database, { key, name: key })
    const names = Array.from({ length: Math.min(each, feeds - organization * each) }, (_, index) => `${key}-feed-${index}`)
    await declareFeeds(database, { id, key }, server, names.map((name) => ({ name, pattern: `${name}_*.csv`, mode: 'full' })))
    for (const [index, name] of names.entries()) server.put(`${name}_20261122.csv`, fileOf(`${organization}.${index}`))
  }
  const worker = ground.child('worker.ts', [], {
    DATABASE_URL: url, REDIS_URL: '', MUSTER_SECRET: SECRET, MUSTER_HOME: join(ground.folder, 'feeds-home'), SMTP_URL: 'smtp://127.0.0.1:9', LOG_LEVEL: 'warn', NODE_ENV: 'production',
  })
  const scheduler = ground.child('scheduler.ts', [], { DATABASE_URL: url, REDIS_URL: '', MUSTER_SECRET: SECRET, MUSTER_HOME: join(ground.folder, 'feeds-home'), LOG_LEVEL: 'warn', NODE_ENV: 'production' })
  for (const child of [worker, scheduler]) child.stdout.resume()
  try {
    while ((await seenWorkers(database)).length === 0) await pause(POLL_MS)
    const slot = await setSlot(database)
    let memoryFirst = 0
    for (const begun = performance.now(); ; await pause(POLL_MS)) {
      if (worker.exitCode !== null || worker.signalCode !== null) throw new Error('the worker ended before the feeds')
      const taken = await database.pool.query<{ count: number }>(`select count(*)::int as count from imports where state = 'committed'`)
      const { count } = taken.rows[0]!
      if (memoryFirst === 0 && count >= feeds / 10) memoryFirst = peakMemory(worker.pid!)
      if (count === feeds) break
      if (performance.now() - begun > PATIENCE_SECONDS * 1000) throw new Error(`${count} of ${feeds} feeds were taken in within ${PATIENCE_SECONDS} s`)
    }
    const { rows: [last] } = await database.pool.query<{ begun: number; done: number; early: number }>(
      `select (select extract(epoch from max(started_at) - $1)::float8 from feed_runs) as begun, (select extract(epoch from max(finished_at) - $1)::float8 from imports) as done,
         (select count(*)::int from feed_runs where started_at < $1 or slot_at <> $1) as early`,
      [new Date(slot)],
    )
    if (last!.early > 0) throw new Error(`${last!.early} runs began before their slot, or have another`)
    return { begun: last!.begun, done: last!.done, memory: peakMemory(worker.pid!), memoryFirst }
  } finally {
    await Promise.all([worker, scheduler].map(ended))
  }
}

/** Has all feeds run at the next whole minute that is far enough ahead; gives it, in milliseconds since 1970. */
async function setSlot(database: Database): Promise<number> {
  const soonest = (await database.now()).getTime() + LEAD_SECONDS * 1000
  const slot = new Date(Math.ceil(soonest / 60_000) * 60_000)
  const schedule = `${slot.getUTCMinutes()} ${slot.getUTCHours()} * * *`
  await database.pool.query(`update feeds set next_slot_at = $1, definition = definition || jsonb_build_object('schedule', $2::text, 'timeZone', 'UTC')`, [slot, schedule])
  return slot.getTime()
}

const fileOf = (feed: string): string =>
  `External ID,First Name,Last Name,Email\n${Array.from({ length: PEOPLE }, (_, index) => `${feed}-${index},Ana,Lee,ana.${feed}.${index}@acme.example\n`).join('')}`

export const feedsAtOnce: readonly Benchmark[] = [
  {
    name: 'feeds-begun',
    title: '500 feeds of 25 organizations due at the same minute on one worker: from the slot until the last is begun, against a limit of 60 s; once',
    unit: 's', better: 'less', target: 1,
    run: async (ground) => [{ value: (await night(ground)).begun, floor: 60 }],
  },
  {
    name: 'feeds-memory',
    title: 'peak memory of that worker, against a limit of 400 MB; the same night',
    unit: 'MB', better: 'less', target: 1,
    run: async (ground) => [{ value: (await night(ground)).memory, floor: 400 }],
  },
]
