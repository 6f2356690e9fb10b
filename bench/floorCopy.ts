/** The floor of the imports: PostgreSQL's own COPY of the finished rows into the same tables, with all their indexes and constraints. */
import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { timed } from './benchmark.ts'

const PART_BYTES = 1 << 20
let exports = 0

/** Writes tables to files, one each, in the order in which the rows were made; gives the files by table. */
export async function exportTables(url: string, tables: readonly string[], folder: string): Promise<Map<string, string>> {
  const prefix = `final-${++exports}`
  return withClient(url, async (client) => {
    const files = new Map<string, string>()
    for (const table of tables) {
      const file = join(folder, `${prefix}-${table}.copy`)
      await pipeline(client.query(copyTo(`copy (select * from ${table} order by 1) to stdout`)), createWriteStream(file))
      files.set(table, file)
    }
    return files
  })
}

/**
 * Copies the files back, as the superuser, whom row security does not concern: one COPY for each table, all in one transaction.
 * @returns seconds
 */
export async function copyTables(url: string, files: ReadonlyMap<string, string>): Promise<number> {
  return withClient(url, (client) =>
    timed(async () => {
      await client.query('begin')
      for (const [table, file] of files) {
        await pipeline(createReadStream(file, { highWaterMark: PART_BYTES }), client.query(copyFrom(`copy ${table} from stdin`)))
      }
      await client.query('commit')
    }),
  )
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
