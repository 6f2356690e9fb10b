import type { Transaction } from '../entities/database.ts'
import type { FeedAlertKind } from '../entities/states.ts'
import { readOrganization, type Organization } from '../organizations/organizations.ts'
import type { AlertDetail, AlertedFeed, StoredAlert } from './alertText.ts'
import { oweWebhooks } from './webhooks.ts'

const COLUMNS = `a.id, a.feed_id as "feedId", f.name as feed, o.key as organization, coalesce(f.definition ->> 'timeZone', o.time_zone) as "timeZone", a.kind, a.subject, a.detail, a.import_id as "importId", a.raised_at as "raisedAt", a.cleared_at as "clearedAt"`

/**
 * Raises an alert about a feed (spec A7): in one transaction the alert itself, a mail to each of the feed's people, and an event for its
 * webhook. While it is open it is there once, and told once, whatever runs twice or side by side: a unique index decides.
 * @param about.subject the file or slot that it is about; empty, the default, where it is about the feed as a whole
 * @param about.detail what belongs to it: AlertDetail in alertText.ts says what each kind understands. Ids, counts and names of files, nothing personal
 * @param about.importId the import to be decided or looked at
 * @returns whether it is new
 */
export async function raiseAlert(
  tx: Transaction,
  feed: AlertedFeed,
  kind: FeedAlertKind,
  about: { subject?: string; detail?: AlertDetail; importId?: string | null } = {},
): Promise<boolean> {
  const [made] = await tx.query<{ id: string }>(
    `insert into feed_alerts (organization_id, feed_id, kind, subject, state, detail, import_id) values ($1, $2, $3, $4, 'raised', $5, $6)
     on conflict (feed_id, kind, subject) where state = 'raised' do nothing returning id`,
    [tx.organizationId, feed.id, kind, about.subject ?? '', JSON.stringify(about.detail ?? {}), about.importId ?? null],
  )
  if (!made) return false
  const recipients = recipientsOf(feed, await readOrganization(tx))
  await tx.run(
    `insert into deliveries (organization_id, feed_alert_id, purpose, state, send_at, recipient)
     select $1, $2, 'feedAlert', 'scheduled', now(), address from unnest($3::text[]) as address
     on conflict (feed_alert_id, purpose, recipient) where feed_alert_id is not null do nothing`,
    [tx.organizationId, made.id, recipients],
  )
  await oweWebhooks(tx, feed, 'feed.alert_raised', await alertsById(tx, [made.id]))
  return true
}

/**
 * Ends what was raised of a kind, and tells those who were told that it is over. Who was not told yet is told nothing at all: the mail of an
 * alert that has ended would send somebody to look for what is right again, and an all-clear of nothing would puzzle. The webhook is told
 * of both, in their order.
 * @param subject of this file or slot only; default: all of the kind
 * @returns whether any was open
 */
export async function clearAlert(tx: Transaction, feed: AlertedFeed, kind: FeedAlertKind, subject?: string): Promise<boolean> {
  const cleared = await tx.query<{ id: string }>(
    `update feed_alerts set state = 'cleared', cleared_at = now() where feed_id = $1 and kind = $2 and state = 'raised' and ($3::text is null or subject = $3) returning id`,
    [feed.id, kind, subject ?? null],
  )
  if (cleared.length === 0) return false
  const ids = cleared.map(({ id }) => id)
  // A mail in a worker's hands is waited for: afterwards it has left, or never will.
  await tx.run(
    `with open as (
       select id from deliveries where feed_alert_id = any ($1::bigint[]) and purpose = 'feedAlert' and state in ('held', 'scheduled', 'queued') order by id for no key update
     )
     update deliveries d set state = 'cancelled', reason = 'alert_over', lease_token = null, lease_until = null, updated_at = now()
     from open where d.id = open.id and d.state in ('held', 'scheduled', 'queued')`,
    [ids],
  )
  await tx.run(
    `insert into deliveries (organization_id, feed_alert_id, purpose, state, send_at, recipient)
     select $2, feed_alert_id, 'feedAllClear', 'scheduled', now(), recipient from deliveries
     where feed_alert_id = any ($1::bigint[]) and purpose = 'feedAlert' and state in ('sending', 'sent', 'unknown') order by id
     on conflict (feed_alert_id, purpose, recipient) where feed_alert_id is not null do nothing`,
    [ids, tx.organizationId],
  )
  await oweWebhooks(tx, feed, 'feed.alert_cleared', await alertsById(tx, ids))
  return true
}

/** The open alerts of a feed, or of all feeds of the organization; the oldest first. */
export function openAlerts(tx: Transaction, feedId?: string): Promise<StoredAlert[]> {
  return tx.query<StoredAlert>(
    `select ${COLUMNS} from feed_alerts a join feeds f on f.id = a.feed_id join organizations o on o.id = a.organization_id
     where a.state = 'raised' and ($1::bigint is null or a.feed_id = $1) order by a.raised_at, a.id`,
    [feedId ?? null],
  )
}

/** An alert, open or over; null where there is none with this id. */
export async function readAlert(tx: Transaction, alertId: string): Promise<StoredAlert | null> {
  return (await alertsById(tx, [alertId]))[0] ?? null
}

function alertsById(tx: Transaction, ids: readonly string[]): Promise<StoredAlert[]> {
  return tx.query<StoredAlert>(
    `select ${COLUMNS} from feed_alerts a join feeds f on f.id = a.feed_id join organizations o on o.id = a.organization_id where a.id = any ($1::bigint[]) order by a.id`,
    [[...ids]],
  )
}

/** The feed's people, else the organization's operators; each address once. */
function recipientsOf({ definition }: AlertedFeed, { settings }: Organization): string[] {
  const named = definition.alerts.mails.length > 0 ? definition.alerts.mails : settings.operators
  return [...new Map(named.map((address) => [address.toLowerCase(), address])).values()]
}
