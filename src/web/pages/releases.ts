import type { FastifyInstance } from 'fastify'
import { LEFT_OUT } from '../../deliveries/choose.ts'
import { HOLDING } from '../../deliveries/recheck.ts'
import { listReleases, showRelease, TROUBLE_RULE, type ReleaseLine } from '../../deliveries/releasePlan.ts'
import { ReleaseRefused } from '../../deliveries/releases.ts'
import { organizationOfRelease, readOrganization, type Organization } from '../../organizations/organizations.ts'
import { acrossOrganizations } from '../acrossOrganizations.ts'
import { PageRefused } from '../errors.ts'
import type { PageParts } from '../parts.ts'
import { idOf, isId, queryOf, textOf } from '../query.ts'
import { showCount, showInstant, showNumber, wordsOf } from '../show.ts'
import { note, type Note } from './importNotes.ts'
import { purposeName, releaseBadge } from './states.ts'

/** Lines of a page. */
const SHOWN = 25

/** GET /releases, /releases/:id and /releases/:id/progress. */
export function releaseRoutes(app: FastifyInstance, parts: PageParts): void {
  const { database, page, fragment } = parts

  app.get('/releases', async (request, reply) => {
    const before = idOf(request.query, 'before')
    const found = await acrossOrganizations(database, { section: 'releases' }, async (tx, organization) => (await listReleases(tx, { limit: SHOWN + 1, before })).map((release) => lineView(release, organization)))
    const all = found.flatMap(({ answer }) => answer).sort((a, b) => Number(BigInt(b.id) - BigInt(a.id)))
    const lines = all.slice(0, SHOWN)
    return page(reply, 'releases', { title: 'Releases', section: 'releases' }, {
      several: found.length > 1,
      lines,
      older: all.length > SHOWN ? queryOf({ before: lines.at(-1)!.id }) : null,
      newest: before !== null,
      command: wordsOf(`./muster release create Go-live --organization ${found[0]?.organization.key ?? 'acme'} --all --purpose invitation --at "2026-12-01 08:00"`),
    })
  })

  app.get<{ Params: { id: string } }>('/releases/:id', async (request, reply) => {
    const { release, organization } = await find(parts, request.params.id)
    const view = oneView(release, organization)
    return page(reply, 'release', { title: release.name, section: 'releases', live: view.part.every !== null }, view)
  })

  app.get<{ Params: { id: string } }>('/releases/:id/progress', async (request, reply) => {
    const { release, organization } = await find(parts, request.params.id)
    // Each state has more to show than the part that is fetched again: the whole page is loaded anew.
    if (release.state !== textOf(request.query, 'state')) reply.header('hx-refresh', 'true')
    return fragment(reply, 'releaseProgress', { part: partView(release, organization) })
  })
}

async function find({ database }: PageParts, id: string): Promise<{ release: ReleaseLine; organization: Organization }> {
  const owner = isId(id) ? await organizationOfRelease(database, id) : null
  const missing = new PageRefused(404, `There is no release ${JSON.stringify(id)}`, 'The list shows those there are.', { command: './muster release list', section: 'releases' })
  if (owner === null) throw missing
  return database.tenant(owner, async (tx) => ({ organization: await readOrganization(tx), release: await showRelease(tx, id) })).catch((error: unknown) => {
    throw error instanceof ReleaseRefused ? missing : error
  })
}

const troubleOf = ({ counts }: ReleaseLine): number => counts.failed + counts.unknown + counts.bounced
const doneOf = ({ counts }: ReleaseLine): number => counts.sent + counts.failed + counts.unknown + counts.leftOut

const lineView = (release: ReleaseLine, { name, timeZone }: Organization) => ({
  id: release.id,
  name: release.name,
  href: `/releases/${release.id}`,
  organization: name,
  badge: releaseBadge(release.state),
  purpose: release.purpose === null ? '' : purposeName(release.purpose),
  sendAt: showInstant(release.sendAt, timeZone),
  progress: release.state === 'running' ? { value: String(doneOf(release)), max: String(release.counts.total) } : null,
  outcome: [`${showNumber(release.counts.sent)} of ${showCount(release.counts.total, 'mail')} sent`, ...(troubleOf(release) > 0 ? [`${showNumber(troubleOf(release))} in trouble`] : []), ...(release.counts.leftOut > 0 ? [`${showNumber(release.counts.leftOut)} left out`] : [])].join(', '),
})

