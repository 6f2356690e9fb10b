/** Mails that wait for people who cannot log in: looked for by the sweep, however many they are, without a lock on those who still cannot. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MENDED_AT_ONCE } from '../../src/deliveries/sweep.ts'
import { Database } from '../../src/entities/database.ts'
import { sweepOnce } from '../../src/jobs/sweep.ts'
import { deliveryScene } from '../support/deliveryScene.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

let kept: TestDatabase
let database: Database
beforeAll(async () => {
  kept = await testDatabase()
  database = new Database(kept.url)
})
afterAll(async () => {
  await database.close()
  await kept.drop()
})

const queues = { wake: () => Promise.resolve() }

test('those who can log in again are let go within one sweep after the other, many at once; the others are not touched', async () => {
  const scene = await deliveryScene(database)
  const ids = await scene.owe(MENDED_AT_ONCE + 200, { state: 'held' })
  const still = (await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1)', [ids.slice(0, 100)])).map(({ id }) => id)
  await scene.sql(`update deliveries set reason = 'not_loginable' where id = any ($1)`, [ids])
  await scene.sql('update users set profile_id = null where id = any ($1)', [still])
  const untouched = () => scene.sql<{ id: string; version: string }>(`select id, concat_ws('/', xmin, xmax, ctid) as version from deliveries where user_id = any ($1) order by id`, [still])
  const before = await untouched()
  const letGo = async () => (await scene.sql<{ count: number }>(`select count(*)::int as count from deliveries where organization_id = $1 and state = 'scheduled'`, [scene.organizationId]))[0]!.count
  await sweepOnce({ database, queues })
  expect(await letGo()).toBe(MENDED_AT_ONCE)
  // There may be more: the next one looks at once, whatever the first has taken.
  await sweepOnce({ database, queues })
  expect(await letGo()).toBe(MENDED_AT_ONCE + 100)
  expect(await untouched()).toEqual(before)
})

test('what is held for a date to come is let go on it', async () => {
  const scene = await deliveryScene(database)
  const [id] = await scene.owe(1, { state: 'held', sendAt: `now() + interval '1 hour'` })
  await scene.sql(`update deliveries set reason = 'not_loginable' where id = $1`, [id])
  // Another process, which has not looked yet.
  const sweep = async () => {
    const other = new Database(kept.url)
    await sweepOnce({ database: other, queues })
    await other.close()
  }
  const state = async () => (await scene.sql<{ state: string }>('select state from deliveries where id = $1', [id]))[0]!.state
  await sweep()
  expect(await state()).toBe('held')
  await scene.sql('update deliveries set send_at = now() where id = $1', [id])
  await sweep()
  expect(await state()).toBe('scheduled')
})
