import { setImmediate as turn } from 'node:timers/promises'

/** A named place where the process may end, for tests of crashes. Nothing happens where it is not the configured one. */
export type Failpoint = (name: string) => Promise<void>

const TURNS = 10

/**
 * Makes the failpoints of a process. At the configured one it kills itself, without a chance to clean up.
 * @param configured config.failpoint, which is null except under NODE_ENV=test
 */
export function failpointAt(configured: string | null): Failpoint {
  return async (name) => {
    if (name !== configured) return
    // What was written just before shall have left: a crash a moment later, not before.
    for (let left = TURNS; left > 0; left--) await turn()
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => undefined)
  }
}
