import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readReset, resetPassword, type ResetRead } from '../../accounts/resetPassword.ts'
import { endSession } from '../../accounts/sessions.ts'
import { faultsOf, fieldsOf, newPasswordFields, repeatFault, typed } from '../form.ts'
import type { Fault, PageParts } from '../parts.ts'
import { sendGone } from './gone.ts'

type Request = FastifyRequest<{ Params: { token: string } }>
type Open = Extract<ResetRead, { is: 'open' }>

/** GET and POST /reset/:token: a new password by the link of a mail (spec D4). Looking changes nothing. */
export function resetRoutes(app: FastifyInstance, parts: PageParts): void {
  const { access, cookies, goTo, page, wake, wordsFor } = parts
  const gone = (request: Request, reply: FastifyReply, organization: ResetRead['organization']) => sendGone(parts, request, reply, organization === null ? 'unknown' : 'reset', organization)

  app.get('/reset/:token', async (request: Request, reply) => {
    const read = await readReset(access, request.params.token)
    return read.is === 'gone' ? gone(request, reply, read.organization) : show(request, reply, read, [])
  })

  app.post('/reset/:token', async (request: Request, reply) => {
    const { token } = request.params
    const read = await readReset(access, token)
    if (read.is === 'gone') return gone(request, reply, read.organization)
    const { organization, username } = read
    const words = wordsFor(request, organization)
    const [password, repeat] = [typed(request.body, 'password'), typed(request.body, 'repeat')]
    const seen = repeatFault(words, password, repeat)
    if (seen.length > 0) return show(request, reply, read, seen)
    const done = await resetPassword(access, token, password)
    if (done.is === 'refused') return show(request, reply, read, faultsOf(words, done.problems, organization.settings.username.maxLength))
    if (done.is === 'gone') return gone(request, reply, organization)
    await wake(organization.id)
    const before = cookies.readSession(request)
    if (before !== null) await endSession(access, before)
    cookies.endSession(reply)
    cookies.keepDevice(request, reply, done.device)
    cookies.leaveNote(reply, { note: 'reset', username })
    return goTo(reply, `/${organization.key}/sign-in`)
  })

  function show(request: Request, reply: FastifyReply, { organization, username }: Open, faults: readonly Fault[]): Promise<FastifyReply> {
    const words = wordsFor(request, organization)
    const { reset: own, shared } = words
    return page(request, faults.length > 0 ? reply.status(422) : reply, 'reset', { title: own.title, organization, problems: faults }, {
      heading: own.heading,
      intro: own.intro(username),
      action: `/reset/${request.params.token}`,
      username,
      usernameLabel: shared.username,
      fields: fieldsOf(newPasswordFields(words, organization.settings.onboarding.passwordLength), faults),
      button: own.button,
    })
  }
}
