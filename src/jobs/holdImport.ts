import { createHash } from 'node:crypto'
import { oweSummaries } from '../deliveries/owe.ts'
import type { Transaction } from '../entities/database.ts'
import { raiseAlert } from '../feeds/alerts.ts'
import { countChanges, countUnsureRows, planAdopted, planLeaving } from '../importers/departures.ts'
import { planHash } from '../importers/planHash.ts'
import type { ImportOptions } from '../importers/receive.ts'
import { rowsTable } from '../importers/stagedRow.ts'
import { decisionFault } from '../organizations/administrators.ts'
import { audit } from '../organizations/audit.ts'
import type { Catalog } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { explainHold } from '../rules/catalog.ts'
import { ERRORS_HEADER, holdsMendedRows, type MatchedColumn } from '../rules/columns.ts'
import type { Allowance, ChangeCounts, FeedIntake, HoldReason } from '../rules/feedPolicy.ts'
import { fitsAllowance, judge, ofMendedRows } from '../rules/judgeFeed.ts'
import { feedOfImport, wakeFeedOf, type ImportsFeed } from './feedOfImport.ts'

/** What was found of a feed's file: what its plan changes, and every reason to hold it. `plan`: the plan's hash, where there is a reason; `by`: what it was made by. */
export type Judgement = { intake: FeedIntake; changes: ChangeCounts; reasons: HoldReason[]; plan: string | null; by: string; endsOpen: boolean | null }

/**
 * SHA-256 in hex of the settings and the catalog that a plan is made by, and carried out by: where they are others, so is what was approved. Without what
 * changes nobody: who may decide, who is told, how mails travel, and how many seats there are, which are asked for when it is carried out.
 */
export function plannedBy(settings: Settings, catalog: Catalog): string {
  const deciding = { ...settings, administrators: null, operators: null, mail: null }
  const licenses = catalog.licenses.map((license) => ({ ...license, seats: null }))
  return createHash('sha256').update(JSON.stringify([deciding, { ...catalog, licenses }])).digest('hex')
}

/**
 * Plans who leaves by a feed's file, counts what the plan changes, and judges the file by what it may change by itself, and by what was
 * agreed (spec A6, A7). Behind the plan of contacts, users and mails, in its transaction. The import itself is not touched, so that whoever
 * plans it can go on saying that it is alive.
 * @param by what the plan was made by (plannedBy)
 * @returns null for an import that no feed brought
 */
export async function judgeImport(tx: Transaction, importId: string, options: Pick<ImportOptions, 'feed'>, by: string): Promise<Judgement | null> {
  if (!options.feed) return null
  const [file] = await tx.query<{ name: string; columns: MatchedColumn[] }>('select file_name as name, columns from imports where id = $1', [importId])
  const mended = holdsMendedRows(file!.columns)
  const intake = mended ? ofMendedRows(options.feed) : options.feed
  await planAdopted(tx, importId, intake)
  const leaving = await planLeaving(tx, importId, intake)
  const changes: ChangeCounts = { ...(await countChanges(tx, importId, intake)), ...(mended && { mended }) }
  const { cutShort, endsOpen } = await readEnding(tx, importId, intake.feedId, mended)
  const facts = { fileName: file!.name, cutShort, unsureRows: leaving > 0 ? await countUnsureRows(tx, importId) : 0, adoptedBefore: await hasAdopted(tx, intake.feedId) }
  // A column under that name says nothing, wherever it stands, and is not kept with the file's headers either.
  const headers = file!.columns.map(({ header }) => header).filter((header) => header !== ERRORS_HEADER)
  const reasons = judge(changes, intake, headers, facts)
  return { intake, changes, reasons, plan: reasons.length === 0 ? null : await planHash(tx, importId, by), by, endsOpen }
}

/**
 * Keeps what an import was judged to be, and holds it as a whole where there is a reason that no exception covers. A held import has changed
 * nothing and keeps its plan (faults.md I4); the feed's people and the organization's operators are told.
 * @returns whether it is held now
 */
export async function holdIfJudged(tx: Transaction, importId: string, { intake, changes, reasons, plan, by, endsOpen }: Judgement): Promise<boolean> {
  await tx.run(`update imports set feed_id = coalesce(feed_id, $2), changes = $3, source = source || jsonb_build_object('endsOpen', $4::boolean, 'plannedBy', $5::text) where id = $1`, [importId, intake.feedId, JSON.stringify(changes), endsOpen, by])
  if (reasons.length === 0) return false
  const feed = await feedOfImport(tx, importId)
  if (feed && (await useAllowance(tx, importId, feed, reasons))) return false
  await tx.run(
    `update imports set state = 'held', lease_until = null, hold = $2, plan_hash = $3, hold_until = now() + make_interval(hours => $4) where id = $1 and state in ('staging', 'previewed')`,
    [importId, JSON.stringify(reasons), plan, intake.holdHours],
  )
  if (feed) await tell(tx, importId, feed, intake, reasons)
  await wakeFeedOf(tx, importId)
  return true
}

