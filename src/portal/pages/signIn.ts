import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { portalOrganization, type PortalOrganization } from '../../accounts/accessParts.ts'
import { endSession, openSession } from '../../accounts/sessions.ts'
import { signIn } from '../../accounts/signIn.ts'
import type { Left } from '../cookies.ts'
import { fieldsOf, stepOf, typed } from '../form.ts'
import type { Fault, PageParts } from '../parts.ts'
import { nextStep } from '../steps.ts'
import { sendNotReady } from './notReady.ts'
import { sendWait } from './wait.ts'

type Request = FastifyRequest<{ Params: { organization: string } }>

/** GET and POST /:organization/sign-in, POST /sign-out. */
export function signInRoutes(app: FastifyInstance, parts: PageParts): void {
  const { access, cookies, goTo, page, sessionOf, wordsFor } = parts

  app.get('/:organization/sign-in', async (request: Request, reply) => {
    const organization = await portalOrganization(access, request.params.organization)
    if (organization === null) return reply.callNotFound()
    const user = await sessionOf(request)
    if (user?.organizationId === organization.id) return goTo(reply, nextStep(user))
    const left = cookies.takeNote(request, reply)
    return show(request, reply, organization, { username: left?.username ?? '', faults: [], left })
  })

  app.post('/:organization/sign-in', async (request: Request, reply) => {
    const organization = await portalOrganization(access, request.params.organization)
    if (organization === null) return reply.callNotFound()
    if (organization.settings.login.sso) return show(request, reply, organization, { username: '', faults: [], left: null })
    const [username, password] = [typed(request.body, 'username'), typed(request.body, 'password')]
    const words = wordsFor(request, organization)
    const empty: Fault[] = [
      ...(username.trim() === '' ? [{ field: 'username', text: words.faults['username.required']({}) }] : []),
      ...(password === '' ? [{ field: 'password', text: words.faults['password.required']({}) }] : []),
    ]
    if (empty.length > 0) return show(request, reply, organization, { username, faults: empty, left: null })
    // The session is opened while the user's row is locked: a password that is changed at this moment ends it, or keeps it from being opened.
    const asked = { organizationId: organization.id, username, password, address: request.ip, device: cookies.readDevices(request) }
    const answer = await signIn(access, asked, (tx, userId) => openSession(tx, access.random, userId))
    if (answer.is === 'wait') return sendWait(parts, request, reply, organization, answer.seconds)
    if (answer.is === 'wrong') return show(request, reply, organization, { username, faults: [{ field: 'username', text: words.signIn.wrong }], left: null })
    if (answer.is === 'notReady') return sendNotReady(parts, request, reply, organization)
    // A session that was there before is never taken over: its token may be known to somebody else (OWASP ASVS 5, V7.2.4).
    const before = cookies.readSession(request)
    if (before !== null) await endSession(access, before)
    cookies.keepSession(reply, answer.alongside)
    cookies.keepDevice(request, reply, answer.device)
    cookies.keepOrganization(reply, organization.key)
    return goTo(reply, nextStep(answer))
  })

  app.post('/sign-out', async (request, reply) => {
    const token = cookies.readSession(request)
    if (token !== null) await endSession(access, token)
    cookies.endSession(reply)
    cookies.leaveNote(reply, { note: 'signedOut', username: '' })
    const key = cookies.readOrganization(request)
    return goTo(reply, key === null ? '/' : `/${key}/sign-in`)
  })

  function show(request: Request, reply: FastifyReply, organization: PortalOrganization, { username, faults, left }: { username: string; faults: readonly Fault[]; left: Left | null }): Promise<FastifyReply> {
    const words = wordsFor(request, organization)
    const { signIn: own, shared } = words
    const { sso, url } = organization.settings.login
    if (sso) {
      return page(request, reply, 'signInElsewhere', { title: own.title, organization }, {
        heading: own.heading(organization.name),
        text: own.sso(organization.name),
        button: url === null ? null : { href: url, text: own.ssoButton(organization.name) },
        nowhere: own.ssoNowhere,
      })
    }
    // Which of the two is wrong is not said, so that both are marked by one sentence above them.
    const wrong = faults.some(({ text }) => text === own.wrong)
    return page(request, faults.length > 0 ? reply.status(422) : reply, 'signIn', { title: own.title, organization, problems: faults }, {
      step: left?.note === 'registered' ? stepOf(own.step, 2) : null,
      note: left === null ? null : words.notes[left.note],
      heading: own.heading(organization.name),
      action: `/${organization.key}/sign-in`,
      fields: fieldsOf(
        [
          { id: 'username', type: 'text', label: shared.username, autocomplete: 'username', value: username },
          { id: 'password', type: 'password', label: shared.password, autocomplete: 'current-password' },
        ],
        wrong ? [] : faults,
      ),
      button: shared.signIn,
      forgot: { href: `/${organization.key}/forgot`, text: shared.forgotten },
    })
  }
}
