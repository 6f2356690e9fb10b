import { setTimeout as pause } from 'node:timers/promises'
import { hasPlan, readImport, reportImport, type ImportReport } from '../importers/importReport.ts'
import { readProgress, type ImportProgress } from '../importers/importProgress.ts'
import { countImport } from '../jobs/finishImport.ts'
import type { Transaction } from '../entities/database.ts'
import { workerSeen } from '../jobs/seenWorkers.ts'
import type { Installation } from './installation.ts'
import { count, dim, duration, number, type Output } from './output.ts'

const LOOK_MS = 150
/** Looks after which it is asked whether anybody works at all. */
const LOOKS_BEFORE_ASKING = 20

/** Follows an import until it has ended or waits for somebody, and says how far it is; gives its report. */
export async function followImport(installation: Installation, organizationId: string, importId: string, out: Output): Promise<ImportReport> {
  const { database } = installation
  for (let looks = 0; ; looks++) {
    const progress = await database.tenant(organizationId, (tx) => readProgress(tx, importId))
    if (!progress) break
    const abandoned = looks % LOOKS_BEFORE_ASKING === LOOKS_BEFORE_ASKING - 1 && !(await workerSeen(database))
    out.progress(abandoned ? 'waiting: no worker is running' : describe(progress))
    await pause(LOOK_MS)
  }
  out.settle()
  return database.tenant(organizationId, (tx) => fullReport(tx, importId))
}

/** Waits until the mails of an import that are due have left or have shown that they cannot. */
export function followDeliveries(installation: Installation, organizationId: string, importId: string, out: Output): Promise<void> {
  return followOwed(installation, organizationId, (tx) => owedNow(tx, importId), out)
}

/** Waits until no mail is left of those that `owed` counts, and says how far it is. */
export async function followOwed(installation: Installation, organizationId: string, owed: (tx: Transaction) => Promise<number>, out: Output): Promise<void> {
  const begun = performance.now()
  let first: number | undefined
  for (;;) {
    const left = await installation.database.tenant(organizationId, owed)
    first ??= left
    if (left === 0) break
    const sent = first - left
    const elapsed = performance.now() - begun
    out.progress(`mailing ${number(sent)} of ${number(first)}${sent > 0 ? `, ${duration((elapsed / sent) * left)} left` : ''}`)
    await pause(LOOK_MS)
  }
  out.settle()
}

/** The report of an import with its totals as they are now. */
export async function fullReport(tx: Transaction, importId: string): Promise<ImportReport> {
  const stored = await readImport(tx, importId)
  if (!stored) throw new Error(`import ${importId} is gone`)
  const counted = stored.result === null && (await hasPlan(tx, importId)) ? await countImport(tx, importId, stored.options) : null
  return reportImport(tx, stored, counted)
}

/** Mails whose end is still open. One that waits for a later try has shown what it can for now. */
async function owedNow(tx: Transaction, importId: string): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    `select count(*)::int as count from deliveries where import_id = $1
       and (state in ('queued', 'sending') or state = 'scheduled' and send_at <= now())
       and not exists (select from service_pauses where service = 'smtp')`,
    [importId],
  )
  return row!.count
}

/** How far an import is, in a line. */
export function describe({ step, rows, of, rate, remainingMs }: ImportProgress): string {
  const speed = rate === null ? '' : ` ${dim(`${number(Math.round(rate))} a second`)}`
  if (step === 'waiting') return 'waiting for a worker'
  if (step === 'checking') return `checking rows: ${number(rows)}${speed}`
  if (step === 'planning' || of === null) return `checked ${count(rows, 'row')}, comparing them with who is there`
  return `writing ${bar(rows / Math.max(1, of))} ${number(rows)} of ${number(of)}${speed}${remainingMs === null ? '' : `, ${duration(remainingMs)} left`}`
}

/** A bar of twenty places, filled as far as `part` of 1. */
export function bar(part: number): string {
  const full = Math.round(part * 20)
  return '█'.repeat(full) + '░'.repeat(20 - full)
}
