import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import type { FeedAlertKind } from '../../src/entities/states.ts'
import { clearAlert, openAlerts, raiseAlert, readAlert } from '../../src/feeds/alerts.ts'
import { alertScene, type AlertScene } from '../support/alertScene.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

const HOOK = { url: 'https://hooks.acme.example/muster', secret: 'hook' }

let base: TestDatabase
let database: Database
beforeAll(async () => {
  base = await testDatabase()
  database = new Database(base.url)
})
afterAll(async () => {
  await database.close()
  await base.drop()
})

const raise = ({ organizationId, feed }: AlertScene, kind: FeedAlertKind, about?: Parameters<typeof raiseAlert>[3]) => database.tenant(organizationId, (tx) => raiseAlert(tx, feed, kind, about))
const clear = ({ organizationId, feed }: AlertScene, kind: FeedAlertKind, subject?: string) => database.tenant(organizationId, (tx) => clearAlert(tx, feed, kind, subject))
const open = ({ organizationId, feed }: AlertScene) => database.tenant(organizationId, (tx) => openAlerts(tx, feed.id))
const mails = (scene: AlertScene) => scene.sql<{ purpose: string; recipient: string; state: string; reason: string | null }>('select purpose, recipient, state, reason from deliveries where organization_id = $1 order by id', [scene.organizationId])
const events = (scene: AlertScene) => scene.sql<{ type: string; state: string; payload: { id: string; body: { data: Record<string, unknown> } } }>('select type, state, payload from webhook_events where organization_id = $1 order by id', [scene.organizationId])
const sendMails = (scene: AlertScene, state: string) => scene.sql('update deliveries set state = $2 where organization_id = $1', [scene.organizationId, state])
const scheduled = (purpose: string, recipient: string) => ({ purpose, recipient, state: 'scheduled', reason: null })

describe('an alert', () => {
  test('is told to the people whom the feed names, each address once, due at once and of no release, and to its webhook', async () => {
    const scene = await alertScene(database, { mails: ['night@acme.example', 'Night@acme.example', 'it@acme.example'], webhook: HOOK })
    expect(await raise(scene, 'missing', { subject: '2026-12-01T06:00:00.000Z', detail: { slot: '2026-12-01T06:00:00.000Z' } })).toBe(true)
    expect(await mails(scene)).toEqual([scheduled('feedAlert', 'Night@acme.example'), scheduled('feedAlert', 'it@acme.example')])
    const [due] = await scene.sql('select bool_and(send_at <= now() and release_id is null and user_id is null and feed_alert_id is not null) as due from deliveries where organization_id = $1', [scene.organizationId])
    expect(due).toEqual({ due: true })
    expect((await events(scene)).map(({ type, state }) => [type, state])).toEqual([['feed.alert_raised', 'waiting']])
  })

  test('of a feed that names nobody is told to the operators of the organization; without a webhook there is no event', async () => {
    const scene = await alertScene(database)
    await raise(scene, 'login')
    expect(await mails(scene)).toEqual([scheduled('feedAlert', 'desk@acme.example')])
    expect(await events(scene)).toEqual([])
  })

  test('is there once while it is open, with eight who raise it side by side', async () => {
    const scene = await alertScene(database, { webhook: HOOK })
    const made = await Promise.all(Array.from({ length: 8 }, (_, place) => raise(scene, 'held', { subject: 'people.csv', detail: { file: 'people.csv', place } })))
    expect(made.filter(Boolean)).toHaveLength(1)
    expect(await raise(scene, 'held', { subject: 'people.csv' })).toBe(false)
    expect(await open(scene)).toMatchObject([{ kind: 'held', subject: 'people.csv', feed: 'nightly', organization: scene.key, clearedAt: null }])
    expect(await mails(scene)).toHaveLength(1)
    expect(await events(scene)).toHaveLength(1)
  })

  test('of another kind, of another file or of another feed is another one', async () => {
    const [one, two] = [await alertScene(database), await alertScene(database)]
    for (const [scene, kind, subject] of [[one, 'late', 'a'], [one, 'late', 'b'], [one, 'missing', 'a'], [two, 'late', 'a']] as const) expect(await raise(scene, kind, { subject })).toBe(true)
    expect(await open(one)).toHaveLength(3)
    expect(await database.tenant(one.organizationId, (tx) => openAlerts(tx))).toHaveLength(3)
    expect(await open(two)).toHaveLength(1)
  })

  test('leaves nothing behind where its transaction ends otherwise', async () => {
    const scene = await alertScene(database, { webhook: HOOK })
    const failing = database.tenant(scene.organizationId, async (tx) => {
      await raiseAlert(tx, scene.feed, 'failed')
      throw new Error('stopped')
    })
    await expect(failing).rejects.toThrow('stopped')
    expect([await open(scene), await mails(scene), await events(scene)]).toEqual([[], [], []])
  })

  test('knows its import, also when it is over, and is nobody else\'s to read', async () => {
    const [scene, other] = [await alertScene(database), await alertScene(database)]
    const [made] = await scene.sql<{ id: string }>(
      `insert into imports (organization_id, state, file_name, file_hash, file_bytes, options) values ($1, 'held', 'people.csv', 'x', 1, '{}') returning id`, [scene.organizationId],
    )
    await raise(scene, 'held', { subject: 'people.csv', importId: made!.id })
    const [alert] = await open(scene)
    await clear(scene, 'held')
    expect(await database.tenant(scene.organizationId, (tx) => readAlert(tx, alert!.id))).toMatchObject({ importId: made!.id, clearedAt: expect.any(Date) })
    expect(await database.tenant(other.organizationId, (tx) => readAlert(tx, alert!.id))).toBeNull()
  })
})

