import { randomUUID } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import type { Settings } from '../organizations/declaration.ts'
import { OWN_VERSIONS, type OwnVersion } from '../organizations/mailTemplates.ts'
import { readSupportContact, type SupportContact } from '../organizations/supportContact.ts'
import type { Claimed } from './compose.ts'
import { allot, openPaces, takeInstants, type OpenedPaces } from './pace.ts'
import { ADDRESS, HOLDING, JOINS, OBJECTION } from './recheck.ts'

export type ClaimOptions = {
  /** Deliveries at most. */
  limit: number
  /** The worker's name, for the record of the attempt. */
  worker: string
  /** How long the worker may be silent before the deliveries are given to others. */
  leaseSeconds: number
  /** Purposes that the worker has composers for; others are left alone. */
  purposes: readonly DeliveryPurpose[]
}

export type Claim = {
  /** To be sent now, in order. */
  claimed: Claimed[]
  /** Found due and not to be sent: cancelled or held, with the reason. */
  refused: { id: string; state: 'cancelled' | 'held'; reason: string }[]
  /** Milliseconds until it is worth asking again for what a rate has left over; null where no rate stops anything. */
  nextInMs: number | null
}

/** Somebody sits before a screen and waits for these: no rate holds them up, and they do not wait behind others. */
const PROMPT: readonly DeliveryPurpose[] = ['passwordReset', 'passwordChanged', 'welcome']
/** Somebody is to see to it tonight: neither do these. Found by another index, they are looked for on their own. */
const ABOUT_FEEDS: readonly DeliveryPurpose[] = ['feedAlert', 'feedAllClear']

/** SQL: the purposes, as `in` takes them. */
const listed = (purposes: readonly DeliveryPurpose[]): string => `(${purposes.map((purpose) => `'${purpose}'`).join(', ')})`

type OrganizationRow = { id: string; key: string; name: string; timeZone: string; language: string; settings: Settings; support: SupportContact | null; ownTemplates: OwnVersion[]; now: Date; paused: boolean }
type ClaimRow = {
  id: string
  state: 'queued' | 'cancelled' | 'held'
  reason: string | null
  attempt: number
  attempts: number
  purpose: DeliveryPurpose
  epoch: number
  importId: string | null
  feedAlertId: string | null
  releaseId: string | null
  userId: string | null
  to: string
  firstName: string | null
  lastName: string | null
  username: string | null
  passwordChosenAt: Date | null
  deliverTo: string | null
  sendAt: Date
}

/**
 * Takes due deliveries of the transaction's organization under a lease: scheduled -> queued, with a record of the attempt.
 * What is due is the database's clock to say (faults.md 37). Everything of spec D7 is checked on the way: what must not be
 * sent is cancelled, or held where it can be mended. While SMTP is paused (fault 25) nothing is claimed.
 * The rates of the organization and of its releases hold over all workers (spec D6): each mail has its instant, which `waitMs` tells.
 */
export async function claimDue(tx: Transaction, options: ClaimOptions): Promise<Claim> {
  const organization = await readOrganization(tx)
  if (organization.paused) return { claimed: [], refused: [], nextInMs: null }
  const paces = await openPaces(tx, { ratePerMinute: organization.settings.mail.ratePerMinute, limit: options.limit, purposes: options.purposes })
  const readAt = performance.now()
  if (paces.streams.length === 0) return { claimed: [], refused: [], nextInMs: null }

  const plan = allot({ ...paces, limit: options.limit })
  const token = randomUUID()
  const rows = await claimRows(tx, token, paces, plan.instants.map(({ length }) => length), options)
  const fit = rows.filter(({ state }) => state === 'queued')
  const instants = await takeFor(tx, paces, fit)
  const { now, paused: _, ...facts } = organization
  const elapsed = performance.now() - readAt
  const claimed = fit.map((row): Claimed => ({
    id: row.id,
    token,
    attempt: row.attempt,
    attempts: row.attempts,
    purpose: row.purpose,
    epoch: row.epoch,
    importId: row.importId,
    feedAlertId: row.feedAlertId,
    userId: row.userId,
    to: row.to,
    deliverTo: row.deliverTo,
    person: row.userId === null ? null : { firstName: row.firstName!, lastName: row.lastName!, username: row.username!, passwordChosenAt: row.passwordChosenAt },
    organization: facts,
    claimedAt: now,
    waitMs: Math.max((instants.get(row.id) ?? paces.now) - paces.now - elapsed, 0),
  }))
  const refused = rows.flatMap(({ id, state, reason }) => (state === 'queued' ? [] : [{ id, state, reason: reason! }]))
  return {
    claimed: claimed.toSorted((a, b) => a.waitMs - b.waitMs),
    refused,
    // What was refused took no instant: others may have theirs at once.
    nextInMs: plan.nextInMs !== null && refused.length > 0 ? 0 : plan.nextInMs,
  }
}

/** Gives the mails that leave their instants, and moves the queues on; by id, in milliseconds since 1970. */
async function takeFor(tx: Transaction, paces: OpenedPaces, rows: readonly ClaimRow[]): Promise<Map<string, number>> {
  const paced = rows.filter(({ purpose }) => !PROMPT.includes(purpose) && !ABOUT_FEEDS.includes(purpose))
  const byStream = paces.streams.map(({ release }) => paced.filter(({ releaseId }) => releaseId === release))
  // Each gets one, however far ahead: fewer mails than were planned may take their turns in another order.
  const taken = allot({ ...paces, streams: paces.streams.map((stream, index) => ({ ...stream, due: byStream[index]!.length })), limit: paced.length, aheadMs: Number.POSITIVE_INFINITY })
  await takeInstants(tx, paces, taken)
  return new Map(byStream.flatMap((mails, index) => mails.map(({ id }, place) => [id, taken.instants[index]![place]!] as const)))
}

