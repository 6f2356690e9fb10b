import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose, DeliveryState } from '../entities/states.ts'
import { cancelMails } from './cancelMails.ts'
import type { Choice } from './choose.ts'
import { ACCESS_PURPOSES, REPLACED } from './recheck.ts'

export type Owing = Choice & {
  /** Not before this instant; 'now': at once; null: held until a release. */
  sendAt: Date | 'now' | null
  /** The release it belongs to. */
  releaseId?: string | undefined
}

/** States of a mail that another one may follow. */
const FOLLOWED: readonly DeliveryState[] = ['sent', 'failed', 'bounced', 'cancelled']

/** Mails that have a reason of their own each time: another one is no repetition of one of which nobody knows whether it arrived. */
const ASKED_ANEW: readonly DeliveryPurpose[] = ['passwordReset', 'passwordChanged', 'welcome', 'alreadyRegistered']

/**
 * Owes each of these users a mail of the purpose (spec D2, D3). One that is held or scheduled already is taken along, as nobody is to
 * get the same thing twice; one that was sent, failed, bounced or cancelled is followed by a new epoch with a new secret, and an invitation
 * of that epoch. Whoever is being sent one at this moment, or whose last one is unknown, is passed over: chooseUsers tells of them before. ASKED_ANEW are not passed over for that.
 * What gives access by another way and has not left is cancelled. Two at once for one user: the unique epoch lets one of them win.
 * @returns how many are owed now
 */
export async function oweMails(tx: Transaction, { userIds, purpose, deliverTo, sendAt, releaseId }: Owing): Promise<number> {
  const state = sendAt === null ? 'held' : 'scheduled'
  const parameters = [[...userIds], purpose, deliverTo ?? null, sendAt instanceof Date ? sendAt : null, releaseId ?? null]
  const instant = sendAt === 'now' ? 'coalesce($4::timestamptz, now())' : '$4::timestamptz'
  const takenAlong = await tx.run(
    `with latest as (
       select distinct on (user_id) id, state from deliveries where user_id = any ($1::bigint[]) and purpose = $2 order by user_id, epoch desc
     ), open as (
       select d.id from latest join deliveries d using (id) where d.state in ('held', 'scheduled') order by d.id for no key update of d
     )
     update deliveries d set state = '${state}', send_at = ${instant}, deliver_to = $3, release_id = coalesce($5, d.release_id), reason = null, updated_at = now()
     from open where d.id = open.id and d.state in ('held', 'scheduled')`,
    parameters,
  )
  const owedAnew = await tx.run(
    `with latest as (
       select u.id as user_id, d.epoch, d.state from users u
       left join lateral (select epoch, state from deliveries where user_id = u.id and purpose = $2 order by epoch desc limit 1) d on true
       where u.id = any ($1::bigint[])
     ), owed as (
       insert into deliveries (organization_id, user_id, purpose, epoch, state, send_at, deliver_to, release_id)
       select ${tx.organizationId}, l.user_id, $2, coalesce(l.epoch, 0) + 1, '${state}', ${instant}, $3, $5::bigint
       from latest l where l.state is null or l.state = any ($6::text[])
       order by l.user_id on conflict (user_id, purpose, epoch) do nothing returning user_id, epoch, purpose
     ), invited as (
       insert into invitations (organization_id, user_id, epoch, state)
       select ${tx.organizationId}, user_id, epoch, 'created' from owed where purpose = 'invitation' on conflict (user_id, epoch) do nothing
     )
     select from owed`,
    [...parameters, ASKED_ANEW.includes(purpose) ? [...FOLLOWED, 'unknown'] : FOLLOWED],
  )
  const ways: readonly DeliveryPurpose[] = ACCESS_PURPOSES
  if (ways.includes(purpose)) await replaceOthers(tx, userIds, ways.filter((way) => way !== purpose))
  return takenAlong + owedAnew
}

/** Nobody gets credentials and an invitation, or two passwords of which one is wrong. */
async function replaceOthers(tx: Transaction, userIds: readonly string[], others: readonly DeliveryPurpose[]): Promise<void> {
  if ((await cancelMails(tx, userIds, others, REPLACED)) === 0 || !others.includes('invitation')) return
  await tx.run(
    `update invitations i set state = 'revoked' from deliveries d
     where d.user_id = any ($1::bigint[]) and d.purpose = 'invitation' and d.state = 'cancelled' and d.reason = $2 and i.user_id = d.user_id and i.epoch = d.epoch and i.state = 'created'`,
    [[...userIds], REPLACED],
  )
}
