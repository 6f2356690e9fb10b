/** What keeps the portal's pages from being read, framed, sent or led astray by others. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { counterOf } from '../../src/accounts/throttle.ts'
import { nameOfHost } from '../../src/portal/guard.ts'
import { buildPortal, PortalInClear, startPortal } from '../../src/portal/startPortal.ts'
import type { Importing } from '../support/importing.ts'
import { CHEAP, givePassword, inviteAll, openPortal, PASSWORD, SECRET } from './openPortal.ts'
import type { OpenedPortal, Person } from './openPortal.ts'

let portal: OpenedPortal
let acme: Importing
let ada: Person
let ben: Person
let paths: string[]

beforeAll(async () => {
  portal = await openPortal()
  acme = await portal.organization({ key: 'acme', login: { url: 'https://acme.example/login' }, supportContact: { name: 'Help desk', email: 'help@acme.example' } })
  ;[ada, ben] = (await inviteAll(acme, ['Ada', 'Ben'])) as [Person, Person]
  await givePassword(acme, ben.userId, PASSWORD)
  paths = ['/', `/invitations/${ada.token}`, '/invitations/none', '/acme/sign-in', '/nobody/sign-in', '/acme/forgot', '/reset/none', '/notice', '/password', '/nowhere', '/%zz', `/invitations/${'x'.repeat(400)}`]
})
afterAll(() => portal.close())

const parts = () => ({ database: portal.database, queues: { wake: () => Promise.resolve() }, secret: SECRET, hashCost: CHEAP, port: 0, host: '127.0.0.1', trustedProxies: 0, publicUrl: null, log: { warn: () => undefined, error: () => undefined } })

describe('headers', () => {
  test('every answer is kept by nobody, framed by nobody, runs nothing, and tells nobody where its reader comes from', async () => {
    for (const path of paths) {
      const { headers } = await portal.browser().get(path)
      expect(headers['content-security-policy'], path).toBe("default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'cross-origin-opener-policy': 'same-origin' })
      // Without https there is nothing to insist on.
      expect(headers['strict-transport-security']).toBeUndefined()
    }
  })

  test('pages hold no script, nothing inline, and nothing of anybody else', async () => {
    for (const path of paths) {
      const { html } = await portal.browser().get(path)
      expect(html, path).not.toMatch(/<script|<style|\sstyle=|\son[a-z]+=|javascript:|<iframe|<img/i)
      const fetched = [...html.matchAll(/<link[^>]* href="([^"]+)"/g)].map(([, address]) => address)
      expect(fetched.every((address) => address!.startsWith('/assets/'))).toBe(true)
    }
  })

  test('the portal’s own files may be kept for ever', async () => {
    const { html } = await portal.browser().get('/')
    for (const [, address] of html.matchAll(/href="(\/assets\/[0-9a-f]{12}\/[\w.]+)"/g)) {
      const { status, headers } = await portal.browser().get(address!)
      expect([status, headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable'])
    }
  })
})

describe('cookies', () => {
  const ofSession = (lines: unknown): string[] => [lines ?? []].flat().map(String)

  test('without https, on the loopback address, have plain names and are read by no script', async () => {
    const answer = await portal.browser().submit('/acme/sign-in', { username: ben.username, password: PASSWORD })
    const lines = ofSession(answer.headers['set-cookie'])
    expect(lines.map((line) => line.split('=')[0])).toEqual(['muster-session', 'muster-device', 'muster-organization'])
    for (const line of lines) {
      expect(line).toMatch(/; Path=\/; HttpOnly; SameSite=Lax$/)
      expect(line).not.toContain('Domain')
    }
    expect(lines[0]).toMatch(/^muster-session=[\w-]{43}; Path/)
    expect(lines[1]).toContain('Max-Age=34560000')
  })

  test('under https are secure, of this host alone, and https is insisted on', async () => {
    const app = await buildPortal({ ...parts(), publicUrl: 'https://portal.example' })
    const answer = await app.inject({ url: '/acme/sign-in', headers: { host: 'portal.example' } })
    expect(ofSession(answer.headers['set-cookie'])).toEqual([expect.stringMatching(/^__Host-muster-form=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/)])
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000')
    await app.close()
  })

  test('a portal whose address is plain http on the network is not started', async () => {
    await expect(startPortal({ ...parts(), publicUrl: 'http://portal.example' })).rejects.toThrow(PortalInClear)
    await (await buildPortal({ ...parts(), publicUrl: 'http://localhost:3001' })).close()
  })
})

describe('names', () => {
  test('are read from Host headers, and nothing else is', () => {
    expect([nameOfHost('LocalHost:3001'), nameOfHost('[::1]:3001'), nameOfHost('portal.example')]).toEqual(['localhost', '[::1]', 'portal.example'])
    for (const host of [undefined, '', 'a b', 'localhost@evil.example', 'localhost:3000:1', 'localhost,evil.example', 'localhost/evil']) expect(nameOfHost(host), host).toBeNull()
  })

  test('that are not the portal’s get no page', async () => {
    const app = await buildPortal({ ...parts(), publicUrl: 'https://portal.example' })
    for (const path of paths) {
      const { statusCode, body } = await app.inject({ url: path, headers: { host: 'evil.example' } })
      expect([statusCode, body], path).toEqual([421, 'The portal does not answer to this name.\n'])
    }
    for (const host of ['portal.example', 'portal.example:443', 'localhost:3001', '127.0.0.1']) expect((await app.inject({ url: '/acme/sign-in', headers: { host } })).statusCode, host).toBe(200)
    await app.close()
  })

  test('without https are those of the loopback address alone, wherever the portal listens', async () => {
    const open = await buildPortal({ ...parts(), host: '192.0.2.5' })
    const secured = await buildPortal({ ...parts(), host: '192.0.2.5', publicUrl: 'https://portal.example' })
    const status = async (app: typeof open, host: string) => (await app.inject({ url: '/acme/sign-in', headers: { host } })).statusCode
    expect([await status(open, '192.0.2.5:3001'), await status(open, 'localhost:3001'), await status(secured, '192.0.2.5:3001')]).toEqual([421, 200, 200])
    await open.close()
    await secured.close()
  })

  test('stand in no link and no redirect: those are relative', async () => {
    const { headers, html } = await portal.browser().get('/notice', { host: '127.0.0.1:9', 'x-forwarded-host': 'evil.example' })
    expect([headers['location'], html]).toEqual(['/', ''])
    for (const path of ['//evil.example/sign-in', '//sign-in', '/\\\\evil.example/sign-in']) {
      const { body } = await portal.app.inject({ method: 'POST', url: path, headers: { host: 'localhost', 'content-type': 'application/x-www-form-urlencoded' }, payload: '' })
      expect(body, path).not.toMatch(/href="[^"]*(?:evil|\/\/)/)
    }
    expect((await portal.browser().get(`/invitations/${ada.token}`, { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' })).html).not.toContain('evil.example')
  })

  test('a path of the public address stands before every link, whether the proxy passes it on or not', async () => {
    const app = await buildPortal({ ...parts(), publicUrl: 'https://portal.example/onboarding' })
    for (const url of ['/onboarding/acme/sign-in', '/acme/sign-in']) {
      const { statusCode, body } = await app.inject({ url, headers: { host: 'portal.example' } })
      expect(statusCode).toBe(200)
      const inside = [...body.matchAll(/(?:href|action)="([^"]+)"/g)].map(([, address]) => address!).filter((address) => !address.startsWith('mailto:'))
      expect(inside.length).toBeGreaterThan(3)
      expect(inside.every((address) => address.startsWith('/onboarding/'))).toBe(true)
    }
    expect((await app.inject({ url: '/onboarding/notice', headers: { host: 'portal.example' } })).headers['location']).toBe('/onboarding/')
    await app.close()
  })
})

describe('forms', () => {
  const login = () => ({ username: ben.username, password: PASSWORD })
  const signedIn = async () => (await acme.sql<{ count: number }>('select count(*)::int as count from sessions'))[0]!.count

  test('from other sites are refused, whatever they hold', async () => {
    const before = await signedIn()
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example' }, { origin: 'http://localhost:9999' }, { origin: 'https://localhost.evil.example' }]) {
      const { status, html } = await portal.browser().submit('/acme/sign-in', login(), { headers })
      expect([JSON.stringify(headers), status]).toEqual([JSON.stringify(headers), 403])
      expect(html).toContain('This page was open for too long')
    }
    expect(await signedIn()).toBe(before)
  })

  test('from the portal’s own pages are taken, also by browsers that say less about where they come from', async () => {
    for (const headers of [{ origin: 'null' }, { origin: 'http://localhost:3001' }, { 'sec-fetch-site': 'none' }]) expect((await portal.browser().submit('/acme/sign-in', login(), { headers })).status).toBe(303)
  })

  test('without a token, with one of another browser, or with a made-up secret are refused', async () => {
    const before = await signedIn()
    const browser = portal.browser()
    await browser.get('/acme/sign-in')
    expect((await browser.post('/acme/sign-in', login())).status).toBe(403)
    expect((await browser.post('/acme/sign-in', { ...login(), _csrf: 'made-up' })).status).toBe(403)
    const other = /name="_csrf" value="([^"]+)"/.exec((await portal.browser().get('/acme/sign-in')).html)![1]!
    expect((await browser.post('/acme/sign-in', { ...login(), _csrf: other })).status).toBe(403)
    browser.cookies.set('muster-form', 'AAAAAAAAAAAAAAAAAAAAAAAA.AAAA')
    expect((await browser.post('/acme/sign-in', { ...login(), _csrf: other })).status).toBe(403)
    expect(await signedIn()).toBe(before)
  })

  test('are bound to the session: what was shown before somebody signed in is worth nothing after', async () => {
    const browser = portal.browser()
    const token = /name="_csrf" value="([^"]+)"/.exec((await browser.get('/acme/sign-in')).html)![1]!
    await browser.submit('/acme/sign-in', login())
    const { status, html } = await browser.post('/sign-out', { _csrf: token })
    expect(status).toBe(403)
    expect(html).toContain('href="/"')
    expect((await browser.get('/notice')).status).toBe(200)
  })

  test('every page that can be sent to asks for the token', async () => {
    for (const path of ['/sign-out', '/notice', '/password', '/acme/sign-in', '/acme/forgot', `/invitations/${ada.token}`, '/reset/none', '/nowhere']) {
      const { status } = await portal.browser().post(path, { username: 'x', password: PASSWORD, repeat: PASSWORD })
      expect([path, status]).toEqual([path, 403])
    }
  })

  test('come as browsers send them, and small', async () => {
    const json = await portal.app.inject({ method: 'POST', url: '/acme/sign-in', headers: { host: 'localhost', 'content-type': 'application/json' }, payload: JSON.stringify(login()) })
    const text = await portal.app.inject({ method: 'POST', url: '/acme/sign-in', headers: { host: 'localhost', 'content-type': 'text/plain' }, payload: 'username=x' })
    expect([json.statusCode, text.statusCode]).toEqual([415, 415])
    const large = await portal.browser().submit('/acme/sign-in', { username: 'x'.repeat(20_000), password: PASSWORD })
    expect([large.status, large.html.includes('This could not be read')]).toEqual([413, true])
  })

  test('that hold what no field holds are answered like any other', async () => {
    const { status, html } = await portal.browser().submit('/acme/sign-in', { username: 'a\0b"><script>', password: '\0' })
    expect(status).toBe(422)
    expect(html).not.toContain('<script>')
    const browser = portal.browser()
    const token = /name="_csrf" value="([^"]+)"/.exec((await browser.get('/acme/sign-in')).html)![1]!
    const cookie = [...browser.cookies].map((pair) => pair.join('=')).join('; ')
    const twice = await portal.app.inject({ method: 'POST', url: '/acme/sign-in', headers: { host: 'localhost', cookie, 'content-type': 'application/x-www-form-urlencoded' }, payload: `_csrf=${token}&username=a&username=b&password=x&__proto__=y&constructor=z` })
    expect(twice.statusCode).toBe(422)
  })
})

test('the API answers to the names of the portal alone, too: passwords would travel in clear; its health is told to whoever watches', async () => {
  const open = await buildPortal({ ...parts(), host: '192.0.2.5' })
  const secured = await buildPortal({ ...parts(), host: '192.0.2.5', publicUrl: 'https://portal.example' })
  const ask = async (app: typeof open, host: string, url = '/api/v1/sign-in') => {
    const { statusCode, json } = await app.inject({ method: url.endsWith('sign-in') ? 'POST' : 'GET', url, headers: { host, 'content-type': 'application/json' }, ...(url.endsWith('sign-in') && { payload: '{}' }) })
    return [statusCode, json<{ code?: string }>().code]
  }
  for (const host of ['192.0.2.5:3001', 'muster.internal', 'portal.example']) expect(await ask(open, host), host).toEqual([421, 'host.foreign'])
  expect(await ask(open, 'localhost:3001')).toEqual([401, 'api.key_missing'])
  expect(await ask(secured, 'portal.example')).toEqual([401, 'api.key_missing'])
  expect(await ask(secured, 'muster.internal')).toEqual([421, 'host.foreign'])
  expect(await ask(open, 'muster.internal', '/api/v1/openapi.json')).toEqual([421, 'host.foreign'])
  expect(await ask(open, 'muster.internal', '/api/v1/health')).toEqual([200, undefined])
  await Promise.all([open.close(), secured.close()])
})

test('a portal behind a proxy that nobody trusts says at its start that everybody counts as one address', async () => {
  const warned: string[] = []
  const log = { warn: (_: object, message: string) => void warned.push(message), error: () => undefined }
  for (const more of [{ publicUrl: 'https://portal.example' }, { publicUrl: 'https://portal.example', trustedProxies: 1 }, { publicUrl: 'http://localhost:3001' }, {}]) await (await startPortal({ ...parts(), log, ...more })).close()
  expect(warned).toEqual(['PUBLIC_URL is https and TRUSTED_PROXIES is 0: everybody counts as one address. Set TRUSTED_PROXIES to the number of proxies.'])
})

test('the API stands apart: tokens of forms are not asked for, and no cookie is set', async () => {
  const answer = await portal.app.inject({ method: 'POST', url: '/api/v1/sign-in', headers: { host: 'localhost:3001', 'content-type': 'application/json', 'sec-fetch-site': 'cross-site' }, payload: '{}' })
  expect([answer.statusCode, answer.headers['set-cookie'], answer.headers['content-type']]).toEqual([401, undefined, expect.stringContaining('application/problem+json')])
})

test('who asks is told by as many proxies as are trusted, and by nobody else', async () => {
  const counted = async (address: string) => (await acme.sql('select from throttles where key = $1', [counterOf(SECRET, 'address', '', address).key])).length
  const headers = { 'x-forwarded-for': '203.0.113.7, 203.0.113.8' }
  await portal.browser().submit('/acme/sign-in', { username: 'zoe', password: 'wrong' }, { headers })
  expect([await counted('203.0.113.8'), await counted('127.0.0.1')]).toEqual([0, 1])
  const proxied = await openPortal({ trustedProxies: 1 })
  const there = await proxied.organization({ key: 'acme' })
  await proxied.browser().submit('/acme/sign-in', { username: 'zoe', password: 'wrong' }, { headers })
  const seen = await there.sql<{ key: string }>('select key from throttles')
  expect(seen.map(({ key }) => key)).toContain(counterOf(SECRET, 'address', '', '203.0.113.8').key)
  expect(seen.map(({ key }) => key)).not.toContain(counterOf(SECRET, 'address', '', '203.0.113.7').key)
  await proxied.close()
})

test('a fault is told without what stood in the address or the form, in the log as on the page', async () => {
  const broken = await openPortal()
  const there = await broken.organization({ key: 'acme' })
  const [cai] = await inviteAll(there, ['Cai'])
  await there.sql('alter table invitations rename to elsewhere')
  const { status, html } = await broken.browser().get(`/invitations/${cai!.token}`)
  expect([status, html.includes('Something did not work')]).toEqual([500, true])
  expect(broken.logged).toHaveLength(1)
  expect(broken.logged[0]).toContain('/invitations/:token')
  expect(broken.logged[0] + html).not.toContain(cai!.token)
  await broken.close()
})

test('listens where it is told to, on any free port, and tells where; a port that is taken is told by its code', async () => {
  const first = await startPortal(parts())
  try {
    expect(first.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const answer = await fetch(`${first.url}/acme/sign-in`)
    expect([answer.status, (await answer.text()).includes('Sign in to Acme Staffing')]).toEqual([200, true])
    await expect(startPortal({ ...parts(), port: Number(new URL(first.url).port) })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  } finally {
    await first.close()
  }
  await expect(fetch(`${first.url}/`)).rejects.toThrow()
})
