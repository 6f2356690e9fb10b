import { Pool, type PoolClient } from 'pg'
import { APP_ROLE } from './roles.ts'
import { PatientClient, watchConnections } from './watchConnections.ts'

/** A statement's rows. Values are what pg makes of them: bigint as string, timestamptz as Date, jsonb parsed. */
export type Row = Record<string, unknown>

/** One transaction of one organization: everything in it sees and writes that organization's rows only. */
export type Transaction = {
  organizationId: string
  /** Runs a statement, gives its rows. */
  query<R extends object = Row>(sql: string, parameters?: unknown[]): Promise<R[]>
  /** Runs a statement, gives the number of rows it touched. */
  run(sql: string, parameters?: unknown[]): Promise<number>
  /** The connection itself, for COPY. */
  client: PoolClient
}

export type DatabaseOptions = {
  /** Connections at most; default 10. */
  maxConnections?: number
  /** Shown in pg_stat_activity; default muster. */
  applicationName?: string
}

/** An organization's id is an identity: anything else never reaches a statement. */
function assertId(id: string): void {
  if (!/^\d{1,18}$/.test(id)) throw new TypeError(`not an id: ${JSON.stringify(id)}`)
}

/**
 * The way to PostgreSQL at run time: transactions bound to one organization by row-level security,
 * and the narrow functions of schema `fleet` for what must look across organizations.
 */
export class Database {
  readonly pool: Pool

  constructor(databaseUrl: string, options: DatabaseOptions = {}) {
    this.pool = new Pool({
      connectionString: databaseUrl,
      max: options.maxConnections ?? 10,
      application_name: options.applicationName ?? 'muster',
      Client: PatientClient,
    })
    // A connection that died quietly is found out instead of waited for.
    watchConnections(this.pool, databaseUrl)
    // A connection that breaks (a restarted server), idle or in use, is replaced at the next use; unheard it would end the
    // process. Its statement rejects besides.
    this.pool.on('error', () => undefined)
    this.pool.on('connect', (client) => client.on('error', () => undefined))
  }

  /**
   * Runs `work` in one transaction as the app role with the organization set; commits when it resolves, rolls back when it throws.
   * @param organizationId digits only
   * @param options.plannedOnce named statements are planned once for a connection, whatever their values: for those that find single rows by
   * key, thousands of times
   */
  async tenant<T>(organizationId: string, work: (tx: Transaction) => Promise<T>, { plannedOnce = false }: { plannedOnce?: boolean } = {}): Promise<T> {
    assertId(organizationId)
    return this.#transaction(organizationId, work, plannedOnce ? '; set local plan_cache_mode = force_generic_plan' : '')
  }

  /** Runs `work` as the app role without an organization: tenant tables are empty, the fleet functions and fleet tables are there. */
  async fleet<T>(work: (tx: Omit<Transaction, 'organizationId'>) => Promise<T>): Promise<T> {
    return this.#transaction('', work)
  }

  async #transaction<T>(organizationId: string, work: (tx: Transaction) => Promise<T>, settings = ''): Promise<T> {
    const client = await this.pool.connect()
    let broken: Error | undefined
    try {
      await client.query(`begin; set local role ${APP_ROLE}; set local app.organization_id = '${organizationId}'${settings}`)
      const result = await work(transactionOver(client, organizationId))
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback').catch((failure: Error) => {
        broken = failure
      })
      throw error
    } finally {
      client.release(broken)
    }
  }

  /** The database's clock, which decides what is due (faults.md 37). */
  async now(): Promise<Date> {
    const { rows } = await this.pool.query<{ now: Date }>('select now() as now')
    return rows[0]!.now
  }

  async close(): Promise<void> {
    await this.pool.end()
  }
}

function transactionOver(client: PoolClient, organizationId: string): Transaction {
  return {
    organizationId,
    client,
    async query<R extends object>(sql: string, parameters?: unknown[]) {
      return (await client.query<R>(sql, parameters)).rows
    },
    async run(sql, parameters) {
      return (await client.query(sql, parameters)).rowCount ?? 0
    },
  }
}
