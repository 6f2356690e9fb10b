import type { Database } from '../entities/database.ts'
import { readImport, type StoredImport } from '../importers/importReport.ts'
import { organizationOfDelivery, organizationOfImport } from '../organizations/organizations.ts'

/** A refusal that a command tells in a sentence, with a stable code and what to do. */
export class CommandRefused extends Error {
  readonly code: string
  readonly hint: string | null
  constructor(code: string, message: string, hint: string | null = null) {
    super(message)
    this.name = 'CommandRefused'
    this.code = code
    this.hint = hint
  }
}

const isId = (text: string): boolean => /^\d{1,18}$/.test(text)

/** The import of this id, whatever organization it belongs to. */
export async function findImport(database: Database, id: string): Promise<{ organizationId: string; stored: StoredImport }> {
  const organizationId = isId(id) ? await organizationOfImport(database, id) : null
  const stored = organizationId === null ? null : await database.tenant(organizationId, (tx) => readImport(tx, id))
  if (organizationId === null || !stored) throw new CommandRefused('import.unknown', `There is no import ${JSON.stringify(id)}.`, './muster import list shows those there are.')
  return { organizationId, stored }
}

/** The organization that a delivery belongs to. */
export async function findOrganizationOfDelivery(database: Database, id: string): Promise<string> {
  const organizationId = isId(id) ? await organizationOfDelivery(database, id) : null
  if (organizationId === null) throw new CommandRefused('deliveries.unknown_id', `There is no delivery ${JSON.stringify(id)}.`, './muster deliveries list shows those there are.')
  return organizationId
}
