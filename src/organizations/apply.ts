import { SECURITY_DIMENSIONS } from '../entities/states.ts'
import type { Database, Transaction } from '../entities/database.ts'
import { declareCatalog, loadCatalog } from './catalog.ts'
import { DeclarationRefused, parseDeclaration, RESERVED_KEYS, settingsOf, type Declaration } from './declaration.ts'
import { listOrganizations, readOrganization } from './organizations.ts'

export type Applied = { id: string; key: string; created: boolean; changes: string[] }

/**
 * Creates or updates an organization, its settings and its catalog from a declaration (interface.md).
 * What the declaration no longer lists is withdrawn: who holds it keeps it, nobody gets it anew. Harmless to repeat.
 * @param input the declaration as parsed JSON
 * @returns what changed, a sentence each; nothing for a repetition
 * @throws DeclarationRefused with every fault
 */
export async function applyDeclaration(database: Database, input: unknown): Promise<Applied> {
  const declaration = parseDeclaration(input)
  const existing = (await listOrganizations(database)).find((organization) => organization.key === declaration.key)
  if (!existing && RESERVED_KEYS.includes(declaration.key)) throw new DeclarationRefused([{ path: 'key', message: 'is a word that addresses of the portal begin with; choose another' }])
  const id = existing?.id ?? (await database.fleet((tx) => tx.query<{ id: string }>("select nextval('organizations_id_seq') as id")))[0]!.id
  return database.tenant(id, async (tx) => {
    const before = existing ? await describe(tx) : null
    await writeOrganization(tx, declaration)
    if (before && before['timeZone'] !== declaration.timeZone) await moveSlots(tx)
    await writeCatalog(tx, declaration)
    const changes = before ? differences(before, await describe(tx)) : []
    return { id, key: declaration.key, created: !existing, changes }
  })
}

/** The organization as it would be declared. */
export async function describe(tx: Transaction): Promise<Record<string, unknown>> {
  const { key, name, timeZone, language, settings } = await readOrganization(tx)
  return { key, name, timeZone, language, ...settings, ...declareCatalog(await loadCatalog(tx)) }
}

async function writeOrganization(tx: Transaction, declaration: Declaration): Promise<void> {
  const settings = JSON.stringify(settingsOf(declaration))
  await tx.run(
    `insert into organizations (id, key, name, time_zone, language, settings) values ($1, $2, $3, $4, $5, $6)
     on conflict (id) do update set name = excluded.name, time_zone = excluded.time_zone, language = excluded.language,
       settings = excluded.settings, updated_at = now()
     where (organizations.name, organizations.time_zone, organizations.language, organizations.settings)
       is distinct from (excluded.name, excluded.time_zone, excluded.language, excluded.settings)`,
    [tx.organizationId, declaration.key, declaration.name, declaration.timeZone, declaration.language, settings],
  )
}

/** Schedules of feeds without a zone of their own mean other instants now: they are due at once, and opening slots finds where the next one lies. */
async function moveSlots(tx: Transaction): Promise<void> {
  await tx.run(`update feeds set next_slot_at = least(next_slot_at, now()) where next_slot_at is not null and definition ->> 'timeZone' is null`)
}

async function writeCatalog(tx: Transaction, declaration: Declaration): Promise<void> {
  const named = (list: readonly string[]) => list.map((name) => ({ name }))
  await writeEntries(tx, 'user_groups', {}, named(declaration.groups))
  await writeEntries(tx, 'profiles', {}, named(declaration.profiles))
  await writeEntries(tx, 'licenses', {}, declaration.licenses)
  const roles = await writeEntries(
    tx,
    'roles',
    {},
    declaration.roles.map(({ name, userType, description, required, invitableAlone }) => ({ name, user_type: userType, description, required, invitable_alone: invitableAlone })),
  )
  const products = await writeEntries(
    tx,
    'products',
    {},
    declaration.products.map(({ name, autoLink, role }) => ({ name, auto_link: autoLink, role_id: role === null ? null : roles.get(role)! })),
  )
  for (const product of declaration.products) await writeEntries(tx, 'tenants', { product_id: products.get(product.name)! }, named(product.tenants))
  for (const dimension of SECURITY_DIMENSIONS) await writeEntries(tx, 'security_groups', { dimension }, named(declaration.securityGroups[dimension]))
  await withdrawLookupsExcept(tx, Object.keys(declaration.lookups))
  for (const [field, groups] of Object.entries(declaration.lookups)) await writeEntries(tx, 'security_groups', { dimension: field }, named(groups))
  const customers = await writeEntries(tx, 'customers', {}, declaration.customers.map(({ name }) => ({ name })))
  for (const customer of declaration.customers) {
    const scope = { customer_id: customers.get(customer.name)! }
    await writeEntries(tx, 'worksites', scope, named(customer.worksites))
    await writeEntries(tx, 'contact_roles', scope, named(customer.contactRoles))
  }
}

