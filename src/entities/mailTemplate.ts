import { defineEntity, p } from '@mikro-orm/core'
import { Organization } from './organization.ts'
import { DELIVERY_PURPOSES, type DeliveryPurpose } from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

/** An organization's own wording of a mail, over the default (spec D5). Only what was checked is in here. */
export const MailTemplate = defineEntity({
  name: 'MailTemplate',
  tableName: 'mail_templates',
  ...tenantPolicies('mail_templates'),
  checks: [oneOf('mail_templates', 'purpose', DELIVERY_PURPOSES)],
  uniques: [{ name: 'mail_templates_wording', properties: ['organization', 'purpose', 'language'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    purpose: p.text().$type<DeliveryPurpose>(),
    /** BCP 47, such as fr or pt-BR. */
    language: p.text(),
    subject: p.text(),
    text: p.text(),
    html: p.text(),
    /** Counts up at every publication; what was compiled of an older one is compiled anew. */
    version: p.integer().default(1),
    publishedBy: p.text(),
    publishedAt: now(),
  },
})
