/**
 * Waits for the end of a test run, however it ends, and clears away what the run could not: after Ctrl-C or a kill -9.
 * `node janitor.ts RUN_FOLDER [REDIS_PID]`; its standard input is a pipe from the run, which the system closes.
 * A run that has cleared away for itself writes a word into it first.
 */
import { text } from 'node:stream/consumers'
import { clearRun, runEnded } from './runs.ts'

const [folder, redis] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: janitor.ts RUN_FOLDER [REDIS_PID]')

process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

if ((await text(process.stdin)) === '') {
  try {
    if (redis !== undefined) process.kill(Number(redis), 'SIGKILL')
  } catch {
    // It has ended already.
  }
  await runEnded(folder)
  await clearRun(folder, { spareKept: true })
}
