import { posix } from 'node:path'
import { z } from 'zod'
import { timeZone } from '../organizations/declaration.ts'
import { DEFAULT_LIMIT } from '../rules/feedPolicy.ts'
import { scheduleFault } from './schedule.ts'
import { faultOfUrl } from './webhookAddress.ts'

/** The declaration of a feed (spec A5 to A7). This schema is the truth; docs/feed.schema.json is made from it. */

const name = z.string().trim().min(1).max(200)
/** Part of file names, URLs and queue job ids. */
const key = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'is lower-case letters, digits and hyphens, at most 63')
/** The name of a secret, given beforehand with `muster feed secret`. */
const secret = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'is the name of a secret: letters, digits, dots, hyphens and underscores')

/** A file name with * for any text and ? for one character; no folders. */
const pattern = z.string().max(200).regex(/^[^/\\]+$/, 'is a file name with * and ?, without a folder')
const folder = z.string().max(1000).regex(/^[^\0\r\n]+$/, 'is the path of a folder')

/** What could never be told is refused at once, and not found out by an alert that reaches nobody. */
const webhookUrl = z.url({ protocol: /^https?$/, abort: true }).check(({ value, issues }) => {
  const fault = URL.canParse(value) ? faultOfUrl(new URL(value)) : null
  if (fault !== null) issues.push({ code: 'custom', input: value, message: `cannot be told anything: ${fault}` })
})

const limit = z.strictObject({ people: z.int().min(0).nullable().default(DEFAULT_LIMIT.people), percent: z.number().min(0).max(100).nullable().default(DEFAULT_LIMIT.percent) })
const limits = limit.nullable().prefault({}).transform((given) => given ?? { people: null, percent: null })

const readiness = z.discriminatedUnion('kind', [
  /** The sender writes under a temporary name and renames; whatever matches the pattern and none of these is whole. */
  z.strictObject({ kind: z.literal('rename'), temporary: z.array(pattern).max(20).default(['.*', '*.tmp', '*.part', '*.filepart']) }),
  /** A file is whole once a second one lies beside it, named like it with this behind. With `hash` it holds the SHA-256 of the file in hex. */
  z.strictObject({ kind: z.literal('marker'), suffix: z.string().min(1).max(50).regex(/^[^/\\*?]+$/).default('.done'), hash: z.boolean().default(false) }),
  /** A file is whole once its size and time were the same in two looks this far apart. */
  z.strictObject({ kind: z.literal('stable'), seconds: z.int().min(1).max(3600).default(60) }),
])

const scope = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('own') }),
  z.strictObject({ kind: z.literal('customer'), customer: name }),
  z.strictObject({ kind: z.literal('group'), group: name }),
  z.strictObject({ kind: z.literal('security'), dimension: z.enum(['company', 'businessUnit', 'department', 'location']), group: name }),
  z.strictObject({ kind: z.literal('attribute'), attribute: name, value: name }),
])

/** A folder's path without what says nothing: "./done/", "in/../done" and "done" are one. */
const plainFolder = (path: string): string => posix.normalize(path).replace(/(?<=.)\/$/, '')

