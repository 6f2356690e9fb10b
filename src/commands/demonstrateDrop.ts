import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startDrop, type Drop } from '../embedded/drop.ts'
import { becomeHolder, hasHolder, openHome, withLock, type GiveBack } from '../embedded/home.ts'
import type { Database, Transaction } from '../entities/database.ts'
import { parseFeed, type FeedDeclaration } from '../feeds/declaration.ts'
import { applyFeed, feedNamed, pauseFeed, pinHostKey, resumeFeed, type StoredFeed } from '../feeds/feeds.ts'
import { openSecret, storeSecret } from '../feeds/secrets.ts'
import { listOrganizations } from '../organizations/organizations.ts'
import { demonstrationFolder, findDemonstration } from './demonstrate.ts'
import type { Installation } from './installation.ts'

/** The declaration of the drop's feed; its port is the one that the drop listens on. */
const DECLARATION = 'drop.feed.json'
const FEED = 'drop'
const SECRET = 'drop'
/** Who declares it: not the operator, who may then approve what it holds. */
const AUTHOR = 'muster up'

/** The demonstration drop, and the feed that looks at it. */
export type DemonstrationDrop = Drop & {
  organization: string
  feed: string
  /** Another port than the usual one. */
  moved: boolean
  /** Before the drop is closed: lets its feed rest, so that workers of other commands do not look for a server that is not there. */
  rest(): Promise<void>
}

/**
 * Starts the demonstration drop, an SFTP server on the loopback, and sees to its feed: declared, pinned and with its secret. Only beside the
 * organization of the demonstration, in an installation that nothing else was set up for.
 * @param onPort starts on the port that is set, or on another one where nobody asked for that and it is taken
 * @returns null where there is nothing to demonstrate
 */
export async function startDemonstrationDrop(installation: Installation, onPort: (start: (port: number) => Promise<Drop>) => Promise<Drop & { moved: boolean }>): Promise<DemonstrationDrop | null> {
  const { config, database, log } = installation
  if (!installation.embedded || config.smtpUrl !== null) return null
  const declaration = parseFeed(JSON.parse(await readFile(join(demonstrationFolder, DECLARATION), 'utf8')))
  const organizationId = await demonstrationOf(database, declaration)
  if (organizationId === null) return null
  const giveBack = await becomeOnly(config.home)
  if (giveBack === null) return null
  const drop = await onPort((port) => startDrop(config.home, { username: declaration.server.username, port, random: randomBytes })).catch((error: unknown) => {
    giveBack()
    throw error
  })
  const close = async (): Promise<void> => {
    giveBack()
    await drop.close()
  }
  try {
    await database.tenant(organizationId, (tx) => declareDrop(tx, installation, declaration, drop))
  } catch (error) {
    await close()
    throw error
  }
  return {
    ...drop,
    close,
    organization: declaration.organization,
    feed: FEED,
    async rest() {
      const rests = database.tenant(organizationId, async (tx) => {
        const feed = await feedNamed(tx, FEED)
        if (feed?.author === AUTHOR) await pauseFeed(tx, feed.id, AUTHOR)
      })
      // A database that is away is no reason not to end in order.
      await rests.catch((error: Error) => log.warn({ error: error.message }, 'the feed of the drop could not be paused'))
    },
  }
}

/** Of several `muster up` with one MUSTER_HOME the first has the drop; null for the others. */
async function becomeOnly(home: string): Promise<GiveBack | null> {
  const opened = openHome(home)
  return withLock(opened, 'drop', () => undefined, () => Promise.resolve(hasHolder(opened, 'drop') ? null : becomeHolder(opened, 'drop')))
}

/** The organization of the demonstration as it was made, or one that had the drop's feed before; null where it is somebody's own. */
async function demonstrationOf(database: Database, declaration: FeedDeclaration): Promise<string | null> {
  const asMade = await findDemonstration(database)
  if (asMade !== null) return asMade
  const named = (await listOrganizations(database)).find(({ key }) => key === declaration.organization)
  const feed = named ? await database.tenant(named.id, (tx) => feedNamed(tx, FEED)) : null
  return named && feed?.author === AUTHOR ? named.id : null
}

/** Nothing is changed that an operator has declared otherwise, but for where the drop listens now. */
async function declareDrop(tx: Transaction, { secret, secrets }: Installation, declaration: FeedDeclaration, drop: Drop): Promise<void> {
  const kept = await openSecret(tx, secrets, SECRET).catch(() => null)
  if (kept !== drop.password) await storeSecret(tx, { secret, random: randomBytes }, SECRET, drop.password, AUTHOR)
  const before: StoredFeed | null = await feedNamed(tx, FEED)
  if (before && before.author !== AUTHOR) return
  const wanted = before?.definition ?? declaration
  const { feed } = await applyFeed(tx, { ...wanted, organization: declaration.organization, name: FEED, server: { ...wanted.server, host: drop.host, port: drop.port } }, AUTHOR)
  await pinHostKey(tx, feed.id, drop.hostKey, AUTHOR)
  await resumeFeed(tx, feed.id, AUTHOR)
}
