import { createReadStream } from 'node:fs'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImportReport } from '../importers/importReport.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../importers/receive.ts'
import { isDeepStrictEqual } from 'node:util'
import type { Database } from '../entities/database.ts'
import { applyDeclaration, describe } from '../organizations/apply.ts'
import { parseDeclaration } from '../organizations/declaration.ts'
import { listOrganizations } from '../organizations/organizations.ts'
import { followDeliveries, followImport } from './followImport.ts'
import type { Installation } from './installation.ts'
import type { Output } from './output.ts'

/** Where what is shown lies. */
export const demonstrationFolder = join(import.meta.dirname, '../../fixtures/demonstration')
const DECLARATION = 'acme.organization.json'
/** The one by workbook, the other by CSV; each with a few bad rows. */
const FILES = ['people.xlsx', 'contractors.csv']

/**
 * Shows what Muster does, in an installation where nobody has declared anything of their own and no mail server is named: an organization, a workbook, a CSV,
 * and their mails in the mailbox. What was shown before is not done again; what a crash left half done is finished.
 * @returns the imports made now; empty where there was nothing to show
 */
export async function demonstrate(installation: Installation, out: Output): Promise<ImportReport[]> {
  const { database, queues, config } = installation
  // Its people are nobody's: no mail server is to hear of them.
  if (config.smtpUrl !== null) return []
  const organizationId = await demonstrationOrganization(database, await readDeclaration())
  if (organizationId === null) return []
  const known = await database.tenant(organizationId, (tx) => tx.query<{ hash: string }>('select file_hash as hash from imports'))
  const reports: ImportReport[] = []
  for (const name of FILES) {
    const path = join(demonstrationFolder, name)
    const hash = createHash('sha256').update(await readFile(path)).digest('hex')
    if (known.some((stored) => stored.hash === hash)) continue
    const importId = await receiveFile(database, organizationId, { name, bytes: createReadStream(path) as AsyncIterable<Buffer> }, { ...DEFAULT_OPTIONS, delivery: { kind: 'now' } })
    await queues.wake('stage', { organizationId, importId })
    const report = await followImport(installation, organizationId, importId, out)
    await followDeliveries(installation, organizationId, importId, out)
    reports.push(report)
  }
  return reports
}

const readDeclaration = async (): Promise<unknown> => JSON.parse(await readFile(join(demonstrationFolder, DECLARATION), 'utf8'))

/** The organization of the demonstration, where it is the only one and as it was made; else null. Makes nothing. */
export async function findDemonstration(database: Database): Promise<string | null> {
  return (await listOrganizations(database)).length === 0 ? null : demonstrationOrganization(database, await readDeclaration())
}

/** The organization of the demonstration: made where there is none at all, found where it is as it was made. Never laid over one of the operator's. */
async function demonstrationOrganization(database: Database, input: unknown): Promise<string | null> {
  const [only, ...others] = await listOrganizations(database)
  if (!only) return (await applyDeclaration(database, input)).id
  const declaration = parseDeclaration(input)
  if (others.length > 0 || only.key !== declaration.key) return null
  const there = await database.tenant(only.id, describe)
  return isDeepStrictEqual(parseDeclaration(there), declaration) ? only.id : null
}
