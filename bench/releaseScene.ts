/** A go-live as it is: two worker processes, a scheduler, the real queue, and a mail server that notes when each mail arrives. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createRelease } from '../src/deliveries/releases.ts'
import type { Database } from '../src/entities/database.ts'
import { migrateQueues } from '../src/jobs/queues.ts'
import { seenWorkers } from '../src/jobs/seenWorkers.ts'
import { deliveryScene, type Scene } from '../test/support/deliveryScene.ts'
import { startSink } from '../test/support/smtpSink.ts'
import { ended, type Ground } from './ground.ts'
import { withDatabase } from './importScene.ts'
import { PUBLIC_URL } from './mailScene.ts'

/** Mails of the release at full size, and how many of them may leave in a minute. */
export const RELEASED = 20_000
const RATE = 12_000
const WORKERS = 2
/** Single mails that warm the fleet up. */
const WARMING = 50
/** From the warm fleet to the instant: long enough that nobody is still busy with what came before. */
const LEAD_SECONDS = 10
const POLL_MS = 250
/** Beyond the time that the rate asks for; then something is wrong. */
const PATIENCE_SECONDS = 120

/** How a release left, from what the mail server saw. In seconds but for `early`. */
export type Left = {
  /** From the instant to the first mail. */
  first: number
  /** How far the rate over the whole release was from the one that was set, in per cent. */
  deviation: number
  /** 99 of 100 mails were at most so late: the nth mail against the instant and n gaps. */
  late: number
  /** Share of the mails that did not leave before their time, in per cent. */
  notEarly: number
}

/** Lets a release leave, once a run. */
export function releaseLeft(ground: Ground): Promise<Left> {
  return ground.once('release', async () => {
    const mails = ground.scaled(RELEASED)
    await ground.template('bench_release', null, migrateQueues)
    const left = await ground.withCopy('bench_release', (url) => withDatabase(url, (database) => letLeave(ground, url, database, mails)))
    ground.say(`release: ${mails} mails, the first after ${left.first.toFixed(2)} s, rate ${left.deviation.toFixed(1)} % off, p99 ${left.late.toFixed(2)} s late, ${left.notEarly} % not early`)
    return left
  })
}

async function letLeave(ground: Ground, url: string, database: Database, mails: number): Promise<Left> {
  const arrived: number[] = []
  const sink = await startSink({
    record: false,
    script: ({ stage }) => {
      if (stage === 'end') arrived.push(Date.now())
      return undefined
    },
  })
  const environment = {
    DATABASE_URL: url, REDIS_URL: '', MUSTER_SECRET: 'a secret for measuring, of no other use', MUSTER_HOME: join(ground.folder, 'release-home'),
    SMTP_URL: sink.url, PUBLIC_URL, LOG_LEVEL: 'warn', NODE_ENV: 'production',
  }
  const children = [...Array.from({ length: WORKERS }, () => 'worker.ts'), 'scheduler.ts'].map((script) => ground.child(script, [], environment))
  for (const child of children) child.stdout.resume()
  const until = async (what: string, seconds: number, is: () => boolean | Promise<boolean>): Promise<void> => {
    for (const begun = performance.now(); !(await is()); await pause(POLL_MS)) {
      if (children.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)) throw new Error(`a process ended before ${what}`)
      if (performance.now() - begun > seconds * 1000) throw new Error(`${what}: not within ${seconds} s`)
    }
  }
  try {
    const scene = await deliveryScene(database, { key: 'bench', settings: { mail: { from: 'Acme <no-reply@acme.example>' } } })
    await until('the workers were there', 60, async () => (await seenWorkers(database)).length === WORKERS)
    await scene.owe(WARMING)
    await until('the fleet was warm', 60, () => arrived.length >= WARMING)
    const sendAt = await release(scene, database, mails)
    arrived.length = 0
    await until('the last mail', LEAD_SECONDS + (mails / RATE) * 60 + PATIENCE_SECONDS, () => arrived.length >= mails)
    return judge(arrived, sendAt)
  } finally {
    await Promise.all(children.map(ended))
    await sink.close()
  }
}

/** Makes the release, its instant a while ahead; gives that, in milliseconds since 1970. */
async function release(scene: Scene, database: Database, mails: number): Promise<number> {
  const deliveries = await scene.owe(mails, { state: 'held', sendAt: 'null' })
  const users = await scene.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1)', [deliveries])
  return database.tenant(scene.organizationId, async (tx) => {
    const [clock] = await tx.query<{ at: Date }>('select clock_timestamp() + make_interval(secs => $1) as at', [LEAD_SECONDS])
    const { owed } = await createRelease(tx, { name: 'go-live', userIds: users.map(({ id }) => id), purpose: 'invitation', sendAt: clock!.at, ratePerMinute: RATE, firstWave: 0, restAfterMinutes: 0, operator: 'bench' })
    if (owed !== mails) throw new Error(`${owed} of ${mails} mails were owed`)
    return clock!.at.getTime()
  })
}

function judge(arrived: readonly number[], sendAt: number): Left {
  const times = arrived.toSorted((a, b) => a - b)
  const gap = 60_000 / RATE
  const late = times.map((at, index) => at - (sendAt + index * gap))
  const took = times.at(-1)! - times[0]!
  const rate = ((times.length - 1) / took) * 60_000
  return {
    first: (times[0]! - sendAt) / 1000,
    deviation: Math.abs(rate / RATE - 1) * 100,
    late: late.toSorted((a, b) => a - b)[Math.ceil(late.length * 0.99) - 1]! / 1000,
    notEarly: (late.filter((by) => by >= 0).length / late.length) * 100,
  }
}
