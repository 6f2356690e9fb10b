import type { FastifyInstance } from 'fastify'
import { listDeliveries, showDelivery } from '../../deliveries/list.ts'
import type { AttemptLine, DeliveryDetail, DeliveryLine } from '../../deliveries/list.ts'
import { REASONS } from '../../deliveries/recheck.ts'
import { DELIVERY_PURPOSES, DELIVERY_STATES } from '../../entities/states.ts'
import { listOrganizations, organizationOfDelivery, readOrganization } from '../../organizations/organizations.ts'
import type { Organization } from '../../organizations/organizations.ts'
import { showEmail } from '../../rules/emails.ts'
import { acrossOrganizations } from '../acrossOrganizations.ts'
import { PageRefused } from '../errors.ts'
import { choiceOf, idOf, isId, queryOf, textOf } from '../query.ts'
import { showInstant, wordsOf } from '../show.ts'
import type { PageParts } from '../parts.ts'
import { note } from './importNotes.ts'
import type { Note } from './importNotes.ts'
import { capitalized, deliveryBadge, purposeName } from './states.ts'

/** Lines of a page. */
const SHOWN = 50

/** GET /deliveries and /deliveries/:id. */
export function deliveryRoutes(app: FastifyInstance, { database, page }: PageParts): void {
  app.get('/deliveries', async (request, reply) => {
    const { query } = request
    const chosen = {
      organization: textOf(query, 'organization'),
      state: choiceOf(query, 'state', DELIVERY_STATES, 'deliveries'),
      purpose: choiceOf(query, 'purpose', DELIVERY_PURPOSES, 'deliveries'),
      to: textOf(query, 'to'),
      import: idOf(query, 'import'),
      release: idOf(query, 'release'),
    }
    const after = idOf(query, 'after')
    const filter = { state: chosen.state ?? undefined, purpose: chosen.purpose ?? undefined, importId: chosen.import ?? undefined, releaseId: chosen.release ?? undefined, to: chosen.to ?? undefined }
    const found = await acrossOrganizations(database, { only: chosen.organization, section: 'deliveries' }, async (tx, organization) =>
      (await listDeliveries(tx, { ...filter, after: after ?? undefined, newestFirst: true, limit: SHOWN + 1 })).map((line) => lineView(line, organization)),
    )
    const all = found.flatMap(({ answer }) => answer).sort((a, b) => Number(BigInt(b.id) - BigInt(a.id)))
    const lines = all.slice(0, SHOWN)
    const organizations = await listOrganizations(database)
    const narrowed = Object.values(chosen).some((value) => value !== null)
    return page(reply, 'deliveries', { title: 'Deliveries', section: 'deliveries' }, {
      organizations: options(organizations.map(({ key, name }) => [key, name] as const), chosen.organization),
      states: options(DELIVERY_STATES.map((state) => [state, capitalized(state)] as const), chosen.state),
      purposes: options(DELIVERY_PURPOSES.map((purpose) => [purpose, purposeName(purpose)] as const), chosen.purpose),
      to: chosen.to ?? '',
      ofImport: chosen.import === null ? null : { id: chosen.import, href: `/imports/${chosen.import}` },
      ofRelease: chosen.release === null ? null : { id: chosen.release, href: `/releases/${chosen.release}` },
      several: organizations.length > 1,
      lines,
      narrowed,
      next: all.length > SHOWN ? queryOf({ ...chosen, after: lines.at(-1)!.id }) : null,
      first: after === null ? null : `/deliveries${queryOf(chosen)}`,
      command: wordsOf(`./muster import people.xlsx --organization ${organizations[0]?.key ?? 'acme'} --delivery now`),
    })
  })

  app.get<{ Params: { id: string } }>('/deliveries/:id', async (request, reply) => {
    const { id } = request.params
    const owner = isId(id) ? await organizationOfDelivery(database, id) : null
    const view = owner === null ? null : await database.tenant(owner, async (tx) => {
      const delivery = await showDelivery(tx, id)
      return delivery && detailView(delivery, await readOrganization(tx))
    })
    if (!view) throw new PageRefused(404, `There is no delivery ${JSON.stringify(id)}`, 'The list shows those there are.', { command: './muster deliveries list', section: 'deliveries' })
    return page(reply, 'delivery', { title: `Delivery ${id}`, section: 'deliveries' }, view)
  })
}

