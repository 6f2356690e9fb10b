import type { Transaction } from '../entities/database.ts'
import type { ImportState } from '../entities/states.ts'
import { explainFailure, explainHold, type FailureCode } from '../rules/catalog.ts'
import type { MatchedColumn } from '../rules/columns.ts'
import type { ChangeCounts, HoldReason } from '../rules/feedPolicy.ts'
import type { IssueDetail } from '../rules/problem.ts'
import type { ImportOptions } from './receive.ts'
import { readIssues, type ShownIssue } from './rowIssues.ts'
import { planTable } from './stagedRow.ts'

export type Totals = { read: number; created: number; updated: number; unchanged: number; rejected: number; held: number; blank: number }
export type UserCounts = { created: number; updated: number; notLoginable: number; withoutSeat: number }
export type DeliveryCounts = { owed: number; scheduled: number; notOwed: number }
/** Why new users are owed no mail, and how many of them. */
export type NotOwed = { reason: keyof typeof NOT_OWED; count: number; message: string }
/** Why people whom a full file does not name were left active all the same, and how many of them. */
export type NotDeactivated = { reason: keyof typeof NOT_DEACTIVATED; count: number; message: string }
/**
 * `deactivated`: people whom a full file no longer names (spec A6). `seats` of limited licenses that the plan takes, while it is a plan; `missingRoles`
 * must be held by somebody and are not (spec C3, C4).
 */
export type ImportResult = {
  totals: Totals
  users: UserCounts
  deactivated: number
  notDeactivated: NotDeactivated[]
  deliveries: DeliveryCounts
  notOwed: NotOwed[]
  seats: { license: string; needed: number; free: number }[]
  missingRoles: string[]
}

/** Reasons for which a new user is owed no mail. */
export const NOT_OWED = {
  organization_uses_sso: 'The organization signs in through SSO: no credentials or invitations are sent.',
  not_invitable_alone: 'The only role is one that is not invited alone.',
  not_asked_for: 'Neither the row, the organization nor --delivery asks for a mail.',
} as const

/** Reasons for which somebody whom a full file does not name stays active. */
export const NOT_DEACTIVATED = {
  stale: 'Changed after the plan was made, and left alone.',
  rows_not_written: 'Rows of the file could not be written, so that nobody was deactivated by it.',
} as const

export type StoredImport = {
  id: string
  state: ImportState
  organization: string
  fileName: string
  fileBytes: number
  fileHash: string
  source: { format: string; sheet: string | null; encoding: string | null; delimiter: string | null; headerRow: number; hiddenRows?: number } | null
  columns: MatchedColumn[] | null
  options: ImportOptions
  failure: { code: FailureCode; detail: IssueDetail } | null
  result: ImportResult | null
  /** The feed that brought it. */
  feedId: string | null
  /** What its plan changes; of a feed's imports only, as the rest of these. */
  changes: ChangeCounts | null
  hold: HoldReason[] | null
  planHash: string | null
  holdUntil: Date | null
  decision: 'approved' | 'rejected' | 'expired' | 'superseded' | null
  decidedBy: string | null
  decidedAt: Date | null
  rowsStaged: number
  attempts: number
  createdAt: Date
  startedAt: Date | null
  finishedAt: Date | null
  /** The worker that had it has given no sign for longer than its lease. */
  stalled: boolean
}

/** An import as scripts rely on it (interface.md). */
export type ImportReport = {
  id: string
  state: ImportState
  organization: string
  /** `hiddenRows`: rows that are hidden or filtered out in the sheet; they are read like all others. */
  file: { name: string; bytes: number; sha256: string; format: string | null; sheet: string | null; encoding: string | null; delimiter: string | null; headerRow: number | null; hiddenRows: number }
  columns: { header: string; field: string | null; attribute?: string; by: string; nearest?: string }[]
  totals: Totals
  users: UserCounts
  deactivated: number
  notDeactivated: NotDeactivated[]
  deliveries: DeliveryCounts
  notOwed: NotOwed[]
  seats: ImportResult['seats']
  missingRoles: string[]
  /** Of what a feed brought: what it changes, why it is or was held as a whole, and what was decided. `plan` is what an approval names. */
  feed?: FeedPart
  issues: ShownIssue[]
  issueCount: number
  failure?: { code: string; message: string; hint: string }
  createdAt: string
  startedAt: string | null
  finishedAt: string | null
}

