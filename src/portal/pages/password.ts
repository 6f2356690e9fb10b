import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { changePassword } from '../../accounts/choosePassword.ts'
import type { SessionUser } from '../../accounts/sessions.ts'
import { faultsOf, fieldsOf, newPasswordFields, repeatFault, typed } from '../form.ts'
import { dressOf, type Fault, type PageParts } from '../parts.ts'
import { nextStep, signedIn } from '../steps.ts'

/** GET and POST /password: one's own in place of the one from the mail, which has to be, and any later change (spec D1, D4). */
export function passwordRoutes(app: FastifyInstance, parts: PageParts): void {
  const { access, cookies, goTo, page, wake, wordsFor } = parts

  // Where password managers lead people to (W3C, A Well-Known URL for Changing Passwords).
  app.get('/.well-known/change-password', async (_, reply) => goTo(reply, '/password'))

  app.get('/password', async (request, reply) => {
    const user = await signedIn(parts, request, reply)
    return user === null ? reply : show(request, reply, user, [])
  })

  app.post('/password', async (request, reply) => {
    const user = await signedIn(parts, request, reply)
    if (user === null) return reply
    const words = wordsFor(request, dressOf(user))
    const [current, password, repeat] = [typed(request.body, 'current'), typed(request.body, 'password'), typed(request.body, 'repeat')]
    const seen: Fault[] = [...(current === '' ? [{ field: 'current', text: words.faults['current.required']({}) }] : []), ...repeatFault(words, password, repeat)]
    if (seen.length > 0) return show(request, reply, user, seen)
    const answer = await changePassword(access, user.organizationId, user.userId, { current, next: password })
    if (answer.is === 'refused') {
      const { problems } = answer
      const seconds = problems.find(({ code }) => code === 'password.wait')?.detail?.['seconds']
      if (seconds !== undefined) reply.header('retry-after', seconds)
      return show(request, reply.status(seconds === undefined ? 422 : 429), user, faultsOf(words, problems, user.settings.username.maxLength))
    }
    cookies.keepSession(reply, answer.session)
    await wake(user.organizationId)
    cookies.leaveNote(reply, { note: 'changed', username: '' })
    return goTo(reply, nextStep({ ...user, mustChangePassword: false }))
  })

  function show(request: FastifyRequest, reply: FastifyReply, user: SessionUser, faults: readonly Fault[]): Promise<FastifyReply> {
    const organization = dressOf(user)
    const words = wordsFor(request, organization)
    const { password: own, shared } = words
    const forced = user.mustChangePassword
    if (faults.length > 0 && reply.statusCode === 200) reply.status(422)
    return page(request, reply, 'password', { title: forced ? own.headingForced : own.title, organization, problems: faults }, {
      heading: forced ? own.headingForced : own.heading,
      intro: forced ? own.introForced(organization.name) : own.intro,
      // Password managers learn from it whose password this is.
      username: user.username,
      usernameLabel: shared.username,
      fields: fieldsOf([{ id: 'current', type: 'password', label: own.current, autocomplete: 'current-password' }, ...newPasswordFields(words, organization.settings.onboarding.passwordLength)], faults),
      button: own.button,
      back: forced ? null : own.back,
      signOut: forced ? shared.signOut : null,
    })
  }
}
