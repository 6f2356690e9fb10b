import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Nothing but our own style, nothing inline, no script at all, framed by nobody, forms to ourselves only (OWASP ASVS 5, V3.4). */
const POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** In seconds: a year, which browsers ask for before they believe it. */
const HTTPS_ONLY = 'max-age=31536000'

/** A request that was led here under a name that is not ours. */
export class ForeignHost extends Error {
  readonly statusCode = 421
  constructor() {
    super('The portal does not answer to this name.')
    this.name = 'ForeignHost'
  }
}

/** A form that was sent from somebody else's page. */
export class ForeignForm extends Error {
  readonly statusCode = 403
  constructor() {
    super('The form was sent from another site.')
    this.name = 'ForeignForm'
  }
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The name in a Host header or an address, without its port; null for what is neither. */
export function nameOfHost(host: string | undefined): string | null {
  const [, name] = /^([a-z0-9._-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/i.exec(host ?? '') ?? []
  return name?.toLowerCase() ?? null
}

/** Whether a name is this machine's own loopback address. */
export const isLoopback = (name: string): boolean => LOOPBACK.has(name)

/** Where the portal is, as far as requests are concerned. */
export type Place = {
  /** PUBLIC_URL; null: none was given. */
  publicUrl: URL | null
  /** The address that it listens on. */
  host: string
}

/**
 * Whether a Host header names the portal. Without https nobody but this machine is answered: passwords would be on the network in clear. The
 * API goes by it as well.
 */
export function ourHosts({ publicUrl, host }: Place): (header: string | undefined) => boolean {
  const own = host.includes(':') ? `[${host}]` : host
  return (header) => {
    const name = nameOfHost(header)
    return name !== null && (isLoopback(name) || name === publicUrl?.hostname || (publicUrl?.protocol === 'https:' && name === own))
  }
}

/**
 * Refuses requests under foreign names and forms from foreign pages, and sets the headers that every page has.
 * Browsers say by Sec-Fetch-Site where a form comes from. Those that do not say it name its origin, unless the page that it
 * stands on keeps that to itself, as ours do: "null". What remains is for the form's own token to tell.
 */
export function guard(app: FastifyInstance, place: Place): void {
  const { publicUrl } = place
  const secure = publicUrl?.protocol === 'https:'
  const isOurs = ourHosts(place)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      // Links from mails stand in addresses: nobody is told where somebody comes from.
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      // What pages show is personal: no browser keeps it. Files that are anybody's say otherwise themselves.
      'cache-control': 'no-store',
      ...(secure && { 'strict-transport-security': HTTPS_ONLY }),
    })
    if (!isOurs(request.headers.host)) throw new ForeignHost()
    if (request.method !== 'GET' && request.method !== 'HEAD' && isForeign(request, publicUrl)) throw new ForeignForm()
  })
}

function isForeign({ headers }: FastifyRequest, publicUrl: URL | null): boolean {
  const site = headers['sec-fetch-site']
  // none: the person asked for it by hand, such as by sending it again.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const { origin } = headers
  if (origin === undefined || origin === 'null') return false
  const from = URL.parse(origin)?.host
  return from !== headers.host?.toLowerCase() && from !== publicUrl?.host
}
