/**
 * The embedded PostgreSQL: one server for each MUSTER_HOME, shared by every Muster process that uses that home.
 * Whoever comes first starts it, whoever leaves last stops it, and one left behind by a kill -9 is simply used again.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { becomeHolder, hasHolder, madeOnce, openHome, withLock } from './home.ts'
import type { Home, Log } from './home.ts'
import { findBinaries, giveTo, program, run } from './binaries.ts'
import { SUPERUSER, findServer, startServer, stopServer, urlOf } from './server.ts'
import { settle } from './settle.ts'
import type { Cluster } from './settle.ts'

export type EmbeddedPostgres = {
  /** Names the database `muster`, over TCP on the loopback interface. */
  databaseUrl: string
  /** Ends this use; stops the server when nobody else uses it. Calling it again does nothing. */
  release(): Promise<void>
}

export type EmbeddedOptions = {
  log: Log
  /** Server settings over those below, for tests: `{ fsync: 'off' }`. */
  settings?: Readonly<Record<string, string>>
}

const LOCK = 'postgres'
const MAJOR = '18'
const DATABASE = 'muster'
const REMOVE_ATTEMPTS = 100
const REMOVE_PAUSE_MS = 50

/**
 * Makes the cluster if there is none, starts the server if none runs, makes the database, and counts this process
 * among the users of the server until `release`. `homePath` is MUSTER_HOME.
 * Throws with what to do when PostgreSQL cannot run here.
 */
export const acquireEmbeddedPostgres = async (homePath: string, options: EmbeddedOptions): Promise<EmbeddedPostgres> => {
  const home = openHome(homePath)
  const { log } = options
  return withLock(home, LOCK, log, async () => {
    const cluster = await settle(home, await findBinaries(), log)
    const password = passwordOf(home, cluster)
    if (!existsSync(join(cluster.data, 'PG_VERSION'))) await initialize(cluster, password, log)
    checkVersion(cluster)
    const giveBack = becomeHolder(home, LOCK)
    try {
      const port = (await findServer(cluster, password, log)) ?? (await startServer(home, cluster, password, options))
      await ensureDatabase(port, password)
      return { databaseUrl: urlOf(port, password, DATABASE), release: () => release(home, cluster, giveBack, log) }
    } catch (error) {
      giveBack()
      if (!hasHolder(home, LOCK)) await stopServer(cluster).catch(() => undefined)
      throw error
    }
  })
}

const release = async (home: Home, cluster: Cluster, giveBack: () => void, log: Log): Promise<void> => {
  await withLock(home, LOCK, log, async () => {
    giveBack()
    if (!hasHolder(home, LOCK)) await stopServer(cluster)
  })
}

const passwordOf = (home: Home, cluster: Cluster): string => {
  if (!existsSync(home.passwordFile) && existsSync(join(cluster.data, 'PG_VERSION'))) {
    throw new Error(`The database in ${cluster.data} is there, but its password file ${home.passwordFile} is not. Put the file back from a backup of ${home.path}.`)
  }
  return madeOnce(home, home.passwordFile, () => randomBytes(24).toString('base64url'))
}

/** Builds the cluster under another name and renames it when whole: a killed initdb never looks like a database. */
const initialize = async (cluster: Cluster, password: string, log: Log): Promise<void> => {
  log('Making the embedded database (once) ...')
  const parent = dirname(cluster.data)
  const prefix = `${basename(cluster.data)}.making-`
  await removeDrafts(parent, prefix)
  const draft = mkdtempSync(join(parent, prefix))
  const passwordFile = join(draft, 'password')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  giveTo(cluster.user, draft, passwordFile)
  await run(program(cluster.binaries, 'initdb'), [
    '--pgdata', join(draft, 'data'), '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256',
    '--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8',
  ], cluster.user)
  renameSync(join(draft, 'data'), cluster.data)
  rmSync(draft, { recursive: true, force: true })
}

/** The initdb of a killed process may live on for a moment and go on writing: removed until nothing comes any more. */
const removeDrafts = async (parent: string, prefix: string): Promise<void> => {
  for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt += 1) {
    const drafts = readdirSync(parent).filter((name) => name.startsWith(prefix))
    if (drafts.length === 0) return
    for (const name of drafts) {
      try {
        rmSync(join(parent, name), { recursive: true, force: true })
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw cause
      }
    }
    await pause(REMOVE_PAUSE_MS)
  }
}

const checkVersion = (cluster: Cluster): void => {
  const version = readFileSync(join(cluster.data, 'PG_VERSION'), 'utf8').trim()
  if (version !== MAJOR) {
    throw new Error(`The database in ${cluster.data} is of PostgreSQL ${version}; this Muster brings PostgreSQL ${MAJOR}. Dump it with the Muster that made it and restore it into a new MUSTER_HOME.`)
  }
}

const ensureDatabase = async (port: number, password: string): Promise<void> => {
  const client = new Client({ connectionString: urlOf(port, password, 'postgres') })
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`create database ${DATABASE}`)
  } finally {
    await client.end()
  }
}
