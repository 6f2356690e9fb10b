import * as openpgp from 'openpgp'
import { ServerFault } from './serverFault.ts'

/** Turns the bytes of a PGP message into what was encrypted or signed. */
export type Decryption = {
  /**
   * Gives the contents as they come, in flat memory. Nothing of it may be believed before the end was reached: only there it is known
   * that nothing was changed and that a sender's key has signed it.
   * @throws ServerFault pgp.not_encrypted, pgp.wrong_key, pgp.not_signed, pgp.bad_signature, pgp.corrupt; of our own keys pgp.key_unreadable,
   *   pgp.sender_key_unreadable. What the bytes themselves throw goes through as it is.
   */
  open(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer>
}

type Keys = { own: openpgp.PrivateKey | null; senders: openpgp.PublicKey[] }

const CONFIG = {
  // Else it would hold a whole message in memory. Whoever calls waits for the end before anything is believed.
  allowUnauthenticatedStream: true,
  showComment: false,
  showVersion: false,
} satisfies openpgp.PartialConfig

const ENCRYPT_AGAIN = "Ask the sender to encrypt the file with the feed's public key (gpg --encrypt), and to put it there anew."
const SIGN_AGAIN = "Ask the sender to sign the file with the key that the feed knows (gpg --sign), and to put it there anew. If the sender has a new key, declare that first (pgp.senderKeys)."
const SEND_AGAIN = 'Ask the sender to put the file there anew, as a binary file.'

/**
 * Prepares for messages to a private key, signed with one of the senders' keys; all keys armored.
 * @param options.privateKey null: the messages are signed and not encrypted
 * @param options.passphrase of the private key; null where it has none
 * @param options.senderKeys none: whoever encrypted it is believed, and signatures are not looked at
 */
export function openDecryption({ privateKey, passphrase, senderKeys }: { privateKey: string | null; passphrase: string | null; senderKeys: readonly string[] }): Decryption {
  let keys: Promise<Keys> | undefined
  return {
    async *open(bytes) {
      keys ??= readKeys(privateKey, passphrase, senderKeys)
      const { own, senders } = await keys
      const { form, input, broken } = await beginReading(bytes)
      if (form === 'none') throw own ? notEncrypted() : notSigned()
      if (form === 'clear-signed') throw own ? notEncrypted() : new ServerFault('pgp.corrupt', 'The file is signed as a readable text, which changes its lines.', 'Ask the sender to sign the whole file (gpg --sign instead of --clear-sign).')
      /** Where the line broke, that is the reason, whatever PGP makes of it. */
      const because = (fault: ServerFault): unknown => broken() ?? fault
      let opened: Opened
      try {
        const message = await readMessage(form, input)
        opened = own ? await decrypt(message, own, senders) : await verify(message, senders)
      } catch (error) {
        throw because(error instanceof ServerFault ? error : corrupt(error))
      }
      if (senders.length > 0 && opened.signatures.length === 0) {
        await opened.data.cancel().catch(() => undefined)
        throw notSigned()
      }
      try {
        for await (const part of opened.data) yield Buffer.from(part.buffer, part.byteOffset, part.byteLength)
      } catch (error) {
        throw because(corrupt(error))
      }
      if (senders.length === 0) return
      try {
        await Promise.any(opened.signatures.map(({ verified }) => verified))
      } catch (error) {
        throw because(badSignature(error as AggregateError))
      }
    },
  }
}

type Opened = { data: ReadableStream<Uint8Array>; signatures: { verified: Promise<true> }[] }

/** Signatures are looked at as of when they were made: neither the sender's clock nor ours decides (faults.md 37). */
const ANY_TIME = null as unknown as Date

const decrypt = async (message: Message, own: openpgp.PrivateKey, senders: openpgp.PublicKey[]): Promise<Opened> => {
  const addressed = message.getEncryptionKeyIDs()
  if (addressed.length === 0) throw notEncrypted()
  const mine = own.getKeyIDs()
  // A key that is not named may be any.
  if (!addressed.some((id) => /^0+$/.test(id.toHex()) || mine.some((known) => known.equals(id)))) throw wrongKey(addressed.map((id) => id.toHex()))
  return opened(await openpgp.decrypt({ message, decryptionKeys: own, verificationKeys: senders, format: 'binary', date: ANY_TIME, config: CONFIG }))
}

const verify = async (message: Message, senders: openpgp.PublicKey[]): Promise<Opened> => {
  if (message.getEncryptionKeyIDs().length > 0)
    throw new ServerFault('pgp.wrong_key', 'The file is encrypted, and the feed has no private key.', 'Give the feed its private key (pgp.privateKey, a secret), or ask the sender only to sign.')
  return opened(await openpgp.verify({ message, verificationKeys: senders, format: 'binary', date: ANY_TIME, config: CONFIG }))
}

type Message = openpgp.Message<openpgp.WebStream<Uint8Array>>
/** The types speak of a stream of their own making, which in Node is this one. */
const opened = ({ data, signatures }: { data: unknown; signatures: { verified: Promise<true> }[] }): Opened => ({ data: data as ReadableStream<Uint8Array>, signatures })

const readMessage = async (form: 'armored' | 'binary', input: ReadableStream<Uint8Array>): Promise<Message> => {
  if (form === 'binary') return await openpgp.readMessage({ binaryMessage: input as openpgp.WebStream<Uint8Array>, config: CONFIG })
  const text = input.pipeThrough(new TransformStream<Uint8Array, string>({ transform: (part, out) => out.enqueue(Buffer.from(part).toString('latin1')) }))
  return await openpgp.readMessage({ armoredMessage: text as openpgp.WebStream<string>, config: CONFIG })
}

/** Bytes by which the form is known. */
const HEAD = 64

type Begun = { form: 'none' | 'clear-signed' | 'armored' | 'binary'; input: ReadableStream<Uint8Array>; /** What the bytes threw, where they did. */ broken: () => unknown }

const beginReading = async (bytes: AsyncIterable<Buffer>): Promise<Begun> => {
  const source = bytes[Symbol.asyncIterator]()
  const parts: Buffer[] = []
  let ended = false
  while (!ended && parts.reduce((sum, { length }) => sum + length, 0) < HEAD) {
    const next = await source.next()
    if (next.done === true) ended = true
    else parts.push(next.value)
  }
  let broken: unknown
  const input = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const part = parts.shift()
        if (part) return controller.enqueue(part)
        const next = ended ? undefined : await source.next()
        if (next === undefined || next.done === true) controller.close()
        else controller.enqueue(next.value)
      } catch (error) {
        broken = error
        controller.error(error)
      }
    },
  }, { highWaterMark: 0 })
  return { form: formOf(Buffer.concat(parts)), input, broken: () => broken }
}

