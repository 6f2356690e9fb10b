import type { FieldName } from '../rules/fields.ts'

/**
 * The staging table of an import: what its rows say once they are checked, values normalized and names turned into ids.
 * A null means that the row says nothing of it (column absent, or blank and kept; spec B8).
 * One table for each import, in a schema without row security (PostgreSQL refuses COPY into a table that has it).
 */
export const STAGED_COLUMNS = {
  row: 'integer not null',
  /** o: fit to be planned, r: rejected, b: blank. */
  verdict: '"char" not null',
  external_id: 'text',
  first_name: 'text',
  last_name: 'text',
  email: 'text',
  email_key: 'text',
  phone: 'text',
  wants_user: 'boolean',
  account_kind: 'text',
  username: 'text',
  /** What the organization's format makes of the row, before collisions are numbered. */
  username_base: 'text',
  /** Stem of the typed name or of the base; the number of a typed name (rules/usernames.ts). */
  username_stem: 'text',
  username_number: 'integer',
  group_ids: 'bigint[]',
  profile_id: 'bigint',
  license_id: 'bigint',
  role_ids: 'bigint[]',
  no_role: 'boolean',
  product_ids: 'bigint[]',
  tenant_ids: 'bigint[]',
  company_id: 'bigint',
  business_unit_id: 'bigint',
  department_id: 'bigint',
  location_id: 'bigint',
  /** Security groups of authorized lookups; the fields that they belong to are those that the row names. */
  lookup_ids: 'bigint[]',
  customer_id: 'bigint',
  worksite_id: 'bigint',
  contact_role_ids: 'bigint[]',
  delivery: 'text',
  send_at: 'timestamptz',
  attributes: 'jsonb',
  /** Columns whose value a blank cell clears, as the mapping says. */
  clears: 'text[]',
} as const

export type StagedColumn = keyof typeof STAGED_COLUMNS

/** The staging column that a field fills. */
export const COLUMN_OF_FIELD: Record<FieldName, StagedColumn> = {
  externalId: 'external_id',
  firstName: 'first_name',
  lastName: 'last_name',
  email: 'email',
  phone: 'phone',
  systemUser: 'wants_user',
  accountKind: 'account_kind',
  username: 'username',
  groups: 'group_ids',
  profile: 'profile_id',
  license: 'license_id',
  roles: 'role_ids',
  product: 'product_ids',
  tenant: 'tenant_ids',
  company: 'company_id',
  businessUnit: 'business_unit_id',
  department: 'department_id',
  location: 'location_id',
  lookups: 'lookup_ids',
  customer: 'customer_id',
  worksite: 'worksite_id',
  contactRole: 'contact_role_ids',
  delivery: 'delivery',
  sendAt: 'send_at',
}

/** Digits only: the name of a staging table is made from nothing else. */
function assertImportId(importId: string): void {
  if (!/^\d{1,18}$/.test(importId)) throw new TypeError(`not an import's id: ${JSON.stringify(importId)}`)
}

/** The import's checked rows. */
export function rowsTable(importId: string): string {
  assertImportId(importId)
  return `staging.rows_${importId}`
}

/** What is to become of them. */
export function planTable(importId: string): string {
  assertImportId(importId)
  return `staging.plan_${importId}`
}

/** The rows that make a further account of a person of an earlier row. */
export const furtherTable = (importId: string): string => `${planTable(importId)}_further`

/** The people whom a full file no longer names: number, contact_id, version, and what became of each (outcome). */
export const leavingTable = (importId: string): string => `${planTable(importId)}_leaving`

/** The people whom a feed's file makes the feed's own, though the feed did not bring them: contact_id. */
export const adoptedTable = (importId: string): string => `${planTable(importId)}_adopted`

/** A value as COPY's text format wants it (PostgreSQL, COPY, "Text Format"). */
export function copyText(value: string | null): string {
  if (value === null) return '\\N'
  return ESCAPED.test(value) ? value.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!) : value
}

const ESCAPED = /[\\\t\n\r]/
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
