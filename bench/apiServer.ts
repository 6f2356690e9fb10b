/** The HTTP API in a process of its own, as the portal serves it. Says its address on stdout. Arguments: database, secret. */
import { randomBytes } from 'node:crypto'
import fastify from 'fastify'
import { HASH_COST } from '../src/accounts/passwords.ts'
import { apiRoutes } from '../src/api/routes.ts'
import { Database } from '../src/entities/database.ts'

const [databaseUrl, secret] = process.argv.slice(2) as [string, string]
const database = new Database(databaseUrl)
const app = fastify({ forceCloseConnections: true })
apiRoutes(app, {
  access: { database, secret, hashCost: HASH_COST, random: randomBytes, owe: () => Promise.resolve() },
  log: { error: (details, message) => void process.stderr.write(`${message}: ${JSON.stringify(details)}\n`) },
  requestsPerMinute: Number.POSITIVE_INFINITY,
})
process.once('SIGTERM', () => void app.close().then(() => database.close()))
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
