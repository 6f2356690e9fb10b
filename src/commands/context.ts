import type { Logger } from 'pino'
import { readConfig, type Config, type Environment } from '../config.ts'
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

/** A worker is counted on when it gave a sign this lately, in seconds. */
const SIGN_SECONDS = 15

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

/** Whether any worker has given a sign lately. */
export async function workerSeen({ database }: Pick<Installation, 'database'>): Promise<boolean> {
  const [seen] = await database.fleet((tx) => tx.query<{ some: boolean }>(`select exists (select from workers where seen_at > now() - interval '${SIGN_SECONDS} seconds') as some`))
  return seen!.some
}

/**
 * Sees to it that somebody works: embedded, and with nobody else there, this process does.
 * Says so where the operator has to start one.
 */
export async function ensureWorker(installation: Installation, out: Output): Promise<void> {
  if (await workerSeen(installation)) return
  if (installation.embedded) await installation.startWorker()
  else out.remark('No worker is running: the work waits until one is started (node worker.ts).')
}
