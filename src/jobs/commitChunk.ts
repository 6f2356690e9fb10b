import { provisionUsers } from '../accounts/provision.ts'
import { oweDeliveries } from '../deliveries/owe.ts'
import type { Transaction } from '../entities/database.ts'
import { commitContacts, finishChunk, setStaleAside, takeChunk, type Chunk } from '../importers/commit.ts'
import { readImport, type StoredImport } from '../importers/importReport.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { finishImport } from './finishImport.ts'
import { importTables } from './importTables.ts'
import { done, type Outcome } from './outcome.ts'
import { stagedColumns, type ImportParts } from './stageImport.ts'

const UNIQUE_VIOLATION = '23505'

/**
 * Commits one chunk of a plan in one transaction: contacts, users, deliveries owed. The last one ends the import.
 * Harmless to run twice, and beside other chunks on any machine.
 */
export async function commitChunk(parts: ImportParts, payload: { organizationId: string; importId: string; chunk: number }): Promise<Outcome> {
  const { database, queues, failpoint } = parts
  const { organizationId, importId } = payload
  await database.tenant(organizationId, async (tx) => {
    const stored = await readImport(tx, importId)
    if (stored?.state !== 'committing') return
    const chunk = await takeChunk(tx, importId, payload.chunk)
    if (!chunk) return
    await applyChunk(tx, stored, chunk)
    await failpoint('import.chunk_applied')
  })
  await failpoint('import.chunk_committed')
  const ended = await database.tenant(organizationId, (tx) => finishImport(tx, importId))
  if (ended) {
    await failpoint('import.committed')
    await queues.wake('deliver', { organizationId })
  }
  return done
}

async function applyChunk(tx: Transaction, stored: StoredImport, chunk: Chunk): Promise<void> {
  const tables = importTables(stored.id)
  const { settings } = await readOrganization(tx)
  const catalog = await loadCatalog(tx)
  const apply = async (): Promise<void> => {
    await commitContacts(tx, stored.id, chunk, stagedColumns(stored.columns ?? []))
    await provisionUsers(tx, stored.id, tables, chunk, catalog, settings.password.mustChange)
    await oweDeliveries(tx, stored.id, tables, chunk, stored.options.delivery)
  }
  await setStaleAside(tx, stored.id, chunk, { users: tables.users, conflicts: false })
  await tx.run('savepoint before_chunk')
  try {
    await apply()
  } catch (error) {
    if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error
    // Somebody took an id, address or username since the plan was made. The slow way finds who is left alone.
    await tx.run('rollback to savepoint before_chunk')
    await setStaleAside(tx, stored.id, chunk, { users: tables.users, conflicts: true })
    await apply()
  }
  await finishChunk(tx, stored.id, chunk.number)
}
