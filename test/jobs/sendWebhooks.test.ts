import { randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { clearAlert, raiseAlert } from '../../src/feeds/alerts.ts'
import { storeSecret } from '../../src/feeds/secrets.ts'
import { signWebhook } from '../../src/feeds/signWebhook.ts'
import { listWebhookFailures, PAUSES } from '../../src/feeds/webhooks.ts'
import { sendWebhooks, type WebhookParts } from '../../src/jobs/sendWebhooks.ts'
import { alertScene, type AlertScene } from '../support/alertScene.ts'
import { testDatabase, type TestDatabase } from '../support/services.ts'

const SECRET = 'a secret of at least thirty-two characters'
const KEY = `whsec_${randomBytes(24).toString('base64')}`

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

type Told = { headers: IncomingHttpHeaders; body: string; type: string }
type Hook = { url: string; told: Told[]; answer: (response: ServerResponse, told: Told) => void }

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A webhook on the loopback; takes everything until its `answer` is another one. */
async function startHook(): Promise<Hook> {
  const hook: Hook = { url: '', told: [], answer: (response) => void response.end() }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += String(part))).on('end', () => {
      const told = { headers: request.headers, body, type: (JSON.parse(body) as { type: string }).type }
      hook.told.push(told)
      hook.answer(response, told)
    })
  })
  servers.push(server)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return hook
}

async function start({ secret = true, url }: { secret?: boolean; url?: string } = {}): Promise<{ scene: AlertScene; hook: Hook }> {
  const hook = await startHook()
  const scene = await alertScene(database, { webhook: { url: url ?? hook.url, secret: 'hook' } })
  if (secret) await giveSecret(scene)
  return { scene, hook }
}
const giveSecret = (scene: AlertScene) => database.tenant(scene.organizationId, (tx) => storeSecret(tx, { secret: SECRET, random: randomBytes }, 'hook', KEY, 'ana'))

const lines: string[] = []
const send = (scene: AlertScene, parts: Partial<WebhookParts> = {}, signal = new AbortController().signal) =>
  sendWebhooks({ database, keys: { secret: SECRET, previous: null }, log: { error: (detail, message) => void lines.push(`${message} ${JSON.stringify(detail)}`) }, failpoint: () => Promise.resolve(), ...parts }, scene, signal)
const raise = (scene: AlertScene, subject = '') => database.tenant(scene.organizationId, (tx) => raiseAlert(tx, scene.feed, 'login', { subject, detail: { host: 'sftp.acme.example', code: 'feed.login_refused', message: 'It says no.', hint: '' } }))
const clear = (scene: AlertScene) => database.tenant(scene.organizationId, (tx) => clearAlert(tx, scene.feed, 'login'))
type Event = { type: string; state: string; attempts: number; response: string | null; inSeconds: number; delivered: boolean }
const events = (scene: AlertScene) =>
  scene.sql<Event>(
    `select type, state, attempts, response, round(extract(epoch from next_at - now()))::int as "inSeconds", delivered_at is not null as delivered from webhook_events where organization_id = $1 order by id`, [scene.organizationId],
  )
/** As if the time until the next attempt, or the end of a lease, had passed. */
const pass = (scene: AlertScene) => scene.sql(`update webhook_events set next_at = now() - interval '1 second' where organization_id = $1 and next_at > now()`, [scene.organizationId])
const failures = (scene: AlertScene) => database.tenant(scene.organizationId, (tx) => listWebhookFailures(tx, scene.feed.id))

