import { readConfig, SettingsRefused } from '../config.ts'
import { openInstallation, type Installation } from './installation.ts'
import { openLog } from './log.ts'

/** How long an ordered end may take, in milliseconds, before the process goes all the same; leases settle what is left. */
const ENDING_MS = 30_000

type Running = { close(): unknown }

/**
 * Runs one of the processes of an installation until it is told to end: opens the parts, starts what it is for,
 * and on SIGINT or SIGTERM closes everything in order. A second signal ends at once.
 */
export async function runProcess(start: (installation: Installation) => Promise<Running>): Promise<void> {
  const log = openLog(readLogLevel())
  // Listened for before anything starts: whoever is told to end while starting, starts, and then ends in order, within the bound.
  const told = untilToldToEnd()
  void told.then(() => setTimeout(() => process.exit(1), ENDING_MS).unref())
  let installation: Installation | undefined
  try {
    installation = await openInstallation(readConfig(), log)
    const running = await start(installation)
    await told
    log.info('ending')
    await running.close()
    await installation.close()
    log.info('ended')
  } catch (error) {
    log.fatal(error instanceof SettingsRefused ? error.message : { error: (error as Error).message }, 'could not start')
    process.exitCode = 1
    // What was opened before the fault would keep the process from ending.
    await installation?.close().catch(() => undefined)
  }
}

function readLogLevel(): ReturnType<typeof readConfig>['logLevel'] {
  try {
    return readConfig().logLevel
  } catch {
    return 'info'
  }
}

/** Resolves at the first SIGINT, SIGTERM or SIGHUP; the second ends the process. */
export function untilToldToEnd(): Promise<void> {
  return new Promise((resolve) => {
    let told = false
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (told) process.exit(130)
        told = true
        resolve()
      })
    }
  })
}