/** What is fetched again while it is open: each second while it runs, now and then while it waits. */
function partView(release: ReleaseLine, { timeZone }: Organization) {
  const { id, state, counts, actualRate, expectedAt } = release
  const running = state === 'running'
  const figure = (name: string, count: number, tone: 'plain' | 'warn' = 'plain') => ({ name, value: showNumber(count), tone: count === 0 ? 'none' : tone })
  return {
    id,
    state,
    every: running ? '1s' : state === 'scheduled' ? '5s' : null,
    badge: releaseBadge(state),
    bar: running ? { value: String(doneOf(release)), max: String(counts.total), percent: `${Math.floor((100 * doneOf(release)) / Math.max(1, counts.total))} %`, step: 'Mails are leaving' } : null,
    rate: actualRate === null ? null : `${showNumber(actualRate)} a minute`,
    expected: running || state === 'scheduled' ? showInstant(expectedAt, timeZone) : null,
    figures: [
      figure('sent', counts.sent), figure('waiting', counts.waiting + counts.underWay), figure('held', counts.held, state === 'running' ? 'plain' : 'warn'),
      figure('failed', counts.failed, 'warn'), figure('came back', counts.bounced, 'warn'), figure('unknown', counts.unknown, 'warn'), figure('left out', counts.leftOut, 'warn'),
    ],
    total: showCount(counts.total, 'mail'),
  }
}

function oneView(release: ReleaseLine, organization: Organization) {
  const { id, name, purpose, rate, firstWave, restAfterMinutes, restReleasedAt, createdBy, createdAt, finishedAt, firstSentAt, lastSentAt, reasons, leftOutBefore } = release
  const zone = organization.timeZone
  const paces = [rate.own === null ? null : `${showNumber(rate.own)} a minute`, rate.organization === null ? null : `the organization’s ${showNumber(rate.organization)} a minute`].filter((part) => part !== null)
  const wave = firstWave === 0 ? null : `${showNumber(firstWave)} first; the rest ${showNumber(restAfterMinutes)} minutes later, unless ${TROUBLE_RULE}`
  const instants: [string, string | null][] = [['Not before', release.sendAt], ['In UTC', null], ['First mail left', firstSentAt], ['The rest let go', restReleasedAt], ['Last mail left', lastSentAt], ['Ended', finishedAt]]
  return {
    id,
    name,
    organization: { name: organization.name, href: `/deliveries${queryOf({ organization: organization.key })}` },
    under: { by: createdBy, at: showInstant(createdAt, zone), purpose: purpose === null ? 'Mails' : purposeName(purpose) },
    part: partView(release, organization),
    notes: notesOf(release),
    instants: instants.flatMap(([what, instant]) => (what === 'In UTC' ? [{ name: what, instant: showInstant(release.sendAt, 'UTC')! }] : instant === null ? [] : [{ name: what, instant: showInstant(instant, zone)! }])),
    facts: [{ name: 'Rate', value: paces.length === 0 ? 'none is set' : paces.join(', ') }, ...(wave === null ? [] : [{ name: 'First wave', value: wave }])],
    reasons: [
      ...Object.entries(reasons).map(([code, count]) => ({ count: showNumber(count), text: LEFT_OUT[code] ?? code, when: HOLDING.includes(code) ? 'held' : 'left out at sending' })),
      ...Object.entries(leftOutBefore).map(([code, count]) => ({ count: showNumber(count), text: LEFT_OUT[code] ?? code, when: 'left out before' })),
    ],
    deliveries: `/deliveries${queryOf({ release: id })}`,
  }
}

function notesOf(release: ReleaseLine): Note[] {
  const { id, state, reason } = release
  const notes: Note[] = []
  if (state === 'frozen') {
    const told = reason === null ? 'Somebody froze it: nothing of it leaves.' : `It froze itself over its first wave (${reason.replace(/^first_wave: /, '')}). Look at what failed before the rest follows.`
    notes.push(note('bad', 'It is frozen', `${told} Resume it, and what has not left goes on; or cancel it, and it never leaves.`, [`./muster release resume ${id}`, `./muster release cancel ${id}`]))
  }
  if (troubleOf(release) > 0) notes.push(note('warn', `${showCount(troubleOf(release), 'mail')} in trouble`, 'They failed, came back, or nobody knows whether they arrived. The list of deliveries says why, one by one.'))
  if (state === 'running') notes.push(note('warn', 'It is under way', 'Freezing stops it: at most the mails whose end is just leaving still go.', [`./muster release freeze ${id}`]))
  if (state === 'scheduled') notes.push(note('warn', 'It waits for its date', 'A worker has to be running then. Until it leaves it can be moved, frozen or cancelled.', [`./muster release move ${id} --at "2026-12-01 08:00"`, `./muster release freeze ${id}`]))
  return notes
}
