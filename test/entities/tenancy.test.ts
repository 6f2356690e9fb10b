import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { APP_ROLE, FLEET_ROLE } from '../../src/entities/roles.ts'
import { pendingChunks } from '../../src/importers/commit.ts'
import { readImport } from '../../src/importers/importReport.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { sweepDeliveries } from '../../src/jobs/deliver.ts'
import { cancelImport, failImport, finishImport } from '../../src/jobs/finishImport.ts'
import { beginCommit, stageImport, type ImportParts } from '../../src/jobs/stageImport.ts'
import { FileRefused } from '../../src/rules/refusal.ts'
import { importing, type Importing } from '../support/importing.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

/** Tables of no organization: nothing in them is anybody's. */
const OF_NOBODY = ['mikro_orm_migrations', 'service_pauses', 'throttles', 'workers']

const server: TestDatabase = await testDatabase()
const database = new Database(server.url)
const sql = async <R extends object>(text: string, values: unknown[] = []): Promise<R[]> => (await database.pool.query<R>(text, values)).rows

/** Every table of the catalog that belongs to an organization, with the column that says to which. */
const tables = (
  await sql<{ name: string; owner: string | null }>(
    `select c.relname as name, case when c.relname = 'organizations' then 'id' else (select attname from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped) end as owner
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1`,
  )
).filter(({ name }) => !OF_NOBODY.includes(name)) as { name: string; owner: string }[]

type Side = { people: Importing; id: string; previewed: string }
let a: Side
let b: Side

const FILE = 'External ID,First Name,Last Name,Email,Customer,Worksite,Contact Role\nE1,Ana,Nguyen,ana@acme.example,Ministry,Warehouse,Approver\nE2,Bo,Lee,not-an-address,,,\n'

/** An organization with a row in every table. */
async function side(): Promise<Side> {
  const people = await importing(database, { lookups: { jobCode: ['Engineering'] } })
  const id = people.organizationId
  await people.run(FILE, { delivery: { kind: 'at', instant: '2199-01-01T00:00:00Z' }, saveMapping: 'plain' })
  await people.preview(FILE.replaceAll('ana@', 'anna@').replace('E1', 'E3'))
  const [previewed] = await sql<{ id: string }>(`select id from imports where organization_id = $1 and state = 'previewed'`, [id])
  await sql(`insert into mail_paces (organization_id, next_at) values ($1, now())`, [id])
  await sql(`insert into released_usernames (organization_id, username, username_stem, username_number) values ($1, 'old.name', 'old.name', 1)`, [id])
  await sql(`insert into seat_reservations (organization_id, license_id, import_id, seats) select $1, (select min(id) from licenses where organization_id = $1), $2, 3`, [id, previewed!.id])
  await sql(`insert into delivery_attempts (organization_id, delivery_id, number, stage, worker) select $1, min(id), 1, 'claimed', 'somebody' from deliveries where organization_id = $1`, [id])
  await sql(`insert into invitations (organization_id, user_id, state, epoch) select $1, min(id), 'created', 9 from users where organization_id = $1`, [id])
  await sql(`insert into releases (organization_id, name, state, send_at, created_by) values ($1, 'Go-live', 'scheduled', '2199-01-01T00:00:00Z', 'somebody')`, [id])
  await sql(`insert into sessions (organization_id, token_hash, user_id, expires_at) select $1, 'session of ' || min(id), min(id), now() + interval '1 hour' from users where organization_id = $1`, [id])
  await sql(`insert into password_resets (organization_id, token_hash, user_id, epoch, expires_at) select $1, 'reset of ' || min(id), min(id), 1, now() + interval '1 hour' from users where organization_id = $1`, [id])
  await sql(`insert into api_keys (organization_id, name, key_hash, hint, created_by) select $1, 'Product', 'key of ' || min(id), 'mk_', 'somebody' from users where organization_id = $1`, [id])
  await sql(`insert into password_reports (organization_id, sealed, users, created_by, expires_at) values ($1, '\\x00', 1, 'somebody', now() + interval '1 hour')`, [id])
  await sql(`insert into audit_entries (organization_id, operator, action, detail) values ($1, 'somebody', 'users.deactivate', '{}')`, [id])
  await sql(`insert into mail_templates (organization_id, purpose, language, subject, text, html, published_by) values ($1, 'invitation', 'en', 'S', 'T', 'H', 'somebody')`, [id])
  await sql(`insert into user_lookups (organization_id, user_id, security_group_id) select $1, (select min(id) from users where organization_id = $1), min(id) from security_groups where organization_id = $1 and dimension = 'jobCode'`, [id])
  const made = async (text: string): Promise<string> => (await sql<{ id: string }>(`${text} returning id`, [id]))[0]!.id
  const feed = await made(`insert into feeds (organization_id, name, state, definition, author) values ($1, 'nightly', 'active', '{}', 'somebody')`)
  await sql(`insert into feed_secrets (organization_id, name, sealed, updated_by) values ($1, 'password', '\\x00', 'somebody')`, [id])
  await sql(`insert into feed_runs (organization_id, feed_id, kind, state) values ($1, $2, 'manual', 'due')`, [id, feed])
  await sql(`insert into feed_files (organization_id, feed_id, name, bytes, modified_at, state) values ($1, $2, 'people.csv', 1, now(), 'found')`, [id, feed])
  const alert = await made(`insert into feed_alerts (organization_id, feed_id, kind, state, detail) select $1, min(id), 'late', 'raised', '{}' from feeds where organization_id = $1`)
  await sql(`insert into webhook_events (organization_id, feed_id, alert_id, type, payload, state) values ($1, $2, $3, 'feed.alert_raised', '{}', 'waiting')`, [id, feed, alert])
  await sql(`insert into identity_decisions (organization_id, contact_id, kind, row, given, state) select $1, min(id), 'moved', 2, '{}', 'waiting' from contacts where organization_id = $1`, [id])
  await sql(`insert into known_rows (organization_id, feed_id, import_id, fingerprint, rows) values ($1, $2, $3, 'x', '\\x00')`, [id, feed, previewed!.id])
  await sql(`insert into import_changes (organization_id, import_id, what, target, before, version) values ($1, $2, 'contact', 1, '{}', 2) on conflict do nothing`, [id, previewed!.id])
  return { people, id, previewed: previewed!.id }
}

