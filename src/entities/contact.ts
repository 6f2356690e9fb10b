import { defineEntity, p } from '@mikro-orm/core'
import { ContactRole, Customer, Worksite } from './catalog.ts'
import { Import } from './import.ts'
import { Organization } from './organization.ts'
import { ACTIVITY_STATES, type ActivityState } from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

/** A person or an organization-like party that may exist for ever without access (spec, Words). */
export const Contact = defineEntity({
  name: 'Contact',
  tableName: 'contacts',
  ...tenantPolicies('contacts'),
  checks: [oneOf('contacts', 'state', ACTIVITY_STATES), oneOf('contacts', 'kind', ['person', 'party'])],
  uniques: [
    { name: 'contacts_external_id', properties: ['organization', 'externalId'] },
    { name: 'contacts_email', properties: ['organization', 'emailKey'] },
  ],
  // Somebody with neither id nor address is found again by name among those who have neither.
  indexes: [
    { name: 'contacts_name_only', expression: 'create index contacts_name_only on contacts (organization_id, last_name, first_name) where external_id is null and email_key is null' },
    { name: 'contacts_of_feed', expression: "create index contacts_of_feed on contacts (feed_id) where feed_id is not null and state = 'active'" },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    /** The client's own identifier; identifies first (spec B4). */
    externalId: p.text().nullable(),
    firstName: p.text(),
    lastName: p.text(),
    /** As written, its domain in ASCII. */
    email: p.text().nullable(),
    /** Lower case of `email`; identifies where there is no external id, and is unique either way. */
    emailKey: p.text().nullable(),
    /** Ten digits, or E.164 with +. */
    phone: p.text().nullable(),
    kind: p.text().$type<'person' | 'party'>().default('person'),
    state: p.text().$type<ActivityState>().default('active'),
    attributes: p.json<Record<string, string>>().nullable(),
    /** Wanted a user when no seat was free (spec C3). */
    awaitingLicense: p.boolean().default(false),
    /** Counts up at every change; a plan made before is stale (spec E1). */
    version: p.integer().default(1),
    createdBy: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null').fieldName('created_by_import'),
    /** The feed that brought the person, and may deactivate him or her again by leaving the name out (spec A6); no foreign key: a withdrawn feed owns nobody. */
    feedId: p.bigint('string').nullable(),
    createdAt: now(),
    updatedAt: now(),
  },
})

/** A contact's place at a customer, and what he or she is there (spec C8). */
export const ContactCustomer = defineEntity({
  name: 'ContactCustomer',
  tableName: 'contact_customers',
  ...tenantPolicies('contact_customers'),
  // One link once, nulls counting as equal; written out because a unique constraint cannot be declared so.
  indexes: [{ name: 'contact_customers_link', expression: 'create unique index contact_customers_link on contact_customers (contact_id, customer_id, worksite_id, contact_role_id) nulls not distinct' }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    contact: () => p.manyToOne(Contact).mapToPk().deleteRule('cascade'),
    customer: () => p.manyToOne(Customer).mapToPk().deleteRule('cascade'),
    worksite: () => p.manyToOne(Worksite).mapToPk().nullable().deleteRule('cascade'),
    contactRole: () => p.manyToOne(ContactRole).mapToPk().nullable().deleteRule('cascade'),
  },
})
