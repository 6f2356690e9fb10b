import type { FeedDefinition } from './declaration.ts'
import type { RemoteFolder } from './remoteFolder.ts'
import { ServerFault } from './serverFault.ts'

/**
 * The archive has to be another folder than the one that files are looked for in, whatever names the two have: what is moved there would be a new
 * file at once.
 * @throws ServerFault feed.archive_is_folder
 */
export async function assertArchiveApart(server: RemoteFolder, { folder, archive }: Pick<FeedDefinition, 'folder' | 'archive'>): Promise<void> {
  if (archive === null) return
  const kept = await server.realPath(archive)
  if (kept === null || kept !== (await server.realPath(folder))) return
  throw new ServerFault('feed.archive_is_folder', `The archive ${archive} is the very folder that files are looked for in (${kept}).`, 'Name another folder as the archive of the feed, and apply the declaration again.', { folder, archive })
}
