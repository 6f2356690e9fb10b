/** The embedded server's process: found when one runs, started when none does, stopped. All of it under the home's lock. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { program, run } from './binaries.ts'
import { giveToHomeOwner } from './home.ts'
import type { Home, Log } from './home.ts'
import type { Cluster } from './settle.ts'

export const SUPERUSER = 'muster'

const POLL_MS = 40
const TELL_MS = 5000
/** Backends of a killed server hold its shared memory until they notice, within seconds. */
const START_ATTEMPTS = 20
const STOP_SECONDS = 60
const WAITING = 'Waiting for the database, which is recovering from an interruption ...'

/**
 * For a small machine that also runs Muster itself. No replicas, so the least WAL; durable (fsync, synchronous_commit).
 * No parallel plans: two cores, and Docker's 64 MB of /dev/shm is too small for parallel hash joins.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  work_mem: '16MB',
  maintenance_work_mem: '256MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',
  fsync: 'on',
  synchronous_commit: 'on',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  random_page_cost: '1.1',
  TimeZone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  log_min_messages: 'warning',
}

/** The address of a database of this server. */
export const urlOf = (port: number, password: string, database: string): string =>
  `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`

/** The port of this cluster's server if one runs, after any recovery it is in; undefined when it has to be started. */
export const findServer = async (cluster: Cluster, password: string, log: Log): Promise<number | undefined> => {
  const tell = teller(log)
  for (;;) {
    const found = readPidFile(cluster)
    if (found === undefined || !isAlive(found.pid)) return undefined
    const answer = found.port > 0 ? await ask(cluster, found.port, password) : 'nobody'
    if (answer === 'ready') return found.port
    // Something lives under that process id, yet it is not this server: the id was given away again.
    if (answer !== 'busy' && !(await isServerOf(cluster, found.pid))) return undefined
    if (answer === 'stranger') throw new Error(strangerMessage(cluster))
    tell()
    await pause(POLL_MS)
  }
}

/**
 * Starts the server in a session of its own, so that a Ctrl-C meant for one Muster does not reach it,
 * and waits until it takes connections. Resolves with its port; throws with the server's own words.
 */
export const startServer = async (
  home: Home, cluster: Cluster, password: string, { log, settings }: { log: Log; settings?: Readonly<Record<string, string>> },
): Promise<number> => {
  const tell = teller(log)
  let words = ''
  for (let attempt = 1; attempt <= START_ATTEMPTS; attempt += 1) {
    disownPidFile(cluster)
    const port = await freePort()
    const ended = launch(home, cluster, port, { ...SETTINGS, ...settings })
    while (ended.words === undefined) {
      const answer = await ask(cluster, port, password)
      if (answer === 'ready') return port
      if (answer === 'stranger' && (await isServerOf(cluster, readPidFile(cluster)?.pid ?? 0))) {
        await stopServer(cluster)
        throw new Error(strangerMessage(cluster))
      }
      tell()
      await pause(POLL_MS)
    }
    words = ended.words
    if (!/pre-existing shared memory block|could not bind|could not create any TCP/.test(words)) break
    await pause(POLL_MS * attempt)
  }
  throw new Error(`The embedded PostgreSQL did not start. It said:\n${words.split('\n').slice(-12).join('\n')}\nThe whole is in ${home.postgresLog}. A PostgreSQL of your own can be named in DATABASE_URL.`)
}

/** Stops the server if it runs, letting no transaction finish that is not committed. Clients are cut off. */
export const stopServer = async (cluster: Cluster): Promise<void> => {
  const found = readPidFile(cluster)
  // pg_ctl would signal whatever bears that process id now.
  if (found === undefined || !(await isServerOf(cluster, found.pid))) return
  const args = ['stop', '--pgdata', cluster.data, '--mode', 'fast', '--wait', '--timeout', String(STOP_SECONDS)]
  await run(program(cluster.binaries, 'pg_ctl'), args, cluster.user)
}

const launch = (home: Home, cluster: Cluster, port: number, settings: Readonly<Record<string, string>>): { words: string | undefined } => {
  if (existsSync(home.postgresLog)) renameSync(home.postgresLog, `${home.postgresLog}.old`)
  const output = openSync(home.postgresLog, 'wx', 0o600)
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(program(cluster.binaries, 'postgres'), ['-D', cluster.data, '-p', String(port), ...args], {
    cwd: cluster.data, detached: true, stdio: ['ignore', output, output], windowsHide: true, ...cluster.user,
  })
  closeSync(output)
  giveToHomeOwner(home, home.postgresLog)
  const ended: { words: string | undefined } = { words: undefined }
  server.once('exit', () => (ended.words = readFileSync(home.postgresLog, 'utf8').trim()))
  server.once('error', (error) => (ended.words = error.message))
  server.unref()
  return ended
}

type PidFile = { pid: number; port: number }

const pidFileOf = (cluster: Cluster): string => join(cluster.data, 'postmaster.pid')

const readPidFile = (cluster: Cluster): PidFile | undefined => {
  try {
    const lines = readFileSync(pidFileOf(cluster), 'utf8').split('\n')
    return { pid: Number(lines[0]), port: Number(lines[3] ?? 0) }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
}

/**
 * A pid file left by a killed server may name a process that lives for another purpose, and PostgreSQL would refuse to start.
 * Deleting the file would also skip its check for the dead server's shared memory; naming this process, whose child
 * the server will be, passes only the first check.
 */
const disownPidFile = (cluster: Cluster): void => {
  if (readPidFile(cluster) === undefined) return
  const [, ...rest] = readFileSync(pidFileOf(cluster), 'utf8').split('\n')
  writeFileSync(pidFileOf(cluster), [process.pid, ...rest].join('\n'))
}

/**
 * `busy`: a server is there that lets nobody in yet. `stranger`: one that does not know the password or keeps other data.
 * `nobody`: no answer.
 */
type Answer = 'ready' | 'busy' | 'stranger' | 'nobody'

const ask = async (cluster: Cluster, port: number, password: string): Promise<Answer> => {
  const client = new Client({ connectionString: urlOf(port, password, 'postgres'), connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ data_directory: string }>('show data_directory')
    return rows[0]?.data_directory === cluster.data ? 'ready' : 'stranger'
  } catch (cause) {
    const code = (cause as { code?: string }).code
    // 57P03: starting up or shutting down. Class 28: who are you?
    if (code === '57P03') return 'busy'
    return code?.startsWith('28') === true ? 'stranger' : 'nobody'
  } finally {
    await client.end().catch(() => undefined)
  }
}

const strangerMessage = (cluster: Cluster): string =>
  `The database in ${cluster.data} does not take the password kept in MUSTER_HOME. Put back the postgres-password that belongs to it from a backup.`

/** A port that was free a moment ago; when somebody takes it meanwhile, the start is tried again with another. */
const freePort = (): Promise<number> =>
  new Promise((found, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => found(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Whether that process is the server of this cluster, by its command line; Windows does not tell, and is believed. */
const isServerOf = async (cluster: Cluster, pid: number): Promise<boolean> => {
  if (pid <= 0 || !isAlive(pid)) return false
  if (process.platform === 'win32') return true
  try {
    const line = process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      : await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)], {})
    return line.includes(` -D ${cluster.data} `)
  } catch {
    return false
  }
}

/** Says once that it takes long, when called later than a few seconds after its making. */
const teller = (log: Log): (() => void) => {
  const started = performance.now()
  let told = false
  return () => {
    if (told || performance.now() - started < TELL_MS) return
    told = true
    log(WAITING)
  }
}
