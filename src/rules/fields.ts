/**
 * What a column can hold, which decides how its cells are checked and how the template formats them.
 * `catalog` values must be among the organization's own; `choice` values are Muster's; `moment` is a date with or without a time.
 */
export type FieldKind = 'identifier' | 'name' | 'email' | 'phone' | 'yesNo' | 'choice' | 'username' | 'catalog' | 'moment'

type Field = {
  /** The name in mappings, reports and the API. */
  name: string
  /** The label in the template. */
  header: string
  kind: FieldKind
  /** A file without this column is refused (A4). */
  required: boolean
  /** Several values in one cell are parted by `;`. */
  multiple: boolean
  /** Characters of one cell; longer ones are `cell.too_long`, or the code of the field's own rule. */
  limit: number
  /** The note on the template's header. */
  help: string
}

/** Every column that Muster knows, in the template's order (A1). */
export const FIELDS = [
  { name: 'externalId', header: 'External ID', kind: 'identifier', required: false, multiple: false, limit: 200,
    help: 'Your own number or code for the person, such as an employee number. It finds the person again in the next file. Without it the e-mail address does. Keep the column formatted as text, or leading zeros are lost.' },
  { name: 'firstName', header: 'First Name', kind: 'name', required: true, multiple: false, limit: 100,
    help: 'Required. Letters of any script, spaces, apostrophes, hyphens and periods; at most 100 characters.' },
  { name: 'lastName', header: 'Last Name', kind: 'name', required: true, multiple: false, limit: 100,
    help: 'Required. Letters of any script, spaces, apostrophes, hyphens and periods; at most 100 characters.' },
  { name: 'email', header: 'Email', kind: 'email', required: false, multiple: false, limit: 320,
    help: 'One address, like name@company.com. Required for a user who is to be sent a mail.' },
  { name: 'phone', header: 'Phone', kind: 'phone', required: false, multiple: false, limit: 50,
    help: 'Ten digits, like (612) 555-0100, unless your organization asks for the international form, like +49 30 1234567.' },
  { name: 'systemUser', header: 'System User', kind: 'yesNo', required: false, multiple: false, limit: 20,
    help: 'Yes or no. Yes makes an account; no makes a contact without access. Empty means yes.' },
  { name: 'accountKind', header: 'Account Kind', kind: 'choice', required: false, multiple: false, limit: 40,
    help: 'Employee, contact, or service representative. A person may hold one account of each kind: write one row for each, with the same External ID or address.' },
  { name: 'username', header: 'Username', kind: 'username', required: false, multiple: false, limit: 100,
    help: 'Leave it empty to have one made in your organization\'s format.' },
  { name: 'groups', header: 'User Group', kind: 'catalog', required: false, multiple: true, limit: 2_000,
    help: 'One or more of your user groups, parted by semicolons. Without a group and a profile the user cannot log in.' },
  { name: 'profile', header: 'Profile', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'One of your profiles. Without a group and a profile the user cannot log in.' },
  { name: 'license', header: 'License', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'One of your licenses. Each user takes a seat.' },
  { name: 'roles', header: 'Role', kind: 'catalog', required: false, multiple: true, limit: 2_000,
    help: 'One or more of your roles, parted by semicolons, or "No role assigned".' },
  { name: 'product', header: 'Product', kind: 'catalog', required: false, multiple: true, limit: 2_000,
    help: 'Products to link beside those that are linked automatically, parted by semicolons. The role applies to them.' },
  { name: 'tenant', header: 'Tenant', kind: 'catalog', required: false, multiple: true, limit: 2_000,
    help: 'Tenants of the product, parted by semicolons, where the product has them.' },
  { name: 'company', header: 'Company', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'The security group that limits which companies the user sees. Empty means all.' },
  { name: 'businessUnit', header: 'Business Unit', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'The security group that limits which business units the user sees. Empty means all.' },
  { name: 'department', header: 'Department', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'The security group that limits which departments the user sees. Empty means all.' },
  { name: 'location', header: 'Location', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'The security group that limits which locations the user sees. Empty means all.' },
  { name: 'lookups', header: 'Authorized Lookups', kind: 'catalog', required: false, multiple: true, limit: 4_000,
    help: 'Further fields that are limited to a security group, like jobCode=Engineering, parted by semicolons. A field that is not named means all.' },
  { name: 'customer', header: 'Customer', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'The customer that the contact belongs to.' },
  { name: 'worksite', header: 'Worksite', kind: 'catalog', required: false, multiple: false, limit: 200,
    help: 'A worksite of that customer.' },
  { name: 'contactRole', header: 'Contact Role', kind: 'catalog', required: false, multiple: true, limit: 2_000,
    help: 'What the contact is to that customer, such as Approver. Several are parted by semicolons.' },
  { name: 'delivery', header: 'Delivery', kind: 'choice', required: false, multiple: false, limit: 40,
    help: 'Credentials, invitation, or none. Empty takes your organization\'s setting.' },
  { name: 'sendAt', header: 'Send Date', kind: 'moment', required: false, multiple: false, limit: 60,
    help: 'When the mail may go out, in your organization\'s time zone: 2026-12-01, or 2026-12-01 08:00.' },
] as const satisfies readonly Field[]

export type FieldName = (typeof FIELDS)[number]['name']

/** One column of FIELDS, with its name known. */
export type FieldDefinition = Omit<Field, 'name'> & { name: FieldName }

const BY_NAME: ReadonlyMap<string, FieldDefinition> = new Map(FIELDS.map(field => [field.name, field]))

/** Whether a text, from a mapping or a command line say, names a field. */
export const isFieldName = (text: string): text is FieldName => BY_NAME.has(text)

/** The definition of a field. */
export function fieldNamed(name: FieldName): FieldDefinition {
  return BY_NAME.get(name)!
}
