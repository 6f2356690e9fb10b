import type { Transaction } from '../../entities/database.ts'
import type { RowFate } from '../../entities/states.ts'
import { readProgress } from '../../importers/importProgress.ts'
import { hasPlan, readImport, reportImport } from '../../importers/importReport.ts'
import type { ImportReport, ImportResult, StoredImport } from '../../importers/importReport.ts'
import { readPlan, type PlannedRow } from '../../importers/readPlan.ts'
import { countIssues, readIssues } from '../../importers/rowIssues.ts'
import { countImport } from '../../jobs/finishImport.ts'
import type { Organization } from '../../organizations/organizations.ts'
import { showEmail } from '../../rules/emails.ts'
import { fieldNamed, isFieldName } from '../../rules/fields.ts'
import { showPhone } from '../../rules/phones.ts'
import { choiceOf, idOf, queryOf, textOf } from '../query.ts'
import { showBytes, showCount, showDuration, showInstant, showNumber } from '../show.ts'
import { notesOf } from './importNotes.ts'
import { progressView } from './progress.ts'
import { fateBadge, importBadge, isRunning, purposeName } from './states.ts'
import { totalsView } from './totals.ts'

/** Issues and planned rows of a page. */
const ISSUES_SHOWN = 50
const PLANNED_SHOWN = 25
const SHOWN_FATES = ['create', 'update', 'unchanged', 'rejected', 'held'] as const satisfies RowFate[]
const TOTAL_OF_FATE = { create: 'created', update: 'updated', unchanged: 'unchanged', rejected: 'rejected', held: 'held' } as const

/** What is fetched again each second while an import runs. Cheap: totals are counted when its state changes. */
export async function progressPart(tx: Transaction, importId: string) {
  const stored = await readImport(tx, importId)
  return stored && partOf(tx, stored)
}

async function partOf(tx: Transaction, stored: StoredImport) {
  const running = isRunning(stored.state)
  const progress = running ? await readProgress(tx, stored.id) : null
  return { id: stored.id, state: stored.state, running, badge: importBadge(stored), progress: progress ? progressView(progress) : null }
}

/** The totals that it ended with, or those of its plan as they are now; null before there is one. */
async function countedResult(tx: Transaction, stored: StoredImport): Promise<ImportResult | null> {
  if (stored.result) return stored.result
  return (await hasPlan(tx, stored.id)) ? countImport(tx, stored.id, stored.options) : null
}

/** Everything about one import; null where there is none of that id. `query` pages through issues and planned rows. */
export async function importView(tx: Transaction, importId: string, organization: Organization, query: unknown) {
  const stored = await readImport(tx, importId)
  if (!stored) return null
  const counted = await countedResult(tx, stored)
  const report = await reportImport(tx, stored, counted, 0)
  const zone = organization.timeZone
  const planned = (stored.state === 'previewed' || stored.state === 'held') && counted !== null
  return {
    id: stored.id,
    file: stored.fileName,
    organization: { name: organization.name, href: `/organizations/${encodeURIComponent(organization.key)}/imports` },
    received: showInstant(stored.createdAt, zone),
    part: await partOf(tx, stored),
    totals: counted && totalsView(counted.totals),
    isPlan: stored.result === null,
    notes: notesOf(stored, report),
    users: counted === null ? null : usersFacts(counted),
    mails: counted === null ? null : mailFacts(counted, stored),
    preview: planned ? await previewView(tx, stored.id, counted, query) : null,
    issues: report.issueCount === 0 ? null : await issuesView(tx, stored.id, report.issueCount, query),
    columns: report.columns.map(columnView),
    facts: fileFacts(stored, report, zone),
  }
}

const usersFacts = ({ users }: ImportResult) => [
  fact('created', users.created), fact('updated', users.updated), fact('cannot log in yet', users.notLoginable, 'warn'), fact('await a license', users.withoutSeat, 'warn'),
]

function mailFacts({ deliveries }: ImportResult, stored: StoredImport) {
  const { owed, scheduled, notOwed } = deliveries
  return {
    href: stored.state === 'committed' || stored.state === 'committing' ? `/deliveries${queryOf({ organization: stored.organization, import: stored.id })}` : null,
    facts: [fact('owed', owed), fact('scheduled', scheduled), fact('held until released', owed - scheduled), fact('new users not owed any', notOwed)],
  }
}

const fact = (name: string, count: number, tone: 'plain' | 'warn' = 'plain') => ({ name, value: showNumber(count), tone: count === 0 ? 'none' : tone })

