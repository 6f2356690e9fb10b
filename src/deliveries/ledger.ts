import type { Transaction } from '../entities/database.ts'
import { coalesce } from './coalesce.ts'
import type { Claimed, Composers } from './compose.ts'
import { ADDRESS, JOINS, OBJECTION } from './recheck.ts'
import type { Session } from './session.ts'

/** A mail whose end is about to leave. */
export type Finishing = { claimed: Claimed; messageId: string; sealed: object | null }

/**
 * All writes here lock deliveries in the order of their ids, so that they never wait for each other in a circle. Against
 * statements of others that may happen all the same: then the database ends one of the two, and it is simply run again.
 */
async function againAfterDeadlock<T>(work: () => Promise<T>): Promise<T> {
  for (let left = DEADLOCK_TRIES; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left === 0 || !(error instanceof Error && 'code' in error && error.code === DEADLOCK)) throw error
    }
  }
}
const DEADLOCK = '40P01'
const DEADLOCK_TRIES = 5

/**
 * What came of an attempt.
 * giveBack: nothing was tried that counts; it is due as before. retry: refused for now, or lost before the end of the message;
 * due again after `delaySeconds`. unknown: the end of the message left and no definite answer came.
 */
export type Verdict =
  | { is: 'sent'; response: string }
  | { is: 'failed'; reason: string; response: string | null }
  | { is: 'retry'; reason: string; response: string | null; delaySeconds: number }
  | { is: 'unknown'; reason: string }
  | { is: 'giveBack'; reason: string }
export type Settled = { claimed: Claimed; verdict: Verdict }

export type Ledger = {
  /**
   * The fence: the last thing before a message may leave (spec D7). queued -> sending where the lease still holds, the mail is
   * still due, and nothing objects to it, the address included; and in the same statement whatever belongs to its secret is
   * stored. A crash before it: provably not sent. After it: nobody may repeat the mail without a person.
   * @returns whether the message may leave
   */
  finish(mail: Finishing): Promise<boolean>
  /**
   * Records what came of an attempt, where the delivery is still this worker's. A definite acceptance is taken late, too: it is
   * proof, and settles what a sweep has called unknown meanwhile.
   * @returns whether it was recorded
   */
  record(settled: Settled): Promise<boolean>
}

/**
 * The ledger as one worker writes it: all that arrives while a statement is under way goes into the next one. Fences are on disk before
 * a message may leave. Verdicts need not wait for it: one that is lost with the server leaves its delivery `sending`, and that becomes `unknown`.
 */
export function openLedger(sessions: { fences: Session; verdicts: Session }, composers: Composers, leaseSeconds: number): Ledger {
  const fences = fenceStatements(composers)
  const write = (session: Session, name: string, text: string, values: unknown[]) =>
    againAfterDeadlock(async () => new Set((await session.run<{ id: string }>({ name, text, values })).map(({ id }) => id)))
  const finish = coalesce(async (mails: Finishing[]) => {
    const { name, text } = fences(mails)
    const granted = await write(sessions.fences, name, text, [...fenceValues(mails), leaseSeconds])
    return mails.map(({ claimed }) => granted.has(claimed.id))
  })
  const record = coalesce(async (settled: Settled[]) => {
    const recorded = await write(sessions.verdicts, 'verdict', VERDICT_STATEMENT, verdictValues(settled))
    return settled.map(({ claimed }) => recorded.has(claimed.id))
  })
  return { finish, record }
}

const STATE = { sent: 'sent', failed: 'failed', retry: 'scheduled', unknown: 'unknown', giveBack: 'scheduled' } as const

const fenceValues = (mails: readonly Finishing[]) => [
  mails.map(({ claimed }) => claimed.id),
  mails.map(({ claimed }) => claimed.token),
  mails.map(({ claimed }) => claimed.attempt),
  mails.map(({ claimed }) => claimed.to),
  mails.map(({ messageId }) => messageId),
  mails.map(({ sealed }) => JSON.stringify(sealed)),
]

const responseOf = (verdict: Verdict) => ('response' in verdict ? verdict.response : null)
const verdictValues = (settled: readonly Settled[]) => [
  settled.map(({ claimed }) => claimed.id),
  settled.map(({ claimed }) => claimed.token),
  settled.map(({ claimed }) => claimed.attempt),
  settled.map(({ verdict }) => STATE[verdict.is]),
  settled.map(({ verdict }) => ('reason' in verdict ? verdict.reason : null)),
  settled.map(({ verdict }) => responseOf(verdict)),
  settled.map(({ verdict }) => (verdict.is === 'retry' ? verdict.delaySeconds : null)),
  settled.map(({ verdict }) => (responseOf(verdict) === null ? 'lost' : 'answered')),
  settled.map(({ verdict }) => (verdict.is === 'giveBack' ? 1 : 0)),
]

