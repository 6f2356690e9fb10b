/** What mail servers say of a mail that came back, as values. Pure; reading the message around it is readBounce.ts's. */

/** RFC 3464 2.3.3. */
export type Action = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded'

/** What became of the mail for one recipient. */
export type RecipientReport = {
  action: Action
  /** RFC 3463, such as 5.1.1; null where nobody said. */
  status: string | null
  /** Whom it was for when it failed; forwarding may have changed it. */
  finalRecipient: string | null
  /** Whom we sent it to, where the server kept that (RFC 3461 ORCPT). */
  originalRecipient: string | null
  /** The server's own words, as they came; empty where there are none. */
  words: string
}

const ACTIONS: readonly string[] = ['failed', 'delayed', 'delivered', 'relayed', 'expanded'] satisfies Action[]
const STATUS = /(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)/
/** A reply code at the beginning of a server's words. */
const REPLY = /(?:^|[\s:;>])([245])\d\d[\s-]/
/** Blocks looked at: more recipients than any mail of ours has. */
const MOST_BLOCKS = 200

type Fields = Map<string, string>

/**
 * Reads a message/delivery-status or message/global-delivery-status (RFC 3464, RFC 6533): blocks of fields parted by blank lines, the
 * first about the message and each further one about a recipient.
 * @returns one report for each recipient, none where nothing can be made of it, and the ENVID that the mail was sent with
 */
export function readDeliveryStatus(text: string): { recipients: RecipientReport[]; envelopeId: string | null } {
  const blocks = text.split(/(?:\r?\n[ \t]*){2,}/, MOST_BLOCKS).map(readFields)
  const about = blocks.find((fields) => fields.has('original-envelope-id'))
  return {
    // Some put everything into one block.
    recipients: blocks.flatMap((fields) => (fields.has('final-recipient') || fields.has('original-recipient') || fields.has('action') ? (reportOf(fields) ?? []) : [])),
    envelopeId: about?.get('original-envelope-id') ?? null,
  }
}

function readFields(block: string): Fields {
  const fields: Fields = new Map()
  for (const line of block.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase()
    if (name !== '' && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim())
  }
  return fields
}

function reportOf(fields: Fields): RecipientReport | null {
  const words = typed(fields.get('diagnostic-code')) ?? typed(fields.get('localized-diagnostic')) ?? ''
  const status = STATUS.exec(fields.get('status') ?? '')?.[1] ?? statusIn(words)
  const said = /^[a-z]+/i.exec(fields.get('action') ?? '')?.[0].toLowerCase()
  const action = said !== undefined && ACTIONS.includes(said) ? (said as Action) : actionOf(status)
  if (action === null) return null
  return { action, status, finalRecipient: addressIn(fields.get('final-recipient')), originalRecipient: addressIn(fields.get('original-recipient')), words }
}

/** The value behind its type, as in `smtp; 550 no such user`. */
function typed(value: string | undefined): string | null {
  const rest = value?.replace(/^[\w-]{1,40}\s*;\s*/, '').trim()
  return rest === undefined || rest === '' ? null : rest
}

function addressIn(value: string | undefined): string | null {
  const address = typed(value)?.replace(/^<([^<>]*)>$/, '$1').replace(/\\x\{([0-9A-F]{1,6})\}/gi, (all, hex: string) => characterOf(hex) ?? all)
  return address === undefined || address === '' ? null : address.slice(0, 320)
}

/** RFC 6533 writes characters beyond ASCII as \x{1EC5} where the way is not fit for UTF-8. */
function characterOf(hex: string): string | null {
  const point = parseInt(hex, 16)
  return point > 0x10ffff ? null : String.fromCodePoint(point)
}

const actionOf = (status: string | null): Action | null => (status === null ? null : ({ 2: 'delivered', 4: 'delayed', 5: 'failed' } as const)[Number(status[0]) as 2 | 4 | 5])

/** The status that a server's words hold, else the least that its reply code says; null where they hold neither. */
export function statusIn(words: string): string | null {
  const exact = STATUS.exec(words)?.[1]
  if (exact !== undefined) return exact
  const reply = REPLY.exec(words)?.[1]
  return reply === undefined ? null : `${reply}.0.0`
}

/** What a message without machine-readable parts says, and what stands behind it: the returned message. */
export type TextReport = { recipients: RecipientReport[]; returned: string }

const failed = (address: string | null, words: string): RecipientReport => ({ action: 'failed', status: statusIn(words) ?? '5.0.0', finalRecipient: address, originalRecipient: null, words })

/**
 * Reads a bounce of qmail (QSBMF, cr.yp.to/proto/qsbmf.txt): "Hi. This is the …", then a paragraph for each recipient that begins with its
 * address and a colon, then a paragraph that begins with a hyphen, then the message. It tells of failures only. Null for anything else.
 */
export function readQsbmf(text: string): TextReport | null {
  if (!/^\s*Hi\. This is the /.test(text)) return null
  const end = /\n[ \t]*\r?\n-/.exec(text)
  const said = end === null ? text : text.slice(0, end.index)
  const recipients = said.split(/\n[ \t]*\r?\n/, MOST_BLOCKS).flatMap((paragraph) => {
    const found = /^\s*<([^<>\s]{1,320})>:[ \t]*\r?\n([^]*)$/.exec(paragraph)
    return found ? [failed(found[1]!, found[2]!)] : []
  })
  return recipients.length === 0 ? null : { recipients, returned: end === null ? '' : text.slice(end.index) }
}

const EXIM_FAILED = /could not be delivered to (?:one or more of its recipients|all of its recipients)/
const EXIM_DELAYED = /has not (?:yet )?been delivered to (?:one or more|all) of its recipients/
const EXIM_END = /^------ This is a copy of (?:the|your) message/m

/**
 * Reads a bounce of Exim without its DSN: the recipients are in X-Failed-Recipients, the words under each address of the text, and behind a
 * line of hyphens the message. Null for anything else.
 */
export function readEximText(text: string, failedRecipients: string | null): TextReport | null {
  const end = EXIM_END.exec(text)
  const said = (end === null ? text : text.slice(0, end.index)).replace(/\s+/g, (space) => (space.includes('\n') ? '\n' : ' '))
  const flat = said.replace(/\s+/g, ' ')
  const returned = end === null ? '' : text.slice(end.index)
  if (EXIM_DELAYED.test(flat) && failedRecipients === null) return { recipients: [{ action: 'delayed', status: '4.0.0', finalRecipient: null, originalRecipient: null, words: '' }], returned }
  if (failedRecipients === null || !EXIM_FAILED.test(flat)) return null
  const addresses = new Map(failedRecipients.split(',').map((address) => address.trim()).filter((address) => address !== '').slice(0, MOST_BLOCKS).map((address) => [address.toLowerCase(), address]))
  const lines = said.split('\n').map((line) => line.trim())
  // Each line is looked at once: whoever writes such a message chooses the number of both.
  const headings = lines.flatMap((line, at) => (addresses.has(line.toLowerCase()) ? [{ address: line.toLowerCase(), at }] : []))
  const words = new Map<string, string>()
  headings.forEach(({ address, at }, index) => {
    if (!words.has(address)) words.set(address, lines.slice(at + 1, headings[index + 1]?.at).join(' '))
  })
  const recipients = [...addresses].map(([key, address]) => failed(address, words.get(key) ?? ''))
  return recipients.length === 0 ? null : { recipients, returned }
}
