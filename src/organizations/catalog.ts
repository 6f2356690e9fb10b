import type { Transaction } from '../entities/database.ts'
import { SECURITY_DIMENSIONS, type SecurityDimension } from '../entities/states.ts'
import type { CatalogDeclaration } from './declaration.ts'

export type Entry = { id: string; name: string; withdrawn: boolean }
export type LicenseEntry = Entry & { seats: number | null }
export type RoleEntry = Entry & { userType: string | null; description: string | null; required: boolean; invitableAlone: boolean }
export type ProductEntry = Entry & { autoLink: boolean; roleId: string | null; tenants: Entry[] }
export type CustomerEntry = Entry & { worksites: Entry[]; contactRoles: Entry[] }

/** What an organization's people can be given, with ids. Withdrawn entries are listed and marked. */
export type Catalog = {
  groups: Entry[]
  profiles: Entry[]
  licenses: LicenseEntry[]
  roles: RoleEntry[]
  products: ProductEntry[]
  securityGroups: Record<SecurityDimension, Entry[]>
  customers: CustomerEntry[]
  /** Security groups of authorized lookups, by field (spec C6). */
  lookups: Record<string, Entry[]>
}

/** Reads the catalog of the transaction's organization, in order of declaration. */
export async function loadCatalog(tx: Transaction): Promise<Catalog> {
  const groups = await tx.query<Entry>('select id, name, withdrawn from user_groups order by id')
  const profiles = await tx.query<Entry>('select id, name, withdrawn from profiles order by id')
  const licenses = await tx.query<LicenseEntry>('select id, name, withdrawn, seats from licenses order by id')
  const roles = await tx.query<RoleEntry>(
    'select id, name, withdrawn, user_type as "userType", description, required, invitable_alone as "invitableAlone" from roles order by id',
  )
  const products = await tx.query<Omit<ProductEntry, 'tenants'>>('select id, name, withdrawn, auto_link as "autoLink", role_id as "roleId" from products order by id')
  const tenants = await tx.query<Entry & { parent: string }>('select id, name, withdrawn, product_id as parent from tenants order by id')
  const security = await tx.query<Entry & { dimension: string }>('select id, name, withdrawn, dimension from security_groups order by id')
  const customers = await tx.query<Entry>('select id, name, withdrawn from customers order by id')
  const worksites = await tx.query<Entry & { parent: string }>('select id, name, withdrawn, customer_id as parent from worksites order by id')
  const contactRoles = await tx.query<Entry & { parent: string }>('select id, name, withdrawn, customer_id as parent from contact_roles order by id')
  const below = (list: (Entry & { parent: string })[], id: string): Entry[] => list.filter(({ parent }) => parent === id).map(({ id, name, withdrawn }) => ({ id, name, withdrawn }))
  const ofDimension = (dimension: string): Entry[] => security.filter((entry) => entry.dimension === dimension).map(({ id, name, withdrawn }) => ({ id, name, withdrawn }))
  const limiting: readonly string[] = SECURITY_DIMENSIONS
  return {
    groups,
    profiles,
    licenses,
    roles,
    products: products.map((product) => ({ ...product, tenants: below(tenants, product.id) })),
    securityGroups: Object.fromEntries(SECURITY_DIMENSIONS.map((dimension) => [dimension, ofDimension(dimension)])) as Record<SecurityDimension, Entry[]>,
    lookups: Object.fromEntries([...new Set(security.map(({ dimension }) => dimension))].filter((dimension) => !limiting.includes(dimension)).map((field) => [field, ofDimension(field)])),
    customers: customers.map((customer) => ({ ...customer, worksites: below(worksites, customer.id), contactRoles: below(contactRoles, customer.id) })),
  }
}

/** The catalog in the form of the declaration; what is withdrawn is left out. */
export function declareCatalog(catalog: Catalog): CatalogDeclaration {
  const current = <T extends Entry>(list: T[]): T[] => list.filter((entry) => !entry.withdrawn)
  const names = (list: Entry[]): string[] => current(list).map((entry) => entry.name)
  return {
    groups: names(catalog.groups),
    profiles: names(catalog.profiles),
    licenses: current(catalog.licenses).map(({ name, seats }) => ({ name, seats })),
    roles: current(catalog.roles).map(({ name, userType, description, required, invitableAlone }) => ({ name, userType, description, required, invitableAlone })),
    products: current(catalog.products).map(({ name, autoLink, roleId, tenants }) => ({
      name,
      autoLink,
      role: catalog.roles.find((role) => role.id === roleId)?.name ?? null,
      tenants: names(tenants),
    })),
    securityGroups: {
      company: names(catalog.securityGroups.company),
      businessUnit: names(catalog.securityGroups.businessUnit),
      department: names(catalog.securityGroups.department),
      location: names(catalog.securityGroups.location),
    },
    lookups: Object.fromEntries(Object.entries(catalog.lookups).filter(([, groups]) => current(groups).length > 0).map(([field, groups]) => [field, names(groups)])),
    customers: current(catalog.customers).map(({ name, worksites, contactRoles }) => ({ name, worksites: names(worksites), contactRoles: names(contactRoles) })),
  }
}