/** Everything that an organization has, in one value. */
async function everythingOf(id: string): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for (const { name, owner } of tables) {
    const [row] = await sql<{ all: string }>(`select coalesce(json_agg(to_json(t) order by t::text), '[]')::text as all from ${name} t where t.${owner} = $1`, [id])
    all[name] = row!.all
  }
  const staging = await sql<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'staging' order by 1`)
  for (const { name } of staging) all[`staging.${name}`] = (await sql<{ all: string }>(`select coalesce(json_agg(to_json(t) order by t::text), '[]')::text as all from staging.${name} t`))[0]!.all
  return all
}

beforeAll(async () => {
  a = await side()
  b = await side()
})

afterAll(async () => {
  await database.close()
  await server.drop()
})

describe('every table of an organization', () => {
  test('is known as such', () => {
    expect(tables.filter(({ owner }) => owner === null), 'A table without organization_id belongs to nobody and everybody sees it: give it the column and tenantPolicies, or list it in OF_NOBODY.').toEqual([])
    expect(tables.length).toBeGreaterThan(25)
  })

  test.each(tables)('$name has forced row-level security and both policies', async ({ name, owner }) => {
    const [table] = await sql<{ enabled: boolean; forced: boolean }>(`select relrowsecurity as enabled, relforcerowsecurity as forced from pg_class where oid = $1::regclass`, [name])
    expect(table).toEqual({ enabled: true, forced: true })
    const policies = await sql(`select policyname as name, permissive, roles::text[], cmd, qual, with_check as checked from pg_policies where schemaname = 'public' and tablename = $1 order by 1`, [name])
    const current = `(${owner} = ( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS "nullif"))`
    expect(policies).toEqual([
      { name: `${name}_fleet`, permissive: 'PERMISSIVE', roles: [FLEET_ROLE], cmd: 'ALL', qual: 'true', checked: 'true' },
      { name: `${name}_tenant`, permissive: 'PERMISSIVE', roles: ['public'], cmd: 'ALL', qual: current, checked: current },
    ])
  })

  test.each(tables)('$name: rows of one are not there for another', async ({ name, owner }) => {
    expect(await sql(`select from ${name} where ${owner} = $1`, [a.id]), 'The test needs a row of this table: make one in side().').not.toEqual([])
    await database.tenant(b.id, async (tx) => {
      expect(await tx.query(`select from ${name} where ${owner} = $1`, [a.id])).toEqual([])
      expect(await tx.query(`select from ${name}`)).toHaveLength((await sql(`select from ${name} where ${owner} = $1`, [b.id])).length)
      expect(await tx.run(`update ${name} set ${owner} = ${owner} where ${owner} = $1`, [a.id])).toBe(0)
      expect(await tx.run(`delete from ${name} where ${owner} = $1`, [a.id])).toBe(0)
    })
  })

  test.each(tables)('$name: nothing can be entered for another, or handed to it', async ({ name, owner }) => {
    const [row] = await sql<{ row: object }>(`select to_json(t) as row from ${name} t where ${owner} = $1 limit 1`, [a.id])
    const [written] = await sql<{ columns: string }>(
      `select string_agg(quote_ident(attname), ', ') as columns from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
      [name],
    )
    const { columns } = written!
    const enter = database.tenant(b.id, (tx) => tx.run(`insert into ${name} (${columns}) select ${columns} from json_populate_record(null::${name}, $1)`, [JSON.stringify(row!.row)]))
    await expect(enter).rejects.toMatchObject({ code: '42501' })
    const handOver = database.tenant(b.id, (tx) => tx.run(`update ${name} set ${owner} = $1`, [a.id]))
    await expect(handOver).rejects.toMatchObject({ code: '42501' })
  })

  test.each(tables)('$name: without an organization nothing is there', async ({ name }) => {
    expect(await database.fleet((tx) => tx.query(`select from ${name}`))).toEqual([])
    expect(await database.fleet((tx) => tx.run(`delete from ${name}`))).toBe(0)
  })

  test('an organization that is none is refused before it reaches a statement', async () => {
    for (const id of ['', ' 1', '1; select 1', "1'", '-1', '1'.repeat(19)]) await expect(database.tenant(id, (tx) => tx.query('select 1'))).rejects.toThrow('not an id')
  })

  test('the organization of a transaction is gone with it', async () => {
    const single = new Database(server.url, { maxConnections: 1 })
    try {
      await single.tenant(a.id, (tx) => tx.query('select 1'))
      expect(await single.fleet((tx) => tx.query('select from contacts'))).toEqual([])
      await single.tenant(a.id, () => Promise.reject(new Error('on purpose'))).catch(() => undefined)
      expect(await single.fleet((tx) => tx.query('select from contacts'))).toEqual([])
    } finally {
      await single.close()
    }
  })
})

