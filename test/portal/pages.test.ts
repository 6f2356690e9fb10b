/** What the portal's pages say and do, form by form. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashToken, newToken } from '../../src/accounts/invitations.ts'
import type { Importing } from '../support/importing.ts'
import { givePassword, inviteAll, openPortal, PASSWORD } from './openPortal.ts'
import type { Browser, OpenedPortal, Person } from './openPortal.ts'

const NEXT = 'purple fish walks 7'

let portal: OpenedPortal
let acme: Importing

beforeAll(async () => {
  portal = await openPortal()
  acme = await portal.organization({ key: 'acme', login: { url: 'https://acme.example/login' }, supportContact: { name: 'Help desk', email: 'help@acme.example', phone: '6125550100' } })
})
afterAll(() => portal.close())

const invite = async (firstName: string, state?: string): Promise<Person> => (await inviteAll(acme, [firstName], state))[0]!
const user = async ({ userId }: Person) => (await acme.users()).find(({ id }) => id === userId)!
const owed = async ({ userId }: Person) => (await acme.sql<{ purpose: string }>(`select purpose from deliveries where user_id = $1 and purpose <> 'invitation' order by id`, [userId])).map(({ purpose }) => purpose)
/** Somebody with a password, signed in. */
const signedIn = async (person: Person, options: { mustChange?: boolean } = {}): Promise<Browser> => {
  await givePassword(acme, person.userId, PASSWORD, options)
  const browser = portal.browser()
  expect((await browser.submit('/acme/sign-in', { username: person.username, password: PASSWORD })).status).toBe(303)
  return browser
}