const formOf = (head: Buffer): Begun['form'] => {
  const text = head.toString('latin1').replace(/^\xEF\xBB\xBF/, '').trimStart()
  if (text.startsWith('-----BEGIN PGP MESSAGE')) return 'armored'
  if (text.startsWith('-----BEGIN PGP SIGNED MESSAGE')) return 'clear-signed'
  const first = head[0] ?? 0
  // A packet begins with its highest bit set (RFC 9580 4.2), which a letter with an accent has too; but then comes what no text has.
  const tag = (first & 0x40) === 0 ? (first >> 2) & 0x0f : first & 0x3f
  return (first & 0x80) !== 0 && MESSAGE_TAGS.has(tag) && /[\0-\x08\x0e-\x1f]/.test(text) && !UTF16.test(text) ? 'binary' : 'none'
}

/** Packets that a message can begin with: encrypted to a key or a password, signed, compressed, encrypted, a marker, literal, encrypted with its integrity kept. */
const MESSAGE_TAGS = new Set([1, 2, 3, 4, 8, 9, 10, 11, 18, 20])
const UTF16 = /^(?:\xFF\xFE|\xFE\xFF)/

const readKeys = async (privateKey: string | null, passphrase: string | null, senderKeys: readonly string[]): Promise<Keys> => {
  let own: openpgp.PrivateKey | null = null
  if (privateKey !== null) {
    try {
      own = await openpgp.readPrivateKey({ armoredKey: privateKey, config: CONFIG })
      if (!own.isDecrypted()) own = await openpgp.decryptKey({ privateKey: own, passphrase: passphrase ?? '', config: CONFIG })
    } catch {
      // The library's words may hold parts of what it could not read.
      throw new ServerFault('pgp.key_unreadable', "The feed's private PGP key cannot be read: it is not one, or its passphrase is missing or wrong.", 'Give the key armored (gpg --armor --export-secret-keys), and its passphrase, with ./muster feed secret.')
    }
  }
  const senders: openpgp.PublicKey[] = []
  for (const [index, armoredKey] of senderKeys.entries()) {
    try {
      senders.push(await openpgp.readKey({ armoredKey, config: CONFIG }))
    } catch (error) {
      throw new ServerFault('pgp.sender_key_unreadable', `Number ${index + 1} of the senders' public PGP keys cannot be read.`, 'Give it armored (gpg --armor --export) in the declaration of the feed.', { number: index + 1 }, { cause: error })
    }
  }
  return { own, senders }
}

const notEncrypted = (): ServerFault => new ServerFault('pgp.not_encrypted', 'The file is not encrypted with PGP.', ENCRYPT_AGAIN)
const notSigned = (): ServerFault => new ServerFault('pgp.not_signed', 'The file is not signed with PGP.', SIGN_AGAIN)
const wrongKey = (ids: string[]): ServerFault =>
  new ServerFault('pgp.wrong_key', `The file is encrypted with another key than the feed's (${ids.join(', ')}).`, ENCRYPT_AGAIN, { keys: ids.join(', ') })
const badSignature = (error: AggregateError): ServerFault => {
  const unknown = error.errors.map((each) => /signing key with key ID ([0-9a-f]+)/i.exec((each as Error).message)?.[1])
  return unknown.every((id) => id !== undefined)
    ? new ServerFault('pgp.bad_signature', `The file is signed with a key that is none of the sender's (${unknown.join(', ')}).`, SIGN_AGAIN, { keys: unknown.join(', ') }, { cause: error })
    : new ServerFault('pgp.bad_signature', "The file's signature does not hold: it was changed after it was signed, or the key was not valid.", SIGN_AGAIN, {}, { cause: error })
}
const corrupt = (error: unknown): ServerFault => new ServerFault('pgp.corrupt', 'The file cannot be decrypted: it was changed or cut short after it was encrypted.', SEND_AGAIN, {}, { cause: error })
