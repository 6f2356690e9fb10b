import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { envelopeSender, newReference, referencesIn, written } from '../../src/deliveries/bounceAddress.ts'
import { readDeliveryStatus, statusIn } from '../../src/deliveries/deliveryStatus.ts'
import { LARGEST_BOUNCE, readBounce } from '../../src/deliveries/readBounce.ts'
import { redactLikely } from '../../src/deliveries/redact.ts'
import { generatePassword } from '../../src/accounts/passwords.ts'
import { newToken } from '../../src/accounts/invitations.ts'
import { seededRandom } from '../support/seededRandom.ts'

const FOLDER = join(import.meta.dirname, '../../fixtures/bounces')
const names = readdirSync(FOLDER).filter((name) => name.endsWith('.eml'))
const fixture = (name: string): Buffer => readFileSync(join(FOLDER, name))
const expected = (name: string): unknown => JSON.parse(readFileSync(join(FOLDER, name.replace(/\.eml$/, '.expected.json')), 'utf8'))
const latin1 = (bytes: Buffer): string => bytes.toString('latin1')

describe('a message of a real kind of mail server', () => {
  test.each(names)('%s is read as it says', async (name) => {
    expect(await readBounce(fixture(name))).toEqual(expected(name))
  })

  test.each(names)('%s is read the same with the newlines of the wire', async (name) => {
    const wire = Buffer.from(latin1(fixture(name)).replace(/\r?\n/g, '\r\n'), 'latin1')
    const read = JSON.stringify(await readBounce(wire)).replaceAll(String.raw`\r\n`, String.raw`\n`)
    expect(JSON.parse(read)).toEqual(expected(name))
  })

  test.each(names)('%s is read, or said not to be a bounce, wherever it was cut off', async (name) => {
    const whole = fixture(name)
    for (let end = 1; end < whole.length; end += 97) expect(['report', 'notABounce', 'unreadable']).toContain((await readBounce(whole.subarray(0, end))).is)
  })
})

describe('bytes that mean harm', () => {
  const hostile: [string, () => Buffer, string][] = [
    ['nothing', () => Buffer.alloc(0), 'unreadable'],
    ['blank lines alone', () => Buffer.from('\r\n'.repeat(2_000)), 'unreadable'],
    ['more than 10 MB', () => Buffer.alloc(LARGEST_BOUNCE + 1, 0x61), 'unreadable'],
    ['parts within parts without end', () => Buffer.from(Array.from({ length: 5_000 }, (_, index) => `Content-Type: multipart/report; boundary="b${index}"\n\n--b${index}\n`).join('')), 'unreadable'],
    ['headers without end', () => Buffer.from(`To: x\n${'X-Header: y\n'.repeat(200_000)}`), 'unreadable'],
    ['a message in a message in a message', () => Buffer.from('Content-Type: message/rfc822\n\n'.repeat(50_000)), 'notABounce'],
    ['one line of 9 MB', () => Buffer.concat([Buffer.from('Subject: '), Buffer.alloc(9 * 1024 * 1024, 0x41)]), 'unreadable'],
    ['lines that might all be boundaries', () => Buffer.from(`Content-Type: multipart/report; boundary="-"\n\n${'--\n---\n'.repeat(200_000)}`), 'unreadable'],
    ['a megabyte of newlines', () => Buffer.from(`Subject: x\n\n${'\n'.repeat(1_000_000)}`), 'notABounce'],
    ['parts and nothing else', () => Buffer.from(`Content-Type: multipart/report; boundary="-"\n\n${'---\n'.repeat(250_000)}`), 'unreadable'],
    ['as many parts as are read', () => Buffer.from(`Content-Type: multipart/report; boundary="-"\n\n${'---\n\n'.repeat(4_900)}`), 'notABounce'],
    ['words in code without end', () => Buffer.from(`Subject: ${'=?utf-8?Q?=41?= '.repeat(15_000)}\nTo: ${'=?utf-8?B?QQ?='.repeat(500)}\n\nx`), 'notABounce'],
    ['a page of entities', () => Buffer.from(`Content-Type: text/html\n\n${'&amp;&#65;&'.repeat(90_000)}`), 'notABounce'],
    ['a parameter in pieces', () => Buffer.from(`Content-Type: text/plain; ${Array.from({ length: 8_000 }, (_, index) => `name*${index}*=utf-8''a`).join('; ')}\n\nx`), 'notABounce'],
    ['a page of brackets', () => Buffer.from(`Content-Type: text/html\n\n${'<'.repeat(500_000)}${'<a '.repeat(100_000)}`), 'notABounce'],
    ['addresses without end', () => Buffer.from(`To: ${'a@b.example, "('.repeat(15_000)}\n\nx`), 'notABounce'],
    ['a text of Exim with more addresses and lines than fit together', () => Buffer.from(`X-Failed-Recipients: ${Array.from({ length: 2_000 }, (_, index) => `a${index}`).join(', ')}\n\nA message that you sent could not be delivered to one or more of its recipients.\n\n${'a0\nx\n'.repeat(12_000)}`), 'report'],
    ['NULs', () => Buffer.alloc(100_000), 'unreadable'],
  ]

  test.each(hostile)('%s: told within seconds', async (_, bytes, is) => {
    const message = bytes()
    // Time of the processor: others may be using it, too.
    const begun = process.cpuUsage()
    expect((await readBounce(message)).is).toBe(is)
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(3_000)
  })

  test('a status with more recipients than there are people: the first ones, soon', async () => {
    const blocks = 'Final-Recipient: rfc822; x@example.test\nAction: failed\nStatus: 5.1.1\n\n'.repeat(10_000)
    const read = await readBounce(Buffer.from(`Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n${blocks}`))
    expect(read.is).toBe('report')
    expect(read.is === 'report' && read.recipients.length).toBeLessThan(200)
  })

  test('whatever they are, reading them never throws', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
      expect(['report', 'notABounce', 'unreadable']).toContain((await readBounce(bytes)).is)
    }))
  })

  test('nor where they stand in the middle of a bounce', async () => {
    const whole = fixture('postfix-failed.eml')
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(whole.length), fc.nat(200), async (bytes, at, gone) => {
      expect(['report', 'notABounce', 'unreadable']).toContain((await readBounce(Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at + gone)]))).is)
    }))
  })
})

