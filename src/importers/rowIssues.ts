import type { Database, Transaction } from '../entities/database.ts'
import { explainIssue, type IssueCode, type Severity } from '../rules/catalog.ts'
import type { MatchedColumn } from '../rules/columns.ts'
import { fieldNamed } from '../rules/fields.ts'
import type { IssueDetail } from '../rules/problem.ts'
import type { RowIssue } from './validateRow.ts'

/** A row's problem as people and scripts are shown it (interface.md). */
export type ShownIssue = {
  row: number
  column: string | null
  field: string | null
  code: string
  severity: Severity
  value: string | null
  message: string
  hint: string
}

/** Issues that are written at once. */
const BATCH = 5_000
/** Characters from which a part of a text is kept as a part, and the whole of it with it (V8's SlicedString). */
const SHARED = 13

/** An issue that holds nothing of the file but itself: its detail is JSON. */
type WaitingIssue = Omit<RowIssue, 'detail'> & { detail: string | null }

/** Keeps issues as they come up; `flush` writes what is left. Memory stays flat however many rows are bad, if `isFull` is asked after each. */
export class IssueWriter {
  readonly #database: Pick<Database, 'tenant'>
  readonly #organizationId: string
  readonly #importId: string
  #waiting: WaitingIssue[] = []

  constructor(database: Pick<Database, 'tenant'>, organizationId: string, importId: string) {
    this.#database = database
    this.#organizationId = organizationId
    this.#importId = importId
  }

  add(issue: RowIssue): void {
    this.#waiting.push({ ...issue, value: issue.value === null ? null : ownText(issue.value), detail: issue.detail === null ? null : JSON.stringify(issue.detail) })
  }

  /** Whether there are enough to be written. One row can have many thousand. */
  get isFull(): boolean {
    return this.#waiting.length >= BATCH
  }

  async flush(): Promise<void> {
    const issues = this.#waiting
    this.#waiting = []
    if (issues.length === 0) return
    await this.#database.tenant(this.#organizationId, async (tx) => {
      for (let from = 0; from < issues.length; from += BATCH) await insertIssues(tx, this.#importId, issues.slice(from, from + BATCH))
    })
  }
}

/** The same text in memory of its own: a value is the beginning of a cell, and a cell may be a part of a piece of the file, which would be kept until issues are written. */
const ownText = (text: string): string => (text.length < SHARED ? text : Buffer.from(text, 'utf16le').toString('utf16le'))

async function insertIssues(tx: Transaction, importId: string, issues: readonly WaitingIssue[]): Promise<void> {
  await tx.run(
    `insert into import_issues (organization_id, import_id, row, header, field, code, severity, value, detail)
     select $1, $2, * from unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::jsonb[])`,
    [
      tx.organizationId,
      importId,
      issues.map((issue) => issue.row),
      issues.map((issue) => issue.header),
      issues.map((issue) => issue.field),
      issues.map((issue) => issue.code),
      issues.map((issue) => issue.severity),
      // PostgreSQL stores no NUL; a lone surrogate is no UTF-8.
      issues.map((issue) => issue.value?.replaceAll('\0', '␀').toWellFormed() ?? null),
      issues.map((issue) => issue.detail),
    ],
  )
}

type IssueRow = { row: number; header: string | null; field: string | null; code: IssueCode; severity: Severity; value: string | null; detail: IssueDetail | null }

/** Issues in row order, `limit` at most, from behind `after` (the last row and id seen). */
export async function readIssues(tx: Transaction, importId: string, page: { limit: number; after?: { row: number; id: string } }): Promise<{ issues: ShownIssue[]; next: { row: number; id: string } | null }> {
  const after = page.after ?? { row: -1, id: '0' }
  const rows = await tx.query<IssueRow & { id: string }>(
    `select id, row, header, field, code, severity, value, detail from import_issues
     where import_id = $1 and (row, id) > ($2, $3) order by row, id limit $4`,
    [importId, after.row, after.id, page.limit],
  )
  const last = rows.at(-1)
  return { issues: rows.map(showIssue), next: last && rows.length === page.limit ? { row: last.row, id: last.id } : null }
}

/** Planning knows fields alone: its problems are told under the headers that the sender wrote. */
export async function tellSendersHeaders(tx: Transaction, importId: string, codes: readonly IssueCode[], columns: readonly MatchedColumn[]): Promise<void> {
  const renamed = columns.filter(({ field, header }) => field !== null && header !== fieldNamed(field).header)
  if (renamed.length === 0) return
  await tx.run(
    `update import_issues i set header = n.header, detail = case when i.detail ->> 'field' = n.label then jsonb_set(i.detail, '{field}', to_jsonb(n.header)) else i.detail end
     from unnest($3::text[], $4::text[], $5::text[]) as n (field, label, header) where i.import_id = $1 and i.code = any ($2) and i.field = n.field`,
    [importId, codes, renamed.map(({ field }) => field), renamed.map(({ field }) => fieldNamed(field!).header), renamed.map(({ header }) => header)],
  )
}

/** How often each problem occurs, the most frequent first, errors before warnings. */
export function countIssues(tx: Transaction, importId: string): Promise<{ code: IssueCode; severity: Severity; count: number }[]> {
  return tx.query(
    `select code, severity, count(*)::int as count from import_issues where import_id = $1 group by code, severity order by severity, count desc, code`,
    [importId],
  )
}

/** All issues in row order, page by page, so that memory stays flat. */
export async function* eachIssue(database: Database, organizationId: string, importId: string): AsyncGenerator<ShownIssue> {
  let after: { row: number; id: string } | undefined
  do {
    const page = await database.tenant(organizationId, (tx) => readIssues(tx, importId, { limit: 5_000, ...(after ? { after } : {}) }))
    yield* page.issues
    after = page.next ?? undefined
  } while (after)
}

function showIssue(issue: IssueRow): ShownIssue {
  const { row, header, field, code, severity, value } = issue
  const { message, hint } = explainIssue(code, { column: header ?? field ?? 'The row', value: value ?? '', ...issue.detail })
  return { row, column: header, field, code, severity, value, message, hint }
}
