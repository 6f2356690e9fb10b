import type { Transaction } from '../entities/database.ts'
import type { FeedState } from '../entities/states.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { explainHold } from '../rules/catalog.ts'
import type { Allowance, ChangeCounts, HoldReason, LimitedChange } from '../rules/feedPolicy.ts'
import { openAlerts } from './alerts.ts'
import { explainAlert, type Step, type StoredAlert } from './alertText.ts'
import type { FeedDefinition } from './declaration.ts'
import { openRunOf, readFiles, type FileLine, type RunLine } from './feedHistory.ts'
import { secretsOf } from './knownNames.ts'
import { describeSchedule, nextSlot } from './schedule.ts'

/** How a feed is, in one line: that all is well, or what to do. */
export type Condition = {
  code: 'well' | 'new' | 'busy' | 'paused' | 'untrusted' | 'secrets' | 'held' | 'alert'
  tone: 'good' | 'busy' | 'warn' | 'bad' | 'quiet'
  /** "held: 212 people would be deactivated (limit 25)" */
  text: string
  /** What to type next; null where there is nothing to do. */
  command: string | null
}

/** A file that waits for a person's decision as a whole. */
export type HeldFile = { importId: string; file: string; reasons: { code: HoldReason['code']; message: string; hint: string; short: string }[]; planHash: string | null; until: Date | null; changes: ChangeCounts | null }

/** A feed as it is told to people and scripts. */
export type FeedReport = {
  id: string
  organization: string
  name: string
  state: FeedState
  condition: Condition
  definition: FeedDefinition
  author: string
  timeZone: string
  /** The schedule in words; null: it runs only when it is told to. */
  schedule: string | null
  /** The next ones, by the database's clock; none where it is paused. */
  nextSlots: Date[]
  hostKey: { fingerprint: string; by: string; at: Date } | null
  /** Secrets that it names and nobody has given. */
  missingSecrets: string[]
  allowance: Allowance | null
  /** The file that was dealt with last. */
  lastFile: FileLine | null
  openRun: RunLine | null
  held: HeldFile | null
  alerts: (Omit<StoredAlert, 'detail'> & { title: string; message: string; whatToDo: Step[] })[]
}

/** Slots that are told ahead. */
const SLOTS_AHEAD = 3

type Row = {
  id: string; name: string; state: FeedState; definition: FeedDefinition; author: string; hostKey: string | null; hostKeyBy: string | null; hostKeyAt: Date | null
  nextSlotAt: Date | null; allowance: Allowance | null; now: Date
}

/** Every feed of the organization, by name; or those with these names or ids. */
export async function reportFeeds(tx: Transaction, only: { name?: string; id?: string } = {}): Promise<FeedReport[]> {
  const { key, timeZone } = await readOrganization(tx)
  const rows = await tx.query<Row>(
    `select id, name, state, definition, author, host_key as "hostKey", host_key_by as "hostKeyBy", host_key_at as "hostKeyAt", next_slot_at as "nextSlotAt", allowance, now() as now
     from feeds where ($1::text is null or name = $1) and ($2::bigint is null or id = $2) order by name`,
    [only.name ?? null, only.id ?? null],
  )
  if (rows.length === 0) return []
  const given = new Set((await tx.query<{ name: string }>('select name from feed_secrets')).map(({ name }) => name))
  const alerts = await openAlerts(tx)
  const reports: FeedReport[] = []
  for (const row of rows) {
    const zone = row.definition.timeZone ?? timeZone
    const report: Omit<FeedReport, 'condition'> = {
      id: row.id,
      organization: key,
      name: row.name,
      state: row.state,
      definition: row.definition,
      author: row.author,
      timeZone: zone,
      schedule: row.definition.schedule === null ? null : describeSchedule(row.definition.schedule, zone),
      nextSlots: row.state === 'active' ? slotsAhead(row, zone) : [],
      hostKey: row.hostKey === null ? null : { fingerprint: row.hostKey, by: row.hostKeyBy ?? '', at: row.hostKeyAt ?? row.now },
      missingSecrets: [...new Set(secretsOf(row.definition).map(({ name: secret }) => secret))].filter((secret) => !given.has(secret)),
      allowance: row.allowance,
      lastFile: (await readFiles(tx, row.id, { limit: 1, dealtWith: true }))[0] ?? null,
      openRun: await openRunOf(tx, row.id),
      held: await heldFile(tx, row.id),
      alerts: alerts.filter(({ feedId }) => feedId === row.id).map(({ detail, ...alert }) => {
        const { title, message, whatToDo } = explainAlert({ ...alert, detail })
        return { ...alert, title, message, whatToDo }
      }),
    }
    reports.push({ ...report, condition: conditionOf(report) })
  }
  return reports
}

