/** Opens the databases that a failed test run kept: `node test/support/openKept.ts FOLDER`, until Ctrl-C. */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  process.stderr.write('Usage: node test/support/openKept.ts FOLDER\n')
  process.exit(64)
}
const server = await acquireEmbeddedPostgres(folder, { log: (line) => process.stderr.write(`${line}\n`) })
for (const name of readdirSync(join(folder, 'kept'))) {
  process.stdout.write(`${server.databaseUrl.replace(/[^/]+$/, name)}\n`)
}
// Node ends when nothing is left to wait for; the timer is what it waits for.
const stay = setInterval(() => undefined, 60_000)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(stay)
await server.release()
