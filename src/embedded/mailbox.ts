/** The built-in mailbox: where mail goes when no SMTP server is configured. Each message is a file; several processes share the folder. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { giveToHomeOwner, openHome, type Home } from './home.ts'

/** A message as `muster mailbox list --json` prints it (interface.md). */
export type MailboxLine = { id: string; from: string; to: string; subject: string; messageId: string; receivedAt: string }
export type MailboxMessage = MailboxLine & { text: string; html: string; headers: { key: string; value: string }[] }

export type Mailbox = {
  /** What to send to: smtp://127.0.0.1:port */
  url: string
  close(): Promise<void>
}

const LARGEST = 50 * 1024 * 1024
/** Of the system: to whom sends it is said to come again later. */
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT'])
const FILE = /^(\d{1,12})\.eml$/

/**
 * Starts an SMTP server on the loopback that takes every mail and stores it in MUSTER_HOME/mailbox, readable by this user only.
 * @param home path of MUSTER_HOME
 */
export async function startMailbox(home: string, { port = 0 }: { port?: number } = {}): Promise<Mailbox> {
  const opened = openHome(home)
  await mkdir(opened.mailbox, { recursive: true, mode: 0o700 })
  giveToHomeOwner(opened, opened.mailbox)
  let last = 0
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    size: LARGEST,
    // The client is this machine: its name is not looked up.
    disableReverseLookup: true,
    closeTimeout: 1_000,
    onData(stream, session, callback) {
      buffer(stream)
        .then(async (bytes) => {
          if (stream.sizeExceeded) throw Object.assign(new Error('message too large'), { responseCode: 552 })
          const to = session.envelope.rcptTo.map(({ address }) => address).join(', ')
          const from = session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address
          last = Math.max(last, await store(opened, Buffer.concat([Buffer.from(`Return-Path: <${from}>\r\nDelivered-To: ${to}\r\n`), bytes]), last))
          callback(null, 'stored')
        })
        .catch((error: NodeJS.ErrnoException) => callback(NO_ROOM.has(error.code ?? '') ? Object.assign(new Error('no room left on the disk of the mailbox'), { responseCode: 452 }) : error))
    },
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      // A client that breaks off ends its own connection only.
      server.on('error', () => undefined)
      resolve()
    })
  })
  return {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** The messages, oldest first. None where there is no mailbox yet. */
export async function listMailbox(home: string): Promise<MailboxLine[]> {
  const { mailbox } = openHome(home)
  const lines: MailboxLine[] = []
  for (const id of await numbers(mailbox)) {
    const read = await readMessage(mailbox, id)
    if (read) lines.push(lineOf(read))
  }
  return lines
}

/** A page of messages, newest first: those before the one of id `before` where it is given. Only these are read. `total`: all there are. */
export async function listNewestMail(home: string, page: { limit: number; before: string | null }): Promise<{ lines: MailboxLine[]; more: boolean; total: number }> {
  const { mailbox } = openHome(home)
  const all = (await numbers(mailbox)).toReversed()
  const { before } = page
  const wanted = before === null ? all : all.filter((id) => id < Number(before))
  const read = await Promise.all(wanted.slice(0, page.limit).map((id) => readMessage(mailbox, id)))
  return { lines: read.flatMap((message) => (message ? [lineOf(message)] : [])), more: wanted.length > page.limit, total: all.length }
}

/** One message with its text, HTML and headers, or null where there is none with this id. */
export async function showMessage(home: string, id: string): Promise<MailboxMessage | null> {
  if (!/^[1-9]\d{0,11}$/.test(id)) return null
  const read = await readMessage(openHome(home).mailbox, Number(id))
  if (!read) return null
  const { email } = read
  return { ...lineOf(read), text: email.text ?? '', html: email.html ?? '', headers: email.headers.map(({ originalKey, value }) => ({ key: originalKey, value })) }
}

/** Writes a message under the next free number; a link never replaces a file, so that two processes cannot take the same. */
async function store(home: Home, bytes: Buffer, last: number): Promise<number> {
  const unfinished = join(home.mailbox, `.${randomBytes(9).toString('hex')}.part`)
  const file = await open(unfinished, 'wx', 0o600)
  try {
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    giveToHomeOwner(home, unfinished)
    for (let number = last === 0 ? ((await numbers(home.mailbox)).at(-1) ?? 0) + 1 : last + 1; ; number++) {
      try {
        await link(unfinished, join(home.mailbox, `${number}.eml`))
        return number
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }
  } finally {
    await unlink(unfinished)
  }
}

async function numbers(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b)
}

type Read = { id: number; email: Email; receivedAt: Date }

async function readMessage(folder: string, id: number): Promise<Read | null> {
  const path = join(folder, `${id}.eml`)
  try {
    const [bytes, { mtime }] = await Promise.all([readFile(path), stat(path)])
    return { id, email: await PostalMime.parse(bytes), receivedAt: mtime }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function lineOf({ id, email, receivedAt }: Read): MailboxLine {
  const show = (address: { name?: string; address?: string | undefined } | undefined) =>
    address === undefined ? '' : address.name ? `${address.name} <${address.address ?? ''}>` : (address.address ?? '')
  return {
    id: String(id),
    from: show(email.from),
    // The envelope's recipient: who really got it.
    to: email.deliveredTo ?? email.to?.map((to) => to.address ?? '').join(', ') ?? '',
    subject: email.subject ?? '',
    messageId: email.messageId ?? '',
    receivedAt: receivedAt.toISOString(),
  }
}