export const feedSchema = z.strictObject({
  $schema: z.string().optional(),
  organization: key,
  name: key,
  server: z.strictObject({
    host: z.string().max(255).regex(/^[A-Za-z0-9.:_-]+$/, 'is a host name or an IP address'),
    port: z.int().min(1).max(65_535).default(22),
    username: name,
    /** By key or by password; both are secrets given beforehand. */
    login: z.union([z.strictObject({ key: secret, passphrase: secret.nullable().default(null) }), z.strictObject({ password: secret })], 'is {"key": NAME} (with "passphrase": NAME where the key has one) or {"password": NAME}; each NAME is that of a secret'),
  }),
  folder: folder.default('.'),
  pattern,
  /** What tells which of two files is the newer one. */
  order: z.enum(['modified', 'name']).default('modified'),
  /** Five fields: minute, hour, day of the month, month, day of the week. Null: runs only when it is told to. */
  schedule: z
    .string()
    .check(({ value, issues }) => {
      const fault = scheduleFault(value)
      if (fault !== null) issues.push({ code: 'custom', input: value, message: fault })
    })
    .nullable(),
  /** Of the schedule; null: the organization's. */
  timeZone: timeZone.nullable().default(null),
  readiness: readiness.prefault({ kind: 'stable' }),
  mode: z.enum(['changes', 'full']),
  scope: scope.default({ kind: 'own' }),
  /** People whom the file names become the feed's own, though somebody else brought them; they are then deactivated when they are missing. */
  adopts: z.boolean().default(false),
  /** A saved mapping of the organization (spec A4). */
  mapping: name.nullable().default(null),
  /** As --delivery: none owes nothing, held waits for a release, now sends at once. */
  delivery: z.enum(['none', 'held', 'now']).default('held'),
  /** More than this is held for an administrator (spec A6). Null: no limit. */
  thresholds: z.strictObject({ creations: limits, updates: limits, deactivations: limits, changedEmails: limits, reactivations: limits }).prefault({}),
  contract: z
    .strictObject({
      /** Minutes after the slot from which the file is late; null: it never is. */
      lateAfterMinutes: z.int().min(1).max(10_080).nullable().default(60),
      /** Minutes after the slot from which it is missing, and no longer waited for; null: files come when they come, and none is waited for. */
      missingAfterMinutes: z.int().min(1).max(10_080).nullable().default(240),
      rows: z
        .strictObject({ least: z.int().min(0).nullable().default(null), most: z.int().min(1).nullable().default(null), changePercent: z.number().min(0).max(1000).nullable().default(null) })
        .prefault({})
        .refine(({ least, most }) => least === null || most === null || least <= most, 'has more rows at least than at most'),
      /** fixed: other headers than last time hold the file. */
      columns: z.enum(['fixed', 'any']).default('fixed'),
    })
    .prefault({})
    .refine(({ lateAfterMinutes, missingAfterMinutes }) => lateAfterMinutes === null || missingAfterMinutes === null || missingAfterMinutes >= lateAfterMinutes, 'has a file missing before it is late')
    .refine(({ lateAfterMinutes, missingAfterMinutes }) => lateAfterMinutes === null || missingAfterMinutes !== null, 'waits for no file, so that none is ever late: where missingAfterMinutes is null, lateAfterMinutes is null, too'),
  /** Hours until what is held is given up. */
  holdHours: z.int().min(1).max(24 * 90).default(72),
  /** Folder on the server that a file is moved into once it was dealt with; null: it is left where it is. */
  archive: folder.nullable().default(null),
  /** Answer on the server with FILE.ack.json and FILE.errors.csv. */
  acknowledge: z.boolean().default(true),
  pgp: z
    .strictObject({
      /** Our private key (armored), a secret. Null: files are signed and not encrypted. */
      privateKey: secret.nullable().default(null),
      passphrase: secret.nullable().default(null),
      /** The sender's public keys (armored). Given: what none of them has signed is refused. */
      senderKeys: z.array(z.string().startsWith('-----BEGIN PGP PUBLIC KEY BLOCK-----', 'is no armored public key').max(100_000)).max(10).default([]),
    })
    .refine(({ privateKey, senderKeys }) => privateKey !== null || senderKeys.length > 0, 'has neither a key to decrypt with nor one to check signatures with')
    .nullable()
    .default(null),
  alerts: z
    .strictObject({
      mails: z.array(z.email()).max(20).default([]),
      /** Told of every alert and its end; signed with the secret (Standard Webhooks). */
      webhook: z.strictObject({ url: webhookUrl, secret }).nullable().default(null),
    })
    .prefault({}),
}).refine(({ folder: from, archive }) => archive === null || plainFolder(archive) !== plainFolder(from), { path: ['archive'], message: 'is the folder that files are looked for in; name another one' })
export type FeedDeclaration = Omit<z.infer<typeof feedSchema>, '$schema'>
/** What is kept in feeds.definition. */
export type FeedDefinition = Omit<FeedDeclaration, 'organization' | 'name'>

/** A part of a declaration that cannot be taken. `code` says so where something is named that is not there. */
export type FeedFault = { path: string; message: string; code?: string }

/** A declaration that cannot be taken; every fault with its place, all at once. Its code is feed.invalid, or that of the first thing named that is not there. */
export class FeedRefused extends Error {
  readonly code: string
  readonly faults: FeedFault[]

  constructor(faults: FeedFault[]) {
    super(`The declaration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`)
    this.name = 'FeedRefused'
    this.code = faults.find(({ code }) => code !== undefined)?.code ?? 'feed.invalid'
    this.faults = faults
  }
}

/** Checks a declaration and fills in the defaults. Throws FeedRefused with every fault. */
export function parseFeed(input: unknown): FeedDeclaration {
  const parsed = feedSchema.safeParse(input)
  if (parsed.success) {
    delete parsed.data.$schema
    return parsed.data
  }
  throw new FeedRefused(parsed.error.issues.map((issue) => ({ path: issue.path.join('.') || '(top)', message: issue.message })))
}
