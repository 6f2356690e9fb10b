/**
 * The ground that benchmarks stand on: a temporary folder with an embedded PostgreSQL of its own, databases copied from templates,
 * and child processes. All of it is gone when the run ends, after Ctrl-C too.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { Client } from 'pg'
import { acquireEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { migrate } from '../src/entities/migrate.ts'

export type Child = ChildProcessByStdio<Writable, Readable, null>

export type GroundOptions = {
  /** Pairs that each benchmark measures. */
  runs: number
  /** Share of the full size that is measured: 1 is the size that the targets are about. */
  scale: number
  /** Progress, a line at a time. */
  say: (line: string) => void
}

export type Ground = {
  /** For files; removed at the end. */
  folder: string
  runs: number
  say: (line: string) => void
  /** A number of rows or mails of the full size, scaled down. */
  scaled(count: number): number
  /** What `make` gave the first time it was asked for under this name. */
  once<T>(name: string, make: () => Promise<T>): Promise<T>
  /** Makes a database once, from a template or migrated from nothing, fills it, and vacuums it. */
  template<T>(name: string, from: string | null, fill: (url: string) => Promise<T>): Promise<T>
  /** Gives `work` a fresh copy of a template, with everything written to disk before; drops it afterwards. */
  withCopy<T>(template: string, work: (url: string) => Promise<T>): Promise<T>
  /** Starts a script of this checkout under this Node. Its words on stderr are passed on. */
  child(script: string, args: string[], environment?: Record<string, string>): Child
  close(): Promise<void>
}

/** Vacuuming is done off the clock here, and not by chance in one run of several. */
const SETTINGS = { autovacuum: 'off' }
const BASE = 'bench_base'

export async function openGround({ runs, scale, say }: GroundOptions): Promise<Ground> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'muster-bench-'))
  // The database's server may run as another user, who passes through here.
  chmodSync(folder, 0o711)
  const children = new Set<Child>()
  const known = new Map<string, Promise<unknown>>()
  let copies = 0
  let closing: Promise<void> | undefined
  // Asked for when the first benchmark wants a database: reading workbooks needs none.
  let server: ReturnType<typeof acquireEmbeddedPostgres> | undefined

  const serverUrl = async (): Promise<string> => {
    if (closing) throw new Error('the run has ended')
    server ??= acquireEmbeddedPostgres(join(folder, 'home'), { log: say, settings: SETTINGS })
    return (await server).databaseUrl
  }
  const urlOf = async (name: string): Promise<string> => Object.assign(new URL(await serverUrl()), { pathname: `/${name}` }).href

  const ground: Ground = {
    folder,
    runs,
    say,
    scaled: (count) => Math.max(1, Math.round(count * scale)),
    once<T>(name: string, make: () => Promise<T>) {
      if (!known.has(name)) known.set(name, make())
      return known.get(name) as Promise<T>
    },
    template: (name, from, fill) =>
      ground.once(`template ${name}`, async () => {
        if (from === null && name !== BASE) await ground.template(BASE, null, migrate)
        await execute(await serverUrl(), `create database ${name}${name === BASE ? '' : ` template ${from ?? BASE}`}`)
        const url = await urlOf(name)
        const filled = await fill(url)
        await execute(url, 'vacuum (analyze, freeze)')
        return filled
      }),
    async withCopy(template, work) {
      const name = `bench_copy_${++copies}`
      await execute(await serverUrl(), `create database ${name} template ${template}`)
      const url = await urlOf(name)
      await execute(url, 'checkpoint')
      try {
        return await work(url)
      } finally {
        if (!closing) await execute(await serverUrl(), `drop database ${name} with (force)`)
      }
    },
    child(script, args, environment = {}) {
      const child = spawn(process.execPath, [join(import.meta.dirname, '..', script), ...args], {
        stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...environment },
      })
      children.add(child)
      child.once('close', () => children.delete(child))
      return child
    },
    close: () => (closing ??= end()),
  }

  async function end(): Promise<void> {
    await Promise.all([...children].map((child) => ended(child)))
    await (await server?.catch(() => undefined))?.release()
    rmSync(folder, { recursive: true, force: true })
  }
  return ground
}

const PATIENCE_MS = 15_000

/** Ends a child in order, or after a while without. */
export async function ended(child: Child): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS).unref()
  })
}

/** What a child says on its standard output until it ends. Rejects where it does not end well. */
export async function saidBy(child: Child): Promise<string> {
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  let text = ''
  for await (const part of child.stdout) text += String(part)
  const status = await closed
  if (status !== 0) throw new Error(`${child.spawnargs.slice(1).join(' ')} ended with status ${status}`)
  return text
}

/** Runs a statement as the database's administrator. */
export async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

