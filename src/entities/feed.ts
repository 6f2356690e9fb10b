import { defineEntity, p } from '@mikro-orm/core'
import { Contact } from './contact.ts'
import { Import } from './import.ts'
import { Organization } from './organization.ts'
import {
  FEED_ALERT_KINDS, FEED_ALERT_STATES, FEED_FILE_STATES, FEED_RUN_KINDS, FEED_RUN_STATES, FEED_STATES, IDENTITY_DECISION_KINDS, IDENTITY_DECISION_STATES, WEBHOOK_STATES,
  type FeedAlertKind, type FeedAlertState, type FeedFileState, type FeedRunKind, type FeedRunState, type FeedState, type IdentityDecisionKind, type IdentityDecisionState, type WebhookState,
} from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

/** A standing arrangement with a client's SFTP server (spec A5). */
export const Feed = defineEntity({
  name: 'Feed',
  tableName: 'feeds',
  ...tenantPolicies('feeds'),
  checks: [oneOf('feeds', 'state', FEED_STATES)],
  uniques: [{ name: 'feeds_name', properties: ['organization', 'name'] }],
  indexes: [
    { name: 'feeds_slot', expression: "create index feeds_slot on feeds (next_slot_at) where state = 'active'" },
    { name: 'feeds_wake', expression: 'create index feeds_wake on feeds (wake_at) where wake_at is not null' },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    name: p.text(),
    state: p.text().$type<FeedState>(),
    /** The checked declaration, defaults filled in; secrets by name only. */
    definition: p.json<Record<string, unknown>>(),
    /** The server's pinned key, as in SHA256:…; null: the feed does not run (faults.md 28). */
    hostKey: p.text().nullable(),
    hostKeyBy: p.text().nullable(),
    hostKeyAt: p.datetime(3).nullable(),
    /** Who declared it last: somebody else approves what it holds. */
    author: p.text(),
    /** The next instant of its schedule; null while it has none. */
    nextSlotAt: p.datetime(3).nullable(),
    /** When a worker has something to do for it: a look at the server, an acknowledgement. */
    wakeAt: p.datetime(3).nullable(),
    /** One worker at a time is at a feed's server. */
    leaseToken: p.uuid().nullable(),
    leaseUntil: p.datetime(3).nullable(),
    /** What the next file that would be held may do all the same, once (see rules/feedPolicy.ts). */
    allowance: p.json<Record<string, unknown>>().nullable(),
    createdAt: now(),
    updatedAt: now(),
  },
})

/** A secret that feeds name, sealed with MUSTER_SECRET; never shown again. */
export const FeedSecret = defineEntity({
  name: 'FeedSecret',
  tableName: 'feed_secrets',
  ...tenantPolicies('feed_secrets'),
  properties: {
    organization: () => p.manyToOne(Organization).mapToPk().primary().deleteRule('cascade'),
    name: p.text().primary(),
    sealed: p.blob(),
    updatedBy: p.text(),
    updatedAt: now(),
  },
})

/** One slot of a feed's schedule, or one time an operator told it to run: looks at the server until the file is there. */
export const FeedRun = defineEntity({
  name: 'FeedRun',
  tableName: 'feed_runs',
  ...tenantPolicies('feed_runs'),
  checks: [oneOf('feed_runs', 'state', FEED_RUN_STATES), oneOf('feed_runs', 'kind', FEED_RUN_KINDS)],
  // Whatever the queue and however many schedulers: a slot has one run (faults.md 35). Manual runs have no slot.
  uniques: [{ name: 'feed_runs_slot', properties: ['feed', 'slotAt'] }],
  indexes: [{ name: 'feed_runs_open', expression: "create index feed_runs_open on feed_runs (feed_id, next_look_at) where state in ('due', 'looking')" }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    feed: () => p.manyToOne(Feed).mapToPk().deleteRule('cascade'),
    kind: p.text().$type<FeedRunKind>(),
    slotAt: p.datetime(3).nullable(),
    /** Earlier slots that passed while nobody was there, and that this run stands for besides its own. */
    slotsPassed: p.integer().default(0),
    state: p.text().$type<FeedRunState>(),
    looks: p.integer().default(0),
    nextLookAt: p.datetime(3).nullable(),
    /** Files that it took. */
    filesTaken: p.integer().default(0),
    /** Why it found nothing so far, or failed: a code, with what belongs to it. */
    problem: p.json<{ code: string; detail: Record<string, string | number> }>().nullable(),
    createdBy: p.text().nullable(),
    createdAt: now(),
    startedAt: p.datetime(3).nullable(),
    finishedAt: p.datetime(3).nullable(),
  },
})

