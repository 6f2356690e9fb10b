import { defineEntity, p } from '@mikro-orm/core'
import { Import } from './import.ts'
import { Organization } from './organization.ts'
import { User } from './user.ts'
import { ATTEMPT_STAGES, DELIVERY_PURPOSES, DELIVERY_STATES, type AttemptStage, type DeliveryPurpose, type DeliveryState } from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

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
    { name: 'deliveries_mendable', expression: "create index deliveries_mendable on deliveries (send_at) where state = 'held' and reason = 'not_loginable'" },
    { name: 'deliveries_import', properties: ['import'] },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    /** Null for mails to operators. */
    user: () => p.manyToOne(User).mapToPk().nullable().deleteRule('cascade'),
    /** The import that owes it. */
    import: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null'),
    purpose: p.text().$type<DeliveryPurpose>(),
    /** Counts up when an operator has the same thing sent again. */
    epoch: p.integer().default(1),
    state: p.text().$type<DeliveryState>(),
    /** Not before this instant; null while held without a date. */
    sendAt: p.datetime(3).nullable(),
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
