/** Feeds in the console: a line each, and a page with runs, files, alerts and whom a held file is about. */
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/entities/database.ts'
import { raiseAlert } from '../../src/feeds/alerts.ts'
import { parseFeed } from '../../src/feeds/declaration.ts'
import { applyFeed, pauseFeed, pinHostKey, resumeFeed } from '../../src/feeds/feeds.ts'
import { storeSecret } from '../../src/feeds/secrets.ts'
import { FAINT_TEXTS, QUIET } from '../support/chromium.ts'
import { importing, type Importing } from '../support/importing.ts'
import { programOf, skipWithout } from '../support/services.ts'
import { openConsole } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

const KEY = `SHA256:${'A'.repeat(43)}`
const random = (count: number): Buffer => Buffer.alloc(count, 7)
const declaration = (changes: Record<string, unknown> = {}) =>
  parseFeed({ organization: 'acme', name: 'nightly', server: { host: 'sftp.acme.example', username: 'acme', login: { password: 'acme-sftp' } }, pattern: 'people-*.csv', schedule: '30 2 * * *', mode: 'full', ...changes })

let opened: OpenedConsole
let acme: Importing
let feedId: string
beforeAll(async () => {
  opened = await openConsole()
  acme = await importing(opened.database, { key: 'acme', timeZone: 'America/New_York' })
})
afterAll(() => opened.close())

const within = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => opened.database.tenant(acme.organizationId, work)

test('before there is any, the list says how to declare one', async () => {
  expect((await opened.get('/feeds')).text).toContain('There is no feed yet. One takes in what a client leaves on an SFTP server: ./muster feed apply FILE.json')
})

describe('a feed', () => {
  beforeAll(async () => {
    await within(async (tx) => {
      await storeSecret(tx, { secret: 's'.repeat(32), random }, 'acme-sftp', 'not to be shown', 'olga')
      feedId = (await applyFeed(tx, declaration(), 'olga')).feed.id
    })
  })

  test('that is not trusted says so, and what to type, on the list, on its page and on the overview', async () => {
    const { text, html } = await opened.get('/feeds')
    expect(text).toContain("nightly Not trusted Does not run: the server's key is not pinned ./muster feed trust nightly --organization acme none yet not now")
    expect(html).toContain(`href="/feeds/${feedId}"`)
    expect((await opened.get(`/feeds/${feedId}`)).text).toContain("The server's key is not pinned The feed does not run until somebody has compared the key")
    expect((await opened.get('/')).text).toContain("Feed nightly: does not run: the server's key is not pinned")
  })

  test('that waits for its first file tells its next run and its declaration, and never a secret', async () => {
    await within((tx) => pinHostKey(tx, feedId, KEY, 'olga'))
    expect((await opened.get('/feeds')).text).toMatch(/nightly New No file has come yet none yet \w+ \d+, \d{4}, 2:30 AM E[SD]T/)
    const { text } = await opened.get(`/feeds/${feedId}`)
    expect(text).toContain(`Key ${KEY}, pinned by olga at `)
    expect(text).toContain('Takes full files: who is missing is deactivated, of those whom this feed brought')
    expect(text).not.toContain('not to be shown')
    expect((await opened.get('/')).text).not.toContain('Feed nightly')
  })

  test('that is paused says how it goes on', async () => {
    await within((tx) => pauseFeed(tx, feedId, 'olga'))
    expect((await opened.get(`/feeds/${feedId}`)).text).toContain('It is paused It runs only when it is told to. ./muster feed resume nightly --organization acme')
    await within((tx) => resumeFeed(tx, feedId, 'olga'))
  })

  test('tells its alerts with what to do, and the console where it stands', async () => {
    await within(async (tx) => {
      await raiseAlert(tx, { id: feedId, name: 'nightly', definition: declaration() }, 'unreachable', { detail: { host: 'sftp.acme.example', port: 22, message: 'It does not answer.' } })
    })
    expect((await opened.get('/feeds')).text).toContain('nightly Alert The server cannot be reached')
    const page = await opened.get(`/feeds/${feedId}`)
    expect(page.text).toContain('could not be reached, or broke off. It does not answer. Muster goes on trying. Ask whoever runs the server whether it is up, and lets Muster in. Files')
    expect((await opened.get('/')).html).toContain(`href="/feeds/${feedId}"`)
    await acme.sql(`update feed_alerts set state = 'cleared', cleared_at = now()`)
  })
})

