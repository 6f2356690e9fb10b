import { randomUUID } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import type { Settings } from '../organizations/declaration.ts'
import type { Claimed } from './compose.ts'
import { ADDRESS, JOINS, MENDABLE, OBJECTION } from './recheck.ts'

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
  /** Milliseconds until the organization's rate lets more be claimed; null where no rate stops anything. */
  nextInMs: number | null
}

/** A paced worker claims this far ahead, and waits for each mail's own instant. */
const PACE_AHEAD_MS = 2_000

type OrganizationRow = { id: string; key: string; name: string; timeZone: string; language: string; settings: Settings; now: Date; paused: boolean }
type ClaimRow = {
  id: string
  state: 'queued' | 'cancelled' | 'held'
  reason: string | null
  attempt: number
  attempts: number
  purpose: DeliveryPurpose
  epoch: number
  importId: string | null
  userId: string | null
  to: string
  firstName: string | null
  lastName: string | null
  username: string | null
  sendAt: Date
}

/**
 * Takes due deliveries of the transaction's organization under a lease: scheduled -> queued, with a record of the attempt.
 * What is due is the database's clock to say (faults.md 37). Everything of spec D7 is checked on the way: what must not be
 * sent is cancelled, or held where it can be mended. While SMTP is paused (fault 25) nothing is claimed.
 */
export async function claimDue(tx: Transaction, options: ClaimOptions): Promise<Claim> {
  const organization = await readOrganization(tx)
  const none = { claimed: [], refused: [], nextInMs: null }
  if (organization.paused) return none

  const pace = await openPace(tx, organization.settings.mail.ratePerMinute, organization.now)
  const limit = pace === null ? options.limit : Math.min(options.limit, pace.slots)
  if (limit === 0) return { ...none, nextInMs: pace!.nextInMs(0) }

  const token = randomUUID()
  const rows = await claimRows(tx, token, limit, options)
  const refused: Claim['refused'] = []
  const claimed: Claimed[] = []
  const { now, paused: _, ...facts } = organization
  for (const row of rows) {
    if (row.state !== 'queued') {
      refused.push({ id: row.id, state: row.state, reason: row.reason! })
      continue
    }
    claimed.push({
      id: row.id,
      token,
      attempt: row.attempt,
      attempts: row.attempts,
      purpose: row.purpose,
      epoch: row.epoch,
      importId: row.importId,
      userId: row.userId,
      to: row.to,
      person: row.userId === null ? null : { firstName: row.firstName!, lastName: row.lastName!, username: row.username! },
      organization: facts,
      claimedAt: now,
      waitMs: pace === null ? 0 : pace.waitMs(claimed.length),
    })
  }
  if (pace === null) return { claimed, refused, nextInMs: null }
  await pace.take(claimed.length)
  return { claimed, refused, nextInMs: claimed.length === pace.slots ? pace.nextInMs(claimed.length) : null }
}

async function readOrganization(tx: Transaction): Promise<OrganizationRow> {
  const [row] = await tx.query<OrganizationRow>(
    `select id, key, name, time_zone as "timeZone", language, settings, now() as now,
       exists (select from service_pauses where service = 'smtp' and retry_at > now()) as paused
     from organizations where id = $1`,
    [tx.organizationId],
  )
  if (!row) throw new Error(`organization ${tx.organizationId} is gone`)
  return row
}

/**
 * The organization's rate over all workers, as one virtual queue of instants (GCRA without a burst): each mail gets the
 * next instant, and who claims locks the queue's end. A worker that dies takes its instants along; nothing is ever faster.
 * Null: no limit.
 */
async function openPace(tx: Transaction, ratePerMinute: number | null, now: Date) {
  if (ratePerMinute === null) return null
  const gap = 60_000 / ratePerMinute
  await tx.run('insert into mail_paces (organization_id, next_at) values ($1, now()) on conflict do nothing', [tx.organizationId])
  const [row] = await tx.query<{ nextAt: Date; now: Date }>(
    'select next_at as "nextAt", clock_timestamp() as now from mail_paces where organization_id = $1 for update',
    [tx.organizationId],
  )
  // Whoever waited for the lock is later than its transaction's now().
  const first = Math.max(row!.nextAt.getTime(), row!.now.getTime())
  const ahead = row!.now.getTime() + PACE_AHEAD_MS - first
  const at = (index: number) => first + index * gap
  return {
    slots: ahead < 0 ? 0 : Math.floor(ahead / gap) + 1,
    waitMs: (index: number) => at(index) - now.getTime(),
    nextInMs: (taken: number) => Math.max(at(taken) - PACE_AHEAD_MS - row!.now.getTime(), 0),
    take: (taken: number) =>
      taken === 0 ? 0 : tx.run('update mail_paces set next_at = $2 where organization_id = $1', [tx.organizationId, new Date(Math.ceil(at(taken)))]),
  }
}

async function claimRows(tx: Transaction, token: string, limit: number, { worker, leaseSeconds, purposes }: ClaimOptions): Promise<ClaimRow[]> {
  const { rows } = await tx.client.query<ClaimRow>({
    name: 'claim-deliveries',
    text: `
      with due as (
        select d.id from deliveries d
        where d.state = 'scheduled' and d.send_at <= now() and d.purpose = any ($5::text[])
        order by d.send_at, d.id limit $1 for update skip locked
      ), facts as (
        select d.id, ${OBJECTION} as objection, ${ADDRESS} as address, c.first_name, c.last_name, u.username,
          coalesce((select max(number) from delivery_attempts t where t.delivery_id = d.id), 0) + 1 as attempt
        from due join deliveries d using (id) ${JOINS}
      ), moved as (
        update deliveries d set
          state = case when f.objection is null then 'queued' when f.objection = '${MENDABLE}' then 'held' else 'cancelled' end,
          reason = f.objection,
          recipient = f.address,
          attempts = d.attempts + (f.objection is null)::int,
          lease_token = case when f.objection is null then $2::uuid end,
          lease_until = case when f.objection is null then now() + make_interval(secs => $3) end,
          updated_at = now()
        from facts f where d.id = f.id
        returning d.id, d.state, d.reason, f.attempt, d.attempts, d.purpose, d.epoch, d.import_id as "importId", d.user_id as "userId",
          d.recipient as "to", f.first_name as "firstName", f.last_name as "lastName", f.username, d.send_at as "sendAt", d.organization_id
      ), attempted as (
        insert into delivery_attempts (delivery_id, number, organization_id, stage, worker)
        select id, attempt, organization_id, 'claimed', $4 from moved where state = 'queued'
      )
      select * from moved order by "sendAt", id`,
    values: [limit, token, leaseSeconds, worker, [...purposes]],
  })
  return rows
}
