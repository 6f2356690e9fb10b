import { createHash, randomBytes } from 'node:crypto'
import cookie from '@fastify/cookie'
import csrf from '@fastify/csrf-protection'
import formbody from '@fastify/formbody'
import fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { AccessParts } from '../accounts/accessParts.ts'
import { readSession } from '../accounts/sessions.ts'
import { apiRoutes } from '../api/routes.ts'
import { oweMails } from '../deliveries/oweMails.ts'
import { keyFor } from '../organizations/seal.ts'
import { readSupportContact } from '../organizations/supportContact.ts'
import { showPhone } from '../rules/phones.ts'
import { KEPT_FOR_EVER, loadPageFile, loadPages } from '../templates/pages.ts'
import type { Render } from '../templates/pages.ts'
import { portalCookies, type Cookies } from './cookies.ts'
import { answerErrors } from './errors.ts'
import { typed } from './form.ts'
import { guard, isLoopback, ourHosts, type Place } from './guard.ts'
import { forgotRoutes } from './pages/forgot.ts'
import { homeRoutes } from './pages/home.ts'
import { noticeRoutes } from './pages/notice.ts'
import { passwordRoutes } from './pages/password.ts'
import { registerRoutes } from './pages/register.ts'
import { resetRoutes } from './pages/reset.ts'
import { signInRoutes } from './pages/signIn.ts'
import type { Dress, PageParts, PortalParts } from './parts.ts'
import { ONE_ADDRESS, seesOneAddress } from './proxies.ts'
import { wordingAccepted, wordingOf } from './wording/words.ts'

export type RunningPortal = {
  /** http://host:port, without a slash at its end. */
  url: string
  close(): Promise<void>
}

/** PUBLIC_URL would send passwords over the network as anybody can read them. */
export class PortalInClear extends Error {
  readonly code = 'portal.in_clear'
  constructor(publicUrl: string) {
    super(`PUBLIC_URL is ${publicUrl}, and passwords would travel there in clear. Put a proxy with TLS in front of the portal and let PUBLIC_URL begin with https://; http:// is for localhost alone.`)
    this.name = 'PortalInClear'
  }
}

/** In bytes: the longest form is a change of password. */
const FORM_LIMIT = 16_384
/** What a request may take to arrive: whoever sends it byte by byte keeps no connection for long. */
const REQUEST_MS = 30_000
const FILES = { style: { name: 'portal.css', type: 'text/css; charset=utf-8' }, icon: { name: 'icon.svg', type: 'image/svg+xml' } } as const

/**
 * Starts the portal (spec D4): where invited people register, sign in and choose passwords, and the HTTP API. Rejects where the port is taken,
 * and with PortalInClear.
 */
export async function startPortal(parts: PortalParts): Promise<RunningPortal> {
  const app = await buildPortal(parts)
  const url = await app.listen({ host: parts.host, port: parts.port })
  if (seesOneAddress(parts)) parts.log.warn({}, `${ONE_ADDRESS.message} ${ONE_ADDRESS.hint}`)
  return {
    url,
    async close() {
      // A browser that keeps its connection open is not waited for; a form that is being answered is.
      app.server.closeIdleConnections()
      await app.close()
    },
  }
}

/** The portal without a port: its pages and the API. */
export async function buildPortal(parts: PortalParts): Promise<FastifyInstance> {
  const publicUrl = parts.publicUrl === null ? null : new URL(parts.publicUrl)
  if (publicUrl?.protocol === 'http:' && !isLoopback(publicUrl.hostname)) throw new PortalInClear(parts.publicUrl!)
  const base = publicUrl === null ? '' : publicUrl.pathname.replace(/\/$/, '')
  const app = fastify({
    logger: false,
    // Longer ones than Node takes an address at all: a link that somebody has mangled leads to a page.
    routerOptions: { maxParamLength: 65_536, ignoreTrailingSlash: true },
    exposeHeadRoutes: true,
    bodyLimit: FORM_LIMIT,
    requestTimeout: REQUEST_MS,
    // So many hops, counted from here.
    trustProxy: parts.trustedProxies === 0 ? false : (_, hop) => hop < parts.trustedProxies,
    rewriteUrl: ({ url = '/' }) => withoutBase(url, base),
  })
  const access = accessOf(parts)
  const place: Place = { publicUrl, host: parts.host }
  await app.register(async (pages) => addPages(pages, parts, access, place, base))
  apiRoutes(app, { access, log: parts.log, isOurs: ourHosts(place) })
  await app.ready()
  return app
}

/**
 * The address as the routes have it. Where PUBLIC_URL has a path, a proxy may pass it on or leave it out. One that was cut within a percent
 * sign leads to the page that says so, like any other that leads nowhere.
 */
function withoutBase(url: string, base: string): string {
  try {
    decodeURI(url.split('?')[0]!)
  } catch {
    return '/not-an-address'
  }
  return base !== '' && (url === base || url.startsWith(`${base}/`)) ? url.slice(base.length) || '/' : url
}

