import { showUser } from '../accounts/showUser.ts'
import { listDeliveries } from '../deliveries/list.ts'
import { readAudit } from '../organizations/audit.ts'
import { organizationId } from '../organizations/organizations.ts'
import { showEmail } from '../rules/emails.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { bold, count, dim, EXIT, inert, table, type ExitStatus } from './output.ts'

/** Deliveries of one user that are shown. */
const MOST_DELIVERIES = 100
const SHOWN_ENTRIES = 50

const moment = (instant: string | null): string => instant?.slice(0, 16).replace('T', ' ') ?? ''

/** `muster users show USERNAME`: one user with everything. */
export function showOneUser(context: Context, username: string, flags: { organization: string }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const organization = await organizationId(database, flags.organization)
    const found = await database.tenant(organization, async (tx) => {
      const user = await showUser(tx, username)
      return user && { user, deliveries: await listDeliveries(tx, { userId: user.id, limit: MOST_DELIVERIES }) }
    })
    if (!found) throw new CommandRefused('users.unknown', `There is no user ${JSON.stringify(username)}.`, `./muster users list --organization ${flags.organization} --filter TEXT looks in names, addresses and external ids, too.`)
    const { user, deliveries } = found
    if (out.json) {
      out.data({ user: { ...user, deliveries } })
      return EXIT.done
    }
    out.say(`${bold(inert(user.username))}: ${inert(`${user.firstName} ${user.lastName}`)}${user.email === null ? '' : `, ${inert(showEmail(user.email))}`}`)
    const inGeneral = user.rolesHeld.filter(({ product }) => product === null)
    const facts: [string, string | null][] = [
      ['state', `${user.state}, ${user.loginable ? 'can log in' : 'cannot log in'}${user.contactState === 'active' ? '' : ', contact deactivated'}`],
      ['account kind', user.accountKind], ['external id', user.externalId], ['user id', `${user.id}, contact ${user.contactId}`],
      ['groups', user.groups.join(', ') || 'none'], ['profile', user.profile ?? 'none'], ['license', user.license ?? 'none'],
      ['roles', inGeneral.map(({ role, userType }) => `${role}${userType ? ` (${userType})` : ''}`).join(', ') || 'No role assigned'],
      ...user.rolesHeld.filter(({ product }) => product !== null).map(({ role, product, tenant }): [string, string] => ['product', `${product}${tenant ? ` / ${tenant}` : ''}: ${role ?? 'No role assigned'}`]),
      ['company', user.company], ['business unit', user.businessUnit], ['department', user.department], ['location', user.location],
      ...Object.entries(user.lookups).map(([field, names]): [string, string] => [field, names.join(', ')]),
      ...user.customers.map(({ customer, worksite, contactRole }): [string, string] => ['customer', [customer, worksite, contactRole].filter((part) => part !== null).join(' / ')]),
      ['password', { none: 'none was ever made', made: `made for the person${user.mustChangePassword ? ', to be changed at the first sign-in' : ''}`, chosen: 'chosen by the person' }[user.password]],
      ['last login', user.lastLoginAt === null ? 'has not logged in yet' : `${moment(user.lastLoginAt)} UTC`],
      ['notice', user.noticeAcceptedAt === null ? 'not accepted' : `accepted ${moment(user.noticeAcceptedAt)} UTC`],
      ['sessions', user.sessions === 0 ? 'none' : count(user.sessions, 'session')],
      ['made', `${moment(user.createdAt)} UTC${user.createdByImport === null ? '' : ` by import ${user.createdByImport}`}, changed ${moment(user.updatedAt)} UTC`],
    ]
    for (const [name, value] of facts) if (value !== null) out.say(`  ${name.padEnd(15)}${inert(value)}`)
    if (user.invitations.length > 0) {
      out.say('invitations')
      for (const line of table(['epoch', 'state', 'saved (UTC)', 'sent (UTC)', 'expires (UTC)'], user.invitations.map(({ epoch, state, createdAt, launchedAt, expiresAt }) => [String(epoch), state.replace('_', ' '), moment(createdAt), moment(launchedAt), moment(expiresAt)]))) out.say(`  ${line}`)
    }
    if (deliveries.length > 0) {
      out.say('mails')
      for (const line of table(['id', 'purpose', 'to', 'state', 'not before (UTC)', 'sent (UTC)', 'reason'], deliveries.map((mail) => [mail.id, mail.purpose, mail.to ?? '', mail.state, moment(mail.sendAt), moment(mail.sentAt), mail.reason ?? '']))) out.say(`  ${line}`)
    }
    return EXIT.done
  })
}

/** `muster audit`: who did what, the latest first. */
export function showAudit(context: Context, flags: { organization: string; limit?: number }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const limit = flags.limit ?? SHOWN_ENTRIES
    const entries = await database.tenant(await organizationId(database, flags.organization), (tx) => readAudit(tx, limit))
    if (out.json) for (const entry of entries) out.data(entry)
    else if (entries.length === 0) out.say('Nothing was done by an operator yet.')
    else {
      for (const line of table(['at (UTC)', 'operator', 'action', 'detail'], entries.map(({ at, operator, action, detail }) => [moment(at), operator, action, detailText(detail)]))) out.say(line)
      if (entries.length === limit) out.say(dim('and perhaps more; --limit shows more, --json every id.'))
    }
    return EXIT.done
  })
}

/** Lists as their number: whose they are, --json says. */
function detailText(detail: Record<string, unknown>): string {
  return Object.entries(detail).filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => `${name} ${Array.isArray(value) ? value.length : typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ')
}
