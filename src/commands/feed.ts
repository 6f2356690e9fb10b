import { parseFeed } from '../feeds/declaration.ts'
import { applyFeed, pauseFeed, resumeFeed, type StoredFeed } from '../feeds/feeds.ts'
import { reportFeeds, type FeedReport } from '../feeds/feedReport.ts'
import { replayThresholds, type ThresholdReplay } from '../feeds/replay.ts'
import type { Transaction } from '../entities/database.ts'
import { organizationId } from '../organizations/organizations.ts'
import type { LimitedChange } from '../rules/feedPolicy.ts'
import { limitOf } from '../rules/judgeFeed.ts'
import type { Context } from './context.ts'
import { findFeed } from './findFeed.ts'
import { readJson } from './organization.ts'
import { bold, count, dim, EXIT, green, inert, number, yellow, type ExitStatus } from './output.ts'
import { readThresholds, type LimitFlags } from './readLimits.ts'
import { showLocal } from './releaseDate.ts'

export type FeedFlags = { organization?: string }

/** `muster feed apply FILE.json`: declares a feed; says what changed, what is still missing, and what its thresholds would have held. */
export async function applyOneFeed(context: Context, path: string): Promise<ExitStatus> {
  const declaration = parseFeed(await readJson(path, 'docs/feed.schema.json'))
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const id = await organizationId(database, declaration.organization)
    const { created, changes, report, replayed } = await database.tenant(id, async (tx) => {
      const applied = await applyFeed(tx, declaration, operator)
      const [found] = await reportFeeds(tx, { id: applied.feed.id })
      return { ...applied, report: found!, replayed: await replayThresholds(tx, applied.feed.id, applied.feed.definition.thresholds) }
    })
    const missing = { trust: report.hostKey === null, secrets: report.missingSecrets }
    if (out.json) out.data({ feed: { id: report.id, organization: report.organization, name: report.name }, created, changes, missing, nextSlots: report.nextSlots, replay: replayed })
    else {
      if (created) out.say(`Created the feed ${bold(report.name)} of ${report.organization}.`)
      else if (changes.length === 0) out.say(`${report.name} is as declared; nothing was changed.`)
      else {
        out.say(`${report.name}: ${count(changes.length, 'change')}`)
        for (const change of changes) out.say(`  ${inert(change)}`)
      }
      out.say(`  ${inert(scheduleLine(report))}`)
      if (replayed.runs > 0) out.say(`  ${replaySentence(replayed)}`)
      for (const [says, command] of stillToDo(report)) out.say(`  ${yellow(says)}  ${command}`)
    }
    return EXIT.done
  })
}

/** When it runs, in words. */
export const scheduleLine = ({ schedule, timeZone, nextSlots }: Pick<FeedReport, 'schedule' | 'timeZone' | 'nextSlots'>): string =>
  schedule === null ? 'No schedule: it runs when it is told to.' : `${schedule}${nextSlots[0] ? `, next ${showLocal(nextSlots[0], timeZone)}` : ''}`

function stillToDo({ name, organization, hostKey, missingSecrets }: FeedReport): [says: string, command: string][] {
  return [
    ...missingSecrets.map((secret): [string, string] => [`The secret ${secret} is missing.`, `./muster feed secret ${secret} --organization ${organization}`]),
    ...(hostKey === null ? [["The server's key is not pinned: it does not run.", `./muster feed trust ${name} --organization ${organization}`] as [string, string]] : []),
  ]
}

/** "With these thresholds, 3 of the last 90 files would have been held." (spec A7) */
export const replaySentence = ({ runs, held }: Pick<ThresholdReplay, 'runs' | 'held'>): string =>
  `With these thresholds, ${held === 0 ? 'none' : number(held)} of your last ${count(runs, 'run')} would have been held.`

const CHANGE_NAMES: Readonly<Record<LimitedChange, string>> = { creations: 'new people', updates: 'changed people', deactivations: 'deactivations', changedEmails: 'changed e-mails', reactivations: 'reactivations' }

/** `muster feed replay NAME [--deactivations 10% …]`: what thresholds would have done to the last files; changes nothing. */
export function replayFeed(context: Context, name: string, flags: FeedFlags & LimitFlags): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const { organizationId: id, organization, feed } = await findFeed(database, name, flags.organization)
    const thresholds = readThresholds(flags, feed.definition.thresholds)
    const replayed = await database.tenant(id, (tx) => replayThresholds(tx, feed.id, thresholds))
    if (out.json) out.data({ organization, feed: feed.name, thresholds, ...replayed })
    else if (replayed.runs === 0) out.say(`${inert(name)} has taken in no file yet that thresholds could be tried on.`)
    else {
      out.say(replaySentence(replayed))
      for (const [change, limit] of Object.entries(thresholds)) {
        const example = limitOf(limit, 1_000)
        out.say(dim(`  ${CHANGE_NAMES[change as LimitedChange].padEnd(17)} ${example === null ? 'no limit' : [limit.people === null ? '' : `at most ${number(limit.people)} people`, limit.percent === null ? '' : `less than ${limit.percent} %`].filter(Boolean).join(' and ')}`))
      }
      for (const { file, importId, at, changes } of replayed.which) out.say(`  ${inert(file)}  ${showLocal(at, feed.timeZone)}: ${changes.map((change) => CHANGE_NAMES[change]).join(', ')}${importId === null ? '' : dim(`  (import ${importId})`)}`)
    }
    return EXIT.done
  })
}

/** `muster feed pause NAME`: it no longer runs by itself. */
export const pauseOneFeed = (context: Context, name: string, flags: FeedFlags): Promise<ExitStatus> => step(context, name, flags, pauseFeed)
/** `muster feed resume NAME`: it runs again from its next slot on. */
export const resumeOneFeed = (context: Context, name: string, flags: FeedFlags): Promise<ExitStatus> => step(context, name, flags, resumeFeed)

function step(context: Context, name: string, flags: FeedFlags, work: (tx: Transaction, id: string, operator: string) => Promise<StoredFeed>): Promise<ExitStatus> {
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const { organizationId: id, organization, feed } = await findFeed(database, name, flags.organization)
    const after = await database.tenant(id, (tx) => work(tx, feed.id, operator))
    const changed = after.state !== feed.state
    if (out.json) out.data({ feed: { organization, name, state: after.state, nextSlotAt: after.nextSlotAt }, changed })
    else if (!changed) out.say(`${inert(name)} is ${after.state} already; nothing was changed.`)
    else if (after.state === 'paused') out.say(`${inert(name)} is paused: it runs only when it is told to, and the slots that pass are not made up for.`)
    else out.say(`${green(`${inert(name)} is active`)}${after.nextSlotAt === null ? '.' : `; next at ${showLocal(after.nextSlotAt, after.timeZone)}.`}`)
    return EXIT.done
  })
}
