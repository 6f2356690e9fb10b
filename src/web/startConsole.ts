import fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Database } from '../entities/database.ts'
import { seenWorkers } from '../jobs/seenWorkers.ts'
import { loadPages } from '../templates/pages.ts'
import type { Render } from '../templates/pages.ts'
import { serveAssets } from './assets.ts'
import type { Assets } from './assets.ts'
import { answerErrors } from './errors.ts'
import { guard } from './guard.ts'
import { deliveryRoutes } from './pages/deliveries.ts'
import { feedRoutes } from './pages/feeds.ts'
import { healthRoutes } from './pages/health.ts'
import { importRoutes } from './pages/imports.ts'
import { mailboxRoutes } from './pages/mailbox.ts'
import { overviewRoutes } from './pages/overview.ts'
import { releaseRoutes } from './pages/releases.ts'
import { showCount } from './show.ts'
import type { ConsoleParts, PageParts, PageSender, Section } from './parts.ts'

export type RunningConsole = {
  /** http://127.0.0.1:port, without a slash at its end. */
  url: string
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const NAVIGATION = [
  { section: 'overview', href: '/', text: 'Overview' },
  { section: 'imports', href: '/imports', text: 'Imports' },
  { section: 'feeds', href: '/feeds', text: 'Feeds' },
  { section: 'releases', href: '/releases', text: 'Releases' },
  { section: 'deliveries', href: '/deliveries', text: 'Deliveries' },
  { section: 'mailbox', href: '/mailbox', text: 'Mailbox' },
] as const satisfies { section: Section; href: string; text: string }[]

/**
 * Starts the web console (spec E5): server-rendered pages that show and change nothing. Listens on the loopback address only,
 * as nobody signs in yet. Rejects where the port is taken.
 */
export async function startConsole(parts: ConsoleParts): Promise<RunningConsole> {
  const app = await buildConsole(parts)
  const url = await app.listen({ host: HOST, port: parts.port })
  return {
    url,
    async close() {
      // A browser that keeps its connection open, or goes on asking, is not waited for.
      app.server.closeIdleConnections()
      const closed = app.close()
      app.server.closeAllConnections()
      await closed
    },
  }
}

/** The console without a port: its routes. */
export async function buildConsole(parts: ConsoleParts): Promise<FastifyInstance> {
  const app = fastify({ logger: false, routerOptions: { maxParamLength: 300, ignoreTrailingSlash: true }, exposeHeadRoutes: true, bodyLimit: 1024 })
  guard(app)
  const page = pageSender(parts.database, await loadPages(new URL('templates/', import.meta.url)), await serveAssets(app))
  answerErrors(app, page, parts.log)
  const routeParts: PageParts = {
    ...parts,
    page: page.page,
    fragment: page.fragment,
  }
  healthRoutes(app, parts.database)
  for (const addRoutes of [overviewRoutes, importRoutes, feedRoutes, releaseRoutes, deliveryRoutes, mailboxRoutes]) addRoutes(app, routeParts)
  return app
}

function pageSender(database: Database, render: Render, assets: Assets): PageSender {
  const html = (reply: FastifyReply, text: string): FastifyReply => reply.type('text/html; charset=utf-8').send(text)
  return {
    async page(reply, template, { title, section, live = false }, view) {
      const nav = NAVIGATION.map(({ href, text, section: own }) => ({ href, text, current: own === section }))
      return html(reply, render(template, { ...view, chrome: { title, live, assets, nav, workers: await workerSign(database) } }))
    },
    fragment: (reply, template, view) => html(reply, render(template, view)),
  }
}

/** What stands in the corner of every page: whether anybody works. */
async function workerSign(database: Database): Promise<{ text: string; tone: string }> {
  try {
    const alive = (await seenWorkers(database)).filter((worker) => worker.alive).length
    return alive === 0 ? { text: 'No worker', tone: 'bad' } : { text: showCount(alive, 'worker'), tone: 'good' }
  } catch {
    return { text: 'No database', tone: 'bad' }
  }
}
