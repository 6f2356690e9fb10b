import type { Database, Transaction } from '../entities/database.ts'
import { postWebhook, type Posted, type PostOptions } from '../feeds/postWebhook.ts'
import { openSecret } from '../feeds/secrets.ts'
import { signWebhook } from '../feeds/signWebhook.ts'
import { claimWebhooks, giveWebhookBack, judgeWebhook, settleWebhook, type ClaimedWebhook, type WebhookVerdict } from '../feeds/webhooks.ts'
import type { SealKeys } from '../organizations/seal.ts'
import type { Failpoint } from './failpoint.ts'
import { done, type Outcome } from './outcome.ts'

export type WebhookParts = {
  database: Database
  /** MUSTER_SECRET, and the one before it: what secrets of feeds are sealed with. */
  keys: SealKeys
  /** Told of what a person has to look at. */
  log: { error(detail: object, message: string): void }
  failpoint: Failpoint
  /** What an attempt may take; default 15,000. */
  deadlineMs?: number
  /** Default: the system's. */
  resolve?: PostOptions['resolve']
}

/** Events told at once. Attempts end within the deadline, so that their leases hold until then. */
const BATCH = 20
const LEASE_SECONDS = 60
const DEADLINE_MS = 15_000
/** Then others have their turn; what is left is found by the sweep. */
const TURN_MS = 30_000

/** An event with the key to sign it, or the reason why it cannot be. */
type Ready = { event: ClaimedWebhook; secret: string | null; fault: string }

/**
 * Tells the webhooks of an organization's feeds what they are due (spec E5). An event is told once, by one of any number of workers, unless
 * one dies between telling and recording it: then it is told again, with the same webhook-id.
 */
export async function sendWebhooks(parts: WebhookParts, { organizationId }: { organizationId: string }, signal: AbortSignal): Promise<Outcome> {
  const { database } = parts
  const ends = performance.now() + TURN_MS
  while (!signal.aborted && performance.now() < ends) {
    const ready = await database.tenant(organizationId, async (tx) => {
      const events = await claimWebhooks(tx, { limit: BATCH, leaseSeconds: LEASE_SECONDS })
      const found: Ready[] = []
      for (const event of events) found.push(await makeReady(tx, parts.keys, event))
      return found
    })
    if (ready.length === 0) break
    // One that cannot be recorded leaves its lease to run out, and the others to be recorded all the same.
    const told = await Promise.allSettled(ready.map((one) => tell(parts, organizationId, one, signal)))
    const failed = told.find(({ status }) => status === 'rejected')
    if (failed) throw (failed as PromiseRejectedResult).reason
  }
  return done
}

async function makeReady(tx: Transaction, keys: WebhookParts['keys'], event: ClaimedWebhook): Promise<Ready> {
  if (event.webhook === null) return { event, secret: null, fault: '' }
  try {
    return { event, secret: await openSecret(tx, keys, event.webhook.secret), fault: '' }
  } catch (error) {
    // Of the database nothing more is to be had in this transaction; a secret that is missing or cannot be opened may be given meanwhile.
    if (!(error instanceof Error && 'code' in error && /^(feed|seal)\./.test(String(error.code)))) throw error
    return { event, secret: null, fault: error.message }
  }
}

async function tell(parts: WebhookParts, organizationId: string, ready: Ready, signal: AbortSignal): Promise<void> {
  const { event } = ready
  const verdict = await verdictOf(parts, ready, signal)
  await parts.failpoint('webhook.answered')
  if (verdict === null) return parts.database.tenant(organizationId, (tx) => giveWebhookBack(tx, event))
  const recorded = await parts.database.tenant(organizationId, (tx) => settleWebhook(tx, event, verdict))
  if (recorded && verdict.state === 'failed') {
    parts.log.error({ alert: 'webhook_failed', organizationId, feed: event.feedId, event: event.id, response: verdict.response }, 'a webhook did not take an event, and is not told it again: see muster feed show')
  }
}

/** Null: this worker was told to end before there was an answer. */
async function verdictOf(parts: WebhookParts, { event, secret, fault }: Ready, signal: AbortSignal): Promise<WebhookVerdict | null> {
  if (event.webhook === null) return { state: 'failed', response: 'the feed has no webhook any more' }
  const posted: Posted = secret === null ? { taken: false, response: fault } : await post(parts, event, event.webhook.url, secret, signal)
  return posted.stopped ? null : judgeWebhook(posted, event.attempt)
}

function post({ deadlineMs = DEADLINE_MS, resolve }: WebhookParts, { messageId, body: { type, timestamp, data }, at }: ClaimedWebhook, url: string, secret: string, signal: AbortSignal): Promise<Posted> {
  // The database keeps no order of names: what is read first stands first.
  const body = JSON.stringify({ type, timestamp, data })
  const headers = { 'content-type': 'application/json', 'user-agent': 'Muster', ...signWebhook(secret, messageId, at, body) }
  return postWebhook(url, { headers, body, deadlineMs, signal, ...(resolve && { resolve }) })
}
