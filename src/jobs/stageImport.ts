import { planUsers } from '../accounts/planUsers.ts'
import { reserveSeats } from '../accounts/reserveSeats.ts'
import { owedPurpose, planHeld } from '../deliveries/owe.ts'
import type { Database, Transaction } from '../entities/database.ts'
import { troubleOf } from '../entities/databaseTrouble.ts'
import { splitIntoChunks } from '../importers/commit.ts'
import { listPassedOver, noteStanding, ReadWhole } from '../importers/knownRows.ts'
import { planContacts } from '../importers/plan.ts'
import type { ImportOptions } from '../importers/receive.ts'
import { tellSendersHeaders } from '../importers/rowIssues.ts'
import { beginStaging, giveStagingBack, stageRows, stageWhole, StagingTakenAway, type StagingImport } from '../importers/stage.ts'
import { COLUMN_OF_FIELD, type StagedColumn } from '../importers/stagedRow.ts'
import { loadCatalog } from '../organizations/catalog.ts'
import { readOrganization } from '../organizations/organizations.ts'
import type { IssueCode } from '../rules/catalog.ts'
import type { MatchedColumn } from '../rules/columns.ts'
import { FileRefused } from '../rules/refusal.ts'
import type { Failpoint } from './failpoint.ts'
import { failImport, finishImport } from './finishImport.ts'
import { onceItAnswers } from './giveBack.ts'
import { holdIfJudged, judgeImport, plannedBy } from './holdImport.ts'
import { importTables } from './importTables.ts'
import { cancel, done, snooze, type Outcome } from './outcome.ts'
import type { Queues } from './queues.ts'

export type ImportParts = {
  database: Database
  queues: Pick<Queues, 'wake'>
  failpoint: Failpoint
  /** The worker's name, for the record of what it did. */
  worker?: string
}

/** How long an import waits for another one of its organization before it asks again. */
const TURN_MS = 1_000
/** How often a worker that plans says that it is alive. */
const RENEW_MS = 10_000
/** What a worker that was stopped in the middle holds is free again for others, instead of when it goes on. */
export const GIVE_UP_WHEN_STOPPED = `set local idle_in_transaction_session_timeout = '60s'`

/**
 * Takes an import from received to previewed, or on to committing where no preview was asked for: stage, then plan.
 * Runs again from where the database says it is; a worker that died leaves a lease that ends.
 */
export async function stageImport(parts: ImportParts, payload: { organizationId: string; importId: string }, signal: AbortSignal): Promise<Outcome> {
  const { database, queues } = parts
  const { organizationId, importId } = payload
  let staging: StagingImport | null = null
  try {
    staging = await database.tenant(organizationId, (tx) => beginStaging(tx, importId))
    if (!staging) return done
    if (!staging.staged) {
      await stageRows(database, organizationId, staging, signal)
      await parts.failpoint('import.staged')
    }
    const planned = await planAlive(database, organizationId, staging)
    if (planned === 'wait') return snooze(TURN_MS)
    await parts.failpoint('import.planned')
    for (const chunk of planned) await queues.wake('commit', { organizationId, importId, chunk })
    if (planned.length === 0 && staging.options.feed) {
      // A file in which nothing is new has nothing to be committed.
      await database.tenant(organizationId, (tx) => finishImport(tx, importId))
      // Where it is held, people are told.
      await queues.wake('deliver', { organizationId })
    }
    return done
  } catch (error) {
    if (error instanceof StagingTakenAway) return cancel('taken away')
    if (error instanceof ReadWhole) {
      await database.tenant(organizationId, (tx) => stageWhole(tx, importId))
      return snooze(0)
    }
    if (!(error instanceof FileRefused)) {
      // A worker that is told to end, and a database in trouble, leave the import for no fault of the file.
      const ours = staging
      if (ours && (signal.aborted || troubleOf(error))) await onceItAnswers(() => database.tenant(organizationId, (tx) => giveStagingBack(tx, ours)), signal)
      // The next try is the queue's or the sweep's; it need not wait for the lease.
      await database.tenant(organizationId, (tx) => tx.run(`update imports set lease_until = now() where id = $1 and state = 'staging'`, [importId])).catch(() => undefined)
      throw error
    }
    await database.tenant(organizationId, (tx) => failImport(tx, importId, error))
    await queues.wake('deliver', { organizationId })
    return cancel(error.code)
  }
}

/**
 * Plans a staged import. Imports of an organization that go straight on take turns: a plan made while another one is committed would be stale.
 * @returns the chunks to commit, none for a preview or where the file is held; or `wait`
 */
