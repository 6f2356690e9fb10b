import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isLoopbackHost } from '../../src/web/guard.ts'
import { startConsole } from '../../src/web/startConsole.ts'
import { importing } from '../support/importing.ts'
import { openConsole } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
let paths: string[]

beforeAll(async () => {
  opened = await openConsole()
  const acme = await importing(opened.database, { key: 'acme' })
  const { id } = await acme.run('First Name,Last Name,Email\nAna,Li,ana@acme.example\n,Ng,x@acme.example')
  const preview = await acme.preview('First Name,Last Name,Email\nBo,Li,bo@acme.example')
  paths = ['/', '/overview', '/imports', '/organizations/acme/imports', `/imports/${id}`, `/imports/${preview.id}`, `/imports/${id}/progress`, '/deliveries', '/deliveries/1', '/mailbox', '/healthz', '/nowhere', '/imports/999', '/organizations/none/imports', '/deliveries?state=lost']
})
afterAll(() => opened.close())

describe('the console', () => {
  test('answers to this machine’s own names only', () => {
    for (const host of ['localhost', 'localhost:3000', 'LOCALHOST:1', '127.0.0.1:3000', '[::1]:3000', '[::1]']) expect(isLoopbackHost(host), host).toBe(true)
    for (const host of [undefined, '', 'evil.example', 'localhost.evil.example', 'evil.example:3000', '127.0.0.1.evil.example', '127.0.0.2', '0.0.0.0:3000', 'localhost@evil.example', 'localhost:3000:1', '[::2]', 'localhost,evil.example', ' localhost']) {
      expect(isLoopbackHost(host), host).toBe(false)
    }
  })

  test('refuses a request that a foreign name led here, on every path', async () => {
    for (const path of [...paths, '/assets/x/console.css']) {
      const page = await opened.get(path, { host: 'evil.example:3000' })
      expect(page.status, path).toBe(421)
      expect(page.text).not.toMatch(/acme/i)
    }
  })

  test('sends strict headers with every answer', async () => {
    for (const path of paths) {
      const { headers } = await opened.get(path)
      const policy = String(headers['content-security-policy'])
      expect(policy, path).toContain("default-src 'none'; script-src 'self'; style-src 'self';")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toContain('unsafe')
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' })
    }
  })

  test('writes nothing inline that the policy would stop', async () => {
    for (const path of paths) {
      const { html } = await opened.get(path)
      expect(html, path).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:/i)
    }
  })

  test('serves its own files under addresses that change with them, to be kept', async () => {
    const { html } = await opened.get('/')
    const addresses = [...html.matchAll(/"(\/assets\/[0-9a-f]{12}\/[\w.]+)"/g)].map(([, address]) => address!)
    expect(addresses.map((address) => address.split('/').at(-1))).toEqual(['icon.svg', 'console.css', 'htmx.js', 'console.js'])
    for (const address of addresses) {
      const { status, headers } = await opened.get(address)
      expect(status).toBe(200)
      expect(headers['cache-control']).toContain('immutable')
      expect(headers['content-type']).toMatch(/css|javascript|svg/)
    }
  })

  test('changes nothing: any method but reading is refused with what to do', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      const { statusCode, headers, body } = await opened.app.inject({ method, url: '/imports', headers: { host: 'localhost' } })
      expect([method, statusCode, headers['allow']]).toEqual([method, 405, 'GET, HEAD'])
      expect(body).toContain('./muster')
    }
    expect((await opened.app.inject({ method: 'HEAD', url: '/', headers: { host: 'localhost' } })).statusCode).toBe(200)
  })

  test('listens on the loopback address, on any free port, and tells where; a port that is taken is told by its code', async () => {
    const { database } = opened
    const first = await startConsole({ database, mailboxHome: null, port: 0 })
    try {
      const port = Number(new URL(first.url).port)
      expect(first.url).toBe(`http://127.0.0.1:${port}`)
      const answer = await fetch(`${first.url}/healthz`)
      expect(answer.status).toBe(200)
      await answer.body?.cancel()
      await expect(startConsole({ database, mailboxHome: null, port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    } finally {
      await first.close()
    }
    await expect(fetch(`${first.url}/healthz`)).rejects.toThrow()
  })
})
