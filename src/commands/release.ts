import { nameUsers, selectUsers } from '../accounts/selectUsers.ts'
import { LEFT_OUT } from '../deliveries/choose.ts'
import { listReleases, showRelease, TROUBLE_RULE, type ReleaseLine } from '../deliveries/releasePlan.ts'
import { assertReleasable, cancelRelease, createRelease, freezeRelease, moveRelease, RELEASE_PURPOSES, resumeRelease, unknownRelease, usersOwedBy, type Changed, type ReleasePurpose, type ReleaseWish } from '../deliveries/releases.ts'
import type { Transaction } from '../entities/database.ts'
import { workerSeen } from '../jobs/seenWorkers.ts'
import { listOrganizations, organizationId, organizationOfRelease, readOrganization, type Organization } from '../organizations/organizations.ts'
import { confirmed, countLeftOut, nameLeftOut, namePeople, SHOWN_PEOPLE } from './confirm.ts'
import { ensureWorker, type Context } from './context.ts'
import { CommandRefused, findImport } from './find.ts'
import { followRelease } from './followRelease.ts'
import type { Installation } from './installation.ts'
import { count, dim, EXIT, inert, number, table, yellow, type ExitStatus } from './output.ts'
import { nameUnknown, readSelection, type SelectionFlags } from './readSelection.ts'
import { perform, rehearse } from './rehearse.ts'
import { readReleaseDate, showEnd, showLocal, showMoment, type ReleaseDate } from './releaseDate.ts'
import { showReleaseLines } from './showRelease.ts'

export type CreateFlags = SelectionFlags & { import?: string; purpose: string; at: string; zone?: string; rate?: number; firstWave?: number; restAfter: number; yes?: boolean }

/** `muster release create NAME …`: shows whom, when and how fast, asks, and owes the mails on that date. */
export async function createOneRelease(context: Context, name: string, flags: CreateFlags): Promise<ExitStatus> {
  const purpose = readPurpose(flags.purpose)
  if (name.trim() === '') throw new CommandRefused('usage.name', 'A release needs a name.', 'Such as "Go-live of December".')
  if (flags.rate === 0) throw new CommandRefused('usage.rate', '--rate 0 would never end.', 'Leave it out for the rate of the organization alone.')
  const selection = flags.import === undefined || flags.filter || flags.id || flags.users || flags.all ? await readSelection(flags) : {}
  return context.with(async (installation) => {
    const { database } = installation
    const { out } = context
    const id = await organizationId(database, flags.organization)
    const organization = await database.tenant(id, async (tx) => {
      await assertReleasable(tx)
      return readOrganization(tx)
    })
    const date = await readDate(installation, organization, flags)
    const { userIds, unknown } = await choose(installation, id, flags.import, selection)
    if (userIds.length === 0) throw new CommandRefused('users.nobody', `No user of ${organization.key} is meant by this.${unknown.length > 0 ? ` ${nameUnknown(unknown).join('')}` : ''}`, `./muster users list --organization ${organization.key} --filter … shows who fits.`)
    const wish: ReleaseWish = {
      name: name.trim(), userIds, purpose, sendAt: new Date(date.instant.epochMilliseconds), ratePerMinute: flags.rate ?? null,
      firstWave: flags.firstWave ?? 0, restAfterMinutes: flags.restAfter, operator: installation.operator,
    }
    const make = async (tx: Transaction): Promise<Made> => {
      const { id: releaseId, mailed, leftOut } = await createRelease(tx, wish)
      return { release: await showRelease(tx, releaseId), people: await nameUsers(tx, mailed, SHOWN_PEOPLE), leftOut }
    }
    const preview = await rehearse(database, id, make)
    const document = ({ release, people, leftOut }: Made, isConfirmed: boolean): Record<string, unknown> => ({
      organization: organization.key, confirmed: isConfirmed, release: isConfirmed ? release : { ...release, id: null }, people, leftOut: countLeftOut(leftOut, LEFT_OUT), unknown, warnings: warningsOf(date, organization.timeZone),
    })
    for (const line of previewLines(preview, { organization, date, zone: flags.zone, unknown })) out.say(line)
    if (!(await confirmed(context, flags.yes, `Release ${count(preview.release.counts.total, 'mail')}?`))) {
      if (out.json) out.data(document(preview, false))
      return EXIT.done
    }
    const made = await perform(database, id, make)
    const release = await letWork(installation, id, made.release, context)
    if (out.json) out.data(document({ ...made, release }, true))
    else out.say(`Release ${release.id}, "${inert(release.name)}", is ${release.state}: ${count(release.counts.total, 'mail')}. ${dim(`./muster release show ${release.id} --follow`)}`)
    return made.leftOut.length + unknown.length > 0 ? EXIT.partly : EXIT.done
  })
}

