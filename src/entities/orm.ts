import { MikroORM } from '@mikro-orm/postgresql'
import { Migrator } from '@mikro-orm/migrations'
import * as access from './access.ts'
import * as catalog from './catalog.ts'
import * as contact from './contact.ts'
import * as delivery from './delivery.ts'
import * as feed from './feed.ts'
import * as fleet from './fleet.ts'
import * as imports from './import.ts'
import * as mailTemplate from './mailTemplate.ts'
import * as organization from './organization.ts'
import * as user from './user.ts'
import { migrations } from './migrations/index.ts'

const ENTITIES = [organization, catalog, imports, contact, user, feed, delivery, access, mailTemplate, fleet].flatMap((room) =>
  Object.values(room).filter((value) => typeof value === 'object' && value !== null && 'meta' in value),
)

/** Opens MikroORM over the database; `close()` ends its connections. */
export function openOrm(databaseUrl: string, options: { maxConnections?: number } = {}): Promise<MikroORM> {
  return MikroORM.init({
    clientUrl: databaseUrl,
    entities: ENTITIES as never[],
    // What is applied is returned and told by the caller.
    logger: () => undefined,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, path: new URL('./migrations', import.meta.url).pathname, snapshot: true, snapshotName: 'schema', emit: 'ts' },
    pool: { max: options.maxConnections ?? 10 },
    discovery: { warnWhenNoEntities: false },
    ignoreUndefinedInQuery: true,
    schemaGenerator: { ignoreSchema: ['bullmq', 'staging', 'fleet'] },
  })
}