describe('an event', () => {
  test('is told once, signed with the secret of the feed, in words and with ids, and without anything of a person', async () => {
    const { scene, hook } = await start()
    await raise(scene)
    await send(scene)
    await send(scene)
    expect(hook.told).toHaveLength(1)
    const [{ headers, body }] = hook.told as [Told]
    const sent = JSON.parse(body) as { timestamp: string; data: { alert: object } }
    expect(Object.keys(sent)).toEqual(['type', 'timestamp', 'data'])
    expect(sent).toMatchObject({
      type: 'feed.alert_raised',
      data: {
        organization: scene.key, feed: 'nightly', file: null, import: null, alert: { kind: 'login', subject: '', clearedAt: null },
        message: 'Muster could not log in to the server of this feed. It says no.', detail: { host: 'sftp.acme.example' },
      },
    })
    expect(body).toContain(`./muster feed run nightly --organization ${scene.key}`)
    expect(body).not.toMatch(/desk@|ana/i)
    const [id, timestamp] = [headers['webhook-id'] as string, Number(headers['webhook-timestamp'])]
    expect(id).toMatch(/^msg_[0-9a-f-]{36}$/)
    expect(Math.abs(timestamp - Date.now() / 1000)).toBeLessThan(60)
    expect(headers).toMatchObject({ 'content-type': 'application/json', ...signWebhook(KEY, id, new Date(timestamp * 1000), body) })
    expect(await events(scene)).toMatchObject([{ state: 'delivered', attempts: 1, response: 'HTTP 200', delivered: true }])
    expect(await failures(scene)).toEqual([])
  })

  test('that is not taken is told again after a pause, with the same id, and then no more', async () => {
    const { scene, hook } = await start()
    hook.answer = (response) => response.writeHead(500).end('not now')
    await raise(scene)
    await send(scene)
    expect(await events(scene)).toMatchObject([{ state: 'waiting', attempts: 1, response: 'HTTP 500: not now', inSeconds: 5 }])
    expect(await failures(scene)).toMatchObject([{ state: 'waiting', kind: 'login', type: 'feed.alert_raised', attempts: 1, response: 'HTTP 500: not now', nextAt: expect.any(Date) }])
    await send(scene)
    expect(hook.told).toHaveLength(1)
    hook.answer = (response) => response.end()
    await pass(scene)
    await send(scene)
    await pass(scene)
    await send(scene)
    expect(hook.told).toHaveLength(2)
    expect(hook.told[1]!.headers['webhook-id']).toBe(hook.told[0]!.headers['webhook-id'])
    expect(hook.told[1]!.body).toBe(hook.told[0]!.body)
    expect(await events(scene)).toMatchObject([{ state: 'delivered', attempts: 2 }])
  })

  test('that is never taken is tried with growing pauses, then given up, and seen to be', async () => {
    const { scene, hook } = await start()
    hook.answer = (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    await raise(scene)
    const pauses: number[] = []
    for (let attempt = 1; attempt <= PAUSES.length + 1; attempt++) {
      await send(scene)
      pauses.push((await events(scene))[0]!.inSeconds)
      await pass(scene)
    }
    await send(scene)
    expect(hook.told).toHaveLength(PAUSES.length + 1)
    expect(pauses.slice(0, -1)).toEqual(PAUSES)
    expect(await events(scene)).toMatchObject([{ state: 'failed', attempts: PAUSES.length + 1, delivered: false }])
    expect(await failures(scene)).toMatchObject([{ state: 'failed', nextAt: null, response: 'HTTP 302 (redirects are not followed)' }])
    expect(lines.filter((line) => line.includes(`"feed":"${scene.feed.id}"`))).toHaveLength(1)
  })

  test('to an address that hangs ends with the deadline, and leaves the others to be told', async () => {
    const { scene, hook } = await start()
    hook.answer = (response, { body }) => (body.includes('"subject":"slow"') ? undefined : void response.end())
    await raise(scene, 'slow')
    await raise(scene, 'quick')
    const began = performance.now()
    await send(scene, { deadlineMs: 300 })
    expect(performance.now() - began).toBeLessThan(5_000)
    expect((await events(scene)).map(({ state, response }) => [state, response])).toEqual([['waiting', 'no answer within 0.3 s'], ['delivered', 'HTTP 200']])
  })

  test('is told once by two workers and more at the same time', async () => {
    const { scene, hook } = await start()
    for (let alert = 0; alert < 30; alert++) await raise(scene, `file-${alert}`)
    await Promise.all(Array.from({ length: 4 }, () => send(scene)))
    expect(hook.told).toHaveLength(30)
    expect(new Set(hook.told.map(({ headers }) => headers['webhook-id'])).size).toBe(30)
    expect(new Set((await events(scene)).map(({ state, attempts }) => `${state} ${attempts}`))).toEqual(new Set(['delivered 1']))
  })

  test('whose worker dies between telling and recording it is told again, with the same id, once the lease is over', async () => {
    const { scene, hook } = await start()
    await raise(scene)
    const dies = send(scene, { failpoint: (name) => Promise.reject(new Error(name)) })
    await expect(dies).rejects.toThrow('webhook.answered')
    const [left] = await events(scene)
    expect(left).toMatchObject({ state: 'sending', attempts: 1 })
    expect(left!.inSeconds).toBeGreaterThan(30)
    await send(scene)
    expect(hook.told).toHaveLength(1)
    await pass(scene)
    await send(scene)
    expect(hook.told.map(({ headers }) => headers['webhook-id'])).toEqual([hook.told[0]!.headers['webhook-id'], hook.told[0]!.headers['webhook-id']])
    expect(await events(scene)).toMatchObject([{ state: 'delivered', attempts: 2 }])
  })

  test('is not taken back by a worker that comes back late', async () => {
    const { scene, hook } = await start()
    await raise(scene)
    const { promise: later, resolve: goOn } = Promise.withResolvers<void>()
    hook.answer = (response) => response.writeHead(hook.told.length === 1 ? 500 : 200).end()
    const slow = send(scene, { failpoint: () => later })
    await expect.poll(() => hook.told.length).toBe(1)
    await pass(scene)
    await send(scene)
    goOn()
    await slow
    expect(await events(scene)).toMatchObject([{ state: 'delivered', attempts: 2, response: 'HTTP 200' }])
  })

  test('of the end of an alert is never told before its beginning', async () => {
    const { scene, hook } = await start()
    hook.answer = (response) => response.writeHead(hook.told.length === 1 ? 503 : 200).end()
    await raise(scene)
    await send(scene)
    await clear(scene)
    await send(scene)
    expect(hook.told.map(({ type }) => type)).toEqual(['feed.alert_raised'])
    expect((await events(scene)).map(({ inSeconds }) => inSeconds > 0)).toEqual([true, true])
    await pass(scene)
    await send(scene)
    expect(hook.told.map(({ type }) => type)).toEqual(['feed.alert_raised', 'feed.alert_raised', 'feed.alert_cleared'])
    expect(JSON.parse(hook.told[2]!.body)).toMatchObject({ data: { message: 'Muster can log in again.', whatToDo: [], alert: { clearedAt: expect.any(String) } } })
  })

  test('without its secret waits for it, and says so', async () => {
    const { scene, hook } = await start({ secret: false })
    await raise(scene)
    await send(scene)
    expect(await failures(scene)).toMatchObject([{ state: 'waiting', response: 'There is no secret "hook".' }])
    await giveSecret(scene)
    await pass(scene)
    await send(scene)
    expect(hook.told).toHaveLength(1)
  })

  test('goes where the declaration says now, and nowhere where it says nothing any more', async () => {
    const { scene, hook } = await start({ url: 'http://127.0.0.1:1/gone' })
    await raise(scene)
    await send(scene)
    expect((await events(scene))[0]!.response).toContain('ECONNREFUSED')
    await scene.sql(`update feeds set definition = jsonb_set(definition, '{alerts,webhook,url}', to_jsonb($2::text)) where id = $1`, [scene.feed.id, hook.url])
    await pass(scene)
    await send(scene)
    expect(hook.told).toHaveLength(1)
    await raise(scene, 'other')
    await scene.sql(`update feeds set definition = jsonb_set(definition, '{alerts,webhook}', 'null') where id = $1`, [scene.feed.id])
    await send(scene)
    expect(await events(scene)).toMatchObject([{ state: 'delivered' }, { state: 'failed', response: 'the feed has no webhook any more' }])
  })

  test('to a name that leads into a private network is not sent there', async () => {
    const { scene } = await start({ url: 'https://hooks.acme.example/' })
    await raise(scene)
    await send(scene, { resolve: ((_: string, __: object, found: (error: null, addresses: object[]) => void) => found(null, [{ address: '10.0.0.7', family: 4 }])) as never })
    expect((await failures(scene))[0]!.response).toBe('refused: hooks.acme.example leads into a private network (10.0.0.7)')
  })

  test('that a worker was telling as it was ended is told by the next one', async () => {
    const { scene, hook } = await start()
    hook.answer = () => ending.abort()
    const ending = new AbortController()
    await raise(scene)
    await send(scene, {}, ending.signal)
    expect(await events(scene)).toMatchObject([{ state: 'waiting', attempts: 0, response: null, inSeconds: 0 }])
    hook.answer = (response) => response.end()
    await send(scene)
    expect(hook.told[1]!.headers['webhook-id']).toBe(hook.told[0]!.headers['webhook-id'])
    expect(await events(scene)).toMatchObject([{ state: 'delivered', attempts: 1 }])
  })

  test('that a worker was telling as it was ended has as many attempts as ever', async () => {
    const { scene, hook } = await start()
    await raise(scene)
    await scene.sql('update webhook_events set attempts = $2 where organization_id = $1', [scene.organizationId, PAUSES.length])
    hook.answer = () => ending.abort()
    const ending = new AbortController()
    await send(scene, {}, ending.signal)
    expect(await events(scene)).toMatchObject([{ state: 'waiting', attempts: PAUSES.length, inSeconds: 0 }])
  })
})

test('the sweep finds the organizations that have something to tell', async () => {
  const { scene } = await start()
  await raise(scene)
  const due = async () => (await database.fleet((tx) => tx.query<{ organization_id: string }>('select * from fleet.organizations_with_webhook_events()'))).map(({ organization_id: id }) => id)
  expect(await due()).toContain(scene.organizationId)
  await send(scene)
  expect(await due()).not.toContain(scene.organizationId)
})

test('the sweep passes over the end of an alert whose beginning is not due yet', async () => {
  const { scene } = await start()
  await raise(scene)
  await clear(scene)
  const due = () => database.fleet((tx) => tx.query('select from fleet.organizations_with_webhook_events() where organization_id = $1', [scene.organizationId]))
  // Entered while the beginning was being told, the end is due with the lease of that, whatever came of it.
  await scene.sql(`update webhook_events set next_at = now() + case type when 'feed.alert_raised' then interval '1 hour' else '-1 second' end where organization_id = $1`, [scene.organizationId])
  expect(await due()).toEqual([])
  await pass(scene)
  expect(await due()).toHaveLength(1)
})
