import type { FastifyInstance } from 'fastify'
import { countDeliveries } from '../../deliveries/list.ts'
import { readSmtpPause } from '../../deliveries/pause.ts'
import { frozenReleases } from '../../deliveries/releasePlan.ts'
import { DELIVERY_STATES, type DeliveryState } from '../../entities/states.ts'
import { reportFeeds } from '../../feeds/feedReport.ts'
import { listImports } from '../../importers/importReport.ts'
import { seenWorkers } from '../../jobs/seenWorkers.ts'
import { acrossOrganizations, FIRST_ORGANIZATION } from '../acrossOrganizations.ts'
import { queryOf } from '../query.ts'
import { showCount, showInstant, showNumber, wordsOf } from '../show.ts'
import type { PageParts } from '../parts.ts'
import { attention } from './attention.ts'
import { importLine } from './importLine.ts'
import { capitalized, deliveryBadge, isRunning } from './states.ts'

/** Imports of the list, and those of each organization that are looked through for what needs somebody. */
const SHOWN = 8
const LOOKED_AT = 50
/** How often the page is fetched again: while something runs, and else. */
const BUSY = '2s'
const CALM = '15s'

/** GET / and /overview, the part of it that is fetched again. */
export function overviewRoutes(app: FastifyInstance, parts: PageParts): void {
  app.get('/', async (_, reply) => parts.page(reply, 'overview', { title: 'Overview', section: 'overview', live: true }, { overview: await overview(parts) }))
  app.get('/overview', async (_, reply) => parts.fragment(reply, 'overviewLive', { overview: await overview(parts) }))
}

async function overview({ database, readCounts }: PageParts) {
  const [workers, pause, now] = await Promise.all([seenWorkers(database), readSmtpPause(database), database.now()])
  const organizations = await acrossOrganizations(database, { section: 'overview' }, async (tx, organization) => {
    const imports = await listImports(tx, LOOKED_AT)
    const lines = []
    for (const stored of imports.slice(0, SHOWN)) lines.push(await importLine(tx, stored, organization))
    return { imports, lines, deliveries: await countDeliveries(tx), frozen: await frozenReleases(tx), feeds: await reportFeeds(tx) }
  })
  const lines = organizations.flatMap(({ answer }) => answer.lines).sort((a, b) => Number(BigInt(b.id) - BigInt(a.id)))
  const counted = (state: DeliveryState): number => organizations.reduce((sum, { answer }) => sum + (answer.deliveries[state] ?? 0), 0)
  const busy = counted('queued') + counted('sending') > 0 || organizations.some(({ answer }) => answer.imports.some(({ state }) => isRunning(state)))
  // One organization's clock is everybody's; of several, none is.
  const zone = organizations.length === 1 ? organizations[0]!.organization.timeZone : 'UTC'
  const mails = DELIVERY_STATES.map((state) => ({ state, count: counted(state) }))
  return {
    every: busy ? BUSY : CALM,
    attention: attention({ organizations, workers, pause, now, zone }),
    imports: lines.slice(0, SHOWN),
    moreImports: lines.length > SHOWN,
    mails: mails.every(({ count }) => count === 0)
      ? []
      : mails.map(({ state, count }) => ({ badge: deliveryBadge(state), count: showNumber(count), none: count === 0, href: `/deliveries${queryOf({ state })}` })),
    organizations: organizations.map(({ organization, answer }) => ({
      name: organization.name,
      key: organization.key,
      zone: organization.timeZone,
      imports: `/organizations/${encodeURIComponent(organization.key)}/imports`,
      deliveries: `/deliveries${queryOf({ organization: organization.key })}`,
      mails: showCount(Object.values(answer.deliveries).reduce((sum, count) => sum + count, 0), 'delivery', 'deliveries'),
    })),
    several: organizations.length > 1,
    workers: workers.map(({ name, alive, startedAt, seenAt }) => ({
      name, badge: alive ? { text: 'Alive', tone: 'good' } : { text: 'Silent', tone: 'bad' }, since: showInstant(startedAt, zone), seen: showInstant(seenAt, zone), alive,
    })),
    jobs: await jobCounts(readCounts),
    firstOrganization: wordsOf(FIRST_ORGANIZATION),
    firstImport: wordsOf(`./muster import people.xlsx --organization ${organizations[0]?.organization.key ?? 'acme'}`),
  }
}

/** Jobs waiting or being done; null where nobody can say, `silent` where the queue does not answer. */
async function jobCounts(readCounts: PageParts['readCounts']): Promise<{ silent: boolean; kinds: { name: string; count: string }[] } | null> {
  if (!readCounts) return null
  try {
    return { silent: false, kinds: Object.entries(await readCounts()).map(([name, count]) => ({ name: capitalized(name), count: showNumber(count) })) }
  } catch {
    return { silent: true, kinds: [] }
  }
}