/** The fence for the purposes among these mails; of other purposes there is nothing to seal. Written once for each combination. */
function fenceStatements(composers: Composers): (mails: readonly Finishing[]) => { name: string; text: string } {
  const written = new Map<string, { name: string; text: string }>()
  return (mails) => {
    const purposes = [...new Set(mails.map(({ claimed }) => claimed.purpose))].toSorted()
    const key = purposes.join()
    let statement = written.get(key)
    if (!statement) {
      // Short: PostgreSQL looks at the first 63 characters of a name.
      statement = { name: `fence ${written.size}`, text: fenceStatement(Object.fromEntries(purposes.map((purpose) => [purpose, composers[purpose]]))) }
      written.set(key, statement)
    }
    return statement
  }
}

/** Every table is told the keys themselves, too: joined alone, a plan made while it was small would go on reading all of it. */
function fenceStatement(composers: Composers): string {
  const seals = Object.entries(composers).flatMap(([purpose, composer]) => {
    const leaving = `${purpose.toLowerCase()}_leaving`
    const parts = composer.seal?.(leaving) ?? []
    return parts.length === 0 ? [] : [`${leaving} as (select user_id, epoch, sealed from fit where purpose = '${purpose}')`, ...parts.map((part, index) => `${leaving}_${index} as (${part})`)]
  })
  return `
    with asked as (
      select * from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[]) as a(id, token, attempt, address, message_id, sealed)
    ), fit as (
      select d.id, d.purpose, d.user_id, d.epoch, a.attempt, a.message_id, a.sealed::jsonb as sealed
      from asked a join deliveries d on d.id = a.id ${JOINS}
      where d.id = any ($1::bigint[]) and d.state = 'queued' and d.lease_token = a.token and d.lease_until > clock_timestamp() and d.send_at <= now()
        and (${OBJECTION}) is null and ${ADDRESS} = a.address
      order by d.id for no key update of d
    ), finishing as (
      update deliveries d set state = 'sending', message_id = f.message_id, updated_at = now(),
        lease_until = clock_timestamp() + make_interval(secs => $7)
      from fit f where d.id = f.id and d.id = any ($1::bigint[])
    ), finishing_attempts as (
      update delivery_attempts t set stage = 'finishing', message_id = f.message_id
      from fit f where t.delivery_id = any ($1::bigint[]) and t.delivery_id = f.id and t.number = f.attempt
    )${seals.map((seal) => `, ${seal}`).join('')}
    select id from fit`
}

const VERDICT_STATEMENT = `
    with verdict as (
      select * from unnest($1::bigint[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::text[], $9::int[])
        as v(id, token, attempt, state, reason, response, delay, stage, uncounted)
    ), ours as (
      select v.* from verdict v join deliveries d on d.id = v.id
      where d.id = any ($1::bigint[]) and d.lease_token = v.token and (d.state in ('queued', 'sending') or (d.state = 'unknown' and v.state = 'sent'))
      order by d.id for no key update of d
    ), settling as (
      update deliveries d set
        state = v.state,
        reason = v.reason,
        attempts = d.attempts - v.uncounted,
        -- Later than the try is due only what was moved meanwhile: it keeps its new date, and what has left was due by then.
        send_at = case when v.state = 'scheduled' then greatest(now() + make_interval(secs => v.delay), d.send_at) else least(d.send_at, now()) end,
        sent_at = case when v.state = 'sent' then now() else d.sent_at end,
        -- An unknown one keeps its token, so that an answer that comes late is still known for what it is.
        lease_token = case when v.state = 'unknown' then d.lease_token end,
        lease_until = null,
        updated_at = now()
      from ours v where d.id = v.id and d.id = any ($1::bigint[])
    ), settling_attempts as (
      update delivery_attempts t set stage = v.stage, response = coalesce(v.response, v.reason), ended_at = now()
      from verdict v where t.delivery_id = any ($1::bigint[]) and t.delivery_id = v.id and t.number = v.attempt
    )
    select id from ours`

/**
 * Lengthens the leases of deliveries in hand, of those that have not run out: a worker that comes back late gets none back.
 * One that is being written at this moment needs none.
 */
export function renewLeases(tx: Transaction, claimed: readonly Claimed[], leaseSeconds: number): Promise<number> {
  return tx.run(
    `with ours as (
       select d.id from unnest($1::bigint[], $2::uuid[]) as a(id, token) join deliveries d using (id)
       where d.lease_token = a.token and d.state in ('queued', 'sending') and d.lease_until > clock_timestamp()
       for no key update of d skip locked
     )
     update deliveries d set lease_until = clock_timestamp() + make_interval(secs => $3) from ours where d.id = ours.id`,
    [claimed.map(({ id }) => id), claimed.map(({ token }) => token), leaseSeconds],
  )
}
