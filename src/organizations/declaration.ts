import { z } from 'zod'
import { SECURITY_DIMENSIONS } from '../entities/states.ts'
import { ACCOUNT_KINDS } from '../entities/states.ts'
import { checkEmail } from '../rules/emails.ts'
import { usernameFormatFault } from '../rules/usernames.ts'

/** The organization's declaration (interface.md). This schema is the truth; docs/organization.schema.json is made from it. */

const name = z.string().trim().min(1).max(200)
const names = z.array(name).refine((list) => new Set(list.map((entry) => entry.toLowerCase())).size === list.length, 'holds a name twice')
const named = <Shape extends z.ZodRawShape>(shape: Shape) => z.array(z.strictObject({ name, ...shape }))

/** An IANA time zone. */
export const timeZone = z.string().refine((zone) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}, 'is not an IANA time zone, such as America/Chicago')

const usernameFormat = z.string().check(({ value, issues }) => {
  const fault = usernameFormatFault(value)
  if (fault !== null) issues.push({ code: 'custom', input: value, message: fault })
})

/** An address, alone or as in Name <address>. */
const sender = z.string().max(320).check(({ value, issues }) => {
  const address = /^[^<>\r\n]*<([^<>\s]+)>$/.exec(value)?.[1] ?? value
  if (checkEmail(address, () => undefined) === null) issues.push({ code: 'custom', input: value, message: 'holds no e-mail address; write Name <address@company.com>' })
})

const webAddress = z.url({ protocol: /^https?$/, hostname: z.regexes.hostname })

export const LANGUAGES = ['en', 'es', 'fr', 'de'] as const
export const MAIL_CHOICES = ['credentials', 'invitation', 'none'] as const
export type MailChoice = (typeof MAIL_CHOICES)[number]

const password = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('random'), length: z.int().min(8).max(128).default(15), mustChange: z.boolean().default(true) }),
  z.strictObject({ kind: z.literal('passphrase'), words: z.int().min(4).max(10).default(4), mustChange: z.boolean().default(true) }),
])

/** Everything of the declaration that is not catalog; kept as it is in organizations.settings. */
export const settingsSchema = z.strictObject({
  username: z
    .strictObject({ format: usernameFormat.default('{first}.{last}'), maxLength: z.int().min(12).max(128).default(32) })
    .prefault({}),
  password: password.prefault({ kind: 'random' }),
  login: z.strictObject({ url: webAddress.nullable().default(null), sso: z.boolean().default(false) }).prefault({}),
  phone: z.enum(['ten-digit', 'nanp', 'e164']).default('ten-digit'),
  matching: z.strictObject({ deactivated: z.enum(['reactivate', 'skip', 'ask']).default('reactivate') }).prefault({}),
  defaults: z
    .strictObject({
      groups: names.default([]),
      profile: name.nullable().default(null),
      license: name.nullable().default(null),
      role: name.nullable().default(null),
      accountKind: z.enum(ACCOUNT_KINDS).default('employee'),
      delivery: z.enum(MAIL_CHOICES).default('none'),
    })
    .prefault({}),
  whenOutOfSeats: z.enum(['contact-only', 'reject']).default('contact-only'),
  /** Named here, or a contact of the organization by external id (spec C7). */
  supportContact: z.union([z.strictObject({ name, email: z.email().optional(), phone: z.string().optional() }), z.strictObject({ externalId: z.string().trim().min(1).max(200) })]).nullable().default(null),
  invitation: z.strictObject({ lifetimeDays: z.int().min(1).max(90).default(7) }).prefault({}),
  onboarding: z
    .strictObject({
      /** What everybody accepts at the first sign-in; null: a short one of ours. */
      notice: z.string().trim().min(1).max(20_000).nullable().default(null),
      /** Whose a person's e-mail and phone are once registered (spec D3): an import does not write over what belongs to the person. */
      contactDetails: z.enum(['organization', 'person']).default('organization'),
      /** Least length of a password that somebody chooses. */
      passwordLength: z.int().min(8).max(64).default(12),
    })
    .prefault({}),
  mail: z
    .strictObject({
      /** Where undeliverable mails come back; a mark for each mail is put before its @, after a +. Null: to the sender. */
      bounceAddress: z.email().nullable().default(null),
      from: sender.nullable().default(null),
      /** Mails a minute over all workers; null: as fast as the server takes them. */
      ratePerMinute: z.int().min(1).max(1_000_000).nullable().default(null),
    })
    .prefault({}),
  /** Who is told how each import ended. */
  operators: z.array(z.email()).max(20).default([]),
  /**
   * Who may approve what a feed holds, by the name that they work under (MUSTER_OPERATOR, or their name on the system); never whoever
   * declared the feed. Empty: anybody else.
   */
  administrators: z.array(name).max(50).default([]),
})
export type Settings = z.infer<typeof settingsSchema>

