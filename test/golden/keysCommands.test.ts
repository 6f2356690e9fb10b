/** API keys on the command line, as scripts and people see it: a process each. */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrateQueues } from '../../src/jobs/queues.ts'
import { importing } from '../support/importing.ts'
import { Database } from '../../src/entities/database.ts'
import { newHome } from '../embedded/processes.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

type Ran = { status: number | null; out: string; err: string }

let base: TestDatabase
let database: Database
let home: string
beforeAll(async () => {
  base = await testDatabase()
  database = new Database(base.url)
  await migrateQueues(base.url)
  await importing(database, { key: 'acme' })
  await importing(database, { key: 'other' })
  home = newHome()
  mkdirSync(home, { recursive: true })
})
afterAll(async () => {
  await database.close()
  await base.drop()
})

async function keys(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../muster.ts'), 'keys', ...args], {
    env: { PATH: process.env['PATH'], MUSTER_HOME: home, DATABASE_URL: base.url, MUSTER_SECRET: 'a secret of the tests that is long enough', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { status, out, err }
}
function codeOf({ out, err }: Ran): unknown {
  if (out === '') throw new Error(`nothing was said on standard output, but: ${err}`)
  return (JSON.parse(out) as { error: { code: string } }).error.code
}

describe('API keys', { timeout: 60_000 }, () => {
  test('are made, listed and revoked: the key stands alone on standard output, once', async () => {
    const made = await keys('create', '--organization', 'acme', '--name', 'WebCenter')
    expect(made.status).toBe(0)
    expect(made.out).toMatch(/^mk_[\w-]{43}\n$/)
    expect(made.err).toContain('Keep it now')
    const key = made.out.trim()
    expect(made.err).not.toContain(key)
    const listed = await keys('list', '--organization', 'acme')
    expect([listed.status, listed.out]).toEqual([0, expect.stringMatching(/WebCenter +mk_.{5}… .* not used yet +active/)])
    expect(listed.out).not.toContain(key)
    const [line] = (await keys('list', '--organization', 'acme', '--json')).out.split('\n')
    const { id } = JSON.parse(line!) as { id: string }
    expect(await keys('revoke', id, '--organization', 'acme')).toMatchObject({ status: 0, out: expect.stringContaining('is void') })
    expect((await keys('list', '--organization', 'acme')).out).toMatch(/revoked \d{4}-/)
    expect((await database.pool.query('select from api_keys where revoked_at is null')).rowCount).toBe(0)
  })

  test('are one document under --json', async () => {
    const { status, out } = await keys('create', '--organization', 'acme', '--name', ' Payroll ', '--json')
    expect([status, JSON.parse(out)]).toEqual([0, { key: { id: expect.stringMatching(/^\d+$/), name: 'Payroll', hint: expect.stringMatching(/^mk_.{5}$/), secret: expect.stringMatching(/^mk_[\w-]{43}$/) } }])
  })

  test('of another organization, unknown ones and ones without a name are refused', async () => {
    const { out } = await keys('create', '--organization', 'acme', '--name', 'Third', '--json')
    const { key } = JSON.parse(out) as { key: { id: string } }
    const refused = await Promise.all([
      keys('revoke', key.id, '--organization', 'other', '--json'), keys('revoke', 'none', '--organization', 'acme', '--json'),
      keys('create', '--organization', 'nobody', '--name', 'x', '--json'), keys('create', '--organization', 'acme', '--name', ' ', '--json'),
    ])
    expect(refused.map((ran) => [ran.status, codeOf(ran)])).toEqual([[1, 'keys.unknown'], [1, 'keys.unknown'], [1, 'organization.unknown'], [64, 'usage.name']])
  })
})
