import { p } from '@mikro-orm/core'
import { FLEET_ROLE } from './roles.ts'

/** The organization of the running transaction, as set by Database.tenant(). Empty outside: then no row is visible. */
const CURRENT_ORGANIZATION = "( SELECT (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::bigint AS \"nullif\")"

/** Policies that keep a table to one organization. `column` is the one that names the organization. */
export function tenantPolicies(table: string, column = 'organization_id') {
  const rule = `${column} = ${CURRENT_ORGANIZATION}`
  return {
    policies: [
      { name: `${table}_tenant`, roles: ['public'], using: rule, check: rule },
      { name: `${table}_fleet`, roles: [FLEET_ROLE], using: 'true', check: 'true' },
    ],
    rowLevelSecurity: 'force' as const,
  }
}

/** bigint identity, a string in JavaScript: ids are never calculated with. */
export const identity = () => p.bigint('string').primary().autoincrement()
/** An instant that is now unless it is given; milliseconds, as JavaScript keeps them. */
export const now = () => p.datetime(3).defaultRaw('now()')

/** A check that a column holds one of the given words, written as PostgreSQL prints it so that schemas compare equal. */
export function oneOf(table: string, column: string, values: readonly string[]) {
  return { name: `${table}_${column}`, expression: `${column} = ANY (ARRAY[${values.map((value) => `'${value}'::text`).join(', ')}])` }
}
