import type { Database, Transaction } from '../entities/database.ts'
import type { DeliveryState } from '../entities/states.ts'
import { organizationOfDelivery } from '../organizations/organizations.ts'
import { emailKey } from '../rules/emails.ts'
import { written } from './bounceAddress.ts'
import type { Action, RecipientReport } from './deliveryStatus.ts'
import { readBounce, type Clue, type Reading } from './readBounce.ts'
import { redactLikely } from './redact.ts'

/** The delivery that a message is about, and what it says of it. */
export type Told = {
  organizationId: string
  delivery: string
  matchedBy: Clue['by']
  /** What the delivery is now. */
  state: DeliveryState
  /** Whom it went to. */
  recipient: string | null
  /** Whom the server names, for people to compare: forwarding may have changed it. */
  finalRecipient: string | null
  action: Action
  /** RFC 3463, such as 5.1.1. */
  status: string | null
  /** The server's words, on one line and without what looks like a secret. */
  words: string
}

/**
 * What was done with a message.
 * bounced: the delivery is marked. alreadyBounced: it was before; nothing changed. noted: the server tells that the mail is late or has gone on;
 * nothing changed. outdated: it is about an earlier try of what was sent again since. underWay: the mail is being sent at this moment; ask again.
 * notApplied: the delivery is in a state that nothing can come back from, such as cancelled. unknown: no delivery of ours fits.
 */
export type Taken =
  | ({ is: 'bounced' | 'alreadyBounced' | 'noted' | 'outdated' | 'underWay' | 'notApplied'; subject: string } & Told)
  | { is: 'unknown'; subject: string }
  | Extract<Reading, { is: 'notABounce' | 'unreadable' }>

/**
 * Takes a message that came back (spec D8): finds the delivery by the reference that only the mail and the ledger hold, and marks it as bounced
 * where the server says that it failed for good. It is committed when this resolves; taking the same message again changes nothing.
 * An operator may have a bounced mail sent again (release.ts, retry). Its invitation stays launched: the link went nowhere, and
 * sending again makes it void.
 */
export async function takeBounce(database: Database, message: Uint8Array): Promise<Taken> {
  const reading = await readBounce(message)
  if (reading.is !== 'report') return reading
  for (const clue of reading.clues) {
    const organizationId = await organizationOfDelivery(database, clue.delivery)
    if (organizationId === null) continue
    const taken = await database.tenant(organizationId, (tx) => takeReport(tx, clue, reading.recipients))
    if (taken !== null) return { ...taken, subject: reading.subject }
  }
  return { is: 'unknown', subject: reading.subject }
}

type Found = { state: DeliveryState; recipient: string | null; current: boolean; attempted: boolean; superseded: boolean }

/** Null where the clue's mark does not fit: then somebody made it up, or it is another installation's. */
async function takeReport(tx: Transaction, clue: Clue, recipients: readonly RecipientReport[]) {
  const [found] = await tx.query<Found>(
    `select d.state, d.recipient, coalesce(lower(split_part(d.message_id, '@', 1)) = $2, false) as current,
       exists (select from delivery_attempts t where t.delivery_id = d.id and lower(split_part(t.message_id, '@', 1)) = $2) as attempted,
       exists (select from deliveries later where later.user_id = d.user_id and later.purpose = d.purpose and later.epoch > d.epoch) as superseded
     from deliveries d where d.id = $1 for no key update of d`,
    [clue.delivery, `<${written(clue)}`],
  )
  if (!found || !(found.current || found.attempted)) return null
  const { state, recipient } = found
  const { action, status, finalRecipient, words } = about(recipients, recipient)
  const told: Told = { organizationId: tx.organizationId, delivery: clue.delivery, matchedBy: clue.by, state, recipient, finalRecipient, action, status, words: redactLikely(words).slice(0, LONGEST) }
  if (action !== 'failed') return { is: 'noted' as const, ...told }
  if (!found.current || found.superseded) return { is: 'outdated' as const, ...told }
  if (state === 'bounced') return { is: 'alreadyBounced' as const, ...told }
  if (state === 'sending') return { is: 'underWay' as const, ...told }
  if (state !== 'sent' && state !== 'unknown') return { is: 'notApplied' as const, ...told }
  await mark(tx, clue, `bounced: ${[status, told.words].filter(Boolean).join(' ')}`)
  return { is: 'bounced' as const, ...told, state: 'bounced' as const }
}

/** Characters of a server's words that are kept. */
const LONGEST = 500

async function mark(tx: Transaction, clue: Clue, reason: string): Promise<void> {
  // Without its token: an answer of the mail server that comes later than the bounce changes nothing.
  await tx.run(`update deliveries set state = 'bounced', reason = $2, lease_token = null, lease_until = null, updated_at = now() where id = $1 and state in ('sent', 'unknown')`, [clue.delivery, reason])
  await tx.run(
    `update delivery_attempts set response = concat_ws('; ', response, $3::text) where delivery_id = $1 and lower(split_part(message_id, '@', 1)) = $2`,
    [clue.delivery, `<${written(clue)}`, reason],
  )
}

/**
 * What the report says of our recipient, among several where the address was a list or was forwarded: what it says of that address; else
 * of the others, and then it has failed only where it failed for each of them.
 */
function about(recipients: readonly RecipientReport[], recipient: string | null): RecipientReport {
  const named = recipients.filter(({ finalRecipient, originalRecipient }) => [finalRecipient, originalRecipient].some((address) => isSame(address, recipient)))
  const looked = named.length > 0 ? named : recipients
  const failed = looked.find(({ action }) => action === 'failed')
  const other = looked.find(({ action }) => action !== 'failed')
  return (named.length > 0 ? (failed ?? other) : (other ?? failed))!
}

/** Whether an address of a report is this one; it may be in the xtext of RFC 3461, where +2B is a plus. */
function isSame(address: string | null, recipient: string | null): boolean {
  if (address === null || recipient === null) return false
  const plain = address.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return [address, plain].some((form) => emailKey(form) === emailKey(recipient))
}
