import type { Database } from '../entities/database.ts'
import { feedNamed, type StoredFeed } from '../feeds/feeds.ts'
import { listOrganizations, organizationId } from '../organizations/organizations.ts'
import { CommandRefused } from './find.ts'

export type FoundFeed = { organizationId: string; organization: string; feed: StoredFeed }

/**
 * The feed of this name: of the organization where one is named, else of the only one that has it. Throws CommandRefused where there is
 * none, or where several organizations have one.
 */
export async function findFeed(database: Database, name: string, organization?: string): Promise<FoundFeed> {
  const asked = organization === undefined ? await listOrganizations(database) : [{ id: await organizationId(database, organization), key: organization }]
  const found: FoundFeed[] = []
  for (const { id, key } of asked) {
    const feed = await database.tenant(id, (tx) => feedNamed(tx, name))
    if (feed) found.push({ organizationId: id, organization: key, feed })
  }
  const [only, ...others] = found
  if (!only) throw new CommandRefused('feed.unknown', `There is no feed ${JSON.stringify(name)}${organization === undefined ? '' : ` of ${organization}`}.`, './muster feed list shows those there are.')
  if (others.length > 0) throw new CommandRefused('usage.organization', `Several organizations have a feed ${JSON.stringify(name)}: ${found.map(({ organization: key }) => key).join(', ')}.`, 'Add --organization KEY.')
  return only
}