describe('a delivery status', () => {
  test('without an action tells it by the class of its status; without either, nothing', () => {
    const actions = (fields: string) => readDeliveryStatus(`Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.example\n${fields}`).recipients.map(({ action, status }) => [action, status])
    expect(actions('Status: 5.1.1')).toEqual([['failed', '5.1.1']])
    expect(actions('Status: 4.4.1')).toEqual([['delayed', '4.4.1']])
    expect(actions('Status: 2.0.0')).toEqual([['delivered', '2.0.0']])
    expect(actions('Diagnostic-Code: smtp; 550 no')).toEqual([['failed', '5.0.0']])
    expect(actions('Action: whatever')).toEqual([])
  })

  test.each([['550 5.1.1 no', '5.1.1'], ['5.7.1 no', '5.7.1'], ['550 no', '5.0.0'], ['host 198.5.1.7 said: 452 full', '4.0.0'], ['version 15.1.1 of 25.1.1.2', null], ['', null]])('of the words %j is %j', (words, status) => {
    expect(statusIn(words)).toBe(status)
  })
})

describe('the reference of a mail', () => {
  const hex = fc.stringMatching(/^[0-9a-f]{18}$/)
  const reference = fc.tuple(fc.bigInt({ min: 1n, max: 10n ** 17n }), fc.integer({ min: 1, max: 999 }), fc.integer({ min: 1, max: 999 }), hex).map(([id, epoch, attempt, mark]) => `${id}.${epoch}.${attempt}.${mark}`)

  test('is found again in whatever a server writes around it, in any case', () => {
    fc.assert(fc.property(reference, (made) => {
      for (const text of [`<${made}@acme.example>`, `bounces+${made}@acme.example`, `BOUNCES+${made.toUpperCase()}@ACME.EXAMPLE`, `SRS0=ab12=XY=acme.example=bounces+${made}@forward.example`, made]) expect(referencesIn(text).map(written)).toEqual([made])
    }))
  })

  test('is not seen in what only looks like one', () => {
    for (const text of ['4711', '4711.1.1@acme.example', '4711.1.1.0123456789abcdef0@acme.example', '4711.1.1.0123456789abcdef012@acme.example', 'x4711.1.1.0123456789abcdef01', '1.4711.1.1.0123456789abcdef01']) expect(referencesIn(text)).toEqual([])
  })

  test('holds 72 bits of chance', () => {
    const made = newReference({ id: '7', epoch: 1, attempt: 2 }, (count) => new Uint8Array(count).fill(0xab))
    expect(made).toBe('7.1.2.abababababababababab'.slice(0, 6 + 18))
  })

  test('stands in the envelope sender where that stays short enough, and nowhere without an address for bounces', () => {
    expect(envelopeSender('bounces@acme.example', '7.1.1.0123456789abcdef01')).toBe('bounces+7.1.1.0123456789abcdef01@acme.example')
    expect(envelopeSender(`${'b'.repeat(60)}@acme.example`, '7.1.1.0123456789abcdef01')).toBe(`${'b'.repeat(60)}@acme.example`)
    expect(envelopeSender(null, '7.1.1.0123456789abcdef01')).toBeNull()
  })
})

describe('what is kept of the words of a server', () => {
  const random = seededRandom(7)

  const secrets = [
    () => generatePassword({ kind: 'random', length: 8 + (random(1)[0]! % 20), mustChange: true }, random),
    () => generatePassword({ kind: 'passphrase', words: 4 + (random(1)[0]! % 3), mustChange: true }, random),
    () => newToken(random),
  ]

  test.each([['password', secrets[0]!], ['passphrase', secrets[1]!], ['token', secrets[2]!]])('holds no %s of ours', (_, make) => {
    for (const secret of Array.from({ length: 300 }, make)) {
      for (const form of [secret, `"${secret}"`, `https://muster.example/invitations/${secret}?`]) expect(redactLikely(`554 5.7.1 rejected: ${form} is forbidden`)).not.toContain(secret)
    }
  })

  test('is one line, without characters that turn text around', () => {
    expect(redactLikely('550 5.1.1\r\n no \u202Esuch\u0007 user\u0085')).toBe('550 5.1.1 no such user')
  })

  test.each(['550 5.1.1 <ana1@example.test>: Recipient address rejected: User unknown in virtual mailbox table', '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ana1@example.test not found by SMTP address lookup', '452-4.2.2 The email account that you tried to reach is over quota'])('are the words themselves: %s', (words) => {
    expect(redactLikely(words)).toBe(words)
  })
})
