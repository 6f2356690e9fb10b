import { Client } from 'pg'
import { migrations } from './migrations/index.ts'

/**
 * Brings the database to this version; harmless to repeat and to run from several processes at once.
 * @returns the names of the migrations that were applied now
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  if (await isCurrent(databaseUrl)) return []
  // Loaded only when there is something to apply: every command asks, and the metadata of all tables takes its time.
  const { openOrm } = await import('./orm.ts')
  const orm = await openOrm(databaseUrl, { maxConnections: 2 })
  try {
    const pool = await orm.em.getConnection().getNativeClient()
    const lock = await pool.connect()
    try {
      // Two processes that start together take turns; the key is the word "muster" as a number.
      await lock.query("select pg_advisory_lock(hashtext('muster.migrate'))")
      return (await orm.migrator.up()).map((migration) => migration.name)
    } finally {
      await lock.query("select pg_advisory_unlock(hashtext('muster.migrate'))")
      lock.release()
    }
  } finally {
    await orm.close()
  }
}

async function isCurrent(databaseUrl: string): Promise<boolean> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows: known } = await client.query<{ there: boolean }>(`select to_regclass('public.mikro_orm_migrations') is not null as there`)
    if (!known[0]!.there) return false
    const { rows } = await client.query<{ name: string }>('select name from mikro_orm_migrations')
    const applied = new Set(rows.map(({ name }) => name))
    return migrations.every(({ name }) => applied.has(name))
  } finally {
    await client.end()
  }
}
