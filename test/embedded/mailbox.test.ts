import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { buildMessage, Mailer } from '../../src/deliveries/mailer.ts'
import { listMailbox, showMessage, startMailbox, type Mailbox } from '../../src/embedded/mailbox.ts'
import { newHome } from './processes.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function boxAnd(home: string): Promise<{ box: Mailbox; send(subject: string): Promise<unknown> }> {
  const box = await startMailbox(home)
  const mailer = new Mailer({ url: box.url, connections: 3 })
  open.push(() => box.close(), () => mailer.close())
  return {
    box,
    async send(subject) {
      const { envelope, bytes } = await buildMessage({
        from: 'Acme <no-reply@acme.example>', to: { name: 'Ana Nguyễn', address: 'ana@example.test' }, subject, text: 'Hello\n.\nNguyễn\n', html: '<p>Nguyễn</p>',
        messageId: `<${subject.replace(/\W/g, '')}@acme.example>`, date: new Date(),
      })
      return mailer.send(envelope, bytes, async () => true)
    },
  }
}

test('every mail is kept, listed and shown as it was sent', async () => {
  const home = newHome()
  const { send } = await boxAnd(home)
  expect(await send('Welcome, Nguyễn')).toMatchObject({ is: 'accepted' })
  const [line] = await listMailbox(home)
  expect(line).toEqual({ id: '1', from: 'Acme <no-reply@acme.example>', to: 'ana@example.test', subject: 'Welcome, Nguyễn', messageId: '<WelcomeNguyn@acme.example>', receivedAt: expect.stringMatching(/^\d{4}-.*Z$/) })
  const shown = await showMessage(home, '1')
  expect(shown).toMatchObject({ ...line, text: expect.stringContaining('Hello\n.\nNguyễn'), html: expect.stringContaining('<p>Nguyễn</p>') })
  expect(shown!.headers).toContainEqual({ key: 'Auto-Submitted', value: 'auto-generated' })
})

test('only this user may read it', async () => {
  const home = newHome()
  const { send } = await boxAnd(home)
  await send('Secret')
  expect(statSync(join(home, 'mailbox')).mode & 0o777).toBe(0o700)
  expect(statSync(join(home, 'mailbox', '1.eml')).mode & 0o777).toBe(0o600)
})

test('two mailboxes on one folder share the numbers: each mail has one of its own, and stays under it', async () => {
  const home = newHome()
  const [one, two] = [await boxAnd(home), await boxAnd(home)]
  await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).send(`Mail ${index}`)))
  const lines = await listMailbox(home)
  expect(lines.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => String(index + 1)))
  expect(new Set(lines.map(({ subject }) => subject)).size).toBe(20)
  await one.send('The last')
  expect(await listMailbox(home)).toEqual([...lines, expect.objectContaining({ id: '21', subject: 'The last' })])
})

test('numbers go on where an earlier process stopped, and nothing unfinished lies about', async () => {
  const home = newHome()
  const first = await boxAnd(home)
  await first.send('One')
  await first.box.close()
  await (await boxAnd(home)).send('Two')
  expect((await listMailbox(home)).map(({ id, subject }) => [id, subject])).toEqual([['1', 'One'], ['2', 'Two']])
  expect(readdirSync(join(home, 'mailbox')).toSorted()).toEqual(['1.eml', '2.eml'])
})

test('an empty or missing mailbox has no mails, and a wrong id finds none', async () => {
  const home = newHome()
  expect(await listMailbox(home)).toEqual([])
  mkdirSync(join(home, 'mailbox'))
  expect(await listMailbox(home)).toEqual([])
  for (const id of ['1', '0', '', '../secret', '1.eml', '-1']) expect(await showMessage(home, id)).toBeNull()
})
