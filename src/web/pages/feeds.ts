import type { FastifyInstance } from 'fastify'
import type { Transaction } from '../../entities/database.ts'
import { describeFeed } from '../../feeds/describeFeed.ts'
import { readFiles, readRuns, readTransfer, type FileLine, type RunLine } from '../../feeds/feedHistory.ts'
import { reportFeeds, type FeedReport } from '../../feeds/feedReport.ts'
import { explainProblem } from '../../feeds/problems.ts'
import { heldPeople, type HeldPeople } from '../../importers/heldPeople.ts'
import { organizationOfFeed, readOrganization, type Organization } from '../../organizations/organizations.ts'
import { acrossOrganizations } from '../acrossOrganizations.ts'
import { PageRefused } from '../errors.ts'
import type { PageParts } from '../parts.ts'
import { isId } from '../query.ts'
import { showBytes, showCount, showInstant, showNumber, wordsOf } from '../show.ts'
import { note } from './importNotes.ts'
import { capitalized, feedFileBadge, feedRunBadge } from './states.ts'

/** Runs and files of a feed's page; people of each list of what is held. */
const SHOWN = 15
const SHOWN_PEOPLE = 50
/** How often a page is fetched again: while something goes on, and else. */
const BUSY = '2s'
const CALM = '15s'

/** GET /feeds and /feeds/:id, and the parts of both that are fetched again. */
export function feedRoutes(app: FastifyInstance, parts: PageParts): void {
  const { page, fragment } = parts
  app.get('/feeds', async (_, reply) => page(reply, 'feeds', { title: 'Feeds', section: 'feeds', live: true }, { list: await listView(parts) }))
  app.get('/feeds/live', async (_, reply) => fragment(reply, 'feedsLive', { list: await listView(parts) }))
  app.get<{ Params: { id: string } }>('/feeds/:id', async (request, reply) => {
    const view = await find(parts, request.params.id)
    return page(reply, 'feed', { title: view.name, section: 'feeds', live: true }, { feed: view })
  })
  app.get<{ Params: { id: string } }>('/feeds/:id/live', async (request, reply) => fragment(reply, 'feedLive', { feed: await find(parts, request.params.id) }))
}

async function listView({ database }: PageParts) {
  const found = await acrossOrganizations(database, { section: 'feeds' }, async (tx, organization) => (await reportFeeds(tx)).map((report) => lineView(report, organization)))
  const lines = found.flatMap(({ answer }) => answer)
  return { lines, several: found.length > 1, every: lines.some(({ busy }) => busy) ? BUSY : CALM, command: wordsOf('./muster feed apply FILE.json') }
}

const lineView = (report: FeedReport, organization: Organization) => ({
  name: report.name,
  href: `/feeds/${report.id}`,
  organization: organization.name,
  badge: badgeOf(report),
  busy: isBusy(report),
  text: capitalized(report.condition.text),
  command: report.condition.command === null ? null : wordsOf(report.condition.command),
  lastFile: report.lastFile && { name: report.lastFile.name, at: showInstant(report.lastFile.finishedAt ?? report.lastFile.seenAt, report.timeZone) },
  next: report.nextSlots[0] ? showInstant(report.nextSlots[0], report.timeZone) : null,
  noNext: report.schedule === null ? 'when told to' : 'not now',
})

/** Whether something goes on, whatever else there is to say of it. */
const isBusy = ({ lastFile, openRun }: FeedReport): boolean => lastFile?.state === 'importing' || openRun?.state === 'looking'

const CONDITIONS = { well: 'Well', new: 'New', busy: 'At work', paused: 'Paused', untrusted: 'Not trusted', secrets: 'No secret', held: 'Held', alert: 'Alert' } as const
const badgeOf = ({ condition }: FeedReport) => ({ text: CONDITIONS[condition.code], tone: condition.tone })

async function find({ database }: PageParts, id: string) {
  const owner = isId(id) ? await organizationOfFeed(database, id) : null
  const view = owner === null ? null : await database.tenant(owner, (tx) => feedView(tx, id))
  if (!view) throw new PageRefused(404, `There is no feed ${JSON.stringify(id)}`, 'The list shows those there are.', { command: './muster feed list', section: 'feeds' })
  return view
}

