/**
 * A process of its own for the tests of what several processes share: `node holder.ts PART HOME`.
 * It takes the part, writes one line of JSON saying so, and gives it back when its standard input ends.
 */
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { becomeHolder, openHome, withLock } from '../../src/embedded/home.ts'
import { TEST_SETTINGS } from '../support/settings.ts'

const [part, path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: holder.ts postgres|lock|place HOME')

const tell = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)
const inputEnd = async (): Promise<void> => {
  for await (const chunk of process.stdin) void chunk
}

// The terminal's Ctrl-C reaches every process of the group; this one stays, to show what becomes of the server.
process.on('SIGINT', () => tell({ interrupted: true }))

if (part === 'postgres') {
  const server = await acquireEmbeddedPostgres(path, { log: (line) => process.stderr.write(`${line}\n`), settings: TEST_SETTINGS })
  tell({ databaseUrl: server.databaseUrl })
  await inputEnd()
  await server.release()
} else if (part === 'lock') {
  await withLock(openHome(path), 'test', () => undefined, async () => {
    tell({ locked: true })
    await inputEnd()
  })
} else {
  const giveBack = becomeHolder(openHome(path), 'test')
  tell({ holding: true })
  await inputEnd()
  giveBack()
}
