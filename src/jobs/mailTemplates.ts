import { aboutPerson, account, forgotUrl, instants } from '../accounts/composeMail.ts'
import { RESET_MINUTES } from '../accounts/passwordResets.ts'
import { addressOf, buildMessage, type Mailer, type Outcome } from '../deliveries/mailer.ts'
import type { Database, Transaction } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { audit } from '../organizations/audit.ts'
import { listOwnTemplates, readOwnTemplate, storeOwnTemplate } from '../organizations/mailTemplates.ts'
import { LANGUAGES } from '../organizations/declaration.ts'
import { readOrganization, type Organization } from '../organizations/organizations.ts'
import { readSupportContact } from '../organizations/supportContact.ts'
import { checkPublication } from '../templates/publication.ts'
import { exampleVariables, PURPOSES, type PurposeVariables } from '../templates/purposes.ts'
import { compileTemplate, renderTemplate, TemplateRefused, type RenderedMail } from '../templates/render.ts'
import { defaultSource, type Language, type TemplateSource } from '../templates/source.ts'

/** A wording that an organization mails: its own with who published it and when, or the default where `version` is null. */
export type Wording = { purpose: DeliveryPurpose; language: Language; version: number | null; publishedBy: string | null; publishedAt: string | null }

/** Every purpose in every language, with what the organization of the transaction has for it. */
export async function listWordings(tx: Transaction): Promise<Wording[]> {
  const own = await listOwnTemplates(tx)
  return (Object.keys(PURPOSES) as DeliveryPurpose[]).flatMap((purpose) =>
    LANGUAGES.map((language) => {
      const { version = null, publishedBy = null, publishedAt = null } = own.find((template) => template.purpose === purpose && template.language === language) ?? {}
      return { purpose, language, version, publishedBy, publishedAt }
    }),
  )
}

/** What is mailed for a purpose in a language: the organization's own, or the default, where `version` is null. */
export async function readWording(tx: Transaction, purpose: DeliveryPurpose, language: Language): Promise<{ version: number | null; source: TemplateSource }> {
  return (await readOwnTemplate(tx, purpose, language)) ?? { version: null, source: await defaultSource(purpose, language) }
}

/**
 * Publishes an organization's own wording (spec D5): the next mail is made of it.
 * @returns its version, and whether anything changed
 * @throws TemplateRefused with everything that keeps it from being published
 */
export async function publishWording(tx: Transaction, operator: string, purpose: DeliveryPurpose, language: Language, source: TemplateSource): Promise<{ version: number; changed: boolean }> {
  const problems = checkPublication(purpose, source)
  if (problems.length > 0) throw new TemplateRefused(problems)
  return storeOwnTemplate(tx, operator, purpose, language, source)
}

/** Somebody that a mail can be shown for. */
type Row = { firstName: string; lastName: string; username: string; passwordChosenAt: Date | null }

/** A mail as it would be made now, with example secrets. `version` is null for the default wording, `username` where nobody is there to show it for. */
export type Preview = RenderedMail & { purpose: DeliveryPurpose; language: Language; version: number | null; username: string | null }

export type PreviewWish = {
  purpose: DeliveryPurpose
  /** Default: the organization's. */
  language?: Language | undefined
  /** Whom it is shown for; without it the first active user. */
  username?: string | undefined
  /** Base of links, without a slash at its end. */
  publicUrl: string
}

/**
 * A mail of the transaction's organization with a real row (spec D5): somebody's names and username, the organization, its support contact.
 * Passwords and links are examples: nobody's is made, and none is stored.
 * @returns null where there is no such user
 */
export async function previewMail(tx: Transaction, { purpose, language, username, publicUrl }: PreviewWish): Promise<Preview | null> {
  const organization = await readOrganization(tx)
  const person = await readRow(tx, username)
  if (username !== undefined && person === null) return null
  const shown = language ?? (organization.language as Language)
  const { version, source } = await readWording(tx, purpose, shown)
  const facts = { person: person ?? EXAMPLE, organization: { ...organization, language: shown, support: await readSupportContact(tx, organization.settings) } }
  const mail = renderTemplate(compileTemplate(purpose, source), sampleVariables(purpose, facts, publicUrl, await clock(tx)))
  return { ...mail, purpose, language: shown, version, username: person?.username ?? null }
}

const EXAMPLE: Row = { ...exampleVariables('credentials'), passwordChosenAt: null }