describe('a held file', () => {
  let importId: string
  const row = (index: number): string => `E${index},Person ${'ABCDEFGHIJ'[index]},Li,p${index}@acme.example`

  beforeAll(async () => {
    const head = 'External ID,First Name,Last Name,Email'
    await acme.run([head, ...[0, 1, 2].map(row)].join('\n'))
    const preview = await acme.preview([head, row(3), 'E0,Person <A>,Li,other@acme.example'].join('\n'))
    importId = preview.id
    await acme.sql(
      `update imports set state = 'held', feed_id = $2, plan_hash = 'abc123', hold_until = now() + interval '3 days',
         hold = '[{"code": "limit.deactivations", "detail": {"count": 2, "limit": 0, "population": 3}}, {"code": "limit.creations", "detail": {"count": 1, "limit": 0, "population": 3}}]' where id = $1`,
      [importId, feedId],
    )
    await opened.sql(`create table staging.plan_${importId}_leaving (number integer not null, contact_id bigint not null, version integer not null)`)
    await opened.sql(`grant select on staging.plan_${importId}_leaving to public`)
    await opened.sql(`insert into staging.plan_${importId}_leaving select row_number() over (order by id), id, version from contacts where external_id in ('E1', 'E2')`)
    await acme.sql(`insert into feed_runs (organization_id, feed_id, kind, slot_at, slots_passed, state, looks, files_taken) values ($1, $2, 'catchUp', '2026-01-02T07:30:00Z', 1, 'done', 2, 1)`, [acme.organizationId, feedId])
    await acme.sql(
      `insert into feed_files (organization_id, feed_id, name, bytes, modified_at, state, import_id, counts) values ($1, $2, 'people-2.csv', 1200, now(), 'held', $3, '{"rows": 2, "population": 3, "creations": 1, "updates": 1, "deactivations": 2, "changedEmails": 1, "reactivations": 0}')`,
      [acme.organizationId, feedId, importId],
    )
  })

  test('stands in one line of the list', async () => {
    expect((await opened.get('/feeds')).text).toContain(`nightly Held Held: 2 people would be deactivated (limit 0) and 1 more ./muster feed show ${importId}`)
  })

  test('names everybody whom it is about, and says who decides', async () => {
    const { text, html } = await opened.get(`/feeds/${feedId}`)
    expect(text).toContain('Somebody else than olga, who declared the feed, decides.')
    expect(text).toContain(`./muster feed approve ${importId} ./muster feed reject ${importId}`)
    expect(text).toContain('Would be deactivated 2 Name External ID E-mail Person B Li E1 p1@acme.example Person C Li E2 p2@acme.example')
    expect(text).toContain('Would be new 1 Name External ID E-mail Person D Li E3 p3@acme.example')
    expect(text).toContain('Plan abc123')
    expect(html).not.toContain('<A>')
    expect(text).toContain('people-2.csv Held 2 rows, 1 new, 1 changed, 2 gone 1.2 kB')
    expect(text).toContain('Done 2 looks, 1 file Caught up, for 2 slots')
  })

  test('is told on the page of its import, and on the overview, with the commands of feeds', async () => {
    expect((await opened.get(`/imports/${importId}`)).text).toContain(`./muster feed approve ${importId}`)
    expect((await opened.get('/')).text).toContain(`./muster feed show ${importId}`)
  })

  test('is fetched again by itself, now and then', async () => {
    expect((await opened.get('/feeds')).html).toContain('hx-get="/feeds/live" hx-trigger="every 15s"')
    const part = await opened.get(`/feeds/${feedId}/live`)
    expect(part.html).toMatch(new RegExp(`^<div id="feed" hx-get="/feeds/${feedId}/live"`))
    await acme.sql(`update feed_files set state = 'importing'`)
    await acme.sql(`update imports set state = 'committing' where id = $1`, [importId])
    expect((await opened.get('/feeds/live')).html).toContain('hx-trigger="every 2s"')
    await acme.sql(`update feed_files set state = 'held'`)
    await acme.sql(`update imports set state = 'held' where id = $1`, [importId])
  })

  describe.skipIf(skipWithout('chromium'))('in a browser', () => {
    test('is readable in light and dark, wide and narrow, and nothing is cut off', { timeout: 60_000 }, async () => {
      const url = await opened.app.listen({ host: '127.0.0.1', port: 0 })
      const browser = await chromium.launch({ executablePath: programOf('chromium')!, args: QUIET })
      try {
        for (const colorScheme of ['light', 'dark'] as const) {
          const page = await (await browser.newContext({ colorScheme, baseURL: url })).newPage()
          for (const path of ['/feeds', `/feeds/${feedId}`]) {
            await page.goto(path)
            expect(await page.evaluate(FAINT_TEXTS), `contrast of ${path}`).toEqual([])
            for (const width of [1280, 360]) {
              await page.setViewportSize({ width, height: 900 })
              expect(await page.evaluate('document.documentElement.scrollWidth'), `${path} at ${width}`).toBeLessThanOrEqual(width)
            }
          }
        }
      } finally {
        await browser.close()
      }
    })
  })
})

test.each(['0', '99999', 'x'])('feed %s is told not to be there', async (id) => {
  const page = await opened.get(`/feeds/${id}`)
  expect([page.status, page.text]).toEqual([404, expect.stringContaining('There is no feed')])
})
