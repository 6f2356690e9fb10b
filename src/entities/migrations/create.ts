/**
 * Writes the next migration from the difference between the entities and the schema's last snapshot:
 * `node src/entities/migrations/create.ts NAME` with DATABASE_URL naming any database that is migrated.
 * Read what it wrote, then list it in index.ts.
 */
import { argv } from 'node:process'
import { readConfig } from '../../config.ts'
import { openOrm } from '../orm.ts'

const config = readConfig()
const name = argv[2]
if (!config.databaseUrl || !name) throw new Error('Give DATABASE_URL and a name: node src/entities/migrations/create.ts NAME')
const orm = await openOrm(config.databaseUrl)
try {
  const made = await orm.migrator.create(undefined, false, false, name)
  process.stdout.write(made.fileName ? `Wrote ${made.fileName}\n` : 'The entities are as the last snapshot says; nothing to write.\n')
} finally {
  await orm.close()
}