function slotsAhead({ definition, nextSlotAt }: Row, zone: string): Date[] {
  if (definition.schedule === null || nextSlotAt === null) return []
  const slots = [nextSlotAt]
  while (slots.length < SLOTS_AHEAD) slots.push(nextSlot(definition.schedule, zone, slots.at(-1)!))
  return slots
}

/** What is held of a feed, or as this import; null where nothing is. */
export async function heldFile(tx: Transaction, feedId: string, importId: string | null = null): Promise<HeldFile | null> {
  const [row] = await tx.query<{ importId: string; file: string; hold: HoldReason[] | null; planHash: string | null; until: Date | null; changes: ChangeCounts | null }>(
    `select id as "importId", file_name as file, hold, plan_hash as "planHash", hold_until as until, changes from imports where feed_id = $1 and state = 'held' and ($2::bigint is null or id = $2) order by id desc limit 1`,
    [feedId, importId],
  )
  if (!row) return null
  const { hold, ...rest } = row
  return { ...rest, reasons: (hold ?? []).map((reason) => ({ ...explainHold(reason), short: shortReason(reason) })) }
}

const DONE_TO: Readonly<Record<LimitedChange, string>> = {
  creations: 'be created', updates: 'be changed', deactivations: 'be deactivated', changedEmails: 'get another e-mail address', reactivations: 'be reactivated',
}

/** A reason to hold a file in so few words that it fits into a line: "212 people would be deactivated (limit 25)". */
export function shortReason(reason: HoldReason): string {
  if (!('count' in reason.detail)) return explainHold(reason).message.replace(/\.$/, '')
  const { count, limit } = reason.detail
  return `${count.toLocaleString('en-US')} ${count === 1 ? 'person' : 'people'} would ${DONE_TO[reason.code.slice('limit.'.length) as LimitedChange]} (limit ${limit.toLocaleString('en-US')})`
}

/** What matters most of what is so: first what a person has to do, then what goes on. */
function conditionOf(report: Omit<FeedReport, 'condition'>): Condition {
  const { name, organization, held, alerts, openRun, lastFile } = report
  const command = (verb: string): string => `./muster feed ${verb} ${name} --organization ${organization}`
  if (held) {
    const [first, ...more] = held.reasons
    return { code: 'held', tone: 'warn', text: `held: ${first?.short ?? 'it waits for a decision'}${more.length > 0 ? ` and ${more.length} more` : ''}`, command: `./muster feed show ${held.importId}` }
  }
  if (report.missingSecrets.length > 0) return { code: 'secrets', tone: 'bad', text: `does not run: the secret ${report.missingSecrets.join(', ')} is missing`, command: `./muster feed secret ${report.missingSecrets[0]} --organization ${organization}` }
  if (report.hostKey === null) return { code: 'untrusted', tone: 'bad', text: "does not run: the server's key is not pinned", command: command('trust') }
  // Of several the worst is told: what keeps the feed from running before what was odd about a file.
  const [worst] = alerts.toSorted((a, b) => GRAVITY.indexOf(a.kind) - GRAVITY.indexOf(b.kind))
  if (worst) {
    const next = worst.whatToDo.find((step) => step.command !== null)?.command ?? command('show')
    return { code: 'alert', tone: worst.kind === 'late' || worst.kind === 'repeated' ? 'warn' : 'bad', text: `${worst.title.charAt(0).toLowerCase()}${worst.title.slice(1)}${worst.subject === '' || worst.kind === 'late' || worst.kind === 'missing' ? '' : ` (${worst.subject})`}`, command: next }
  }
  if (report.state === 'paused') return { code: 'paused', tone: 'quiet', text: 'paused: it runs only when it is told to', command: command('resume') }
  if (lastFile?.state === 'importing') return { code: 'busy', tone: 'busy', text: `takes in ${lastFile.name}`, command: null }
  if (openRun?.state === 'looking') return { code: 'busy', tone: 'busy', text: 'looks at the server', command: null }
  if (openRun) return { code: 'busy', tone: 'busy', text: 'waits for its file', command: null }
  if (lastFile === null) return { code: 'new', tone: 'quiet', text: 'no file has come yet', command: null }
  return { code: 'well', tone: 'good', text: 'all is well', command: null }
}

const GRAVITY: readonly StoredAlert['kind'][] = ['hostKey', 'login', 'failed', 'unreachable', 'missing', 'held', 'outOfOrder', 'acknowledgement', 'late', 'repeated']
