import { resolveChanges, type TypedChanges } from '../accounts/userChanges.ts'
import { ACCOUNT_KINDS } from '../entities/states.ts'
import { enable, send, type Mailing, type Sending } from '../jobs/operateUsers.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import type { Organization } from '../organizations/organizations.ts'
import { emailKey } from '../rules/emails.ts'
import { bulk, type BulkAction, type BulkFlags } from './bulk.ts'
import { ensureWorker, type Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { countMails, followMails } from './followMails.ts'
import type { Installation } from './installation.ts'
import { count, duration, inert, number, yellow, type ExitStatus } from './output.ts'
import { readWish } from './readWish.ts'
import { headline } from './users.ts'

export type SendFlags = BulkFlags & { at?: string; toMe?: string; to?: string }

const PURPOSES = ['credentials', 'invitation'] as const
/** What a mail is called to people. */
const MAIL: Readonly<Record<string, [one: string, many: string]>> = {
  credentials: ['mail with credentials', 'mails with credentials'],
  operatorCredentials: ['mail with credentials to the operator', 'mails with credentials to the operator'],
  invitation: ['invitation', 'invitations'],
  alreadyRegistered: ['reminder to somebody who has registered already', 'reminders to people who have registered already'],
}
const SSO_HINT = 'People of this organization sign in through its own login; there is nothing to send.'

/** `muster users send credentials|invitation`: at once, or on a date; to the person, or to an operator who hands credentials over. */
export function sendToUsers(context: Context, what: string, flags: SendFlags): Promise<ExitStatus> {
  const purpose = PURPOSES.find((known) => known === what)
  if (!purpose) throw new CommandRefused('usage.send', `There is no mail ${JSON.stringify(what)} to send.`, 'Write credentials or invitation.')
  let mailing: Mailing = { purpose, sendAt: 'now' }
  return bulk(context, flags, {
    name: 'users.send',
    of: 'users',
    async prepare(installation, organization) {
      refuseForSso(organization)
      mailing = { purpose, sendAt: await readMoment(installation, organization, flags.at ?? 'now'), deliverTo: operatorOf(organization, purpose, flags.toMe ?? flags.to) }
    },
    work: (tx, ids, operator) => send(tx, operator, ids, mailing),
    tell: (sending, done, organization) => {
      const userIds = [...new Set(sending.mailed.flatMap((mails) => mails.userIds))]
      return {
        userIds,
        leftOut: sending.leftOut,
        headline: userIds.length === 0 ? 'Nobody would get a mail' : `${mailsOf(sending)} ${done ? (userIds.length === 1 ? 'is' : 'are') : 'would be'} owed${mailing.deliverTo === undefined ? '' : ` to ${inert(mailing.deliverTo)}`}`,
        lines: etaLines(sending, mailing, organization),
        document: mailDocument(sending, mailing),
        question: `${mailing.sendAt === 'now' ? 'Send' : 'Schedule'} ${mailsOf(sending)}?`,
      }
    },
    after: (installation, organization, sending) => leave(context, installation, organization, sending, mailing),
  })
}

export type EnableFlags = BulkFlags & Pick<TypedChanges, 'group' | 'profile' | 'license' | 'role' | 'username' | 'company' | 'businessUnit' | 'department' | 'location' | 'lookup'> & { kind?: string; delivery?: string; at?: string }

/** `muster users enable`: makes users from contacts, or opens those that are there. */
export function enableUsers(context: Context, flags: EnableFlags): Promise<ExitStatus> {
  const kind = ACCOUNT_KINDS.find((known) => known === flags.kind?.toLowerCase())
  if (flags.kind !== undefined && !kind) throw new CommandRefused('usage.kind', `--kind ${JSON.stringify(flags.kind)} is not known.`, `Write one of ${ACCOUNT_KINDS.map((known) => JSON.stringify(known)).join(', ')}.`)
  if (flags.delivery !== undefined && !['none', ...PURPOSES].includes(flags.delivery)) throw new CommandRefused('usage.delivery', `--delivery ${JSON.stringify(flags.delivery)} is not known.`, 'Write credentials, invitation or none.')
  let mailing: Mailing | null = null
  const action: BulkAction<Awaited<ReturnType<typeof enable>>> = {
    name: 'users.enable',
    of: 'contacts',
    async prepare(installation, organization) {
      const { login, defaults } = organization.settings
      if (flags.delivery !== undefined && flags.delivery !== 'none') refuseForSso(organization)
      const purpose = login.sso ? 'none' : (PURPOSES.find((known) => known === flags.delivery) ?? (flags.delivery === 'none' ? 'none' : defaults.delivery))
      if (purpose === 'none' && flags.at !== undefined) throw new CommandRefused('usage.delivery', '--at says when a mail leaves, and none is owed.', 'Add --delivery credentials or --delivery invitation, or leave --at out.')
      mailing = purpose === 'none' ? null : { purpose, sendAt: flags.at === undefined ? null : await readMoment(installation, organization, flags.at) }
    },
    async work(tx, ids, operator, { settings }) {
      const catalog = await loadCatalog(tx)
      return enable(tx, operator, { contactIds: ids, kind: kind ?? null, given: resolveChanges(flags, catalog, settings), mailed: mailing !== null }, catalog, settings, mailing)
    },
    tell({ created, opened, awaiting, leftOut, notInvitable, sending }, done, organization) {
      const userIds = [...created.map(({ userId }) => userId), ...opened]
      const blocked = created.filter(({ loginable }) => !loginable).length
      const passedOver = opened.length > 0 && GIVEN.some((option) => flags[option] !== undefined)
      return {
        userIds,
        leftOut: [...leftOut, ...(notInvitable === null ? sending.leftOut : sending.leftOut.filter(({ reason }) => reason !== 'not_invitable_alone'))],
        headline: opened.length === 0 ? headline(created.length, 'made', done) : `${headline(created.length, 'made', done)}, and ${headline(opened.length, 'opened again', done)}`,
        made: created.map(({ userId }) => userId),
        lines: [
          ...(opened.length > 0 ? [asTheyWere(opened.length, passedOver, done)] : []),
          ...(awaiting.length > 0 ? [yellow(`${count(awaiting.length, 'contact')} ${done ? (awaiting.length === 1 ? 'awaits' : 'await') : 'would await'} a license, for no seat is free: ${awaiting.slice(0, 3).map(({ username }) => inert(username)).join(', ')}${awaiting.length > 3 ? ` and ${number(awaiting.length - 3)} more` : ''}.`)] : []),
          ...(blocked > 0 && !organization.settings.login.sso ? [yellow(`${count(blocked, 'of them', 'of them')} cannot log in yet: a group, a profile or a license is missing.`)] : []),
          ...(notInvitable !== null && mailing?.purpose === 'invitation' && created.length > 0 ? [yellow(`The role ${inert(notInvitable)} alone cannot be invited: saved, and not invited. Add another role first.`)] : []),
          ...(organization.settings.login.sso ? ['No mail is owed: the organization signs in through SSO.'] : sending.mailed.length === 0 ? ['No mail is owed.'] : [`${mailsOf(sending)} ${done ? 'owed' : 'would be owed'}.`, ...etaLines(sending, mailing!, organization)]),
        ],
        document: {
          created: created.map(({ userId, contactId, username }) => ({ id: done ? userId : null, contactId, username })), opened, openedAsTheyWere: passedOver, awaiting: awaiting.map(({ contactId }) => contactId), notLoginable: blocked,
          notInvitable: mailing?.purpose === 'invitation' ? notInvitable : null, ...mailDocument(sending, mailing),
        },
        partly: awaiting.length > 0 || passedOver || (notInvitable !== null && mailing?.purpose === 'invitation' && created.length > 0),
        question: `Enable access for ${count(userIds.length + awaiting.length, 'contact')}?`,
      }
    },
    after: (installation, organization, { sending }) => (mailing === null || mailing.sendAt === null ? Promise.resolve({ document: {}, lines: [], partly: false }) : leave(context, installation, organization, sending, mailing)),
  }
  return bulk(context, flags, action)
}

/** What a new user is given; those that are opened again have theirs already. */
const GIVEN = ['group', 'profile', 'license', 'role', 'username', 'company', 'businessUnit', 'department', 'location', 'lookup'] as const satisfies readonly (keyof EnableFlags)[]

/** Whoever is a user already gets nothing of what was asked for here, and that must not go unsaid. */
function asTheyWere(opened: number, passedOver: boolean, done: boolean): string {
  const said = `${headline(opened, 'opened', done)} as before${passedOver ? ', without what was asked for here: that is for new users' : ''}; ./muster users set changes what somebody has.`
  return passedOver ? yellow(said) : said
}

function refuseForSso({ name, settings }: Organization): void {
  if (settings.login.sso) throw new CommandRefused('delivery.sso', `${name} signs in through SSO: no credentials or invitations are sent.`, SSO_HINT)
}

/** An operator's own address: one of those that the organization names, so that a slip of the pen hands no passwords to strangers. */
function operatorOf({ settings }: Organization, purpose: string, address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  if (purpose !== 'credentials') throw new CommandRefused('usage.to', 'An invitation goes to the invited person alone.', 'Leave --to out, or send credentials.')
  const operator = settings.operators.find((known) => emailKey(known) === emailKey(address.trim()))
  if (operator === undefined) throw new CommandRefused('delivery.not_an_operator', `${JSON.stringify(address)} is no operator of this organization.`, settings.operators.length > 0 ? `Its operators: ${settings.operators.join(', ')}.` : 'Add the address to "operators" of its declaration first.')
  return operator
}

async function readMoment(installation: Installation, organization: Organization, text: string): Promise<Date | 'now'> {
  const wish = await readWish(installation, organization.id, text, '--at')
  if (wish.kind === 'now') return 'now'
  if (wish.kind !== 'at') throw new CommandRefused('usage.delivery', `--at ${JSON.stringify(text)} is no date.`, 'Write now, or a date such as "2026-12-01 08:00".')
  return new Date(wish.instant)
}

const howMany = ({ mailed }: Sending): number => mailed.reduce((sum, { userIds }) => sum + userIds.length, 0)

function mailsOf(sending: Sending): string {
  return new Intl.ListFormat('en').format(sending.mailed.map(({ purpose, userIds }) => count(userIds.length, ...(MAIL[purpose] ?? ([`${purpose} mail`, `${purpose} mails`] as [string, string])))))
}

function mailDocument(sending: Sending, mailing: Mailing | null): Record<string, unknown> {
  const sendAt = mailing?.sendAt ?? null
  return { mails: Object.fromEntries(sending.mailed.map(({ purpose, userIds }) => [purpose, userIds.length])), sendAt: sendAt instanceof Date ? sendAt.toISOString() : sendAt }
}

/** When they leave, and how long that takes at the organization's rate. */
function etaLines(sending: Sending, { sendAt }: Mailing, { settings, timeZone }: Organization): string[] {
  const mails = howMany(sending)
  if (mails === 0) return []
  const rate = settings.mail.ratePerMinute
  const lasts = rate === null ? 0 : ((mails - 1) / rate) * 60_000
  const at = rate === null ? '' : `, at ${number(rate)} a minute`
  const [they, is, leave] = mails === 1 ? ['It', 'is', 'leaves'] : ['They', 'are', 'leave']
  if (sendAt === null) return [`${they} ${is} held until ${they.toLowerCase()} ${is} released.`]
  if (sendAt === 'now') return [`${they} ${leave} at once${at}${lasts > 1000 ? `: the last one after ${duration(lasts)}` : ''}.`]
  return [`${they} ${leave} from ${inZone(sendAt, timeZone)} (${timeZone})${at}${lasts > 1000 ? `: the last one at ${inZone(new Date(sendAt.getTime() + lasts), timeZone)}` : ''}.`]
}

function inZone(instant: Date, timeZone: string): string {
  return Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(timeZone).toPlainDateTime().toString({ smallestUnit: 'minute' }).replace('T', ' ')
}

/** Has them leave: wakes the workers, and stays until the mails that are due have left where nobody else sees to it. */
async function leave(context: Context, installation: Installation, { id }: Organization, sending: Sending, { sendAt }: Mailing): Promise<{ document: Record<string, unknown>; lines: string[]; partly: boolean }> {
  if (howMany(sending) === 0) return { document: {}, lines: [], partly: false }
  const ours = sendAt === 'now' ? await ensureWorker(installation, context.out) : false
  await installation.queues.wake('deliver', { organizationId: id })
  if (ours) await followMails(installation, id, sending.mailed, context.out)
  const states = await installation.database.tenant(id, (tx) => countMails(tx, sending.mailed))
  const failed = (states.failed ?? 0) + (states.unknown ?? 0)
  const lines = ours ? [`Mails: ${Object.entries(states).map(([state, mails]) => `${number(mails)} ${state}`).join(', ')}.`] : []
  if (sendAt instanceof Date && installation.embedded) lines.push('./muster up has to run then: nobody else sends them.')
  if (failed > 0) lines.push('./muster deliveries list --state failed shows what the mail server said.')
  return { document: { deliveries: states }, lines, partly: failed > 0 }
}