describe('the all-clear', () => {
  test('is told once to those who were told, with eight who give it side by side', async () => {
    const scene = await alertScene(database, { mails: ['a@acme.example', 'b@acme.example'], webhook: HOOK })
    await raise(scene, 'unreachable')
    await sendMails(scene, 'sent')
    const over = await Promise.all(Array.from({ length: 8 }, () => clear(scene, 'unreachable')))
    expect(over.filter(Boolean)).toHaveLength(1)
    expect(await open(scene)).toEqual([])
    expect((await mails(scene)).slice(2)).toEqual([scheduled('feedAllClear', 'a@acme.example'), scheduled('feedAllClear', 'b@acme.example')])
    expect((await events(scene)).map(({ type }) => type)).toEqual(['feed.alert_raised', 'feed.alert_cleared'])
  })

  test('of what was told to nobody yet is told to nobody, and neither is the alert any more; the webhook hears of both', async () => {
    const scene = await alertScene(database, { webhook: HOOK })
    await raise(scene, 'late', { subject: 'slot' })
    expect(await clear(scene, 'late')).toBe(true)
    expect(await mails(scene)).toEqual([{ purpose: 'feedAlert', recipient: 'desk@acme.example', state: 'cancelled', reason: 'alert_over' }])
    expect((await events(scene)).map(({ type }) => type)).toEqual(['feed.alert_raised', 'feed.alert_cleared'])
  })

  test.each([
    ['sending', 1], ['unknown', 1], ['sent', 1], ['queued', 0], ['held', 0], ['failed', 0], ['bounced', 0], ['cancelled', 0],
  ])('of an alert whose mail is %s makes %i mail', async (state, count) => {
    const scene = await alertScene(database)
    await raise(scene, 'login')
    await sendMails(scene, state)
    await clear(scene, 'login')
    expect((await mails(scene)).filter(({ purpose }) => purpose === 'feedAllClear')).toHaveLength(count)
  })

  test('of one file leaves the others of its kind open; without a file it is for all of them, and with nothing open it is none', async () => {
    const scene = await alertScene(database)
    for (const subject of ['a', 'b', 'c']) await raise(scene, 'acknowledgement', { subject })
    expect(await clear(scene, 'acknowledgement', 'b')).toBe(true)
    expect((await open(scene)).map(({ subject }) => subject)).toEqual(['a', 'c'])
    expect(await clear(scene, 'acknowledgement', 'b')).toBe(false)
    expect(await clear(scene, 'acknowledgement')).toBe(true)
    expect(await open(scene)).toEqual([])
    expect(await clear(scene, 'acknowledgement')).toBe(false)
  })

  test('is not the end of it: what happens again is told again', async () => {
    const scene = await alertScene(database)
    await raise(scene, 'login')
    await sendMails(scene, 'sent')
    await clear(scene, 'login')
    expect(await raise(scene, 'login')).toBe(true)
    expect((await mails(scene)).map(({ purpose }) => purpose)).toEqual(['feedAlert', 'feedAllClear', 'feedAlert'])
  })
})