async function previewView(tx: Transaction, importId: string, { totals }: ImportResult, query: unknown) {
  const fate = choiceOf(query, 'fate', SHOWN_FATES, 'imports')
  const after = idOf(query, 'after') ?? '0'
  const rows = await readPlan(tx, importId, { after: Math.min(Number(after), 2 ** 31 - 1), limit: PLANNED_SHOWN + 1, ...(fate === null ? {} : { fates: [fate] }) })
  const shown = rows.slice(0, PLANNED_SHOWN)
  return {
    fates: [
      { name: 'All', count: showNumber(totals.read), href: '?#preview', current: fate === null },
      ...SHOWN_FATES.map((each) => ({ name: fateBadge(each).text, count: showNumber(totals[TOTAL_OF_FATE[each]]), href: `${queryOf({ fate: each })}#preview`, current: fate === each })),
    ],
    rows: shown.map(plannedView),
    next: rows.length > PLANNED_SHOWN ? `${queryOf({ fate, after: String(shown.at(-1)!.row) })}#preview` : null,
    first: after === '0' ? null : `${queryOf({ fate })}#preview`,
  }
}

const plannedView = ({ row, fate, name, changes, username, mail }: PlannedRow) => ({
  row: String(row),
  badge: fateBadge(fate as RowFate),
  name: name || '—',
  changes: Object.entries(changes).map(([field, { old, new: fresh }]) => ({ field: fieldName(field), old: shownValue(field, old), fresh: shownValue(field, fresh) })),
  username: username ?? '',
  mail: mail === null ? '' : purposeName(mail as Parameters<typeof purposeName>[0]),
})

const fieldName = (field: string): string => (isFieldName(field) ? fieldNamed(field).header : field)
const shownValue = (field: string, value: string | null): string => (value === null ? 'nothing' : field === 'phone' ? showPhone(value) : field === 'email' ? showEmail(value) : value)

async function issuesView(tx: Transaction, importId: string, total: number, query: unknown) {
  const cursor = /^(\d{1,9})\.(\d{1,18})$/.exec(textOf(query, 'issues') ?? '')
  const { issues, next } = await readIssues(tx, importId, { limit: ISSUES_SHOWN, ...(cursor ? { after: { row: Number(cursor[1]), id: cursor[2]! } } : {}) })
  const kinds = await countIssues(tx, importId)
  return {
    total: showCount(total, 'problem'),
    kinds: kinds.map(({ code, severity, count }) => ({ code, count: showNumber(count), error: severity === 'error' })),
    rows: issues.map(({ row, column, code, severity, value, message, hint }) => ({
      row: String(row), column: column ?? 'the whole row', wholeRow: column === null, code, error: severity === 'error', value: value ?? '', message, hint,
    })),
    // A full last page may be followed by an empty one; it says so.
    next: next && issues.length < total ? `${queryOf({ issues: `${next.row}.${next.id}` })}#issues` : null,
    first: cursor ? '?#issues' : null,
  }
}

const BY: Readonly<Record<string, string>> = { alias: 'recognized', mapping: 'by the mapping', attribute: 'kept as an attribute', ignored: 'ignored', none: 'not taken' }

const columnView = ({ header, field, attribute, by, nearest }: ImportReport['columns'][number]) => ({
  header: header || '(no header)',
  field: field === null ? (attribute ?? null) : fieldName(field),
  by: BY[by] ?? by,
  untaken: by === 'none',
  proposal: nearest ? { name: fieldName(nearest), option: `--set-column "${header}=${nearest}"` } : null,
})

const FORMATS: Readonly<Record<string, string>> = { xlsx: 'Excel workbook', csv: 'CSV' }
const DELIMITERS: Readonly<Record<string, string>> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'pipes' }

function fileFacts(stored: StoredImport, { file }: ImportReport, zone: string) {
  const facts: [string, string | null][] = [
    ['Format', file.format && (FORMATS[file.format] ?? file.format)],
    ['Sheet', file.sheet],
    ['Encoding', file.encoding],
    ['Parted by', file.delimiter && (DELIMITERS[file.delimiter] ?? file.delimiter)],
    ['Header in row', file.headerRow === null ? null : showNumber(file.headerRow)],
    ['Hidden rows', file.hiddenRows > 0 ? `${showNumber(file.hiddenRows)}, taken in like all others` : null],
    ['Size', showBytes(file.bytes)],
    ['SHA-256', file.sha256],
    ['Mapping', stored.options.mapping],
    ['Mails', wishText(stored, zone)],
    ['Took', stored.startedAt && stored.finishedAt ? showDuration(stored.finishedAt.getTime() - stored.startedAt.getTime()) : null],
    ['Interrupted', stored.attempts > 1 ? showCount(stored.attempts - 1, 'time') : null],
  ]
  return facts.flatMap(([name, value]) => (value === null || value === '' ? [] : [{ name, value }]))
}

function wishText({ options: { delivery } }: StoredImport, zone: string): string {
  if (delivery.kind === 'at') return `go out from ${showInstant(delivery.instant, zone)?.text ?? delivery.instant} on`
  return { held: 'held until they are released', now: 'go out at once', none: 'none owed' }[delivery.kind]
}
