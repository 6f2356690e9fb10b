import { deactivateUsers } from '../accounts/changeActivity.ts'
import { provisionUsers } from '../accounts/provision.ts'
import { recordUsers, recordUsersLeft } from '../accounts/recordUsers.ts'
import { cancelMails } from '../deliveries/cancelMails.ts'
import { oweDeliveries } from '../deliveries/owe.ts'
import type { Transaction } from '../entities/database.ts'
import { troubleOf } from '../entities/databaseTrouble.ts'
import { commitContacts, countFailure, finishChunk, setChunkAside, setStaleAside, takeChunk, waitsForFirstRows, type Chunk } from '../importers/commit.ts'
import { adoptNamed, commitLeaving, rowsNotWritten, spareLeaving, waitsForRows } from '../importers/departures.ts'
import { raiseDecisions } from '../importers/identityDecisions.ts'
import { readImport, type StoredImport } from '../importers/importReport.ts'
import { recordAdopted, recordContacts, recordLeft } from '../importers/recordChanges.ts'
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
 * Commits one chunk of a plan in one transaction: contacts, users, deliveries owed; or people who leave, behind all rows. The last one ends the import.
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
      waits = chunk.kind === 'leaving' ? await waitsForRows(tx, importId) : await waitsForFirstRows(tx, importId, chunk)
      if (waits) return
      await work(tx, stored, chunk)
      await finishChunk(tx, importId, chunk.number, worker)
    })
  try {
    await inChunk(async (tx, stored, chunk) => {
      await (chunk.kind === 'leaving' ? letLeave(tx, importId, chunk) : applyChunk(tx, stored, chunk))
      await failpoint('import.chunk_applied')
    })
  } catch (error) {
    if (troubleOf(error) !== null || !REFUSED.test((error as { code?: string }).code ?? '')) throw error
    if (!(await database.tenant(organizationId, (tx) => countFailure(tx, importId, payload.chunk)))) throw error
    // For ever refused, it would keep the import from its end, and every other one of the organization from its beginning.
    await inChunk((tx, _, chunk) => (chunk.kind === 'leaving' ? spareLeaving(tx, importId, chunk) : setChunkAside(tx, importId, chunk, importTables(importId).users)))
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
  const feed = stored.options.feed
  const apply = async (): Promise<void> => {
    await recordContacts(tx, stored.id, chunk)
    await commitContacts(tx, stored.id, chunk, stagedColumns(stored.columns ?? []), feed?.feedId ?? null)
    if (feed?.adopts) {
      await recordAdopted(tx, stored.id, chunk)
      await adoptNamed(tx, stored.id, chunk, feed.feedId)
    }
    await recordUsers(tx, stored.id, tables, chunk)
    await provisionUsers(tx, stored.id, tables, chunk, catalog, settings.password.mustChange && !settings.login.sso)
    await oweDeliveries(tx, stored.id, tables, chunk, stored.options.delivery)
    await raiseDecisions(tx, stored.id, chunk)
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

/**
 * Deactivates people whom a full file no longer names, with everything that it means (spec A6, C9): seats become free, sessions end, open
 * invitations are void, and what they are owed is cancelled. Nobody is, where rows of the file could not be written.
 */
async function letLeave(tx: Transaction, importId: string, chunk: Chunk): Promise<void> {
  if (await rowsNotWritten(tx, importId)) return spareLeaving(tx, importId, chunk)
  const { contactIds, userIds } = await commitLeaving(tx, importId, chunk)
  await recordLeft(tx, importId, contactIds)
  const left = await deactivateUsers(tx, userIds)
  await recordUsersLeft(tx, importId, left.userIds)
  await cancelMails(tx, left.userIds, null, 'user_inactive')
}