/** Authorized lookups that are no longer declared at all. */
function withdrawLookupsExcept(tx: Transaction, fields: readonly string[]): Promise<number> {
  return tx.run('update security_groups set withdrawn = true where not withdrawn and not (dimension = any ($1))', [[...SECURITY_DIMENSIONS, ...fields]])
}

type Table = 'user_groups' | 'profiles' | 'licenses' | 'roles' | 'products' | 'tenants' | 'security_groups' | 'customers' | 'worksites' | 'contact_roles'
type Value = string | number | boolean | null

/** Makes a catalog table, within its scope, hold what is declared; gives each name's id. Table and column names are ours, never input. */
async function writeEntries(tx: Transaction, table: Table, scope: Record<string, string>, entries: ({ name: string } & Record<string, Value>)[]): Promise<Map<string, string>> {
  const scopeColumns = Object.keys(scope)
  const inScope = ['organization_id = $1', ...scopeColumns.map((column, index) => `${column} = $${index + 2}`)].join(' and ')
  const scopeValues = [tx.organizationId, ...Object.values(scope)]
  await tx.run(`update ${table} set withdrawn = true where ${inScope} and not withdrawn and not (name = any ($${scopeValues.length + 1}))`, [...scopeValues, entries.map((entry) => entry.name)])
  const ids = new Map<string, string>()
  for (const entry of entries) {
    const columns = ['organization_id', ...scopeColumns, ...Object.keys(entry)]
    const values = [...scopeValues, ...Object.values(entry)]
    const [row] = await tx.query<{ id: string }>(`select id from ${table} where ${inScope} and name = $${scopeValues.length + 1}`, [...scopeValues, entry.name])
    if (row) {
      const set = [...Object.keys(entry).map((column, index) => `${column} = $${scopeValues.length + 1 + index}`), 'withdrawn = false'].join(', ')
      await tx.run(`update ${table} set ${set} where ${inScope} and id = $${values.length + 1}`, [...values, row.id])
      ids.set(entry.name, row.id)
    } else {
      const [made] = await tx.query<{ id: string }>(`insert into ${table} (${columns.join(', ')}) values (${values.map((_, index) => `$${index + 1}`).join(', ')}) returning id`, values)
      ids.set(entry.name, made!.id)
    }
  }
  return ids
}

/** What differs between two descriptions, by path: "defaults.delivery: none -> invitation". */
export function differences(before: unknown, after: unknown, path = ''): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (isObject(before) && isObject(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => differences(before[key], after[key], path ? `${path}.${key}` : key))
  }
  if (Array.isArray(before) && Array.isArray(after)) return listDifferences(before, after, path)
  return [`${path}: ${show(before)} -> ${show(after)}`]
}

function listDifferences(before: unknown[], after: unknown[], path: string): string[] {
  const nameOf = (entry: unknown): string => (isObject(entry) ? String(entry['name']) : String(entry))
  const old = new Map(before.map((entry) => [nameOf(entry), entry]))
  const fresh = new Map(after.map((entry) => [nameOf(entry), entry]))
  return [
    ...[...fresh.keys()].filter((name) => !old.has(name)).map((name) => `${path}: added ${name}`),
    ...[...old.keys()].filter((name) => !fresh.has(name)).map((name) => `${path}: withdrew ${name}`),
    ...[...fresh].filter(([name]) => old.has(name)).flatMap(([name, entry]) => differences(old.get(name), entry, `${path} ${name}`)),
  ]
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const show = (value: unknown): string => (value === undefined || value === null ? 'none' : typeof value === 'string' ? value : JSON.stringify(value))