describe('registering', () => {
  test('looking at the link changes nothing, however often', async () => {
    const ada = await invite('Ada')
    const before = await acme.sql('select * from invitations where user_id = $1', [ada.userId])
    for (let times = 0; times < 3; times++) {
      const { status, html } = await portal.browser().get(`/invitations/${ada.token}`)
      expect([status, html.includes('Welcome, Ada'), html.includes('value="ada.lovelace"')]).toEqual([200, true, true])
    }
    expect((await portal.app.inject({ method: 'HEAD', url: `/invitations/${ada.token}`, headers: { host: 'localhost' } })).statusCode).toBe(200)
    expect(await acme.sql('select * from invitations where user_id = $1', [ada.userId])).toEqual(before)
  })

  test('tells each problem next to its field and above, keeps what was typed, and gives no password back', async () => {
    const bea = await invite('Bea')
    const { status, html } = await portal.browser().submit(`/invitations/${bea.token}`, { username: '-bea-', password: 'short', repeat: 'short' })
    expect(status).toBe(422)
    expect(html).toContain('<title>Error: Set up your account · Acme Staffing</title>')
    expect(html).toMatch(/<div class="summary" role="alert" tabindex="-1" autofocus[^>]*>.*<a href="#username">This user ID cannot be used.*<a href="#password">The password is too short: it needs at least 12 characters/s)
    expect(html).toMatch(/<input id="username"[^>]* value="-bea-"[^>]* aria-describedby="username-hint username-fault" aria-invalid="true">/)
    expect(html).toMatch(/id="password-fault">The password is too short/)
    expect(html).not.toContain('value="short"')
    expect((await user(bea)).onboarding).toBe('launched')
  })

  test('a password that was not typed twice alike is told before anything else is looked at', async () => {
    const cai = await invite('Cai')
    const { html } = await portal.browser().submit(`/invitations/${cai.token}`, { username: '', password: PASSWORD, repeat: 'other' })
    expect([html.includes('Type the user ID.'), html.includes('The two passwords differ.')]).toEqual([true, true])
  })

  test('a user id that is taken is told with one that is free', async () => {
    const [dee, ema] = [await invite('Dee'), await invite('Ema')]
    const { status, html } = await portal.browser().submit(`/invitations/${dee.token}`, { username: ema.username.toUpperCase(), password: PASSWORD, repeat: PASSWORD })
    expect([status, html.includes('This user ID is taken. ema.lovelace2 is free.')]).toEqual([422, true])
  })

  test('leads to the sign-in with a note that is said once, and ends whatever session there was', async () => {
    const [fay, gus] = [await invite('Fay'), await invite('Gus')]
    const browser = await signedIn(gus)
    const old = browser.cookies.get('muster-session')!
    const answer = await browser.submit(`/invitations/${fay.token}`, { username: 'Fay', password: PASSWORD, repeat: PASSWORD })
    expect([answer.status, answer.headers['location'], browser.cookies.has('muster-session')]).toEqual([303, '/acme/sign-in', false])
    const first = await browser.get('/acme/sign-in')
    expect([first.html.includes('Your account is set up.'), first.html.includes('value="Fay"'), first.html.includes('Step 2 of 3')]).toEqual([true, true, true])
    expect((await browser.get('/acme/sign-in')).html).not.toContain('Your account is set up.')
    browser.cookies.set('muster-session', old)
    expect((await browser.get('/notice')).headers['location']).toBe('/acme/sign-in')
    expect(await user(fay)).toMatchObject({ username: 'fay', onboarding: 'in_progress' })
  })

  test('a link that is gone says what has become of it and what to do', async () => {
    const expired = await invite('Ida')
    await acme.sql(`update invitations set expires_at = now() - interval '1 second' where user_id = $1`, [expired.userId])
    const pages: [Person, number, RegExp][] = [
      [expired, 410, /This invitation has expired.*href="mailto:help@acme.example">Ask for a new link/s],
      [await invite('Jon', 'revoked'), 410, /This link is no longer valid.*newer email.*href="mailto:help@acme.example"/s],
      [await invite('Kim', 'in_progress'), 410, /You have registered already.*href="\/acme\/sign-in">Sign in.*href="\/acme\/forgot"/s],
    ]
    for (const [{ token }, status, says] of pages) {
      const page = await portal.browser().get(`/invitations/${token}`)
      expect(page.status).toBe(status)
      expect(page.html).toMatch(says)
      expect((await portal.browser().get(`/invitations/${token}`, { 'accept-language': 'de' })).html).toContain('lang="en"')
    }
  })

  test('a link that never was says nothing of anybody, in the language of the browser', async () => {
    for (const path of ['/invitations/none', `/invitations/${newToken(randomBytes)}`, '/reset/none', `/reset/${newToken(randomBytes)}`]) {
      const { status, html } = await portal.browser().get(path)
      expect([status, html.includes('This link does not work')]).toEqual([404, true])
      expect(html).not.toMatch(/acme/i)
    }
    expect((await portal.browser().get('/invitations/none', { 'accept-language': 'pt;q=0.9, de-AT;q=0.8, en;q=0.1' })).html).toContain('Dieser Link funktioniert nicht')
  })

  test('a link that is used while the page is open is told as used', async () => {
    const liz = await invite('Liz')
    const choice = { username: 'liz', password: PASSWORD, repeat: PASSWORD }
    const browsers = [portal.browser(), portal.browser()]
    const forms = await Promise.all(browsers.map(async (browser) => /name="_csrf" value="([^"]+)"/.exec((await browser.get(`/invitations/${liz.token}`)).html)![1]!))
    const answers = await Promise.all(browsers.map((browser, index) => browser.post(`/invitations/${liz.token}`, { ...choice, _csrf: forms[index]! })))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([303, 410])
    expect(answers.find(({ status }) => status === 410)!.html).toContain('You have registered already')
  })
})

