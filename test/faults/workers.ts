/** Worker processes under a test's control, and the invariants of faults.md that hold after anything was done to them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'
import { sweepDeliveries } from '../../src/jobs/deliver.ts'
import type { DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'

export const SEEDED = { secret: 'seeded-muster-secret-0123456789abcdef', smtpPassword: 'seeded-smtp-password' }

export type WorkerOptions = { failpoint?: string; at?: string; leaseSeconds?: number; turns?: number; clockOffsetMs?: number; databaseUrl?: string; connections?: number }

export type Worker = {
  process: ChildProcess
  /** Everything it printed. */
  output: () => string
  /** Its next line that has this key. */
  said(key: string): Promise<Record<string, unknown>>
  /** The signal that ended it, or its exit code. */
  ended: Promise<string | number>
}

const running = new Set<ChildProcess>()
let printed = ''

/** Ends what a failed test left behind. */
export function endWorkers(): void {
  for (const child of running) child.kill('SIGKILL')
}

export function startWorker(run: DeliveryRun, scene: Scene, options: WorkerOptions = {}): Worker {
  const address = new URL(run.sink.url)
  address.username = 'muster'
  address.password = SEEDED.smtpPassword
  const child = spawn(process.execPath, [new URL('worker.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'test',
      DATABASE_URL: options.databaseUrl ?? run.databaseUrl,
      SMTP_URL: address.href,
      MUSTER_SECRET: SEEDED.secret,
      MUSTER_FAILPOINT: options.failpoint ?? '',
      ORGANIZATION: scene.organizationId,
      LEASE_SECONDS: String(options.leaseSeconds ?? 60),
      TURNS: String(options.turns ?? 1),
      CONNECTIONS: String(options.connections ?? 1),
      AT: options.at ?? '',
      ...(options.clockOffsetMs !== undefined && { CLOCK_OFFSET_MS: String(options.clockOffsetMs) }),
    },
  })
  running.add(child)
  let output = ''
  const lines: Record<string, unknown>[] = []
  const waiting: { key: string; resolve: (line: Record<string, unknown>) => void }[] = []
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
  return {
    process: child,
    output: () => output,
    said: (key) =>
      new Promise((resolve) => {
        const index = lines.findIndex((line) => key in line)
        if (index < 0) waiting.push({ key, resolve })
        else resolve(lines.splice(index, 1)[0]!)
      }),
    ended: new Promise((resolve) =>
      child.once('close', (code, signal) => {
        running.delete(child)
        resolve(signal ?? code ?? -1)
      }),
    ),
  }
}

/** A worker that nothing happens to, from start to end; gives its report. */
export async function healthyWorker(run: DeliveryRun, scene: Scene, options: WorkerOptions = {}): Promise<Record<string, unknown>> {
  const worker = startWorker(run, scene, options)
  const report = await worker.said('sent')
  expect(await worker.ended).toBe(0)
  return report
}

/** Time passes for leases, so that whoever was lost is taken for dead; then the sweep. */
export async function leasesRunOut(run: DeliveryRun, scene: Scene) {
  await scene.sql(`update deliveries set lease_until = now() - interval '1 second' where lease_until is not null`)
  return sweepDeliveries(run.database, scene.organizationId)
}

export const states = async (scene: Scene): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await scene.sql<{ state: string; count: number }>('select state, count(*)::int as count from deliveries where organization_id = $1 group by state', [scene.organizationId])).map(({ state, count }) => [state, count]),
  )

/** I2, I3 and I5, for one organization, after everything has come to rest. */
export async function expectInvariants(run: DeliveryRun, scene: Scene): Promise<void> {
  const deliveries = await scene.sql<{ id: string; epoch: number; state: string; due: boolean }>('select id, epoch, state, coalesce(send_at <= now(), false) as due from deliveries where organization_id = $1', [
    scene.organizationId,
  ])
  for (const { id, epoch, state, due } of deliveries) {
    const bodies = run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.${epoch}.`))
    expect(bodies.length, `I2: bodies of delivery ${id}, ${state}`).toBeLessThanOrEqual(1)
    if (state === 'sent') expect(bodies.length, `delivery ${id} is sent`).toBe(1)
    expect(['queued', 'sending'], `I3: delivery ${id}`).not.toContain(state)
    if (state === 'scheduled') expect(due, `I3: delivery ${id} is scheduled and due`).toBe(false)
  }
  await expectNoSecrets(run, scene)
}

async function expectNoSecrets(run: DeliveryRun, scene: Scene): Promise<void> {
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
