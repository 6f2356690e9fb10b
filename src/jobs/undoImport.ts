import { deleteMadeUsers, gatherUsers, GATHERED_USERS, judgeChangedUsers, judgeMadeUsers, keepWithPeople, putUsersBack } from '../accounts/undoUsers.ts'
import { voidLinks } from '../accounts/voidLinks.ts'
import { cancelMails } from '../deliveries/cancelMails.ts'
import { lockMailsOf, takeMailsBack, type MailsTakenBack } from '../deliveries/undoMails.ts'
import type { Transaction } from '../entities/database.ts'
import { beginUndo, deleteMadeContacts, endUndo, gatherContacts, judgeChangedContacts, judgeMadeContacts, passVersionsOn, putContactsBack } from '../importers/undo.ts'
import { audit } from '../organizations/audit.ts'

/** Every reason for which an undoing leaves somebody alone. */
export const LEFT_BY_UNDO = {
  changed: 'Changed since.',
  signed_in: 'Has signed in.',
  registered: 'Has registered.',
  mailed: 'Was mailed.',
  may_have_left: 'A mail is just leaving, or nobody knows whether it left.',
  owed_by_others: 'Is owed a mail that somebody asked for since.',
  further_user: 'Has an account that did not come with this import.',
  decision: 'Somebody was asked since who this is.',
  support_contact: 'Is the support contact of the organization.',
  address_taken: 'The address of before belongs to somebody else now.',
  id_taken: 'The External ID of before belongs to somebody else now.',
  username_taken: 'The username of before belongs to somebody else now.',
  user_active: 'Has an account that is active, and stays so.',
  contact_left: 'The contact stays deactivated, and so does the user.',
  no_seat: 'No seat of the license is free.',
} as const

export type UndoReason = keyof typeof LEFT_BY_UNDO

/** Somebody whom the undoing left as is. */
export type LeftPerson = { contactId: string; userId: string | null; username: string | null; name: string; reason: UndoReason }

/** What came of an undoing, in contacts, users and mails. */
export type UndoReport = {
  importId: string
  feed: { id: string; name: string } | null
  contacts: { deleted: number; putBack: number; activated: number }
  users: { deleted: number; putBack: number; activated: number; deactivated: number }
  /** `lost`: cancelled as people left who are back now, and not owed again. `linksVoided`: invitations and links to reset a password that had gone to an address which is no longer the person's, or are of users who are deactivated. */
  mails: MailsTakenBack & { lost: number; linksVoided: number }
  /** Names that are free again, and names that are as they were. */
  usernames: { freed: number; restored: number }
  /** Seats that are free again, by license. */
  seats: { license: string; count: number }[]
  left: { reason: UndoReason; message: string; count: number }[]
  /** Those of `left`, the first thousand. */
  people: LeftPerson[]
}

const PEOPLE = 1_000
const CONTACTS = 'undo_contacts'

/**
 * Undoes a committed import (spec E4), in the caller's one transaction: whom it made and nobody has to do with since is deleted, names and seats
 * are free again; whom it changed and nobody changed since is put back; mails that have not left never will. The rest is left alone
 * and told. Locks contacts, then users, then mails, each in the order of their ids. @throws UndoRefused
 */
export async function undoImport(tx: Transaction, importId: string, operator: string): Promise<UndoReport> {
  const { feed } = await beginUndo(tx, importId)
  await gatherContacts(tx, importId)
  await gatherUsers(tx, importId)
  await lockMailsOf(tx, importId, GATHERED_USERS)
  await judgeMadeUsers(tx, importId)
  await judgeMadeContacts(tx, importId, GATHERED_USERS)
  await keepWithPeople(tx, CONTACTS)
  const mails = await takeMailsBack(tx, importId, GATHERED_USERS)
  const { deleted, seats: freed } = await deleteMadeUsers(tx)
  const contactsDeleted = await deleteMadeContacts(tx)
  await judgeChangedContacts(tx)
  await judgeChangedUsers(tx, CONTACTS)
  const users = await putUsersBack(tx, importId, CONTACTS)
  const contacts = await putContactsBack(tx, GATHERED_USERS)
  const leaving = users.deactivated.userIds
  const cancelled = mails.cancelled + (leaving.length === 0 ? 0 : await cancelMails(tx, leaving, null, 'user_inactive'))
  const voided = contacts.moved.length === 0 ? { invitations: 0, resets: 0 } : await voidLinks(tx, contacts.moved)
  await passVersionsOn(tx, importId, 'contact', CONTACTS)
  await passVersionsOn(tx, importId, 'user', GATHERED_USERS)

  const report: UndoReport = {
    importId,
    feed,
    contacts: { deleted: contactsDeleted, putBack: contacts.putBack, activated: contacts.activated },
    users: { deleted, putBack: users.putBack, activated: users.activated, deactivated: leaving.length },
    mails: { cancelled, heldAgain: mails.heldAgain, lost: users.mailsLost, linksVoided: voided.invitations + voided.resets + users.deactivated.invitations },
    usernames: { freed: deleted, restored: users.renamed },
    seats: sumSeats([...freed, ...users.deactivated.seats]),
    ...(await readLeft(tx)),
  }
  const { people, feed: _, ...counts } = report
  await endUndo(tx, importId, { ...counts, people: people.map(({ contactId, userId, reason }) => ({ contactId, userId, reason })) }, operator)
  await audit(tx, operator, 'import.undo', { import: importId, contacts: report.contacts, users: report.users, mails: report.mails, left: report.left.map(({ reason, count }) => ({ reason, count })) })
  return report
}

function sumSeats(seats: readonly { license: string; count: number }[]): UndoReport['seats'] {
  const byLicense = new Map<string, number>()
  for (const { license, count } of seats) byLicense.set(license, (byLicense.get(license) ?? 0) + count)
  return [...byLicense].map(([license, count]) => ({ license, count }))
}

/** Who was left, once each: a person who stays because of an account is told of by that account. */
async function readLeft(tx: Transaction): Promise<Pick<UndoReport, 'left' | 'people'>> {
  const all = `(
    select s.contact_id, null::bigint as user_id, s.reason from ${CONTACTS} s where s.reason is not null and s.reason <> 'user_left'
      and not exists (select from ${GATHERED_USERS} u where u.contact_id = s.contact_id and u.reason = s.reason)
    union all select s.contact_id, s.user_id, s.reason from ${GATHERED_USERS} s where s.reason is not null and s.reason <> 'person_left'
      and not (s.reason = 'contact_left' and exists (select from ${CONTACTS} c where c.contact_id = s.contact_id and c.reason is not null))
  ) l`
  const left = await tx.query<{ reason: UndoReason; count: number }>(`select l.reason, count(*)::int as count from ${all} group by 1 order by 2 desc, 1`)
  const people = await tx.query<LeftPerson>(
    `select l.contact_id as "contactId", l.user_id as "userId", u.username, concat_ws(' ', c.first_name, c.last_name) as name, l.reason
     from ${all} join contacts c on c.id = l.contact_id left join users u on u.id = l.user_id order by l.contact_id, l.user_id limit $1`,
    [PEOPLE],
  )
  return { left: left.map(({ reason, count }) => ({ reason, message: LEFT_BY_UNDO[reason], count })), people }
}
