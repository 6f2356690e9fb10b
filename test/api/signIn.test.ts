import { hashesOf } from '../support/countHashes.ts'
import { readFileSync } from 'node:fs'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createKey, listKeys, revokeKey } from '../../src/accounts/apiKeys.ts'
import { LIMITS } from '../../src/accounts/throttle.ts'
import { API_PROBLEMS } from '../../src/api/problems.ts'
import { apiRoutes, type ApiParts } from '../../src/api/routes.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import { Database } from '../../src/entities/database.ts'
import { accessScene, PASSWORD, type AccessScene } from '../support/accessScene.ts'
import { useDatabase } from '../support/importing.ts'

const base = useDatabase()
const running: FastifyInstance[] = []
afterEach(async () => {
  for (const app of running.splice(0)) await app.close()
})

type Api = { scene: AccessScene; key: string; keyId: string; url: string; log: string[]; call(path: string, init?: RequestInit): Promise<Response>; signIn(body: unknown, headers?: Record<string, string>): Promise<Response> }

/** The API on a port of its own, with an organization and a key of it. */
async function api(options: { settings?: object; parts?: (parts: ApiParts) => Partial<ApiParts> } = {}): Promise<Api> {
  const scene = await accessScene(base.current, options)
  const { id: keyId, key } = await base.current.tenant(scene.organizationId, (tx) => createKey(tx, 'WebCenter', 'operator', scene.parts.random))
  const app = fastify({ forceCloseConnections: true })
  const log: string[] = []
  const parts: ApiParts = { access: scene.parts, log: { error: (details, message) => void log.push(`${message} ${JSON.stringify(details)}`) } }
  apiRoutes(app, { ...parts, ...options.parts?.(parts) })
  running.push(app)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const call = (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, init)
  return {
    scene, key, keyId, url, log, call,
    signIn: (body, headers = {}) => call('/api/v1/sign-in', { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...headers } }),
  }
}

type OpenApi = { openapi: string; paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, { schema: { $ref?: string } }> }> }>>; components: { schemas: Record<string, Parameters<typeof z.fromJSONSchema>[0]> } }

/** The answer's body, which has to fit what the OpenAPI document says of this path, method and status. */
async function fitting(running: Api, path: string, method: string, answer: Response): Promise<Record<string, unknown>> {
  const document = (await (await running.call('/api/v1/openapi.json')).json()) as OpenApi
  const type = answer.headers.get('content-type')!.split(';')[0]!
  const { $ref } = document.paths[path]![method]!.responses[String(answer.status)]!.content![type]!.schema
  return z.fromJSONSchema(document.components.schemas[$ref!.split('/').at(-1)!]!).parse(await answer.json()) as Record<string, unknown>
}

/** The status and code of a refusal, which has to be problem details that the document knows. */
async function refusalOf(running: Api, answer: Response): Promise<[number, unknown]> {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  const problem = await fitting(running, '/api/v1/sign-in', 'post', answer)
  expect(problem['status']).toBe(answer.status)
  expect(JSON.stringify(problem)).not.toMatch(/at .*\.ts:\d+|node_modules/)
  return [answer.status, problem['code']]
}

describe('a right login', () => {
  test('is answered with the user, as lists show them, and sets the last login', async () => {
    const running = await api()
    const { userId } = await running.scene.person({ username: 'mei.okafor', mustChange: true })
    const answer = await running.signIn({ username: 'Mei.Okafor', password: PASSWORD })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const body = await fitting(running, '/api/v1/sign-in', 'post', answer)
    expect(body).toMatchObject({
      right: true, mustChangePassword: true, noticeAccepted: false, device: expect.any(String),
      user: { id: userId, username: 'mei.okafor', email: 'mei.okafor@mail.test', state: 'active', loginable: true, groups: ['Staff'], profile: 'Standard', license: 'Full', roles: [], onboarding: null, lastLoginAt: expect.stringMatching(/^\d{4}-/) },
    })
    expect(JSON.stringify(body)).not.toMatch(/argon2|assword_?[Hh]ash/)
  })

  test('is never that of another organization', async () => {
    const running = await api()
    const other = await accessScene(base.current)
    const { username } = await other.person({ username: 'of.another' })
    expect(await refusalOf(running, await running.signIn({ username, password: PASSWORD }))).toEqual([401, 'sign_in.wrong'])
  })
})

