import { parseFilters, type PeopleFilter } from '../accounts/filterPeople.ts'
import { listContacts, listUsers, type ContactLine, type UserLine } from '../accounts/listPeople.ts'
import type { Transaction } from '../entities/database.ts'
import { organizationId } from '../organizations/organizations.ts'
import { showEmail } from '../rules/emails.ts'
import { showPhone } from '../rules/phones.ts'
import type { Context } from './context.ts'
import { count, dim, EXIT, table, type ExitStatus } from './output.ts'

export type ListFlags = { organization: string; filter?: string[]; limit?: number }

/** Lines read at once, and lines shown to people unless they ask for more. */
const PAGE = 2_000
const SHOWN = 100

type Reader<Line> = (tx: Transaction, filter: PeopleFilter, page: { after: string; limit: number }) => Promise<Line[]>

/** `muster contacts list` */
export function listContactLines(context: Context, flags: ListFlags): Promise<ExitStatus> {
  return listLines(context, flags, listContacts, ['id', 'external id', 'name', 'e-mail', 'phone', 'users', 'state'], (line: ContactLine) => [
    line.id, line.externalId ?? '', `${line.firstName} ${line.lastName}`, line.email ? showEmail(line.email) : '', line.phone ? showPhone(line.phone) : '', line.users.join(', '), line.state,
  ])
}

/** `muster users list` */
export function listUserLines(context: Context, flags: ListFlags): Promise<ExitStatus> {
  return listLines(context, flags, listUsers, ['id', 'username', 'e-mail', 'kind', 'groups', 'profile', 'license', 'roles', 'onboarding', 'can log in', 'last login (UTC)', 'state'], (line: UserLine) => [
    line.id, line.username, line.email ? showEmail(line.email) : '', line.accountKind, line.groups.join(', '), line.profile ?? '', line.license ?? '', line.roles.join(', '), line.onboarding ?? '',
    line.loginable ? 'yes' : 'no', line.lastLoginAt?.slice(0, 16).replace('T', ' ') ?? 'has not logged in yet', line.state,
  ])
}

async function listLines<Line extends { id: string }>(context: Context, flags: ListFlags, read: Reader<Line>, header: string[], row: (line: Line) => string[]): Promise<ExitStatus> {
  const filter = parseFilters(flags.filter ?? [])
  return context.with(async ({ database }) => {
    const { out } = context
    const organization = await organizationId(database, flags.organization)
    const most = flags.limit ?? (out.json ? Number.POSITIVE_INFINITY : SHOWN)
    const shown: Line[] = []
    let told = 0
    let more = false
    for (let after = '0'; told < most; ) {
      const limit = Math.min(PAGE, most - told)
      const lines = await database.tenant(organization, (tx) => read(tx, filter, { after, limit: limit + 1 }))
      more = lines.length > limit
      for (const line of lines.slice(0, limit)) {
        if (out.json) out.data(line)
        else shown.push(line)
        told += 1
      }
      if (!more) break
      after = lines[limit - 1]!.id
    }
    if (out.json) return EXIT.done
    if (shown.length === 0) out.say('Nobody.')
    else for (const line of table(header, shown.map(row))) out.say(line)
    if (more) out.say(dim(`and more; these are the first ${count(told, 'line')}. --limit shows more, --filter fewer.`))
    return EXIT.done
  })
}
