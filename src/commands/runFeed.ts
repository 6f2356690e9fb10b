import { setTimeout as pause } from 'node:timers/promises'
import type { Transaction } from '../entities/database.ts'
import { readFiles, readRun, readTransfer, type FileLine, type RunLine } from '../feeds/feedHistory.ts'
import { heldFile } from '../feeds/feedReport.ts'
import { explainProblem } from '../feeds/problems.ts'
import { manualRun } from '../feeds/slots.ts'
import { readProgress } from '../importers/importProgress.ts'
import type { ImportReport } from '../importers/importReport.ts'
import { workerSeen } from '../jobs/seenWorkers.ts'
import { ensureWorker, type Context } from './context.ts'
import type { FeedFlags } from './feed.ts'
import { findFeed, type FoundFeed } from './findFeed.ts'
import { bar, describe, fullReport } from './followImport.ts'
import { SETTLE_MS } from './followSettled.ts'
import type { Installation } from './installation.ts'
import { count, dim, duration, EXIT, green, inert, red, yellow, type ExitStatus, type Output } from './output.ts'
import { showImport } from './showImport.ts'

const LOOK_MS = 150
/** Looks after which it is asked whether anybody works at all. */
const LOOKS_BEFORE_ASKING = 20
/** Files of a run that are told one by one. */
const SHOWN_FILES = 50

/** `muster feed run NAME`: has the feed look at its server at once, and follows it to its end or its hold. */
export function runOneFeed(context: Context, name: string, flags: FeedFlags): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const { database, queues, operator } = installation
    const { out } = context
    const found = await findFeed(database, name, flags.organization)
    const runId = await database.tenant(found.organizationId, (tx) => manualRun(tx, found.feed.id, operator))
    await ensureWorker(installation, out)
    await queues.wake('feeds', { organizationId: found.organizationId, feedId: found.feed.id })
    const seen = await followRun(installation, found, runId, out)
    return tell(installation, found, seen, out)
  })
}

type Seen = { run: RunLine; files: FileLine[] }

/** Follows a run until it has ended with all that it took, or waits for a person; says how far it is. */
async function followRun({ database }: Installation, { organizationId, feed }: FoundFeed, runId: string, out: Output): Promise<Seen> {
  let settling: number | undefined
  for (let looks = 0; ; looks++) {
    const { seen, line } = await database.tenant(organizationId, (tx) => look(tx, feed.id, runId))
    const { run, files } = seen
    const open = run.state === 'due' || run.state === 'looking'
    const waitsForPerson = files.some(({ state }) => state === 'held') || (open && run.nextLookAt === null && run.state === 'due')
    const busy = files.some(({ state }) => state === 'importing')
    if (!busy && (!open || waitsForPerson)) {
      settling ??= performance.now()
      // What is answered on the server belongs to it, but nobody waits for ever for that.
      if (!files.some(({ unsettled }) => unsettled) || performance.now() - settling > SETTLE_MS) {
        out.settle()
        return seen
      }
    }
    const abandoned = looks % LOOKS_BEFORE_ASKING === LOOKS_BEFORE_ASKING - 1 && !(await workerSeen(database))
    out.progress(abandoned ? 'waiting: no worker is running' : line)
    await pause(LOOK_MS)
  }
}

async function look(tx: Transaction, feedId: string, runId: string): Promise<{ seen: Seen; line: string }> {
  const run = await readRun(tx, runId)
  if (!run) throw new Error(`run ${runId} is gone`)
  const files = await readFiles(tx, feedId, { limit: SHOWN_FILES, runId })
  const transfer = await readTransfer(tx, feedId)
  const importing = files.find(({ state }) => state === 'importing')
  const progress = importing?.importId ? await readProgress(tx, importing.importId) : null
  const line = transfer
    ? transferLine(transfer)
    : progress
      ? `${importing!.name}: ${describe(progress)}`
      : run.state === 'due' && run.looks > 0
        ? `${run.problem ? explainProblem(run.problem).message : 'nothing is there yet'} It looks again soon.`
        : files.some(({ unsettled }) => unsettled)
          ? 'answering on the server'
          : 'looking at the server'
  return { seen: { run, files }, line }
}

