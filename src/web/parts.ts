import type { FastifyReply } from 'fastify'
import type { Database } from '../entities/database.ts'

/** What the console is made of. */
export type ConsoleParts = {
  database: Database
  /** MUSTER_HOME, where the built-in mailbox is; null where mail goes to a mail server. */
  mailboxHome: string | null
  /** 0 = any that is free. */
  port: number
  /** Told of what goes wrong. Default: nobody. */
  log?: { error(details: object, message: string): void }
  /** Jobs waiting or being done, by kind, as far as the caller has a queue. */
  readCounts?: () => Promise<Readonly<Record<string, number>>>
}

/** The parts of the navigation. */
export type Section = 'overview' | 'imports' | 'feeds' | 'releases' | 'deliveries' | 'mailbox'

/** What a page is drawn into: its title, where it stands, and whether part of it is fetched again and again. */
export type Chrome = { title: string; section: Section | null; live?: boolean }

/** What routes need. */
export type PageParts = Pick<ConsoleParts, 'database' | 'mailboxHome' | 'readCounts'> & {
  /** Sends a whole page. */
  page: (reply: FastifyReply, template: string, chrome: Chrome, view: object) => Promise<FastifyReply>
  /** Sends a part of a page, for htmx. */
  fragment: (reply: FastifyReply, template: string, view: object) => FastifyReply
}

/** What sends pages and parts of them. */
export type PageSender = Pick<PageParts, 'page' | 'fragment'>
