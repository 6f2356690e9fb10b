import type { PoolClient, QueryConfig, QueryResultRow } from 'pg'
import type { Database } from '../entities/database.ts'
import { APP_ROLE } from '../entities/tenancy.ts'

/**
 * A connection bound to one organization for the length of a turn of sending. Each statement is its own transaction and one
 * round trip, where Database.tenant takes three: the fence is waited for by an open mail connection each time.
 */
export type Session = {
  /** Runs one prepared statement, committed when it resolves. */
  run<R extends QueryResultRow>(statement: QueryConfig): Promise<R[]>
  close(): void
}

/** Opens a session under the app role and the organization's row security, as Database.tenant does. */
export async function openSession(database: Database, organizationId: string): Promise<Session> {
  if (!/^\d{1,18}$/.test(organizationId)) throw new TypeError(`not an id: ${JSON.stringify(organizationId)}`)
  const client: PoolClient = await database.pool.connect()
  // A connection that breaks between two statements would otherwise end the process; the next statement tells of it.
  client.on('error', () => undefined)
  try {
    await client.query(`set role ${APP_ROLE}; set app.organization_id = '${organizationId}'`)
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
