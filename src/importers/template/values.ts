import { ACCOUNT_KINDS } from '../../entities/states.ts'
import { MAIL_CHOICES } from '../../organizations/declaration.ts'
import type { CatalogDeclaration, Settings } from '../../organizations/declaration.ts'
import { NO_ROLE } from '../../rules/choices.ts'
import { FIELDS } from '../../rules/fields.ts'
import type { FieldName } from '../../rules/fields.ts'
import { EXAMPLE_PERSON } from './identity.ts'

/** Whose template is wanted. */
export type TemplateOrder = {
  organization: { key: string; name: string; timeZone: string; language: string }
  settings: Settings
  catalog: CatalogDeclaration
}

/** The values that a column's drop-down list offers, in the order of the declaration; only columns that have some. */
export type Lists = ReadonlyMap<FieldName, readonly string[]>

/** The lists of an organization. */
export function listsOf({ groups, profiles, licenses, roles, products, securityGroups, lookups, customers }: CatalogDeclaration): Lists {
  const distinct = (values: readonly string[]): string[] => [...new Map(values.map(value => [value.toLowerCase(), value])).values()]
  const names = (entries: readonly { name: string }[]): string[] => entries.map(({ name }) => name)
  const lists: Partial<Record<FieldName, readonly string[]>> = {
    systemUser: ['yes', 'no'],
    accountKind: ACCOUNT_KINDS,
    groups,
    profile: profiles,
    license: names(licenses),
    roles: [NO_ROLE, ...names(roles)],
    product: names(products),
    tenant: distinct(products.flatMap(product => product.tenants)),
    ...securityGroups,
    lookups: Object.entries(lookups).flatMap(([field, names]) => names.map(name => `${field}=${name}`)),
    customer: names(customers),
    worksite: distinct(customers.flatMap(customer => customer.worksites)),
    contactRole: distinct(customers.flatMap(customer => customer.contactRoles)),
    delivery: MAIL_CHOICES,
  }
  return new Map(FIELDS.flatMap(({ name }) => {
    const values = lists[name] ?? []
    return values.length === 0 ? [] : [[name, values]]
  }))
}

/** The example row, with the organization's own values where the row needs some. */
export function exampleOf({ settings, catalog }: TemplateOrder, lists: Lists): Partial<Record<FieldName, string>> {
  const { defaults } = settings
  const first = (name: FieldName): string | undefined => lists.get(name)?.[0]
  const customer = catalog.customers[0]
  const values: Partial<Record<FieldName, string | undefined>> = {
    ...EXAMPLE_PERSON,
    phone: settings.phone === 'e164' ? '+1 612 555 0100' : '(612) 555-0100',
    systemUser: 'yes',
    accountKind: defaults.accountKind,
    groups: defaults.groups[0] ?? first('groups'),
    profile: defaults.profile ?? first('profile'),
    license: defaults.license ?? first('license'),
    roles: defaults.role ?? catalog.roles[0]?.name ?? NO_ROLE,
    company: first('company'),
    businessUnit: first('businessUnit'),
    department: first('department'),
    location: first('location'),
    lookups: first('lookups'),
    customer: customer?.name,
    worksite: customer?.worksites[0],
    contactRole: customer?.contactRoles[0],
    delivery: settings.login.sso ? 'none' : defaults.delivery,
  }
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}
