import type { Catalog, Entry } from '../organizations/catalog.ts'
import { catalogKey, nearestFinder } from '../rules/nearest.ts'
import type { IssueDetail } from '../rules/problem.ts'

/** Values that are remembered as they were typed, and the characters of one: a column of free text would fill the memory; known names are few and short. */
const MOST_MET = 10_000
const LONGEST_MET = 200

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
    if (this.#met.size < MOST_MET && text.length <= LONGEST_MET) this.#met.set(text, found)
    return found
  }

  /** The known name that was probably meant, for a hint. */
  nearest(text: string): string {
    return this.#nearest(text) ?? ''
  }
}

/** A security group that a cell names, or what is wrong with what it says. */
type FoundLookup = { id: string } | { code: 'lookup.invalid' | 'lookup.unknown'; detail: IssueDetail }

/** The authorized lookups of an organization (spec C6) as rows name them: Field=Group. */
export class KnownLookups {
  readonly #byField: Map<string, { field: string; groups: KnownValues<Entry> }>
  readonly #nearest: (text: string) => string | null
  readonly #example: string
  readonly #met = new Map<string, FoundLookup>()

  constructor(lookups: Record<string, Entry[]>) {
    const current = Object.entries(lookups).filter(([, groups]) => groups.some((group) => !group.withdrawn))
    const all = current.flatMap(([field, groups]) => groups.filter((group) => !group.withdrawn).map((group) => `${field}=${group.name}`))
    this.#byField = new Map(current.map(([field, groups]) => [fieldKey(field), { field, groups: new KnownValues(groups) }]))
    this.#nearest = nearestFinder(all)
    this.#example = all[0] ?? 'jobCode=all'
  }

  /** The security group of one `Field=Group`; the field counts without regard to case, spaces, hyphens and underscores. */
  find(text: string): FoundLookup {
    const met = this.#met.get(text)
    if (met !== undefined) return met
    const found = this.#look(text)
    if (this.#met.size < MOST_MET && text.length <= LONGEST_MET) this.#met.set(text, found)
    return found
  }

  #look(text: string): FoundLookup {
    const at = text.search(/[=＝]/)
    const name = text.slice(at + 1).trim()
    if (at < 1 || name === '') return { code: 'lookup.invalid', detail: { example: this.#example } }
    const known = this.#byField.get(fieldKey(text.slice(0, at)))
    const group = known?.groups.find(name)
    if (group) return { id: group.id }
    const nearest = known?.groups.nearest(name)
    return { code: 'lookup.unknown', detail: { nearest: nearest ? `${known!.field}=${nearest}` : (this.#nearest(text) ?? '') } }
  }
}

const fieldKey = (text: string): string => catalogKey(text).replace(/[\s_-]+/g, '')

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
    lookups: new KnownLookups(catalog.lookups),
    customers: new KnownValues(catalog.customers),
    worksites: new Map(catalog.customers.map((customer) => [customer.id, new KnownValues(customer.worksites)])),
    contactRoles: new Map(catalog.customers.map((customer) => [customer.id, new KnownValues(customer.contactRoles)])),
  }
}
