import type { Effect } from '../accounts/setUsers.ts'
import { changesSomething, resolveChanges, type TypedChanges } from '../accounts/userChanges.ts'
import { activate, deactivate, revoke, set } from '../jobs/operateUsers.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { bulk, type BulkFlags } from './bulk.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { count, inert, yellow, type ExitStatus } from './output.ts'

/** "12 users would be …", or "were" once it is done. */
export const headline = (users: number, what: string, done: boolean): string => `${count(users, 'user')} ${done ? (users === 1 ? 'was' : 'were') : 'would be'} ${what}`

const warnings = (rolesMissing: readonly string[], done: boolean): string[] =>
  rolesMissing.length === 0 ? [] : [yellow(`Warning: nobody ${done ? 'holds' : 'would hold'} the required ${rolesMissing.length === 1 ? 'role' : 'roles'} ${rolesMissing.map(inert).join(', ')} any more.`)]

const listed = (parts: readonly (string | null)[]): string => new Intl.ListFormat('en').format(parts.filter((part) => part !== null))

/** `muster users deactivate` */
export function deactivateUsers(context: Context, flags: BulkFlags): Promise<ExitStatus> {
  return bulk(context, flags, {
    name: 'users.deactivate',
    of: 'users',
    work: (tx, ids, operator) => deactivate(tx, operator, ids),
    tell({ userIds, leftOut, mails, invitations, sessions, seats, rolesMissing }, done) {
      const along = [
        ...seats.map(({ license, count: freed }) => `${count(freed, 'seat')} of ${inert(license)} freed`),
        mails > 0 ? `${count(mails, 'owed mail')} cancelled` : null, invitations > 0 ? `${count(invitations, 'open invitation')} revoked` : null, sessions > 0 ? `${count(sessions, 'session')} ended` : null,
      ].filter((part) => part !== null)
      return {
        userIds, leftOut,
        headline: headline(userIds.length, 'deactivated', done),
        lines: [...(along.length > 0 ? [`With that: ${along.join(', ')}.`] : []), ...warnings(rolesMissing, done)],
        document: { mailsCancelled: mails, invitationsRevoked: invitations, sessionsEnded: sessions, seatsFreed: seats, rolesMissing },
        question: `Deactivate ${count(userIds.length, 'user')}?`,
      }
    },
  })
}

/** `muster users activate` */
export function activateUsers(context: Context, flags: BulkFlags): Promise<ExitStatus> {
  return bulk(context, flags, {
    name: 'users.activate',
    of: 'users',
    work: (tx, ids, operator) => activate(tx, operator, ids),
    tell: ({ userIds, leftOut, contacts, notLoginable }, done) => ({
      userIds, leftOut,
      headline: headline(userIds.length, 'activated', done),
      lines: [
        ...(contacts > 0 ? [`With that: ${count(contacts, 'deactivated contact')} activated.`] : []),
        ...(notLoginable > 0 ? [yellow(`${count(notLoginable, 'of them', 'of them')} still cannot log in: a group, a profile or a license is missing, or the organization uses SSO.`)] : []),
      ],
      document: { contactsActivated: contacts, notLoginable },
      question: `Activate ${count(userIds.length, 'user')}?`,
    }),
  })
}

/** `muster users revoke` */
export function revokeUsers(context: Context, flags: BulkFlags): Promise<ExitStatus> {
  return bulk(context, flags, {
    name: 'users.revoke',
    of: 'users',
    work: (tx, ids, operator) => revoke(tx, operator, ids),
    tell: ({ userIds, leftOut, invitations, mails }, done) => ({
      userIds, leftOut,
      headline: `${count(invitations, 'open invitation')} of ${headline(userIds.length, 'revoked', done)}`,
      lines: mails > 0 ? [`With that: ${count(mails, 'owed mail')} cancelled.`] : [],
      document: { invitationsRevoked: invitations, mailsCancelled: mails },
      question: `Revoke ${count(invitations, 'open invitation')}?`,
    }),
  })
}

export type SetFlags = BulkFlags & TypedChanges

/** `muster users set` */
export function setUsers(context: Context, flags: SetFlags): Promise<ExitStatus> {
  return bulk(context, flags, {
    name: 'users.set',
    of: 'users',
    async work(tx, ids, operator, { settings }) {
      const changes = resolveChanges(flags, await loadCatalog(tx), settings)
      if (!changesSomething(changes)) throw new CommandRefused('usage.set', 'Nothing is to be set.', 'Say what: --group, --profile, --license, --role, --username, --department, … (--help shows all).')
      return set(tx, operator, ids, changes)
    },
    tell({ userIds, leftOut, effects, loginable, rolesMissing }, done) {
      const { gained, lost } = loginable
      const can = listed([gained > 0 ? `${count(gained, 'user')} can log in now who could not` : null, lost > 0 ? `${count(lost, 'user')} cannot log in any more` : null])
      return {
        userIds, leftOut,
        headline: userIds.length === 0 ? `Nothing ${done ? 'was' : 'would be'} changed: none of ${leftOut.length === 1 ? 'this user' : `these ${count(leftOut.length, 'user')}`} would be another than now` : headline(userIds.length, 'changed', done),
        lines: [...(effects.length > 0 ? ['What changes:'] : []), ...effects.map(lineOf), ...(can === '' ? [] : [lost > 0 ? yellow(`${can}.`) : `${can}.`]), ...warnings(rolesMissing, done)],
        document: { effects, loginable, rolesMissing },
        question: `Change ${count(userIds.length, 'user')}?`,
      }
    },
  })
}

const WORDS: Record<string, string> = { businessUnit: 'business unit' }

function lineOf({ what, from, to, users }: Effect): string {
  const change = `${from === null ? '(none)' : inert(from)} -> ${to === null ? '(none)' : inert(to)}`
  return `  ${WORDS[what] ?? what}: ${change}  (${count(users, 'user')})`
}
