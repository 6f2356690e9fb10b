import type { FastifyInstance, FastifyReply } from 'fastify'

/** Our own scripts and styles only, nothing inline, framed by nobody. Mails are shown in frames of our own. */
const PAGE_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** A mail is looked at by itself: no script, no origin, nothing fetched from anywhere; its links may open in a window of their own. */
const MAIL_POLICY =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether a Host header names this machine's own loopback address: any other has been led here by somebody else's DNS. */
export function isLoopbackHost(host: string | undefined): boolean {
  const [, name] = /^([a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/i.exec(host ?? '') ?? []
  return name !== undefined && LOOPBACK.has(name.toLowerCase())
}

/** A request that was not meant for this machine's loopback address. */
export class ForeignHost extends Error {
  readonly statusCode = 421
  constructor() {
    super('The console answers to localhost only.')
    this.name = 'ForeignHost'
  }
}

/** Refuses foreign hosts and sets the headers that every answer has. */
export function guard(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      // What pages show is personal: no browser keeps it. Files that are anybody's say otherwise themselves.
      'cache-control': 'no-store',
    })
    if (!isLoopbackHost(request.headers.host)) throw new ForeignHost()
  })
}

/** The headers of a mail's own HTML, instead of a page's. */
export function guardMail(reply: FastifyReply): FastifyReply {
  return reply.headers({ 'content-security-policy': MAIL_POLICY, 'x-frame-options': 'SAMEORIGIN' })
}
