import type { Database, Transaction } from '../entities/database.ts'
import type { Settings } from './declaration.ts'

export type OrganizationSummary = { id: string; key: string; name: string }
export type Organization = OrganizationSummary & { timeZone: string; language: string; settings: Settings }

/** A key that no organization has. */
export class OrganizationUnknown extends Error {
  readonly code = 'organization.unknown'
  constructor(key: string, known: readonly string[]) {
    super(`There is no organization ${JSON.stringify(key)}. ${known.length > 0 ? `Known: ${known.slice(0, 20).join(', ')}.` : 'Declare one: muster organization apply FILE.json'}`)
    this.name = 'OrganizationUnknown'
  }
}

/** All organizations by key. */
export function listOrganizations(database: Database): Promise<OrganizationSummary[]> {
  return database.fleet((tx) => tx.query<OrganizationSummary>('select id, key, name from fleet.organizations()'))
}

/** The id of the organization with this key; throws OrganizationUnknown. */
export async function organizationId(database: Database, key: string): Promise<string> {
  const all = await listOrganizations(database)
  const found = all.find((organization) => organization.key === key)
  if (!found) throw new OrganizationUnknown(key, all.map((organization) => organization.key))
  return found.id
}

/** The organization of the transaction, with its settings. */
export async function readOrganization(tx: Transaction): Promise<Organization> {
  const [row] = await tx.query<Organization>('select id, key, name, time_zone as "timeZone", language, settings from organizations where id = $1', [tx.organizationId])
  if (!row) throw new Error(`organization ${tx.organizationId} is gone`)
  return row
}

/** The id of the organization that an import belongs to; null where there is no such import. `importId` is digits only. */
export const organizationOfImport = (database: Database, importId: string): Promise<string | null> => ownerOf(database, 'fleet.organization_of_import', importId)

/** The id of the organization that a delivery belongs to; null where there is no such delivery. `deliveryId` is digits only. */
export const organizationOfDelivery = (database: Database, deliveryId: string): Promise<string | null> => ownerOf(database, 'fleet.organization_of_delivery', deliveryId)

/** The id of the organization that a password report belongs to; null where there is no such report. `reportId` is digits only. */
export const organizationOfPasswordReport = (database: Database, reportId: string): Promise<string | null> => ownerOf(database, 'fleet.organization_of_password_report', reportId)

/** The id of the organization that a release belongs to; null where there is no such release. `releaseId` is digits only. */
export const organizationOfRelease = (database: Database, releaseId: string): Promise<string | null> => ownerOf(database, 'fleet.organization_of_release', releaseId)

/** The id of the organization that a feed belongs to; null where there is no such feed. `feedId` is digits only. */
export const organizationOfFeed = (database: Database, feedId: string): Promise<string | null> => ownerOf(database, 'fleet.organization_of_feed', feedId)

/** The id of the organization that a question about identity belongs to; null where there is no such question. `decisionId` is digits only. */
export const organizationOfIdentityDecision = (database: Database, decisionId: string): Promise<string | null> => ownerOf(database, 'fleet.organization_of_identity_decision', decisionId)

type OwnerQuestion = 'fleet.organization_of_import' | 'fleet.organization_of_delivery' | 'fleet.organization_of_password_report' | 'fleet.organization_of_release' | 'fleet.organization_of_identity_decision' | 'fleet.organization_of_feed'

async function ownerOf(database: Database, question: OwnerQuestion, id: string): Promise<string | null> {
  const [row] = await database.fleet((tx) => tx.query<{ id: string | null }>(`select ${question}($1) as id`, [id]))
  return row!.id
}
