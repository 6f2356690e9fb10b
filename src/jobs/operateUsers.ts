import { activateUsers, deactivateUsers, revokeInvitations, type Activation, type Deactivation, type Revocation } from '../accounts/changeActivity.ts'
import { enableAccess, type Enabled, type Enabling } from '../accounts/enableAccess.ts'
import { setUsers, type Setting } from '../accounts/setUsers.ts'
import type { UserChanges } from '../accounts/userChanges.ts'
import { cancelMails } from '../deliveries/cancelMails.ts'
import { chooseUsers, type LeftOut } from '../deliveries/choose.ts'
import { oweMails } from '../deliveries/oweMails.ts'
import type { Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { audit } from '../organizations/audit.ts'
import type { Catalog } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'

/**
 * What operators do to users at once (spec C9, C10, C11, D2, D3), composed of accounts and deliveries. Each runs in the caller's one
 * transaction and leaves its line in the audit trail there; a rehearsal rolls both back.
 */

/** `users deactivate`: owed mails are cancelled besides. */
export async function deactivate(tx: Transaction, operator: string, userIds: readonly string[]): Promise<Deactivation & { mails: number }> {
  const done = await deactivateUsers(tx, userIds)
  const mails = await cancelMails(tx, done.userIds, null, 'user_inactive')
  await note(tx, operator, 'users.deactivate', done.userIds, { mails })
  return { ...done, mails }
}

/** `users activate` */
export async function activate(tx: Transaction, operator: string, userIds: readonly string[]): Promise<Activation> {
  const done = await activateUsers(tx, userIds)
  await note(tx, operator, 'users.activate', done.userIds, {})
  return done
}

/** `users revoke`: the mails that would carry the invitations are cancelled besides. */
export async function revoke(tx: Transaction, operator: string, userIds: readonly string[]): Promise<Revocation & { mails: number }> {
  const done = await revokeInvitations(tx, userIds)
  const mails = await cancelMails(tx, done.userIds, ['invitation'], 'invitation_revoked')
  await note(tx, operator, 'users.revoke', done.userIds, { mails })
  return { ...done, mails }
}

/** `users set` */
export async function set(tx: Transaction, operator: string, userIds: readonly string[], changes: UserChanges): Promise<Setting> {
  const done = await setUsers(tx, userIds, changes)
  await note(tx, operator, 'users.set', done.userIds, { changes: done.effects.map(({ what, from, to, users }) => (what === 'username' ? { what, users } : { what, from, to, users })) })
  return done
}

/** A mail that an operator has sent to users. */
export type Mailing = {
  purpose: 'credentials' | 'invitation'
  sendAt: Date | 'now' | null
  /** Credentials to this operator's address instead (spec D2). */
  deliverTo?: string | undefined
}

export type Sending = {
  /** Users who are owed a mail now, with its purpose; the registered get another one than the invitation (spec D3). */
  mailed: { purpose: DeliveryPurpose; userIds: string[] }[]
  leftOut: LeftOut[]
}

/** Owes a mail to each of these users who may get it. Who has registered already gets `alreadyRegistered` in place of an invitation. */
export async function send(tx: Transaction, operator: string, userIds: readonly string[], mailing: Mailing): Promise<Sending> {
  const { deliverTo, sendAt } = mailing
  const purpose = deliverTo === undefined ? mailing.purpose : 'operatorCredentials'
  const first = await owe(tx, userIds, purpose, sendAt, deliverTo)
  const registered = purpose === 'invitation' ? first.leftOut.filter(({ reason }) => reason === 'already_registered').map(({ userId }) => userId) : []
  const told = new Set(registered)
  const second = registered.length === 0 ? { mailed: [], leftOut: [] } : await owe(tx, registered, 'alreadyRegistered', sendAt)
  const mailed: Sending['mailed'] = [{ purpose, userIds: first.mailed }, { purpose: 'alreadyRegistered', userIds: second.mailed }]
  const sending: Sending = {
    mailed: mailed.filter((mails) => mails.userIds.length > 0),
    leftOut: [...first.leftOut.filter(({ userId }) => !told.has(userId)), ...second.leftOut],
  }
  for (const mails of sending.mailed) await note(tx, operator, 'users.send', mails.userIds, { purpose: mails.purpose, sendAt: sendAt instanceof Date ? sendAt.toISOString() : sendAt })
  return sending
}

async function owe(tx: Transaction, userIds: readonly string[], purpose: DeliveryPurpose, sendAt: Mailing['sendAt'], deliverTo?: string): Promise<{ mailed: string[]; leftOut: LeftOut[] }> {
  // Whoever is changed at this moment is waited for, and judged as he or she is then.
  await tx.run('select from users where id = any ($1::bigint[]) order by id for no key update', [[...userIds]])
  const chosen = await chooseUsers(tx, { userIds, purpose, deliverTo })
  await oweMails(tx, { userIds: chosen.mailed, purpose, deliverTo, sendAt })
  return chosen
}

/** `users enable`: makes users from contacts, and owes them what they are to get. */
export async function enable(tx: Transaction, operator: string, enabling: Enabling, catalog: Catalog, settings: Settings, mailing: Mailing | null): Promise<Enabled & { sending: Sending }> {
  const done = await enableAccess(tx, enabling, catalog, settings)
  const users = [...done.created.map(({ userId }) => userId), ...done.opened]
  await note(tx, operator, 'users.enable', users, { created: done.created.length, opened: done.opened.length, awaiting: done.awaiting.length })
  const invitesNobody = mailing?.purpose === 'invitation' && done.notInvitable !== null
  const mailed = invitesNobody ? done.opened : users
  const sending = mailing === null || mailed.length === 0 ? { mailed: [], leftOut: [] } : await send(tx, operator, mailed, mailing)
  if (invitesNobody) sending.leftOut.push(...done.created.map(({ userId, username }) => ({ userId, username, reason: 'not_invitable_alone' })))
  return { ...done, sending }
}

/** Leaves a line in the audit trail where something was done. Of people their ids only. */
async function note(tx: Transaction, operator: string, action: string, users: readonly string[], detail: Record<string, unknown>): Promise<void> {
  if (users.length > 0) await audit(tx, operator, action, { users, ...detail })
}
