import type { Logger } from 'pino'
import type { Queues } from './queues.ts'

/** How often the sweep runs, and how often it is made sure that it does: a queue that was emptied forgets it. */
const SWEEP_MS = 1_000
const KEEP_MS = 15_000

/**
 * Keeps the job schedulers as they should be; nothing else. Any number may run: the queue holds one schedule of each name.
 * @param every milliseconds between two sweeps, and between two looks whether they are scheduled
 */
export async function startScheduler(queues: Pick<Queues, 'keepSweeping'>, log: Logger, every: { sweepMs?: number; keepMs?: number } = {}): Promise<{ close(): void }> {
  const keep = (): Promise<void> => queues.keepSweeping(every.sweepMs ?? SWEEP_MS).catch((error: Error) => log.warn({ error: error.message }, 'the sweep could not be scheduled'))
  await keep()
  const timer = setInterval(() => void keep(), every.keepMs ?? KEEP_MS)
  log.info('scheduler ready')
  return { close: () => clearInterval(timer) }
}