test('a right login of an account that lacks something is told apart from a wrong one', async () => {
  const running = await api()
  const { userId, username } = await running.scene.person()
  await running.scene.sql('update users set license_id = null where id = $1', [userId])
  expect(await refusalOf(running, await running.signIn({ username, password: PASSWORD }))).toEqual([403, 'sign_in.not_ready'])
  expect(await refusalOf(running, await running.signIn({ username, password: 'wrong' }))).toEqual([401, 'sign_in.wrong'])
})

describe('a wrong login', () => {
  test('is refused in the same words and with one argon2id, whatever is wrong', async () => {
    const running = await api()
    const { username } = await running.scene.person()
    const answers: string[] = []
    for (const login of [{ username, password: 'not the password' }, { username: 'nobody', password: PASSWORD }]) {
      expect(await hashesOf(async () => { answers.push(await (await running.signIn(login)).text()) })).toHaveLength(1)
    }
    expect(answers[0]).toBe(answers[1])
    expect(await refusalOf(running, await running.signIn({ username, password: 'wrong' }))).toEqual([401, 'sign_in.wrong'])
  })

  test('too often at one user id waits, with Retry-After, and keeps no other user waiting', async () => {
    const running = await api()
    const [one, two] = [await running.scene.person(), await running.scene.person()]
    for (let tries = 0; tries < LIMITS.account.limit; tries++) expect((await running.signIn({ username: one.username, password: 'wrong' })).status).toBe(401)
    const waiting = await running.signIn({ username: one.username, password: PASSWORD })
    expect(Number(waiting.headers.get('retry-after'))).toBeGreaterThan(800)
    expect(await refusalOf(running, waiting)).toEqual([429, 'sign_in.wait'])
    expect((await running.signIn({ username: two.username, password: PASSWORD })).status).toBe(200)
  })

  test("more often than any address may: the product's own address never counts", async () => {
    const running = await api()
    const { username } = await running.scene.person()
    for (let tries = 0; tries <= LIMITS.address.limit; tries++) await running.signIn({ username: `nobody.${tries}`, password: 'wrong' })
    expect((await running.signIn({ username, password: PASSWORD })).status).toBe(200)
  })

  test("from one end user's address waits, for this organization's product alone", async () => {
    const [running, other] = [await api(), await api()]
    const people = [await running.scene.person(), await other.scene.person()]
    const address = '198.51.100.7'
    for (let tries = 0; tries < LIMITS.address.limit; tries++) await running.signIn({ username: `nobody.${tries}`, password: 'wrong', address })
    expect(await refusalOf(running, await running.signIn({ username: people[0]!.username, password: PASSWORD, address }))).toEqual([429, 'sign_in.wait'])
    expect((await running.signIn({ username: people[0]!.username, password: PASSWORD, address: '198.51.100.8' })).status).toBe(200)
    expect((await other.signIn({ username: people[1]!.username, password: PASSWORD, address })).status).toBe(200)
  })

  test('of somebody else does not keep the owner waiting, whose browser shows its device', async () => {
    const running = await api()
    const { username } = await running.scene.person()
    const { device } = (await (await running.signIn({ username, password: PASSWORD })).json()) as { device: string }
    for (let tries = 0; tries < LIMITS.account.limit; tries++) await running.signIn({ username, password: 'wrong' })
    expect((await running.signIn({ username, password: PASSWORD })).status).toBe(429)
    expect((await running.signIn({ username, password: PASSWORD, device })).status).toBe(200)
  })
})

