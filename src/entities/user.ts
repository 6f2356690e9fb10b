import { defineEntity, p } from '@mikro-orm/core'
import { License, Product, Profile, Role, SecurityGroup, Tenant, UserGroup } from './catalog.ts'
import { Contact } from './contact.ts'
import { Import } from './import.ts'
import { Organization } from './organization.ts'
import { ACCOUNT_KINDS, ACTIVITY_STATES, INVITATION_STATES, type AccountKind, type ActivityState, type InvitationState } from './states.ts'
import { identity, now, oneOf, tenantPolicies } from './tenancy.ts'

const security = () => p.manyToOne(SecurityGroup).mapToPk().nullable().deleteRule('set null')

/** An account, always made from a contact (spec, Words). */
export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  ...tenantPolicies('users'),
  checks: [oneOf('users', 'state', ACTIVITY_STATES), oneOf('users', 'account_kind', ACCOUNT_KINDS)],
  uniques: [
    { name: 'users_contact', properties: ['contact', 'accountKind'] },
    { name: 'users_username', properties: ['organization', 'username'] },
  ],
  indexes: [
    { name: 'users_stem', properties: ['organization', 'usernameStem', 'usernameNumber'] },
    { name: 'users_license', properties: ['license'] },
  ],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    contact: () => p.manyToOne(Contact).mapToPk().deleteRule('cascade'),
    accountKind: p.text().$type<AccountKind>().default('employee'),
    /** Lower case. Stem and number are its parts by rules/usernames.ts, kept so that collisions are numbered in one pass. */
    username: p.text(),
    usernameStem: p.text(),
    usernameNumber: p.integer(),
    state: p.text().$type<ActivityState>().default('active'),
    profile: () => p.manyToOne(Profile).mapToPk().nullable().deleteRule('set null'),
    license: () => p.manyToOne(License).mapToPk().nullable().deleteRule('set null'),
    company: () => security(),
    businessUnit: () => security(),
    department: () => security(),
    location: () => security(),
    /** argon2id in PHC form; null until a password was ever made. */
    passwordHash: p.text().nullable(),
    mustChangePassword: p.boolean().default(false),
    lastLoginAt: p.datetime(3).nullable(),
    /** When the person last chose a password; null: the password, if any, was made for them. */
    passwordChosenAt: p.datetime(3).nullable(),
    noticeAcceptedAt: p.datetime(3).nullable(),
    version: p.integer().default(1),
    createdBy: () => p.manyToOne(Import).mapToPk().nullable().deleteRule('set null').fieldName('created_by_import'),
    createdAt: now(),
    updatedAt: now(),
  },
})

export const UserGroupMember = defineEntity({
  name: 'UserGroupMember',
  tableName: 'user_group_members',
  ...tenantPolicies('user_group_members'),
  properties: {
    user: () => p.manyToOne(User).mapToPk().primary().deleteRule('cascade'),
    group: () => p.manyToOne(UserGroup).mapToPk().primary().deleteRule('cascade'),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
  },
})

/** A role held, in general or for one product instance and tenant; a row without a role is "No role assigned" there. */
export const UserRole = defineEntity({
  name: 'UserRole',
  tableName: 'user_roles',
  ...tenantPolicies('user_roles'),
  // One link once, nulls counting as equal; written out because a unique constraint cannot be declared so.
  indexes: [{ name: 'user_roles_link', expression: 'create unique index user_roles_link on user_roles (user_id, role_id, product_id, tenant_id) nulls not distinct' }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    user: () => p.manyToOne(User).mapToPk().deleteRule('cascade'),
    role: () => p.manyToOne(Role).mapToPk().nullable().deleteRule('cascade'),
    product: () => p.manyToOne(Product).mapToPk().nullable().deleteRule('cascade'),
    tenant: () => p.manyToOne(Tenant).mapToPk().nullable().deleteRule('cascade'),
  },
})

/** An authorized lookup (spec C6): the field is limited to a security group of that dimension. */
export const UserLookup = defineEntity({
  name: 'UserLookup',
  tableName: 'user_lookups',
  ...tenantPolicies('user_lookups'),
  properties: {
    user: () => p.manyToOne(User).mapToPk().primary().deleteRule('cascade'),
    securityGroup: () => p.manyToOne(SecurityGroup).mapToPk().primary().deleteRule('cascade'),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
  },
})

/** A name that somebody had: it rests, and is given to nobody again (spec C1). */
export const ReleasedUsername = defineEntity({
  name: 'ReleasedUsername',
  tableName: 'released_usernames',
  ...tenantPolicies('released_usernames'),
  indexes: [{ name: 'released_usernames_stem', properties: ['organization', 'usernameStem', 'usernameNumber'] }],
  properties: {
    organization: () => p.manyToOne(Organization).mapToPk().primary().deleteRule('cascade'),
    username: p.text().primary(),
    usernameStem: p.text(),
    usernameNumber: p.integer(),
    releasedAt: now(),
  },
})

/** Seats set aside for an import while it is committed, so that two at once never take more than there are (spec C3). */
export const SeatReservation = defineEntity({
  name: 'SeatReservation',
  tableName: 'seat_reservations',
  ...tenantPolicies('seat_reservations'),
  properties: {
    license: () => p.manyToOne(License).mapToPk().primary().deleteRule('cascade'),
    import: () => p.manyToOne(Import).mapToPk().primary().deleteRule('cascade'),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    seats: p.integer(),
  },
})

/** One for a user and epoch (spec D3). The token itself is in the mail only. */
export const Invitation = defineEntity({
  name: 'Invitation',
  tableName: 'invitations',
  ...tenantPolicies('invitations'),
  checks: [oneOf('invitations', 'state', INVITATION_STATES)],
  uniques: [{ name: 'invitations_epoch', properties: ['user', 'epoch'] }, { name: 'invitations_token', properties: ['tokenHash'] }],
  indexes: [{ name: 'invitations_expiry', properties: ['state', 'expiresAt'] }],
  properties: {
    id: identity(),
    organization: () => p.manyToOne(Organization).mapToPk().deleteRule('cascade'),
    user: () => p.manyToOne(User).mapToPk().deleteRule('cascade'),
    epoch: p.integer().default(1),
    state: p.text().$type<InvitationState>(),
    /** SHA-256 of the token, in hex; null until it is sent. */
    tokenHash: p.text().nullable(),
    launchedAt: p.datetime(3).nullable(),
    /** Counted from sending. */
    expiresAt: p.datetime(3).nullable(),
    createdAt: now(),
  },
})