describe('sessions', () => {
  test('each sign-in begins a new one and ends the one before', async () => {
    const mia = await invite('Mia')
    const browser = await signedIn(mia)
    const first = browser.cookies.get('muster-session')!
    const form = /name="_csrf" value="([^"]+)"/.exec((await browser.get('/notice')).html)![1]!
    await browser.post('/acme/sign-in', { _csrf: form, username: mia.username, password: PASSWORD })
    expect(browser.cookies.get('muster-session')).not.toBe(first)
    expect(await acme.sql('select from sessions where token_hash = $1', [hashToken(first)])).toEqual([])
  })

  test('a browser knows everybody who takes turns at it, five at most, each once', async () => {
    const people = await inviteAll(acme, ['Turnone', 'Turntwo', 'Turnthree', 'Turnfour', 'Turnfive', 'Turnsix'])
    const browser = portal.browser()
    for (const person of people) {
      await givePassword(acme, person.userId, PASSWORD)
      await browser.submit('/acme/sign-in', { username: person.username, password: PASSWORD })
      await browser.submit('/notice', {}, { form: 1 })
    }
    const known = () => browser.cookies.get('muster-device')!.split('~')
    expect(known().map((device) => device.split('.')[0])).toEqual(people.slice(1).map(({ userId }) => userId).toReversed())
    const [first, ...others] = known().toReversed()
    await browser.submit('/acme/sign-in', { username: people[1]!.username, password: PASSWORD })
    expect(known()).toEqual([first, ...others.toReversed()])
  })

  test('signing out ends it on the server: the cookie of before opens nothing', async () => {
    const browser = await signedIn(await invite('Ned'))
    const token = browser.cookies.get('muster-session')!
    const { headers } = await browser.submit('/notice', {}, { form: 1 })
    expect([headers['location'], browser.cookies.has('muster-session')]).toEqual(['/acme/sign-in', false])
    expect((await browser.get('/acme/sign-in')).html).toContain('You are signed out.')
    browser.cookies.set('muster-session', token)
    expect((await browser.get('/notice')).headers['location']).toBe('/acme/sign-in')
  })

  test('one that was idle for too long is told as such, at the sign-in of the same organization', async () => {
    const browser = await signedIn(await invite('Ora'))
    await acme.sql(`update sessions set seen_at = now() - interval '31 minutes' where token_hash = $1`, [hashToken(browser.cookies.get('muster-session')!)])
    const { headers } = await browser.get('/')
    expect([headers['location'], browser.cookies.has('muster-session')]).toEqual(['/acme/sign-in', false])
    expect((await browser.get('/acme/sign-in')).html).toContain('nothing was done for a while')
  })

  test('a form that is sent after its session has ended leads to the sign-in, and does nothing', async () => {
    const pam = await invite('Pam')
    const browser = await signedIn(pam)
    const form = /name="_csrf" value="([^"]+)"/.exec((await browser.get('/notice')).html)![1]!
    await acme.sql('delete from sessions where token_hash = $1', [hashToken(browser.cookies.get('muster-session')!)])
    expect((await browser.post('/notice', { _csrf: form })).headers['location']).toBe('/acme/sign-in')
    expect(await acme.sql('select from users where id = $1 and notice_accepted_at is null', [pam.userId])).toHaveLength(1)
  })

  test('whoever is deactivated is out with the next request', async () => {
    const quin = await invite('Quin')
    const browser = await signedIn(quin)
    await acme.sql(`update users set state = 'inactive' where id = $1`, [quin.userId])
    expect((await browser.get('/notice')).headers['location']).toBe('/acme/sign-in')
  })

  test('without one, / says how to come in', async () => {
    const { status, html } = await portal.browser().get('/')
    expect([status, html.includes('follow the link in the email')]).toEqual([200, true])
  })
})

