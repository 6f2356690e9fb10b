import { createServer, type Server } from 'node:http'
import type { lookup } from 'node:dns'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { postWebhook, type PostOptions } from '../../src/feeds/postWebhook.ts'
import { signWebhook } from '../../src/feeds/signWebhook.ts'
import { faultOfAddress, faultOfUrl } from '../../src/feeds/webhookAddress.ts'
import { judgeWebhook, PAUSES } from '../../src/feeds/webhooks.ts'

describe('a signature', () => {
  const [id, at, body] = ['msg_p5jXN8AQM9LWM0D4loKWxJek', new Date(1_614_265_330_999), '{"test": 2432232314}'] as const

  test('is the one that Standard Webhooks give as an example', () => {
    expect(signWebhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', id, at, body)).toEqual({
      'webhook-id': id, 'webhook-timestamp': '1614265330', 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  test('is another one for another secret, id, time and body; a secret without whsec_ is the key itself', () => {
    const signatures = [
      signWebhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', id, at, body), signWebhook('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', id, at, body), signWebhook('x', id, at, body),
      signWebhook('x', `${id}x`, at, body), signWebhook('x', id, new Date(0), body), signWebhook('x', id, at, `${body} `),
    ].map((headers) => headers['webhook-signature'])
    expect(new Set(signatures).size).toBe(6)
  })
})

describe('an address', () => {
  test.each([
    ['https://hooks.acme.example/x', null],
    ['http://127.0.0.1:8080/x', null],
    ['http://localhost/x', null],
    ['http://[::1]/x', null],
    ['https://10.1.2.3/x', null],
    ['https://[fd12::1]/x', null],
    ['http://hooks.acme.example/x', 'not https'],
    ['http://10.1.2.3/x', 'not https'],
    ['ftp://hooks.acme.example/x', 'not https'],
    ['https://169.254.169.254/latest', 'no address'],
    ['https://[fe80::1]/x', 'no address'],
    ['https://[::ffff:169.254.169.254]/x', 'no address'],
    ['https://[fd00:ec2::254]/x', 'no address'],
    ['https://0.0.0.0/x', 'no address'],
    ['https://2852039166/x', 'no address'],
    ['https://user:word@hooks.acme.example/x', 'user name or a password'],
    ['https://user@hooks.acme.example/x', 'user name or a password'],
  ])('%s: %s', (url, fault) => {
    if (fault === null) expect(faultOfUrl(new URL(url))).toBeNull()
    else expect(faultOfUrl(new URL(url))).toContain(fault)
  })

  test.each([
    ['hooks.acme.example', '93.184.216.34', true],
    ['hooks.acme.example', '2606:2800:220:1::1', true],
    // A public name is anybody's to lead somewhere else.
    ['hooks.acme.example', '10.0.0.1', false],
    ['hooks.acme.example', '172.16.0.1', false],
    ['hooks.acme.example', '192.168.1.1', false],
    ['hooks.acme.example', '100.64.0.1', false],
    ['hooks.acme.example', 'fd12::1', false],
    ['hooks.acme.example', '127.0.0.1', false],
    ['hooks.acme.example', '::1', false],
    ['hooks.acme.example', '::ffff:10.0.0.1', false],
    ['hooks.acme.example', '64:ff9b::a00:1', false],
    ['hooks.acme.example', '::127.0.0.1', false],
    ['hooks.acme.example', '::ffff:0:10.0.0.1', false],
    ['hooks.acme.example', '2001:0:a00:1::1', false],
    ['hooks.acme.example', '2002:a00:1::1', false],
    ['hooks.acme.example', '100::1', false],
    ['hooks.acme.example', '3fff::1', false],
    ['hooks.acme.example', '5f00::1', false],
    ['hooks.acme.example', '192.88.99.1', false],
    ['hooks.acme.example', 'fe80::1%eth0', false],
    ['hooks.acme.example', '2a00:1450:4001:80f::200e', true],
    ['hooks.acme.example', '169.254.169.254', false],
    // These cannot be public.
    ['hooks.acme.internal', '10.0.0.1', true],
    ['HOOKS.acme.local', '192.168.1.1', true],
    ['nas.home.arpa', 'fd12::1', true],
    ['notinternal', '10.0.0.1', false],
    ['localhost', '127.0.0.1', true],
    ['hooks.acme.internal', '127.0.0.1', false],
    ['metadata.google.internal', '169.254.169.254', false],
    ['10.0.0.1', '10.0.0.1', true],
  ])('%s that leads to %s: %s', (host, address, permitted) => {
    expect(faultOfAddress(host, address) === null).toBe(permitted)
  })
})

describe('a post', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })
  /** A server that answers so; gives its port, and how many asked. */
  async function serve(answer: Parameters<typeof createServer>[1] & {}) {
    const asked = { times: 0 }
    const server = createServer((request, response) => {
      asked.times++
      answer(request, response)
    })
    servers.push(server)
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    const { port } = server.address() as AddressInfo
    return { url: `http://127.0.0.1:${port}/hook`, port, asked }
  }
  const post = (url: string, more: Partial<PostOptions> = {}) => postWebhook(url, { headers: { 'content-type': 'application/json' }, body: '{"ü":1}', deadlineMs: 5_000, signal: new AbortController().signal, ...more })
  const leadsTo = (...addresses: string[]): typeof lookup => ((_: string, __: object, callback: (error: null, found: object[]) => void) => callback(null, addresses.map((address) => ({ address, family: 4 })))) as never

  test.each([200, 202, 204, 299])('that is answered with %i is taken', async (status) => {
    const { url } = await serve((_, response) => response.writeHead(status).end())
    expect(await post(url)).toEqual({ taken: true, response: `HTTP ${status}` })
  })

  test.each([400, 404, 410, 429, 500, 503])('that is answered with %i is not', async (status) => {
    const { url } = await serve((_, response) => response.writeHead(status).end('no'))
    expect(await post(url)).toEqual({ taken: false, response: `HTTP ${status}: no` })
  })

  test('arrives as it was given, whole', async () => {
    let got = ''
    const { url } = await serve((request, response) => {
      expect(request.headers).toMatchObject({ 'content-type': 'application/json', 'content-length': '8' })
      request.on('data', (part) => (got += String(part))).on('end', () => response.end())
    })
    await post(url)
    expect(got).toBe('{"ü":1}')
  })

  test('is not led elsewhere by a redirect', async () => {
    const other = await serve((_, response) => response.end())
    const { url } = await serve((_, response) => response.writeHead(307, { location: other.url }).end())
    expect(await post(url)).toEqual({ taken: false, response: 'HTTP 307 (redirects are not followed)' })
    expect(other.asked.times).toBe(0)
  })

  test('keeps 200 characters of an answer at most, as one harmless line, however long it is', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(500)
      response.write(`a\r\nb\u001b[31m\u202e${'x'.repeat(10_000)}`)
    })
    expect(await post(url)).toEqual({ taken: false, response: `HTTP 500: a b [31m${'x'.repeat(192)}` })
  })

  test('has a deadline of its own: for the answer, and for the whole of it', async () => {
    const silent = await serve(() => undefined)
    const endless = await serve((_, response) => void response.writeHead(500).write('slow'))
    const began = performance.now()
    expect(await post(silent.url, { deadlineMs: 200 })).toEqual({ taken: false, response: 'no answer within 0.2 s' })
    expect(await post(endless.url, { deadlineMs: 200 })).toEqual({ taken: false, response: 'HTTP 500: slow' })
    const taken = await serve((_, response) => void response.writeHead(200).write('slow'))
    expect(await post(taken.url, { deadlineMs: 200 })).toEqual({ taken: true, response: 'HTTP 200' })
    expect(performance.now() - began).toBeLessThan(3_000)
  })

  test('that is answered with another protocol, or with nothing at all, is over, too', async () => {
    const { url } = await serve(() => undefined)
    servers.at(-1)!.on('connection', (socket) => socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')))
    expect(await post(url)).toEqual({ taken: false, response: 'HTTP 101' })
    servers.at(-1)!.removeAllListeners('connection').on('connection', (socket) => socket.once('data', () => socket.end()))
    expect(await post(url)).toEqual({ taken: false, response: expect.stringContaining('ECONNRESET') as string })
  })

  test('that is given up by its worker says that it was not answered', async () => {
    const ending = new AbortController()
    const { url } = await serve(() => ending.abort())
    expect(await post(url, { signal: ending.signal })).toEqual({ taken: false, response: 'the worker was ended', stopped: true })
    expect(await post(url, { signal: ending.signal })).toMatchObject({ stopped: true })
  })

  test('that nobody takes, or that is cut off, says why', async () => {
    const { url, port } = await serve((request) => request.socket.destroy())
    expect((await post(url)).response).toContain('ECONNRESET')
    servers.at(-1)!.close()
    expect((await post(`http://127.0.0.1:${port}/`)).response).toContain('ECONNREFUSED')
    expect(await post('no address')).toEqual({ taken: false, response: 'refused: the address is none' })
  })

  test('goes to the address that was looked at, and nowhere where one of them is not permitted', async () => {
    const { port, asked } = await serve((_, response) => response.end())
    const named = `http://hooks.localhost:${port}/`
    expect(await post(named, { resolve: leadsTo('127.0.0.1') })).toEqual({ taken: true, response: 'HTTP 200' })
    expect(await post(named, { resolve: leadsTo('127.0.0.1', '169.254.169.254') })).toEqual({ taken: false, response: 'refused: 169.254.169.254 is no address that is connected to' })
    expect(await post(`https://hooks.acme.example:${port}/`, { resolve: leadsTo('127.0.0.1') })).toEqual({ taken: false, response: 'refused: hooks.acme.example leads to this machine (127.0.0.1)' })
    expect(asked.times).toBe(1)
  })
})

test('an event is tried ten times over about three days, and then given up', () => {
  const hours = PAUSES.reduce((sum, seconds) => sum + seconds, 0) / 3600
  expect([PAUSES.length, hours > 72, hours < 84, PAUSES.every((pause, index) => index === 0 || pause > PAUSES[index - 1]!)]).toEqual([9, true, true, true])
  expect(judgeWebhook({ taken: false, response: 'no' }, 9).state).toBe('waiting')
  expect(judgeWebhook({ taken: false, response: 'no' }, 10).state).toBe('failed')
  expect(judgeWebhook({ taken: true, response: 'yes' }, 10).state).toBe('delivered')
})
