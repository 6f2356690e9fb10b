/** A database, a sink and a worker's parts, for tests that send. Everything is closed by `close`. */
import { setImmediate as turn } from 'node:timers/promises'
import { Mailer } from '../../src/deliveries/mailer.ts'
import type { Deadlines } from '../../src/deliveries/mailer.ts'
import type { SendReport } from '../../src/deliveries/send.ts'
import { Database } from '../../src/entities/database.ts'
import { deliverer, type DeliverParts } from '../../src/jobs/deliver.ts'
import { feedAlertMails } from '../../src/jobs/feedAlertMail.ts'
import { loadTemplates } from '../../src/templates/render.ts'
import { deliveryScene, type Scene, type SceneOptions } from './deliveryScene.ts'
import { testDatabase } from './services.ts'
import { startSink, type Sink, type SinkOptions } from './smtpSink.ts'

export type DeliveryRun = {
  databaseUrl: string
  database: Database
  sink: Sink
  mailer: Mailer
  scene(options?: SceneOptions): Promise<Scene>
  /** Sends what is due until nothing is left or the report says to come back later. */
  send(scene: Scene, parts?: Partial<DeliverParts> & { signal?: AbortSignal }): Promise<SendReport>
  /** Lines that were logged, as one text. */
  log: string[]
  /** The delivery's columns. */
  delivery(scene: Scene, id: string): Promise<{ state: string; reason: string | null; attempts: number; messageId: string | null; delay: number; recipient: string | null; epoch: number; sentAt: Date | null }>
  close(): Promise<void>
}

export async function deliveryRun({ deadlines = {}, connections = 2, login = '', ...options }: SinkOptions & { deadlines?: Partial<Deadlines>; connections?: number; login?: string } = {}): Promise<DeliveryRun> {
  const base = await testDatabase()
  const database = new Database(base.url)
  const sink = await startSink(options)
  const mailer = new Mailer({ url: sink.url.replace('smtp://', `smtp://${login}`), connections, deadlines })
  const templates = await loadTemplates()
  const lines: string[] = []
  const line = (detail: object, message: string) => void lines.push(`${message} ${JSON.stringify(detail)}`)
  const log = { info: line, warn: line, error: line }
  return {
    databaseUrl: base.url,
    database,
    sink,
    mailer,
    log: lines,
    scene: (options) => deliveryScene(database, options),
    send: ({ organizationId }, { signal = new AbortController().signal, ...parts } = {}) =>
      deliverer({ database, mailer, templates, publicUrl: 'https://muster.example', feedAlerts: feedAlertMails(database, 'https://console.example'), worker: 'test', log, failpoint: async () => undefined, ...parts })(organizationId, signal),
    async delivery(scene, id) {
      const [row] = await scene.sql<{ state: string; reason: string | null; attempts: number; messageId: string | null; delay: number; recipient: string | null; epoch: number; sentAt: Date | null }>(
        `select state, reason, attempts, message_id as "messageId", extract(epoch from send_at - now())::float8 as delay, recipient, epoch, sent_at as "sentAt" from deliveries where id = $1`,
        [id],
      )
      return row!
    },
    async close() {
      await mailer.close()
      await sink.close()
      await database.close()
      await turn()
      await base.drop()
    },
  }
}
