import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AccessParts, PortalOrganization } from '../accounts/accessParts.ts'
import type { HashCost, RandomBytes } from '../accounts/passwords.ts'
import type { SessionUser } from '../accounts/sessions.ts'
import type { Database } from '../entities/database.ts'
import type { Queues } from '../jobs/queues.ts'
import type { Cookies } from './cookies.ts'
import type { Wording } from './wording/wording.ts'

/** What the portal is made of. */
export type PortalParts = {
  database: Database
  /** Wakes whoever sends mails. */
  queues: Pick<Queues, 'wake'>
  /** MUSTER_SECRET: signs cookies and forms. */
  secret: string
  hashCost: HashCost
  /** Default: node:crypto. */
  random?: RandomBytes
  /** 0 = any that is free. */
  port: number
  /** The address to listen on. */
  host: string
  /** Proxies in front that tell in X-Forwarded-For who asks. */
  trustedProxies: number
  /** Base of links in mails, without a slash at its end; null: the portal's own address. */
  publicUrl: string | null
  log: { warn(details: object, message: string): void; error(details: object, message: string): void }
}

/** The organization that a page is dressed as. */
export type Dress = Pick<PortalOrganization, 'id' | 'key' | 'name' | 'language' | 'settings'>

/** What a page is drawn into; without an organization it speaks the browser's language. */
export type Chrome = { title: string; organization: Dress | null; problems?: readonly Fault[] }

/** A problem with what was typed: the field's id, and the sentence about it. */
export type Fault = { field: string; text: string }

/** What routes need. */
export type PageParts = {
  access: AccessParts
  cookies: Cookies
  /** Sends a whole page. */
  page: (request: FastifyRequest, reply: FastifyReply, template: string, chrome: Chrome, view: object) => Promise<FastifyReply>
  /** Sends the browser on to another page of the portal, which it gets with GET. */
  goTo: (reply: FastifyReply, path: string) => FastifyReply
  /** Has whatever an organization owes now sent. */
  wake: (organizationId: string) => Promise<void>
  /** The sentences for a page of this organization. */
  wordsFor: (request: FastifyRequest, organization: Pick<Dress, 'language'> | null) => Wording
  /** Who is signed in; null: nobody. */
  sessionOf: (request: FastifyRequest) => Promise<SessionUser | null>
}

/** The organization of somebody who is signed in. */
export const dressOf = ({ organizationId, organizationKey, organizationName, language, settings }: SessionUser): Dress => ({
  id: organizationId,
  key: organizationKey,
  name: organizationName,
  language,
  settings,
})