export type FeedPart = {
  id: string
  changes: ChangeCounts | null
  hold: { code: HoldReason['code']; message: string; hint: string; detail: HoldReason['detail'] }[]
  plan: string | null
  holdUntil: string | null
  decision: StoredImport['decision']
  decidedBy: string | null
  decidedAt: string | null
}

/** Issues that a report holds; `muster import errors` writes them all. */
const SHOWN_ISSUES = 1_000

const NOTHING: ImportResult = {
  totals: { read: 0, created: 0, updated: 0, unchanged: 0, rejected: 0, held: 0, blank: 0 },
  users: { created: 0, updated: 0, notLoginable: 0, withoutSeat: 0 },
  deactivated: 0,
  notDeactivated: [],
  deliveries: { owed: 0, scheduled: 0, notOwed: 0 },
  notOwed: [],
  seats: [],
  missingRoles: [],
}

const STORED = `select i.id, i.state, o.key as organization, i.file_name as "fileName", i.file_bytes::float8 as "fileBytes", i.file_hash as "fileHash", i.source, i.columns,
    i.options, i.failure, i.result, i.feed_id as "feedId", i.changes, i.hold, i.plan_hash as "planHash", i.hold_until as "holdUntil", i.decision, i.decided_by as "decidedBy", i.decided_at as "decidedAt",
    i.rows_staged as "rowsStaged", i.attempts, i.created_at as "createdAt", i.started_at as "startedAt", i.finished_at as "finishedAt",
    i.state = 'staging' and i.lease_until < now() as stalled
  from imports i join organizations o on o.id = i.organization_id`

/** The stored import; null where there is none of that id in the organization. */
export async function readImport(tx: Transaction, importId: string): Promise<StoredImport | null> {
  const [row] = await tx.query<StoredImport>(`${STORED} where i.id = $1`, [importId])
  return row ?? null
}

/** Imports of the organization, newest first; those before the one of id `before`, where it is given. */
export function listImports(tx: Transaction, limit: number, before: string | null = null): Promise<StoredImport[]> {
  return tx.query<StoredImport>(`${STORED} where $2::bigint is null or i.id < $2 order by i.id desc limit $1`, [limit, before])
}

/** The report of an import. `counted` gives totals from its rows while it runs; an ended import keeps its own. */
export async function reportImport(tx: Transaction, stored: StoredImport, counted: ImportResult | null, issueLimit = SHOWN_ISSUES): Promise<ImportReport> {
  const { issues } = await readIssues(tx, stored.id, { limit: issueLimit })
  const [count] = await tx.query<{ count: number }>('select count(*)::int as count from import_issues where import_id = $1', [stored.id])
  const result = stored.result ?? counted ?? NOTHING
  const { source } = stored
  return {
    id: stored.id,
    state: stored.state,
    organization: stored.organization,
    file: {
      name: stored.fileName,
      bytes: stored.fileBytes,
      sha256: stored.fileHash,
      format: source?.format ?? null,
      sheet: source?.sheet ?? null,
      encoding: source?.encoding ?? null,
      delimiter: source?.delimiter ?? null,
      headerRow: source?.headerRow ?? null,
      hiddenRows: source?.hiddenRows ?? 0,
    },
    columns: (stored.columns ?? []).map(({ header, field, attribute, by, nearest }) => ({ header, field, ...(attribute === null ? {} : { attribute }), by, ...(nearest ? { nearest } : {}) })),
    ...inOrder(result),
    ...(stored.feedId === null ? {} : { feed: feedPart(stored, stored.feedId) }),
    issues,
    issueCount: count!.count,
    ...(stored.failure ? { failure: { code: stored.failure.code, ...explainFailure(stored.failure.code, stored.failure.detail) } } : {}),
    createdAt: stored.createdAt.toISOString(),
    startedAt: stored.startedAt?.toISOString() ?? null,
    finishedAt: stored.finishedAt?.toISOString() ?? null,
  }
}

