import { defineEntity, p } from '@mikro-orm/core'
import { FeedAlert } from './feed.ts'
import { Import } from './import.ts'
import { Organization } from './organization.ts'
import { User } from './user.ts'
import { ATTEMPT_STAGES, DELIVERY_PURPOSES, DELIVERY_STATES, RELEASE_STATES, type AttemptStage, type DeliveryPurpose, type DeliveryState, type ReleaseState } from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

/** A set of deliveries with a date: a go-live (spec D6). */
export const Release = defineEntity({
  name: 'Release',
  tableName: 'releases',
  ...tenantPolicies('releases'),
  checks: [oneOf('releases', 'state', RELEASE_STATES)],
  indexes: [{ name: 'releases_open', expression: "create index releases_open on releases (organization_id) where state in ('scheduled', 'running')" }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    name: p.text(),
    state: p.text().$type<ReleaseState>(),
    sendAt: p.datetime(3),
    /** Its own rate over all workers; null: the organization's alone. */
    ratePerMinute: p.integer().nullable(),
    /** When its next mail may leave, so that its rate holds over all workers. */
    nextAt: p.datetime(3).nullable(),
    /** So many leave first; 0: all at once. */
    firstWave: p.integer().default(0),
    /** Minutes from the first wave to the rest. */
    restAfterMinutes: p.integer().default(0),
    /** When the rest was let go, after a look at the first wave. */
    restReleasedAt: p.datetime(3).nullable(),
    /** Why it is frozen. */
    reason: p.text().nullable(),
    createdBy: p.text(),
    finishedAt: p.datetime(3).nullable(),
    createdAt: now(),
    updatedAt: now(),
  },
})

/** The ledger (spec D7): one mail owed to somebody. */
export const Delivery = defineEntity({
  name: 'Delivery',
  tableName: 'deliveries',
  ...tenantPolicies('deliveries'),
  checks: [oneOf('deliveries', 'state', DELIVERY_STATES), oneOf('deliveries', 'purpose', DELIVERY_PURPOSES)],
  uniques: [{ name: 'deliveries_epoch', properties: ['user', 'purpose', 'epoch'] }],
  indexes: [
    { name: 'deliveries_due', expression: "create index deliveries_due on deliveries (organization_id, send_at, id) where state = 'scheduled'" },
    { name: 'deliveries_leased', expression: "create index deliveries_leased on deliveries (lease_until) where state in ('queued', 'sending')" },
    // Releases have a rate of their own each, and what belongs to none is not looked for among theirs.
    { name: 'deliveries_due_alone', expression: "create index deliveries_due_alone on deliveries (organization_id, send_at, id) where state = 'scheduled' and release_id is null" },
    // Somebody waits for these in front of the screen: they are found at once, however much else is due.
    { name: 'deliveries_prompt', expression: "create index deliveries_prompt on deliveries (organization_id, send_at, id) where state = 'scheduled' and purpose in ('passwordReset', 'passwordChanged', 'welcome')" },
    { name: 'deliveries_due_of_release', expression: "create index deliveries_due_of_release on deliveries (release_id, send_at, id) where state = 'scheduled' and release_id is not null" },
    { name: 'deliveries_first_wave', expression: 'create index deliveries_first_wave on deliveries (release_id) where first_wave' },
    { name: 'deliveries_release', expression: 'create index deliveries_release on deliveries (release_id, state) where release_id is not null' },
    { name: 'deliveries_mendable', expression: "create index deliveries_mendable on deliveries (send_at) where state = 'held' and reason = 'not_loginable'" },
    { name: 'deliveries_import', properties: ['import'] },
    // Nor are those about feeds, which pass every rate.
    { name: 'deliveries_about_feeds', expression: "create index deliveries_about_feeds on deliveries (organization_id, send_at, id) where state = 'scheduled' and feed_alert_id is not null" },
    { name: 'deliveries_feed_alert', expression: 'create unique index deliveries_feed_alert on deliveries (feed_alert_id, purpose, recipient) where feed_alert_id is not null' },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    /** Null for mails to operators. */
    user: () => p.manyToOne(User).mapToPk().nullable().deleteRule('cascade'),
    /** The import that owes it. */
    import: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null'),
    release: () => p.manyToOne(Release).mapToPk().nullable().deleteRule('set null'),
    /** The alert that it tells of, or tells the end of. */
    feedAlert: () => p.manyToOne(FeedAlert).mapToPk().nullable().deleteRule('set null'),
    /** Of a release's first wave. */
    firstWave: p.boolean().default(false),
    purpose: p.text().$type<DeliveryPurpose>(),
    /** Counts up when an operator has the same thing sent again. */
    epoch: p.integer().default(1),
    state: p.text().$type<DeliveryState>(),
    /** Not before this instant; null while held without a date. */
    sendAt: p.datetime(3).nullable(),
    /** An operator's address, where that one and not the person gets it (spec D2). */
    deliverTo: p.text().nullable(),
    /** The address it went or will go to; for people it is read anew at sending. */
    recipient: p.text().nullable(),
    messageId: p.text().nullable(),
    attempts: p.integer().default(0),
    /** A code with the server's words or the rule, for people to read. */
    reason: p.text().nullable(),
    leaseToken: p.uuid().nullable(),
    leaseUntil: p.datetime(3).nullable(),
    sentAt: p.datetime(3).nullable(),
    createdAt: now(),
    updatedAt: now(),
  },
})

/** What was tried, as far as it got: recorded before each step that cannot be taken back. */
export const DeliveryAttempt = defineEntity({
  name: 'DeliveryAttempt',
  tableName: 'delivery_attempts',
  ...tenantPolicies('delivery_attempts'),
  checks: [oneOf('delivery_attempts', 'stage', ATTEMPT_STAGES)],
  properties: {
    delivery: () => p.manyToOne(Delivery).mapToPk().primary().deleteRule('cascade'),
    number: p.integer().primary(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    stage: p.text().$type<AttemptStage>(),
    worker: p.text(),
    messageId: p.text().nullable(),
    /** SMTP reply code and words. */
    response: p.text().nullable(),
    startedAt: now(),
    endedAt: p.datetime(3).nullable(),
  },
})

/** When the organization's next mail may leave, so that its rate holds over all workers (spec D6). */
export const MailPace = defineEntity({
  name: 'MailPace',
  tableName: 'mail_paces',
  ...tenantPolicies('mail_paces'),
  properties: {
    organization: () => p.manyToOne(Organization).mapToPk().primary().deleteRule('cascade'),
    nextAt: p.datetime(3),
  },
})
