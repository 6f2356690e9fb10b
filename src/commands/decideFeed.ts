import type { Transaction } from '../entities/database.ts'
import { allowOnce } from '../feeds/feeds.ts'
import type { HeldFile } from '../feeds/feedReport.ts'
import { heldPeople } from '../importers/heldPeople.ts'
import { approveImport, rejectImport } from '../jobs/decideImport.ts'
import type { Allowance } from '../rules/feedPolicy.ts'
import { confirmed } from './confirm.ts'
import { ensureWorker, type Context } from './context.ts'
import { CommandRefused, findImport } from './find.ts'
import type { FeedFlags } from './feed.ts'
import { findFeed } from './findFeed.ts'
import { followDeliveries, followImport } from './followImport.ts'
import { followSettled } from './followSettled.ts'
import type { Installation } from './installation.ts'
import { count, EXIT, green, inert, type ExitStatus } from './output.ts'
import { readAllowed, type LimitFlags } from './readLimits.ts'
import { readReleaseDate, showLocal } from './releaseDate.ts'
import { perform, rehearse } from './rehearse.ts'
import { readHeld, SHOWN_HELD, showHeld } from './showHeld.ts'
import { showImport } from './showImport.ts'

export type ApproveFlags = FeedFlags & LimitFlags & { plan?: string; once?: boolean; withdraw?: boolean; until?: string; yes?: boolean }

/** `muster feed approve IMPORT [--plan HASH]`, or `muster feed approve NAME --once --deactivations N`. */
export function approveFeed(context: Context, target: string, flags: ApproveFlags): Promise<ExitStatus> {
  const allowed = readAllowed(flags)
  if (flags.once || flags.withdraw) {
    if (flags.plan !== undefined) throw new CommandRefused('usage.plan', '--plan belongs to an import that is held, and not to --once.', './muster feed approve IMPORT --plan HASH')
    return flags.withdraw ? allow(context, target, flags, null) : allow(context, target, flags, allowed)
  }
  if (Object.keys(allowed).length > 0) throw new CommandRefused('usage.once', 'Numbers are allowed for the next file of a feed: add --once.', `./muster feed approve ${target} --once --deactivations 40`)
  return approve(context, target, flags)
}

/** Shows what is held and would be carried out, asks, and carries out exactly that plan. */
function approve(context: Context, importId: string, flags: ApproveFlags): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const { database, queues, operator } = installation
    const { out } = context
    const { organizationId, held, feedId } = await findHeld(installation, importId)
    const people = await database.tenant(organizationId, (tx) => heldPeople(tx, importId, SHOWN_HELD))
    const document = (isConfirmed: boolean, more: Record<string, unknown> = {}): Record<string, unknown> => ({ import: importId, confirmed: isConfirmed, held, people, ...more })
    if (!out.json) showHeld(held, people, out)
    // What was shown is what is approved: of another plan nothing is carried out.
    const plan = flags.plan ?? held.planHash
    const decide = (tx: Transaction): Promise<number[]> => approveImport(tx, importId, operator, plan === null ? {} : { plan })
    // Who may not decide is told before the question, not after the answer.
    await rehearse(database, organizationId, decide)
    if (!(await confirmed(context, flags.yes, 'Approve this plan, and carry it out?'))) {
      if (out.json) out.data(document(false))
      return EXIT.done
    }
    const chunks = await perform(database, organizationId, decide)
    const ours = await ensureWorker(installation, out)
    for (const chunk of chunks) await queues.wake('commit', { organizationId, importId, chunk })
    const report = await followImport(installation, organizationId, importId, out)
    if (ours) await followDeliveries(installation, organizationId, importId, out)
    await queues.wake('feeds', { organizationId, feedId })
    if (ours) await followSettled(installation, organizationId, importId, out)
    if (out.json) out.data(document(true, { report }))
    else {
      out.say(green(`Import ${importId} was approved by ${inert(operator)}.`))
      showImport(report, [], out)
    }
    if (report.state !== 'committed') return EXIT.refused
    return report.totals.rejected + report.totals.held > 0 ? EXIT.partly : EXIT.done
  })
}

/** `muster feed reject IMPORT`: gives up what is held; nothing of it is carried out. */
export function rejectFeed(context: Context, importId: string): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const { database, queues, operator } = installation
    const { organizationId, held, feedId } = await findHeld(installation, importId)
    await perform(database, organizationId, (tx) => rejectImport(tx, importId, operator))
    const ours = await ensureWorker(installation, context.out)
    await queues.wake('feeds', { organizationId, feedId })
    if (ours) await followSettled(installation, organizationId, importId, context.out)
    if (context.out.json) context.out.data({ import: importId, file: held.file, rejected: true })
    else {
      context.out.say(`Import ${importId} (${inert(held.file)}) is rejected: nothing of it was changed.`)
      context.out.say('The sender is told on the server. If that was wrong, have the file sent again.')
    }
    return EXIT.done
  })
}

/** The held import of a feed. Throws CommandRefused where it is none. */
async function findHeld({ database }: Installation, importId: string): Promise<{ organizationId: string; held: HeldFile; feedId: string }> {
  const { organizationId, stored } = await findImport(database, importId)
  const found = await database.tenant(organizationId, (tx) => readHeld(tx, importId))
  if (!found) throw new CommandRefused('import.not_held', `Import ${importId} is ${stored.state}${stored.state === 'held' ? ', but no feed brought it' : ''}: there is nothing to decide.`, `./muster import show ${importId}`)
  return { organizationId, ...found }
}

function allow(context: Context, name: string, flags: ApproveFlags, limits: Allowance['limits'] | null): Promise<ExitStatus> {
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const { organizationId, organization, feed } = await findFeed(database, name, flags.organization)
    const now = Temporal.Instant.fromEpochMilliseconds((await database.now()).getTime())
    const until = flags.until === undefined ? null : new Date(readReleaseDate(flags.until, feed.timeZone, now).instant.epochMilliseconds)
    const words = Object.entries(limits ?? {}).map(([change, most]) => `${most} ${change}`).join(', ')
    if (limits !== null) {
      out.say(`The next file of ${inert(name)} that would be held may go as far as this by itself, once: ${words}.`)
      out.say(until === null ? 'It holds until it is used up.' : `It holds until ${showLocal(until, feed.timeZone)}.`)
      if (!(await confirmed(context, flags.yes, `Allow ${count(Object.keys(limits).length, 'kind of change', 'kinds of change')} once?`))) {
        if (out.json) out.data({ organization, feed: name, confirmed: false, allowance: feed.allowance })
        return EXIT.done
      }
    }
    const after = await database.tenant(organizationId, (tx) => allowOnce(tx, feed.id, limits === null ? null : { limits, until: until?.toISOString() ?? null }, operator))
    if (out.json) out.data({ organization, feed: name, confirmed: true, allowance: after.allowance })
    else out.say(limits === null ? `Nothing is allowed to ${inert(name)} any more beyond its thresholds.` : `Allowed by ${inert(operator)}. ./muster feed approve ${inert(name)} --organization ${organization} --withdraw takes it back.`)
    return EXIT.done
  })
}
