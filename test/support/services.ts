/**
 * The real services that tests run against, and a database for each test file.
 * startServices.ts prepares them once for a run and leaves in the environment where they are;
 * the embedded PostgreSQL starts when the first test asks for a database.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Client } from 'pg'
import { expect } from 'vitest'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { migrate } from '../../src/entities/migrate.ts'
import { PROGRAMS } from './programs.ts'
import type { Service } from './programs.ts'
import { TEST_SETTINGS } from './settings.ts'

export type TestDatabase = {
  /** The address of a migrated database that nobody else uses. */
  url: string
  name: string
  /** Removes the database, cutting off whoever is still connected; keeps it when a test of the file failed. */
  drop(): Promise<void>
}

/** The environment variable by which startServices.ts tells the tests where the run's folder is. */
export const RUN_HOME = 'MUSTER_TEST_HOME'

const TEMPLATE = 'muster_template'

let server: Promise<EmbeddedPostgres> | undefined
const failedFiles = new Set<string>()

/** The folder of this test run; startServices.ts removes it at the end. */
export const runHome = (): string => {
  const home = process.env[RUN_HOME]
  if (home === undefined) throw new Error(`${RUN_HOME} is not set: run the tests through vitest, whose configuration starts the services.`)
  return home
}

/** Makes a migrated database for a test file, in a fraction of a second. Call `drop` in afterAll, after everything that uses it is closed. */
export const testDatabase = async (): Promise<TestDatabase> => {
  const url = await serverUrl()
  const file = currentFile()
  const name = `test_${basename(file, '.test.ts').replaceAll(/\W/g, '_').toLowerCase().slice(0, 40)}_${randomBytes(4).toString('hex')}`
  await query(url, `create database ${name} template ${TEMPLATE}`)
  return {
    url: withDatabase(url, name),
    name,
    async drop() {
      if (failedFiles.has(file)) keep(name, file)
      else await query(url, `drop database if exists ${name} with (force)`)
    },
  }
}

/** The address of an empty database on the server, not migrated, for what tests the migration itself. Drop it like the other. */
export const emptyDatabase = async (): Promise<TestDatabase> => {
  const url = await serverUrl()
  const name = `test_empty_${randomBytes(4).toString('hex')}`
  await query(url, `create database ${name}`)
  return { url: withDatabase(url, name), name, drop: () => query(url, `drop database if exists ${name} with (force)`) }
}

/** The address of a Redis of the run's own (noeviction, nothing on disk), or null where none is installed. */
export const redisUrl = (): string | null => process.env[PROGRAMS.redis.variable] ?? null

/** The path of a service's program, or null where it is not installed. */
export const programOf = (service: Exclude<Service, 'redis'>): string | null => process.env[PROGRAMS[service].variable] ?? null

/** For `describe.skipIf(skipWithout('redis'))`: true, with a line that says what to install, where the service is missing. */
export const skipWithout = (service: Service): boolean => {
  if (process.env[PROGRAMS[service].variable] !== undefined) return false
  process.stderr.write(`skipped without ${service}: ${currentFile()}. Install it: apt-get install ${PROGRAMS[service].debian}\n`)
  return true
}

/** Remembers that a test of this file failed, so that its database is kept for a look. */
export const noteFailure = (file: string): void => {
  failedFiles.add(file)
}

/** Starts the run's server, or joins it, and makes the migrated template; the first to come does the work. */
const serverUrl = async (): Promise<string> => {
  server ??= acquireEmbeddedPostgres(runHome(), { log: () => undefined, settings: TEST_SETTINGS })
  const { databaseUrl } = await server
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(`select pg_advisory_lock(hashtext('${TEMPLATE}'))`)
    const { rowCount } = await client.query('select from pg_database where datname = $1', [TEMPLATE])
    if (rowCount === 0) {
      const draft = `${TEMPLATE}_draft`
      await client.query(`drop database if exists ${draft} with (force)`)
      await client.query(`create database ${draft}`)
      await migrate(withDatabase(databaseUrl, draft))
      await client.query(`alter database ${draft} rename to ${TEMPLATE}`)
    }
  } finally {
    await client.end()
  }
  return databaseUrl
}

const withDatabase = (url: string, name: string): string => {
  const address = new URL(url)
  address.pathname = `/${name}`
  return address.href
}

const query = async (url: string, text: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

const keep = (name: string, file: string): void => {
  const folder = join(runHome(), 'kept')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), file)
}

const currentFile = (): string => expect.getState().testPath ?? 'unknown'
