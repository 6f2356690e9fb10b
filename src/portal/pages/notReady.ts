import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dress, PageParts } from '../parts.ts'

/**
 * The page for somebody who gave the right password of an account that lacks what is needed to sign in: that it is being made ready, and whom
 * to ask. Status 403.
 */
export function sendNotReady({ page, wordsFor }: PageParts, request: FastifyRequest, reply: FastifyReply, organization: Dress): Promise<FastifyReply> {
  const { notReady: own, wait } = wordsFor(request, organization)
  return page(request, reply.status(403), 'gone', { title: own.heading, organization }, {
    heading: own.heading,
    text: own.text(organization.name),
    button: null,
    ask: own.ask,
    otherwise: own.askSender(organization.name),
    forgot: { href: `/${organization.key}/sign-in`, text: wait.back },
  })
}
