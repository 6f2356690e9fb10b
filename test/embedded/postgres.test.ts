import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, expect, test } from 'vitest'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { TEST_SETTINGS } from '../support/settings.ts'
import { endHolders, newHome, startHolder } from './processes.ts'

afterEach(endHolders)

const acquire = (home: string, log: (line: string) => void = () => undefined) => acquireEmbeddedPostgres(home, { log, settings: TEST_SETTINGS })

const ask = async (url: unknown, text: string): Promise<unknown> => {
  const client = new Client({ connectionString: String(url) })
  await client.connect()
  try {
    const { rows } = await client.query({ text, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}

const pidFile = (home: string): string => join(home, 'postgres', 'postmaster.pid')
const serverPid = (home: string): number => Number(readFileSync(pidFile(home), 'utf8').split('\n')[0])

test('takes text as UTF-8, sorts it by code point, and is durable unless told otherwise', async () => {
  const home = newHome()
  const server = await acquireEmbeddedPostgres(home, { log: () => undefined })
  try {
    expect(await ask(server.databaseUrl, 'show server_encoding')).toBe('UTF8')
    expect(await ask(server.databaseUrl, "select string_agg(x, '' order by x) from unnest(array['b', 'ä', 'B', 'a']) x")).toBe('Babä')
    expect(await ask(server.databaseUrl, "select upper('ä')")).toBe('Ä')
    expect(await ask(server.databaseUrl, 'show fsync')).toBe('on')
    expect(await ask(server.databaseUrl, 'show synchronous_commit')).toBe('on')
    expect(await ask(server.databaseUrl, 'show listen_addresses')).toBe('127.0.0.1')
    expect(statSync(join(home, 'postgres-password')).mode & 0o777).toBe(0o600)
  } finally {
    await server.release()
  }
})

test('lets nobody in without the password', async () => {
  const server = await acquire(newHome())
  try {
    const address = new URL(server.databaseUrl)
    address.password = 'guess'
    await expect(ask(address.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  } finally {
    await server.release()
  }
})

test('two that come at once share one server, and the last to leave stops it', async () => {
  const home = newHome()
  const [one, two] = [startHolder('postgres', home), startHolder('postgres', home)]
  const [first, second] = await Promise.all([one.next(), two.next()])
  expect(first['databaseUrl']).toBe(second['databaseUrl'])
  expect(await one.release()).toBe(0)
  expect(await ask(second['databaseUrl'], 'select 1')).toBe(1)
  expect(await two.release()).toBe(0)
  await expect(ask(second['databaseUrl'], 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(existsSync(pidFile(home))).toBe(false)
})

test('a server left behind by a killed process is used again, and stopped at the end', async () => {
  const home = newHome()
  const killed = startHolder('postgres', home)
  const { databaseUrl } = await killed.next()
  const pid = serverPid(home)
  await killed.kill()
  const server = await acquire(home)
  expect(server.databaseUrl).toBe(databaseUrl)
  expect(serverPid(home)).toBe(pid)
  await server.release()
  expect(existsSync(pidFile(home))).toBe(false)
})

test('the Ctrl-C of one user does not reach the server', async () => {
  const home = newHome()
  const holder = startHolder('postgres', home)
  const { databaseUrl } = await holder.next()
  process.kill(-holder.pid, 'SIGINT')
  expect(await holder.next()).toEqual({ interrupted: true })
  expect(await ask(databaseUrl, 'select 1')).toBe(1)
  expect(await holder.release()).toBe(0)
})

test('keeps what was committed when the server itself was killed', async () => {
  const home = newHome()
  const holder = startHolder('postgres', home)
  const { databaseUrl } = await holder.next()
  await ask(databaseUrl, 'create table kept as select 42 as answer')
  process.kill(serverPid(home), 'SIGKILL')
  const server = await acquire(home)
  try {
    expect(await ask(server.databaseUrl, 'select answer from kept')).toBe(42)
  } finally {
    await server.release()
    await holder.release()
  }
})

test.for(['alone', 'with initdb'])('a database half made by a process that was killed %s is made anew', async (how) => {
  const home = newHome()
  const killed = startHolder('postgres', home)
  // initdb writes PG_VERSION early: from here on the folder looks like a database and is none.
  const drafts = (): string[] => (existsSync(home) ? readdirSync(home).filter((name) => name.startsWith('postgres.making-')) : [])
  await expect.poll(() => drafts().some((name) => existsSync(join(home, name, 'data', 'PG_VERSION'))), { interval: 2, timeout: 10_000 }).toBe(true)
  if (how === 'with initdb') process.kill(-killed.pid, 'SIGKILL')
  await killed.kill()
  expect(existsSync(join(home, 'postgres'))).toBe(false)

  const server = await acquire(home)
  try {
    expect(await ask(server.databaseUrl, 'select current_database()')).toBe('muster')
    expect(drafts()).toEqual([])
  } finally {
    await server.release()
  }
})

test('starts although its pid file names a process that lives for another purpose, and leaves that one alone', async () => {
  const home = newHome()
  await (await acquire(home)).release()
  const stranger = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  await once(stranger, 'spawn')
  try {
    writeFileSync(pidFile(home), `${stranger.pid}\n${join(home, 'postgres')}\n1\n1\n\n127.0.0.1\n\nready\n`)
    const server = await acquire(home)
    expect(await ask(server.databaseUrl, 'select 1')).toBe(1)
    await server.release()
    expect(stranger.exitCode).toBe(null)
    expect(stranger.signalCode).toBe(null)
  } finally {
    stranger.kill('SIGKILL')
  }
})

test('says what to do when the password file is gone', async () => {
  const home = newHome()
  await (await acquire(home)).release()
  rmSync(join(home, 'postgres-password'))
  await expect(acquire(home)).rejects.toThrow(/postgres-password.*backup/)
})

test('says what to do when the database is of another PostgreSQL, and leaves no server and no holder', async () => {
  const home = newHome()
  await (await acquire(home)).release()
  const version = join(home, 'postgres', 'PG_VERSION')
  writeFileSync(version, '15\n')
  await expect(acquire(home)).rejects.toThrow(/PostgreSQL 15.*brings PostgreSQL 18/)
  writeFileSync(version, '18\n')
  await (await acquire(home)).release()
  expect(existsSync(pidFile(home))).toBe(false)
})

test('gives the words of a server that does not start', async () => {
  const home = newHome()
  await expect(acquireEmbeddedPostgres(home, { log: () => undefined, settings: { shared_buffers: 'plenty' } })).rejects.toThrow(/did not start.*plenty/s)
  expect(existsSync(pidFile(home))).toBe(false)
})
