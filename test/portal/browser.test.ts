/** The portal in a real browser without scripts: by keyboard, for screen readers, wide and narrow, light and dark. */
import { randomBytes } from 'node:crypto'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashToken, newToken } from '../../src/accounts/invitations.ts'
import { FAINT_TEXTS, QUIET } from '../support/chromium.ts'
import { programOf, skipWithout } from '../support/services.ts'
import { givePassword, inviteAll, openPortal, PASSWORD } from './openPortal.ts'
import type { OpenedPortal, Person } from './openPortal.ts'

const LONG = 'Niederrheinische Bauunternehmungsgesellschaft Müller-Lüdenscheidt'

describe.skipIf(skipWithout('chromium'))('the portal in a browser', () => {
  let portal: OpenedPortal
  let browser: Browser
  let url: string
  let people: Person[]
  let faults: string[]
  /** Pages for whoever is not signed in, and for somebody who is. */
  let outside: string[]
  const inside = ['/', '/password']

  beforeAll(async () => {
    portal = await openPortal()
    const acme = await portal.organization({ key: 'acme', login: { url: 'https://acme.example/login' }, supportContact: { name: 'Help desk', email: 'help@acme.example', phone: '6125550100' } })
    const bau = await portal.organization({ key: 'bau', name: LONG, language: 'de', onboarding: { notice: Array.from({ length: 40 }, (_, index) => `Absatz ${index + 1} der Hinweise.`).join('\n\n') } })
    await portal.organization({ key: 'north', login: { sso: true, url: 'https://login.north.example' } })
    people = await inviteAll(acme, ['Ada', 'Ben', 'Cai', 'Dee'])
    const german = await inviteAll(bau, ['Wolfeschlegelsteinhausenbergerdorff', 'Ida'])
    await acme.sql(`update invitations set expires_at = now() - interval '1 second' where user_id = $1`, [people[1]!.userId])
    await givePassword(acme, people[2]!.userId, PASSWORD)
    await acme.sql('update users set notice_accepted_at = now() where id = $1', [people[2]!.userId])
    await givePassword(bau, german[1]!.userId, PASSWORD)
    const reset = newToken(randomBytes)
    await acme.sql(`insert into password_resets (organization_id, user_id, epoch, token_hash, expires_at) values ($1, $2, 1, $3, now() + interval '1 hour')`, [acme.organizationId, people[2]!.userId, hashToken(reset)])
    outside = [`/invitations/${people[0]!.token}`, `/invitations/${german[0]!.token}`, `/invitations/${people[1]!.token}`, '/invitations/none', '/acme/sign-in', '/bau/sign-in', '/north/sign-in', '/acme/forgot', '/bau/forgot', `/reset/${reset}`, '/', '/nowhere']
    url = await portal.app.listen({ host: '127.0.0.1', port: 0 })
    browser = await chromium.launch({ executablePath: programOf('chromium')!, args: QUIET })
  })
  afterAll(async () => {
    await browser?.close()
    await portal?.close()
  })

  /** A page of a fresh browser, in which no script runs; what it complains of is gathered in `faults`. */
  async function openPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    faults = []
    const context = await browser.newContext({ baseURL: url, javaScriptEnabled: false, ...options })
    const page = await context.newPage()
    page.on('console', (message) => {
      // Pages that refuse something say so on the console, too.
      if (['error', 'warning'].includes(message.type()) && !/status of (?:404|410|422)/.test(message.text())) faults.push(message.text())
    })
    return page
  }

  async function signIn(page: Page, organization: string, username: string): Promise<void> {
    await page.goto(`/${organization}/sign-in`)
    await page.locator('#username').fill(username)
    await page.locator('#password').fill(PASSWORD)
    await page.locator('main button').first().click()
  }

  const focused = (page: Page) => page.evaluate<{ id: string; text: string; outline: string }>(`(({ activeElement: e }) => ({ id: e.id, text: (e.labels?.[0] ?? e).textContent.trim().replace(/\\s+/g, ' '), outline: getComputedStyle(e).outlineStyle }))(document)`)

  test('registering can be done by keyboard alone, and the focus is always seen', async () => {
    const page = await openPage()
    await page.goto(`/invitations/${people[3]!.token}`)
    const press = async (text: string, key?: string) => {
      await page.keyboard.press('Tab')
      const { text: at, outline } = await focused(page)
      expect([at, outline]).toEqual([text, 'solid'])
      if (key !== undefined) await page.keyboard.type(key)
    }
    await press('User ID')
    await press('Password', PASSWORD)
    await press('Repeat the password', PASSWORD)
    await press('Set up my account')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Sign in to Acme Staffing' }).waitFor()
    await press('User ID')
    await press('Password', PASSWORD)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Before you begin' }).waitFor()
    await press(await page.locator('.notice').innerText().then((text) => text.replaceAll(/\s*\n\s*/g, '')))
    await press('I accept')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'You are all set, Dee' }).waitFor()
    expect(faults).toEqual([])
    await page.context().close()
  })

  test('after a refusal the focus is on what is wrong, which leads to the field, and the field says why', async () => {
    const page = await openPage()
    await page.goto(`/invitations/${people[0]!.token}`)
    await page.getByLabel('User ID').fill('-no-')
    await page.getByLabel('Password', { exact: true }).fill('short')
    await page.getByLabel('Repeat the password').fill('short')
    await page.getByRole('button').click()
    const summary = page.getByRole('alert', { name: 'Please look at this again' })
    await summary.waitFor()
    expect(await summary.evaluate((element: unknown) => element === (element as { ownerDocument: { activeElement: unknown } }).ownerDocument.activeElement)).toBe(true)
    expect(await page.title()).toBe('Error: Set up your account · Acme Staffing')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    expect(page.url()).toMatch(/#password$/)
    const field = page.getByLabel('Password', { exact: true })
    expect(await field.getAttribute('aria-invalid')).toBe('true')
    const described = (await field.getAttribute('aria-describedby'))!.split(' ')
    expect(await Promise.all(described.map((id) => page.locator(`#${id}`).innerText()))).toEqual([expect.stringContaining('At least 12 characters.'), expect.stringContaining('The password is too short')])
    expect(await page.getByLabel('User ID').inputValue()).toBe('-no-')
    await page.context().close()
  })

  test('has landmarks, one heading of the first level, a language, and names for all that can be used', async () => {
    const page = await openPage()
    const look = async (path: string) => {
      await page.goto(path)
      expect(await page.getByRole('main').count(), path).toBe(1)
      expect(await page.getByRole('heading', { level: 1 }).count(), path).toBe(1)
      expect(await page.locator('html').getAttribute('lang')).toMatch(/^(?:en|de)$/)
      expect(await page.evaluate(`[...document.querySelectorAll('a, button, input:not([type=hidden])')].filter((e) => !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).map((e) => e.outerHTML)`)).toEqual([])
      expect(await page.evaluate(`[...document.querySelectorAll('[aria-describedby], [aria-labelledby]')].flatMap((e) => (e.getAttribute('aria-describedby') ?? e.getAttribute('aria-labelledby')).split(' ')).filter((id) => !document.getElementById(id))`)).toEqual([])
    }
    for (const path of outside) await look(path)
    await signIn(page, 'acme', people[2]!.username)
    for (const path of inside) await look(path)
    await page.context().close()
  })

  test('tells password managers what each field is, and hinders nobody from pasting', async () => {
    const page = await openPage()
    const kinds = async (path: string) => {
      await page.goto(path)
      return page.evaluate<string[]>(`[...document.querySelectorAll('input:not([type=hidden])')].map((e) => e.autocomplete + (e.onpaste || e.disabled ? ' hindered' : ''))`)
    }
    expect(await kinds(outside[0]!)).toEqual(['username', 'new-password', 'new-password'])
    expect(await kinds('/acme/sign-in')).toEqual(['username', 'current-password'])
    expect(await kinds(outside[9]!)).toEqual(['username', 'new-password', 'new-password'])
    await signIn(page, 'acme', people[2]!.username)
    expect(await kinds('/password')).toEqual(['username', 'current-password', 'new-password', 'new-password'])
    await page.context().close()
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`is readable in ${colorScheme}, from 1280 to 320 pixels, and nothing is cut off`, async () => {
      const page = await openPage({ colorScheme })
      const look = async (name: string) => {
        expect(await page.evaluate(FAINT_TEXTS), `contrast of ${name}`).toEqual([])
        for (const width of [1280, 390, 320]) {
          await page.setViewportSize({ width, height: 800 })
          expect(await page.evaluate('document.documentElement.scrollWidth'), `${name} at ${width}`).toBeLessThanOrEqual(width)
        }
      }
      for (const path of outside) {
        await page.goto(path)
        await look(path)
      }
      await page.goto(outside[1]!)
      await page.locator('#password').fill('kurz')
      await page.getByRole('button').click()
      await look('a refusal')
      await page.goto('/acme/forgot')
      await page.locator('#username').fill('nobody')
      await page.getByRole('button').click()
      await look('a mail is on its way')
      await signIn(page, 'bau', 'ida.lovelace')
      await look('the notice')
      expect(await page.evaluate(`(({ scrollHeight, clientHeight }) => scrollHeight > clientHeight)(document.querySelector('.notice'))`), 'a long notice scrolls by itself').toBe(true)
      await signIn(page, 'acme', people[2]!.username)
      for (const path of inside) {
        await page.goto(path)
        await look(path)
      }
      expect(faults).toEqual([])
      await page.context().close()
    })
  }
})
