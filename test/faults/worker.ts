/**
 * A worker that tests kill, stop and cut off: takes one organization's turns of sending and prints each report as a line.
 * Settings from the environment as for any Muster process, and ORGANIZATION, LEASE_SECONDS, CONNECTIONS, TURNS, ANSWER_MS (how long it waits for
 * the answer to a message), TOLD=1 (each turn waits for a line on standard input, after saying that it is ready), and AT=place:deed,
 * which blocks the event loop or stops the process at a failpoint, after saying so.
 */
import { createInterface } from 'node:readline'
import { Mailer } from '../../src/deliveries/mailer.ts'
import { readConfig } from '../../src/config.ts'
import { Database } from '../../src/entities/database.ts'
import { deliverer } from '../../src/jobs/deliver.ts'
import { failpointAt } from '../../src/jobs/failpoint.ts'
import { loadTemplates } from '../../src/templates/render.ts'

const config = readConfig()
const { ORGANIZATION = '', LEASE_SECONDS = '60', CONNECTIONS = '1', TURNS = '1', ANSWER_MS, TOLD, AT = '' } = process.env
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

const [place, deed] = AT.split(':')
const kill = failpointAt(config.failpoint)
const leaseSeconds = Number(LEASE_SECONDS)
let done = false
const failpoint = async (name: string) => {
  await kill(name)
  if (name !== place || done) return
  done = true
  await new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify({ at: name })}\n`, () => resolve()))
  if (deed === 'stop') process.kill(process.pid, 'SIGSTOP')
  // Nothing at all runs meanwhile, no timer and no renewal of the lease.
  if (deed === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, leaseSeconds * 1000 * 1.5)
}

const database = new Database(config.databaseUrl!)
const mailer = new Mailer({ url: config.smtpUrl!, connections: Number(CONNECTIONS), deadlines: ANSWER_MS === undefined ? {} : { answer: Number(ANSWER_MS) } })
const log = { info: line, warn: line, error: line }
const deliver = deliverer({ database, mailer, templates: await loadTemplates(), publicUrl: 'https://muster.example', worker: `worker-${process.pid}`, log, failpoint, leaseSeconds })
// What this process takes for the time.
say({ clock: new Date().toISOString() })
const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
for (let left = Number(TURNS); left > 0; left--) {
  if (TOLD !== undefined) {
    say({ ready: true })
    await told.next()
  }
  try {
    say(await deliver(ORGANIZATION, new AbortController().signal))
  } catch (error) {
    say({ turnFailed: (error as Error).message })
  }
}
await mailer.close()
await database.close()
process.stdin.destroy()

function line(detail: object, message: string): void {
  process.stderr.write(`${JSON.stringify({ message, ...detail })}\n`)
}
