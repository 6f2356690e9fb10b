/**
 * The folders of test runs: each run has one, with the database, Redis and whatever else its tests make, and it goes with the run.
 * A run that was killed is cleared away by its janitor (janitor.ts), or by the next run.
 */
import { existsSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { hasHolder, openHome } from '../../src/embedded/home.ts'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { TEST_SETTINGS } from './settings.ts'

/** The part that a run holds for as long as it lives. */
export const RUN = 'run'

const PATIENCE_MS = 30_000
const quiet = (): void => undefined

/** The databases that tests of this run failed on, and which are kept for a look. */
export const keptIn = (path: string): { name: string; file: string }[] => {
  const folder = join(path, 'kept')
  if (!existsSync(folder)) return []
  return readdirSync(folder).map((name) => ({ name, file: readFileSync(join(folder, name), 'utf8') }))
}

/** Stops the servers of a run that has ended, and removes its folder; with `spareKept`, not one that keeps a database. */
export const clearRun = async (path: string, { spareKept }: { spareKept: boolean }): Promise<void> => {
  if (!existsSync(path)) return
  await removeHomesOfTests(join(path, 'homes'))
  await stopServer(path)
  if (spareKept && keptIn(path).length > 0) return
  await remove(path)
}

/** Clears away all runs that have ended. Runs that still live are left alone. */
export const clearEndedRuns = async (runs: string): Promise<void> => {
  for (const entry of readdirSync(runs, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    const home = openHome(join(runs, entry.name))
    if (!hasHolder(home, RUN) && !hasHolder(home, 'postgres')) await clearRun(home.path, { spareKept: false })
  }
}

/** Waits until neither the run nor a worker of it lives, which may outlast the run for a moment; gives up after half a minute. */
export const runEnded = async (path: string): Promise<void> => {
  const home = openHome(path)
  const started = performance.now()
  while ((hasHolder(home, RUN) || hasHolder(home, 'postgres')) && performance.now() - started < PATIENCE_MS) await pause(50)
}

/** Tests of the embedded server make homes of their own, two levels down. */
const removeHomesOfTests = async (folder: string): Promise<void> => {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    const home = join(folder, name, 'muster')
    if (existsSync(home)) await stopServer(home)
  }
}

/** To join and to leave: whoever leaves last stops the server. */
const stopServer = async (path: string): Promise<void> => {
  if (!existsSync(join(path, 'postgres', 'postmaster.pid'))) return
  try {
    const server = await acquireEmbeddedPostgres(path, { log: quiet, settings: TEST_SETTINGS })
    await server.release()
  } catch {
    // A test has broken this home on purpose, and its server does not run.
  }
}

const remove = async (path: string): Promise<void> => {
  const data = join(path, 'postgres')
  // Where root had to keep the data elsewhere, this is a link to them.
  if (existsSync(data)) rmSync(realpathSync(data), { recursive: true, force: true })
  const started = performance.now()
  // An initdb whose process was killed goes on writing for a moment.
  while (existsSync(path) && performance.now() - started < PATIENCE_MS) {
    try {
      rmSync(path, { recursive: true, force: true })
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw cause
    }
    if (existsSync(path)) await pause(50)
  }
}