function feedPart({ changes, hold, planHash, holdUntil, decision, decidedBy, decidedAt }: StoredImport, id: string): FeedPart {
  return {
    id,
    changes: changes && { rows: changes.rows, population: changes.population, creations: changes.creations, updates: changes.updates, deactivations: changes.deactivations, changedEmails: changes.changedEmails, reactivations: changes.reactivations, adoptions: changes.adoptions },
    hold: (hold ?? []).map((reason) => ({ ...explainHold(reason), detail: reason.detail })),
    plan: planHash,
    holdUntil: holdUntil?.toISOString() ?? null,
    decision,
    decidedBy,
    decidedAt: decidedAt?.toISOString() ?? null,
  }
}

/** jsonb keeps no order; people read one. What ended before full feeds were there deactivated nobody. */
function inOrder({ totals, users, deactivated, notDeactivated, deliveries, notOwed, seats, missingRoles }: ImportResult): ImportResult {
  return {
    totals: { read: totals.read, created: totals.created, updated: totals.updated, unchanged: totals.unchanged, rejected: totals.rejected, held: totals.held, blank: totals.blank },
    users: { created: users.created, updated: users.updated, notLoginable: users.notLoginable, withoutSeat: users.withoutSeat },
    deactivated: deactivated ?? 0,
    notDeactivated: (notDeactivated ?? []).map(({ reason, count, message }) => ({ reason, count, message })),
    deliveries: { owed: deliveries.owed, scheduled: deliveries.scheduled, notOwed: deliveries.notOwed },
    notOwed: (notOwed ?? []).map(({ reason, count, message }) => ({ reason, count, message })),
    seats,
    missingRoles,
  }
}

/** Totals counted from the rows' fates, so that they always reconcile (spec B9). */
export async function countTotals(tx: Transaction, importId: string): Promise<Totals> {
  const [row] = await tx.query<Totals>(
    `select count(p.row)::int + known as read, count(*) filter (where fate = 'create')::int as created, count(*) filter (where fate = 'update')::int as updated,
       count(*) filter (where fate = 'unchanged')::int + known as unchanged, count(*) filter (where fate = 'rejected')::int as rejected,
       count(*) filter (where fate = 'held')::int as held, count(*) filter (where fate = 'blank')::int as blank
     from (select coalesce((source ->> 'knownRows')::int, 0) as known from imports where id = $1) passed_over left join ${planTable(importId)} p on true group by known`,
    [importId],
  )
  return row!
}

/** What the plan says of users. */
export async function countUsers(tx: Transaction, users: string): Promise<UserCounts> {
  const [row] = await tx.query<UserCounts>(
    `select count(*) filter (where fate = 'create')::int as created, count(*) filter (where fate = 'update')::int as updated,
       count(*) filter (where fate = 'create' and not loginable)::int as "notLoginable", count(*) filter (where fate = 'awaiting')::int as "withoutSeat"
     from ${users}`,
  )
  return row!
}

/** Why `count` new users of the plan are owed no mail, the more frequent reason first. */
export async function countNotOwed(tx: Transaction, importId: string, users: string, count: number, sso: boolean): Promise<NotOwed[]> {
  if (count === 0) return []
  if (sso) return [{ reason: 'organization_uses_sso', count, message: NOT_OWED.organization_uses_sso }]
  const [alone] = await tx.query<{ count: number }>(
    `select count(*)::int as count from import_issues i join ${users} u on u.row = i.row where i.import_id = $1 and i.code = 'delivery.not_invitable' and u.fate = 'create' and u.purpose is null`,
    [importId],
  )
  const reasons: [reason: NotOwed['reason'], count: number][] = [['not_invitable_alone', alone!.count], ['not_asked_for', count - alone!.count]]
  return reasons.filter(([, found]) => found > 0).sort(([, a], [, b]) => b - a).map(([reason, found]) => ({ reason, count: found, message: NOT_OWED[reason] }))
}

/** Who of those whom the file does not name was left active, the more frequent reason first. */
export function explainNotDeactivated({ stale, spared }: { stale: number; spared: number }): NotDeactivated[] {
  const reasons: [reason: NotDeactivated['reason'], count: number][] = [['stale', stale], ['rows_not_written', spared]]
  return reasons.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a).map(([reason, count]) => ({ reason, count, message: NOT_DEACTIVATED[reason] }))
}

/** Whether the import's plan is there to be counted and shown. */
export async function hasPlan(tx: Transaction, importId: string): Promise<boolean> {
  const [row] = await tx.query<{ there: boolean }>('select to_regclass($1) is not null as there', [planTable(importId)])
  return row!.there
}
