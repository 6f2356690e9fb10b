import type { FastifyInstance } from 'fastify'
import type { Database } from '../../entities/database.ts'
import { seenWorkers } from '../../jobs/seenWorkers.ts'

/** Longest time that the database is waited for. */
const PATIENCE_MS = 3_000

/** `ok`; `degraded`: it runs, and no worker does; `failing`: the database does not answer. Status 503 for the last. */
export type Health = { status: 'ok' | 'degraded' | 'failing'; database: 'ok' | 'unreachable'; workers: number | null }

/** GET /healthz, for monitoring: JSON. */
export function healthRoutes(app: FastifyInstance, database: Database): void {
  app.get('/healthz', async (_, reply) => {
    const health = await readHealth(database)
    return reply.status(health.status === 'failing' ? 503 : 200).send(health)
  })
}

async function readHealth(database: Database): Promise<Health> {
  let timer: NodeJS.Timeout | undefined
  const asking = seenWorkers(database).then((workers) => workers.filter((worker) => worker.alive).length)
  const waiting = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), PATIENCE_MS)
  })
  const workers = await Promise.race([asking, waiting]).catch(() => null)
  clearTimeout(timer)
  asking.catch(() => undefined)
  if (workers === null) return { status: 'failing', database: 'unreachable', workers: null }
  return { status: workers > 0 ? 'ok' : 'degraded', database: 'ok', workers }
}
