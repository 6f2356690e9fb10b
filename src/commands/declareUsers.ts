import type { Context } from './context.ts'
import type { ExitStatus } from './output.ts'
import * as passwords from './passwords.ts'
import * as send from './sendToUsers.ts'
import { showOneUser } from './showUser.ts'
import * as users from './users.ts'

/** An option as program.ts declares it; `many`: may be repeated. */
export type DeclaredOption = { flags: string; says: string; many?: boolean; needed?: boolean }

/** Adds a command below `muster users`. */
export type DeclareCommand = <Flags extends object>(usage: string, description: string, run: (context: Context, args: string[], flags: Flags) => Promise<ExitStatus>, options: DeclaredOption[]) => void

/** Fields that users can be filtered by, for --help. */
export const USER_FILTERS =
  'a text to look for, or field=value with id, externalId, firstName, lastName, email, username, accountKind, state, group, profile, license, role, product, tenant, company, businessUnit, department, location, customer, worksite, contactRole, loginable=yes|no, login=never|ever, password=none|made|chosen, onboarding=STATE|none, delivery=STATE, import=ID; may be repeated, and then all have to fit'
/** As USER_FILTERS, for contacts. */
export const CONTACT_FILTERS =
  'a text to look for, or field=value with id, externalId, firstName, lastName, email, phone, kind, state, customer, worksite, contactRole, user=none|some, awaitingLicense=yes|no, import=ID; may be repeated, and then all have to fit'

const organization: DeclaredOption = { flags: '--organization <key>', says: 'the organization; required', needed: true }
const named: DeclaredOption = { flags: '--users <file>', says: 'those in a file: one username, external id or e-mail address a line, or the first column of a CSV or workbook' }
const everybody: DeclaredOption = { flags: '--all', says: 'everybody of the organization' }
const yes: DeclaredOption = { flags: '--yes', says: 'go ahead without asking. Without it, and where nobody is asked, nothing is changed: what would be is shown, with who would be left out and why, and the status is 0' }
const chosen: DeclaredOption[] = [organization, { flags: '--filter <filter>', says: USER_FILTERS, many: true }, { flags: '--id <id>', says: 'this user, by id; may be repeated', many: true }, named, everybody, yes]
const chosenContacts: DeclaredOption[] = [organization, { flags: '--filter <filter>', says: CONTACT_FILTERS, many: true }, { flags: '--contact <id>', says: 'this contact, by id; may be repeated', many: true }, named, everybody, yes]
const security: DeclaredOption[] = [
  { flags: '--company <group>', says: "row-level security: the company's security group" },
  { flags: '--business-unit <group>', says: 'as --company' },
  { flags: '--department <group>', says: 'as --company' },
  { flags: '--location <group>', says: 'as --company' },
  { flags: '--lookup <field=groups>', says: 'authorized lookup, such as "jobCode=Engineering;Sales" in place of those of that field; "jobCode=" for none; may be repeated', many: true },
]
const at: DeclaredOption = { flags: '--at <date>', says: 'not before this date in the organization\'s zone, such as "2026-12-01 08:00", or now' }

/** Declares what is done to users in bulk (spec C9 to C11, D2, D3). */
export function declareUsers(add: DeclareCommand): void {
  add<{ organization: string }>('show <username>', 'one user with everything', (context, [username], flags) => showOneUser(context, username!, flags), [organization])
  add<send.EnableFlags>('enable', 'makes users from contacts; opens those who are users already', (context, _, flags) => send.enableUsers(context, flags), [
    ...chosenContacts,
    { flags: '--kind <kind>', says: 'account kind: employee, contact or "service representative"; the organization\'s default without it' },
    { flags: '--group <group>', says: 'user group instead of the defaults; may be repeated', many: true },
    { flags: '--profile <profile>', says: 'profile instead of the default' },
    { flags: '--license <license>', says: 'license instead of the default' },
    { flags: '--role <role>', says: 'role instead of the default, or none for "No role assigned"; may be repeated', many: true },
    ...security,
    { flags: '--username <name>', says: 'this username; of one contact only' },
    { flags: '--delivery <what>', says: "the mail that they are owed: credentials, invitation or none; the organization's default without it" },
    { ...at, says: `${at.says}; without it the mail is held until it is released` },
  ])
  add<users.SetFlags>('set', 'changes what users have', (context, _, flags) => users.setUsers(context, flags), [
    ...chosen,
    { flags: '--group <group>', says: 'these groups alone, or none; may be repeated', many: true },
    { flags: '--add-group <group>', says: 'this group besides; may be repeated', many: true },
    { flags: '--remove-group <group>', says: 'this group no more; may be repeated', many: true },
    { flags: '--profile <profile>', says: 'profile, or none' },
    { flags: '--license <license>', says: 'license, or none; takes a seat' },
    { flags: '--role <role>', says: 'in general these roles alone, or none; those held at products stay; may be repeated', many: true },
    { flags: '--add-role <role>', says: 'in general this role besides; may be repeated', many: true },
    { flags: '--remove-role <role>', says: 'in general this role no more; may be repeated', many: true },
    { flags: '--username <name>', says: 'another username; of one user only. The old one is given to nobody again' },
    ...security,
  ])
  add<users.SetFlags>('activate', 'activates users; takes their seats again', (context, _, flags) => users.activateUsers(context, flags), chosen)
  add<users.SetFlags>('deactivate', 'deactivates users: no mails, no sessions, seats free; nothing is deleted', (context, _, flags) => users.deactivateUsers(context, flags), chosen)
  add<send.SendFlags>('send <what>', 'sends credentials or invitation: a new one each time, and the one before is void', (context, [what], flags) => send.sendToUsers(context, what!, flags), [
    ...chosen,
    { ...at, says: `${at.says}; at once without it` },
    { flags: '--to-me <address>', says: "credentials to your own address, to hand over; one of the organization's operators" },
    { flags: '--to <address>', says: 'as --to-me' },
  ])
  add<users.SetFlags>('revoke', 'revokes open invitations; their links are void', (context, _, flags) => users.revokeUsers(context, flags), chosen)
  add<passwords.PasswordFlags>('passwords', 'new passwords that are not mailed, but shown once in a report', (context, _, flags) => passwords.reportPasswords(context, flags), [
    ...chosen,
    { flags: '--also-registered', says: 'also of people who have a password in use: theirs is reset' },
  ])
  add<{ output?: string }>('report <id>', 'shows the new passwords of a report, once', (context, [id], flags) => passwords.showReport(context, id!, flags), [{ flags: '-o, --output <file>', says: 'a new CSV file to write to, readable by you alone; a table on standard output without it' }])
}
