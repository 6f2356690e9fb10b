import { defineEntity, p, type Opt } from '@mikro-orm/core'
import { Organization } from './organization.ts'
import { identity, now, tenantPolicies } from './tenancy.ts'
import { User } from './user.ts'

/** Somebody who is signed in to the portal. The token itself is in the browser's cookie only. */
export const Session = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  ...tenantPolicies('sessions'),
  indexes: [{ name: 'sessions_user', properties: ['user'] }, { name: 'sessions_expiry', properties: ['expiresAt'] }],
  properties: {
    /** SHA-256 of the token, in hex. */
    tokenHash: p.text().primary(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    user: () => p.manyToOne(User).mapToPk().deleteRule('cascade'),
    createdAt: now(),
    /** The latest request: an idle session ends. */
    seenAt: now(),
    /** However busy, it ends then. */
    expiresAt: p.datetime(3),
  },
})

/** A mailed link by which a password can be chosen anew, once (spec D4). One for a user and epoch, like an invitation. */
export const PasswordReset = defineEntity({
  name: 'PasswordReset',
  tableName: 'password_resets',
  ...tenantPolicies('password_resets'),
  uniques: [{ name: 'password_resets_epoch', properties: ['user', 'epoch'] }, { name: 'password_resets_token', properties: ['tokenHash'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    user: () => p.manyToOne(User).mapToPk().deleteRule('cascade'),
    epoch: p.integer(),
    /** SHA-256 of the token, in hex. */
    tokenHash: p.text(),
    /** Counted from sending. */
    expiresAt: p.datetime(3),
    usedAt: p.datetime(3).nullable(),
    createdAt: now(),
  },
})

/** By which a product asks whether a login is right. The key is shown once, when it is made. */
export const ApiKey = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  ...tenantPolicies('api_keys'),
  uniques: [{ name: 'api_keys_hash', properties: ['keyHash'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    name: p.text(),
    /** SHA-256 of the key, in hex. */
    keyHash: p.text(),
    /** Its first characters, by which people tell keys apart. */
    hint: p.text(),
    createdBy: p.text(),
    createdAt: now(),
    lastUsedAt: p.datetime(3).nullable(),
    revokedAt: p.datetime(3).nullable(),
  },
})

/** New passwords that are not mailed but shown once (spec D2): sealed until they are fetched or their hour is over, then gone. */
export const PasswordReport = defineEntity({
  name: 'PasswordReport',
  tableName: 'password_reports',
  ...tenantPolicies('password_reports'),
  indexes: [{ name: 'password_reports_open', expression: 'create index password_reports_open on password_reports (expires_at) where waiting' }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    /** Null once it was fetched, or its hour is over. */
    sealed: p.blob().nullable(),
    /** Whether `sealed` holds something: what may be asked for all organizations at once. */
    waiting: p.boolean().generated('(sealed is not null) stored').$type<Opt<boolean>>(),
    users: p.integer(),
    createdBy: p.text(),
    createdAt: now(),
    expiresAt: p.datetime(3),
    fetchedAt: p.datetime(3).nullable(),
    fetchedBy: p.text().nullable(),
  },
})

/** Who did what (spec E5). No secrets, and of people their ids only. */
export const AuditEntry = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_entries',
  ...tenantPolicies('audit_entries'),
  indexes: [{ name: 'audit_entries_time', properties: ['organization', 'at'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    operator: p.text(),
    /** Such as users.deactivate. */
    action: p.text(),
    detail: p.json<Record<string, unknown>>(),
    at: now(),
  },
})
