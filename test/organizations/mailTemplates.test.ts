/** An organization's own wording (spec D5), from its publication to the mail that goes out. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hashToken } from '../../src/accounts/invitations.ts'
import { listWordings, previewMail, publishWording, readWording, sendTest } from '../../src/jobs/mailTemplates.ts'
import { deliverer } from '../../src/jobs/deliver.ts'
import { readAudit } from '../../src/organizations/audit.ts'
import type { Claimed } from '../../src/deliveries/compose.ts'
import { ownWordings } from '../../src/deliveries/ownWording.ts'
import { storeOwnTemplate, withdrawOwnTemplate, type OwnVersion } from '../../src/organizations/mailTemplates.ts'
import { readSupportContact } from '../../src/organizations/supportContact.ts'
import { exampleVariables } from '../../src/templates/purposes.ts'
import { loadTemplates, renderTemplate, TemplateRefused } from '../../src/templates/render.ts'
import { deliveryRun } from '../support/deliveryRun.ts'
import type { DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { seededRandom } from '../support/seededRandom.ts'

const OWN = { subject: 'Howdy {{firstName}}', text: 'Your own way in: {{link}}\n', html: '<p lang="en">Howdy {{firstName}} {{lastName}}, <a href="{{link}}">{{link}}</a></p>' }
const PUBLIC_URL = 'https://muster.example'

let run: DeliveryRun
let scene: Scene

beforeAll(async () => {
  run = await deliveryRun()
})
afterAll(() => run.close())
beforeEach(async () => {
  scene = await run.scene({ settings: { operators: ['Desk@acme.example'], supportContact: { externalId: 'S-1' } } })
})

type Work<T> = Parameters<typeof run.database.tenant<T>>[1]
const tenant = <T>(work: Work<T>): Promise<T> => run.database.tenant(scene.organizationId, work)
const publish = (source = OWN, purpose: 'invitation' | 'credentials' = 'invitation') => tenant((tx) => publishWording(tx, 'kim', purpose, 'en', source))
/** Quoted-printable, undone. */
const plain = (body: string) => Buffer.from(body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString()
/** The mail of the one delivery that is sent now. */
const mailed = async (purpose: 'invitation' | 'credentials' = 'invitation'): Promise<string> => {
  const [id] = await scene.owe(1, { purpose })
  expect(await run.send(scene)).toMatchObject({ sent: 1 })
  return plain(run.sink.messages.find(({ messageId }) => messageId.startsWith(`<${id}.`))!.body)
}
const support = (changes = '') =>
  scene.sql(`insert into contacts (organization_id, external_id, first_name, last_name, email, email_key, phone) values ($1, 'S-1', 'Zoë', 'Quist', 'zoe@acme.example', 'zoe@acme.example', '6125550123') ${changes}`, [scene.organizationId])
const problemsOf = async (source: typeof OWN, purpose: 'invitation' | 'credentials' = 'invitation') => {
  const refusal = await publish(source, purpose).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(TemplateRefused)
  return (refusal as TemplateRefused).problems.map(({ code, part, line, variable, nearest }) => [code, part, line, variable, nearest])
}

describe('publishing', () => {
  test('{{fristName}} is refused, and firstName named; nothing is stored', async () => {
    expect(await problemsOf({ ...OWN, text: 'Hello\n{{fristName}}, {{link}}' })).toEqual([['template.unknown_variable', 'text', 2, 'fristName', 'firstName']])
    expect((await tenant(listWordings)).filter(({ version }) => version !== null)).toEqual([])
  })

  test('a mail without its link or password, or with one in the subject, is refused', async () => {
    expect(await problemsOf({ subject: 'Join', text: 'Join us', html: '<p>Join us {{#if supportName}}{{link}}{{/if}}</p>' })).toEqual([['template.secret_missing', 'text', 1, 'link', undefined], ['template.secret_missing', 'html', 1, 'link', undefined]])
    expect(await problemsOf({ subject: '{{password}}', text: '{{password}}', html: '{{password}}' }, 'credentials')).toEqual([['template.secret_in_subject', 'subject', 1, 'password', undefined]])
  })

  test('a part that says nothing, or has nobody read to its end, is refused', async () => {
    expect(await problemsOf({ ...OWN, subject: '{{supportName}}', html: '<style>p { color: red }</style><!-- {{link}} --><p>&nbsp;</p>' })).toEqual([['template.blank', 'subject', 1, undefined, undefined], ['template.blank', 'html', 1, undefined, undefined]])
    expect(await problemsOf({ ...OWN, html: 'x'.repeat(200_001) })).toEqual([['template.too_long', 'html', 1, undefined, undefined]])
  })

  test('counts versions up, says who and when, and changes nothing where nothing is new', async () => {
    expect(await publish()).toEqual({ version: 1, changed: true })
    expect(await publish()).toEqual({ version: 1, changed: false })
    expect(await publish({ ...OWN, subject: 'Hi {{firstName}}' })).toEqual({ version: 2, changed: true })
    expect((await tenant(listWordings)).filter(({ version }) => version !== null)).toEqual([{ purpose: 'invitation', language: 'en', version: 2, publishedBy: 'kim', publishedAt: expect.stringMatching(/^20\d\d-.*Z$/) as string }])
    expect((await tenant((tx) => readAudit(tx, 10))).map(({ operator, action, detail }) => [operator, action, detail])).toEqual([
      ['kim', 'mail.publish', { purpose: 'invitation', language: 'en', version: 2 }],
      ['kim', 'mail.publish', { purpose: 'invitation', language: 'en', version: 1 }],
    ])
  })

  test('two who publish at once get a version each', async () => {
    const both = await Promise.all([publish({ ...OWN, subject: 'A' }), publish({ ...OWN, subject: 'B' })])
    expect(both.map(({ version }) => version).toSorted()).toEqual([1, 2])
  })

  test('the wording of one organization is none of another', async () => {
    await publish()
    const other = await run.scene()
    expect((await run.database.tenant(other.organizationId, listWordings)).every(({ version }) => version === null)).toBe(true)
    scene = other
    expect(await mailed()).toContain('invites you to set up your account')
  })
})

describe('sending', () => {
  test('the own wording is what is mailed, with the token whose hash is stored; after a withdrawal, the default', async () => {
    await publish()
    const own = await mailed()
    expect(own).toMatch(/^Subject: Howdy Ana\r$/m)
    const token = /Your own way in: https:\/\/muster\.example\/invitations\/([\w-]{43})/.exec(own)![1]!
    expect(await scene.sql('select state from invitations where organization_id = $1 and token_hash = $2', [scene.organizationId, hashToken(token)])).toEqual([{ state: 'launched' }])
    expect(await tenant((tx) => withdrawOwnTemplate(tx, 'kim', 'invitation', 'en'))).toBe(true)
    expect(await mailed()).toMatch(/^Subject: Acme Staffing invites you/m)
    expect(await tenant((tx) => withdrawOwnTemplate(tx, 'kim', 'invitation', 'en'))).toBe(false)
  })

  test('the next mail after a publication has its wording, in a worker that mailed the one before; also one that was withdrawn between', async () => {
    const parts = { database: run.database, mailer: run.mailer, templates: await loadTemplates(), publicUrl: PUBLIC_URL, worker: 'one', log: { info() {}, warn() {}, error() {} }, failpoint: async () => undefined }
    const send = deliverer(parts)
    const subject = async (): Promise<string | undefined> => {
      const [id] = await scene.owe(1)
      await send(scene.organizationId, new AbortController().signal)
      return /^Subject: (.*)\r$/m.exec(run.sink.messages.find(({ messageId }) => messageId.startsWith(`<${id}.`))!.body)?.[1]
    }
    await publish({ ...OWN, subject: 'First' })
    expect(await subject()).toBe('First')
    await publish({ ...OWN, subject: 'Second' })
    expect(await subject()).toBe('Second')
    await tenant((tx) => withdrawOwnTemplate(tx, 'kim', 'invitation', 'en'))
    await publish({ ...OWN, subject: 'Third' })
    expect(await subject()).toBe('Third')
  })

  test('a mail that was claimed before a publication has the new wording, not the default; after a withdrawal the default', async () => {
    await publish({ ...OWN, subject: 'First' })
    const ownTemplates = await tenant((tx) => tx.query<OwnVersion>('select id, purpose, version from mail_templates'))
    const claimed = { purpose: 'invitation', organization: { id: scene.organizationId, language: 'en', ownTemplates } } as Claimed
    await publish({ ...OWN, subject: 'Second' })
    const wording = ownWordings({ database: run.database, log: { error: () => undefined } })
    const own = await wording(claimed)
    expect(own === null ? null : renderTemplate(own, exampleVariables('invitation')).subject).toBe('Second')
    await tenant((tx) => withdrawOwnTemplate(tx, 'kim', 'invitation', 'en'))
    expect(await ownWordings({ database: run.database, log: { error: () => undefined } })(claimed)).toBeNull()
  })

  test('a wording in another language, or for another mail, is not mailed', async () => {
    await tenant((tx) => publishWording(tx, 'kim', 'invitation', 'fr', OWN))
    await publish({ subject: 'Mine', text: '{{password}}', html: '{{password}}' }, 'credentials')
    expect(await mailed()).toMatch(/^Subject: Acme Staffing invites you/m)
    expect(await mailed('credentials')).toMatch(/^Subject: Mine\r$/m)
  })

  test('one that cannot be used any more does not keep people from their mail: they get the default, and the log tells', async () => {
    await tenant((tx) => storeOwnTemplate(tx, 'kim', 'invitation', 'en', { ...OWN, text: '{{gone}}' }))
    expect(await mailed()).toMatch(/^Subject: Acme Staffing invites you/m)
    expect(run.log.join('\n')).toContain("the organization's own wording cannot be used")
  })

  test('markup in a name stays a name', async () => {
    await publish()
    const [id] = await scene.owe(1)
    await scene.sql(`update contacts set first_name = '<b>Ana</b>' where organization_id = $1`, [scene.organizationId])
    await run.send(scene)
    const body = plain(run.sink.messages.find(({ messageId }) => messageId.startsWith(`<${id}.`))!.body)
    expect(body).toContain('&lt;b&gt;Ana&lt;/b&gt;')
    expect(body.split('text/html')[1]).not.toContain('<b>')
  })
})

describe('a preview', () => {
  const preview = (purpose: Parameters<typeof previewMail>[1]['purpose'], username?: string) => tenant((tx) => previewMail(tx, { purpose, username, publicUrl: PUBLIC_URL }))

  test('has a real row and the support contact, example secrets, and leaves everything as it was', async () => {
    await support()
    await scene.owe(2)
    const before = await scene.sql('select * from invitations where organization_id = $1', [scene.organizationId])
    const shown = (await preview('invitation', 'ANA2'))!
    expect(shown).toMatchObject({ username: 'ana2', language: 'en', version: null })
    expect(shown.text).toContain('Hello Ana Nguyễn-2,')
    expect(shown.text).toContain('Zoë Quist\nzoe@acme.example\n(612) 555-0123')
    expect(shown.text).toContain(`${PUBLIC_URL}/invitations/example-of-a-link`)
    expect(await scene.sql('select * from invitations where organization_id = $1', [scene.organizationId])).toEqual(before)
    const credentials = (await preview('credentials', 'ana2'))!
    expect(credentials.text).toContain('kR7-vTq9-mWz4-Hd')
    expect(credentials.text).toMatch(/https:\/\/muster\.example\/acme-[\w-]+\/sign-in/)
  })

  test('is inert to markup', async () => {
    await publish()
    await scene.owe(1)
    await scene.sql(`update contacts set first_name = '<img src=x onerror=alert(1)>', last_name = '{{link}}' where organization_id = $1`, [scene.organizationId])
    const { html } = (await preview('invitation'))!
    expect(html).toContain('&lt;img src&#x3D;x onerror&#x3D;alert(1)&gt; {{link}},')
    expect(html).not.toContain('<img')
  })

  test.each(['credentials', 'invitation', 'operatorCredentials', 'alreadyRegistered', 'welcome', 'passwordReset', 'passwordChanged', 'operatorSummary', 'feedAlert', 'feedAllClear'] as const)('of %s is there before there is anybody', async (purpose) => {
    const shown = (await preview(purpose))!
    expect(shown).toMatchObject({ purpose, username: null })
    expect(shown.text).toContain('Acme Staffing')
  })

  test('of somebody who is not there is none', async () => {
    expect(await preview('welcome', 'nobody')).toBeNull()
  })

  test('starts from the default where nothing was published', async () => {
    const { version, source } = await tenant((tx) => readWording(tx, 'welcome', 'de'))
    expect(version).toBeNull()
    expect(source.subject).toBe('Willkommen bei {{organization}}: Ihr Konto ist eingerichtet')
  })
})

describe('a test', () => {
  const send = (to: string, username?: string) =>
    sendTest({ database: run.database, mailer: run.mailer, publicUrl: PUBLIC_URL, operator: 'kim', random: seededRandom(1) }, scene.organizationId, to, { purpose: 'invitation', username })

  test('goes to an operator, marked in its subject, beside the ledger, and is in the audit trail', async () => {
    await publish()
    await scene.owe(1, { state: 'held' })
    const before = run.sink.messages.length
    expect(await send('desk@ACME.example')).toMatchObject({ is: 'done', outcome: { is: 'accepted' } })
    const mails = run.sink.messages.slice(before)
    expect(mails.map(({ to }) => to)).toEqual([['Desk@acme.example']])
    expect(mails[0]!.body).toMatch(/^Subject: \[Test\] Howdy Ana\r$/m)
    expect(plain(mails[0]!.body)).toContain('example-of-a-link')
    expect(await scene.sql('select state from deliveries where organization_id = $1', [scene.organizationId])).toEqual([{ state: 'held' }])
    expect((await tenant((tx) => readAudit(tx, 1)))[0]).toMatchObject({ operator: 'kim', action: 'mail.test', detail: { purpose: 'invitation', language: 'en', version: 1 } })
  })

  test('goes to nobody else', async () => {
    const before = run.sink.messages.length
    expect(await send('ana1@example.test')).toEqual({ is: 'stranger', operators: ['Desk@acme.example'] })
    expect(await send('desk@acme.example', 'nobody')).toEqual({ is: 'nobody' })
    expect(run.sink.messages).toHaveLength(before)
  })
})

describe('the support contact that is named by external id (C7)', () => {
  const read = () => tenant((tx) => readSupportContact(tx, { supportContact: { externalId: 'S-1' } }))

  test('is that contact as it is now, in the mails too; nobody while deactivated or unknown', async () => {
    expect(await read()).toBeNull()
    expect(await mailed()).not.toContain('We are glad to help')
    await support()
    expect(await read()).toEqual({ name: 'Zoë Quist', email: 'zoe@acme.example', phone: '6125550123' })
    expect(await mailed()).toContain('(612) 555-0123')
    await scene.sql(`update contacts set state = 'inactive' where organization_id = $1 and external_id = 'S-1'`, [scene.organizationId])
    expect(await read()).toBeNull()
    expect(await mailed()).not.toContain('We are glad to help')
  })
})
