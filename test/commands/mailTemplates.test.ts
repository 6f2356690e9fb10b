/** `muster mail …` as scripts see it: exit status, one JSON document, codes. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { runCommand } from '../../src/commands/program.ts'
import { PURPOSES } from '../../src/templates/purposes.ts'
import { deliveryRun } from '../support/deliveryRun.ts'
import type { DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { runHome } from '../support/services.ts'

let run: DeliveryRun
let scene: Scene
let folder: string
let key: string
let made = 0
let printed: string

beforeAll(async () => {
  run = await deliveryRun()
})
afterAll(() => run.close())
beforeEach(async () => {
  key = `desk-${++made}`
  scene = await run.scene({ key, settings: { operators: ['desk@acme.example'] } })
  folder = mkdtempSync(join(runHome(), 'mail-'))
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text)
    return true
  })
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
})
afterEach(() => {
  vi.restoreAllMocks()
})

const muster = async (...words: string[]) => {
  printed = ''
  const status = await runCommand(['node', 'muster.ts', ...words], { DATABASE_URL: run.databaseUrl, MUSTER_SECRET: 'x'.repeat(32), MUSTER_HOME: folder, SMTP_URL: run.sink.url, PUBLIC_URL: 'https://muster.example' })
  return { status, out: printed }
}
const json = async (...words: string[]) => {
  const { status, out } = await muster(...words, '--json')
  return { status, json: JSON.parse(out) as Record<string, unknown> }
}
const mail = (word: string, ...words: string[]) => json('mail', word, ...words, '--organization', key)

describe('from the default to a wording of its own, and back', () => {
  test('show writes what publish takes; what is published is listed, previewed and withdrawn', async () => {
    await scene.owe(1, { state: 'held' })
    const own = join(folder, 'welcome')
    expect(await mail('show', 'welcome', '-o', own)).toMatchObject({ status: 0, json: { purpose: 'welcome', language: 'en', version: null, folder: own } })
    expect(await json('mail', 'check', own, '--purpose', 'welcome')).toMatchObject({ status: 0, json: { problems: [] } })
    writeFileSync(join(own, 'subject.hbs'), 'Glad to have you, {{firstName}}\r\n')
    expect(await mail('publish', 'welcome', own)).toEqual({ status: 0, json: { purpose: 'welcome', language: 'en', version: 1, changed: true } })
    const listed = (await mail('templates')).json['templates'] as { purpose: string; language: string; version: number | null }[]
    expect(listed).toHaveLength(Object.keys(PURPOSES).length * 4)
    expect(listed.filter(({ version }) => version !== null)).toMatchObject([{ purpose: 'welcome', language: 'en', version: 1 }])
    const page = join(folder, 'preview.html')
    expect((await mail('preview', 'welcome', '--user', 'ana1', '-o', page)).json).toMatchObject({ subject: 'Glad to have you, Ana', username: 'ana1', version: 1 })
    expect(readFileSync(page, 'utf8')).toContain('Nguyễn-1')
    expect((await mail('withdraw', 'welcome')).json).toEqual({ purpose: 'welcome', language: 'en', withdrawn: true })
    expect((await mail('preview', 'welcome', '--language', 'de')).json).toMatchObject({ subject: 'Willkommen bei Acme Staffing: Ihr Konto ist eingerichtet', version: null })
  })

  test('show does not write over what somebody has worked on', async () => {
    writeFileSync(join(folder, 'text.hbs'), 'mine')
    expect(await mail('show', 'welcome', '-o', folder)).toMatchObject({ status: 1, json: { error: { code: 'file.exists' } } })
    expect([readFileSync(join(folder, 'text.hbs'), 'utf8'), existsSync(join(folder, 'subject.hbs'))]).toEqual(['mine', false])
  })
})

describe('what is refused', () => {
  const write = (text: string) => {
    for (const [file, content] of Object.entries({ 'subject.hbs': 'x', 'text.hbs': text, 'html.hbs': '<p>x</p>' })) writeFileSync(join(folder, file), content)
  }

  test.each(['publish', 'check'])('%s tells every problem with part, line and the nearest variable', async (word) => {
    write('Hello\n{{fristName}} {{usernam}}')
    const { status, json: told } = await (word === 'check' ? json('mail', 'check', folder, '--purpose', 'welcome') : mail('publish', 'welcome', folder))
    expect(status).toBe(1)
    expect(told['error']).toMatchObject({
      code: 'template.invalid',
      message: 'The template cannot be published; it has 2 problems:\n  text.hbs, line 2: There is no variable named fristName. Did you mean firstName?\n  text.hbs, line 2: There is no variable named usernam. Did you mean username?',
      problems: [{ part: 'text', line: 2, variable: 'fristName', nearest: 'firstName' }, { variable: 'usernam', nearest: 'username' }],
    })
  })

  test('a folder that lacks a file, and a file that is not UTF-8', async () => {
    expect(await json('mail', 'check', folder, '--purpose', 'welcome')).toMatchObject({ status: 1, json: { error: { code: 'file.not_found' } } })
    write('x')
    writeFileSync(join(folder, 'html.hbs'), Buffer.from([0x3c, 0x70, 0x3e, 0xe9]))
    expect(await json('mail', 'check', folder, '--purpose', 'welcome')).toMatchObject({ status: 1, json: { error: { code: 'file.encoding' } } })
  })

  test.each([
    ['a mail that there is not', ['preview', 'welcom'], 64, 'usage.purpose'],
    ['a language that there is not', ['preview', 'welcome', '--language', 'xx'], 64, 'usage.language'],
    ['a user that there is not', ['preview', 'welcome', '--user', 'nobody'], 1, 'users.unknown'],
    ['a test to a stranger', ['test', 'welcome', '--to', 'ana1@example.test'], 1, 'mail.not_an_operator'],
  ] as const)('%s', async (_, [word, ...words], status, code) => {
    expect(await mail(word, ...words)).toMatchObject({ status, json: { error: { code, hint: expect.any(String) as string } } })
  })

  test('a test that the mail server refuses, with its words', async () => {
    run.sink.use(({ stage }) => (stage === 'rcpt' ? '550 5.1.1 no such desk' : undefined))
    const refused = await mail('test', 'welcome', '--to', 'desk@acme.example')
    run.sink.use(() => undefined)
    expect(refused).toMatchObject({ status: 1, json: { error: { code: 'mail.not_sent', message: expect.stringContaining('no such desk') as string } } })
  })
})

test('a test goes to an operator through the mail server', async () => {
  await scene.owe(1, { state: 'held' })
  const before = run.sink.messages.length
  expect(await mail('test', 'passwordReset', '--to', 'desk@acme.example', '--language', 'fr')).toMatchObject({ status: 0, json: { to: 'desk@acme.example', language: 'fr' } })
  expect(run.sink.messages.slice(before).map(({ to }) => to)).toEqual([['desk@acme.example']])
})

test('variables lists those of a mail, and of its lists', async () => {
  const { variables } = (await json('mail', 'variables', 'operatorSummary')).json as { variables: { name: string; kind: string; means: string }[] }
  expect(variables).toContainEqual({ name: 'message', kind: 'text', always: true, means: 'what is wrong; within {{#each issues}}' })
  expect((await muster('mail', 'variables', 'passwordReset')).out).toContain('the personal link to choose a password')
})

test('what people read on a terminal is inert', async () => {
  await scene.owe(1, { state: 'held' })
  await scene.sql(`update contacts set first_name = $2 where organization_id = $1`, [scene.organizationId, 'An\u001b[31ma'])
  const { out } = await muster('mail', 'preview', 'welcome', '--organization', key)
  expect(out).toContain('Hello An')
  expect(out).not.toContain('\u001b[31ma')
  expect((await muster('mail', 'templates', '--organization', key)).out).toContain('welcome')
})
