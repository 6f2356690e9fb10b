/** What has an end is forgotten by the sweep, however late it comes: sessions, sealed passwords, counts of vain tries (spec D2). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { sweepOnce } from '../../src/jobs/sweep.ts'
import { deliveryScene } from '../support/deliveryScene.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

let server: TestDatabase
let database: Database
beforeAll(async () => {
  server = await testDatabase()
  database = new Database(server.url)
})
afterAll(async () => {
  await database.close()
  await server.drop()
})

test('the sweep forgets what is over, in every organization, and nothing else', async () => {
  const scenes = [await deliveryScene(database), await deliveryScene(database)]
  for (const { organizationId, owe, sql } of scenes) {
    await owe(1)
    for (const [name, ends] of [['long ago', '-3 days'], ['just now', '-1 second'], ['later', '1 hour']] as const) {
      await sql(`insert into sessions (organization_id, token_hash, user_id, expires_at) select $1, $2, min(id), now() + $3::interval from users where organization_id = $1::bigint`, [organizationId, name + organizationId, ends])
      await sql(`insert into password_reports (organization_id, sealed, users, created_by, expires_at) values ($1, '\\x01', 1, $2, now() + $3::interval)`, [organizationId, name, ends])
      await sql(`insert into throttles (key, count, ends_at) values ($1, 1, now() + $2::interval)`, [name + organizationId, ends])
    }
  }
  await sweepOnce({ database, queues: { wake: () => Promise.resolve() } })
  for (const { organizationId, sql } of scenes) {
    expect(await sql('select token_hash as name from sessions where organization_id = $1', [organizationId])).toEqual([{ name: `later${organizationId}` }])
    expect(await sql('select created_by as name, sealed is not null as kept, waiting from password_reports where organization_id = $1 order by id', [organizationId])).toEqual([
      { name: 'long ago', kept: false, waiting: false },
      { name: 'just now', kept: false, waiting: false },
      { name: 'later', kept: true, waiting: true },
    ])
    expect(await sql('select key from throttles where key like $1', [`%${organizationId}`])).toEqual([{ key: `later${organizationId}` }])
  }
})