type Made = { release: ReleaseLine; people: Awaited<ReturnType<typeof nameUsers>>; leftOut: { userId: string; username: string; reason: string }[] }

function readPurpose(text: string): ReleasePurpose {
  const found = RELEASE_PURPOSES.find((purpose) => purpose === text)
  if (!found) throw new CommandRefused('usage.purpose', `--purpose ${JSON.stringify(text)} cannot be released.`, `Write one of ${RELEASE_PURPOSES.join(', ')}.`)
  return found
}

async function readDate({ database }: Installation, { timeZone }: Organization, { at, zone }: { at: string; zone?: string }): Promise<ReleaseDate> {
  return readReleaseDate(at, zone ?? timeZone, Temporal.Instant.fromEpochMilliseconds((await database.now()).getTime()))
}

/** Whom the command line means; those that an import owes mails may be narrowed down further. */
async function choose({ database }: Installation, organization: string, importId: string | undefined, selection: Parameters<typeof selectUsers>[1]): Promise<{ userIds: string[]; unknown: string[] }> {
  if (importId === undefined) return database.tenant(organization, (tx) => selectUsers(tx, selection))
  const owner = await findImport(database, importId)
  if (owner.organizationId !== organization) throw new CommandRefused('import.unknown', `Import ${importId} is one of another organization.`, './muster import list shows whose it is.')
  return database.tenant(organization, async (tx) => {
    const owed = await usersOwedBy(tx, importId)
    if (Object.keys(selection).length === 0) return { userIds: owed, unknown: [] }
    const { userIds, unknown } = await selectUsers(tx, selection)
    const chosen = new Set(userIds)
    return { userIds: owed.filter((id) => chosen.has(id)), unknown }
  })
}

function warningsOf({ past, other, instant }: ReleaseDate, zone: string): string[] {
  return [
    ...(past ? ['This date has passed: they leave at once.'] : []),
    ...(other === null ? [] : [`The clocks are put back then, and this time comes twice: ${showMoment(instant, zone)} is meant, not ${showMoment(other, zone)}.`]),
  ]
}

function previewLines({ release, people, leftOut }: Made, { organization, date, zone, unknown }: { organization: Organization; date: ReleaseDate; zone: string | undefined; unknown: readonly string[] }): string[] {
  const { total } = release.counts
  const sendAt = new Date(release.sendAt)
  const own = organization.timeZone
  return [
    `${count(total, 'mail')} (${release.purpose}) would be released:`,
    ...namePeople(people, total),
    ...nameLeftOut(leftOut, LEFT_OUT),
    ...nameUnknown(unknown),
    `Not before ${showMoment(sendAt, own)}${zone === undefined || zone === own ? '' : `, ${showMoment(sendAt, zone)}`}`,
    ...warningsOf(date, own).map((line) => yellow(line)),
    ...(release.firstWave > 0 ? [`First wave: ${number(release.firstWave)}; the other ${number(total - release.firstWave)} from ${showEnd(new Date(sendAt.getTime() + release.restAfterMinutes * 60_000), own, sendAt)}, unless ${TROUBLE_RULE}`] : []),
    estimateLine(release, own, sendAt),
  ]
}

/** "12,400 at 600 a minute finishes at 08:21" (spec D6) */
function estimateLine({ counts: { total }, rate, expectedAt, beside }: ReleaseLine, zone: string, sendAt: Date): string {
  if (rate.effective === null || expectedAt === null) return 'No rate is set: they leave as fast as the mail server takes them.'
  const whose = rate.own !== null && rate.organization !== null && rate.organization < rate.own ? ` (the organization's rate; ${number(rate.own)} was asked for)` : ''
  const others = beside === 0 ? '' : `, with ${count(beside, 'other mail')} of the organization due by then`
  return `${number(total)} at ${number(rate.effective)} a minute finishes at ${showEnd(new Date(expectedAt), zone, sendAt)}${whose}${others}`
}

/** What is due is sent: by the workers that are there, or, embedded and alone, by this process until it has left. */
async function letWork(installation: Installation, organization: string, release: ReleaseLine, { out }: Context): Promise<ReleaseLine> {
  const due = new Date(release.sendAt) <= (await installation.database.now())
  if (!due) {
    if (!(await workerSeen(installation.database))) out.remark('No worker is running. One has to be on that date: ./muster up, or node worker.ts.')
    return release
  }
  const ours = await ensureWorker(installation, out)
  await installation.queues.wake('deliver', { organizationId: organization })
  if (!ours) return release
  const followed = await followRelease(installation, organization, release.id, out, { whileDue: true })
  if (followed.counts.waiting + (followed.reasons['first_wave'] ?? 0) > 0) out.remark('The others leave later: ./muster up has to be running then.')
  return followed
}

