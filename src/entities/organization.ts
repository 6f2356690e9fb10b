import { defineEntity, p } from '@mikro-orm/core'
import { identity, now, tenantPolicies } from './tenancy.ts'

/** A client company, the tenant (spec, Words). Everything of the declaration that is not catalog stands in `settings`. */
export const Organization = defineEntity({
  name: 'Organization',
  tableName: 'organizations',
  ...tenantPolicies('organizations', 'id'),
  properties: {
    id: identity(),
    key: p.text().unique('organizations_key'),
    name: p.text(),
    timeZone: p.text(),
    language: p.text(),
    settings: p.json<Record<string, unknown>>(),
    createdAt: now(),
    updatedAt: now(),
  },
})

/** How an organization's own headers and values are read (spec A4); kept by name for its files and feeds. */
export const Mapping = defineEntity({
  name: 'Mapping',
  tableName: 'mappings',
  ...tenantPolicies('mappings'),
  uniques: [{ name: 'mappings_name', properties: ['organization', 'name'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    name: p.text(),
    definition: p.json<Record<string, unknown>>(),
    createdAt: now(),
    updatedAt: now(),
  },
})
