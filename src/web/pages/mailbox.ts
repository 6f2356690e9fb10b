import type { FastifyInstance } from 'fastify'
import { listNewestMail, showMessage } from '../../embedded/mailbox.ts'
import { listOrganizations, readOrganization } from '../../organizations/organizations.ts'
import { PageRefused } from '../errors.ts'
import { guardMail } from '../guard.ts'
import { idOf, queryOf } from '../query.ts'
import { showInstant, showNumber, wordsOf } from '../show.ts'
import type { PageParts } from '../parts.ts'

/** Lines of a page. */
const SHOWN = 50
/** Headers that are shown above a mail; the others are behind a fold. */
const MAIN_HEADERS = new Set(['from', 'to', 'subject', 'date'])

/** GET /mailbox, /mailbox/:id, and /mailbox/:id/html: the mail's own HTML, for a frame that keeps it in. */
export function mailboxRoutes(app: FastifyInstance, { database, mailboxHome, page }: PageParts): void {
  app.get('/mailbox', async (request, reply) => {
    const before = idOf(request.query, 'before')
    const found = mailboxHome === null ? null : await listNewestMail(mailboxHome, { limit: SHOWN, before })
    const zone = await zoneOfAll()
    return page(reply, 'mailbox', { title: 'Mailbox', section: 'mailbox' }, {
      inUse: found !== null,
      command: wordsOf('./muster import people.xlsx --organization acme --delivery now'),
      total: found ? showNumber(found.total) : '',
      lines: found ? found.lines.map(({ id, from, to, subject, receivedAt }) => ({ id, from, to, subject: subject || '(no subject)', received: showInstant(receivedAt, zone), href: `/mailbox/${id}` })) : [],
      next: found?.more ? queryOf({ before: found.lines.at(-1)!.id }) : null,
      first: before === null ? null : '/mailbox',
    })
  })

  app.get<{ Params: { id: string } }>('/mailbox/:id', async (request, reply) => {
    const mail = await messageOf(request.params.id)
    return page(reply, 'mail', { title: mail.subject || 'Mail', section: 'mailbox' }, {
      id: mail.id,
      from: mail.from,
      to: mail.to,
      subject: mail.subject || '(no subject)',
      received: showInstant(mail.receivedAt, await zoneOfAll()),
      text: mail.text,
      html: mail.html === '' ? null : `/mailbox/${mail.id}/html`,
      headers: mail.headers.filter(({ key }) => !MAIN_HEADERS.has(key.toLowerCase())),
    })
  })

  app.get<{ Params: { id: string } }>('/mailbox/:id/html', async (request, reply) => {
    const mail = await messageOf(request.params.id)
    return guardMail(reply).type('text/html; charset=utf-8').send(mail.html)
  })

  async function messageOf(id: string) {
    const mail = mailboxHome === null ? null : await showMessage(mailboxHome, id)
    if (!mail) throw new PageRefused(404, `There is no mail ${JSON.stringify(id)}`, 'The list shows those there are.', { command: './muster mailbox list', section: 'mailbox' })
    return mail
  }

  /** Mails belong to no organization: where there is only one, its clock is taken. */
  async function zoneOfAll(): Promise<string> {
    const [only, ...others] = await listOrganizations(database)
    if (!only || others.length > 0) return 'UTC'
    return (await database.tenant(only.id, readOrganization)).timeZone
  }
}
