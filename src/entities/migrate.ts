import { Client } from 'pg'
import { MIGRATION_NAMES } from './migrations/names.ts'
import { APP_ROLE, FLEET_ROLE } from './roles.ts'

const INSUFFICIENT_PRIVILEGE = '42501'

/** The user of DATABASE_URL may not do what the migration needs; nothing was changed. The message says what an administrator is to run. */
export class MigrationRefused extends Error {
  readonly code = 'database.rights'

  constructor(who: { user: string; database: string; version: number }, cause: Error) {
    super(
      `The database user ${who.user} may not bring ${who.database} to this version: ${cause.message.split('\n')[0]!.split(' - ').at(-1)}. ` +
        'Nothing was changed. Have an administrator of the server run this once, and migrate again:\n' +
        [
          `do $$ begin create role ${APP_ROLE} nologin; exception when duplicate_object then null; end $$;`,
          `do $$ begin create role ${FLEET_ROLE} nologin; exception when duplicate_object then null; end $$;`,
          `grant ${APP_ROLE}, ${FLEET_ROLE} to "${who.user}"${who.version >= 160_000 ? ' with inherit false, set true' : ''};`,
          `alter database "${who.database}" owner to "${who.user}";`,
        ]
          .map((line) => `  ${line}`)
          .join('\n'),
      { cause },
    )
    this.name = 'MigrationRefused'
  }
}

/**
 * Brings the database to this version; harmless to repeat and to run from several processes at once.
 * @returns the names of the migrations that were applied now; throws MigrationRefused where the user may not
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  if ((await pendingMigrations(databaseUrl)).length === 0) return []
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
    } catch (error) {
      if ((error as { code?: string }).code !== INSUFFICIENT_PRIVILEGE) throw error
      const { rows } = await lock.query<{ user: string; database: string; version: number }>(
        `select current_user as user, current_database() as database, current_setting('server_version_num')::int as version`,
      )
      throw new MigrationRefused(rows[0]!, error as Error)
    } finally {
      await lock.query("select pg_advisory_unlock(hashtext('muster.migrate'))")
      lock.release()
    }
  } finally {
    await orm.close()
  }
}

/** The names of the migrations that the database has not seen, in order. */
export async function pendingMigrations(databaseUrl: string): Promise<string[]> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows: known } = await client.query<{ there: boolean }>(`select to_regclass('public.mikro_orm_migrations') is not null as there`)
    const { rows } = known[0]!.there ? await client.query<{ name: string }>('select name from mikro_orm_migrations') : { rows: [] }
    const applied = new Set(rows.map(({ name }) => name))
    return MIGRATION_NAMES.filter((name) => !applied.has(name))
  } finally {
    await client.end()
  }
}