async function readRow(tx: Transaction, username: string | undefined): Promise<Row | null> {
  const [row] = await tx.query<Row>(
    `select c.first_name as "firstName", c.last_name as "lastName", u.username, u.password_chosen_at as "passwordChosenAt"
     from users u join contacts c on c.id = u.contact_id
     where case when $1::text is null then u.state = 'active' else u.username = lower($1) end order by u.id limit 1`,
    [username ?? null],
  )
  return row ?? null
}

async function clock(tx: Transaction): Promise<Date> {
  const [row] = await tx.query<{ now: Date }>('select now() as now')
  return row!.now
}

type Facts = { person: Row; organization: Organization & { support: Awaited<ReturnType<typeof readSupportContact>> } }

/** Every variable that a composer gives, as it gives it; the secrets are those of the catalog. */
function sampleVariables<P extends DeliveryPurpose>(purpose: P, facts: Facts, publicUrl: string, now: Date): PurposeVariables[P] {
  const { organization, person } = facts
  const { invitation, password } = organization.settings
  const show = instants()
  const after = (minutes: number): string => show(new Date(now.getTime() + minutes * 60_000), organization.language, organization.timeZone)
  const examples: object = exampleVariables(purpose)
  if (purpose === 'operatorSummary' || purpose === 'feedAlert' || purpose === 'feedAllClear') return { ...examples, organization: organization.name } as PurposeVariables[P]
  const secrets = {
    ...(purpose === 'invitation' && { link: `${publicUrl}/invitations/${EXAMPLE_TOKEN}`, expiresAt: after(invitation.lifetimeDays * 1440) }),
    ...(purpose === 'passwordReset' && { link: `${publicUrl}/reset/${EXAMPLE_TOKEN}`, expiresAt: after(RESET_MINUTES) }),
  }
  const values: object = {
    ...examples,
    ...aboutPerson(facts),
    ...account(facts, publicUrl),
    forgotUrl: forgotUrl(facts, publicUrl),
    mustChange: password.mustChange,
    changedAt: show(person.passwordChosenAt ?? now, organization.language, organization.timeZone),
    ...secrets,
  }
  return values as PurposeVariables[P]
}

/** Stands where a token would; nothing hashes to what is stored of it. */
const EXAMPLE_TOKEN = 'example-of-a-link-which-works-for-nobody'

export type TestParts = { database: Database; mailer: Mailer; publicUrl: string; operator: string; random: (count: number) => Uint8Array }

/** What became of a test mail. stranger: the address is not one of the organization's operators, who are named. */
export type TestOutcome = { is: 'done'; preview: Preview; outcome: Outcome } | { is: 'stranger'; operators: readonly string[] } | { is: 'nobody' }

/**
 * Sends a mail to an operator as a test (spec D5): to addresses that the declaration names as operators' only, marked in its subject, with
 * example secrets, and beside the ledger. In the audit trail it is.
 */
export async function sendTest({ database, mailer, publicUrl, operator, random }: TestParts, organizationId: string, to: string, wish: Omit<PreviewWish, 'publicUrl'>): Promise<TestOutcome> {
  const prepared = await database.tenant(organizationId, async (tx) => {
    const { settings } = await readOrganization(tx)
    const known = settings.operators.find((address) => address.toLowerCase() === to.trim().toLowerCase())
    if (known === undefined) return { is: 'stranger' as const, operators: settings.operators }
    const preview = await previewMail(tx, { ...wish, publicUrl })
    if (preview === null) return { is: 'nobody' as const }
    await audit(tx, operator, 'mail.test', { purpose: preview.purpose, language: preview.language, version: preview.version })
    return { is: 'ready' as const, preview, address: known, from: settings.mail.from ?? `Muster <no-reply@${new URL(publicUrl).hostname}>`, now: await clock(tx) }
  })
  if (prepared.is !== 'ready') return prepared
  const { preview, address, from, now } = prepared
  const { envelope, bytes } = await buildMessage({
    from,
    to: { name: '', address },
    subject: `[Test] ${preview.subject}`,
    text: preview.text,
    html: preview.html,
    messageId: `<test.${Buffer.from(random(12)).toString('hex')}@${addressOf(from).split('@')[1]!}>`,
    date: now,
  })
  // No fence: an operator who gets a test twice, or never, has lost nothing.
  return { is: 'done', preview, outcome: await mailer.send(envelope, bytes, () => Promise.resolve(true)) }
}
