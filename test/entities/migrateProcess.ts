/** A process of its own that migrates the database it is given, for the test of two at once: `node migrateProcess.ts DATABASE_URL`. */
import { migrate } from '../../src/entities/migrate.ts'

const [databaseUrl] = process.argv.slice(2)
if (databaseUrl === undefined) throw new Error('usage: migrateProcess.ts DATABASE_URL')
process.stdout.write(JSON.stringify(await migrate(databaseUrl)))