const accessOf = ({ database, secret, hashCost, random = randomBytes }: PortalParts): AccessParts => ({
  database,
  secret,
  hashCost,
  random,
  owe: async (tx, purpose, userId) => void (await oweMails(tx, { userIds: [userId], purpose, sendAt: 'now' })),
})

/** The pages, in a plugin of their own: what they ask of requests is not asked of the API's. */
async function addPages(app: FastifyInstance, parts: PortalParts, access: AccessParts, place: Place, base: string): Promise<void> {
  const cookies = portalCookies(place.publicUrl?.protocol === 'https:')
  // Cookies first: a refusal is a page, too.
  await readForms(app, cookies, parts.secret)
  guard(app, place)
  const render = await loadPages(new URL('templates/', import.meta.url))
  const assets = await serveFiles(app, base)
  const pageParts: PageParts = {
    access,
    cookies,
    ...drawing(parts, { render, assets, base }, cookies),
    goTo: (reply, path) => reply.redirect(`${base}${path}`, 303),
    wake: (organizationId) => parts.queues.wake('deliver', { organizationId }),
    sessionOf: async (request) => {
      const token = cookies.readSession(request)
      return token === null ? null : readSession(access, token)
    },
  }
  answerErrors(app, pageParts, parts.log)
  for (const addRoutes of [homeRoutes, registerRoutes, signInRoutes, noticeRoutes, passwordRoutes, forgotRoutes, resetRoutes]) addRoutes(app, pageParts)
}

/**
 * Forms are read as browsers send them and in no other way. Each carries a token that goes with a signed cookie and with the session that
 * it was shown in, so that nobody else's page can send one.
 */
async function readForms(app: FastifyInstance, cookies: Cookies, secret: string): Promise<void> {
  app.removeAllContentTypeParsers()
  await app.register(formbody, { bodyLimit: FORM_LIMIT })
  await app.register(cookie, { secret: keyFor(secret, 'cookies') })
  await app.register(csrf, {
    cookieKey: cookies.formName,
    cookieOpts: { ...cookies.options, signed: true },
    csrfOpts: { hmacKey: keyFor(secret, 'csrf').toString('base64url'), userInfo: true },
    getToken: ({ body }) => typed(body, '_csrf'),
    getUserInfo: (request) => sessionMark(cookies.readSession(request)),
  })
  app.addHook('preHandler', (request, reply, done) => {
    if (request.method === 'GET' || request.method === 'HEAD') done()
    else app.csrfProtection(request, reply, done)
  })
}

/** What forms are bound to: the cookie of the session, whatever it is worth by now. */
const sessionMark = (token: string | null): string => (token === null ? 'nobody' : createHash('sha256').update(token).digest('base64url'))

type Drawing = { render: Render; assets: Readonly<Record<string, string>>; base: string }

/** How pages are drawn. */
function drawing({ database }: PortalParts, { render, assets, base }: Drawing, cookies: Cookies): Pick<PageParts, 'page' | 'wordsFor'> {
  const wordsFor: PageParts['wordsFor'] = (request, organization) => (organization === null ? wordingAccepted(request.headers['accept-language']) : wordingOf(organization.language))
  return {
    wordsFor,
    page: async (request, reply, template, { title, organization, problems = [] }, view) => {
      const words = wordsFor(request, organization)
      const chrome = {
        title: `${problems.length > 0 ? `${words.shared.problemTitle}: ` : ''}${title}${organization === null ? '' : ` · ${organization.name}`}`,
        language: words.language,
        organization: organization?.name ?? null,
        initial: organization === null ? null : initialOf(organization.name),
        supportHeading: words.shared.support,
        support: organization === null ? null : await supportOf(organization),
        assets,
        base,
        csrf: reply.generateCsrf({ userInfo: sessionMark(cookies.readSession(request)) }),
        problems: problems.length > 0 ? { heading: words.shared.problems, list: problems } : null,
      }
      return html(reply, render(template, { words: words.shared, ...view, chrome }))
    },
  }

  async function supportOf({ id, settings }: Dress) {
    const support = settings.supportContact === null ? null : await database.tenant(id, (tx) => readSupportContact(tx, settings))
    if (support === null) return null
    return { name: support.name, email: support.email, phone: support.phone === null ? null : { text: showPhone(support.phone), digits: support.phone.replaceAll(/[^+\d]/g, '') } }
  }
}

/** The first letter of a name, for its mark. */
const initialOf = (name: string): string => (/[\p{L}\p{N}]\p{M}*/u.exec(name)?.[0] ?? '·').toUpperCase()

const html = (reply: FastifyReply, text: string): FastifyReply => reply.type('text/html; charset=utf-8').send(text)

/** Serves the portal's own files from memory; gives their addresses. */
async function serveFiles(app: FastifyInstance, base: string): Promise<Record<string, string>> {
  const addresses: Record<string, string> = {}
  for (const [key, { name, type }] of Object.entries(FILES)) {
    const { address, bytes } = await loadPageFile(new URL(`static/${name}`, import.meta.url), name)
    addresses[key] = `${base}${address}`
    app.get(address, (_, reply) => reply.type(type).header('cache-control', KEPT_FOR_EVER).send(bytes))
  }
  return addresses
}
