import { createHash } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as openpgp from 'openpgp'
import { beforeAll, describe, expect, test } from 'vitest'
import { openDecryption, type Decryption } from '../../src/feeds/decrypt.ts'
import { collect, faultOf } from './fault.ts'

type Pair = { privateKey: string; publicKey: string }
const PASSPHRASE = 'correct horse'
let feed: Pair
let locked: Pair
let sender: Pair
let stranger: Pair
beforeAll(async () => {
  const make = (passphrase?: string) => openpgp.generateKey({ userIDs: [{ name: 'somebody' }], format: 'armored', ...(passphrase === undefined ? {} : { passphrase }) })
  ;[feed, locked, sender, stranger] = await Promise.all([make(), make(PASSPHRASE), make(), make()])
})

const TEXT = 'id,name\n1,Ännchen\n'
/** A message to `to`, signed by `by`. */
const write = async ({ to = feed, by = sender, armored = false, text = TEXT, date = new Date() }: { to?: Pair | null; by?: Pair | null; armored?: boolean; text?: string; date?: Date } = {}): Promise<Buffer> => {
  const message = await openpgp.createMessage({ binary: Buffer.from(text) })
  const signingKeys = by ? await openpgp.readPrivateKey({ armoredKey: by.privateKey }) : undefined
  const written = to
    ? await openpgp.encrypt({ message, encryptionKeys: await openpgp.readKey({ armoredKey: to.publicKey }), ...(signingKeys ? { signingKeys } : {}), format: 'binary', date })
    : await openpgp.sign({ message, signingKeys: signingKeys!, format: 'binary', date })
  return Buffer.from(armored ? openpgp.armor(openpgp.enums.armor.message, written) : written)
}

async function* inPieces(bytes: Buffer, size = 17): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
}
const opened = (decryption: Decryption, bytes: Buffer) => collect(decryption.open(inPieces(bytes)))
const forFeed = (more: Partial<Parameters<typeof openDecryption>[0]> = {}) => openDecryption({ privateKey: feed.privateKey, passphrase: null, senderKeys: [sender.publicKey], ...more })
const signedOnly = () => forFeed({ privateKey: null })

describe('a message', () => {
  test.each([false, true])('to the feed, signed by the sender, is opened (armored: %s)', async (armored) => {
    expect((await opened(forFeed(), await write({ armored }))).toString()).toBe(TEXT)
  })

  test('to a key with a passphrase is opened with it', async () => {
    expect((await opened(forFeed({ privateKey: locked.privateKey, passphrase: PASSPHRASE }), await write({ to: locked }))).toString()).toBe(TEXT)
  })

  test.each([false, true])('that is only signed is opened by a feed without a private key (armored: %s)', async (armored) => {
    expect((await opened(signedOnly(), await write({ to: null, armored }))).toString()).toBe(TEXT)
  })

  test('need not be signed where the feed knows no sender', async () => {
    expect((await opened(forFeed({ senderKeys: [] }), await write({ by: null }))).toString()).toBe(TEXT)
    expect((await opened(forFeed({ senderKeys: [] }), await write({ by: stranger }))).toString()).toBe(TEXT)
  })

  test('may be signed by any of several senders, and be empty', async () => {
    const decryption = forFeed({ senderKeys: [stranger.publicKey, sender.publicKey] })
    expect((await opened(decryption, await write())).toString()).toBe(TEXT)
    expect((await opened(decryption, await write({ text: '' }))).length).toBe(0)
  })

  test('may be signed by a clock that is ahead: no clock decides', async () => {
    // The keys are as new as the test, so only what lies ahead can be tried.
    expect((await opened(forFeed(), await write({ date: new Date(Date.now() + 86_400_000) }))).toString()).toBe(TEXT)
  })
})

