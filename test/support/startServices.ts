/**
 * vitest's globalSetup: a folder for the run, Redis where it is installed, and the paths of other programs.
 * At the end everything is stopped and removed; after Ctrl-C or a kill the janitor does it.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, realpathSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { becomeHolder, openHome, withLock } from '../../src/embedded/home.ts'
import { PROGRAMS } from './programs.ts'
import { RUN, clearEndedRuns, clearRun, keptIn } from './runs.ts'
import { RUN_HOME } from './services.ts'

const REDIS_START_MS = 10_000
const quiet = (): void => undefined

export default async function startServices(): Promise<() => Promise<void>> {
  const runs = join(realpathSync(tmpdir()), `muster-test-${process.getuid?.() ?? 'all'}`)
  // Two runs that start together take turns, so that neither clears away what the other has just begun.
  const { home, endRun } = await withLock(openHome(runs), RUN, quiet, async () => {
    await clearEndedRuns(runs)
    const home = openHome(mkdtempSync(join(runs, 'run-')))
    chmodSync(home.path, 0o711)
    return { home, endRun: becomeHolder(home, RUN) }
  })
  process.env[RUN_HOME] = home.path

  const redis = await startRedis(home.path)
  if (redis !== undefined) process.env[PROGRAMS.redis.variable] = redis.url
  for (const { program, variable } of [PROGRAMS.chromium, PROGRAMS.sshd, PROGRAMS.sftp]) {
    const path = findProgram(program)
    if (path !== undefined) process.env[variable] = path
  }
  const janitor = spawn(process.execPath, [join(import.meta.dirname, 'janitor.ts'), home.path, ...(redis === undefined ? [] : [String(redis.process.pid)])], {
    stdio: ['pipe', 'ignore', 'inherit'], detached: true,
  })
  // Neither the process nor the pipe to it keeps the run alive.
  janitor.unref()

  return async () => {
    if (redis !== undefined) await ended(redis.process)
    const kept = keptIn(home.path)
    for (const { name, file } of kept) process.stderr.write(`Kept database ${name}, because a test of ${file} failed.\n`)
    if (kept.length > 0) process.stderr.write(`Until the next run: node test/support/openKept.ts ${home.path}\n`)
    endRun()
    await clearRun(home.path, { spareKept: true })
    const gone = once(janitor, 'exit')
    janitor.stdin.end('cleared')
    await gone
  }
}

const startRedis = async (home: string): Promise<{ url: string; process: ChildProcess } | undefined> => {
  const path = findProgram(PROGRAMS.redis.program)
  if (path === undefined) return undefined
  const folder = join(home, 'redis')
  mkdirSync(folder)
  const port = await freePort()
  const child = spawn(path, [
    '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no',
    '--maxmemory-policy', 'noeviction', '--daemonize', 'no',
  ], { stdio: ['ignore', 'ignore', 'inherit'], detached: true })
  const started = performance.now()
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() - started > REDIS_START_MS) {
      child.kill('SIGKILL')
      throw new Error(`${path} did not start on port ${port}.`)
    }
    await pause(20)
  }
  return { url: `redis://127.0.0.1:${port}`, process: child }
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done()
    child.once('exit', () => done())
    child.kill('SIGTERM')
  })

const findProgram = (name: string): string | undefined =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/sbin', dirname(process.execPath)]
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

const listens = (port: number): Promise<boolean> =>
  new Promise((answer) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      answer(true)
    })
    socket.once('error', () => answer(false))
  })

const freePort = (): Promise<number> =>
  new Promise((found, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => found(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
