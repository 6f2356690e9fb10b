/**
 * What names one attempt at a mail, wherever it comes back: `<delivery>.<epoch>.<attempt>.<mark>`. It stands before the @ of the
 * Message-ID and of the envelope sender (VERP), and in the ENVID. The mark is chance that only the mail and the ledger know: without
 * it nobody who can write into the mailbox of bounces could tell of one. Digits and small hexadecimal letters, as some servers change case.
 */
export type Reference = { delivery: string; epoch: number; attempt: number; mark: string }

const MARK_BYTES = 9
/** RFC 5321 4.5.3.1.1: octets before the @. */
const LONGEST_LOCAL = 64
const REFERENCE = /(?<![0-9A-Za-z.])(\d{1,18})\.(\d{1,9})\.(\d{1,9})\.([0-9a-f]{18})(?![0-9A-Za-z])/gi
/** Of what stands in one text; a message with more of them is about something else. */
const MOST = 20

/** The reference of a new attempt. */
export function newReference(attempt: { id: string; epoch: number; attempt: number }, random: (count: number) => Uint8Array): string {
  return `${attempt.id}.${attempt.epoch}.${attempt.attempt}.${Buffer.from(random(MARK_BYTES)).toString('hex')}`
}

/**
 * Where a mail comes back to: bounces@acme.example -> bounces+REFERENCE@acme.example. The address as it is where it would become too long;
 * then the returned Message-ID still tells. Null where the organization has none: then it comes back to the sender.
 */
export function envelopeSender(bounceAddress: string | null, reference: string): string | null {
  if (bounceAddress === null) return null
  const at = bounceAddress.lastIndexOf('@')
  const local = `${bounceAddress.slice(0, at)}+${reference}`
  return local.length > LONGEST_LOCAL ? bounceAddress : `${local}${bounceAddress.slice(at)}`
}

/** All references that stand in a text, in order, each once. */
export function referencesIn(text: string): Reference[] {
  const found = new Map<string, Reference>()
  for (const [whole, delivery, epoch, attempt, mark] of text.matchAll(REFERENCE)) {
    if (found.size >= MOST) break
    found.set(whole.toLowerCase(), { delivery: delivery!, epoch: Number(epoch), attempt: Number(attempt), mark: mark!.toLowerCase() })
  }
  return [...found.values()]
}

/** The reference as it stands before the @ of a Message-ID. */
export const written = ({ delivery, epoch, attempt, mark }: Reference): string => `${delivery}.${epoch}.${attempt}.${mark}`
