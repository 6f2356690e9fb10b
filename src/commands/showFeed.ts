import type { Transaction } from '../entities/database.ts'
import { describeFeed } from '../feeds/describeFeed.ts'
import { readFiles, readRuns, type FileLine, type RunLine } from '../feeds/feedHistory.ts'
import { reportFeeds, type Condition, type FeedReport } from '../feeds/feedReport.ts'
import { explainProblem } from '../feeds/problems.ts'
import { heldPeople, type HeldPeople } from '../importers/heldPeople.ts'
import { listOrganizations, organizationId } from '../organizations/organizations.ts'
import type { Context } from './context.ts'
import { CommandRefused, findImport } from './find.ts'
import type { FeedFlags } from './feed.ts'
import { findFeed } from './findFeed.ts'
import { bold, dim, EXIT, green, inert, number, red, table, yellow, type ExitStatus, type Output } from './output.ts'
import { fileState, withProblem } from './runFeed.ts'
import { readHeld, sayWhatNext, SHOWN_HELD, showHeld, TOLD_HELD } from './showHeld.ts'
import { showLocal } from './releaseDate.ts'

/** Lines of each list of a feed's page. */
const SHOWN_LINES = 10

/** `muster feed list [--organization KEY]`: a line a feed: all is well, or what to do. */
export function listAllFeeds(context: Context, flags: FeedFlags): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const asked = flags.organization === undefined ? await listOrganizations(database) : [{ id: await organizationId(database, flags.organization) }]
    const reports: FeedReport[] = []
    for (const { id } of asked) reports.push(...(await database.tenant(id, (tx) => reportFeeds(tx))))
    if (out.json) out.data({ feeds: reports })
    else if (reports.length === 0) out.say('No feeds yet. Declare one: ./muster feed apply FILE.json')
    else for (const line of table(['feed', 'organization', 'last file', 'next', 'how it is'], reports.map(rowOf))) out.say(line)
    return EXIT.done
  })
}

const rowOf = ({ name, organization, lastFile, nextSlots, schedule, timeZone, condition }: FeedReport): string[] => [
  name, organization, lastFile === null ? 'none yet' : `${lastFile.name}, ${shortTime(lastFile.finishedAt ?? lastFile.seenAt, timeZone)}`,
  nextSlots[0] ? showLocal(nextSlots[0], timeZone) : schedule === null ? 'when told to' : 'not now', conditionText(condition),
]

/** 11-22 02:31 */
const shortTime = (instant: Date, zone: string): string => showLocal(instant, zone).slice(5, 16)

/** "held: 212 people would be deactivated (limit 25): ./muster feed show 41" */
const conditionText = ({ text, command }: Condition): string => (command === null ? text : `${text}: ${command}`)

const colored = ({ tone, text }: Condition): string => ({ good: green, busy: bold, warn: yellow, bad: red, quiet: dim })[tone](inert(text))

/** `muster feed show NAME|IMPORT`: a feed with everything, or what is held of one with reasons and names. */
export function showOneFeed(context: Context, target: string, flags: FeedFlags): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const limit = out.json ? TOLD_HELD : SHOWN_HELD
    // A number is an import, unless a feed is named so.
    if (/^\d{1,18}$/.test(target) && !(await findFeed(database, target, flags.organization).catch(() => null))) {
      const { organizationId: id } = await findImport(database, target)
      const found = await database.tenant(id, async (tx) => {
        const held = await readHeld(tx, target)
        return held && { ...held, people: await heldPeople(tx, target, limit), feed: (await reportFeeds(tx, { id: held.feedId }))[0]! }
      })
      if (!found) return notHeld(context, target)
      if (out.json) out.data({ organization: found.feed.organization, feed: found.feed.name, held: found.held, people: found.people })
      else {
        showHeld(found.held, found.people, out)
        sayWhatNext(found.held, out)
      }
      return EXIT.done
    }
    const found = await findFeed(database, target, flags.organization)
    const shown = await database.tenant(found.organizationId, (tx) => readShown(tx, found.feed.id, limit))
    if (out.json) out.data({ feed: { ...shown.report, runs: shown.runs.map(withProblem), files: shown.files.map(withProblem), people: shown.people } })
    else print(shown, out)
    return EXIT.done
  })
}

/** An import that is not held is shown as one, with what became of it. */
async function notHeld({ out }: Context, importId: string): Promise<ExitStatus> {
  if (out.json) out.data({ import: importId, held: null })
  else out.say(`Import ${importId} is not held: there is nothing to decide. ./muster import show ${importId} tells what became of it.`)
  return EXIT.done
}

type Shown = { report: FeedReport; runs: RunLine[]; files: FileLine[]; people: HeldPeople | null }

