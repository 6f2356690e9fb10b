/** Starts holder.ts and other processes for the tests of this folder, and ends whatever a test has left. */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { join } from 'node:path'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { runHome } from '../support/services.ts'
import { TEST_SETTINGS } from '../support/settings.ts'

export type Holder = {
  pid: number
  /** The next line that the process writes; rejects with its complaint when it ends instead. */
  next(): Promise<Record<string, unknown>>
  /** Lets it give back what it holds; resolves with its exit status. */
  release(): Promise<number | null>
  /** kill -9 of this process alone; resolves when it is gone. */
  kill(): Promise<void>
}

const homes = new Set<string>()
const running = new Set<ChildProcessByStdio<Writable, Readable, Readable>>()

/** A new folder to serve as MUSTER_HOME, below the run's own and so removed with it. */
export const newHome = (): string => {
  const parent = join(runHome(), 'homes')
  mkdirSync(parent, { recursive: true, mode: 0o755 })
  const folder = mkdtempSync(join(parent, 'home-'))
  // Closed to others, the folder would send root's database elsewhere, out of the run's own.
  chmodSync(folder, 0o711)
  const home = join(folder, 'muster')
  homes.add(home)
  return home
}

/** Starts holder.ts in a process group of its own. */
export const startHolder = (part: 'postgres' | 'lock' | 'place', home: string): Holder => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'holder.ts'), part, home], { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  running.add(child)
  const closed = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  return {
    pid: child.pid ?? 0,
    async next() {
      const line = await lines.next()
      if (line.done === true) throw new Error(`the holder ended: ${complaint}`)
      return JSON.parse(line.value) as Record<string, unknown>
    },
    async release() {
      child.stdin.end()
      await closed
      running.delete(child)
      return child.exitCode
    },
    async kill() {
      child.kill('SIGKILL')
      await closed
      running.delete(child)
    },
  }
}

/** For afterEach: nothing that a failed test started stays, neither a holder nor a server that outlived it. */
export const endHolders = async (): Promise<void> => {
  for (const child of running) {
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  }
  running.clear()
  for (const home of homes) {
    if (existsSync(join(home, 'postgres', 'postmaster.pid'))) {
      const server = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
      await server.release()
    }
  }
  homes.clear()
}