/** A file on a feed's server. Name, size and time together tell it from another one of the same name. */
export const FeedFile = defineEntity({
  name: 'FeedFile',
  tableName: 'feed_files',
  ...tenantPolicies('feed_files'),
  checks: [oneOf('feed_files', 'state', FEED_FILE_STATES)],
  uniques: [{ name: 'feed_files_version', properties: ['feed', 'name', 'bytes', 'modifiedAt'] }],
  indexes: [
    { name: 'feed_files_hash', properties: ['feed', 'fileHash'] },
    { name: 'feed_files_import', properties: ['import'] },
    { name: 'feed_files_open', expression: "create index feed_files_open on feed_files (feed_id) where state in ('found', 'importing', 'held') or settle_at is not null" },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    feed: () => p.manyToOne(Feed).mapToPk().deleteRule('cascade'),
    run: () => p.manyToOne(FeedRun).mapToPk().nullable().deleteRule('set null'),
    /** In the feed's folder. */
    name: p.text(),
    bytes: p.bigint('number'),
    /** By the server's clock. */
    modifiedAt: p.datetime(3),
    /** When it was first seen with this size and time, by the database's clock. */
    seenAt: now(),
    state: p.text().$type<FeedFileState>(),
    /** SHA-256 in hex of the bytes as they lay on the server; null until they were fetched. */
    fileHash: p.text().nullable(),
    import: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null'),
    /** What it changed, or would have: ChangeCounts of rules/feedPolicy.ts; thresholds are replayed over these. */
    counts: p.json<Record<string, number>>().nullable(),
    /** Header row, as it was sent; columns that drift are told by it. */
    headers: p.json<string[]>().nullable(),
    /** Why it was refused, superseded or repeated: a code, with what belongs to it. */
    problem: p.json<{ code: string; detail: Record<string, string | number> }>().nullable(),
    /** When its acknowledgement, or its way into the archive, is to be seen to; null: nothing is left to do. */
    settleAt: p.datetime(3).nullable(),
    settleAttempts: p.integer().default(0),
    /** The state that was acknowledged last. */
    acknowledged: p.text().$type<FeedFileState>().nullable(),
    archivedAt: p.datetime(3).nullable(),
    finishedAt: p.datetime(3).nullable(),
  },
})

/** Something about a feed that people are told of once, and once more when it is over (spec A7). */
export const FeedAlert = defineEntity({
  name: 'FeedAlert',
  tableName: 'feed_alerts',
  ...tenantPolicies('feed_alerts'),
  checks: [oneOf('feed_alerts', 'state', FEED_ALERT_STATES), oneOf('feed_alerts', 'kind', FEED_ALERT_KINDS)],
  indexes: [
    { name: 'feed_alerts_raised', expression: "create unique index feed_alerts_raised on feed_alerts (feed_id, kind, subject) where state = 'raised'" },
    { name: 'feed_alerts_feed', properties: ['feed', 'raisedAt'] },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    feed: () => p.manyToOne(Feed).mapToPk().deleteRule('cascade'),
    kind: p.text().$type<FeedAlertKind>(),
    /** The file or slot that it is about; empty where it is about the feed as a whole. */
    subject: p.text().default(''),
    state: p.text().$type<FeedAlertState>(),
    detail: p.json<Record<string, string | number>>(),
    /** The import that it asks to be decided, where it is about one. */
    import: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null'),
    raisedAt: now(),
    clearedAt: p.datetime(3).nullable(),
  },
})