describe('refused is', () => {
  test.each([TEXT, '', 'Élodie', '\uFEFFid,name', 'ÿþ', '-----BEGIN PGP PUBLIC KEY BLOCK-----\n'])('what is not encrypted: %j', async (text) => {
    expect(await faultOf(opened(forFeed(), Buffer.from(text)))).toMatchObject({ code: 'pgp.not_encrypted' })
    expect(await faultOf(opened(signedOnly(), Buffer.from(text)))).toMatchObject({ code: 'pgp.not_signed' })
  })

  test('what is only signed, where it should be encrypted', async () => {
    expect(await faultOf(opened(forFeed(), await write({ to: null })))).toMatchObject({ code: 'pgp.not_encrypted' })
  })

  test('what is signed as a readable text', async () => {
    const message = await openpgp.createCleartextMessage({ text: TEXT })
    const text = Buffer.from(await openpgp.sign({ message, signingKeys: await openpgp.readPrivateKey({ armoredKey: sender.privateKey }) }))
    expect(await faultOf(opened(signedOnly(), text))).toMatchObject({ code: 'pgp.corrupt', hint: expect.stringContaining('--sign') as string })
  })

  test('what is encrypted with another key, which is named', async () => {
    const other = (await openpgp.readKey({ armoredKey: stranger.publicKey })).subkeys[0]!.getKeyID().toHex()
    expect(await faultOf(opened(forFeed(), await write({ to: stranger })))).toMatchObject({ code: 'pgp.wrong_key', detail: { keys: other } })
    expect(await faultOf(opened(signedOnly(), await write()))).toMatchObject({ code: 'pgp.wrong_key' })
  })

  test('what nobody signed, before a byte of it is given', async () => {
    const given: Buffer[] = []
    const fault = await faultOf((async () => {
      for await (const part of forFeed().open(inPieces(await write({ by: null })))) given.push(part)
    })())
    expect(fault).toMatchObject({ code: 'pgp.not_signed' })
    expect(given).toEqual([])
  })

  test('what a stranger signed, to be sent anew: it is refused for good', async () => {
    expect((await faultOf(opened(forFeed(), await write({ by: stranger })))).hint).toMatch(/put it there anew\..*declare that first/)
    expect(await faultOf(opened(forFeed(), await write({ by: stranger })))).toMatchObject({ code: 'pgp.bad_signature' })
    expect(await faultOf(opened(signedOnly(), await write({ to: null, by: stranger })))).toMatchObject({ code: 'pgp.bad_signature' })
  })

  test('what was changed or cut short anywhere', async () => {
    const text = 'id,name\n'.repeat(400)
    const encrypted = await write({ text })
    const [signed, unsigned] = [forFeed(), forFeed({ senderKeys: [] })]
    for (let share = 0.1; share < 1; share += 0.1) {
      const at = Math.floor(encrypted.length * share)
      const changed = Buffer.from(encrypted)
      changed[at]! ^= 1
      for (const bytes of [changed, encrypted.subarray(0, at), encrypted.subarray(0, -1)]) {
        expect(['pgp.corrupt', 'pgp.bad_signature', 'pgp.wrong_key']).toContain((await faultOf(opened(signed, bytes))).code)
        expect(['pgp.corrupt', 'pgp.wrong_key']).toContain((await faultOf(opened(unsigned, bytes))).code)
      }
    }
  })

  test('what was changed after it was signed', async () => {
    const signed = await write({ to: null })
    const at = signed.indexOf('nnchen')
    expect(at).toBeGreaterThan(0)
    signed[at] = 'm'.charCodeAt(0)
    expect(await faultOf(opened(signedOnly(), signed))).toMatchObject({ code: 'pgp.bad_signature' })
  })

  test('armor that ends early', async () => {
    const armored = await write({ armored: true, text: 'id,name\n'.repeat(400) })
    expect(await faultOf(opened(forFeed(), armored.subarray(0, armored.length / 2)))).toMatchObject({ code: 'pgp.corrupt' })
  })

  test('a key of ours that cannot be read, without a word of it', async () => {
    const { privateKey } = locked
    for (const more of [{ privateKey, passphrase: 'my wrong one' }, { privateKey, passphrase: null }, { privateKey: 'my seeded secret' }]) {
      const fault = await faultOf(opened(forFeed(more), await write()))
      expect(fault.code).toBe('pgp.key_unreadable')
      expect(JSON.stringify([fault.message, fault.hint, fault.detail, String(fault.cause)])).not.toMatch(/seeded|wrong one/)
    }
    expect(await faultOf(opened(forFeed({ senderKeys: ['none'] }), await write()))).toMatchObject({ code: 'pgp.sender_key_unreadable', detail: { number: 1 } })
  })
})

test('what the line throws in the middle goes through as it is', async () => {
  const encrypted = await write({ text: 'id,name\n'.repeat(10_000) })
  const breaking = async function* () {
    yield* inPieces(encrypted.subarray(0, 2000), 500)
    throw new Error('the line broke')
  }
  await expect(collect(forFeed().open(breaking()))).rejects.toThrow('the line broke')
  await expect(collect(forFeed().open((async function* () {
    yield* inPieces(encrypted.subarray(0, 20))
    throw new Error('it broke early')
  })()))).rejects.toThrow('it broke early')
})

test('50 MB are opened in flat memory', async () => {
  const line = Buffer.from('1234567,Ann,Other,ann.other@example.test\n'.repeat(1600))
  const blocks = Math.ceil(50_000_000 / line.length)
  let made = 0
  const source = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (made++ === blocks) controller.close()
      else controller.enqueue(line)
    },
  })
  const encrypted = (await openpgp.encrypt({
    message: await openpgp.createMessage({ binary: source as openpgp.WebStream<Uint8Array> }), format: 'binary',
    encryptionKeys: await openpgp.readKey({ armoredKey: feed.publicKey }), signingKeys: await openpgp.readPrivateKey({ armoredKey: sender.privateKey }),
  })) as unknown as ReadableStream<Uint8Array>
  const parts: Uint8Array[] = []
  for await (const part of encrypted) parts.push(part)
  const message = Buffer.concat(parts.splice(0))
  // What merely waits to be collected is not held.
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const held = () => {
    collectGarbage()
    return process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
  }
  const before = held()
  let bytes = 0
  let most = 0
  let looks = 1
  const hash = createHash('sha256')
  for await (const part of forFeed().open(inPieces(message, 32_768))) {
    bytes += part.length
    hash.update(part)
    if (bytes > looks * 5_000_000) {
      looks++
      most = Math.max(most, held() - before)
    }
  }
  const expected = createHash('sha256')
  for (let count = 0; count < blocks; count++) expected.update(line)
  expect(bytes).toBe(blocks * line.length)
  expect(hash.digest('hex')).toBe(expected.digest('hex'))
  expect(looks).toBe(11)
  expect(most).toBeLessThan(25_000_000)
})
