import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Client } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { timed, inTurns, type Benchmark } from './benchmark.ts'
import { declareFeeds, passNights, withServer } from './feedScene.ts'
import { declareOrganization, withDatabase } from './importScene.ts'
import { takeFeed } from './takeFeed.ts'
import { writePeopleCsv } from './rows.ts'

const ROWS = 200_000
/** One row of so many is changed, one of twice as many gone, and as many are new: 0.5 % in all. */
const CHANGED_EVERY = 400
const TEMPLATE = 'bench_feed_full'
const PART_BYTES = 1 << 20

type Nights = { rows: number; changed: number; gone: number; added: number }

export const feedFull: Benchmark = {
  name: 'feed-full',
  title: 'a full feed of 200,000 people of whom 0.5 % change, from the file on the server to committed, against a bare COPY of that file into a table with its two keys',
  unit: 'rows/s',
  better: 'more',
  // No more than 1.5 times its time.
  target: 0.667,
  async run(ground) {
    const rows = ground.scaled(ROWS)
    const [first, second] = ['first', 'second'].map((night) => join(ground.folder, `feed-${night}.csv`)) as [string, string]
    await writePeopleCsv(first, rows, 0)
    const nights = await writeSecondNight(first, second)
    return withServer(ground, async (server) => {
      ground.say(`preparing a feed of ${rows} people, and taking its first file in`)
      const feed = await ground.template(TEMPLATE, null, async (url) => {
        const made = await withDatabase(url, async (database) => {
          const id = await declareOrganization(database)
          const [feedId] = await declareFeeds(database, { id, key: 'bench' }, server, [{ name: 'nightly', pattern: 'people_*.csv', mode: 'full' }])
          server.put('people_1.csv', readFileSync(first))
          const feed = { organizationId: id, feedId: feedId! }
          await takeFeed(ground, database, feed, { created: rows })
          return feed
        })
        await passNights(url)
        return made
      })
      server.put('people_2.csv', readFileSync(second))
      const expected = { read: nights.rows, created: nights.added, updated: nights.changed, unchanged: nights.rows - nights.added - nights.changed }
      return inTurns(
        ground,
        feedFull.name,
        nights.rows,
        () => ground.withCopy(TEMPLATE, (url) => copyFile(url, second)),
        () => ground.withCopy(TEMPLATE, (url) => withDatabase(url, (database) => takeFeed(ground, database, feed, expected, nights.gone))),
      )
    })
  },
}

/** The same file a night later. */
async function writeSecondNight(first: string, second: string): Promise<Nights> {
  const [header, ...lines] = readFileSync(first, 'utf8').trimEnd().split(/\r?\n/) as [string, ...string[]]
  const out = createWriteStream(second)
  const nights: Nights = { rows: 0, changed: 0, gone: 0, added: 0 }
  out.write(`${header}\n`)
  for (const [index, line] of lines.entries()) {
    if (index % (CHANGED_EVERY * 2) === 1) {
      nights.gone++
      continue
    }
    const changed = index % CHANGED_EVERY === 0
    const cells = line.split(',')
    if (changed) {
      cells[1] = 'Changed'
      nights.changed++
    }
    nights.rows++
    out.write(`${cells.join(',')}\n`)
  }
  for (; nights.added < nights.gone; nights.added++, nights.rows++) out.write(`N${nights.added},New,Person,new.person${nights.added}@company.example,6125550100,no\n`)
  await new Promise<void>((written) => out.end(written))
  return nights
}

/** The floor: that file into a table of its columns, with the keys by which people are told apart. */
async function copyFile(url: string, csv: string): Promise<number> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('create table floor (external_id text primary key, first_name text, last_name text, email text unique, phone text, system_user_wanted text)')
    await client.query('checkpoint')
    return await timed(() => pipeline(createReadStream(csv, { highWaterMark: PART_BYTES }), client.query(copyFrom('copy floor from stdin (format csv, header)'))))
  } finally {
    await client.end()
  }
}