/** An event that is told to a feed's webhook (spec E5). Holds ids and counts, nothing personal. */
export const WebhookEvent = defineEntity({
  name: 'WebhookEvent',
  tableName: 'webhook_events',
  ...tenantPolicies('webhook_events'),
  checks: [oneOf('webhook_events', 'state', WEBHOOK_STATES)],
  uniques: [{ name: 'webhook_events_alert', properties: ['alert', 'type'] }],
  indexes: [{ name: 'webhook_events_due', expression: "create index webhook_events_due on webhook_events (next_at) where state in ('waiting', 'sending')" }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    feed: () => p.manyToOne(Feed).mapToPk().deleteRule('cascade'),
    alert: () => p.manyToOne(FeedAlert).mapToPk().deleteRule('cascade'),
    /** Such as feed.alert_raised. */
    type: p.text(),
    payload: p.json<Record<string, unknown>>(),
    state: p.text().$type<WebhookState>(),
    attempts: p.integer().default(0),
    /** When it is to be told; while it is `sending`, when the worker that tells it is given up. */
    nextAt: now(),
    /** What was answered last. */
    response: p.text().nullable(),
    createdAt: now(),
    deliveredAt: p.datetime(3).nullable(),
  },
})

/** A question about who somebody is that a file raises and a person answers (spec B4). */
export const IdentityDecision = defineEntity({
  name: 'IdentityDecision',
  tableName: 'identity_decisions',
  ...tenantPolicies('identity_decisions'),
  checks: [oneOf('identity_decisions', 'state', IDENTITY_DECISION_STATES), oneOf('identity_decisions', 'kind', IDENTITY_DECISION_KINDS)],
  indexes: [
    { name: 'identity_decisions_waiting', expression: "create unique index identity_decisions_waiting on identity_decisions (contact_id, kind) where state = 'waiting'" },
    { name: 'identity_decisions_contact', properties: ['contact', 'kind', 'state'] },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    import: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null'),
    contact: () => p.manyToOne(Contact).mapToPk().deleteRule('cascade'),
    kind: p.text().$type<IdentityDecisionKind>(),
    /** The row that raised it. */
    row: p.integer(),
    /** What the file says of the person: firstName, lastName, email. */
    given: p.json<Record<string, string | null>>(),
    state: p.text().$type<IdentityDecisionState>(),
    decidedBy: p.text().nullable(),
    decidedAt: p.datetime(3).nullable(),
    createdAt: now(),
  },
})

/** What stood there before an import changed it, so that it can be put back (spec E4). Of what it created, nothing: that is known by createdBy. */
export const ImportChange = defineEntity({
  name: 'ImportChange',
  tableName: 'import_changes',
  ...tenantPolicies('import_changes'),
  checks: [oneOf('import_changes', 'what', ['contact', 'user'])],
  properties: {
    import: () => p.manyToOne(Import).mapToPk().primary().deleteRule('cascade'),
    what: p.text().$type<'contact' | 'user'>().primary(),
    /** Of the contact or user. */
    target: p.bigint('string').primary(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    /** The columns as they were; of a user its groups, roles and lookups besides. */
    before: p.json<Record<string, unknown>>(),
    /** The version that the import left; another one now means that it was changed since. */
    version: p.integer(),
  },
})

/**
 * The rows of a full feed's file as they were when they were taken in, so that the next file is read for what is new in it
 * (importers/knownRows.ts). `settled`: its import was committed.
 */
export const KnownRows = defineEntity({
  name: 'KnownRows',
  tableName: 'known_rows',
  ...tenantPolicies('known_rows'),
  properties: {
    feed: () => p.manyToOne(Feed).mapToPk().primary().deleteRule('cascade'),
    import: () => p.manyToOne(Import).mapToPk().primary().deleteRule('cascade'),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    /** All that decides how a row is read besides the row: header, settings, catalog, mapping. */
    fingerprint: p.text(),
    settled: p.boolean().default(false),
    /** Packed, see importers/knownRows.ts. */
    rows: p.blob(),
    at: now(),
  },
})
