/** From a file to a mail, and from the mail to somebody who is signed in: everything real, the person in a browser without scripts. */
import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import PostalMime from 'postal-mime'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKey } from '../../src/accounts/apiKeys.ts'
import { HASH_COST } from '../../src/accounts/passwords.ts'
import { createRelease, freezeRelease, moveRelease, resumeRelease } from '../../src/deliveries/releases.ts'
import { Database } from '../../src/entities/database.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { migrateQueues, openQueues } from '../../src/jobs/queues.ts'
import { startScheduler } from '../../src/jobs/startScheduler.ts'
import { startWorker } from '../../src/jobs/startWorker.ts'
import { startPortal } from '../../src/portal/startPortal.ts'
import type { RunningPortal } from '../../src/portal/startPortal.ts'
import { QUIET } from '../support/chromium.ts'
import { importing } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { programOf, skipWithout, testDatabase } from '../support/services.ts'
import { startSink } from '../support/smtpSink.ts'
import type { Sink } from '../support/smtpSink.ts'

const SECRET = 'a secret of this test, long enough for all of it'
const CHOSEN = 'blue kettle 41 sings'
const NEXT = 'purple fish walks 7'

describe.skipIf(skipWithout('chromium'))('onboarding', () => {
  const closing: (() => unknown)[] = []
  let acme: Importing
  let database: Database
  let sink: Sink
  let portal: RunningPortal
  let browser: Browser
  let apiKey: string

  beforeAll(async () => {
    const own = await testDatabase()
    closing.push(() => own.drop())
    await migrateQueues(own.url)
    database = new Database(own.url, { maxConnections: 20 })
    closing.push(() => database.close())
    const queues = openQueues({ databaseUrl: own.url, redisUrl: null, onError: () => undefined })
    closing.push(() => queues.close())
    sink = await startSink()
    closing.push(() => sink.close())
    const log = pino({ level: 'silent' })
    portal = await startPortal({ database, queues, secret: SECRET, hashCost: HASH_COST, port: 0, host: '127.0.0.1', trustedProxies: 0, publicUrl: null, log })
    closing.push(() => portal.close())
    const worker = await startWorker({ database, queues, secrets: { secret: SECRET, previous: null }, smtpUrl: sink.url, publicUrl: portal.url, log, failpoint: () => Promise.resolve() })
    closing.push(() => worker.close())
    const scheduler = await startScheduler(queues, log)
    closing.push(() => scheduler.close())
    browser = await chromium.launch({ executablePath: programOf('chromium')!, args: QUIET })
    closing.push(() => browser.close())

    acme = await importing(database, { key: 'acme', login: { url: 'https://acme.example/login' }, supportContact: { name: 'Help desk', email: 'help@acme.example', phone: '6125550100' } })
    ;({ key: apiKey } = await database.tenant(acme.organizationId, (tx) => createKey(tx, 'the product', 'operations', randomBytes)))
    const file = 'First Name,Last Name,Email,Delivery\nAda,Lovelace,ada@int.test,\nBen,Okafor,ben@int.test,credentials\nCai,Li,cai@int.test,invitation\n'
    const importId = await receiveFile(database, acme.organizationId, { name: 'people.csv', bytes: [Buffer.from(file)] }, { ...DEFAULT_OPTIONS, delivery: { kind: 'now' } })
    await queues.wake('stage', { organizationId: acme.organizationId, importId })
  })
  afterAll(async () => {
    for (const close of closing.toReversed()) await close()
  })

  /** The text of the mail to this address that matches; waits for it. */
  async function mailTo(address: string, expression: RegExp): Promise<{ text: string; match: RegExpExecArray }> {
    for (let seen = 0; ; seen++) {
      await sink.reached('end', seen + 1)
      const { to, body } = sink.messages[seen]!
      if (!to.includes(address)) continue
      const { text = '' } = await PostalMime.parse(Buffer.from(body, 'latin1'))
      const match = expression.exec(text)
      if (match) return { text, match }
    }
  }

  /** A page of a browser that nobody has used before, in which no script runs. */
  async function openPage(): Promise<Page> {
    const context = await browser.newContext({ baseURL: portal.url, javaScriptEnabled: false, locale: 'en-US' })
    closing.push(() => context.close())
    return context.newPage()
  }

  async function fill(page: Page, fields: Record<string, string>, button: string): Promise<void> {
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value)
    await page.getByRole('button', { name: button, exact: true }).click()
  }

  const heading = (page: Page, name: string): Promise<void> => page.getByRole('heading', { level: 1, name }).waitFor()
  const user = async (email: string) => (await acme.users()).find((line) => line.email === email)!
  const isRight = async (username: string, password: string) => {
    const answer = await fetch(`${portal.url}/api/v1/sign-in`, { method: 'POST', headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  test('invited: follows the link, registers, signs in, accepts the notice, and gets the mail with the address to sign in', async () => {
    const { match } = await mailTo('ada@int.test', /(http:\/\/127\.0\.0\.1:\d+)\/invitations\/[\w-]{43}/)
    const [link, base] = match
    expect(base).toBe(portal.url)
    expect((await user('ada@int.test')).onboarding).toBe('launched')

    const page = await openPage()
    await page.goto(link)
    await heading(page, 'Welcome, Ada')
    expect(await page.getByLabel('User ID').inputValue()).toBe('ada.lovelace')
    await fill(page, { 'User ID': 'countess', Password: CHOSEN, 'Repeat the password': CHOSEN }, 'Set up my account')
    await heading(page, 'Sign in to Acme Staffing')
    expect(await page.getByRole('status').innerText()).toContain('Your account is set up.')
    expect(await user('ada@int.test')).toMatchObject({ username: 'countess', onboarding: 'in_progress', lastLoginAt: null })

    await fill(page, { Password: CHOSEN }, 'Sign in')
    await heading(page, 'Before you begin')
    await fill(page, {}, 'I accept')
    await heading(page, 'You are all set, Ada')
    expect(await page.getByRole('link', { name: 'Continue to Acme Staffing' }).getAttribute('href')).toBe('https://acme.example/login')
    expect(await user('ada@int.test')).toMatchObject({ onboarding: 'completed', mustChangePassword: false, lastLoginAt: expect.any(String) })
    const welcome = await mailTo('ada@int.test', /https:\/\/acme\.example\/login/)
    expect(welcome.text).toContain('countess')

    const late = await openPage()
    expect((await late.goto(link))!.status()).toBe(410)
    await heading(late, 'You have registered already')
    await late.getByRole('link', { name: 'Sign in' }).click()
    await heading(late, 'Sign in to Acme Staffing')
  })

  test('sent credentials: signs in with the mailed password, is made to change it, and is told by mail that it was changed', async () => {
    const { match } = await mailTo('ben@int.test', /Password[^\S\n]*:?\s+(\S+)/)
    const mailed = match[1]!
    const page = await openPage()
    await page.goto('/acme/sign-in')
    await fill(page, { 'User ID': 'ben.okafor', Password: mailed }, 'Sign in')
    await heading(page, 'Choose your own password')
    await page.goto('/')
    await heading(page, 'Choose your own password')
    await fill(page, { 'Current password': mailed, 'New password': NEXT, 'Repeat the password': NEXT }, 'Change password')
    await heading(page, 'Before you begin')
    await fill(page, {}, 'I accept')
    await heading(page, 'You are all set, Ben')
    expect(await user('ben@int.test')).toMatchObject({ mustChangePassword: false })

    const changed = await mailTo('ben@int.test', /changed/i)
    expect(changed.text).toMatch(/Help desk[\s\S]*help@acme\.example/)
    expect(changed.text).not.toContain(NEXT)
    expect(await isRight('ben.okafor', mailed)).toMatchObject({ status: 401, body: { code: 'sign_in.wrong' } })
    expect(await isRight('ben.okafor', NEXT)).toMatchObject({ status: 200, body: { right: true, mustChangePassword: false, noticeAccepted: true, user: { username: 'ben.okafor' } } })

    await fill(page, {}, 'Sign out')
    await fill(page, { 'User ID': 'ben.okafor', Password: mailed }, 'Sign in')
    await page.getByRole('alert').getByText('User ID or password is not right.').waitFor()
    await fill(page, { 'User ID': 'BEN.Okafor ', Password: NEXT }, 'Sign in')
    await heading(page, 'You are all set, Ben')
  })

  test('forgot: asks by address, follows the link in the mail, chooses a new password, signs in', async () => {
    const page = await openPage()
    await page.goto('/acme/sign-in')
    await page.getByRole('link', { name: 'Forgot your password?' }).click()
    await heading(page, 'Forgot your password?')
    await fill(page, { 'User ID or email': 'ben@int.test' }, 'Send me a link')
    await heading(page, 'Please look at your mail')
    const { match } = await mailTo('ben@int.test', /http:\/\/127\.0\.0\.1:\d+\/reset\/[\w-]{43}/)
    await page.goto(match[0])
    await heading(page, 'Choose a new password')
    await fill(page, { 'New password': CHOSEN, 'Repeat the password': CHOSEN }, 'Save password')
    await heading(page, 'Sign in to Acme Staffing')
    expect(await page.getByLabel('User ID').inputValue()).toBe('ben.okafor')
    await fill(page, { Password: CHOSEN }, 'Sign in')
    await heading(page, 'You are all set, Ben')
    expect((await isRight('ben.okafor', NEXT)).status).toBe(401)

    const again = await openPage()
    expect((await again.goto(match[0]))!.status()).toBe(410)
    await again.getByRole('link', { name: 'Send me a new link' }).click()
    await heading(again, 'Forgot your password?')
  })

  test('released: nothing leaves before the date or while frozen; moved to now it leaves, and the mailed password signs in', async () => {
    const tenant = <T>(work: (tx: Transaction) => Promise<T>) => database.tenant(acme.organizationId, work)
    await acme.run('First Name,Last Name,Email,Delivery\nDee,Held,dee@int.test,credentials\nEli,Held,eli@int.test,credentials\n')
    const chosen = (await acme.users()).filter(({ email }) => ['dee@int.test', 'eli@int.test'].includes(email!))
    const mails = async () => (await acme.deliveries()).filter(({ userId }) => chosen.some(({ id }) => id === userId)).map(({ state }) => state)
    expect(await mails()).toEqual(['held', 'held'])
    const wish = { name: 'go-live', purpose: 'credentials', sendAt: new Date('2199-12-01T14:00:00Z'), ratePerMinute: 600, firstWave: 0, restAfterMinutes: 15, operator: 'operations' } as const
    const { id } = await tenant((tx) => createRelease(tx, { ...wish, userIds: chosen.map((line) => line.id) }))
    expect(await mails()).toEqual(['scheduled', 'scheduled'])
    await tenant((tx) => freezeRelease(tx, id, 'operations'))
    expect(await mails()).toEqual(['held', 'held'])
    await tenant((tx) => moveRelease(tx, id, new Date('2020-12-01T14:00:00Z'), 'operations').then(() => freezeRelease(tx, id, 'operations')))
    expect(await mails()).toEqual(['held', 'held'])
    expect(sink.messages.filter(({ to }) => to.includes('dee@int.test') || to.includes('eli@int.test'))).toEqual([])

    await tenant((tx) => resumeRelease(tx, id, 'operations'))
    const { match } = await mailTo('dee@int.test', /Password[^\S\n]*:?\s+(\S+)/)
    await mailTo('eli@int.test', /Password/)
    expect(sink.messages.filter(({ to }) => to.includes('dee@int.test'))).toHaveLength(1)
    expect(await isRight('dee.held', match[1]!)).toMatchObject({ status: 200, body: { right: true, mustChangePassword: true } })
    const page = await openPage()
    await page.goto('/acme/sign-in')
    await fill(page, { 'User ID': 'dee.held', Password: match[1]! }, 'Sign in')
    await heading(page, 'Choose your own password')
    await fill(page, { 'Current password': match[1]!, 'New password': NEXT, 'Repeat the password': NEXT }, 'Change password')
    await heading(page, 'Before you begin')
    await fill(page, {}, 'I accept')
    await heading(page, 'You are all set, Dee')
  })

  test('expired: the link says so, whom to ask, and lets nobody in', async () => {
    const { match } = await mailTo('cai@int.test', /http:\/\/127\.0\.0\.1:\d+\/invitations\/[\w-]{43}/)
    const page = await openPage()
    await page.goto(match[0])
    await heading(page, 'Welcome, Cai')
    await acme.sql(`update invitations i set expires_at = now() - interval '1 second' from users u where u.id = i.user_id and u.username = 'cai.li'`)
    await fill(page, { Password: CHOSEN, 'Repeat the password': CHOSEN }, 'Set up my account')
    await heading(page, 'This invitation has expired')
    expect(await page.getByRole('link', { name: 'Ask for a new link' }).getAttribute('href')).toBe('mailto:help@acme.example')
    expect(await isRight('cai.li', CHOSEN)).toMatchObject({ status: 401 })
  })
})
