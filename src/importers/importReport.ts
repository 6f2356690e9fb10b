import type { Transaction } from '../entities/database.ts'
import type { ImportState } from '../entities/states.ts'
import { explainFailure, type FailureCode } from '../rules/catalog.ts'
import type { MatchedColumn } from '../rules/columns.ts'
import type { IssueDetail } from '../rules/problem.ts'
import type { ImportOptions } from './receive.ts'
import { readIssues, type ShownIssue } from './rowIssues.ts'
import { planTable, rowsTable } from './stagedRow.ts'

export type Totals = { read: number; created: number; updated: number; unchanged: number; rejected: number; held: number; blank: number }
export type UserCounts = { created: number; updated: number; notLoginable: number; withoutSeat: number }
export type DeliveryCounts = { owed: number; scheduled: number; notOwed: number }
/** `seats` of limited licenses that the plan takes, while it is a plan; `missingRoles` must be held by somebody and are not (spec C3, C4). */
export type ImportResult = { totals: Totals; users: UserCounts; deliveries: DeliveryCounts; seats: { license: string; needed: number; free: number }[]; missingRoles: string[] }

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
  deliveries: DeliveryCounts
  seats: ImportResult['seats']
  missingRoles: string[]
  issues: ShownIssue[]
  issueCount: number
  failure?: { code: string; message: string; hint: string }
  createdAt: string
  startedAt: string | null
  finishedAt: string | null
}

/** Issues that a report holds; `muster import errors` writes them all. */
const SHOWN_ISSUES = 1_000

const NOTHING: ImportResult = {
  totals: { read: 0, created: 0, updated: 0, unchanged: 0, rejected: 0, held: 0, blank: 0 },
  users: { created: 0, updated: 0, notLoginable: 0, withoutSeat: 0 },
  deliveries: { owed: 0, scheduled: 0, notOwed: 0 },
  seats: [],
  missingRoles: [],
}

