import type { FastifyReply, FastifyRequest } from 'fastify'
import { howLong } from '../form.ts'
import type { Dress, PageParts } from '../parts.ts'

/** The page after too many tries: how long to wait, for people and, in Retry-After, for programs. Status 429. */
export function sendWait({ page, wordsFor }: PageParts, request: FastifyRequest, reply: FastifyReply, organization: Dress, seconds: number): Promise<FastifyReply> {
  const words = wordsFor(request, organization)
  return page(request, reply.status(429).header('retry-after', String(Math.ceil(seconds))), 'wait', { title: words.wait.title, organization }, {
    heading: words.wait.heading,
    text: words.wait.text(howLong(words, seconds)),
    back: { href: `/${organization.key}/sign-in`, text: words.wait.back },
  })
}
