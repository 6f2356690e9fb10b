/**
 * The one door to nodemailer: it composes messages and speaks SMTP through a small pool of connections of our own, so that it is
 * always known how far a message got. nodemailer itself gives the same error for a loss before and after the end of a message.
 */
import addressparser from 'nodemailer/lib/addressparser'
import MailComposer from 'nodemailer/lib/mail-composer'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { redact } from './redact.ts'
import { loginRefusal, wordsOf, type SmtpError } from './replies.ts'
import { DEADLINES, transact, type Deadlines, type Gate, type Outcome } from './transact.ts'

export type { Deadlines, Gate, Outcome } from './transact.ts'

export type MailerOptions = {
  /** smtp://user:password@host:port or smtps://…; ?requireTLS=true and ?ignoreTLS=true as in nodemailer; ?connections=3 for fewer than usual. */
  url: string
  /** Connections at most; default: what the URL says, else 8. While one waits for the database's leave, others are at work. */
  connections?: number
  deadlines?: Partial<Deadlines>
}

export type Message = {
  from: string
  to: { name: string; address: string }
  subject: string
  text: string
  html: string
  messageId: string
  date: Date
  /** Where it comes back to when it cannot be delivered; without it to the sender. */
  returnPath?: string | null
  /** What names it where it comes back (RFC 3461 ENVID). */
  reference?: string
}
/** A message ready for the wire. */
export type Envelope = { from: string; to: string; reference?: string }

export class AddressRefused extends Error {
  readonly code = 'address_refused'
  constructor(what: string) {
    super(`${what} is not one e-mail address`)
    this.name = 'AddressRefused'
  }
}

const ONE_ADDRESS = /^[^\s<>@,;:"()[\]\\\u0000-\u001f]+@[^\s<>@,;:"()[\]\\\u0000-\u001f]+$/
/** Connections are renewed after so many messages: some servers end them by themselves then. */
const MESSAGES_A_CONNECTION = 100
const IDLE_MS = 20_000
const GOODBYE_MS = 2_000

/** The address of a From such as `Acme <no-reply@acme.example>`. Throws AddressRefused where it does not hold exactly one. */
export function addressOf(from: string): string {
  const [only, ...more] = addressparser(from)
  if (!only?.address || more.length > 0 || !ONE_ADDRESS.test(only.address)) throw new AddressRefused('the sender')
  return only.address
}

