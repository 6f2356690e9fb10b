import { setTimeout as pause } from 'node:timers/promises'

/** How often, and for how long at most, a database that is away is asked again, in milliseconds. */
const AGAIN_MS = 1_000
const GIVE_UP_MS = 300_000

/**
 * Does what a worker owes to a piece of work that it leaves for the database's trouble, as soon as the database answers again: tried until it is done. Past
 * five minutes, or when the worker is to end, whoever comes next does without.
 */
export async function onceItAnswers(work: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  const until = performance.now() + GIVE_UP_MS
  for (;;) {
    try {
      await work()
      return
    } catch {
      if (signal.aborted || performance.now() > until) return
      await pause(AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }
}
