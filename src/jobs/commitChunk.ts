import { provisionUsers } from '../accounts/provision.ts'
import { oweDeliveries } from '../deliveries/owe.ts'
import type { Transaction } from '../entities/database.ts'
import { commitContacts, countFailure, finishChunk, setChunkAside, setStaleAside, takeChunk, waitsForFirstRows, type Chunk } from '../importers/commit.ts'
import { readImport, type StoredImport } from '../importers/importReport.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { finishImport } from './finishImport.ts'
import { importTables } from './importTables.ts'
import { done, snooze, type Outcome } from './outcome.ts'
import { GIVE_UP_WHEN_STOPPED, stagedColumns, type ImportParts } from './stageImport.ts'

/** How long a chunk waits for one that goes before it until it asks again. */
const TURN_MS = 500
const UNIQUE_VIOLATION = '23505'
/** Classes of SQLSTATE that say that the rows cannot be written as they are, and not that the database was out of reach or busy. */
const REFUSED = /^(?:21|22|23|42|44|P0|XX)/

/**
 * Commits one chunk of a plan in one transaction: contacts, users, deliveries owed. The last one ends the import.
 * Harmless to run twice, and beside other chunks on any machine.
 */
export async function commitChunk(parts: ImportParts, payload: { organizationId: string; importId: string; chunk: number }): Promise<Outcome> {
  const { database, queues, failpoint, worker = null } = parts
  const { organizationId, importId } = payload
  let waits = false
  const inChunk = (work: (tx: Transaction, stored: StoredImport, chunk: Chunk) => Promise<void>): Promise<void> =>
    database.tenant(organizationId, async (tx) => {
      await tx.run(GIVE_UP_WHEN_STOPPED)
      const stored = await readImport(tx, importId)
      const chunk = stored?.state === 'committing' ? await takeChunk(tx, importId, payload.chunk) : null
      if (!stored || !chunk) return
      waits = await waitsForFirstRows(tx, importId, chunk)
      if (waits) return
      await work(tx, stored, chunk)
      await finishChunk(tx, importId, chunk.number, worker)
    })
  try {
    await inChunk(async (tx, stored, chunk) => {
      await applyChunk(tx, stored, chunk)
      await failpoint('import.chunk_applied')
    })
  } catch (error) {
    if (!REFUSED.test((error as { code?: string }).code ?? '')) throw error
    if (!(await database.tenant(organizationId, (tx) => countFailure(tx, importId, payload.chunk)))) throw error
    // For ever refused, it would keep the import from its end, and every other one of the organization from its beginning.
    await inChunk((tx, _, chunk) => setChunkAside(tx, importId, chunk, importTables(importId).users))
  }
  if (waits) return snooze(TURN_MS)
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
    await provisionUsers(tx, stored.id, tables, chunk, catalog, settings.password.mustChange && !settings.login.sso)
    await oweDeliveries(tx, stored.id, tables, chunk, stored.options.delivery)
  }
  const detailsOfPerson = settings.onboarding.contactDetails === 'person'
  await setStaleAside(tx, stored.id, chunk, { users: tables.users, conflicts: false, detailsOfPerson })
  await tx.run('savepoint before_chunk')
  try {
    await apply()
  } catch (error) {
    if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error
    // Somebody took an id, address or username since the plan was made. The slow way finds who is left alone.
    await tx.run('rollback to savepoint before_chunk')
    await setStaleAside(tx, stored.id, chunk, { users: tables.users, conflicts: true, detailsOfPerson })
    await apply()
  }
}
