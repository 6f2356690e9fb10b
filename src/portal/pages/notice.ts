import type { FastifyInstance } from 'fastify'
import { acceptNotice } from '../../accounts/acceptNotice.ts'
import { paragraphsOf, stepOf } from '../form.ts'
import { dressOf, type PageParts } from '../parts.ts'
import { nextStep, signedIn } from '../steps.ts'

/** GET and POST /notice: what everybody accepts at the first sign-in (spec D4). */
export function noticeRoutes(app: FastifyInstance, parts: PageParts): void {
  const { access, cookies, goTo, page, wake, wordsFor } = parts

  app.get('/notice', async (request, reply) => {
    const user = await signedIn(parts, request, reply)
    if (user === null) return reply
    if (nextStep(user) !== '/notice') return goTo(reply, nextStep(user))
    const organization = dressOf(user)
    const { notice: own } = wordsFor(request, organization)
    return page(request, reply, 'notice', { title: own.title, organization }, {
      step: stepOf(own.step, 3),
      heading: own.heading,
      paragraphs: paragraphsOf(organization.settings.onboarding.notice ?? own.text(organization.name)),
      accept: own.accept,
      decline: own.decline,
    })
  })

  app.post('/notice', async (request, reply) => {
    const user = await signedIn(parts, request, reply)
    if (user === null) return reply
    // The notice comes behind the password of one's own: until then the account is as good as the mail it came in.
    if (nextStep(user) === '/password') return goTo(reply, '/password')
    if (await acceptNotice(access, user.organizationId, user.userId)) {
      await wake(user.organizationId)
      cookies.leaveNote(reply, { note: 'completed', username: '' })
    }
    return goTo(reply, '/')
  })
}