/** `muster release list` */
export function listAllReleases(context: Context, flags: { organization?: string; limit: number }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const organizations = (await listOrganizations(database)).filter(({ key }) => flags.organization === undefined || key === flags.organization)
    if (flags.organization !== undefined && organizations.length === 0) await organizationId(database, flags.organization)
    const found: { organization: Organization; release: ReleaseLine }[] = []
    for (const { id } of organizations) {
      await database.tenant(id, async (tx) => {
        const organization = await readOrganization(tx)
        for (const release of await listReleases(tx, { limit: flags.limit })) found.push({ organization, release })
      })
    }
    const shown = found.toSorted((a, b) => Number(BigInt(b.release.id) - BigInt(a.release.id))).slice(0, flags.limit)
    if (out.json) out.data({ releases: shown.map(({ organization, release }) => ({ organization: organization.key, ...release })) })
    else if (shown.length === 0) out.say('No releases yet. Make one: ./muster release create NAME --organization KEY --all --purpose invitation --at "2026-12-01 08:00"')
    else for (const line of table(['id', 'organization', 'name', 'for', 'not before', 'state', 'mails', 'sent', 'trouble', 'left out'], shown.map(rowOf))) out.say(line)
    return EXIT.done
  })
}

const rowOf = ({ organization, release: { id, name, purpose, sendAt, state, counts } }: { organization: Organization; release: ReleaseLine }): string[] => [
  id, organization.key, name, purpose ?? '', showLocal(new Date(sendAt), organization.timeZone), state, number(counts.total), number(counts.sent), number(counts.failed + counts.bounced + counts.unknown), number(counts.leftOut),
]

/** `muster release show ID [--follow]` */
export function showOneRelease(context: Context, id: string, flags: { follow?: boolean }): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const organization = await findOrganization(installation, id)
    if (flags.follow) {
      await ensureWorker(installation, context.out)
      await followRelease(installation, organization, id, context.out)
    }
    await print(installation, organization, id, context)
    return EXIT.done
  })
}

/** `muster release move ID --at DATE` */
export function moveOneRelease(context: Context, id: string, flags: { at: string; zone?: string }): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const organization = await findOrganization(installation, id)
    const date = await readDate(installation, await installation.database.tenant(organization, readOrganization), flags)
    if (date.past) throw new CommandRefused('usage.at', `--at ${JSON.stringify(flags.at)} has passed.`, 'Write a date to come, or now.')
    return change(installation, context, organization, (tx, operator) => moveRelease(tx, id, new Date(date.instant.epochMilliseconds), operator))
  })
}

/** `muster release freeze ID` */
export const freezeOneRelease = (context: Context, id: string): Promise<ExitStatus> => changeNow(context, id, freezeRelease)
/** `muster release resume ID` */
export const resumeOneRelease = (context: Context, id: string): Promise<ExitStatus> => changeNow(context, id, resumeRelease)
/** `muster release cancel ID` */
export const cancelOneRelease = (context: Context, id: string): Promise<ExitStatus> => changeNow(context, id, cancelRelease)

function changeNow(context: Context, id: string, work: (tx: Transaction, id: string, operator: string) => Promise<Changed>): Promise<ExitStatus> {
  return context.with(async (installation) => change(installation, context, await findOrganization(installation, id), (tx, operator) => work(tx, id, operator)))
}

async function change(installation: Installation, context: Context, organization: string, work: (tx: Transaction, operator: string) => Promise<Changed>): Promise<ExitStatus> {
  const { id, changed, mails } = await perform(installation.database, organization, (tx) => work(tx, installation.operator))
  const release = await installation.database.tenant(organization, (tx) => showRelease(tx, id))
  if (release.state === 'scheduled') await letWork(installation, organization, release, context)
  if (!context.out.json) context.out.say(changed ? `${count(mails, 'mail')} of release ${id} ${mails === 1 ? 'was' : 'were'} changed.` : `Release ${id} was so already; nothing was changed.`)
  await print(installation, organization, id, context, { changed, mails })
  return EXIT.done
}

async function findOrganization({ database }: Installation, id: string): Promise<string> {
  const found = /^\d{1,18}$/.test(id) ? await organizationOfRelease(database, id) : null
  if (found === null) throw unknownRelease(id)
  return found
}

async function print({ database }: Installation, organizationOf: string, id: string, { out }: Context, more: object = {}): Promise<void> {
  const { organization, release } = await database.tenant(organizationOf, async (tx) => ({ organization: await readOrganization(tx), release: await showRelease(tx, id) }))
  if (out.json) out.data({ release: { organization: organization.key, ...release }, ...more })
  else for (const line of showReleaseLines(release, organization)) out.say(line)
}
