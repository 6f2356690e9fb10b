import { hostname } from 'node:os'
import type { Database } from '../entities/database.ts'

/** Seconds without a sign after which people are told that a worker is gone. */
export const WORKER_SILENCE_SECONDS = 30

export type SeenWorker = { name: string; startedAt: Date; seenAt: Date; alive: boolean }

/** A worker's name tells its machine and process, so that one killed on this machine is not counted on for its last sign. */
export const workerName = (random: string): string => `${hostname()}-${process.pid}-${random}`

/** Whether any worker has given a sign lately; one of this machine has to be running besides. */
export async function workerSeen(database: Database): Promise<boolean> {
  return (await seenWorkers(database)).some(({ name, alive }) => alive && !isDeadHere(name))
}

function isDeadHere(name: string): boolean {
  const [, pid] = name.startsWith(`${hostname()}-`) ? (/-(\d+)-[0-9a-f]+$/.exec(name) ?? []) : []
  if (pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
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
