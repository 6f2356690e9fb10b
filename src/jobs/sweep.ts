import { MENDED_AT_ONCE } from '../deliveries/sweep.ts'
import { sweepReleases } from '../deliveries/waves.ts'
import type { Database, Transaction } from '../entities/database.ts'
import { openSlots } from '../feeds/slots.ts'
import { pendingChunks } from '../importers/commit.ts'
import { dropReceivedInPart } from '../importers/receive.ts'
import { dropIdleStaging } from '../importers/stage.ts'
import { expireHolds } from './decideImport.ts'
import { sweepDeliveries } from './deliver.ts'
import { finishImport } from './finishImport.ts'
import type { Queues } from './queues.ts'

/** Seconds without a sign after which a worker is no longer counted. */
const WORKER_SILENCE = 60
/** Organizations whose releases are looked at at the same time. */
const AT_ONCE = 3
/** Calls that go out to the queue together: many feeds are due at the same minute. */
const CALLS_AT_ONCE = 25

export type SweepParts = {
  database: Database
  queues: Pick<Queues, 'wake'>
  /** Told of what a person has to look at. Default: nobody. */
  log?: { error(detail: object, message: string): void }
}

/**
 * Finds what is due and wakes somebody for it, whatever the queue has lost (faults.md 4, 13, 14); tidies what an end left behind.
 * Everything it does may be done twice, and by several at once.
 */
export async function sweepOnce(parts: SweepParts): Promise<void> {
  const faults: unknown[] = []
  /** What goes wrong with one import or organization leaves the others to be looked after. */
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => faults.push(error))
  }
  await attempt(() => openSlots(parts.database).then(() => undefined))
  await attempt(() => wakeFeeds(parts))
  await attempt(() => wakeDueImports(parts, attempt))
  // First, as what they let go is due at once.
  await attempt(() => sweepOpenReleases(parts, attempt))
  await attempt(() => wakeDueDeliveries(parts))
  await attempt(() => wakeWebhooks(parts))
  await attempt(() => settleDeliveries(parts, attempt))
  await attempt(() => releaseHeldBack(parts, attempt))
  await attempt(() => endHolds(parts, attempt))
  await attempt(() => dropLeftReceiving(parts, attempt))
  await attempt(() => dropEndedStaging(parts.database))
  await attempt(() => forgetSilentWorkers(parts.database))
  await attempt(() => forgetExpired(parts, attempt))
  if (faults.length > 0) throw new AggregateError(faults, `the sweep could not see to everything: ${faults.map((fault) => (fault as Error).message).join('; ')}`)
}

type Attempt = (work: () => Promise<void>) => Promise<void>

async function wakeDueImports({ database, queues }: SweepParts, attempt: Attempt): Promise<void> {
  const due = await database.fleet((tx) => tx.query<{ id: string; organization_id: string; state: string }>('select * from fleet.imports_due()'))
  for (const { id, organization_id: organizationId, state } of due) {
    if (state !== 'committing') {
      await queues.wake('stage', { organizationId, importId: id })
      continue
    }
    await attempt(async () => {
      const chunks = await database.tenant(organizationId, async (tx) => {
        await finishImport(tx, id)
        return pendingChunks(tx, id)
      })
      for (const chunk of chunks) await queues.wake('commit', { organizationId, importId: id, chunk: chunk.number })
    })
  }
}

/** Feeds that a worker has something to do for, or left in the middle. */
async function wakeFeeds({ database, queues }: SweepParts): Promise<void> {
  const due = await database.fleet((tx) => tx.query<{ id: string; organization_id: string }>('select id, organization_id from fleet.feeds_to_wake()'))
  for (let at = 0; at < due.length; at += CALLS_AT_ONCE) {
    await Promise.all(due.slice(at, at + CALLS_AT_ONCE).map(({ id, organization_id: organizationId }) => queues.wake('feeds', { organizationId, feedId: id })))
  }
}

async function wakeWebhooks({ database, queues }: SweepParts): Promise<void> {
  const due = await database.fleet((tx) => tx.query<{ organization_id: string }>('select * from fleet.organizations_with_webhook_events()'))
  for (const { organization_id: organizationId } of due) await queues.wake('webhooks', { organizationId })
}

/** Held imports that nobody has decided about in time. */
async function endHolds({ database }: SweepParts, attempt: Attempt): Promise<void> {
  const held = await database.fleet((tx) => tx.query<{ id: string; organization_id: string }>('select id, organization_id from fleet.imports_held_too_long()'))
  for (const { id, organization_id: organizationId } of held) await attempt(() => database.tenant(organizationId, (tx) => expireHolds(tx, id)).then(() => undefined))
}

