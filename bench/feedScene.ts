/** Feeds on a real OpenSSH server, for benchmarks: declared, trusted, their secret kept. */
import { randomBytes } from 'node:crypto'
import type { Database } from '../src/entities/database.ts'
import { parseFeed } from '../src/feeds/declaration.ts'
import { applyFeed, pinHostKey } from '../src/feeds/feeds.ts'
import { storeSecret } from '../src/feeds/secrets.ts'
import { startSshServer, type SshServer } from '../test/support/sshServer.ts'
import { execute, type Ground } from './ground.ts'

export const SECRET = 'a secret for measuring, of no other use'
const OPERATOR = 'bench'
const NO_LIMITS = { creations: null, updates: null, deactivations: null, changedEmails: null, reactivations: null }

/** Gives `work` a server of its own, and ends it. */
export async function withServer<T>(ground: Ground, work: (server: SshServer) => Promise<T>): Promise<T> {
  const server = await startSshServer({ home: ground.folder })
  try {
    return await work(server)
  } finally {
    await server.stop()
  }
}

export type FeedChanges = { name: string; pattern: string; mode: 'full' | 'changes'; archive?: string | null }

/** Declares feeds of an organization whose limits nothing exceeds and that run every night; gives their ids. */
export function declareFeeds(database: Database, organization: { id: string; key: string }, server: SshServer, feeds: readonly FeedChanges[]): Promise<string[]> {
  return database.tenant(organization.id, async (tx) => {
    await storeSecret(tx, { secret: SECRET, random: randomBytes }, 'drop-key', server.privateKey, OPERATOR)
    const ids: string[] = []
    for (const feed of feeds) {
      const declaration = parseFeed({
        organization: organization.key,
        server: { host: server.host, port: server.port, username: server.username, login: { key: 'drop-key' } },
        schedule: '0 2 * * *',
        // What lies there is whole: nothing is waited for.
        readiness: { kind: 'rename' },
        thresholds: NO_LIMITS,
        delivery: 'none',
        ...feed,
      })
      const { feed: made } = await applyFeed(tx, declaration, OPERATOR)
      await pinHostKey(tx, made.id, server.hostKey, OPERATOR)
      ids.push(made.id)
    }
    return ids
  })
}

/** Two nights go by, the second of them with the same file: what the first one wrote was not written just now. */
export async function passNights(url: string): Promise<void> {
  for (const table of ['contacts', 'users']) await execute(url, `update ${table} set updated_at = updated_at - interval '2 days'`)
  await execute(url, `update known_rows set at = at - interval '1 day'`)
}
