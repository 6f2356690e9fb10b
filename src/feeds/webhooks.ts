import type { Transaction } from '../entities/database.ts'
import type { WebhookState } from '../entities/states.ts'
import { explainAlert, stepLine, type AlertedFeed, type StoredAlert } from './alertText.ts'

export const WEBHOOK_TYPES = ['feed.alert_raised', 'feed.alert_cleared'] as const
export type WebhookType = (typeof WEBHOOK_TYPES)[number]

/** What is told to a webhook, as Standard Webhooks have it: ids, counts and names of files; nobody's name or address. */
export type WebhookBody = {
  type: WebhookType
  /** When it happened, not when it is told: ISO 8601, UTC. */
  timestamp: string
  data: {
    /** Its key. */
    organization: string
    /** Its name. */
    feed: string
    alert: { id: string; kind: string; subject: string; raisedAt: string; clearedAt: string | null }
    file: string | null
    import: string | null
    message: string
    whatToDo: string[]
    detail: Record<string, string | number>
  }
}

/**
 * Seconds from one attempt to the next, as Standard Webhooks recommend: about three days, so that a weekend without anybody there is
 * survived. After the last one the event has failed.
 */
export const PAUSES: readonly number[] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]

/** Enters what the feed's webhook is to be told of these alerts, each once; nothing where the feed has none. What is told of an alert is told in its order. */
export async function oweWebhooks(tx: Transaction, feed: AlertedFeed, type: WebhookType, alerts: readonly StoredAlert[]): Promise<void> {
  if (feed.definition.alerts.webhook === null || alerts.length === 0) return
  await tx.run(
    `insert into webhook_events (organization_id, feed_id, alert_id, type, payload, state, next_at)
     select $1, $2, e.alert, $3, e.payload || jsonb_build_object('id', 'msg_' || gen_random_uuid()), 'waiting',
       coalesce((select max(next_at) from webhook_events before where before.alert_id = e.alert and before.state in ('waiting', 'sending')), now())
     from unnest($4::bigint[], $5::jsonb[]) as e (alert, payload) order by e.alert
     on conflict (alert_id, type) do nothing`,
    [tx.organizationId, feed.id, type, alerts.map(({ id }) => id), alerts.map((alert) => JSON.stringify({ body: bodyOf(type, alert) }))],
  )
}

function bodyOf(type: WebhookType, alert: StoredAlert): WebhookBody {
  const over = type === 'feed.alert_cleared'
  const { message, allClear, whatToDo } = explainAlert(alert)
  const file = alert.detail['file']
  return {
    type,
    timestamp: (over ? alert.clearedAt! : alert.raisedAt).toISOString(),
    data: {
      organization: alert.organization,
      feed: alert.feed,
      alert: { id: alert.id, kind: alert.kind, subject: alert.subject, raisedAt: alert.raisedAt.toISOString(), clearedAt: alert.clearedAt?.toISOString() ?? null },
      file: file === undefined ? null : String(file),
      import: alert.importId,
      message: over ? allClear : message,
      whatToDo: over ? [] : whatToDo.map(stepLine),
      detail: alert.detail,
    },
  }
}

/** An event that a worker has under a lease. */
export type ClaimedWebhook = {
  id: string
  feedId: string
  /** Of this attempt, counted from 1; with the id it is the proof of the lease. */
  attempt: number
  /** The same each time that it is told. */
  messageId: string
  body: WebhookBody
  /** As the feed's declaration has it now; null where it has none any more. */
  webhook: { url: string; secret: string } | null
  /** The database's clock. */
  at: Date
}