/** What a worker had of a file when it died (faults.md 1): the file is fetched again. */
async function dropLeftReceiving({ database }: SweepParts, attempt: Attempt): Promise<void> {
  const left = await database.fleet((tx) => tx.query<{ id: string; organization_id: string }>('select id, organization_id from fleet.imports_received_in_part()'))
  for (const { id, organization_id: organizationId } of left) await attempt(() => database.tenant(organizationId, (tx) => dropReceivedInPart(tx, id)))
}

async function sweepOpenReleases({ database, log }: SweepParts, attempt: Attempt): Promise<void> {
  const open = await database.fleet((tx) => tx.query<{ organization_id: string }>('select * from fleet.organizations_with_open_releases()'))
  const look = ({ organization_id: organizationId }: { organization_id: string }): Promise<void> =>
    attempt(async () => {
      const { frozen } = await database.tenant(organizationId, sweepReleases)
      for (const { id, reason } of frozen) log?.error({ alert: 'release_frozen', organizationId, release: id, reason }, 'a release has frozen itself over its first wave: look at it, then resume or cancel it')
    })
  // Some at once, as each is a question that waits for its answer; the other connections belong to others.
  for (let at = 0; at < open.length; at += AT_ONCE) await Promise.all(open.slice(at, at + AT_ONCE).map(look))
}

async function wakeDueDeliveries({ database, queues }: SweepParts): Promise<void> {
  const due = await database.fleet((tx) => tx.query<{ organization_id: string }>('select * from fleet.organizations_with_due_deliveries()'))
  for (const { organization_id: organizationId } of due) await queues.wake('deliver', { organizationId })
}

async function settleDeliveries({ database }: SweepParts, attempt: Attempt): Promise<void> {
  const found = await database.fleet((tx) =>
    tx.query<{ organization_id: string }>('select organization_id from fleet.organizations_with_lost_leases() union select organization_id from fleet.organizations_with_expired_invitations()'),
  )
  for (const { organization_id: organizationId } of found) await attempt(() => sweepDeliveries(database, organizationId, { mended: false }).then(() => undefined))
}

/** By database: when this process next looks for people who can log in again, on the clock of performance.now(). */
const nextLook = new WeakMap<Database, number>()
/** A look reads whoever is held. Where these are many, it is taken less often: it has at most this share of the time. */
const LOOK_SHARE = 0.02
const LOOK_AT_LEAST_EVERY_MS = 15_000

/** Lets mails go that were held because the person could not log in. */
async function releaseHeldBack({ database }: SweepParts, attempt: Attempt): Promise<void> {
  const begun = performance.now()
  if (begun < (nextLook.get(database) ?? 0)) return
  const found = await database.fleet((tx) => tx.query<{ organization_id: string }>('select * from fleet.organizations_with_mendable_deliveries()'))
  let more = false
  for (const { organization_id: organizationId } of found) {
    await attempt(async () => {
      const { mended } = await sweepDeliveries(database, organizationId)
      more ||= mended === MENDED_AT_ONCE
    })
  }
  const ended = performance.now()
  nextLook.set(database, more ? 0 : ended + Math.min((ended - begun) / LOOK_SHARE, LOOK_AT_LEAST_EVERY_MS))
}

/** Staging tables of imports that have ended, left by a process that died between the two. */
async function dropEndedStaging(database: Database): Promise<void> {
  await database.fleet(async (tx) => {
    const tables = await tx.query<{ id: string }>(`select distinct substring(tablename from '\\d+') as id from pg_tables where schemaname = 'staging' and tablename ~ '^(rows|plan)_\\d+'`)
    if (tables.length === 0) return
    const states = await tx.query<{ id: string; state: string }>('select id, state from fleet.import_states($1)', [tables.map((table) => table.id)])
    const open = new Set(states.filter(({ state }) => ['received', 'staging', 'previewed', 'held', 'committing'].includes(state)).map(({ id }) => id))
    for (const { id } of tables) if (!open.has(id)) await dropIdleStaging(tx, id)
  })
}

async function forgetSilentWorkers(database: Database): Promise<void> {
  await database.fleet((tx) => tx.run(`delete from workers where seen_at < now() - interval '${WORKER_SILENCE * 10} seconds'`))
}

/** Sessions and sealed passwords whose time is over, and counts of what was tried in vain. */
async function forgetExpired({ database }: SweepParts, attempt: Attempt): Promise<void> {
  const found = await database.fleet(async (tx) => {
    await tx.run('delete from throttles where ends_at <= now()')
    return tx.query<{ organization_id: string }>('select * from fleet.organizations_with_expired_secrets()')
  })
  for (const { organization_id: organizationId } of found) await attempt(() => database.tenant(organizationId, forgetSecrets))
}

async function forgetSecrets(tx: Transaction): Promise<void> {
  await tx.run('delete from sessions where expires_at <= now()')
  await tx.run('update password_reports set sealed = null where sealed is not null and expires_at <= now()')
}
