import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readMessages } from '../../src/commands/readMessages.ts'
import { takeBounce } from '../../src/deliveries/bounces.ts'
import { showDelivery } from '../../src/deliveries/list.ts'
import { retry } from '../../src/deliveries/release.ts'
import { DELIVERY_LIFECYCLE, DELIVERY_STATES } from '../../src/entities/states.ts'
import { migrateQueues } from '../../src/jobs/queues.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { runHome } from '../support/services.ts'

const CHECKOUT = join(import.meta.dirname, '../..')
const FIXTURES = join(CHECKOUT, 'fixtures/bounces')
const REFERENCE = '4711.1.1.0123456789abcdef01'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ connections: 1, extensions: ['PIPELINING', 'DSN'] })
})
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const WITH_ADDRESS = { settings: { mail: { from: 'Acme <no-reply@acme.example>', bounceAddress: 'bounces@acme.example' } } }
const sentTo = (id: string) => run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.`))
const referenceOf = (id: string, nth = 0): string => sentTo(id)[nth]!.messageId.slice(1).split('@')[0]!
/** A fixture, about this mail. */
const about = (name: string, reference: string): Buffer => Buffer.from(readFileSync(join(FIXTURES, `${name}.eml`), 'latin1').replaceAll(REFERENCE, reference).replaceAll(REFERENCE.toUpperCase(), reference.toUpperCase()), 'latin1')
const take = (name: string, reference: string) => takeBounce(run.database, about(name, reference))

/** A scene with one mail that was sent; its reference. */
async function sent(options: Parameters<DeliveryRun['scene']>[0] = WITH_ADDRESS): Promise<{ scene: Scene; id: string; reference: string }> {
  const scene = await run.scene(options)
  const [id] = await scene.owe(1)
  await run.send(scene)
  return { scene, id: id!, reference: referenceOf(id!) }
}

describe('the envelope sender', () => {
  test('is the address for bounces with the reference of the mail; From stays what people see', async () => {
    const { id, reference } = await sent()
    const [mail] = sentTo(id)
    expect(mail!.from).toBe(`bounces+${reference}@acme.example`)
    expect(mail!.body).toMatch(/^From: Acme <no-reply@acme\.example>\r?$/m)
    expect(mail!.body).not.toContain('bounces+')
  })

  test('is the sender where no address for bounces was declared', async () => {
    const { id } = await sent({})
    expect(sentTo(id)[0]!.from).toBe('no-reply@acme.example')
  })

  test('comes with the wish to be told of failures only, by the reference, and without the body that holds the secret', async () => {
    const { reference } = await sent()
    const said = run.sink.events.filter(({ text }) => text.includes(reference) || text.startsWith('RCPT')).map(({ text }) => text)
    expect(said.find((line) => line.startsWith('MAIL') && line.includes(reference))).toContain(`RET=HDRS ENVID=${reference}`)
    expect(said.findLast((line) => line.startsWith('RCPT'))).toContain('NOTIFY=FAILURE ORCPT=rfc822;ana1@example.test')
  })
})

describe('a mail that came back', () => {
  test.each([
    ['postfix-failed', 'envelope-sender', 'bounced: 5.1.1 550 5.1.1 <ana1@example.test>: Recipient address rejected: User unknown in virtual mailbox table'],
    ['exchange-online-failed', 'message-id', 'bounced: 5.1.10 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ana1@example.test not found by SMTP address lookup'],
    ['exchange-mailbox-full', 'message-id', expect.stringMatching(/^bounced: 5\.2\.2 554 5\.2\.2 mailbox full/)],
    ['gmail-failed', 'envelope-sender', expect.stringMatching(/^bounced: 5\.1\.1 550-5\.1\.1 The email account that you tried to reach does not exist/)],
    ['exim-failed', 'envelope-sender', expect.stringMatching(/^bounced: 5\.7\.1 SMTP error from remote mail server/)],
    ['sendmail-failed', 'envelope-sender', 'bounced: 5.1.1 550 5.1.1 User unknown'],
    ['sendmail-expired', 'envelope-sender', 'bounced: 4.4.7'],
    ['qmail-failed', 'envelope-sender', 'bounced: 5.1.1 Sorry, no mailbox here by that name. (#5.1.1)'],
    ['qmail-remote-failed', 'message-id', 'bounced: 5.0.0 198.51.100.7 does not like recipient. Remote host said: 550 Mailbox unavailable Giving up on 198.51.100.7.'],
    ['utf8-failed', 'envelope-sender', 'bounced: 5.6.7 553 5.6.7 Postfach анна existiert nicht'],
    ['utf8-in-ascii-failed', 'envelope-sender', 'bounced: 5.1.1 550 5.1.1 no such user'],
    ['latin1-failed', 'envelope-sender', 'bounced: 5.1.1 550 Empfänger unbekannt'],
    ['envelope-id-only', 'envelope-id', 'bounced: 5.0.0'],
    ['capitals-failed', 'envelope-sender', 'bounced: 5.1.1 550 USER UNKNOWN'],
    ['forwarded-both-failed', 'envelope-sender', 'bounced: 5.2.1 550 5.2.1 mailbox disabled'],
  ])('by %s is marked by its %s, with the words of the server', async (name, matchedBy, reason) => {
    const { scene, id, reference } = await sent()
    expect(await take(name, reference)).toMatchObject({ is: 'bounced', organizationId: scene.organizationId, delivery: id, matchedBy, state: 'bounced', action: 'failed' })
    expect(await run.delivery(scene, id)).toMatchObject({ state: 'bounced', reason })
    const shown = await run.database.tenant(scene.organizationId, (tx) => showDelivery(tx, id))
    expect(shown!.tries[0]!.response).toBe(`250 2.0.0 taken; ${(await run.delivery(scene, id)).reason}`)
  })

  test.each([
    ['postfix-delayed', 'noted', 'delayed'],
    ['postfix-relayed', 'noted', 'relayed'],
    ['exim-delayed', 'noted', 'delayed'],
    ['list-one-of-two-failed', 'noted', 'expanded'],
  ])('%s is %s: the mail has not failed', async (name, is, action) => {
    const { scene, id, reference } = await sent()
    expect(await take(name, reference)).toMatchObject({ is, delivery: id, action, state: 'sent' })
    expect(await run.delivery(scene, id)).toMatchObject({ state: 'sent', reason: null })
  })

  test.each([['out-of-office', 'auto_reply'], ['answer-of-a-person', 'other'], ['read-receipt', 'receipt'], ['complaint', 'complaint'], ['report-without-status', 'other']])('%s is no bounce: %s', async (name, why) => {
    const { scene, id, reference } = await sent()
    expect(await take(name, reference)).toMatchObject({ is: 'notABounce', why })
    expect((await run.delivery(scene, id)).state).toBe('sent')
  })

  test('taken in twice, or by two at once, is marked once', async () => {
    const { scene, id, reference } = await sent()
    const both = await Promise.all([take('postfix-failed', reference), take('postfix-failed', reference)])
    expect(both.map(({ is }) => is).sort()).toEqual(['alreadyBounced', 'bounced'])
    const before = await run.delivery(scene, id)
    expect(await take('gmail-failed', reference)).toMatchObject({ is: 'alreadyBounced', delivery: id })
    expect(await run.delivery(scene, id)).toEqual({ ...before, delay: expect.any(Number) })
    expect((await run.database.tenant(scene.organizationId, (tx) => showDelivery(tx, id)))!.tries[0]!.response!.split('bounced: ')).toHaveLength(2)
  })

  test('where nobody knew whether it arrived, settles that, and an answer that comes later changes nothing', async () => {
    const late = await deliveryRun({ connections: 1 })
    try {
      const answer = Promise.withResolvers<string>()
      late.sink.use(({ stage }) => (stage === 'end' ? answer.promise : undefined))
      const scene = await late.scene(WITH_ADDRESS)
      const [id] = await scene.owe(1)
      const sending = late.send(scene)
      await late.sink.reached('end')
      const reference = late.sink.messages[0]!.messageId.slice(1).split('@')[0]!
      expect(await takeBounce(late.database, about('postfix-failed', reference))).toMatchObject({ is: 'underWay', state: 'sending' })
      await scene.sql("update deliveries set state = 'unknown', reason = 'worker_lost', lease_until = null")
      expect(await takeBounce(late.database, about('postfix-failed', reference))).toMatchObject({ is: 'bounced' })
      answer.resolve('250 2.0.0 taken')
      expect(await sending).toMatchObject({ sent: 0 })
      expect(await late.delivery(scene, id!)).toMatchObject({ state: 'bounced', reason: expect.stringMatching(/^bounced: 5\.1\.1/) })
    } finally {
      await late.close()
    }
  })

  test('can be sent again; the old link is void then, and the old bounce is told and not applied', async () => {
    const { scene, id, reference } = await sent()
    await take('postfix-failed', reference)
    expect(await scene.sql('select state from invitations where organization_id = $1', [scene.organizationId])).toEqual([{ state: 'launched' }])
    await run.database.tenant(scene.organizationId, (tx) => retry(tx, id, 'olga'))
    expect(await take('gmail-failed', reference)).toMatchObject({ is: 'outdated', state: 'scheduled' })
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(await take('gmail-failed', reference)).toMatchObject({ is: 'outdated', delivery: id, state: 'sent' })
    expect(await run.delivery(scene, id)).toMatchObject({ state: 'sent', epoch: 2 })
    expect(await scene.sql('select epoch, state from invitations where organization_id = $1 order by epoch', [scene.organizationId])).toEqual([{ epoch: 1, state: 'revoked' }, { epoch: 2, state: 'launched' }])
    expect(await take('gmail-failed', referenceOf(id, 1))).toMatchObject({ is: 'bounced' })
  })

  test('an earlier attempt of the same epoch is outdated, too', async () => {
    run.sink.use(({ stage }) => (stage === 'end' ? '451 4.3.0 try again' : undefined))
    const { scene, id, reference } = await sent()
    run.sink.use(() => undefined)
    await scene.sql('update deliveries set send_at = now() where id = $1', [id])
    await run.send(scene)
    expect(await take('postfix-failed', reference)).toMatchObject({ is: 'outdated', state: 'sent' })
    expect((await run.delivery(scene, id)).state).toBe('sent')
  })

  test('is outdated where the person is owed the same thing anew', async () => {
    const { scene, id, reference } = await sent()
    await scene.sql(`insert into deliveries (organization_id, user_id, purpose, epoch, state) select organization_id, user_id, purpose, 2, 'held' from deliveries where id = $1`, [id])
    expect(await take('postfix-failed', reference)).toMatchObject({ is: 'outdated', state: 'sent' })
  })

  test.each(DELIVERY_STATES)('while its delivery is %s follows the lifecycle', async (state) => {
    const { scene, id, reference } = await sent()
    await scene.sql('update deliveries set state = $2 where id = $1', [id, state])
    const { is } = await take('postfix-failed', reference)
    const from: readonly string[] = DELIVERY_LIFECYCLE.transitions.bounce.from
    expect(is).toBe(from.includes(state) ? 'bounced' : state === 'bounced' ? 'alreadyBounced' : state === 'sending' ? 'underWay' : 'notApplied')
    expect((await run.delivery(scene, id)).state).toBe(from.includes(state) ? 'bounced' : state)
  })
})

describe('whoever can write into the mailbox', () => {
  test('cannot bounce a mail that they have not seen: the id, epoch and attempt alone are never enough', async () => {
    const { scene, id, reference } = await sent()
    const [delivery, epoch, attempt, mark] = reference.split('.') as [string, string, string, string]
    const guesses = [[delivery, epoch, attempt, '0'.repeat(18)], [delivery, epoch, attempt, `${mark.slice(0, 17)}${mark.endsWith('0') ? 1 : 0}`], [String(Number(delivery) + 1), epoch, attempt, mark], [delivery, '2', attempt, mark], [delivery, epoch, '2', mark]]
    for (const guess of guesses) expect(await take('postfix-failed', guess.join('.'))).toMatchObject({ is: 'unknown' })
    for (const guess of ['%', '______', "' or '1'='1"]) expect(await take('postfix-failed', [delivery, epoch, attempt, guess].join('.'))).toMatchObject({ is: 'unknown' })
    expect((await run.delivery(scene, id)).state).toBe('sent')
  })

  test('puts no secret into the ledger by repeating the mail', async () => {
    const scene = await run.scene(WITH_ADDRESS)
    const [id] = await scene.owe(1)
    await run.send(scene)
    const body = sentTo(id!)[0]!.body.replace(/=\r\n/g, '')
    const token = /invitations\/([\w-]{43})/.exec(body)![1]!
    const echoed = about('postfix-failed', referenceOf(id!)).toString('latin1').replace('User unknown in virtual mailbox table\n\n', `spam:\n  ${token} in https://muster.example/invitations/${token}\n\n`)
    expect(await takeBounce(run.database, Buffer.from(echoed, 'latin1'))).toMatchObject({ is: 'bounced' })
    const kept = JSON.stringify(await scene.sql('select to_jsonb(d) as d, to_jsonb(t) as t from deliveries d join delivery_attempts t on t.delivery_id = d.id where d.id = $1', [id]))
    expect(kept).toContain('[removed]')
    expect(kept).not.toContain(token)
  })

  test('a message that names several mails of ours is about the first whose mark fits', async () => {
    const [one, two] = [await sent(), await sent()]
    const message = about('postfix-failed', two.reference).toString('latin1').replace('To: bounces+', `To: bounces+${one.id}.1.1.000000000000000000@acme.example, bounces+`)
    expect(await takeBounce(run.database, Buffer.from(message, 'latin1'))).toMatchObject({ is: 'bounced', delivery: two.id })
    expect((await run.delivery(one.scene, one.id)).state).toBe('sent')
  })
})

