import type { Transaction } from '../entities/database.ts'
import { listDecisions, type IdentityQuestion } from '../importers/identityDecisions.ts'
import { decideIdentity, type Decided } from '../jobs/decideIdentity.ts'
import { organizationId, organizationOfIdentityDecision, readOrganization } from '../organizations/organizations.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { bold, count, dim, EXIT, inert, type ExitStatus } from './output.ts'
import { perform } from './rehearse.ts'

/** `muster identity list`: both sides of every question that waits, or that was declined. */
export function listIdentity(context: Context, flags: { organization: string; declined?: boolean }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const id = await organizationId(database, flags.organization)
    const questions = await database.tenant(id, (tx) => listDecisions(tx, flags.declined ? 'rejected' : 'waiting'))
    if (out.json) out.data({ organization: flags.organization, questions })
    else if (questions.length === 0) out.say(flags.declined ? 'Nothing was declined.' : 'Nothing waits for a decision.')
    else {
      const now = await database.now()
      for (const question of questions) for (const line of linesOf(question, now)) out.say(line)
      out.say()
      out.say(flags.declined ? './muster identity accept ID  accepts one after all' : './muster identity accept ID...  or  ./muster identity reject ID...')
    }
    return EXIT.done
  })
}

function linesOf({ id, kind, known, given, file, row, askedAt, decidedBy, decidedAt, contactId }: IdentityQuestion, now: Date): string[] {
  const person = (first: string | null, last: string | null, email: string | null): string => inert([[first, last].filter(Boolean).join(' '), email].filter(Boolean).join('  '))
  const mail = known.lastMail === null ? 'never mailed' : `last mail: ${known.lastMail.purpose} to ${inert(known.lastMail.to ?? '(unknown)')}, ${day(known.lastMail.at)}`
  return [
    `${bold(id)}  ${kind === 'moved' ? 'Has this person moved to another address?' : 'Is this person back?'}  ${dim(`asked ${age(askedAt, now)}`)}`,
    `  known     ${person(known.firstName, known.lastName, known.email)}  ${dim(`contact ${contactId}${known.externalId === null ? '' : `, External ID ${inert(known.externalId)}`}${known.state === 'inactive' ? ', deactivated' : ''}; ${mail}`)}`,
    `  the file  ${person(given.firstName, given.lastName, given.email)}  ${dim(`${file === null ? 'a file that is gone' : inert(file)}, row ${row}`)}`,
    ...(decidedAt === null ? [] : [dim(`  declined by ${inert(decidedBy ?? 'somebody')}, ${day(decidedAt)}`)]),
  ]
}

const day = (instant: string): string => `${instant.slice(0, 16).replace('T', ' ')} UTC`

function age(instant: string, now: Date): string {
  const hours = Math.max(0, Math.floor((now.getTime() - Date.parse(instant)) / 3_600_000))
  return hours === 0 ? 'less than an hour ago' : hours < 48 ? `${count(hours, 'hour')} ago` : `${count(Math.floor(hours / 24), 'day')} ago`
}

/** `muster identity accept ID...` and `muster identity reject ID...`: all of them, or none. */
export function decideOnIdentity(context: Context, ids: readonly string[], verdict: 'accept' | 'reject'): Promise<ExitStatus> {
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const owners = new Set<string>()
    for (const id of ids) {
      const owner = /^\d{1,18}$/.test(id) ? await organizationOfIdentityDecision(database, id) : null
      if (owner === null) throw new CommandRefused('identity.unknown', `There is no question ${JSON.stringify(id)}.`, './muster identity list --organization KEY shows what waits.')
      owners.add(owner)
    }
    if (owners.size > 1) throw new CommandRefused('usage.identity', 'These questions belong to several organizations.', 'Decide about those of one organization at a time.')
    const [owner] = owners
    const { decided, key } = await perform(database, owner!, async (tx: Transaction) => ({ decided: await decideIdentity(tx, ids, verdict, operator), key: (await readOrganization(tx)).key }))
    if (out.json) out.data({ action: `identity.${verdict}`, organization: key, decided })
    else for (const one of decided) for (const line of told(one, verdict, key)) out.say(line)
    return EXIT.done
  })
}

function told({ id, kind, name, from, to, users, invitationsRevoked, linksVoided }: Decided, verdict: 'accept' | 'reject', key: string): string[] {
  const who = `${bold(id)}  ${inert(name)}`
  if (verdict === 'reject') return [kind === 'moved' ? `${who} keeps the address ${inert(from ?? '(none)')}; a file that says ${inert(to ?? '(none)')} is not asked about again.` : `${who} stays deactivated; the file is not asked about again until the person is changed.`]
  if (kind === 'deactivated') return [`${who} is active again${users.length === 0 ? '' : `, with ${users.map(({ username }) => inert(username)).join(', ')}`}. The next file brings what else it says.`]
  const voided = invitationsRevoked + linksVoided
  const next = users.filter(({ unregistered }) => unregistered).map(({ id: user }) => `--id ${user}`)
  return [
    `${who} has the address ${inert(to!)} now, and no longer ${inert(from ?? '(none)')}.${voided > 0 ? ` ${count(voided, 'open link')} that went there ${voided === 1 ? 'is' : 'are'} void.` : ''}`,
    ...(next.length > 0 ? [dim(`  Nobody was mailed. To invite the person there: ./muster users send invitation --organization ${key} ${next.join(' ')}`)] : []),
  ]
}
