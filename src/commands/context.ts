import type { Logger } from 'pino'
import { readConfig, type Config, type Environment } from '../config.ts'
import { workerSeen } from '../jobs/seenWorkers.ts'
import { openInstallation, type Installation } from './installation.ts'
import { openLog } from './log.ts'
import type { Output } from './output.ts'

/** What every command works with. */
export type Context = {
  out: Output
  environment: Environment
  config: () => Config
  log: () => Logger
  /** Opens the parts, does the work, closes them again, whatever happens. */
  with<T>(work: (installation: Installation) => Promise<T>): Promise<T>
}

/** How long an ordered end may take, in milliseconds, before the process goes all the same; leases settle what is left. */
const LEAVING_MS = 15_000
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The context of one command line; nothing is read or opened before it is asked for. */
export function contextOf(out: Output, environment: Environment): Context {
  let config: Config | undefined
  const read = (): Config => (config ??= readConfig(environment))
  // A command's log is for what goes wrong; `up`, worker and scheduler log what they do.
  const log = (): Logger => openLog(read().logLevel === 'info' ? 'warn' : read().logLevel)
  return {
    out,
    environment,
    config: read,
    log,
    async with(work) {
      const installation = await openInstallation(read(), log(), { quiet: (line) => out.progress(line) })
      let leaving = false
      const leave = (): void => {
        leaving = true
        process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))
        out.remark('Ending in order; what was taken in is kept, and goes on with the next command or ./muster up.')
        setTimeout(() => process.exit(130), LEAVING_MS)
        void installation.close().finally(() => process.exit(130))
      }
      for (const signal of ENDING) process.once(signal, leave)
      try {
        return await work(installation)
      } catch (error) {
        // What is under way finds its connections closed: the process is about to go, and there is nothing to tell.
        if (leaving) await new Promise(() => undefined)
        throw error
      } finally {
        for (const signal of ENDING) process.off(signal, leave)
        await installation.close()
        out.settle()
      }
    },
  }
}

/**
 * Sees to it that somebody works. Embedded, this process does, others or not: whoever else works may end at any moment.
 * Says so where the operator has to start a worker.
 * @returns whether nobody else works, so that this process has to stay until the mails have gone, too
 */
export async function ensureWorker(installation: Installation, out: Output): Promise<boolean> {
  const others = await workerSeen(installation.database)
  if (installation.embedded) await installation.startWorker()
  else if (!others) out.remark('No worker is running: the work waits until one is started (node worker.ts).')
  return installation.embedded && !others
}