describe('an mbox', () => {
  const messages = async (content: string, largest = 1_000) => {
    const found: [string, string][] = []
    for await (const { source, bytes } of readMessages('box', Readable.from(content.match(/[^]{1,7}/g) ?? []).map((piece: string) => Buffer.from(piece)), largest)) found.push([source, bytes.toString()])
    return found
  }

  test('is parted at its From lines, and a quoted one is part of its message', async () => {
    const box = 'From MAILER-DAEMON Sun Nov 22 01:00:00 2026\nSubject: a\n\n>From here\nFrom now on\n\nFrom nobody at all\n\nFrom x@y.example Sun Nov 22 01:00:00 2026\nSubject: b\n\nb\n'
    expect(await messages(box)).toEqual([['box message 1', 'Subject: a\n\nFrom here\nFrom now on\n\nFrom nobody at all\n\n'], ['box message 2', 'Subject: b\n\nb\n']])
  })

  test('what does not begin so is one message, as it is', async () => {
    expect(await messages('Subject: a\r\n\r\nFrom x@y.example Sun Nov 22 01:00:00 2026\n>From\n')).toEqual([['box', 'Subject: a\r\n\r\nFrom x@y.example Sun Nov 22 01:00:00 2026\n>From\n']])
    expect(await messages('')).toEqual([['box', '']])
  })

  test('of a message that is too long only so much is kept as shows that', async () => {
    expect((await messages(`From x Sun Nov 22 01:00:00 2026\n${'a'.repeat(5_000)}\n\nFrom x Sun Nov 22 01:00:00 2026\nb`, 100)).map(([, bytes]) => bytes.length)).toEqual([101, 1])
  })
})

