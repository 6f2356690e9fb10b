import type { Socket } from 'node:net'
import { Client, type ClientConfig, type Pool, type PoolClient } from 'pg'

/**
 * What every connection to PostgreSQL begins with. A server that does not take it within this time is tried again by whoever asks next, and one
 * whose machine or route is gone is found out by the system: asked after ten seconds without a word, given up after ten more.
 */
export const PATIENT = { keepAlive: true, keepAliveInitialDelayMillis: 10_000, connectionTimeoutMillis: 15_000 } as const

/** For a pool: there the time for connecting is not to run while somebody waits for a connection that another one uses. */
export class PatientClient extends Client {
  constructor(config: string | ClientConfig = {}) {
    super({ ...(typeof config === 'string' ? { connectionString: config } : config), ...PATIENT })
  }
}

/** How often connections that owe an answer are looked at, and after how many looks without a byte the server is asked about one. */
const LOOK_MS = 2_000
const SILENT_LOOKS = 5
/** Whoever is asked has to answer. */
const ASK_MS = 5_000

/** A connection that brings nothing any more, though the server says that it has nothing to do there. */
export class ConnectionSilent extends Error {
  readonly code = 'database.silent'
  constructor() {
    super('the connection to the database brings nothing any more')
    this.name = 'ConnectionSilent'
  }
}

/** What pg does not tell in its types. */
type Looked = PoolClient & { connection: { stream: Socket }; readyForQuery?: boolean; processID: number | null; _getActiveQuery?: () => { writableEnded?: boolean } | null }

/**
 * Ends a pool's connections that are half open: a statement waits for its answer, not a byte moves for ten seconds, and the server, asked over
 * a connection of its own, knows of no such session or waits for us. However long a statement takes, nothing happens to it while the server is at it. What
 * waited is rejected with ConnectionSilent, and the session there is ended, so that nobody waits for its locks.
 * Behind a pooler, which gives sessions numbers of its own, nothing can be asked: there the system's keepalive has to do.
 */
export function watchConnections(pool: Pool, databaseUrl: string): void {
  const clients = new Map<Looked, { bytes: number; looks: number }>()
  let asking = false
  const look = async (): Promise<void> => {
    if (pool.ended) return clearInterval(timer)
    const silent: Looked[] = []
    for (const [client, seen] of clients) {
      const bytes = moved(client)
      // Looks are counted, not time: a process that stood still has not waited.
      seen.looks = owesAnswer(client) && bytes === seen.bytes ? seen.looks + 1 : 0
      seen.bytes = bytes
      if (seen.looks >= SILENT_LOOKS) silent.push(client)
    }
    if (silent.length === 0 || asking) return
    asking = true
    try {
      const lost = await lostOf(databaseUrl, silent.map((client) => client.processID!))
      for (const client of silent) {
        if (!lost.has(client.processID!) || !owesAnswer(client) || moved(client) !== clients.get(client)?.bytes) continue
        clients.delete(client)
        client.connection.stream.destroy(new ConnectionSilent())
      }
    } catch {
      // The server does not answer anybody: there is nothing better than to wait for it.
    } finally {
      asking = false
    }
  }
  const timer = setInterval(() => void look(), LOOK_MS)
  timer.unref()
  pool.on('connect', (client) => void clients.set(client as Looked, { bytes: 0, looks: 0 }))
  pool.on('remove', (client) => void clients.delete(client as Looked))
}

const moved = ({ connection: { stream } }: Looked): number => stream.bytesRead + stream.bytesWritten

function owesAnswer(client: Looked): boolean {
  if (client.readyForQuery !== false || client.processID === null) return false
  // A COPY that is still being written, and of which all has left: it is our turn.
  return !(client['_getActiveQuery']?.()?.writableEnded === false && client.connection.stream.writableLength === 0)
}

/** Of these sessions, those that the server does not have, or where it waits for us; the latter it ends. */
async function lostOf(databaseUrl: string, pids: number[]): Promise<Set<number>> {
  const client = new Client({ connectionString: databaseUrl, ...PATIENT, connectionTimeoutMillis: ASK_MS, query_timeout: ASK_MS, application_name: 'muster watch' })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ pid: number; itself: number; there: boolean; waits: boolean }>(
      `select p.pid, pg_backend_pid() as itself, a.pid is not null as there,
         coalesce((a.state like 'idle%' or a.wait_event in ('ClientRead', 'ClientWrite')) and a.state_change < clock_timestamp() - interval '5 seconds', false) as waits
       from unnest($1::int[]) as p (pid) left join pg_stat_activity a on a.pid = p.pid`,
      [pids],
    )
    if (rows[0]?.itself !== (client as unknown as Looked).processID) return new Set()
    const waiting = rows.filter(({ waits }) => waits).map(({ pid }) => pid)
    if (waiting.length > 0) await client.query('select pg_terminate_backend(pid) from pg_stat_activity where pid = any ($1) and usename = current_user', [waiting])
    return new Set(rows.filter(({ there, waits }) => !there || waits).map(({ pid }) => pid))
  } finally {
    // Not asked for its farewell: one that fell silent would never answer.
    ;(client as unknown as Looked).connection.stream.destroy()
  }
}
