import type { Database } from '../entities/database.ts'

/** Seconds without a sign after which people are told that a worker is gone. */
export const WORKER_SILENCE_SECONDS = 30

export type SeenWorker = { name: string; startedAt: Date; seenAt: Date; alive: boolean }

/** Whether any worker has given a sign lately. */
export async function workerSeen(database: Database): Promise<boolean> {
  return (await seenWorkers(database)).some(({ alive }) => alive)
}

/** Workers that gave a sign lately, by name; none that is alive is a state people are shown (spec E2). By the database's clock. */
export function seenWorkers(database: Database): Promise<SeenWorker[]> {
  return database.fleet((tx) =>
    tx.query<SeenWorker>(
      `select name, started_at as "startedAt", seen_at as "seenAt", seen_at > now() - make_interval(secs => $1) as alive from workers order by name`,
      [WORKER_SILENCE_SECONDS],
    ),
  )
}
