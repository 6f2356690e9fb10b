import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expireInvitations, hashToken, launchSql, newToken } from '../../src/accounts/invitations.ts'
import { Database } from '../../src/entities/database.ts'
import { deliveryScene, type Scene } from '../support/deliveryScene.ts'
import { seededRandom } from '../support/seededRandom.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

describe('tokens', () => {
  test('are 256 random bits that fit into a link', () => {
    const random = seededRandom(1)
    const tokens = Array.from({ length: 100 }, () => newToken(random))
    expect(new Set(tokens).size).toBe(100)
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('are kept as their SHA-256 only', () => {
    expect(hashToken('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})

describe('invitations', () => {
  let base: TestDatabase
  let database: Database
  let scene: Scene
  let userId: string

  beforeAll(async () => {
    base = await testDatabase()
    database = new Database(base.url)
    scene = await deliveryScene(database)
    await scene.owe(1)
    userId = (await scene.sql<{ id: string }>('select id from users'))[0]!.id
  })
  afterAll(async () => {
    await database.close()
    await base.drop()
  })

  const launch = (epoch: number, tokenHash: string) =>
    database.tenant(scene.organizationId, (tx) =>
      tx.run(
        `with leaving as (select $1::bigint as user_id, $2::int as epoch, $3::jsonb as sealed), ${launchSql('leaving').map((sql, index) => `part_${index} as (${sql})`).join(', ')} select`,
        [userId, epoch, JSON.stringify({ tokenHash, lifetimeDays: 7 })],
      ),
    )
  const stored = () =>
    scene.sql<{ epoch: number; state: string; tokenHash: string; days: number }>(
      `select epoch, state, token_hash as "tokenHash", extract(day from expires_at - launched_at)::int as days from invitations order by epoch`,
    )

  test('a launch stores the hash and counts the lifetime from then', async () => {
    await launch(1, 'first')
    expect(await stored()).toEqual([{ epoch: 1, state: 'launched', tokenHash: 'first', days: 7 }])
  })

  test('launching the same epoch again makes the first token void', async () => {
    await launch(1, 'second')
    expect(await stored()).toEqual([{ epoch: 1, state: 'launched', tokenHash: 'second', days: 7 }])
  })

  test('a resend makes every older link void', async () => {
    await launch(2, 'third')
    expect((await stored()).map(({ epoch, state }) => [epoch, state])).toEqual([[1, 'revoked'], [2, 'launched']])
  })

  test('somebody who is in progress keeps the state', async () => {
    await scene.sql(`update invitations set state = 'in_progress' where epoch = 2`)
    await launch(2, 'fourth')
    expect((await stored())[1]).toMatchObject({ state: 'in_progress', tokenHash: 'third' })
  })

  test('expire when their time is over, and not before', async () => {
    await launch(3, 'fifth')
    const expire = () => database.tenant(scene.organizationId, (tx) => expireInvitations(tx))
    expect(await expire()).toBe(0)
    await scene.sql(`update invitations set expires_at = now() - interval '1 second' where epoch = 3`)
    expect(await expire()).toBe(1)
    expect((await stored())[2]).toMatchObject({ state: 'expired' })
  })
})
