import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { buildConsole } from '../../src/web/startConsole.ts'
import { openConsole, seeWorker } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
beforeAll(async () => {
  opened = await openConsole()
})
afterAll(() => opened.close())

describe('/healthz', () => {
  test('is degraded without a worker, and a worker silent for more than 30 seconds is none', async () => {
    await seeWorker(opened, 'silent', 31)
    const { status, html } = await opened.get('/healthz')
    expect([status, JSON.parse(html)]).toEqual([200, { status: 'degraded', database: 'ok', workers: 0 }])
  })

  test('is ok with one that gave a sign', async () => {
    await seeWorker(opened, 'alive', 29)
    expect(JSON.parse((await opened.get('/healthz')).html)).toEqual({ status: 'ok', database: 'ok', workers: 1 })
  })
})

describe('without a database', () => {
  test('health fails with 503, and pages say what to do in the same dress', async () => {
    const nowhere = new Database('postgresql://nobody@127.0.0.1:1/none')
    const told: string[] = []
    const app = await buildConsole({ database: nowhere, mailboxHome: null, port: 0, log: { error: (_, message) => told.push(message) } })
    try {
      const health = await app.inject({ url: '/healthz', headers: { host: 'localhost' } })
      expect([health.statusCode, health.json()]).toEqual([503, { status: 'failing', database: 'unreachable', workers: null }])
      const page = await app.inject({ url: '/', headers: { host: 'localhost' } })
      expect(page.statusCode).toBe(503)
      expect(page.body).toContain('The database does not answer')
      expect(page.body).toContain('<nav aria-label="Main">')
      expect(page.body).toContain('No database')
      expect(told).toEqual(['a page could not be shown'])
      const fragment = await app.inject({ url: '/overview', headers: { host: 'localhost', 'hx-request': 'true' } })
      expect([fragment.statusCode, fragment.body]).toEqual([204, ''])
    } finally {
      await app.close()
      await nowhere.close()
    }
  })
})