describe('a request', () => {
  test('may name the organization that the key is of', async () => {
    const running = await api()
    const { username } = await running.scene.person()
    expect((await running.signIn({ username, password: PASSWORD, organization: running.scene.key })).status).toBe(200)
  })

  test('of an organization with SSO is refused with the reason', async () => {
    const running = await api({ settings: { login: { sso: true } } })
    expect(await refusalOf(running, await running.signIn({ username: 'mei', password: PASSWORD }))).toEqual([403, 'sign_in.sso'])
  })

  test.each<[string, number, string, (running: Api) => Promise<Response>]>([
    ['without a key', 401, 'api.key_missing', ({ signIn }) => signIn({}, { authorization: '' })],
    ['with another scheme', 401, 'api.key_missing', ({ signIn }) => signIn({}, { authorization: 'Basic YTpi' })],
    ['with an unknown key', 401, 'api.key_unknown', ({ signIn }) => signIn({}, { authorization: `Bearer mk_${'x'.repeat(43)}` })],
    ['without a body', 400, 'body.invalid', ({ call, key }) => call('/api/v1/sign-in', { method: 'POST', headers: { authorization: `Bearer ${key}` } })],
    ['that is no JSON', 400, 'body.invalid', ({ signIn }) => signIn('{"username": ')],
    ['that is a list', 400, 'body.invalid', ({ signIn }) => signIn([])],
    ['without a password', 400, 'body.invalid', ({ signIn }) => signIn({ username: 'mei' })],
    ['with a number for a password', 400, 'body.invalid', ({ signIn }) => signIn({ username: 'mei', password: 12 })],
    ['with something unknown in it', 400, 'body.invalid', ({ signIn }) => signIn({ username: 'mei', password: PASSWORD, company: 'acme' })],
    ['for another organization', 403, 'api.key_elsewhere', ({ signIn }) => signIn({ username: 'mei', password: PASSWORD, organization: 'somebody-elses' })],
    ['that would change what objects are', 400, 'body.invalid', ({ signIn }) => signIn('{"username": "mei", "password": "p", "__proto__": {"right": true}}')],
    ['that is a form', 415, 'body.media_type', ({ signIn }) => signIn('username=mei', { 'content-type': 'application/x-www-form-urlencoded' })],
    ['that is too large', 413, 'body.too_large', ({ signIn }) => signIn({ username: 'mei', password: 'x'.repeat(10_000) })],
  ])('%s is refused: %i %s', async (_, status, code, send) => {
    const running = await api()
    const answer = await send(running)
    expect(answer.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer' : null)
    expect(await refusalOf(running, answer)).toEqual([status, code])
    expect(running.log).toEqual([])
  })

  test('to nowhere is refused as problem details too', async () => {
    const running = await api()
    for (const [path, method] of [['/api/v1/nowhere', 'GET'], ['/api/v1/sign-in', 'GET'], ['/api/v1/openapi.json', 'DELETE']] as const) {
      const answer = await running.call(path, { method })
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect([answer.status, await answer.json()]).toMatchObject([404, { code: 'route.unknown', status: 404 }])
    }
  })

  test('with one key more often than it may is refused until the minute is over; other keys go on', async () => {
    const running = await api({ parts: () => ({ requestsPerMinute: 3 }) })
    const { username } = await running.scene.person()
    for (let times = 0; times < 3; times++) expect((await running.signIn({ username, password: PASSWORD })).status).toBe(200)
    const answer = await running.signIn({ username, password: PASSWORD })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refusalOf(running, answer)).toEqual([429, 'api.too_many_requests'])
    const { key } = await base.current.tenant(running.scene.organizationId, (tx) => createKey(tx, 'Another', 'operator', running.scene.parts.random))
    expect((await running.signIn({ username, password: PASSWORD }, { authorization: `Bearer ${key}` })).status).toBe(200)
  })

  test('with unknown keys, too many from one address, is refused before the key is told about; a key that is one still works', async () => {
    const running = await api()
    const { username } = await running.scene.person()
    await base.current.pool.query('delete from throttles')
    const guess = (number: number) => running.signIn({}, { authorization: `Bearer mk_${number}` })
    for (let tries = 0; tries < LIMITS.apiKey.limit; tries++) expect((await guess(tries)).status).toBe(401)
    expect(await refusalOf(running, await guess(0))).toEqual([429, 'api.key_tries'])
    expect((await running.signIn({ username, password: PASSWORD })).status).toBe(200)
    await base.current.pool.query('delete from throttles')
  })

  test('that finds the database gone is told to come back, and what was asked is not logged', async () => {
    const gone = new Database('postgres://nobody@127.0.0.1:1/none')
    const running = await api({ parts: ({ access }) => ({ access: { ...access, database: gone } }) })
    const answer = await running.signIn({ username: 'mei', password: PASSWORD })
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(await refusalOf(running, answer)).toEqual([503, 'unavailable'])
    expect(running.log.join()).toContain('the API could not answer')
    expect(running.log.join()).not.toContain(PASSWORD)
    const health = await running.call('/api/v1/health')
    expect([health.status, await fitting(running, '/api/v1/health', 'get', health)]).toEqual([503, { status: 'failing' }])
    await gone.close()
  })
})

