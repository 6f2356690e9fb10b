import type { MatchedColumn } from '../../rules/columns.ts'
import type { FieldName } from '../../rules/fields.ts'
import type { Cell, SourceRow } from '../source.ts'

/** The very hidden sheet by which a workbook that came out of Muster is recognized (A1). Rows of a key and a value. */
export const IDENTITY_SHEET = '_muster'
/** Goes up when a filled-in template of before would be read wrongly. */
export const TEMPLATE_VERSION = '1'

export type TemplateIdentity = {
  template: 'people'
  version: string
  /** The key of the organization that the template was made for. */
  organization: string
}

/** The External ID of the example row. */
export const EXAMPLE_EXTERNAL_ID = 'EXAMPLE'

/** What the example row says of the person; the rest depends on the organization's catalog. */
export const EXAMPLE_PERSON = {
  externalId: EXAMPLE_EXTERNAL_ID,
  firstName: 'Maria',
  lastName: 'Example',
  email: 'maria.example@example.com',
} as const satisfies Partial<Record<FieldName, string>>

/** The rows of the identity sheet; the name is there for people who look into the file. */
export function identityRows({ template, version, organization }: TemplateIdentity, organizationName?: string): [string, string][] {
  return [['template', template], ['version', version], ['organization', organization], ...(organizationName === undefined ? [] : [['generatedFor', organizationName] satisfies [string, string]])]
}

/** What the identity sheet says; null where the rows are not those of a template. */
export function readTemplateIdentity(rows: readonly SourceRow[]): TemplateIdentity | null {
  const values = new Map(rows.map(({ cells }) => [textOf(cells[0]), textOf(cells[1])]))
  const version = values.get('version')
  const organization = values.get('organization')
  if (values.get('template') !== 'people' || !version || !organization) return null
  return { template: 'people', version, organization }
}

/**
 * Whether a row of a template is its example, as it was: to be skipped as a blank one.
 * Once the person's name or address was typed over it is somebody's row, and none may be lost: then this is false.
 * Only to be asked of a workbook that has a template's identity.
 */
export function isExampleRow(cells: readonly Cell[], columns: readonly MatchedColumn[]): boolean {
  return Object.entries(EXAMPLE_PERSON).every(([field, value]) => {
    const column = columns.find(candidate => candidate.field === field)
    return column !== undefined && textOf(cells[column.index]) === value
  })
}

function textOf(cell: Cell | undefined): string | null {
  if (cell === null || cell === undefined) return null
  if (typeof cell === 'string') return cell
  return cell.type === 'text' || cell.type === 'number' ? cell.text : null
}
