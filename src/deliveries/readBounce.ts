/** The door to postal-mime in this room: reads a message that came back to us, and says what it tells of which of our mails. */
import PostalMime, { type Email } from 'postal-mime'
import { referencesIn, type Reference } from './bounceAddress.ts'
import { readDeliveryStatus, readEximText, readQsbmf, type RecipientReport } from './deliveryStatus.ts'

/** One of our mails that a message names, and where it does so. */
export type Clue = Reference & { by: 'envelope-sender' | 'envelope-id' | 'message-id' }

export type Reading =
  /** A delivery status notification, whatever it says. */
  | { is: 'report'; subject: string; clues: Clue[]; recipients: RecipientReport[] }
  /** An answer of a person or a machine, a receipt, a complaint, or anything else. */
  | { is: 'notABounce'; subject: string; why: 'auto_reply' | 'receipt' | 'complaint' | 'other' }
  | { is: 'unreadable'; why: 'empty' | 'too_large' | 'malformed' }

/** Bytes of a message; what is longer is not looked at. */
export const LARGEST_BOUNCE = 10 * 1024 * 1024
/**
 * Bytes of a message that are read. What counts stands in front of the returned message, and that one's headers in front of its body;
 * the rest could only take time.
 */
const READ = 1024 * 1024
const SHAPE = { maxNestingDepth: 16, maxHeadersSize: 256 * 1024, maxRfc822NestingDepth: 0 }
/** Lines of a message that are read, and those of them that may begin or end a part: these take time by the square of their number. */
const MOST = { lines: 40_000, dashes: 5_000 }
/** Characters of a part that are looked at. */
const LOOKED_AT = 64 * 1024

const STATUS_PARTS = new Set(['message/delivery-status', 'message/global-delivery-status'])
const RETURNED_PARTS = new Set(['message/rfc822', 'text/rfc822-headers', 'message/global', 'message/global-headers', 'message/partial'])
/** Where servers keep whom a message was for: the envelope sender of our mail, with its reference. */
const ADDRESSED = new Set(['to', 'delivered-to', 'x-original-to', 'envelope-to', 'x-envelope-to', 'x-delivered-to', 'apparently-to', 'x-rcpt-to'])
const ANSWERED = new Set(['in-reply-to', 'references', 'x-failed-message-id'])

/**
 * Reads a message as it lies in a mailbox: RFC 3464 with its extensions for SMTP (RFC 3461) and for addresses beyond ASCII (RFC 6533),
 * and the texts of qmail and Exim. Never throws, whatever the bytes are; takes a second at most.
 */
export async function readBounce(bytes: Uint8Array): Promise<Reading> {
  if (bytes.length > LARGEST_BOUNCE) return { is: 'unreadable', why: 'too_large' }
  if (bytes.every((byte) => byte <= 0x20)) return { is: 'unreadable', why: 'empty' }
  const start = startOf(bytes)
  if (count(start, '\n--') > MOST.dashes) return { is: 'unreadable', why: 'malformed' }
  let email: Email
  try {
    email = await PostalMime.parse(start, { forceRfc822Attachments: true, ...SHAPE })
  } catch {
    // Only its limits make it throw: too deep, or headers without end.
    return { is: 'unreadable', why: 'malformed' }
  }
  const parts = email.attachments.map(({ mimeType, content }) => ({ type: mimeType, text: textOf(content) }))
  const subject = (email.subject ?? '').slice(0, 300)
  const report = readParts(parts) ?? readText(email)
  if (report === null || report.recipients.length === 0) return { is: 'notABounce', subject, why: whyNot(email, parts) }
  const { recipients, envelopeId, returned } = report
  return { is: 'report', subject, recipients, clues: cluesOf(email, envelopeId, returned) }
}

/** So much of a message as is read. */
function startOf(bytes: Uint8Array): Buffer {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, READ))
  let end = -1
  for (let line = 0; line < MOST.lines; line++) {
    end = start.indexOf('\n', end + 1)
    if (end < 0) return start
  }
  return start.subarray(0, end + 1)
}

function count(bytes: Buffer, text: string): number {
  let found = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) found++
  return found
}

type Part = { type: string; text: string }
type Report = { recipients: RecipientReport[]; envelopeId: string | null; returned: string }

function readParts(parts: readonly Part[]): Report | null {
  const status = parts.find(({ type }) => STATUS_PARTS.has(type))
  if (status === undefined) return null
  const returned = parts.filter(({ type }) => RETURNED_PARTS.has(type)).map(({ text }) => headersOf(text))
  return { ...readDeliveryStatus(status.text), returned: returned.join('\n') }
}

function readText(email: Email): Report | null {
  const text = (email.text ?? '').slice(0, LOOKED_AT).replace(/\r\n/g, '\n')
  const read = readQsbmf(text) ?? readEximText(text, header(email, 'x-failed-recipients'))
  return read === null ? null : { recipients: read.recipients, envelopeId: null, returned: read.returned }
}

/** The mails of ours that it may be about, the surest first. */
function cluesOf(email: Email, envelopeId: string | null, returned: string): Clue[] {
  const addressed = email.headers.filter(({ key }) => ADDRESSED.has(key))
  const answered = email.headers.filter(({ key }) => ANSWERED.has(key))
  const lines = (headers: Email['headers']): string => headers.map(({ value }) => value).join('\n').slice(0, LOOKED_AT)
  const found = new Map<string, Clue>()
  for (const [by, text] of [['envelope-sender', lines(addressed)], ['envelope-id', envelopeId ?? ''], ['message-id', returned], ['message-id', lines(answered)]] as const) {
    for (const reference of referencesIn(text)) {
      const key = JSON.stringify(reference)
      if (!found.has(key)) found.set(key, { ...reference, by })
    }
  }
  return [...found.values()]
}

function whyNot(email: Email, parts: readonly Part[]): 'auto_reply' | 'receipt' | 'complaint' | 'other' {
  if (parts.some(({ type }) => type === 'message/disposition-notification')) return 'receipt'
  if (parts.some(({ type }) => type === 'message/feedback-report')) return 'complaint'
  // RFC 3834, and what was used before it.
  const automatic = /^auto-(?:replied|generated|notified)/i.test(header(email, 'auto-submitted') ?? '') || header(email, 'x-autoreply') !== null || header(email, 'x-auto-response-suppress') !== null
  return automatic || /\b(?:auto_reply|auto-reply)\b/i.test(header(email, 'precedence') ?? '') ? 'auto_reply' : 'other'
}

const header = (email: Email, name: string): string | null => email.headers.find(({ key }) => key === name)?.value ?? null

/** A message's headers: what is in front of its first blank line. */
function headersOf(message: string): string {
  const end = message.search(/\r?\n\r?\n/)
  return end < 0 ? message : message.slice(0, end)
}

/** A part as text: UTF-8, which is what it may hold beyond ASCII (RFC 6533), else what servers wrote before that. */
function textOf(content: ArrayBuffer | Uint8Array | string): string {
  if (typeof content === 'string') return content.slice(0, LOOKED_AT)
  const bytes = new Uint8Array(content).subarray(0, LOOKED_AT)
  const text = new TextDecoder().decode(bytes)
  return text.includes('\ufffd') ? new TextDecoder('windows-1252').decode(bytes) : text
}
