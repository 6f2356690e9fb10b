import type { Logger } from 'pino'
import type { Queues } from './queues.ts'

/** How often the sweep runs, and how often it is made sure that it does: a queue that was emptied forgets it. */
const SWEEP_MS = 2_000
const KEEP_MS = 15_000

/** Keeps the job schedulers as they should be; nothing else. Any number may run: the queue holds one schedule of each name. */
export async function startScheduler(queues: Pick<Queues, 'keepSweeping'>, log: Logger): Promise<{ close(): void }> {
  const keep = (): Promise<void> => queues.keepSweeping(SWEEP_MS).catch((error: Error) => log.warn({ error: error.message }, 'the sweep could not be scheduled'))
  await keep()
  const timer = setInterval(() => void keep(), KEEP_MS)
  log.info('scheduler ready')
  return { close: () => clearInterval(timer) }
}