describe('the roles', () => {
  test('cannot log in, nor do anything that would bypass row security', async () => {
    const roles = await sql(`select rolname as name, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles where rolname = any ($1) order by 1`, [[APP_ROLE, FLEET_ROLE]])
    const nothing = { rolcanlogin: false, rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false, rolreplication: false }
    expect(roles).toEqual([{ name: APP_ROLE, ...nothing }, { name: FLEET_ROLE, ...nothing }])
  })

  test('are members of nothing, own no table, and may make things in staging alone', async () => {
    expect(await sql(`select from pg_auth_members where member in (select oid from pg_roles where rolname = any ($1))`, [[APP_ROLE, FLEET_ROLE]])).toEqual([])
    expect(await sql(`select nspname from pg_namespace where has_schema_privilege($1, oid, 'create') and nspname !~ '^pg_'`, [APP_ROLE])).toEqual([{ nspname: 'staging' }])
    expect(await sql(`select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and pg_get_userbyid(relowner) in ($1, $2)`, [APP_ROLE, FLEET_ROLE])).toEqual([])
  })
})

describe('the fleet functions', () => {
  /** What may be answered across organizations: ids, and an organization's own key and name. Nothing about a person. */
  const HARMLESS = /^(?:TABLE\()?(?:(?:id|organization_id) bigint|key text|name text|state text|bigint|, )+\)?$/

  test('belong to the fleet role, are fixed in their search path and open to the app role alone', async () => {
    const functions = await sql<{ name: string; owner: string; definer: boolean; config: string[]; volatility: string; forPublic: boolean; forApp: boolean; result: string }>(
      `select proname as name, pg_get_userbyid(proowner) as owner, prosecdef as definer, proconfig as config, provolatile::text as volatility,
         coalesce((select bool_or(grantee = 0) from aclexplode(proacl)), true) as "forPublic", has_function_privilege($1, oid, 'execute') as "forApp", pg_get_function_result(oid) as result
       from pg_proc where pronamespace = 'fleet'::regnamespace order by 1`,
      [APP_ROLE],
    )
    expect(functions.length).toBeGreaterThan(5)
    for (const { name, result, ...rest } of functions) {
      expect(rest, name).toEqual({ owner: FLEET_ROLE, definer: true, config: ['search_path=public, pg_temp'], volatility: 's', forPublic: false, forApp: true })
      expect(result, `${name} gives more than ids, keys and states`).toMatch(HARMLESS)
    }
  })

  test('read no table that holds what is personal, and write none', async () => {
    const granted = await sql<{ name: string; rights: string }>(
      `select table_name as name, string_agg(privilege_type, ', ' order by privilege_type) as rights from information_schema.role_table_grants where grantee = $1 and table_schema = 'public' group by 1 order by 1`,
      [FLEET_ROLE],
    )
    expect(granted).toEqual(['deliveries', 'import_chunks', 'imports', 'invitations', 'organizations'].map((name) => ({ name, rights: 'SELECT' })))
    // Of other tables single columns: ids, hashes that are looked up, states and instants.
    const columns = await sql<{ name: string; column: string; right: string }>(
      `select c.table_name as name, c.column_name as column, c.privilege_type as right from information_schema.role_column_grants c
       where c.grantee = $1 and c.table_schema = 'public' and not (c.table_name = any ($2)) order by 1, 2, 3`,
      [FLEET_ROLE, granted.map(({ name }) => name)],
    )
    expect(columns.filter(({ right }) => right !== 'SELECT')).toEqual([])
    expect(Object.groupBy(columns.map(({ name, column }) => `${name}.${column}`), (column) => column.split('.')[0]!)).toEqual({
      api_keys: ['api_keys.key_hash', 'api_keys.organization_id', 'api_keys.revoked_at'],
      feeds: ['feeds.id', 'feeds.lease_until', 'feeds.next_slot_at', 'feeds.organization_id', 'feeds.state', 'feeds.wake_at'],
      identity_decisions: ['identity_decisions.id', 'identity_decisions.organization_id'],
      password_reports: ['password_reports.expires_at', 'password_reports.id', 'password_reports.organization_id', 'password_reports.waiting'],
      password_resets: ['password_resets.organization_id', 'password_resets.token_hash'],
      releases: ['releases.id', 'releases.organization_id', 'releases.state'],
      sessions: ['sessions.expires_at', 'sessions.organization_id', 'sessions.token_hash'],
      users: ['users.id', 'users.organization_id'],
      webhook_events: ['webhook_events.alert_id', 'webhook_events.id', 'webhook_events.next_at', 'webhook_events.organization_id', 'webhook_events.state'],
    })
  })

  test('see all organizations', async () => {
    const [all] = await database.fleet((tx) => tx.query<{ count: number }>('select count(*)::int as count from fleet.organizations()'))
    expect(all!.count).toBe(2)
    expect(await database.fleet((tx) => tx.query('select fleet.organization_of_import($1) as id', [a.previewed]))).toEqual([{ id: a.id }])
  })
})

