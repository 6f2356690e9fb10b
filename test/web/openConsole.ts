/** The console over a test's own database, asked as a browser would, without a port. */
import type { FastifyInstance } from 'fastify'
import { Database } from '../../src/entities/database.ts'
import { buildConsole } from '../../src/web/startConsole.ts'
import type { ConsoleParts } from '../../src/web/parts.ts'
import { testDatabase } from '../support/services.ts'

export type Page = {
  status: number
  headers: Record<string, string | string[] | number | undefined>
  html: string
  /** What a reader sees: tags gone, entities read, spaces joined. */
  text: string
}

export type OpenedConsole = {
  database: Database
  app: FastifyInstance
  get(path: string, headers?: Record<string, string>): Promise<Page>
  /** Runs a statement beside everything, as an administrator of the database would. */
  sql<R extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
  close(): Promise<void>
}

/** Opens a console on a database that nobody else uses. Call `close` in afterAll. */
export async function openConsole(parts: Partial<ConsoleParts> = {}): Promise<OpenedConsole> {
  const own = await testDatabase()
  const database = new Database(own.url, { maxConnections: 4 })
  const app = await buildConsole({ mailboxHome: null, port: 0, ...parts, database })
  return {
    database,
    app,
    async get(path, headers = {}) {
      const { statusCode, headers: answered, body } = await app.inject({ url: path, headers: { host: 'localhost:3000', ...headers } })
      // = need not be escaped, and is easier read as itself.
      return { status: statusCode, headers: answered, html: body.replaceAll('&#x3D;', '='), text: readAs(body) }
    },
    sql: async <R extends object>(text: string, values: unknown[] = []) => (await database.pool.query<R>(text, values)).rows,
    async close() {
      await app.close()
      await database.close()
      await own.drop()
    },
  }
}

/** A worker that has given a sign `secondsAgo`. */
export const seeWorker = ({ sql }: Pick<OpenedConsole, 'sql'>, name: string, secondsAgo = 0): Promise<unknown> =>
  sql(`insert into workers (name, seen_at) values ($1, now() - make_interval(secs => $2)) on conflict (name) do update set seen_at = excluded.seen_at`, [name, secondsAgo])

const ENTITIES: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#x27;': "'", '&#x60;': '`', '&#x3D;': '=', '&amp;': '&' }

const readAs = (html: string): string =>
  html
    .replace(/<head>.*?<\/head>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:lt|gt|quot|amp|#x27|#x60|#x3D);/g, (entity) => ENTITIES[entity]!)
    .replace(/\s+/g, ' ')
