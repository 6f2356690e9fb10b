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

/** What a command works with; nothing is read or opened before it asks. */
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
      try {
        return await work(installation)
      } finally {
        await installation.close()
        out.settle()
      }
    },
  }
}

/**
 * Sees to it that somebody works: embedded, and with nobody else there, this process does.
 * Says so where the operator has to start one.
 * @returns whether it is this process that works, so that it has to stay until the work is done
 */
export async function ensureWorker(installation: Installation, out: Output): Promise<boolean> {
  if (await workerSeen(installation.database)) return false
  if (!installation.embedded) {
    out.remark('No worker is running: the work waits until one is started (node worker.ts).')
    return false
  }
  await installation.startWorker()
  return true
}
