import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PortalOrganization } from '../../accounts/accessParts.ts'
import type { PageParts } from '../parts.ts'
import type { GoneLink } from '../wording/wording.ts'

/**
 * The page of a link that works no longer: what has become of it, and what to do next. Of one that never was, nothing is told but that.
 * Status 410, and 404 for a link that never was.
 */
export function sendGone({ page, wordsFor }: PageParts, request: FastifyRequest, reply: FastifyReply, why: GoneLink, found: PortalOrganization | null): Promise<FastifyReply> {
  const organization = why === 'unknown' ? null : found
  const words = wordsFor(request, organization)
  const { gone, shared } = words
  const { heading, text } = gone[why]
  const button =
    organization === null ? null
    : why === 'used' ? { href: `/${organization.key}/sign-in`, text: shared.signIn }
    : why === 'reset' ? { href: `/${organization.key}/forgot`, text: gone.askAnew }
    : null
  return page(request, reply.status(why === 'unknown' ? 404 : 410), 'gone', { title: heading, organization }, {
    heading, text, button,
    ask: button === null ? gone.askSupport : null,
    otherwise: gone.askSender(organization?.name ?? null),
    forgot: why === 'used' && organization !== null ? { href: `/${organization.key}/forgot`, text: shared.forgotten } : null,
  })
}
