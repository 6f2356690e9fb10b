import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { endSession } from '../../accounts/sessions.ts'
import { readInvitation, register, type InvitationRead } from '../../accounts/registration.ts'
import { faultsOf, fieldsOf, newPasswordFields, repeatFault, stepOf, typed } from '../form.ts'
import type { Fault, PageParts } from '../parts.ts'
import { sendGone } from './gone.ts'
import { sendWait } from './wait.ts'

type Request = FastifyRequest<{ Params: { token: string } }>
type Open = Extract<InvitationRead, { is: 'open' }>

/** To the minute with the zone's name, as the mail has it. */
const INSTANT = { year: 'numeric', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit', timeZoneName: 'short' } as const

/** GET and POST /invitations/:token: the invited person chooses user id and password (spec D4). Looking changes nothing. */
export function registerRoutes(app: FastifyInstance, parts: PageParts): void {
  const { access, cookies, goTo, page, wordsFor } = parts

  app.get('/invitations/:token', async (request: Request, reply) => {
    const read = await readInvitation(access, request.params.token)
    if (read.is === 'gone') return sendGone(parts, request, reply, read.why, read.organization)
    return show(request, reply, read, { username: read.username, faults: [] })
  })

  app.post('/invitations/:token', async (request: Request, reply) => {
    const { token } = request.params
    const [username, password, repeat] = [typed(request.body, 'username'), typed(request.body, 'password'), typed(request.body, 'repeat')]
    const read = await readInvitation(access, token)
    if (read.is === 'gone') return sendGone(parts, request, reply, read.why, read.organization)
    const { organization } = read
    const words = wordsFor(request, organization)
    const seen: Fault[] = [...(username.trim() === '' ? [{ field: 'username', text: words.faults['username.required']({}) }] : []), ...repeatFault(words, password, repeat)]
    if (seen.length > 0) return show(request, reply, read, { username, faults: seen })
    const registered = await register(access, token, { username, password, address: request.ip })
    switch (registered.is) {
      case 'refused':
        return show(request, reply, read, { username, faults: faultsOf(words, registered.problems, organization.settings.username.maxLength) })
      case 'wait':
        return sendWait(parts, request, reply, organization, registered.seconds)
      case 'gone':
        return sendGone(parts, request, reply, registered.why, organization)
      case 'registered': {
        // Whoever was signed in on this browser before is somebody else, or the same person under an account of old.
        const before = cookies.readSession(request)
        if (before !== null) await endSession(access, before)
        cookies.endSession(reply)
        cookies.keepDevice(request, reply, registered.device)
        cookies.leaveNote(reply, { note: 'registered', username: username.trim() })
        return goTo(reply, `/${organization.key}/sign-in`)
      }
    }
  })

  function show(request: Request, reply: FastifyReply, { organization, firstName, expiresAt }: Open, { username, faults }: { username: string; faults: readonly Fault[] }): Promise<FastifyReply> {
    const words = wordsFor(request, organization)
    const { register: own, shared } = words
    const [newPassword, repeat] = newPasswordFields(words, organization.settings.onboarding.passwordLength)
    const expires = new Intl.DateTimeFormat(organization.language, { ...INSTANT, timeZone: organization.timeZone }).format(expiresAt)
    return page(request, faults.length > 0 ? reply.status(422) : reply, 'register', { title: own.title, organization, problems: faults }, {
      step: stepOf(own.step, 1),
      heading: own.heading(firstName),
      intro: own.intro(organization.name),
      action: `/invitations/${request.params.token}`,
      fields: fieldsOf(
        [{ id: 'username', type: 'text', label: shared.username, autocomplete: 'username', hint: own.usernameHint, value: username }, { ...newPassword!, label: shared.password }, repeat!],
        faults,
      ),
      button: own.button,
      expires: own.expires(expires),
    })
  }
}
