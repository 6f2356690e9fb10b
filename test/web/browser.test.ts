/** The console in a real browser: by keyboard, without a script, wide and narrow, light and dark. */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildMessage, Mailer } from '../../src/deliveries/mailer.ts'
import { startMailbox } from '../../src/embedded/mailbox.ts'
import { exampleVariables } from '../../src/templates/purposes.ts'
import { loadTemplates, render } from '../../src/templates/render.ts'
import { FAINT_TEXTS, QUIET } from '../support/chromium.ts'
import { importing } from '../support/importing.ts'
import { programOf, runHome, skipWithout } from '../support/services.ts'
import { openConsole, seeWorker } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

const HEAD = 'First Name,Last Name,Email'

describe.skipIf(skipWithout('chromium'))('the console in a browser', () => {
  let opened: OpenedConsole
  let browser: Browser
  let url: string
  let paths: string[]
  let running: string
  let faults: string[]

  beforeAll(async () => {
    const home = await mkdtemp(join(runHome(), 'browser-'))
    opened = await openConsole({ mailboxHome: home })
    await seeWorker(opened, 'desk-1', -3_600)
    const acme = await importing(opened.database, { key: 'acme' })
    const { id } = await acme.run(`${HEAD},Colour\nAna,Li,ana@acme.example,red\nBo,Ng,bo.example,red\n,Ng,${'long'.repeat(60)}@acme.example,red`)
    const refused = await acme.run('a,b\n1,2')
    const preview = await acme.preview(`${HEAD}\nAna,Lee,ana@acme.example`)
    ;({ id: running } = await acme.preview(`${HEAD}\nCy,Li,cy@acme.example\nDi,Li,di@acme.example`))
    await opened.sql(`update deliveries set state = 'unknown' where id = 1`)
    await opened.sql(`update imports set state = 'committing' where id = $1`, [running])
    await opened.sql(
      `insert into import_chunks (import_id, number, organization_id, first_row, last_row, state, done_at) values ($1, 0, $2, 2, 2, 'done', now()), ($1, 1, $2, 3, 3, 'pending', null)`,
      [running, acme.organizationId],
    )
    await fillMailbox(home)
    url = await opened.app.listen({ host: '127.0.0.1', port: 0 })
    paths = ['/', '/imports', `/imports/${id}`, `/imports/${refused.id}`, `/imports/${preview.id}`, `/imports/${running}`, '/deliveries', '/deliveries/1', '/mailbox', '/mailbox/1', '/nowhere']
    browser = await chromium.launch({ executablePath: programOf('chromium')!, args: QUIET })
  })
  afterAll(async () => {
    await browser?.close()
    await opened?.close()
  })

  /** A page whose violations of the policy, errors and failed scripts are gathered in `faults`. */
  async function openPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<{ page: Page; context: BrowserContext }> {
    faults = []
    const context = await browser.newContext({ baseURL: url, ...options })
    const page = await context.newPage()
    page.on('console', (message) => {
      // A page that is not there says so on the console, too.
      if (['error', 'warning'].includes(message.type()) && !message.text().includes('404')) faults.push(message.text())
    })
    page.on('pageerror', (error) => faults.push(error.message))
    if (options.javaScriptEnabled !== false) await page.addInitScript(`addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI))`)
    return { page, context }
  }

  /** Presses Tab until the focus is on something with this text, or label, and shows it. */
  async function tabTo(page: Page, name: string): Promise<void> {
    for (let presses = 0; presses < 80; presses++) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate<{ name: string; outline: string }>(
        `(({ activeElement: e }) => ({ name: (e.labels?.[0]?.firstChild?.data ?? e.textContent).trim().replace(/\\s+/g, ' '), outline: getComputedStyle(e).outlineStyle + ' ' + getComputedStyle(e).outlineWidth }))(document)`,
      )
      if (focused.name !== name) continue
      expect(focused.outline, `the focus on ${name} is seen`).not.toMatch(/none|\b0px/)
      return
    }
    throw new Error(`Tab does not reach ${name}`)
  }

  test('can be walked through by keyboard', async () => {
    const { page, context } = await openPage()
    await page.goto('/')
    await tabTo(page, 'Skip to the content')
    expect(await page.locator('.skip').boundingBox()).toMatchObject({ y: expect.toSatisfy((y: number) => y >= 0) })
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('main')

    await tabTo(page, 'Nobody knows whether 1 mail arrived')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/deliveries?**state=unknown')
    await tabTo(page, 'ana@acme.example')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'ana@acme.example' }).waitFor()

    await tabTo(page, 'Imports')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Imports' }).waitFor()
    await tabTo(page, 'people.csv')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'people.csv' }).waitFor()

    await page.goto('/deliveries')
    await tabTo(page, 'State')
    await page.keyboard.press('S')
    await tabTo(page, 'Show')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/deliveries?state=scheduled**')
    await page.getByText('No delivery is so.').waitFor()

    await tabTo(page, 'Mailbox')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Mailbox' }).waitFor()
    await tabTo(page, 'Your sign-in details for Acme Staffing')
    await page.keyboard.press('Enter')
    await page.frameLocator('iframe').getByRole('heading', { name: 'Your account is ready' }).waitFor()
    expect(faults).toEqual([])
    await context.close()
  })

  test('has landmarks, one heading of the first level, and names for all that can be used', async () => {
    const { page, context } = await openPage()
    for (const path of paths) {
      await page.goto(path)
      for (const landmark of ['banner', 'main', 'contentinfo'] as const) expect(await page.getByRole(landmark).count(), `${landmark} of ${path}`).toBe(1)
      expect(await page.getByRole('navigation', { name: 'Main' }).count()).toBe(1)
      expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1)
      expect(await page.evaluate(`[...document.querySelectorAll('a, button, input:not([type=hidden]), select, iframe, [role=img], progress')].filter((e) => !(e.textContent.trim() || e.labels?.length || e.ariaLabel || e.title)).map((e) => e.outerHTML)`)).toEqual([])
    }
    await context.close()
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`is readable in ${colorScheme}, from 1200 to 360 pixels, and nothing is cut off`, async () => {
      const { page, context } = await openPage({ colorScheme })
      for (const path of paths) {
        await page.setViewportSize({ width: 1200, height: 800 })
        await page.goto(path)
        expect(await page.evaluate(FAINT_TEXTS), `contrast of ${path}`).toEqual([])
        for (const width of [1200, 720, 360]) {
          await page.setViewportSize({ width, height: 800 })
          expect(await page.evaluate('document.documentElement.scrollWidth'), `${path} at ${width}`).toBeLessThanOrEqual(width)
        }
      }
      expect(faults).toEqual([])
      await context.close()
    })
  }

  test('names each cell of a table on a small screen', async () => {
    const { page, context } = await openPage({ viewport: { width: 360, height: 800 } })
    await page.goto('/deliveries')
    expect(await page.evaluate(`getComputedStyle(document.querySelector('td[data-label=State]'), '::before').content`)).toBe('"State"')
    expect(await page.getByRole('cell').count()).toBeGreaterThan(0)
    await context.close()
  })

  test('says so when it is no longer up to date, and stops saying so', async () => {
    const { page, context } = await openPage()
    await page.goto(`/imports/${running}`)
    await page.route('**/progress?*', (route) => route.abort())
    const told = page.getByRole('status').filter({ hasText: 'Not up to date' })
    await told.waitFor()
    await page.unroute('**/progress?*')
    await told.waitFor({ state: 'detached' })
    expect(await page.locator('#progress').isVisible()).toBe(true)
    await context.close()
  })

  test('without script is whole, and a link shows how far an import is', async () => {
    const { page, context } = await openPage({ javaScriptEnabled: false })
    await page.goto(`/imports/${running}`)
    const again = page.waitForResponse((response) => response.url().endsWith(`/imports/${running}`))
    await page.getByRole('link', { name: 'Refresh' }).click()
    expect((await again).status()).toBe(200)
    await page.getByText('1 of 2 rows').waitFor()
    expect(faults).toEqual([])
    await context.close()
  })

  test('shows a running import go on by itself, keeps the focus, and shows its end', async () => {
    const { page, context } = await openPage()
    await page.goto(`/imports/${running}`)
    expect(await page.getByRole('link', { name: 'Refresh' }).isVisible()).toBe(false)
    await tabTo(page, 'Acme Staffing')
    await page.locator('#progress progress[value="1"]').waitFor()
    await opened.sql(`update import_chunks set state = 'done', done_at = now() where import_id = $1`, [running])
    await page.locator('#progress progress[value="2"]').waitFor()
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Acme Staffing')
    await opened.sql(`update imports set state = 'cancelled', finished_at = now() where id = $1`, [running])
    await page.getByRole('heading', { name: 'The import was cancelled' }).waitFor()
    expect(await page.locator('#progress[hx-get]').count()).toBe(0)
    expect(faults).toEqual([])
    await context.close()
  })
})

async function fillMailbox(home: string): Promise<void> {
  const mailbox = await startMailbox(home)
  const mailer = new Mailer({ url: mailbox.url, connections: 1 })
  const content = render(await loadTemplates(), 'credentials', 'en', exampleVariables('credentials'))
  const { envelope, bytes } = await buildMessage({ ...content, from: 'Acme <no-reply@acme.example>', to: { name: 'Ana', address: 'ana@acme.example' }, messageId: '<1@acme.example>', date: new Date() })
  await mailer.send(envelope, bytes, () => Promise.resolve(true))
  await mailer.close()
  await mailbox.close()
}