const STORED = `select i.id, i.state, o.key as organization, i.file_name as "fileName", i.file_bytes::float8 as "fileBytes", i.file_hash as "fileHash", i.source, i.columns,
    i.options, i.failure, i.result, i.rows_staged as "rowsStaged", i.attempts, i.created_at as "createdAt", i.started_at as "startedAt", i.finished_at as "finishedAt",
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
    issues,
    issueCount: count!.count,
    ...(stored.failure ? { failure: { code: stored.failure.code, ...explainFailure(stored.failure.code, stored.failure.detail) } } : {}),
    createdAt: stored.createdAt.toISOString(),
    startedAt: stored.startedAt?.toISOString() ?? null,
    finishedAt: stored.finishedAt?.toISOString() ?? null,
  }
}

/** jsonb keeps no order; people read one. */
function inOrder({ totals, users, deliveries, seats, missingRoles }: ImportResult): ImportResult {
  return {
    totals: { read: totals.read, created: totals.created, updated: totals.updated, unchanged: totals.unchanged, rejected: totals.rejected, held: totals.held, blank: totals.blank },
    users: { created: users.created, updated: users.updated, notLoginable: users.notLoginable, withoutSeat: users.withoutSeat },
    deliveries: { owed: deliveries.owed, scheduled: deliveries.scheduled, notOwed: deliveries.notOwed },
    seats,
    missingRoles,
  }
}

/** Totals counted from the rows' fates, so that they always reconcile (spec B9). */
export async function countTotals(tx: Transaction, importId: string): Promise<Totals> {
  const [row] = await tx.query<Totals>(
    `select count(*)::int as read, count(*) filter (where fate = 'create')::int as created, count(*) filter (where fate = 'update')::int as updated,
       count(*) filter (where fate = 'unchanged')::int as unchanged, count(*) filter (where fate = 'rejected')::int as rejected,
       count(*) filter (where fate = 'held')::int as held, count(*) filter (where fate = 'blank')::int as blank
     from ${planTable(importId)}`,
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

/** Whether the import's plan is there to be counted and shown. */
export async function hasPlan(tx: Transaction, importId: string): Promise<boolean> {
  const [row] = await tx.query<{ there: boolean }>('select to_regclass($1) is not null as there', [planTable(importId)])
  return row!.there
}

export type PlannedRow = {
  row: number
  fate: string
  contactId: string | null
  name: string
  /** Fields that change, with what they were and will be. */
  changes: Record<string, { old: string | null; new: string | null }>
  username: string | null
  mail: string | null
}

/** The plan row by row (spec E1), from behind row `after`. */
export async function readPlan(tx: Transaction, importId: string, page: { after: number; limit: number; fates?: readonly string[] }): Promise<PlannedRow[]> {
  return tx.query<PlannedRow>(
    `select p.row, p.fate, case when p.fate <> 'create' then p.contact_id::text end as "contactId", concat_ws(' ', r.first_name, r.last_name) as name,
       case when p.fate in ('update', 'held') then ${CONTACT_CHANGES} else '{}'::jsonb end || case when u.fate = 'update' then ${USER_CHANGES} else '{}'::jsonb end as changes,
       case when u.fate in ('create', 'update') then u.username end as username, u.purpose as mail
     from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row
     left join ${planTable(importId)}_users u on u.row = p.row
     left join users x on x.id = u.user_id
     left join contacts c on c.id = p.contact_id
     where p.row > $1 and ($3::text[] is null or p.fate = any ($3)) order by p.row limit $2`,
    [page.after, page.limit, page.fates ?? null],
  )
}

/** SQL: a field with its old and new value, where they differ. */
const change = (name: string, before: string, after: string): string => `case when (${after}) is distinct from (${before}) then jsonb_build_object('${name}', jsonb_build_object('old', ${before}, 'new', ${after})) else '{}'::jsonb end`

/** SQL over a staged row r and its contact c; a blank that clears is a change to nothing. */
const contactField = (name: string, column: string): string => change(name, `c.${column}`, `case when '${column}' = any (r.clears) then null else coalesce(r.${column}, c.${column}) end`)

const CONTACT_CHANGES = [
  contactField('externalId', 'external_id'),
  contactField('firstName', 'first_name'),
  contactField('lastName', 'last_name'),
  contactField('email', 'email'),
  contactField('phone', 'phone'),
  change('state', 'c.state', "case when p.reactivate then 'active' else c.state end"),
  `coalesce((select jsonb_object_agg(a.key, jsonb_build_object('old', c.attributes ->> a.key, 'new', a.value)) from jsonb_each_text(r.attributes) a where a.value is distinct from c.attributes ->> a.key), '{}')`,
  `case when r.customer_id is not null and not exists (select from contact_customers l where l.contact_id = c.id and l.customer_id = r.customer_id)
     then jsonb_build_object('customer', jsonb_build_object('old', (select string_agg(k.name, '; ' order by k.name) from contact_customers l join customers k on k.id = l.customer_id where l.contact_id = c.id),
       'new', (select k.name from customers k where k.id = r.customer_id))) else '{}'::jsonb end`,
].join(' || ')

const named = (table: string, id: string): string => `(select n.name from ${table} n where n.id = ${id})`
const allNamed = (table: string, ids: string): string => `(select string_agg(n.name, '; ' order by n.name) from ${table} n where n.id = any (${ids}))`
const security = (name: string, column: string): string => change(name, named('security_groups', `x.${column}`), named('security_groups', `coalesce(r.${column}, x.${column})`))

/** SQL over a planned user u, the user x as it is, and the staged row r. */
const USER_CHANGES = [
  change('username', 'x.username', 'coalesce(u.username, x.username)'),
  change('license', named('licenses', 'x.license_id'), named('licenses', 'u.license_id')),
  change('profile', named('profiles', 'x.profile_id'), named('profiles', 'u.profile_id')),
  change('groups', allNamed('user_groups', 'array(select m.group_id from user_group_members m where m.user_id = x.id)'), allNamed('user_groups', 'coalesce(u.group_ids, array(select m.group_id from user_group_members m where m.user_id = x.id))')),
  `case when u.role_ids is not null then ${change('roles', allNamed('roles', 'array(select l.role_id from user_roles l where l.user_id = x.id and (r.product_ids is null and l.product_id is null or l.product_id = any (r.product_ids)))'), allNamed('roles', 'u.role_ids'))} else '{}'::jsonb end`,
  security('company', 'company_id'),
  security('businessUnit', 'business_unit_id'),
  security('department', 'department_id'),
  security('location', 'location_id'),
].join(' || ')
