import type { FastifyInstance } from 'fastify'
import type { ConsoleParts, PageSender, Section } from './parts.ts'
import { ForeignHost } from './guard.ts'
import { wordsOf } from './show.ts'

/** A page that is not there, or cannot be shown as asked; `advice` says what to do, `command` what to type. */
export class PageRefused extends Error {
  readonly statusCode: 400 | 404
  readonly advice: string
  readonly command: string | null
  readonly section: Section | null
  constructor(statusCode: 400 | 404, message: string, advice: string, options: { command?: string; section?: Section } = {}) {
    super(message)
    this.name = 'PageRefused'
    this.statusCode = statusCode
    this.advice = advice
    this.command = options.command ?? null
    this.section = options.section ?? null
  }
}

/** Codes of node-postgres and PostgreSQL for a server that cannot be reached: connection errors and class 08, 57P0x (shutting down), 53300 (full). */
const NO_DATABASE = /^(?:ECONN\w+|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|08\w{3}|57P0\d|53300)$/

/** Whether an error says that the database cannot be reached. */
export function isDatabaseGone(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return NO_DATABASE.test('code' in error ? String(error.code) : '') || /terminated unexpectedly|Cannot use a pool after/.test(error.message)
}

type Told = { status: number; heading: string; text: string; command: string | null; section: Section | null }

/** Every failure is a page in the same dress that says what to do next. */
export function answerErrors(app: FastifyInstance, sender: PageSender, log: ConsoleParts['log']): void {
  const show = (told: Told) => ({ chrome: { title: told.heading, section: told.section }, view: { heading: told.heading, text: told.text, command: told.command && wordsOf(told.command), status: told.status } })

  app.setErrorHandler(async (error, request, reply) => {
    const told = tell(error)
    if (told.status >= 500) log?.error({ error: String(error), url: request.url }, 'a page could not be shown')
    reply.status(told.status)
    // A fragment that fails changes nothing on the page: it is asked for again.
    if (request.headers['hx-request'] !== undefined) return reply.status(204).send()
    if (error instanceof ForeignHost) return reply.type('text/plain; charset=utf-8').send(`${told.heading}\n${told.text}\n`)
    const { chrome, view } = show(told)
    return sender.page(reply, 'error', chrome, view)
  })

  app.setNotFoundHandler(async (request, reply) => {
    const reads = request.method === 'GET' || request.method === 'HEAD'
    const told: Told = reads
      ? { status: 404, heading: 'This page does not exist', text: 'Go to one of the pages above.', command: null, section: null }
      : { status: 405, heading: 'The console only shows', text: 'Nothing is changed here yet. Change things with the command line.', command: './muster --help', section: null }
    if (!reads) reply.header('allow', 'GET, HEAD')
    const { chrome, view } = show(told)
    return sender.page(reply.status(told.status), 'error', chrome, view)
  })
}

function tell(error: unknown): Told {
  if (error instanceof PageRefused) return { status: error.statusCode, heading: error.message, text: error.advice, command: error.command, section: error.section }
  if (error instanceof ForeignHost) return { status: 421, heading: error.message, text: 'Open it as http://localhost with its port, on the machine that it runs on.', command: null, section: null }
  if (isDatabaseGone(error)) return { status: 503, heading: 'The database does not answer', text: 'Nothing is lost: what was under way goes on when it is back. See what is wrong, then load this page again.', command: './muster doctor', section: null }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) return { status, heading: 'This address cannot be read', text: 'Go to one of the pages above.', command: null, section: null }
  return { status: 500, heading: 'This page could not be shown', text: 'The log of the console says why. Load the page again; where that does not help, look for faults.', command: './muster doctor', section: null }
}
