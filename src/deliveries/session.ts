import type { PoolClient, QueryConfig, QueryResultRow } from 'pg'
import type { Database } from '../entities/database.ts'
import { APP_ROLE } from '../entities/roles.ts'

/**
 * A connection bound to one organization for the length of a turn of sending. Each statement is its own transaction and one
 * round trip, where Database.tenant takes three: the fence is waited for by an open mail connection each time.
 */
export type Session = {
  /** Runs one prepared statement, committed when it resolves. */
  run<R extends QueryResultRow>(statement: QueryConfig): Promise<R[]>
  close(): void
}

/**
 * Its few statements are large and come by the thousand, each for a handful of rows found by key: they are planned once, and never
 * by reading a whole table, which looks cheap to the planner as long as the table is new.
 */
const PLANNING = 'set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off'

/**
 * Opens a session under the app role and the organization's row security, as Database.tenant does.
 * @param durable false: a statement does not wait for the disk. For what may be lost with the server, and is then settled on the safe side
 */
export async function openSession(database: Database, organizationId: string, { durable }: { durable: boolean }): Promise<Session> {
  if (!/^\d{1,18}$/.test(organizationId)) throw new TypeError(`not an id: ${JSON.stringify(organizationId)}`)
  const client: PoolClient = await database.pool.connect()
  // A connection that breaks between two statements would otherwise end the process; the next statement tells of it.
  client.on('error', () => undefined)
  try {
    await client.query(`set role ${APP_ROLE}; set app.organization_id = '${organizationId}'; ${PLANNING}; set synchronous_commit = ${durable ? 'on' : 'off'}`)
  } catch (error) {
    client.release(true)
    throw error
  }
  return {
    run: async <R extends QueryResultRow>(statement: QueryConfig) => (await client.query<R>(statement)).rows,
    // Never given to anybody else: it is bound to the organization.
    close: () => client.release(true),
  }
}
