import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Client } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { migrate, MigrationRefused, pendingMigrations } from '../../src/entities/migrate.ts'
import { settingsSchema } from '../../src/organizations/declaration.ts'
import { migrations } from '../../src/entities/migrations/index.ts'
import { openOrm } from '../../src/entities/orm.ts'
import { emptyDatabase, testDatabase, type TestDatabase } from '../support/services.ts'

const NAMES = migrations.map(({ name }) => name)
const opened: TestDatabase[] = []
const fresh = async (): Promise<TestDatabase> => {
  const database = await emptyDatabase()
  opened.push(database)
  return database
}

afterAll(async () => {
  for (const database of opened) await database.drop()
})

describe('migrations', () => {
  test('bring an empty database to this version, and change nothing the second time', async () => {
    const { url } = await fresh()
    expect(await pendingMigrations(url)).toEqual(NAMES)
    expect(await migrate(url)).toEqual(NAMES)
    expect(await pendingMigrations(url)).toEqual([])
    expect(await migrate(url)).toEqual([])
  })

  test('make what the entities say, to the letter', async () => {
    const database = await testDatabase()
    opened.push(database)
    const orm = await openOrm(database.url, { maxConnections: 2 })
    try {
      expect(await orm.schema.getUpdateSchemaMigrationSQL()).toEqual({ up: '', down: '' })
      expect(await orm.migrator.checkSchema(), 'The entities differ from the last snapshot: write a migration with src/entities/migrations/create.ts.').toBe(false)
    } finally {
      await orm.close()
    }
  })

  test('give an organization that was declared before the settings that are new, and leave it what it has', async () => {
    const { url } = await fresh()
    const orm = await openOrm(url, { maxConnections: 2 })
    try {
      await orm.migrator.up({ to: '003-fleet' })
    } finally {
      await orm.close()
    }
    const before = { mail: { from: 'Acme <a@acme.example>', ratePerMinute: 60 }, operators: ['ops@acme.example'], defaults: { delivery: 'none' } }
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      await client.query(`insert into organizations (key, name, time_zone, language, settings) values ('acme', 'Acme', 'UTC', 'en', $1)`, [before])
      expect(await migrate(url)).toEqual(NAMES.slice(3))
      const { rows } = await client.query<{ settings: object }>('select settings from organizations')
      expect(settingsSchema.parse(rows[0]!.settings)).toMatchObject(before)
      const { onboarding, mail } = settingsSchema.parse({})
      expect(rows[0]!.settings).toMatchObject({ onboarding, mail: { ...mail, ...before.mail } })
    } finally {
      await client.end()
    }
  })

  test('make the plans of imports that the version before previewed fit to be committed', async () => {
    const { url } = await fresh()
    const orm = await openOrm(url, { maxConnections: 2 })
    try {
      await orm.migrator.up({ to: '003-fleet' })
    } finally {
      await orm.close()
    }
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      await client.query('set role muster_app; create table staging.plan_7 (row integer); create table staging.plan_7_users (row integer); create table staging.rows_7 (row integer); reset role')
      await migrate(url)
      const { rows } = await client.query<{ name: string; columns: string; owner: string }>(
        `select c.relname as name, string_agg(a.attname, ' ' order by a.attnum) as columns, pg_get_userbyid(c.relowner) as owner
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' group by c.oid order by 1`,
      )
      expect(rows).toEqual([
        { name: 'plan_7', columns: 'row', owner: 'muster_app' },
        { name: 'plan_7_further', columns: 'row first_row version', owner: 'muster_app' },
        { name: 'plan_7_users', columns: 'row', owner: 'muster_app' },
        { name: 'rows_7', columns: 'row lookup_ids', owner: 'muster_app' },
      ])
    } finally {
      await client.end()
    }
  })

  test('run from two processes at once are applied once', async () => {
    const { url } = await fresh()
    const run = async (): Promise<string[]> => {
      const child = spawn(process.execPath, [new URL('migrateProcess.ts', import.meta.url).pathname, url], { stdio: ['ignore', 'pipe', 'pipe'] })
      const [output, complaint, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
      expect({ status: status as number, complaint }).toEqual({ status: 0, complaint: '' })
      return JSON.parse(output) as string[]
    }
    const applied = await Promise.all([run(), run()])
    expect(applied.flat().toSorted()).toEqual(NAMES)
  })
})

describe('a database user that is no superuser', () => {
  test('is told what an administrator has to run, and works once that was run', async () => {
    const { url, name } = await fresh()
    const administrator = new Client({ connectionString: url })
    await administrator.connect()
    const login = `login_${name}`
    try {
      await administrator.query(`create role ${login} login password 'a-password'`)
      const address = new URL(url)
      address.username = login
      address.password = 'a-password'

      const refusal = await migrate(address.href).then(() => null, (error: unknown) => error)
      expect(refusal).toBeInstanceOf(MigrationRefused)
      const { message } = refusal as MigrationRefused
      expect(message).toContain(`${login} may not bring ${name} to this version`)
      expect(await pendingMigrations(url), 'nothing was changed').toEqual(NAMES)

      const lines = message.split('\n').slice(1)
      expect(lines).toHaveLength(4)
      for (const line of lines) await administrator.query(line)
      expect(await migrate(address.href)).toEqual(NAMES)

      const database = new Database(address.href)
      try {
        const [organization] = (await administrator.query<{ id: string }>(`insert into organizations (key, name, time_zone, language, settings) values ('acme', 'Acme', 'UTC', 'en', '{}') returning id`)).rows
        expect(await database.fleet((tx) => tx.query('select key from fleet.organizations()'))).toEqual([{ key: 'acme' }])
        expect(await database.tenant(organization!.id, (tx) => tx.query('select key from organizations'))).toEqual([{ key: 'acme' }])
        expect(await database.tenant('0', (tx) => tx.query('select key from organizations'))).toEqual([])
        // The user owns the tables, and has the fleet role only to take on: by itself it sees nothing.
        expect((await database.pool.query('select key from organizations')).rows).toEqual([])
      } finally {
        await database.close()
      }
    } finally {
      await administrator.query(`reassign owned by ${login} to current_user; drop owned by ${login}; drop role ${login}`)
      await administrator.end()
    }
  })
})
