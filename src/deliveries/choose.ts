import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { ACCESS_PURPOSES, OBJECTION, OBJECTIONS } from './recheck.ts'

/** Whom a mail is meant for. */
export type Choice = {
  userIds: readonly string[]
  purpose: DeliveryPurpose
  /** An operator's address that gets it in the person's place (spec D2). */
  deliverTo?: string | undefined
  /** Whether a release would take the mail along, which leaves those with a date of their own alone. */
  forRelease?: boolean | undefined
}

/** Somebody who would not get the mail, and why: a key of LEFT_OUT. */
export type LeftOut = { userId: string; username: string; reason: string }

/** Every reason to leave somebody out before anything is owed: those of the re-check at sending, and what the ledger says. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  ...OBJECTIONS,
  being_sent: 'The same mail is being sent at this moment.',
  needs_decision: 'Nobody knows whether the last one arrived: resolve that first.',
  in_other_release: 'The mail belongs to another release.',
  own_date: 'The mail has a date of its own.',
}

const ACCESS = `(${ACCESS_PURPOSES.map((purpose) => `'${purpose}'`).join(', ')})`

/** SQL: whether user u has a mail e that gives access, by whatever way, and is so. */
const hasAccessMail = (so: string): string => `exists (select from deliveries e where e.user_id = u.id and e.purpose in ${ACCESS} and ${so})`

/** SQL over users u: what the ledger says against owing u the purpose $2, for a release where $4; null where nothing does. */
const LEDGER_OBJECTION = `case
  when $2 in ${ACCESS} and ${hasAccessMail(`e.state in ('queued', 'sending')`)} then 'being_sent'
  when $2 in ${ACCESS} and ${hasAccessMail(`e.state in ('held', 'scheduled') and exists (select from releases r where r.id = e.release_id and r.state in ('scheduled', 'running', 'frozen'))`)} then 'in_other_release'
  else coalesce((
    select case when e.state in ('queued', 'sending') then 'being_sent' when e.state = 'unknown' then 'needs_decision'
      when e.state in ('held', 'scheduled') and e.release_id is not null then 'in_other_release' end
    from deliveries e where e.user_id = u.id and e.purpose = $2 order by e.epoch desc limit 1),
    case when $4 and ${hasAccessMail(`e.state in ('held', 'scheduled') and e.release_id is null and e.send_at is not null`)} then 'own_date' end) end`

/**
 * Parts the chosen users into those who would be mailed and those who would not, with the reason: exactly what sending would find
 * at this moment (spec D6, D7). Changes nothing. Ids of nobody are left out of both.
 * @returns ids in the order of username
 */
export async function chooseUsers(tx: Transaction, { userIds, purpose, deliverTo, forRelease }: Choice): Promise<{ mailed: string[]; leftOut: LeftOut[] }> {
  const rows = await tx.query<LeftOut & { reason: string | null }>(
    `select u.id as "userId", u.username, coalesce(${OBJECTION}, ${LEDGER_OBJECTION}) as reason
     from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id
     cross join lateral (select u.id as user_id, $2::text as purpose, $3::text as deliver_to, null::text as recipient, null::bigint as release_id, null::bigint as feed_alert_id, false as first_wave, 0 as epoch) d
     where u.id = any ($1::bigint[]) order by u.username`,
    [[...userIds], purpose, deliverTo ?? null, forRelease ?? false],
  )
  return {
    mailed: rows.filter(({ reason }) => reason === null).map(({ userId }) => userId),
    leftOut: rows.filter((row): row is LeftOut => row.reason !== null),
  }
}
