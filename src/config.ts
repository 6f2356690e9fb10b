/** The settings: environment -> one checked, frozen object. The only place that reads the environment. */
import { join, resolve } from 'node:path'
import { z } from 'zod'

export type Config = {
  /** The database to use; null: the embedded PostgreSQL in `home`. */
  readonly databaseUrl: string | null
  /** Redis for the queue; null: the queue lives in PostgreSQL. */
  readonly redisUrl: string | null
  /** The mail server; null: the built-in mailbox. */
  readonly smtpUrl: string | null
  /** Folder of embedded data and mailbox, absolute. */
  readonly home: string
  /** Port of the console; 0 = any that is free. */
  readonly port: number
  /** PORT was not given: another port will do where this one is taken. */
  readonly portIsDefault: boolean
  /** Port of the portal and the HTTP API; 0 = any that is free. */
  readonly portalPort: number
  /** PORTAL_PORT was not given: another port will do where this one is taken. */
  readonly portalPortIsDefault: boolean
  /** The address that the portal listens on; 127.0.0.1 unless something else is asked for. */
  readonly portalHost: string
  /** Proxies in front of the portal that tell, in X-Forwarded-For, who asks. */
  readonly trustedProxies: number
  /** What hashing a password costs from now on. Passwords that were hashed for less are hashed anew at the next sign-in. */
  readonly hashCost: { readonly memory: number; readonly passes: number; readonly parallelism: number }
  /** Base of links in mails, without a slash at its end; null: the portal's own address. */
  readonly publicUrl: string | null
  /** Seals feed secrets and sessions; null: the one made and kept in `home`. Never null with `databaseUrl`. */
  readonly secret: string | null
  /** What MUSTER_SECRET was before: what was sealed with it can still be opened, until it is sealed anew. */
  readonly previousSecret: string | null
  /** Who works here, for the audit trail and approvals; null: the user's name on the system. */
  readonly operator: string | null
  /** Port of the demonstration drop (SFTP) of `muster up`; 0 = any that is free. */
  readonly dropPort: number
  /** DROP_PORT was not given: another port will do where this one is taken. */
  readonly dropPortIsDefault: boolean
  readonly logLevel: LogLevel
  /** A named place where the process kills itself, for tests of crashes; null except under NODE_ENV=test. */
  readonly failpoint: string | null
}

export type LogLevel = (typeof LOG_LEVELS)[number]

export type Environment = Readonly<Record<string, string | undefined>>

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
const SECRET_LENGTH = 32

/** Every fault of the settings at once; `message` is for a person and has one line for each. */
export class SettingsRefused extends Error {
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`These settings cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}\nNothing was started. docs/operations.md describes every setting.`)
    this.name = 'SettingsRefused'
    this.faults = faults
  }
}

const addressOf = (schemes: readonly string[], example: string) =>
  z.string().refine((text) => {
    const url = URL.parse(text)
    return url !== null && schemes.includes(url.protocol.slice(0, -1)) && url.hostname !== ''
  }, `must be an address such as ${example}`)

const wholeNumber = (least: number, most: number) =>
  z.string().regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`).transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}`).nullable()

const settings = z
  .object({
    DATABASE_URL: addressOf(['postgres', 'postgresql'], 'postgres://user:password@host:5432/muster').nullable(),
    REDIS_URL: addressOf(['redis', 'rediss'], 'redis://host:6379').nullable(),
    SMTP_URL: addressOf(['smtp', 'smtps'], 'smtp://user:password@host:587').nullable(),
    MUSTER_HOME: z.string().nullable(),
    PORT: wholeNumber(0, 65_535),
    PORTAL_PORT: wholeNumber(0, 65_535),
    PORTAL_HOST: z.string().regex(/^[\w.:-]+$/, 'must be an address to listen on, such as 127.0.0.1 or 0.0.0.0').nullable(),
    TRUSTED_PROXIES: wholeNumber(0, 10),
    ARGON2_MEMORY: wholeNumber(7_168, 1_048_576),
    ARGON2_PASSES: wholeNumber(1, 20),
    PUBLIC_URL: addressOf(['http', 'https'], 'https://onboarding.example.com').nullable(),
    MUSTER_SECRET: z.string().min(SECRET_LENGTH, `must have at least ${SECRET_LENGTH} characters; "openssl rand -base64 33" makes one`).nullable(),
    MUSTER_SECRET_PREVIOUS: z.string().min(SECRET_LENGTH, `must be what MUSTER_SECRET was, with at least ${SECRET_LENGTH} characters`).nullable(),
    MUSTER_OPERATOR: z.string().max(200).nullable(),
    DROP_PORT: wholeNumber(0, 65_535),
    LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).nullable(),
    MUSTER_FAILPOINT: z.string().nullable(),
    NODE_ENV: z.string().nullable(),
  })
  .check(({ value, issues }) => {
    if (value.DATABASE_URL === null || value.MUSTER_SECRET !== null) return
    issues.push({
      code: 'custom', input: value, path: ['MUSTER_SECRET'],
      message: `must be given together with DATABASE_URL, the same for every process: at least ${SECRET_LENGTH} characters; "openssl rand -base64 33" makes one`,
    })
  })

/**
 * Reads the settings; one that is empty counts as not given. Throws SettingsRefused with all faults at once.
 * A relative MUSTER_HOME starts at the current folder, the default one at the checkout.
 */
export const readConfig = (env: Environment = process.env): Config => {
  const given = Object.fromEntries(Object.keys(settings.shape).map((name) => [name, env[name]?.trim() || null]))
  const checked = settings.safeParse(given)
  if (!checked.success) {
    throw new SettingsRefused(checked.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}.`))
  }
  const { data } = checked
  return Object.freeze({
    databaseUrl: data.DATABASE_URL,
    redisUrl: data.REDIS_URL,
    smtpUrl: data.SMTP_URL,
    home: data.MUSTER_HOME === null ? join(import.meta.dirname, '..', '.muster') : resolve(data.MUSTER_HOME),
    port: data.PORT ?? 3000,
    portIsDefault: data.PORT === null,
    portalPort: data.PORTAL_PORT ?? 3001,
    portalPortIsDefault: data.PORTAL_PORT === null,
    portalHost: data.PORTAL_HOST ?? '127.0.0.1',
    trustedProxies: data.TRUSTED_PROXIES ?? 0,
    hashCost: Object.freeze({ memory: data.ARGON2_MEMORY ?? 19_456, passes: data.ARGON2_PASSES ?? 2, parallelism: 1 }),
    publicUrl: data.PUBLIC_URL?.replace(/\/+$/, '') ?? null,
    secret: data.MUSTER_SECRET,
    previousSecret: data.MUSTER_SECRET_PREVIOUS,
    operator: data.MUSTER_OPERATOR,
    dropPort: data.DROP_PORT ?? 3022,
    dropPortIsDefault: data.DROP_PORT === null,
    logLevel: data.LOG_LEVEL ?? 'info',
    failpoint: data.NODE_ENV === 'test' ? data.MUSTER_FAILPOINT : null,
  })
}
