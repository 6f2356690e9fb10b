/** Worker processes under a test's control, and the invariants of faults.md that hold after anything was done to them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'
import { sweepDeliveries } from '../../src/jobs/deliver.ts'
import type { DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { runHome } from '../support/services.ts'
import type { Received } from '../support/smtpSink.ts'

/** An organization of the run's database, and a way to look into the tables. */
export type Looked = Pick<Scene, 'organizationId' | 'sql'>

export const SEEDED = { secret: 'seeded-muster-secret-0123456789abcdef', smtpPassword: 'seeded-smtp-password' }

export type WorkerOptions = {
  failpoint?: string
  at?: string
  leaseSeconds?: number
  turns?: number
  /** How far the clock that the process sees is off. */
  clockOffsetMs?: number
  databaseUrl?: string
  connections?: number
  /** How long it waits for the answer to the end of a message. */
  answerMs?: number
  /** Each turn waits until it is told to begin. */
  told?: boolean
}

export type Child = {
  process: ChildProcess
  /** Everything it printed. */
  output: () => string
  /** Its next line that has this key; rejects with all it said when it ends before. */
  said(key: string): Promise<Record<string, unknown>>
  /** Writes a line to its standard input. */
  tell(line: object): void
  /** The signal that ended it, or its exit code. */
  ended: Promise<string | number>
}

const running = new Set<ChildProcess>()
let printed = ''

/** Ends what a failed test left behind. */
export function endWorkers(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** Starts a worker over one organization (worker.ts says what it does). */
export function startWorker(run: DeliveryRun, scene: Pick<Looked, 'organizationId'>, options: WorkerOptions = {}): Child {
  const address = new URL(run.sink.url)
  address.username = 'muster'
  address.password = SEEDED.smtpPassword
  const { clockOffsetMs } = options
  return startChild('worker.ts', options.databaseUrl ?? run.databaseUrl, {
    SMTP_URL: address.href,
    MUSTER_FAILPOINT: options.failpoint ?? '',
    ORGANIZATION: scene.organizationId,
    LEASE_SECONDS: String(options.leaseSeconds ?? 60),
    TURNS: String(options.turns ?? 1),
    CONNECTIONS: String(options.connections ?? 1),
    AT: options.at ?? '',
    ...(options.answerMs !== undefined && { ANSWER_MS: String(options.answerMs) }),
    ...(options.told === true && { TOLD: '1' }),
    ...(clockOffsetMs !== undefined && { CLOCK_OFFSET_MS: String(clockOffsetMs), NODE_OPTIONS: `--import=${new URL('shiftClock.ts', import.meta.url).href}` }),
  })
}

/** Starts a program of this folder that prints lines of JSON. Code is compiled once for all of them: most of their time would go there. */
export function startChild(program: string, databaseUrl: string, environment: Record<string, string>): Child {
  const child = spawn(process.execPath, [new URL(program, import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], NODE_ENV: 'test', NODE_COMPILE_CACHE: join(runHome(), 'compiled'), DATABASE_URL: databaseUrl, MUSTER_SECRET: SEEDED.secret, ...environment },
  })
  running.add(child)
  child.stdin.on('error', () => undefined)
  let output = ''
  const lines: Record<string, unknown>[] = []
  const waiting: { key: string; resolve: (line: Record<string, unknown>) => void; reject: (error: Error) => void }[] = []
  const keep = (text: string) => {
    output += text
    printed += text
  }
  child.stderr.setEncoding('utf8').on('data', keep)
  createInterface({ input: child.stdout }).on('line', (text) => {
    keep(`${text}\n`)
    const line = JSON.parse(text) as Record<string, unknown>
    const index = waiting.findIndex(({ key }) => key in line)
    if (index < 0) lines.push(line)
    else waiting.splice(index, 1)[0]!.resolve(line)
  })
  let silent: ((key: string) => Error) | undefined
  const ended = new Promise<string | number>((resolve) =>
    child.once('close', (code, signal) => {
      running.delete(child)
      silent = (key) => new Error(`it ended (${signal ?? code}) and never said "${key}":\n${output}`)
      for (const { key, reject } of waiting) reject(silent(key))
      resolve(signal ?? code ?? -1)
    }),
  )
  return {
    process: child,
    output: () => output,
    said(key) {
      const index = lines.findIndex((line) => key in line)
      if (index >= 0) return Promise.resolve(lines.splice(index, 1)[0]!)
      if (silent) return Promise.reject(silent(key))
      const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>()
      waiting.push({ key, resolve, reject })
      // Who does not wait for it is not to end of its rejection.
      promise.catch(() => undefined)
      return promise
    },
    tell: (line) => void child.stdin.write(`${JSON.stringify(line)}\n`),
    ended,
  }
}

let begun = { round: 0, scenes: 0 }

