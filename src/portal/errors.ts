import type { FastifyInstance } from 'fastify'
import { ForeignForm, ForeignHost } from './guard.ts'
import type { PageParts, PortalParts } from './parts.ts'
import type { Failure } from './wording/wording.ts'

/** Every failure is a page in the same dress that says what to do next, and nothing of what is behind it. */
export function answerErrors(app: FastifyInstance, { page, wordsFor }: Pick<PageParts, 'page' | 'wordsFor'>, log: PortalParts['log']): void {
  app.setErrorHandler(async (error, request, reply) => {
    const { status, failure } = tell(error)
    reply.status(status)
    // The route and not the address, in which a link's secret may stand.
    if (status >= 500) log.error({ error: String(error), route: request.routeOptions.url, method: request.method }, 'a page of the portal could not be shown')
    if (error instanceof ForeignHost) return reply.type('text/plain; charset=utf-8').send(`${error.message}\n`)
    const words = wordsFor(request, null).failures[failure]
    return page(request, reply, 'failure', { title: words.heading, organization: null }, { ...words, again: failure === 'stale' ? againAt(request.routeOptions.url, request.url) : null, openAgain: wordsFor(request, null).shared.openAgain })
  })

  app.setNotFoundHandler(async (request, reply) => {
    const words = wordsFor(request, null).failures.notFound
    return page(request, reply.status(404), 'failure', { title: words.heading, organization: null }, { ...words, again: null, openAgain: null })
  })
}

/** The page that the form stands on, where it has one of its own; signing out has none. An address that browsers would take for another host leads home. */
const againAt = (route: string | undefined, url: string): string => (route === undefined || route === '/sign-out' || !/^\/[^/\\]/.test(url) ? '/' : url)

function tell(error: unknown): { status: number; failure: Failure } {
  if (error instanceof ForeignHost) return { status: 421, failure: 'notFound' }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (error instanceof ForeignForm || code.startsWith('FST_CSRF_')) return { status: 403, failure: 'stale' }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return status >= 400 && status < 500 ? { status, failure: 'unreadable' } : { status: 500, failure: 'broken' }
}
