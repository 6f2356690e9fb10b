/** A connection that brings nothing any more is ended; whatever takes its time is left alone. */
import { Pool } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ConnectionSilent, PatientClient, watchConnections } from '../../src/entities/watchConnections.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcpProxy.ts'

let database: TestDatabase
let proxy: TcpProxy
let direct: Pool
const pools: Pool[] = []
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  proxy = await startTcpProxy({ port: Number(new URL(database.url).port) })
  direct = new Pool({ connectionString: database.url })
})
afterEach(async () => {
  await proxy.close()
  for (const pool of [direct, ...pools.splice(0)]) await pool.end()
})

/** Connections by way of the proxy, or without it; the server is asked without it. */
function watched({ throughProxy }: { throughProxy: boolean }): Pool {
  const address = new URL(database.url)
  if (throughProxy) address.port = String(proxy.port)
  const pool = new Pool({ connectionString: address.href, Client: PatientClient })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  watchConnections(pool, database.url)
  pools.push(pool)
  return pool
}

const pidOf = async (client: { query(text: string): Promise<{ rows: { pid: number }[] }> }): Promise<number> => (await client.query('select pg_backend_pid() as pid')).rows[0]!.pid
const there = async (pid: number): Promise<boolean> => (await direct.query('select from pg_stat_activity where pid = $1', [pid])).rowCount === 1

describe('watched connections', { timeout: 30_000 }, () => {
  test('a statement that never arrived is rejected, and its session, which holds locks, is ended; one that takes as long, and a COPY that waits for us, are left alone', async () => {
    await direct.query('create table copied (x text)')
    const holder = await direct.connect()
    await holder.query('select pg_advisory_lock(1)')

    const lost = await watched({ throughProxy: true }).connect()
    const lostPid = await pidOf(lost)
    await lost.query('begin; lock table copied in share update exclusive mode')
    const healthy = watched({ throughProxy: false })
    const slow = healthy.query('select pg_advisory_xact_lock(1), 1 as one')
    const copying = await healthy.connect()
    const copy = copying.query(copyFrom('copy copied from stdin'))
    await new Promise<void>((resolve) => void copy.write('one\n', () => resolve()))

    proxy.hang()
    await expect(lost.query('select 1')).rejects.toBeInstanceOf(ConnectionSilent)
    await expect.poll(() => there(lostPid)).toBe(false)
    lost.release(true)

    await holder.query('select pg_advisory_unlock(1)')
    holder.release()
    expect((await slow).rows).toMatchObject([{ one: 1 }])
    copy.end('two\n')
    await new Promise((resolve, reject) => void copy.once('finish', () => resolve(null)).once('error', reject))
    copying.release()
    expect((await direct.query('select x from copied order by x')).rows).toEqual([{ x: 'one' }, { x: 'two' }])
  })

  test('a statement whose session is gone is rejected, and the pool goes on with another connection', async () => {
    const pool = watched({ throughProxy: true })
    await pool.query('select 1')
    proxy.halfOpen()
    await expect(pool.query('select 1')).rejects.toBeInstanceOf(ConnectionSilent)
    expect((await pool.query('select 2 as two')).rows).toEqual([{ two: 2 }])
  })
})