const options = (known: readonly (readonly [value: string, text: string])[], chosen: string | null) => known.map(([value, text]) => ({ value, text, selected: value === chosen }))

const addressOf = ({ to }: Pick<DeliveryLine, 'to'>): string => (to === null ? 'no address' : showEmail(to))

/** What counts in time: when it was sent, or when it may go. */
function timeOf({ sentAt, sendAt, state }: Pick<DeliveryLine, 'sentAt' | 'sendAt' | 'state'>, zone: string) {
  if (sentAt !== null) return { what: 'sent', instant: showInstant(sentAt, zone) }
  if (sendAt === null || state === 'cancelled' || state === 'failed') return null
  return { what: state === 'scheduled' || state === 'held' ? 'not before' : 'due', instant: showInstant(sendAt, zone) }
}

/** The reason in words: a rule of ours, or what the server said. */
const reasonOf = (reason: string | null): string => (reason === null ? '' : Object.hasOwn(REASONS, reason) ? REASONS[reason]! : reason)

const lineView = (line: DeliveryLine, organization: Organization) => ({
  id: line.id,
  href: `/deliveries/${line.id}`,
  to: addressOf(line),
  organization: organization.name,
  purpose: purposeName(line.purpose),
  badge: deliveryBadge(line.state),
  time: timeOf(line, organization.timeZone),
  attempts: String(line.attempts),
  reason: reasonOf(line.reason),
})

const STAGES: Readonly<Record<AttemptLine['stage'], string>> = {
  claimed: 'Begun: the end of the mail had not left',
  finishing: 'The end of the mail was about to leave',
  answered: 'The mail server answered',
  lost: 'The connection was lost, or the worker went',
}

function detailView(delivery: DeliveryDetail, organization: Organization) {
  const zone = organization.timeZone
  const facts: [string, string | null][] = [
    ['Organization', organization.name],
    ['For', purposeName(delivery.purpose)],
    ['Round', delivery.epoch > 1 ? `${delivery.epoch}: it was sent anew ${delivery.epoch - 1} times` : null],
    ['Message-ID', delivery.messageId],
    ['User', delivery.userId],
  ]
  return {
    id: delivery.id,
    to: addressOf(delivery),
    badge: deliveryBadge(delivery.state),
    reason: reasonOf(delivery.reason),
    time: timeOf(delivery, zone),
    facts: facts.flatMap(([name, value]) => (value === null ? [] : [{ name, value }])),
    ofImport: delivery.importId === null ? null : { id: delivery.importId, href: `/imports/${delivery.importId}` },
    notes: notesOf(delivery),
    attempts: delivery.tries.map((attempt) => ({
      number: String(attempt.number), stage: STAGES[attempt.stage], begun: showInstant(attempt.startedAt, zone), ended: showInstant(attempt.endedAt, zone), response: attempt.response ?? '', worker: attempt.worker,
    })),
  }
}

function notesOf({ id, state }: DeliveryDetail): Note[] {
  if (state === 'unknown') {
    const told = 'The connection broke after the whole mail had been handed over, and before the server’s answer. It is never sent again by itself. Ask the person, then say which it is; “not-sent” sends it anew.'
    return [note('bad', 'Nobody knows whether it arrived', told, [`./muster deliveries resolve ${id} --as sent`, `./muster deliveries resolve ${id} --as not-sent`])]
  }
  if (state === 'failed') return [note('warn', 'It could not be delivered', 'The server’s words are below. Mend the address, then send it again, with a new secret.', [`./muster deliveries retry ${id}`])]
  if (state === 'bounced') return [note('warn', 'It came back', 'Mend the address, then send it again, with a new secret.', [`./muster deliveries retry ${id}`])]
  if (state === 'held') return [note('warn', 'It is held', 'It leaves when somebody releases it, or when what is missing has been mended.')]
  return []
}