describe('the way in', () => {
  test('password, notice, account: nobody gets past a step', async () => {
    const rae = await invite('Rae')
    const browser = await signedIn(rae, { mustChange: true })
    for (const path of ['/', '/notice', '/acme/sign-in']) expect((await browser.get(path)).headers['location'], path).toBe('/password')
    const form = /name="_csrf" value="([^"]+)"/.exec((await browser.get('/password')).html)![1]!
    expect((await browser.post('/notice', { _csrf: form })).headers['location']).toBe('/password')

    const page = await browser.get('/password')
    expect([page.html.includes('Choose your own password'), page.html.includes('value="rae.lovelace" autocomplete="username"')]).toEqual([true, true])
    const changed = await browser.submit('/password', { current: PASSWORD, password: NEXT, repeat: NEXT })
    expect([changed.status, changed.headers['location']]).toEqual([303, '/notice'])
    expect((await browser.get('/')).headers['location']).toBe('/notice')

    const woken = portal.woken.length
    expect((await browser.submit('/notice', {})).headers['location']).toBe('/')
    expect(portal.woken.slice(woken)).toEqual([acme.organizationId])
    const { html } = await browser.get('/')
    expect(html).toMatch(/You are all set, Rae.*href="https:\/\/acme\.example\/login">Continue to Acme Staffing.*Rae Lovelace.*rae\.lovelace/s)
    expect((await browser.get('/notice')).headers['location']).toBe('/')
    expect(await owed(rae)).toEqual(['passwordChanged'])
  })

  test('accepting the notice completes an invitation that is in progress, and owes the mail with the address to sign in', async () => {
    const sue = await invite('Sue')
    const browser = portal.browser()
    await browser.submit(`/invitations/${sue.token}`, { username: 'sue', password: PASSWORD, repeat: PASSWORD })
    await browser.submit('/acme/sign-in', { username: 'sue', password: PASSWORD })
    expect((await user(sue)).onboarding).toBe('in_progress')
    await browser.submit('/notice', {})
    expect([(await user(sue)).onboarding, await owed(sue)]).toEqual(['completed', ['welcome']])
  })

  test('the organization’s own notice is shown by its paragraphs, and as text', async () => {
    const other = await portal.organization({ key: 'noted', onboarding: { notice: 'First <b>line</b>\nof one.\n\n{{second}} paragraph.' }, login: { url: null } })
    const [tom] = await inviteAll(other, ['Tom'])
    await givePassword(other, tom!.userId, PASSWORD)
    const browser = portal.browser()
    await browser.submit('/noted/sign-in', { username: tom!.username, password: PASSWORD })
    expect((await browser.get('/notice')).html).toContain('<p>First &lt;b&gt;line&lt;/b&gt;\nof one.</p><p>{{second}} paragraph.</p>')
    await browser.submit('/notice', {})
    expect((await browser.get('/')).html).toContain('Where you use it, Acme Staffing will tell you.')
  })
})

test('an account that lacks something tells its person, after the right password alone, that it is being made ready, and whom to ask', async () => {
  const ona = await invite('Ona')
  await givePassword(acme, ona.userId, PASSWORD)
  await acme.sql('delete from user_group_members where user_id = $1', [ona.userId])
  const browser = portal.browser()
  const told = await browser.submit('/acme/sign-in', { username: ona.username, password: PASSWORD })
  expect([told.status, told.html.includes('Your account is not ready yet'), told.html.includes('mailto:help@acme.example'), browser.cookies.has('muster-session')]).toEqual([403, true, true, false])
  const wrong = await browser.submit('/acme/sign-in', { username: ona.username, password: 'wrong' })
  expect([wrong.status, wrong.html.includes('not ready')]).toEqual([422, false])
})