export const catalogSchema = z.strictObject({
  groups: names.default([]),
  profiles: names.default([]),
  licenses: named({ seats: z.int().min(0).nullable().default(null) }).default([]),
  roles: named({ userType: z.string().max(200).nullable().default(null), description: z.string().max(2000).nullable().default(null), required: z.boolean().default(false), invitableAlone: z.boolean().default(true) }).default([]),
  products: named({ autoLink: z.boolean().default(false), role: name.nullable().default(null), tenants: names.default([]) }).default([]),
  securityGroups: z.strictObject({ company: names.default(['all']), businessUnit: names.default(['all']), department: names.default(['all']), location: names.default(['all']) }).prefault({}),
  /** Fields of authorized lookups (spec C6), such as jobCode, each with its security groups. */
  lookups: z.record(z.string().regex(/^[a-z][a-zA-Z0-9]{0,62}$/, 'is no field name: write one such as jobCode'), names).default({}),
  customers: named({ worksites: names.default([]), contactRoles: names.default([]) }).default([]),
})
export type CatalogDeclaration = z.infer<typeof catalogSchema>

/** An organization's pages of the portal begin with its key: these are others. No new organization gets one; one that has it already keeps it. */
export const RESERVED_KEYS: readonly string[] = ['invitations', 'reset', 'api', 'assets', 'notice', 'password', 'sign-out', 'health', 'healthz', 'metrics']

const identitySchema = z.strictObject({
  key: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'is lower-case letters, digits and hyphens, at most 63'),
  name,
  timeZone: timeZone.default('UTC'),
  language: z.enum(LANGUAGES).default('en'),
})

export const declarationSchema = z
  .strictObject({ $schema: z.string().optional(), ...identitySchema.shape, ...settingsSchema.shape, ...catalogSchema.shape })
  .superRefine((declaration, context) => {
    const known = (path: (string | number)[], list: readonly string[], value: string | null) => {
      if (value !== null && !list.includes(value)) context.addIssue({ code: 'custom', path, message: `is ${JSON.stringify(value)}, which is not declared` })
    }
    declaration.defaults.groups.forEach((group, index) => known(['defaults', 'groups', index], declaration.groups, group))
    known(['defaults', 'profile'], declaration.profiles, declaration.defaults.profile)
    known(['defaults', 'license'], declaration.licenses.map((license) => license.name), declaration.defaults.license)
    const roles = declaration.roles.map((role) => role.name)
    known(['defaults', 'role'], roles, declaration.defaults.role)
    declaration.products.forEach((product, index) => known(['products', index, 'role'], roles, product.role))
    // Both are kept as dimensions of security groups: a lookup of this name would write over the groups that limit people.
    for (const dimension of SECURITY_DIMENSIONS) {
      if (Object.hasOwn(declaration.lookups, dimension)) context.addIssue({ code: 'custom', path: ['lookups', dimension], message: `is a part of row-level security and cannot be an authorized lookup besides; declare its groups under "securityGroups", or give the lookup another name` })
    }
    for (const list of ['licenses', 'roles', 'products', 'customers'] as const) {
      const seen = new Set<string>()
      declaration[list].forEach((entry, index) => {
        const key = entry.name.toLowerCase()
        if (seen.has(key)) context.addIssue({ code: 'custom', path: [list, index, 'name'], message: `names ${JSON.stringify(entry.name)} twice` })
        seen.add(key)
      })
    }
  })
export type Declaration = z.infer<typeof declarationSchema>

/** A declaration that cannot be taken; every fault with its place, all at once. */
export class DeclarationRefused extends Error {
  readonly code = 'organization.invalid'
  readonly faults: { path: string; message: string }[]

  constructor(faults: { path: string; message: string }[]) {
    super(`The declaration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`)
    this.name = 'DeclarationRefused'
    this.faults = faults
  }
}

/** Checks a declaration and fills in the defaults. Throws DeclarationRefused with every fault. */
export function parseDeclaration(input: unknown): Declaration {
  const parsed = declarationSchema.safeParse(input)
  if (parsed.success) return parsed.data
  throw new DeclarationRefused(parsed.error.issues.map((issue) => ({ path: issue.path.join('.') || '(top)', message: issue.message })))
}

/** The part that is kept in organizations.settings. */
export function settingsOf(declaration: Declaration): Settings {
  const shape = settingsSchema.shape
  return Object.fromEntries(Object.keys(shape).map((key) => [key, declaration[key as keyof Settings]])) as Settings
}
