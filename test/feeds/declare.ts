/** Feeds of an organization over a test's database, declared as operators do it. */
import { randomBytes } from 'node:crypto'
import type { Database, Transaction } from '../../src/entities/database.ts'
import { parseFeed, type FeedDeclaration } from '../../src/feeds/declaration.ts'
import { applyFeed, pinHostKey, type StoredFeed } from '../../src/feeds/feeds.ts'
import { storeSecret } from '../../src/feeds/secrets.ts'
import { applyDeclaration } from '../../src/organizations/apply.ts'

export const SECRET = 'a secret of the tests that is long enough'
export const HOST_KEY = `SHA256:${'k'.repeat(43)}`
export const OTHER_HOST_KEY = `SHA256:${'o'.repeat(43)}`

export type Declaring = {
  organizationId: string
  key: string
  tenant<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Runs a statement beside everything, as an administrator of the database would. */
  sql<R extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
  /** A checked declaration with what is given in place of its parts. */
  declaration(parts?: object): FeedDeclaration
  apply(parts?: object, operator?: string): Promise<{ feed: StoredFeed; created: boolean; changes: string[] }>
  /** A feed whose server is trusted. */
  trusted(parts?: object): Promise<StoredFeed>
}

let organizations = 0

/** An organization with a secret "password", and whatever else is declared of it. */
export async function declaring(database: Database, organization: object = {}): Promise<Declaring> {
  const key = `drops-${process.pid}-${++organizations}`
  const { id: organizationId } = await applyDeclaration(database, { key, name: 'Acme Staffing', timeZone: 'America/New_York', ...organization })
  const tenant: Declaring['tenant'] = (work) => database.tenant(organizationId, work)
  await tenant((tx) => storeSecret(tx, { secret: SECRET, random: randomBytes }, 'password', 'hunter2', 'olive'))
  const declaration: Declaring['declaration'] = (parts = {}) =>
    parseFeed({ organization: key, name: 'nightly', server: { host: 'sftp.client.example', username: 'acme', login: { password: 'password' } }, pattern: '*.csv', schedule: '30 2 * * *', mode: 'full', ...parts })
  const apply: Declaring['apply'] = (parts = {}, operator = 'olive') => tenant((tx) => applyFeed(tx, declaration(parts), operator))
  return {
    organizationId,
    key,
    tenant,
    async sql<R extends object>(text: string, values: unknown[] = []) {
      return (await database.pool.query<R>(text, values)).rows
    },
    declaration,
    apply,
    async trusted(parts) {
      const { feed } = await apply(parts)
      return tenant((tx) => pinHostKey(tx, feed.id, HOST_KEY, 'olive'))
    },
  }
}