/** Whether a file of the feed that was taken in has made people the feed's own whom it did not bring. */
async function hasAdopted(tx: Transaction, feedId: string): Promise<boolean> {
  const [found] = await tx.query<{ some: boolean }>(`select exists (select from imports where feed_id = $1 and state = 'committed' and (changes -> 'adoptions')::int > 0) as some`, [feedId])
  return found!.some
}

/**
 * The last row, where the file seems to end in the middle of it: fields are missing, or its line is not closed though the last line of the
 * file that was taken in before was. A cut in the last field of a row shows in nothing else. `mended`: of rows that were handed back only the former
 * is asked, as another program has written them.
 */
async function readEnding(tx: Transaction, importId: string, feedId: string, mended: boolean): Promise<{ cutShort: number | null; endsOpen: boolean | null }> {
  const [file] = await tx.query<{ row: number | null; fewer: boolean; open: boolean | null; closedBefore: boolean }>(
    `select last.row, exists (select from import_issues i where i.import_id = $1 and i.row = last.row and i.code = 'row.too_few_fields') as fewer, e.open,
       coalesce((select b.source -> 'endsOpen' = 'false' from imports b where b.feed_id = $2 and b.id < $1 and b.state = 'committed' and b.source -> 'endsOpen' <> 'null' order by b.id desc limit 1), false) as "closedBefore"
     from (select greatest((select max(row) from ${rowsTable(importId)} where verdict <> 'b'), (select (source ->> 'lastKnownRow')::int from imports where id = $1)) as row) last cross join lateral (${ENDS_OPEN}) e`,
    [importId, feedId],
  )
  const { row, fewer, closedBefore } = file!
  const open = mended ? null : file!.open
  return { cutShort: fewer || (open === true && closedBefore) ? row : null, endsOpen: open }
}

/** SQL: whether import $1 is CSV that does not end with a line's end, in any encoding; null for a workbook, which has no such end. */
const ENDS_OPEN = `
  select case when i.source ->> 'format' = 'csv' then (
    select position('\\x0a'::bytea in ending) = 0 and position('\\x0d'::bytea in ending) = 0
    from (select substring(p.bytes from octet_length(p.bytes) - 1) as ending from file_pieces p where p.import_id = i.id order by p.number desc limit 1) as last_piece) end as open
  from imports i where i.id = $1`

/**
 * Uses up the exception that an administrator has made for one file, where everything that the file is held for fits in it ("approve once"). Whoever
 * made it must still be somebody who may.
 */
async function useAllowance(tx: Transaction, importId: string, feed: ImportsFeed, reasons: readonly HoldReason[]): Promise<boolean> {
  const [found] = await tx.query<{ allowance: Allowance }>(`select allowance from feeds where id = $1 and allowance is not null and coalesce((allowance ->> 'until')::timestamptz > now(), true) for no key update`, [feed.id])
  if (!found || !fitsAllowance(reasons, found.allowance)) return false
  const { by } = found.allowance
  if (decisionFault(feed, (await readOrganization(tx)).settings.administrators, by) !== null) return false
  await tx.run('update feeds set allowance = null, updated_at = now() where id = $1', [feed.id])
  await tx.run(`update imports set hold = $2, decision = 'approved', decided_by = $3, decided_at = now() where id = $1`, [importId, JSON.stringify(reasons), by])
  await audit(tx, by, 'import.allow', { import: importId, feed: feed.id, reasons: reasons.map(({ code }) => code) })
  return true
}

/** Tells the feed's people, and the organization's operators, that somebody has to decide: once, also of a file that is held for being older. */
async function tell(tx: Transaction, importId: string, feed: ImportsFeed, intake: FeedIntake, reasons: readonly HoldReason[]): Promise<void> {
  const [file] = await tx.query<{ name: string }>('select file_name as name from imports where id = $1', [importId])
  const fileName = file!.name
  const about = { subject: fileName, importId }
  if (intake.outOfOrder && reasons.every(({ code }) => code === 'feed.out_of_order')) {
    await raiseAlert(tx, feed, 'outOfOrder', { ...about, detail: { file: fileName, newer: intake.outOfOrder.newer, hours: intake.holdHours } })
  } else {
    await raiseAlert(tx, feed, 'held', { ...about, detail: { file: fileName, reasons: reasons.map((reason) => explainHold(reason).message).join(' '), hours: intake.holdHours } })
  }
  await oweSummaries(tx, importId, (await readOrganization(tx)).settings.operators)
}