/** "fetching people.csv ████░░ 12.0 of 40.0 MB 5.1 MB a second, 6 s left" */
export function transferLine({ file, bytes, of, elapsedMs }: { file: string; bytes: number; of: number | null; elapsedMs: number }): string {
  const megabytes = (value: number): string => (value / 1e6).toFixed(1)
  const rate = bytes > 0 && elapsedMs > 0 ? bytes / elapsedMs : null
  const speed = rate === null ? '' : ` ${dim(`${megabytes(rate * 1000)} MB a second`)}`
  if (of === null || of === 0) return `fetching ${inert(file)} ${megabytes(bytes)} MB${speed}`
  const part = Math.min(1, bytes / of)
  return `fetching ${inert(file)} ${bar(part)} ${megabytes(bytes)} of ${megabytes(of)} MB${speed}${rate === null ? '' : `, ${duration(Math.max(0, of - bytes) / rate)} left`}`
}

async function tell({ database }: Installation, { organizationId, organization, feed }: FoundFeed, { run, files }: Seen, out: Output): Promise<ExitStatus> {
  const reports: ImportReport[] = []
  for (const { importId } of files.toReversed()) if (importId !== null) reports.push(await database.tenant(organizationId, (tx) => fullReport(tx, importId)))
  if (out.json) out.data({ organization, feed: feed.name, run: withProblem(run), files: files.map(withProblem), imports: reports })
  else {
    for (const file of files.toReversed()) {
      const report = reports.find(({ id }) => id === file.importId)
      if (report) showImport(report, [], out)
      out.say(`${fileState(file)}  ${inert(file.name)}${file.problem ? `: ${inert(explainProblem(file.problem).message)}` : ''}`)
      const held = file.state === 'held' ? await database.tenant(organizationId, (tx) => heldFile(tx, feed.id, file.importId)) : null
      for (const { message } of held?.reasons ?? []) out.say(`  ${inert(message)}`)
      if (held) out.say(`  ./muster feed show ${held.importId}  ${dim('whom it is about, and how it is decided')}`)
    }
    if (files.length === 0) {
      out.say(nothingTaken(run))
      const [last] = await database.tenant(organizationId, (tx) => readFiles(tx, feed.id, { limit: 1, dealtWith: true }))
      if (last) out.say(dim(`  The last one was ${inert(last.name)}: ${last.state}${last.importId === null ? '' : `, import ${last.importId}`}.`))
    }
    const hint = run.problem && run.state !== 'done' ? explainProblem(run.problem).hint : ''
    if (hint !== '') out.say(`  ${dim(inert(hint))}`)
  }
  if (run.state === 'failed' || run.state === 'missing' || files.some(({ state }) => state === 'refused')) return EXIT.refused
  return files.some(({ state, rejected }) => state === 'held' || (rejected ?? 0) > 0) || run.state === 'due' ? EXIT.partly : EXIT.done
}

/** A run or file as scripts get it: its problem with words. */
export const withProblem = <Line extends RunLine | FileLine>(line: Line): Line & { explained: { message: string; hint: string } | null } => {
  if (line.problem === null) return { ...line, explained: null }
  const { message, hint } = explainProblem(line.problem)
  return { ...line, explained: { message, hint } }
}

/** A file's state in a word, colored. */
export function fileState({ state }: Pick<FileLine, 'state'>): string {
  if (state === 'imported') return green(state)
  if (state === 'held' || state === 'repeated') return yellow(state)
  return state === 'refused' || state === 'rejected' ? red(state) : state
}

function nothingTaken(run: RunLine): string {
  const why = run.problem ? inert(explainProblem(run.problem).message) : 'No file lay there that was not dealt with before.'
  if (run.state === 'failed') return `${red('The run failed.')} ${why}`
  if (run.state === 'due') return `The run waits. ${why}`
  return `Nothing was taken in, after ${count(run.looks, 'look')}. ${why}`
}