describe('./muster bounces', { timeout: 60_000 }, () => {
  type Ran = { status: number | null; out: string; err: string; json: { bounces: Record<string, number>; entries: Record<string, unknown>[] } }
  const muster = (args: string[], input: string | Buffer = ''): Promise<Ran> => command(['bounces', ...args], input)
  const command = async (args: string[], input: string | Buffer = ''): Promise<Ran> => {
    const child = spawn(process.execPath, [join(CHECKOUT, 'muster.ts'), ...args], {
      env: { PATH: process.env['PATH'], NO_COLOR: '1', DATABASE_URL: run.databaseUrl, MUSTER_SECRET: 'a-secret-of-32-characters-or-more', MUSTER_HOME: join(folder(), 'home') },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child.stdin.on('error', () => undefined).end(input)
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { status, out, err, get json() { return JSON.parse(out) as Ran['json'] } }
  }
  const folder = (): string => {
    const parent = join(runHome(), 'bounces')
    mkdirSync(parent, { recursive: true })
    return mkdtempSync(join(parent, 'box-'))
  }

  test('takes one message from standard input, and tells what was done', async () => {
    const { id, reference } = await sent()
    const { status, out } = await muster([], about('postfix-failed', reference))
    expect(status).toBe(0)
    expect(out).toMatch(new RegExp(`standard input +${id} +marked as bounced +failed 5\\.1\\.1 550 5\\.1\\.1`))
    expect(out).toContain('1 message, 1 mail marked as bounced.')
    expect(await muster(['-', '--json'], about('postfix-failed', reference)).then(({ json }) => json)).toMatchObject({ bounces: { read: 1, bounced: 0, alreadyBounced: 1 }, entries: [{ source: 'standard input', movedTo: null, outcome: 'alreadyBounced', delivery: id, status: '5.1.1' }] })
  })

  test('takes an mbox and files', async () => {
    const [one, two] = [await sent(), await sent()]
    const file = join(folder(), 'one.eml')
    writeFileSync(file, about('gmail-failed', one.reference))
    const box = Buffer.concat([Buffer.from('From MAILER-DAEMON Sun Nov 22 01:00:00 2026\n'), about('out-of-office', two.reference), Buffer.from('\nFrom MAILER-DAEMON Sun Nov 22 01:00:00 2026\n'), about('qmail-failed', two.reference)])
    const { status, json } = await muster([file, '-', '--json'], box)
    expect([status, json.entries.map(({ source, outcome, delivery }) => [source, outcome, delivery])]).toEqual([0, [[file, 'bounced', one.id], ['standard input message 1', 'notABounce', undefined], ['standard input message 2', 'bounced', two.id]]])
  })

  test('of a folder puts away what it has read; what cannot be read stays, and is told by the status', async () => {
    const { scene, id, reference } = await sent()
    const box = folder()
    writeFileSync(join(box, 'a.eml'), about('postfix-failed', reference))
    writeFileSync(join(box, 'b.eml'), about('out-of-office', reference))
    writeFileSync(join(box, 'c.eml'), '')
    writeFileSync(join(box, 'notes.txt'), 'not a mail')
    const first = await muster(['--folder', box, '--json'])
    expect([first.status, first.json.bounces]).toEqual([2, expect.objectContaining({ read: 3, bounced: 1, notABounce: 1, unreadable: 1 })])
    expect(first.json.entries.map(({ source, movedTo }) => [source, movedTo])).toEqual([['a.eml', 'read/a.eml'], ['b.eml', 'read/b.eml'], ['c.eml', null]])
    expect([readdirSync(box).sort(), readdirSync(join(box, 'read')).sort()]).toEqual([['c.eml', 'notes.txt', 'read'], ['a.eml', 'b.eml']])
    expect((await run.delivery(scene, id)).state).toBe('bounced')
    // Another message of the same name does not take the place of the one that was read.
    writeFileSync(join(box, 'a.eml'), about('gmail-failed', reference))
    expect((await muster(['--folder', box, '--json'])).json.entries[0]).toMatchObject({ outcome: 'alreadyBounced', movedTo: 'read/a-2.eml' })
  })

  test('that cannot be put away keeps no other from being taken in, and is told by the status', async () => {
    const [one, two] = [await sent(), await sent()]
    const box = folder()
    writeFileSync(join(box, 'a.eml'), about('postfix-failed', one.reference))
    writeFileSync(join(box, 'b.eml'), about('gmail-failed', two.reference))
    writeFileSync(join(box, 'read'), 'a file where the folder should be')
    const { status, json } = await muster(['--folder', box, '--json'])
    expect([status, json.entries.map(({ source, outcome, movedTo, problem }) => [source, outcome, movedTo, typeof problem])]).toEqual([2, [['a.eml', 'bounced', null, 'string'], ['b.eml', 'bounced', null, 'string']]])
    expect([(await run.delivery(one.scene, one.id)).state, (await run.delivery(two.scene, two.id)).state]).toEqual(['bounced', 'bounced'])
  })

  test('of a Maildir marks what it has read as seen, and leaves alone what somebody has seen', async () => {
    const { id, reference } = await sent()
    const box = folder()
    for (const name of ['new', 'cur', 'tmp']) mkdirSync(join(box, name))
    writeFileSync(join(box, 'new', '1795356000.M1P1.mx'), about('postfix-failed', reference))
    writeFileSync(join(box, 'cur', '1795356000.M2P1.mx:2,F'), about('postfix-delayed', reference))
    writeFileSync(join(box, 'cur', '1795356000.M3P1.mx:2,S'), about('postfix-failed', reference))
    const { status, json } = await muster(['--folder', box, '--json'])
    expect([status, json.entries.map(({ outcome, delivery, movedTo }) => [outcome, delivery, movedTo])]).toEqual([0, [['noted', id, 'cur/1795356000.M2P1.mx:2,FS'], ['bounced', id, 'cur/1795356000.M1P1.mx:2,S']]])
    expect([readdirSync(join(box, 'new')), readdirSync(join(box, 'cur')).sort()]).toEqual([[], ['1795356000.M1P1.mx:2,S', '1795356000.M2P1.mx:2,FS', '1795356000.M3P1.mx:2,S']])
    expect((await muster(['--folder', box, '--json'])).json.bounces).toMatchObject({ read: 0 })
  })

  test('that dies before a message is put away takes it in again, harmlessly', async () => {
    const { scene, id, reference } = await sent()
    const box = folder()
    writeFileSync(join(box, 'a.eml'), about('postfix-failed', reference))
    await take('postfix-failed', reference)
    expect((await muster(['--folder', box, '--json'])).json.entries).toEqual([expect.objectContaining({ outcome: 'alreadyBounced', movedTo: 'read/a.eml' })])
    expect((await run.delivery(scene, id)).state).toBe('bounced')
  })

  test('is followed by deliveries list and doctor, which say what is to be done', async () => {
    const { scene, id, reference } = await sent()
    await take('postfix-failed', reference)
    const [{ key }] = (await scene.sql<{ key: string }>('select key from organizations where id = $1', [scene.organizationId])) as [{ key: string }]
    const listed = await command(['deliveries', 'list', '--organization', key, '--state', 'bounced', '--json'])
    expect(JSON.parse(listed.out)).toMatchObject({ id, state: 'bounced', reason: expect.stringMatching(/^bounced: 5\.1\.1 550/) })
    await migrateQueues(run.databaseUrl)
    const { findings } = JSON.parse((await command(['doctor', '--json'])).out) as { findings: { part: string; message: string; hint: string }[] }
    expect(findings.filter(({ part }) => part === key)).toEqual([{ part: key, state: 'attention', message: 'a mail that came back', hint: expect.stringContaining('./muster deliveries retry ID') }])
  })

  test('refuses what is not there before it takes anything in', async () => {
    const { scene, id, reference } = await sent()
    const box = folder()
    writeFileSync(join(box, 'a.eml'), about('postfix-failed', reference))
    const refusals = await Promise.all([muster([join(box, 'a.eml'), join(box, 'none.eml'), '--json']), muster(['--folder', join(box, 'none'), '--json']), muster([box, '--json'])])
    expect(refusals.map(({ status, out }) => [status, (JSON.parse(out) as { error: { code: string } }).error.code])).toEqual([[1, 'bounces.no_file'], [1, 'bounces.no_folder'], [64, 'usage.folder']])
    expect((await run.delivery(scene, id)).state).toBe('sent')
    expect(existsSync(join(box, 'read'))).toBe(false)
  })
})
