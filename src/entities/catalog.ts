import { defineEntity, p } from '@mikro-orm/core'
import { Organization } from './organization.ts'
import { identity, tenantPolicies } from './tenancy.ts'

/** What an organization's people can be given. A withdrawn entry stays for those who hold it, and takes no new ones. */
const entry = () => ({
  id: identity(),
  organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
  name: p.text(),
  withdrawn: p.boolean().default(false),
})

export const UserGroup = defineEntity({
  name: 'UserGroup',
  tableName: 'user_groups',
  ...tenantPolicies('user_groups'),
  uniques: [{ name: 'user_groups_name', properties: ['organization', 'name'] }],
  properties: entry(),
})

export const Profile = defineEntity({
  name: 'Profile',
  tableName: 'profiles',
  ...tenantPolicies('profiles'),
  uniques: [{ name: 'profiles_name', properties: ['organization', 'name'] }],
  properties: entry(),
})

export const License = defineEntity({
  name: 'License',
  tableName: 'licenses',
  ...tenantPolicies('licenses'),
  uniques: [{ name: 'licenses_name', properties: ['organization', 'name'] }],
  properties: {
    ...entry(),
    /** Null: without limit. */
    seats: p.integer().nullable(),
  },
})

export const Role = defineEntity({
  name: 'Role',
  tableName: 'roles',
  ...tenantPolicies('roles'),
  uniques: [{ name: 'roles_name', properties: ['organization', 'name'] }],
  properties: {
    ...entry(),
    userType: p.text().nullable(),
    description: p.text().nullable(),
    /** At least one user must hold it (spec C4). */
    required: p.boolean().default(false),
    /** False: somebody whose only role this is cannot be invited (spec C11). */
    invitableAlone: p.boolean().default(true),
  },
})

export const Product = defineEntity({
  name: 'Product',
  tableName: 'products',
  ...tenantPolicies('products'),
  uniques: [{ name: 'products_name', properties: ['organization', 'name'] }],
  properties: {
    ...entry(),
    /** Linked to every new user (spec C5), with `role`. */
    autoLink: p.boolean().default(false),
    role: () => p.manyToOne(Role).mapToPk().nullable().deleteRule('set null'),
  },
})

export const Tenant = defineEntity({
  name: 'Tenant',
  tableName: 'tenants',
  ...tenantPolicies('tenants'),
  uniques: [{ name: 'tenants_name', properties: ['product', 'name'] }],
  properties: { ...entry(), product: () => p.manyToOne(Product).mapToPk().deleteRule('cascade') },
})

/**
 * A group of row-level security (spec C6). Its dimension is one of the four that limit a user's rows, or the field of an
 * authorized lookup, such as jobCode.
 */
export const SecurityGroup = defineEntity({
  name: 'SecurityGroup',
  tableName: 'security_groups',
  ...tenantPolicies('security_groups'),
  uniques: [{ name: 'security_groups_name', properties: ['organization', 'dimension', 'name'] }],
  properties: { ...entry(), dimension: p.text() },
})

export const Customer = defineEntity({
  name: 'Customer',
  tableName: 'customers',
  ...tenantPolicies('customers'),
  uniques: [{ name: 'customers_name', properties: ['organization', 'name'] }],
  properties: entry(),
})

export const Worksite = defineEntity({
  name: 'Worksite',
  tableName: 'worksites',
  ...tenantPolicies('worksites'),
  uniques: [{ name: 'worksites_name', properties: ['customer', 'name'] }],
  properties: { ...entry(), customer: () => p.manyToOne(Customer).mapToPk().deleteRule('cascade') },
})

export const ContactRole = defineEntity({
  name: 'ContactRole',
  tableName: 'contact_roles',
  ...tenantPolicies('contact_roles'),
  uniques: [{ name: 'contact_roles_name', properties: ['customer', 'name'] }],
  properties: { ...entry(), customer: () => p.manyToOne(Customer).mapToPk().deleteRule('cascade') },
})
