/** The portal over a test's own database, asked as a browser would, without a port. */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { newToken, hashToken } from '../../src/accounts/invitations.ts'
import { hashPassword, type HashCost } from '../../src/accounts/passwords.ts'
import { Database } from '../../src/entities/database.ts'
import type { PortalParts } from '../../src/portal/parts.ts'
import { buildPortal } from '../../src/portal/startPortal.ts'
import { importing, type DeclarationChanges, type Importing } from '../support/importing.ts'
import { testDatabase } from '../support/services.ts'

/** Hashing that costs next to nothing. */
export const CHEAP: HashCost = { memory: 64, passes: 1, parallelism: 1 }
export const SECRET = 'a secret of the tests, long enough for Muster'
export const PASSWORD = 'blue kettle 41 sings'

export type Answer = { status: number; headers: Record<string, string | string[] | number | undefined>; html: string }

/** A browser of inject requests: keeps cookies, and sends the forms that a page shows. */
export type Browser = {
  cookies: Map<string, string>
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  /** Opens the page, fills its form in and sends it to where the form says; `form` counts the forms of the page from 0. */
  submit(path: string, fields: Record<string, string>, options?: { form?: number; headers?: Record<string, string> }): Promise<Answer>
  /** Sends what it is told to. */
  post(path: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
}

export type OpenedPortal = {
  database: Database
  app: FastifyInstance
  /** Organizations that were woken, in order. */
  woken: string[]
  /** Lines that were logged. */
  logged: string[]
  organization(changes?: DeclarationChanges): Promise<Importing>
  browser(): Browser
  close(): Promise<void>
}

/** Opens a portal on a database that nobody else uses. Call `close` in afterAll. */
export async function openPortal(parts: Partial<PortalParts> = {}): Promise<OpenedPortal> {
  const own = await testDatabase()
  const database = new Database(own.url, { maxConnections: 6 })
  const woken: string[] = []
  const logged: string[] = []
  const line = (details: object, message: string) => void logged.push(`${message} ${JSON.stringify(details)}`)
  const queues: PortalParts['queues'] = {
    wake: async (_, payload) => {
      if ('organizationId' in payload) woken.push(payload.organizationId)
    },
  }
  const app = await buildPortal({ database, queues, secret: SECRET, hashCost: CHEAP, port: 0, host: '127.0.0.1', trustedProxies: 0, publicUrl: null, log: { warn: line, error: line }, ...parts })
  return {
    database,
    app,
    woken,
    logged,
    organization: (changes = {}) => importing(database, changes),
    browser: () => openBrowser(app),
    async close() {
      await app.close()
      await database.close()
      await own.drop()
    },
  }
}

function openBrowser(app: FastifyInstance): Browser {
  const cookies = new Map<string, string>()
  const ask = async (method: 'GET' | 'POST', url: string, headers: Record<string, string>, payload?: string): Promise<Answer> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const { statusCode, headers: answered, body } = await app.inject({ method, url, headers: { host: 'localhost:3001', ...(cookie && { cookie }), ...headers }, ...(payload !== undefined && { payload }) })
    for (const line of [answered['set-cookie'] ?? []].flat()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (/expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    return { status: statusCode, headers: answered, html: body.replaceAll('&#x3D;', '=') }
  }
  const post: Browser['post'] = (path, fields, headers = {}) => ask('POST', path, { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin', ...headers }, new URLSearchParams(fields).toString())
  return {
    cookies,
    post,
    get: (path, headers = {}) => ask('GET', path, headers),
    async submit(path, fields, { form = 0, headers = {} } = {}) {
      const { html } = await ask('GET', path, {})
      const found = [...html.matchAll(/<form[^>]* action="([^"]*)"[^>]*>(.*?)<\/form>/gs)][form]
      if (!found) throw new Error(`${path} has no form ${form}: ${html}`)
      const hidden = Object.fromEntries([...found[2]!.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [name!, value!]))
      return post(found[1]!, { ...hidden, ...fields }, headers)
    },
  }
}

export type Person = { userId: string; username: string; token: string }

/**
 * One person for each first name, invited: the link's token, as a mail that has left holds it.
 * @param state of the invitation; expired ones are so by their date
 */
export async function inviteAll({ run, users, sql, organizationId }: Importing, firstNames: readonly string[], state = 'launched'): Promise<Person[]> {
  const known = new Set((await users()).map(({ id }) => id))
  await run(['First Name,Last Name,Email', ...firstNames.map((name) => `${name},Lovelace,${name.toLowerCase()}@int.test`)].join('\n'))
  const made = (await users()).filter(({ id }) => !known.has(id))
  return Promise.all(
    made.map(async ({ id: userId, username }) => {
      const token = newToken(randomBytes)
      await sql(`delete from invitations where user_id = $1`, [userId])
      await sql(`insert into invitations (organization_id, user_id, epoch, state, token_hash, launched_at, expires_at) values ($1, $2, 1, $3, $4, now(), now() + interval '7 days')`, [organizationId, userId, state, hashToken(token)])
      return { userId, username, token }
    }),
  )
}

/** Gives a user a password, as a mail with credentials would that has left, or as somebody who chose it. */
export async function givePassword({ sql }: Pick<Importing, 'sql'>, userId: string, password: string, { mustChange = false } = {}): Promise<void> {
  await sql('update users set password_hash = $2, must_change_password = $3 where id = $1', [userId, await hashPassword(password, randomBytes, CHEAP), mustChange])
}
