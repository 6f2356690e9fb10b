import { availableParallelism } from 'node:os'

/** Runs at most so many at once; the others wait in order. */
export type Lanes = { <T>(work: () => Promise<T>): Promise<T>; waiting(): number }

/** Lanes side by side; the order of waiting is the order of asking. */
export function lanes(limit: number): Lanes {
  let running = 0
  const queue: (() => void)[] = []
  const inLane = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= limit) await new Promise<void>((resolve) => queue.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else running--
    }
  }
  return Object.assign(inLane, { waiting: () => queue.length })
}

/** The lanes for argon2id of this process, one for each core: more at once would not be sooner done, and would keep the pool's threads from files and names. */
export const hashLane: Lanes = lanes(availableParallelism())

/** So many may wait for a lane; whoever comes then is asked to come back, before memory and patience are used up. */
export const MOST_WAITING = 200