async function readShown(tx: Transaction, feedId: string, limit: number): Promise<Shown> {
  const [report] = await reportFeeds(tx, { id: feedId })
  return {
    report: report!,
    runs: await readRuns(tx, feedId, { limit: SHOWN_LINES, notable: true }),
    files: await readFiles(tx, feedId, { limit: SHOWN_LINES }),
    people: report!.held ? await heldPeople(tx, report!.held.importId, limit) : null,
  }
}

function print({ report, runs, files, people }: Shown, out: Output): void {
  const { name, organization, timeZone, held, alerts, condition } = report
  out.say(`${bold(name)}  ${dim(`feed ${report.id} of ${organization}, declared by ${inert(report.author)}`)}`)
  out.say(`  ${colored(condition)}${condition.command === null ? '' : `  ${condition.command}`}`)
  const facts = describeFeed(report, (instant) => showLocal(instant, timeZone))
  const width = Math.max(...facts.map(([what]) => what.length))
  for (const [what, value] of facts) out.say(`  ${dim(what.padEnd(width))}  ${inert(value)}`)
  // What is held is told further below, with names.
  for (const { title, message, whatToDo, raisedAt } of alerts.filter(({ kind }) => kind !== 'held')) {
    out.say()
    out.say(`  ${red(inert(title))}  ${dim(`since ${showLocal(raisedAt, timeZone)}`)}`)
    out.say(`    ${inert(message)}`)
    for (const { says, command } of whatToDo) out.say(`    - ${inert(says)}${command === null ? '.' : `: ${inert(command)}`}`)
  }
  if (held && people) {
    out.say()
    showHeld(held, people, out)
    sayWhatNext(held, out)
  }
  if (files.length > 0) {
    out.say()
    for (const line of table(['file', 'bytes', 'on the server since', 'state', 'import', 'new', 'changed', 'gone', ''], files.map((file) => fileRow(file, timeZone)))) out.say(`  ${line}`)
  }
  if (runs.length > 0) {
    out.say()
    for (const line of table(RUN_COLUMNS, runs.map((run) => runRow(run, timeZone)))) out.say(`  ${line}`)
  }
}

const fileRow = ({ name, bytes, modifiedAt, state, importId, counts, problem }: FileLine, zone: string): string[] => [
  name, number(bytes), showLocal(modifiedAt, zone).slice(0, 16), state, importId ?? '', counts ? number(counts.creations) : '', counts ? number(counts.updates) : '', counts ? number(counts.deactivations) : '',
  problem ? explainProblem(problem).message : '',
]

const RUN_COLUMNS = ['run', 'slot', 'kind', 'state', 'looks', 'files', '']
const KINDS = { scheduled: 'scheduled', catchUp: 'caught up', manual: 'by hand' } as const
const runRow = ({ id, slotAt, kind, slotsPassed, state, looks, filesTaken, problem, createdBy, createdAt }: RunLine, zone: string): string[] => [
  id, showLocal(slotAt ?? createdAt, zone).slice(0, 16), `${KINDS[kind]}${slotsPassed > 0 ? `, for ${slotsPassed + 1} slots` : ''}${createdBy === null ? '' : ` (${createdBy})`}`, state, number(looks), number(filesTaken),
  problem && state !== 'done' ? explainProblem(problem).message : '',
]

/** `muster feed runs NAME`: its runs, the latest first. */
export function listFeedRuns(context: Context, name: string, flags: FeedFlags & { limit?: string }): Promise<ExitStatus> {
  const limit = readCount(flags.limit)
  return context.with(async ({ database }) => {
    const { out } = context
    const { organizationId: id, organization, feed } = await findFeed(database, name, flags.organization)
    const { runs, files } = await database.tenant(id, async (tx) => ({ runs: await readRuns(tx, feed.id, { limit }), files: await readFiles(tx, feed.id, { limit }) }))
    const filesOf = (run: RunLine): FileLine[] => files.filter(({ runId }) => runId === run.id)
    if (out.json) out.data({ organization, feed: feed.name, runs: runs.map((run) => ({ ...withProblem(run), files: filesOf(run).map(withProblem) })) })
    else if (runs.length === 0) out.say(`${inert(name)} has not run yet. ./muster feed run ${inert(name)} --organization ${organization}`)
    else {
      for (const line of table(RUN_COLUMNS, runs.map((run) => runRow(run, feed.timeZone)))) out.say(line)
      for (const file of files.filter(({ runId }) => runs.some((run) => run.id === runId))) out.say(dim(`  run ${file.runId}: ${inert(file.name)} `) + fileState(file))
    }
    return EXIT.done
  })
}

/** Runs that are told unless it is said otherwise. */
const SHOWN_RUNS = 20

function readCount(text: string | undefined): number {
  if (text === undefined) return SHOWN_RUNS
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new CommandRefused('usage.limit', `--limit ${JSON.stringify(text)} is no number of lines.`, 'Write a whole number: --limit 50.')
  return Number(text)
}