/** The message as bytes, and whom it goes to. Throws AddressRefused. */
export async function buildMessage(message: Message): Promise<{ envelope: Envelope; bytes: Buffer }> {
  if (!ONE_ADDRESS.test(message.to.address)) throw new AddressRefused('the recipient')
  const composer = new MailComposer({
    from: message.from,
    to: message.to,
    subject: message.subject,
    text: message.text,
    html: message.html,
    messageId: message.messageId,
    date: message.date,
    headers: { 'Auto-Submitted': 'auto-generated' },
    // Else nodemailer counts letters to choose between this and base64, for a tenth of the time that a mail takes.
    textEncoding: 'quoted-printable',
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const { reference, returnPath } = message
  const envelope = { from: addressOf(returnPath ?? message.from), to: message.to.address, ...(reference !== undefined && { reference }) }
  return { envelope, bytes: await composer.compile().build() }
}

/**
 * The envelope as nodemailer takes it. Servers that know DSN (RFC 3461) are asked to tell of failures only, by our reference, and to send back
 * the headers without the body: that one shows a secret.
 */
function onTheWire({ from, to, reference }: Envelope) {
  return { from, to, ...(reference !== undefined && { dsn: { ret: 'HDRS', envid: reference, notify: 'FAILURE', orcpt: `rfc822;${to}` } }) }
}

type Line = {
  connection: SMTPConnection
  messages: number
  /** Called when the connection breaks while something is under way on it. */
  onLoss: ((reason: string) => void) | null
  idle: NodeJS.Timeout | null
  /** The connection has ended; it says so once. */
  ended: boolean
  dead: boolean
}
type Opened = { line: Line } | { failure: Extract<Outcome, { is: 'loginRefused' | 'unreachable' }> }
type Waiting = (opened: Opened) => void

const CONNECTIONS = { usual: 8, most: 50 }

/** How many connections the URL asks for, where it does. */
function connectionsOf(address: URL): number {
  const asked = Number(address.searchParams.get('connections') ?? CONNECTIONS.usual)
  return Number.isInteger(asked) && asked >= 1 ? Math.min(asked, CONNECTIONS.most) : CONNECTIONS.usual
}

export class Mailer {
  readonly connections: number
  readonly #options: ConstructorParameters<typeof SMTPConnection>[0]
  readonly #login: { user: string; pass: string } | null
  readonly #deadlines: Deadlines
  readonly #lines = new Set<Line>()
  #idle: Line[] = []
  #waiting: Waiting[] = []
  #opening = 0

  constructor({ url, connections, deadlines }: MailerOptions) {
    const address = new URL(url)
    const secure = address.protocol === 'smtps:'
    this.connections = connections ?? connectionsOf(address)
    this.#deadlines = { ...DEADLINES, ...deadlines }
    this.#login = address.username === '' ? null : { user: decodeURIComponent(address.username), pass: decodeURIComponent(address.password) }
    this.#options = {
      host: address.hostname.replace(/^\[|\]$/g, ''),
      port: address.port === '' ? (secure ? 465 : 587) : Number(address.port),
      secure,
      requireTLS: address.searchParams.get('requireTLS') === 'true',
      ignoreTLS: address.searchParams.get('ignoreTLS') === 'true',
      connectionTimeout: this.#deadlines.connect,
      greetingTimeout: this.#deadlines.greeting,
      dnsTimeout: this.#deadlines.connect,
      // Ours come first; this one is for a connection that nobody watches.
      socketTimeout: this.#deadlines.answer + 60_000,
      // A message that must not end is cut off at once: nothing that is still buffered may follow.
      socketCloseTimeout: 0,
    }
  }

  /** Opens a connection and logs in, to learn whether that works. Null: it does; else what came of it. */
  async probe(): Promise<Extract<Outcome, { is: 'loginRefused' | 'unreachable' }> | null> {
    const opened = await this.#take()
    if ('failure' in opened) return opened.failure
    this.#giveBack(opened.line)
    return null
  }

  /**
   * Sends one message; resolves with how it ended, and never throws. The message leaves only after `gate` has said so,
   * and after a definite refusal no byte of it follows.
   */
  async send(envelope: Envelope, bytes: Buffer, gate: Gate): Promise<Outcome> {
    for (;;) {
      const opened = await this.#take()
      if ('failure' in opened) return opened.failure
      const { line } = opened
      const used = line.messages > 0
      const { outcome, asked } = await this.#transact(line, envelope, bytes, gate)
      // A server may end an idle connection at any time: that says nothing about the message.
      if (outcome.is === 'lostBeforeEnd' && used && !asked) continue
      return outcome
    }
  }

  /** Ends all connections, the idle ones politely. What is still being sent is cut off. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#lines].map(async (line) => {
        if (this.#idle.includes(line)) await this.#quit(line)
        else this.#drop(line)
      }),
    )
  }

  async #transact(line: Line, envelope: Envelope, bytes: Buffer, gate: Gate): Promise<{ outcome: Outcome; asked: boolean }> {
    line.messages++
    const { outcome, asked, left } = await transact({
      send: (body, done) => line.connection.send({ ...onTheWire(envelope), size: bytes.length }, body, done),
      // Synchronously: whatever is still buffered must not follow.
      cut: () => this.#drop(line),
      onLoss: (tell) => {
        line.onLoss = tell
      },
    }, bytes, gate, this.#deadlines)
    line.onLoss = null
    if (left === 'clean') this.#giveBack(line)
    else if (left === 'open') this.#reset(line)
    return { outcome, asked }
  }

  /** An idle connection, or a new one, or the next one that becomes free. */
  #take(): Promise<Opened> {
    const line = this.#idle.pop()
    if (line) {
      if (line.idle) clearTimeout(line.idle)
      return Promise.resolve({ line })
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#grow()
    })
  }

  /** Opens as many connections as are waited for; the first one alone, so that a refused login is refused once. */
  #grow(): void {
    while (this.#opening < this.#waiting.length && this.#lines.size + this.#opening < this.connections && (this.#opening === 0 || this.#lines.size > 0)) {
      this.#opening++
      void this.#open().then((opened) => {
        this.#opening--
        if ('line' in opened) {
          this.#giveBack(opened.line)
          this.#grow()
          return
        }
        // All who would only try the same again are told; with other connections at work, one of those will serve them.
        const told = this.#lines.size > 0 ? [] : this.#waiting.splice(0)
        for (const tell of told) tell(opened)
      })
    }
  }

  #open(): Promise<Opened> {
    return new Promise((resolve) => {
      const connection = new SMTPConnection(this.#options)
      const line: Line = { connection, messages: 0, onLoss: null, idle: null, ended: false, dead: false }
      let deadline: NodeJS.Timeout | undefined
      const settle = (opened: Opened) => {
        clearTimeout(deadline)
        line.onLoss = null
        if ('failure' in opened) this.#drop(line)
        else this.#lines.add(line)
        resolve(opened)
      }
      const fail = (reason: string) => settle({ failure: { is: 'unreachable', reason } })
      deadline = setTimeout(fail, this.#deadlines.connect + this.#deadlines.greeting, 'no login within the deadline')
      line.onLoss = fail
      const lost = (reason: string) => {
        const onLoss = line.onLoss
        line.onLoss = null
        this.#drop(line)
        onLoss?.(reason)
      }
      connection.on('error', (error: SmtpError) => lost(wordsOf(error)))
      // nodemailer may close the connection first and tell the server's words right after; those say more.
      connection.once('end', () => {
        line.ended = true
        setImmediate(lost, 'connection closed')
      })
      connection.connect((error) => {
        if (error) return fail(wordsOf(error))
        if (this.#login === null) return settle({ line })
        const { user, pass } = this.#login
        connection.login({ user, pass }, (error) => {
          if (!error) return settle({ line })
          const refusal = loginRefusal(error)
          // A server may repeat what it does not like.
          settle({ failure: refusal === null ? { is: 'unreachable', reason: redact(wordsOf(error), pass) } : { is: 'loginRefused', response: redact(refusal, pass) } })
        })
      })
    })
  }

  #reset(line: Line): void {
    const deadline = setTimeout(() => this.#drop(line), this.#deadlines.envelope)
    deadline.unref()
    line.onLoss = () => clearTimeout(deadline)
    line.connection.reset((error) => {
      clearTimeout(deadline)
      line.onLoss = null
      if (error) this.#drop(line)
      else this.#giveBack(line)
    })
  }

  #giveBack(line: Line): void {
    if (line.dead) return this.#grow()
    if (line.messages >= MESSAGES_A_CONNECTION) return void this.#quit(line)
    const next = this.#waiting.shift()
    if (next) return next({ line })
    line.idle = setTimeout(() => void this.#quit(line), IDLE_MS)
    line.idle.unref()
    this.#idle.push(line)
  }

  /** Says goodbye and forgets the connection; resolves when it has ended. A server that does not answer is cut off. */
  #quit(line: Line): Promise<void> {
    if (line.ended) {
      this.#forget(line)
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const patience = setTimeout(() => line.connection.close(), GOODBYE_MS)
      line.connection.once('end', () => {
        clearTimeout(patience)
        resolve()
      })
      line.connection.quit()
      this.#forget(line)
    })
  }

  /** Destroys a connection at once, so that nothing buffered leaves any more. */
  #drop(line: Line): void {
    line.connection.close()
    this.#forget(line)
  }

  #forget(line: Line): void {
    if (line.dead) return
    line.dead = true
    if (line.idle) clearTimeout(line.idle)
    this.#lines.delete(line)
    this.#idle = this.#idle.filter((other) => other !== line)
    this.#grow()
  }
}