async function feedView(tx: Transaction, id: string) {
  const [report] = await reportFeeds(tx, { id })
  if (!report) return null
  const organization = await readOrganization(tx)
  const { timeZone: zone, condition, held } = report
  const [files, runs, transfer] = [await readFiles(tx, id, { limit: SHOWN }), await readRuns(tx, id, { limit: SHOWN, notable: true }), await readTransfer(tx, id)]
  const busy = isBusy(report) || transfer !== null
  return {
    id,
    name: report.name,
    organization: organization.name,
    author: report.author,
    every: busy ? BUSY : CALM,
    badge: badgeOf(report),
    text: capitalized(condition.text),
    transfer: transfer && {
      text: `Fetching ${transfer.file}: ${showBytes(transfer.bytes)}${transfer.of === null ? '' : ` of ${showBytes(transfer.of)}`}`,
      value: transfer.of === null ? null : String(transfer.bytes), max: transfer.of === null ? null : String(transfer.of),
    },
    notes: notesOf(report),
    held: held && {
      file: held.file,
      href: `/imports/${held.importId}`,
      until: showInstant(held.until, zone),
      plan: held.planHash,
      reasons: held.reasons.map(({ message, hint }) => ({ message, hint })),
      lists: listsOf(await heldPeople(tx, held.importId, SHOWN_PEOPLE)),
    },
    facts: describeFeed(report, (instant) => showInstant(instant, zone)!.text).map(([what, value]) => ({ name: capitalized(what), value })),
    files: files.map((file) => fileView(file, zone)),
    runs: runs.map((run) => runView(run, zone)),
  }
}

/** What somebody has to do, the worst first; of what is held the names stand further below. */
function notesOf(report: FeedReport) {
  const { name, organization, held, alerts, hostKey, missingSecrets, state } = report
  const command = (verb: string): string => `./muster feed ${verb} ${name} --organization ${organization}`
  return [
    ...missingSecrets.map((secret) => note('bad', `The secret ${secret} is missing`, 'The feed does not run without it.', [`./muster feed secret ${secret} --organization ${organization}`])),
    ...(hostKey === null ? [note('bad', "The server's key is not pinned", 'The feed does not run until somebody has compared the key with what the owner of the server says.', [command('trust')])] : []),
    ...(held ? [note('warn', `${held.file} is held`, `${held.reasons.map(({ short }) => short).join('; ')}. Somebody else than ${report.author}, who declared the feed, decides.`, [`./muster feed approve ${held.importId}`, `./muster feed reject ${held.importId}`])] : []),
    ...alerts.filter(({ kind }) => kind !== 'held').map(({ kind, title, message, whatToDo }) => {
      // Who is here looks at the feed already.
      const steps = whatToDo.filter((step) => step.command !== command('show'))
      return note(kind === 'late' || kind === 'repeated' ? 'warn' : 'bad', title, `${message} ${steps.map(({ says }) => `${says}.`).join(' ')}`, steps.flatMap((step) => step.command ?? []).slice(0, 2))
    }),
    ...(state === 'paused' ? [note('quiet', 'It is paused', 'It runs only when it is told to.', [command('resume')])] : []),
  ]
}

const LISTS: readonly [list: keyof HeldPeople, heading: string][] = [
  ['leaving', 'Would be deactivated'], ['created', 'Would be new'], ['changedEmails', 'Would get another e-mail address'], ['reactivated', 'Would be active again'], ['updated', 'Would be changed'],
  ['adopted', "Would become the feed's own, though it did not bring them"],
]

const listsOf = (people: HeldPeople) =>
  LISTS.flatMap(([list, heading]) => {
    const { count, people: named } = people[list]
    if (count === 0) return []
    return [{ id: list, heading, count: showNumber(count), people: named.map(({ externalId, name, email, emailBefore }) => ({ externalId, name, email, emailBefore })), more: count > named.length ? showCount(count - named.length, 'more person', 'more people') : null }]
  })

const fileView = ({ name, bytes, modifiedAt, state, importId, counts, rejected, problem }: FileLine, zone: string) => ({
  name,
  href: importId === null ? null : `/imports/${importId}`,
  badge: feedFileBadge(state),
  size: showBytes(bytes),
  at: showInstant(modifiedAt, zone),
  outcome: counts
    ? [showCount(counts.rows, 'row'), ...([['creations', 'new'], ['updates', 'changed'], ['deactivations', 'gone'], ['reactivations', 'back']] as const).flatMap(([kind, word]) => (counts[kind] > 0 ? [`${showNumber(counts[kind])} ${word}`] : [])), ...((rejected ?? 0) > 0 ? [`${showNumber(rejected!)} rejected or held`] : [])].join(', ')
    : '',
  problem: problem && explainProblem(problem).message,
})

const KINDS = { scheduled: 'Scheduled', catchUp: 'Caught up', manual: 'By hand' } as const
const runView = ({ id, kind, slotAt, slotsPassed, state, looks, filesTaken, problem, createdBy, createdAt }: RunLine, zone: string) => ({
  id,
  at: showInstant(slotAt ?? createdAt, zone),
  kind: `${KINDS[kind]}${slotsPassed > 0 ? `, for ${slotsPassed + 1} slots` : ''}${createdBy === null ? '' : `, ${createdBy}`}`,
  badge: feedRunBadge(state),
  outcome: `${showCount(looks, 'look')}, ${showCount(filesTaken, 'file')}`,
  problem: problem && state !== 'done' ? explainProblem(problem).message : null,
})