describe('a job that is given an import of another organization', () => {
  const woken: string[] = []
  const parts: ImportParts = { database, failpoint: () => Promise.resolve(), queues: { wake: (name) => Promise.resolve(void woken.push(name)) } }
  let received: string
  let committing: string

  beforeAll(async () => {
    received = await receiveFile(database, a.id, { name: 'people.csv', bytes: [Buffer.from(FILE.replace('E1', 'E7').replace('ana@', 'ada@'))] }, DEFAULT_OPTIONS)
    const report = await a.people.preview('First Name,Last Name\nZoe,Abel\n')
    committing = report.id
    await database.tenant(a.id, (tx) => beginCommit(tx, committing))
    await sql(`update deliveries set state = 'queued', lease_until = now() - interval '1 hour' where organization_id = $1`, [a.id])
  })

  const deeds: [string, () => Promise<unknown>][] = [
    ['stage', () => stageImport(parts, { organizationId: b.id, importId: received }, new AbortController().signal)],
    ['stage (planned already)', () => stageImport(parts, { organizationId: b.id, importId: a.previewed }, new AbortController().signal)],
    ['commit', () => commitChunk(parts, { organizationId: b.id, importId: committing, chunk: 0 })],
    ['begin to commit', () => database.tenant(b.id, (tx) => beginCommit(tx, a.previewed))],
    ['finish', () => database.tenant(b.id, (tx) => finishImport(tx, committing))],
    ['cancel', () => database.tenant(b.id, (tx) => cancelImport(tx, a.previewed))],
    ['fail', () => database.tenant(b.id, (tx) => failImport(tx, received, new FileRefused('file.empty', { what: 'nothing' })))],
    ['sweep deliveries', () => sweepDeliveries(database, b.id)],
  ]

  test.each(deeds)('changes nothing: %s', async (_, deed) => {
    const before = await everythingOf(a.id)
    await deed()
    expect(await everythingOf(a.id)).toEqual(before)
    expect(woken).toEqual([])
  })

  test('finds neither it nor its chunks', async () => {
    expect(await database.tenant(b.id, (tx) => readImport(tx, a.previewed))).toBeNull()
    expect(await database.tenant(b.id, (tx) => pendingChunks(tx, committing))).toEqual([])
    expect(await database.tenant(a.id, (tx) => pendingChunks(tx, committing))).toHaveLength(1)
  })
})