/** Takes due events of the organization under a lease, those of dead workers included. What comes after another of its alert waits for that one. */
export function claimWebhooks(tx: Transaction, { limit, leaseSeconds }: { limit: number; leaseSeconds: number }): Promise<ClaimedWebhook[]> {
  return tx.query<ClaimedWebhook>(
    `with due as (
       select e.id from webhook_events e
       where e.organization_id = $1 and e.state in ('waiting', 'sending') and e.next_at <= now()
         and not exists (select from webhook_events b where b.alert_id = e.alert_id and b.id < e.id and b.state in ('waiting', 'sending'))
       order by e.next_at, e.id limit $2 for update of e skip locked
     ), claimed as (
       update webhook_events e set state = 'sending', attempts = e.attempts + 1, next_at = now() + make_interval(secs => $3)
       from due where e.id = due.id and e.state in ('waiting', 'sending') and e.next_at <= now()
       returning e.*
     )
     select e.id, e.feed_id as "feedId", e.attempts as attempt, e.payload ->> 'id' as "messageId", e.payload -> 'body' as body, f.definition #> '{alerts,webhook}' as webhook, now() as at
     from claimed e join feeds f on f.id = e.feed_id order by e.id`,
    [tx.organizationId, limit, leaseSeconds],
  )
}

/** How an attempt ended. failed: it is not tried again. */
export type WebhookVerdict = { state: Exclude<WebhookState, 'sending'>; response: string }

/** What an answer makes of an event: delivered, due again after a growing pause, or given up. Pure. */
export function judgeWebhook({ taken, response }: { taken: boolean; response: string }, attempt: number): WebhookVerdict {
  if (taken) return { state: 'delivered', response }
  return { state: attempt > PAUSES.length ? 'failed' : 'waiting', response }
}

/**
 * Records how an attempt ended, where the event is still this worker's. What is told of the alert afterwards is due with it, or at once
 * where it is through.
 * @returns whether it was recorded
 */
export async function settleWebhook(tx: Transaction, { id, attempt }: ClaimedWebhook, { state, response }: WebhookVerdict): Promise<boolean> {
  const settled = await tx.query(
    `with settled as (
       update webhook_events e set state = $3, response = $4, next_at = now() + make_interval(secs => $5), delivered_at = case when $6 then now() end
       where e.id = $1 and e.attempts = $2 and e.state = 'sending' returning e.id, e.alert_id, e.next_at
     ), later as (
       update webhook_events l set next_at = s.next_at from settled s where l.alert_id = s.alert_id and l.id > s.id and l.state = 'waiting'
     )
     select id from settled`,
    [id, attempt, state, response, state === 'waiting' ? PAUSES[attempt - 1]! : 0, state === 'delivered'],
  )
  return settled.length > 0
}

/**
 * Gives an event back that was not told as its worker was ended: it is due at once, as what is told of its alert afterwards, and the attempt is
 * not counted. Harmless where it is not this worker's any more.
 */
export async function giveWebhookBack(tx: Transaction, { id, attempt }: ClaimedWebhook): Promise<void> {
  await tx.run(
    `with given as (
       update webhook_events e set state = 'waiting', attempts = e.attempts - 1, next_at = now() where e.id = $1 and e.attempts = $2 and e.state = 'sending' returning e.id, e.alert_id, e.next_at
     )
     update webhook_events l set next_at = g.next_at from given g where l.alert_id = g.alert_id and l.id > g.id and l.state = 'waiting'`,
    [id, attempt],
  )
}

export type WebhookFailure = {
  id: string
  type: WebhookType
  kind: string
  /** waiting: it is tried again at `nextAt`. failed: it was given up. */
  state: Exclude<WebhookState, 'delivered'>
  attempts: number
  response: string | null
  createdAt: Date
  nextAt: Date | null
}

/** Failures that are listed. */
const LISTED = 20

/** What a feed's webhook did not take: given up, or still being tried after a failure. The latest first. */
export function listWebhookFailures(tx: Transaction, feedId: string): Promise<WebhookFailure[]> {
  return tx.query<WebhookFailure>(
    `select e.id, e.type, a.kind, e.state, e.attempts, e.response, e.created_at as "createdAt", case when e.state <> 'failed' then e.next_at end as "nextAt"
     from webhook_events e join feed_alerts a on a.id = e.alert_id
     where e.feed_id = $1 and e.state <> 'delivered' and e.attempts > 0 and e.response is not null order by e.id desc limit ${LISTED}`,
    [feedId],
  )
}
