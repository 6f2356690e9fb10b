/** An organization whose people are owed mails, a mail server that takes everything, and our own sending over both. */
import { once } from 'node:events'
import { Mailer } from '../src/deliveries/mailer.ts'
import { deliverer } from '../src/jobs/deliver.ts'
import { loadTemplates } from '../src/templates/render.ts'
import { deliveryScene } from '../test/support/deliveryScene.ts'
import { timed } from './benchmark.ts'
import { ended, type Ground } from './ground.ts'
import { withDatabase } from './importScene.ts'

export type MailScene = { template: string; organizationId: string; mails: number; purpose: 'credentials' | 'invitation' }

/** Base of links; long as real ones are, so that the size of a mail is. */
export const PUBLIC_URL = 'https://onboarding.acme.example'

/** Makes a database in which so many people are due a mail now. */
export async function mailScene(ground: Ground, purpose: MailScene['purpose'], mails: number): Promise<MailScene> {
  const template = `bench_${purpose}`
  const organizationId = await ground.template(template, null, (url) =>
    withDatabase(url, async (database) => {
      const scene = await deliveryScene(database, { key: 'bench' })
      await scene.owe(mails, { purpose })
      return scene.organizationId
    }),
  )
  return { template, organizationId, mails, purpose }
}

/** Runs a mail server in a process of its own while `work` sends to it. */
export async function withSink<T>(ground: Ground, work: (url: string) => Promise<T>): Promise<T> {
  const sink = ground.child('bench/sink.ts', [])
  try {
    const [line] = (await once(sink.stdout, 'data')) as [Buffer]
    return await work(line.toString().trim())
  } finally {
    await ended(sink)
  }
}

/**
 * Sends everything that is due, as a worker's job does turn after turn.
 * @returns seconds
 */
export async function sendAll(ground: Ground, sinkUrl: string, { template, organizationId, mails }: MailScene): Promise<number> {
  const templates = await loadTemplates()
  return ground.withCopy(template, (url) =>
    withDatabase(url, async (database) => {
      const mailer = new Mailer({ url: sinkUrl })
      const quiet = (): void => undefined
      const deliver = deliverer({
        database, mailer, templates, publicUrl: PUBLIC_URL, worker: 'bench', failpoint: () => Promise.resolve(),
        log: { info: quiet, warn: (detail, message) => ground.say(`${message}: ${JSON.stringify(detail)}`), error: (detail, message) => ground.say(`${message}: ${JSON.stringify(detail)}`) },
      })
      let sent = 0
      try {
        const seconds = await timed(async () => {
          for (let nextInMs: number | null = 0; nextInMs === 0; ) {
            const report = await deliver(organizationId, new AbortController().signal)
            sent += report.sent
            nextInMs = report.nextInMs
          }
        })
        if (sent !== mails) throw new Error(`${sent} of ${mails} mails were sent`)
        return seconds
      } finally {
        await mailer.close()
      }
    }),
  )
}
