import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildMessage, Mailer } from '../../src/deliveries/mailer.ts'
import { listNewestMail, startMailbox } from '../../src/embedded/mailbox.ts'
import { runHome } from '../support/services.ts'
import { openConsole } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
let unused: OpenedConsole
let home: string

/** Puts mails into the mailbox the way they come: by SMTP. */
async function mail(...messages: { subject: string; text: string; html: string }[]): Promise<void> {
  const mailbox = await startMailbox(home)
  const mailer = new Mailer({ url: mailbox.url, connections: 1 })
  for (const message of messages) {
    const { envelope, bytes } = await buildMessage({ ...message, from: 'Acme <no-reply@acme.example>', to: { name: 'Ana', address: 'ana@acme.example' }, messageId: '<1@acme.example>', date: new Date('2026-11-20T15:00:00Z') })
    expect(await mailer.send(envelope, bytes, () => Promise.resolve(true))).toMatchObject({ is: 'accepted' })
  }
  await mailer.close()
  await mailbox.close()
}

beforeAll(async () => {
  home = await mkdtemp(join(runHome(), 'web-mailbox-'))
  opened = await openConsole({ mailboxHome: home })
  unused = await openConsole()
})
afterAll(async () => {
  await opened.close()
  await unused.close()
})

describe('the mailbox', () => {
  test('that is not in use says where mail goes', async () => {
    const { text, status } = await unused.get('/mailbox')
    expect(status).toBe(200)
    expect(text).toContain('mail goes to the mail server of SMTP_URL')
    expect((await unused.get('/mailbox/1')).status).toBe(404)
  })

  test('that is empty says what fills it', async () => {
    expect((await opened.get('/mailbox')).text).toMatch(/The mailbox is empty.*\.\/muster import people.xlsx --organization acme --delivery now/)
  })

  test('lists mails newest first', async () => {
    await mail({ subject: 'First', text: 'one', html: '<p>one</p>' }, { subject: 'Second <b>', text: 'two', html: '' })
    const { text, html } = await opened.get('/mailbox')
    expect(text).toMatch(/2 in all.*Second <b> ana@acme.example Acme <no-reply@acme.example>.*First/)
    expect(html).not.toContain('<b>')
  })

  test('is read page by page, only as far as asked', async () => {
    const first = await listNewestMail(home, { limit: 1, before: null })
    expect([first.lines.map(({ subject }) => subject), first.more, first.total]).toEqual([['Second <b>'], true, 2])
    const second = await listNewestMail(home, { limit: 1, before: first.lines[0]!.id })
    expect([second.lines.map(({ subject }) => subject), second.more, second.total]).toEqual([['First'], false, 2])
    expect(await listNewestMail(join(home, 'none'), { limit: 5, before: null })).toEqual({ lines: [], more: false, total: 0 })
  })
})

describe('a mail', () => {
  const HOSTILE = '<p>Hello <script>alert(1)</script><img src="https://evil.example/x.png"></p>'

  beforeAll(() => mail({ subject: 'Your account', text: 'Hello <Ana>,\n\n    ana.li\n', html: HOSTILE }))

  test('shows who, when, and its text as it is', async () => {
    const { text, html } = await opened.get('/mailbox/3')
    expect(text).toContain('Your account To ana@acme.example From Acme <no-reply@acme.example> Received')
    expect(html).toMatch(/<pre class="mail-text">Hello &lt;Ana&gt;,\n\n {4}ana\.li\n+<\/pre>/)
    expect(text).toContain('Message-ID <1@acme.example>')
  })

  test('keeps its HTML in a frame without scripts and without the console’s origin', async () => {
    const { html } = await opened.get('/mailbox/3')
    const [frame] = /<iframe[^>]*>/.exec(html)!
    expect(frame).toContain('src="/mailbox/3/html"')
    expect(/sandbox="([^"]*)"/.exec(frame)![1]).not.toMatch(/allow-(?:scripts|same-origin|top-navigation|forms)/)
    expect(html).not.toContain('alert(1)')
  })

  test('has HTML that is kept in by its own policy, wherever it is opened', async () => {
    const { html, headers } = await opened.get('/mailbox/3/html')
    expect(html.trim()).toBe(HOSTILE)
    const policy = String(headers['content-security-policy'])
    expect(policy).toMatch(/^sandbox (?!.*allow-(?:scripts|same-origin))/)
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/script-src|img-src [^;]*http/)
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-frame-options': 'SAMEORIGIN', 'content-type': 'text/html; charset=utf-8' })
  })

  test('without HTML has no frame', async () => {
    expect((await opened.get('/mailbox/2')).html).not.toContain('<iframe')
  })

  test.each(['0', '99', '..%2f..%2fsecret', '1.eml', 'x'])('that does not exist (%s) is told', async (id) => {
    for (const path of [`/mailbox/${id}`, `/mailbox/${id}/html`]) {
      const { status, text } = await opened.get(path)
      expect(status).toBe(404)
      expect(text).toContain('./muster mailbox list')
    }
  })
})
