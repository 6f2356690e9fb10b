/** The floor of sending: nodemailer's own pool, with mails whose text is ready. */
import { createTransport } from 'nodemailer'
import { Mailer } from '../src/deliveries/mailer.ts'
import { loadTemplates, render } from '../src/templates/render.ts'
import { timed } from './benchmark.ts'
import { PUBLIC_URL } from './mailScene.ts'

/** Mails handed to the pool at once, for each connection: enough that none ever waits for us. */
const AHEAD = 4

/**
 * Sends so many invitations, of the wording, encoding and size of ours, over as many connections as our own mailer opens.
 * @returns seconds
 */
export async function sendBare(sinkUrl: string, mails: number): Promise<number> {
  const { connections } = new Mailer({ url: sinkUrl })
  const content = render(await loadTemplates(), 'invitation', 'en', {
    firstName: 'Ana', lastName: 'Nguyễn-1234', organization: 'Acme Staffing', link: `${PUBLIC_URL}/invitations/${'x'.repeat(43)}`,
    expiresAt: 'December 1, 2026 at 12:00 PM UTC', supportName: undefined, supportEmail: undefined, supportPhone: undefined,
  })
  const { hostname, port } = new URL(sinkUrl)
  const transport = createTransport({ host: hostname, port: Number(port), pool: true, maxConnections: connections, maxMessages: 100, maxRequeues: 0 })
  let left = mails
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const number = left
      await transport.sendMail({ from: 'Acme <no-reply@acme.example>', to: { name: `Ana Nguyễn-${number}`, address: `ana${number}@example.test` }, ...content, textEncoding: 'quoted-printable' })
    }
  }
  try {
    return await timed(() => Promise.all(Array.from({ length: connections * AHEAD }, lane)))
  } finally {
    transport.close()
  }
}