async function readOrganization(tx: Transaction): Promise<OrganizationRow> {
  const [row] = await tx.query<Omit<OrganizationRow, 'support'>>(
    `select id, key, name, time_zone as "timeZone", language, settings, now() as now,
       exists (select from service_pauses where service = 'smtp' and retry_at > now()) as paused, ${OWN_VERSIONS} as "ownTemplates"
     from organizations o where id = $1`,
    [tx.organizationId],
  )
  if (!row) throw new Error(`organization ${tx.organizationId} is gone`)
  return { ...row, support: await readSupportContact(tx, row.settings) }
}

/**
 * @param counts how many of each stream
 */
async function claimRows(tx: Transaction, token: string, { streams }: OpenedPaces, counts: readonly number[], { worker, leaseSeconds, purposes, limit }: ClaimOptions): Promise<ClaimRow[]> {
  const alone = streams.findIndex(({ release }) => release === null)
  const releases = streams.flatMap(({ release }, index) => (release !== null && counts[index]! > 0 ? [{ release, count: counts[index]! }] : []))
  if (alone < 0 && releases.length === 0) return []
  const { rows } = await tx.client.query<ClaimRow>({
    name: 'claim-deliveries',
    text: `
      with prompt as (
        select d.id from deliveries d
        where d.organization_id = $7 and d.state = 'scheduled' and d.purpose in ${listed(PROMPT)} and d.send_at <= now() and d.purpose = any ($5::text[])
        order by d.send_at, d.id limit $8 for update skip locked
      ), about_feeds as (
        select d.id from deliveries d
        where d.organization_id = $7 and d.state = 'scheduled' and d.release_id is null and d.feed_alert_id is not null and d.purpose in ${listed(ABOUT_FEEDS)} and d.send_at <= now()
          and d.purpose = any ($5::text[])
        order by d.send_at, d.id limit $8 for update skip locked
      ), alone as (
        select d.id from deliveries d
        where d.organization_id = $7 and d.state = 'scheduled' and d.release_id is null and d.send_at <= now() and d.purpose = any ($5::text[])
        order by d.send_at, d.id limit $1 for update skip locked
      ), released as (
        select x.id from unnest($9::bigint[], $10::int[]) as r (id, count) cross join lateral (
          select d.id from deliveries d
          where d.release_id = r.id and d.state = 'scheduled' and d.send_at <= now() and d.purpose = any ($5::text[])
          order by d.send_at, d.id limit r.count for update skip locked) x
      ), due as (
        select id from prompt union select id from about_feeds union select id from alone union select id from released
      ), facts as (
        select d.id, ${OBJECTION} as objection, ${ADDRESS} as address, c.first_name, c.last_name, u.username, u.password_chosen_at,
          coalesce((select max(number) from delivery_attempts t where t.delivery_id = d.id), 0) + 1 as attempt
        from due join deliveries d using (id) ${JOINS}
      ), moved as (
        update deliveries d set
          state = case when f.objection is null then 'queued' when f.objection = any ($6::text[]) then 'held' else 'cancelled' end,
          reason = f.objection,
          recipient = f.address,
          attempts = d.attempts + (f.objection is null)::int,
          lease_token = case when f.objection is null then $2::uuid end,
          lease_until = case when f.objection is null then now() + make_interval(secs => $3) end,
          updated_at = now()
        from facts f where d.id = f.id
        returning d.id, d.state, d.reason, f.attempt, d.attempts, d.purpose, d.epoch, d.import_id as "importId", d.feed_alert_id as "feedAlertId", d.release_id as "releaseId",
          d.first_wave as "firstWave", d.user_id as "userId", d.recipient as "to", f.first_name as "firstName", f.last_name as "lastName", f.username,
          f.password_chosen_at as "passwordChosenAt", d.deliver_to as "deliverTo", d.send_at as "sendAt", d.organization_id
      ), attempted as (
        insert into delivery_attempts (delivery_id, number, organization_id, stage, worker)
        select id, attempt, organization_id, 'claimed', $4 from moved where state = 'queued'
      ), told as (
        -- Who has registered meanwhile is told so in place of the invitation (spec D3), at the same pace.
        insert into deliveries (organization_id, user_id, import_id, release_id, first_wave, purpose, epoch, state, send_at)
        select m.organization_id, m."userId", m."importId", m."releaseId", m."firstWave", 'alreadyRegistered', m.epoch, 'scheduled', now()
        from moved m where m.state = 'cancelled' and m.reason = 'already_registered' and m.purpose = 'invitation'
        on conflict (user_id, purpose, epoch) do nothing
      ), revoked as (
        -- What was in a worker's hands as its release was cancelled; the rest was revoked then.
        update invitations i set state = 'revoked' from moved m
        where m.state = 'cancelled' and m.reason = 'release_cancelled' and m.purpose = 'invitation' and i.user_id = m."userId" and i.epoch = m.epoch and i.state = 'created'
      )
      select * from moved order by "sendAt", id`,
    values: [
      alone < 0 ? 0 : counts[alone], token, leaseSeconds, worker, [...purposes], HOLDING, tx.organizationId, limit,
      releases.map(({ release }) => release), releases.map(({ count }) => count),
    ],
  })
  return rows
}
