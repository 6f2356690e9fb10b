/** An organization with a feed, built straight into a test's database, for what is told about feeds. */
import type { Database } from '../../src/entities/database.ts'
import type { AlertedFeed } from '../../src/feeds/alertText.ts'
import { parseFeed } from '../../src/feeds/declaration.ts'
import { deliveryScene, type Scene, type SceneOptions } from './deliveryScene.ts'

export type AlertScene = Scene & { key: string; feed: AlertedFeed }

let scenes = 0

/** @param alerts as in the feed's declaration */
export async function alertScene(database: Database, alerts: object = {}, options: SceneOptions = {}): Promise<AlertScene> {
  const key = options.key ?? `fed-${process.pid}-${++scenes}`
  const scene = await deliveryScene(database, { settings: { operators: ['desk@acme.example'] }, ...options, key })
  const { organization, name, ...definition } = parseFeed({
    organization: key, name: 'nightly', server: { host: 'sftp.acme.example', username: 'muster', login: { password: 'sftp-password' } }, pattern: 'people-*.csv', schedule: '0 2 * * *', mode: 'full', alerts,
  })
  const [feed] = await scene.sql<{ id: string }>(
    `insert into feeds (organization_id, name, state, definition, author) select id, $2, 'active', $3, 'ana' from organizations where key = $1 returning id`,
    [organization, name, definition],
  )
  return { ...scene, key, feed: { id: feed!.id, name, definition } }
}
