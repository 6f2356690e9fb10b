/** Files and reports as the tests of this folder speak of them. */
import type { ImportReport } from '../../src/importers/importReport.ts'
import type { DeclarationChanges, Importing } from '../support/importing.ts'
import { csvOf } from '../support/writePeople.ts'

/** A CSV file from a line of headers and lines of fields, all parted by `|` for the reader's sake; what a line leaves out at its end is blank. */
export function sheet(header: string, ...lines: string[]): string {
  const width = header.split('|').length
  return csvOf([header, ...lines].map((line) => [...line.split('|').map((field) => field.trim()), ...Array.from({ length: width }, () => '')].slice(0, Math.max(width, line.split('|').length)))).toString()
}

/** `code row` of every problem, in order. */
export const codes = ({ issues }: ImportReport): string[] => issues.map(({ row, code }) => `${code} ${row}`)

/** The totals that are not 0. */
export const fates = ({ totals }: ImportReport): Record<string, number> => Object.fromEntries(Object.entries(totals).filter(([, count]) => count > 0))

/** Marks every mail that the organization owes as sent, as an administrator of the database would. */
export const markSent = (organization: Importing): Promise<unknown> =>
  organization.sql("update deliveries set state = 'sent', sent_at = now() where organization_id = $1 and user_id is not null", [organization.organizationId])

/** Deactivates a contact and its users. */
export async function deactivate(organization: Importing, externalId: string): Promise<void> {
  await organization.sql("update users u set state = 'inactive' from contacts c where c.id = u.contact_id and c.organization_id = $1 and c.external_id = $2", [organization.organizationId, externalId])
  await organization.sql("update contacts set state = 'inactive', version = version + 1 where organization_id = $1 and external_id = $2", [organization.organizationId, externalId])
}

/** The table rows of an organization, and those that belong to nobody, as text that two moments can be compared by. */
export async function dump(organization: Importing): Promise<Record<string, string[]>> {
  const tables = await organization.sql<{ name: string; own: boolean }>(
    `select t.tablename as name, exists (select from information_schema.columns c where c.table_schema = 'public' and c.table_name = t.tablename and c.column_name = 'organization_id') as own
     from pg_tables t where schemaname = 'public' order by 1`,
  )
  const contents: Record<string, string[]> = {}
  for (const { name, own } of tables) {
    const rows = await organization.sql<{ text: string }>(`select x::text as text from "${name}" x ${own ? 'where organization_id = $1' : ''} order by 1`, own ? [organization.organizationId] : [])
    contents[name] = rows.map(({ text }) => text)
  }
  return contents
}

/** Without seats, mails and whatever else a test does not speak of: an organization whose new users are owed nothing. */
export const QUIET: DeclarationChanges = { defaults: { delivery: 'none' } }