async function planImport(database: Database, organizationId: string, staging: StagingImport): Promise<number[] | 'wait'> {
  return database.tenant(organizationId, async (tx) => {
    await tx.run(GIVE_UP_WHEN_STOPPED)
    if (!staging.options.preview && !(await takeTurn(tx))) {
      await tx.run('update imports set lease_until = now() where id = $1', [staging.id])
      return 'wait'
    }
    const { columns, by } = await planInto(tx, staging.id, staging.options)
    const judged = await judgeImport(tx, staging.id, staging.options, by)
    const state = await tx.run(`update imports set state = 'previewed', lease_until = null, columns = $2 where id = $1 and state = 'staging'`, [staging.id, JSON.stringify(columns)])
    if (state === 0) throw new StagingTakenAway(staging.id)
    if (judged && (await holdIfJudged(tx, staging.id, judged))) return []
    return staging.options.preview ? [] : beginCommit(tx, staging.id)
  })
}

async function takeTurn(tx: Transaction): Promise<boolean> {
  const [lock] = await tx.query<{ got: boolean }>(`select pg_try_advisory_xact_lock(hashtext('muster.import'), hashtext($1)) as got`, [tx.organizationId])
  if (!lock!.got) return false
  // In a statement of its own: the one that took the lock sees what was there before whoever had it was through.
  const [turn] = await tx.query<{ free: boolean }>(`select not exists (select from imports where state = 'committing') as free`)
  return turn!.free
}

async function planInto(tx: Transaction, importId: string, options: ImportOptions): Promise<{ columns: MatchedColumn[]; by: string }> {
  const { settings } = await readOrganization(tx)
  const catalog = await loadCatalog(tx)
  const [row] = await tx.query<{ columns: MatchedColumn[] }>('select columns from imports where id = $1', [importId])
  const columns = row!.columns
  await tx.run(`delete from import_issues where import_id = $1 and code = any ($2)`, [importId, PLAN_ISSUES])
  if (options.feed) await listPassedOver(tx, importId)
  await planContacts(tx, importId, stagedColumns(columns), settings)
  if (options.feed) await noteStanding(tx, importId)
  await planUsers(tx, { importId, tables: importTables(importId), settings, catalog, purpose: owedPurpose(settings, options.delivery) })
  await planHeld(tx, importTables(importId), options.delivery)
  await tellSendersHeaders(tx, importId, PLAN_ISSUES, columns)
  return { columns, by: plannedBy(settings, catalog) }
}

/** Codes that planning tells; told anew when it is done again. */
const PLAN_ISSUES: IssueCode[] = [
  'duplicate.in_file', 'duplicate.contradiction', 'duplicate.first_row', 'email.belongs_to_person', 'phone.belongs_to_person', 'duplicate.email', 'identity.conflict', 'identity.moved', 'identity.move_declined', 'identity.deactivated', 'identity.deactivated_skipped', 'identity.reactivated',
  'role.required', 'email.required', 'username.taken', 'security.required', 'license.no_seats', 'license.awaiting', 'user.not_loginable', 'delivery.not_invitable',
]

/** The staging columns that a file with these columns fills. Clearing is known row by row, and is looked at always. */
export function stagedColumns(columns: readonly MatchedColumn[]): Set<StagedColumn> {
  const staged = new Set<StagedColumn>(columns.flatMap((column) => (column.field === null ? [] : [COLUMN_OF_FIELD[column.field]])))
  if (staged.has('email')) staged.add('email_key')
  if (columns.some((column) => column.attribute !== null)) staged.add('attributes')
  return staged.add('clears')
}

/**
 * Begins to commit a plan: seats are set aside, chunks are there for any worker. One that is held has to be approved first (decideImport.ts).
 * @returns their numbers, none where there is nothing to begin; throws SeatsGone where seats went since the preview
 */
export async function beginCommit(tx: Transaction, importId: string): Promise<number[]> {
  const begun = await tx.run(`update imports set state = 'committing' where id = $1 and (state = 'previewed' or state = 'held' and decision = 'approved')`, [importId])
  if (begun === 0) return []
  const short = await reserveSeats(tx, importId, importTables(importId).users)
  if (short.length > 0) throw new SeatsGone(short)
  return (await splitIntoChunks(tx, importId)).map((chunk) => chunk.number)
}

/** Seats that were free at preview have gone since: nothing was changed. */
export class SeatsGone extends Error {
  readonly code = 'license.seats_gone'
  constructor(licenses: string[]) {
    super(`Since the preview the seats of ${licenses.join(', ')} have gone to others. Nothing was changed. Take the file in again to see what fits now.`)
    this.name = 'SeatsGone'
  }
}

/** Plans, and says meanwhile that the worker is alive. */
async function planAlive(database: Database, organizationId: string, staging: StagingImport): Promise<number[] | 'wait'> {
  const renew = (tx: Transaction): Promise<number> => tx.run(`update imports set lease_until = now() + interval '60 seconds' where id = $1 and state = 'staging'`, [staging.id])
  // A sign that cannot be given is no reason to stop: at worst somebody else plans too, and one of the two loses.
  const timer = setInterval(() => void database.tenant(organizationId, renew).catch(() => undefined), RENEW_MS)
  try {
    return await planImport(database, organizationId, staging)
  } finally {
    clearInterval(timer)
  }
}