describe('keys', () => {
  test('are kept as a hash; a list tells them by their first characters and when they were used', async () => {
    const running = await api()
    const { username } = await running.scene.person()
    expect(running.key).toMatch(/^mk_[\w-]{43}$/)
    await running.signIn({ username, password: PASSWORD })
    const lines = await base.current.tenant(running.scene.organizationId, listKeys)
    expect(lines).toEqual([{ id: running.keyId, name: 'WebCenter', hint: running.key.slice(0, 8), createdBy: 'operator', createdAt: expect.any(String), lastUsedAt: expect.any(String), revokedAt: null }])
    expect(JSON.stringify(await running.scene.sql('select * from api_keys'))).not.toContain(running.key)
  })

  test('that are revoked open nothing, and both is in the audit trail', async () => {
    const running = await api()
    const revoke = () => base.current.tenant(running.scene.organizationId, (tx) => revokeKey(tx, running.keyId, 'operator'))
    expect([await revoke(), await revoke()]).toEqual([true, false])
    expect(await refusalOf(running, await running.signIn({ username: 'mei', password: PASSWORD }))).toEqual([401, 'api.key_unknown'])
    const trail = await base.current.tenant(running.scene.organizationId, (tx) => readAudit(tx, 10))
    expect(trail.map(({ action, detail }) => [action, detail['id']])).toEqual([['keys.revoke', running.keyId], ['keys.create', running.keyId]])
  })

  test('of one organization are not seen or revoked by another', async () => {
    const [running, other] = [await api(), await accessScene(base.current)]
    expect(await base.current.tenant(other.organizationId, listKeys)).toEqual([])
    expect(await base.current.tenant(other.organizationId, (tx) => revokeKey(tx, running.keyId, 'operator'))).toBe(false)
  })
})

describe('the documents', () => {
  test('the OpenAPI document is 3.1, and every path of it is served', async () => {
    const running = await api()
    const document = (await (await running.call('/api/v1/openapi.json')).json()) as OpenApi
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths)).toEqual(['/api/v1/sign-in', '/api/v1/health', '/api/v1/openapi.json'])
    const health = await running.call('/api/v1/health')
    expect([health.status, await fitting(running, '/api/v1/health', 'get', health)]).toEqual([200, { status: 'ok' }])
  })

  test('docs/api.md lists every refusal with its status, and no other', () => {
    const listed = [...readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8').matchAll(/^\| `([a-z_.]+)` \| (\d{3}) \| (.+?) \| (.+?) \|$/gm)].map(([, code, status, title, hint]) => [code, { status: Number(status), title, hint }])
    expect(Object.fromEntries(listed)).toEqual(API_PROBLEMS)
  })
})
