import { activateUsers } from '../accounts/changeActivity.ts'
import { voidLinks } from '../accounts/voidLinks.ts'
import type { Transaction } from '../entities/database.ts'
import type { IdentityDecisionKind } from '../entities/states.ts'
import { activateContact, askAgain, holderOf, lockDecisions, moveContact, settleDecisions, type IdentityQuestion } from '../importers/identityDecisions.ts'
import { audit } from '../organizations/audit.ts'
import { readOrganization } from '../organizations/organizations.ts'

/** A question about identity that cannot be decided so. Nothing was changed. */
export class IdentityRefused extends Error {
  readonly code: 'identity.unknown' | 'identity.decided' | 'identity.lapsed' | 'identity.address_taken' | 'identity.belongs_to_person' | 'license.no_seats'
  readonly hint: string
  constructor(code: IdentityRefused['code'], message: string, hint: string) {
    super(message)
    this.name = 'IdentityRefused'
    this.code = code
    this.hint = hint
  }
}

/** What was decided about one question, and what came of it. */
export type Decided = {
  id: string
  kind: IdentityDecisionKind
  contactId: string
  name: string
  /** The address before and after, of somebody who has moved. */
  from: string | null
  to: string | null
  /** Users of the contact; `unregistered` have neither signed in nor chosen a password, so that a new mail is what they need. */
  users: { id: string; username: string; activated: boolean; unregistered: boolean }[]
  invitationsRevoked: number
  linksVoided: number
}

/**
 * Decides questions about who somebody is (spec B4), all of them or none, in the caller's transaction. Accepting a move enters the new
 * address and makes links void that went to the old one; nothing else is cancelled. Accepting somebody who is back activates the contact and its users, each with a seat.
 * Rejecting changes nobody: the next file that says the same does not ask again. What was rejected may be accepted later.
 * @throws IdentityRefused
 */
export async function decideIdentity(tx: Transaction, ids: readonly string[], verdict: 'accept' | 'reject', operator: string): Promise<Decided[]> {
  const given = [...new Set(ids)]
  let questions = await lockDecisions(tx, given)
  const unknown = given.filter((id) => !questions.some((question) => question.id === id))
  if (unknown.length > 0) throw new IdentityRefused('identity.unknown', `There is no question ${unknown.join(', ')}.`, './muster identity list --organization KEY shows what waits.')
  for (const question of questions) refuseSettled(question, verdict)
  const declined = questions.filter(({ state }) => state === 'rejected').map(({ id }) => id)
  if (declined.length > 0) questions = await lockDecisions(tx, [...questions.filter(({ state }) => state === 'waiting').map(({ id }) => id), ...(await askAgain(tx, declined))])

  const decided: Decided[] = []
  for (const question of questions) decided.push(verdict === 'reject' ? nothingChanged(question) : question.kind === 'moved' ? await acceptMove(tx, question) : await acceptReturn(tx, question))
  await settleDecisions(tx, questions.map(({ id }) => id), verdict === 'accept' ? 'accepted' : 'rejected', operator)
  await audit(tx, operator, `identity.${verdict}`, { decisions: questions.map(({ id }) => id), contacts: questions.map(({ contactId }) => contactId) })
  return decided
}

function refuseSettled({ id, state, decidedBy }: IdentityQuestion, verdict: 'accept' | 'reject'): void {
  if (state === 'waiting' || (state === 'rejected' && verdict === 'accept')) return
  if (state === 'lapsed') throw new IdentityRefused('identity.lapsed', `Nothing is left to decide about question ${id}: the file no longer says so, or the person was changed since.`, 'Leave it out.')
  throw new IdentityRefused('identity.decided', `Question ${id} was ${state} by ${decidedBy ?? 'somebody'}.`, 'Leave it out.')
}

const nothingChanged = ({ id, kind, contactId, known, given }: IdentityQuestion): Decided => ({
  id, kind, contactId, name: `${known.firstName} ${known.lastName}`, from: known.email, to: kind === 'moved' ? given.email : null, users: [], invitationsRevoked: 0, linksVoided: 0,
})

async function acceptMove(tx: Transaction, question: IdentityQuestion): Promise<Decided> {
  const { contactId } = question
  const to = question.given.email!
  const other = await holderOf(tx, to, contactId)
  if (other) {
    throw new IdentityRefused('identity.address_taken', `The address ${to} belongs to ${other.name} (contact ${other.id}${other.externalId === null ? '' : `, External ID ${other.externalId}`}) meanwhile. Nothing was changed.`, 'Correct the address of one of the two where the file is made.')
  }
  const users = await usersOf(tx, contactId)
  const { settings } = await readOrganization(tx)
  if (settings.onboarding.contactDetails === 'person' && users.some(({ registered }) => registered)) {
    throw new IdentityRefused('identity.belongs_to_person', `${nothingChanged(question).name} has registered since, and the address is theirs to change. Nothing was changed.`, 'Reject the question, and ask the person.')
  }
  await moveContact(tx, contactId, to)
  const { invitations, resets } = await voidLinks(tx, [contactId])
  return { ...nothingChanged(question), users: users.map(({ id, username, unregistered }) => ({ id, username, unregistered, activated: false })), invitationsRevoked: invitations, linksVoided: resets }
}

async function acceptReturn(tx: Transaction, question: IdentityQuestion): Promise<Decided> {
  const users = await usersOf(tx, question.contactId)
  const { userIds, leftOut } = await activateUsers(tx, users.map(({ id }) => id), 'feed')
  const unseated = leftOut.filter(({ reason }) => reason === 'no_seat').map(({ username }) => username)
  if (unseated.length > 0) throw new IdentityRefused('license.no_seats', `No seat of the license is free for ${unseated.join(', ')}. Nothing was changed.`, 'Free a seat or add seats, and accept again.')
  await activateContact(tx, question.contactId)
  return { ...nothingChanged(question), users: users.map(({ id, username, unregistered }) => ({ id, username, unregistered, activated: userIds.includes(id) })) }
}

function usersOf(tx: Transaction, contactId: string): Promise<{ id: string; username: string; unregistered: boolean; registered: boolean }[]> {
  return tx.query(
    `select u.id, u.username, u.last_login_at is null and u.password_chosen_at is null as unregistered,
       u.password_chosen_at is not null or exists (select from invitations i where i.user_id = u.id and i.state in ('in_progress', 'completed')) as registered
     from users u where u.contact_id = $1 order by u.id`,
    [contactId],
  )
}
