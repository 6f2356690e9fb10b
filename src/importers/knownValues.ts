import type { Catalog, Entry } from '../organizations/catalog.ts'
import { catalogKey, nearestFinder } from '../rules/nearest.ts'

/** One list of the catalog as the rows of an import look values up in it. */
export class KnownValues<T extends Entry> {
  readonly #byKey: Map<string, T>
  readonly #nearest: (text: string) => string | null
  /** A typed value's entry; filled as values are met, since files name the same few again and again. */
  readonly #met = new Map<string, T | null>()

  constructor(entries: readonly T[]) {
    const current = entries.filter((entry) => !entry.withdrawn)
    this.#byKey = new Map(current.map((entry) => [catalogKey(entry.name), entry]))
    this.#nearest = nearestFinder(current.map((entry) => entry.name))
  }

  /** The entry that a cell names, without regard to case and spaces. */
  find(text: string): T | null {
    const met = this.#met.get(text)
    if (met !== undefined) return met
    const found = this.#byKey.get(catalogKey(text)) ?? null
    // A column of free text would fill the memory; known names are few.
    if (this.#met.size < 10_000) this.#met.set(text, found)
    return found
  }

  /** The known name that was probably meant, for a hint. */
  nearest(text: string): string {
    return this.#nearest(text) ?? ''
  }
}

/** Everything a row can name, ready to be looked up. */
export type KnownCatalog = ReturnType<typeof knownCatalog>

/** Makes an organization's catalog ready for lookups. */
export function knownCatalog(catalog: Catalog) {
  return {
    groups: new KnownValues(catalog.groups),
    profiles: new KnownValues(catalog.profiles),
    licenses: new KnownValues(catalog.licenses),
    roles: new KnownValues(catalog.roles),
    products: new KnownValues(catalog.products),
    tenants: new Map(catalog.products.map((product) => [product.id, new KnownValues(product.tenants)])),
    company: new KnownValues(catalog.securityGroups.company),
    businessUnit: new KnownValues(catalog.securityGroups.businessUnit),
    department: new KnownValues(catalog.securityGroups.department),
    location: new KnownValues(catalog.securityGroups.location),
    customers: new KnownValues(catalog.customers),
    worksites: new Map(catalog.customers.map((customer) => [customer.id, new KnownValues(customer.worksites)])),
    contactRoles: new Map(catalog.customers.map((customer) => [customer.id, new KnownValues(customer.contactRoles)])),
  }
}
