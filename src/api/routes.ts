import type { FastifyInstance } from 'fastify'
import { openApiDocument } from './openapi.ts'
import type { ApiParts } from './parts.ts'
import { ApiProblem, problemDocument, problemOf } from './problems.ts'
import { signInRoute } from './signIn.ts'

export type { ApiParts } from './parts.ts'

/** In bytes; a sign-in has some hundred. */
const BODY_LIMIT = 8_192
/** Longest time that the database is waited for by a look at the health, in milliseconds. */
const PATIENCE_MS = 3_000

/**
 * Adds the HTTP API under /api/v1, for the product that the users belong to. JSON in, JSON out, and every refusal as problem details
 * (RFC 9457) with a stable code. Nothing of it concerns browsers: no cookies, no CORS.
 */
export function apiRoutes(app: FastifyInstance, parts: ApiParts): void {
  void app.register(
    async (api) => {
      readJsonOnly(api)
      answerProblems(api, parts)
      api.addHook('onRequest', async (_, reply) => void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }))
      // Health is for whoever watches, by whatever address, and holds nothing.
      api.addHook('onRequest', async (request) => {
        if (parts.isOurs && request.routeOptions.url !== '/api/v1/health' && !parts.isOurs(request.headers.host)) throw new ApiProblem('host.foreign')
      })
      const document = openApiDocument()
      api.get('/openapi.json', async () => document)
      healthRoute(api, parts)
      signInRoute(api, parts)
    },
    { prefix: '/api/v1' },
  )
}

function readJsonOnly(api: FastifyInstance): void {
  api.removeAllContentTypeParsers()
  api.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: BODY_LIMIT }, api.getDefaultJsonParser('error', 'error'))
}

function answerProblems(api: FastifyInstance, { log }: ApiParts): void {
  api.setErrorHandler(async (error, request, reply) => {
    const problem = problemOf(error)
    const document = problemDocument(problem)
    // What was asked is not logged: it may hold a password.
    if (document.status >= 500) log?.error({ error: String(error), route: request.routeOptions.url }, 'the API could not answer')
    if (document.status === 401) reply.header('www-authenticate', 'Bearer')
    if (problem.retryAfter !== null) reply.header('retry-after', String(problem.retryAfter))
    return reply.status(document.status).type('application/problem+json').send(document)
  })
  api.setNotFoundHandler(async () => {
    throw new ApiProblem('route.unknown')
  })
}

function healthRoute(api: FastifyInstance, { access: { database } }: ApiParts): void {
  api.get('/health', async (_, reply) => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), PATIENCE_MS)
    })
    const there = await Promise.race([database.now().then(() => true, () => false), late])
    clearTimeout(timer)
    return reply.status(there ? 200 : 503).send({ status: there ? 'ok' : 'failing' })
  })
}