/**
 * An organization with so many people who are owed invitations and credentials in turn; ids in the order in which they leave. One alone is
 * owed the one or the other from test to test, and the other way around in the next round.
 */
export async function beginMails(run: DeliveryRun, round: number, people: number): Promise<{ scene: Scene; ids: string[] }> {
  const scene = await run.scene()
  const ids: string[] = []
  if (begun.round !== round) begun = { round, scenes: 0 }
  const first = round + begun.scenes++
  for (let index = 0; index < people; index++) ids.push(...(await scene.owe(1, { purpose: (first + index) % 2 === 0 ? 'invitation' : 'credentials' })))
  return { scene, ids }
}

/** A worker that nothing happens to, from start to end; gives its report. */
export async function healthyWorker(run: DeliveryRun, scene: Looked, options: WorkerOptions = {}): Promise<Record<string, unknown>> {
  const worker = startWorker(run, scene, options)
  const report = await worker.said('sent')
  expect(await worker.ended).toBe(0)
  return report
}

/** Time passes for leases, so that whoever was lost is taken for dead; then the sweep. */
export async function leasesRunOut(run: DeliveryRun, scene: Looked) {
  await scene.sql(`update deliveries set lease_until = now() - interval '1 second' where lease_until is not null`)
  return sweepDeliveries(run.database, scene.organizationId)
}

export const states = async (scene: Looked): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await scene.sql<{ state: string; count: number }>('select state, count(*)::int as count from deliveries where organization_id = $1 group by state', [scene.organizationId])).map(({ state, count }) => [state, count]),
  )

/** The bodies of a delivery that the sink received whole, whatever it answered; the Message-ID begins with the delivery's id. */
export const bodiesOf = (run: DeliveryRun, id: string): Received[] => run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.`))

/** A complete refusal after the dot says for certain that the mail was not taken: then another may follow (fault 21). */
const wasRefused = ({ answer }: Received): boolean => answer !== null && /^[45]\d\d .*(?:\r\n)?$/.test(answer)

/** I2, I3 and I5, for one organization, after everything has come to rest. */
export async function expectInvariants(run: DeliveryRun, scene: Looked): Promise<void> {
  const deliveries = await scene.sql<{ id: string; epoch: number; state: string; due: boolean }>('select id, epoch, state, coalesce(send_at <= now(), false) as due from deliveries where organization_id = $1', [
    scene.organizationId,
  ])
  for (const { id, epoch, state, due } of deliveries) {
    const bodies = bodiesOf(run, id).filter((body) => body.messageId.startsWith(`<${id}.${epoch}.`) && !wasRefused(body))
    expect(bodies.length, `I2: bodies of delivery ${id}, ${state}`).toBeLessThanOrEqual(1)
    if (state === 'sent') expect(bodies.length, `delivery ${id} is sent`).toBe(1)
    expect(['queued', 'sending'], `I3: delivery ${id}`).not.toContain(state)
    if (state === 'scheduled') expect(due, `I3: delivery ${id} is scheduled and due`).toBe(false)
  }
  await expectNoSecrets(run, scene)
}

async function expectNoSecrets(run: DeliveryRun, scene: Looked): Promise<void> {
  const tables = await scene.sql<{ name: string }>(`select format('%I.%I', table_schema, table_name) as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`)
  let kept = printed
  for (const { name } of tables) kept += JSON.stringify(await scene.sql(`select to_jsonb(t) as row from ${name} t`))
  expect(kept).toContain('acme.example')
  for (const secret of [SEEDED.smtpPassword, SEEDED.secret, ...run.sink.messages.flatMap(({ body }) => secretsIn(body))]) {
    expect(kept.includes(secret), 'I5: a secret was found in a table or a log').toBe(false)
  }
}

/** The tokens and passwords that a mail shows. */
function secretsIn(body: string): string[] {
  const text = body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  const token = /invitations\/([\w-]{43})/.exec(text)?.[1]
  const password = /(?<=\s)(?=\S*\d)(?=\S*[A-Z])(?=\S*[a-z])[-\w+*#%=@]{15}(?=\s)/.exec(text)?.[0]
  return [token, password].filter((secret) => secret !== undefined)
}

export type Wire = { databaseUrl: string; cut(): void; mend(): void; close(): Promise<void> }

/** A wire to the database that can be cut: then every connection breaks and none can be made, as when the server is gone. */
export async function wireTo(databaseUrl: string): Promise<Wire> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let whole = true
  const server = createServer((near) => {
    if (!whole) return void near.resetAndDestroy()
    const far = connect(Number(target.port), target.hostname)
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const near = new URL(databaseUrl)
  near.hostname = '127.0.0.1'
  near.port = String((server.address() as AddressInfo).port)
  const cut = () => {
    whole = false
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    databaseUrl: near.href,
    cut,
    mend: () => {
      whole = true
    },
    close: () =>
      new Promise((resolve) => {
        cut()
        server.close(() => resolve())
      }),
  }
}