describe('passwords', () => {
  test('are changed only with the one of now, and by a good one', async () => {
    const una = await invite('Una')
    expect((await portal.browser().get('/.well-known/change-password')).headers['location']).toBe('/password')
    const browser = await signedIn(una)
    await browser.submit('/notice', {})
    const wrong = await browser.submit('/password', { current: 'not it', password: NEXT, repeat: NEXT })
    expect([wrong.status, wrong.html.includes('id="current-fault">This is not your current password.')]).toEqual([422, true])
    const personal = await browser.submit('/password', { current: PASSWORD, password: 'i am una.lovelace', repeat: 'i am una.lovelace' })
    expect(personal.html).toContain('The password holds “una.lovelace”')
    const same = await browser.submit('/password', { current: PASSWORD, password: PASSWORD, repeat: PASSWORD })
    expect(same.html).toContain('This is the password that you have now.')
    const other = portal.browser()
    await other.submit('/acme/sign-in', { username: una.username, password: PASSWORD })
    const before = browser.cookies.get('muster-session')!
    expect((await browser.submit('/password', { current: PASSWORD, password: NEXT, repeat: NEXT })).headers['location']).toBe('/')
    expect(browser.cookies.get('muster-session'), 'a token that somebody has seen is worth nothing').not.toBe(before)
    expect(await acme.sql('select from sessions where token_hash = $1', [hashToken(before)])).toEqual([])
    expect((await browser.get('/')).html).toContain('Your password has been changed.')
    expect((await other.get('/')).headers['location'], 'signed out everywhere else').toBe('/acme/sign-in')
  })

  test('are chosen anew by a link that works once, and sign out whoever was signed in', async () => {
    const vic = await invite('Vic')
    const elsewhere = await signedIn(vic)
    const token = newToken(randomBytes)
    await acme.sql(`insert into password_resets (organization_id, user_id, epoch, token_hash, expires_at) values ($1, $2, 1, $3, now() + interval '1 hour')`, [acme.organizationId, vic.userId, hashToken(token)])
    const browser = portal.browser()
    expect((await browser.get(`/reset/${token}`)).html).toContain('For the user ID vic.lovelace.')
    expect((await browser.submit(`/reset/${token}`, { password: 'password1234', repeat: 'password1234' })).html).toContain('easy to guess')
    expect((await browser.submit(`/reset/${token}`, { password: NEXT, repeat: NEXT })).headers['location']).toBe('/acme/sign-in')
    const signIn = await browser.get('/acme/sign-in')
    expect([signIn.html.includes('Your new password is saved.'), signIn.html.includes('value="vic.lovelace"')]).toEqual([true, true])
    expect((await elsewhere.get('/notice')).headers['location']).toBe('/acme/sign-in')
    const again = await portal.browser().get(`/reset/${token}`)
    expect([again.status, again.html.includes('href="/acme/forgot">Send me a new link')]).toEqual([410, true])
    expect((await browser.submit('/acme/sign-in', { username: vic.username, password: NEXT })).status).toBe(303)
    expect(await owed(vic)).toEqual(['passwordChanged'])
  })
})

describe('too many tries', () => {
  test('are answered with how long to wait, for people and for programs', async () => {
    const wes = await invite('Wes')
    let answer = await portal.browser().submit('/acme/sign-in', { username: wes.username, password: 'wrong' })
    for (let tries = 1; tries < 11; tries++) answer = await portal.browser().submit('/acme/sign-in', { username: wes.username, password: 'wrong' })
    expect(answer.status).toBe(429)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(800)
    expect(answer.html).toContain('the next one is possible in 15 minutes')
  })
})

describe('organizations', () => {
  test('with a sign-in of their own have none here, and no passwords to forget', async () => {
    const sso = await portal.organization({ key: 'north', name: 'Northwind', login: { sso: true, url: 'https://login.north.example' } })
    expect(sso.key).toBe('north')
    const { status, html } = await portal.browser().get('/north/sign-in')
    expect([status, html.includes('href="https://login.north.example">Go to the sign-in of Northwind')]).toEqual([200, true])
    expect(html).not.toContain('<form')
    expect((await portal.browser().get('/north/forgot')).headers['location']).toBe('/north/sign-in')
  })

  test('that there are not have no page', async () => {
    for (const path of ['/nobody/sign-in', '/nobody/forgot', '/Acme/sign-in', '/%2e%2e/sign-in']) expect((await portal.browser().get(path)).status, path).toBe(404)
  })

  test('speak their own language, whatever the browser asks for', async () => {
    const headings = { de: 'Bei Acme Staffing anmelden', es: 'Iniciar sesión en Acme Staffing', fr: 'Connexion à Acme Staffing' }
    for (const [language, heading] of Object.entries(headings)) {
      await portal.organization({ key: `in-${language}`, language })
      const { html } = await portal.browser().get(`/in-${language}/sign-in`, { 'accept-language': 'en' })
      expect([html.includes(`<html lang="${language}">`), html.includes(heading)]).toEqual([true, true])
    }
  })
})
