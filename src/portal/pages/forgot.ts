import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { portalOrganization, type PortalOrganization } from '../../accounts/accessParts.ts'
import { askReset } from '../../accounts/resetPassword.ts'
import { fieldsOf, typed } from '../form.ts'
import type { Fault, PageParts } from '../parts.ts'

type Request = FastifyRequest<{ Params: { organization: string } }>

/** Answers leave at whole multiples of this, in milliseconds: what is done for an account that there is takes a part of one. */
const BEAT_MS = 300

/** GET and POST /:organization/forgot: asks for a link by mail. The answer and its time are the same whoever is asked for. */
export function forgotRoutes(app: FastifyInstance, { access, page, goTo, wake, wordsFor }: PageParts): void {
  app.get('/:organization/forgot', async (request: Request, reply) => {
    const organization = await portalOrganization(access, request.params.organization)
    if (organization === null) return reply.callNotFound()
    return show(request, reply, organization, [])
  })

  app.post('/:organization/forgot', async (request: Request, reply) => {
    const organization = await portalOrganization(access, request.params.organization)
    if (organization === null) return reply.callNotFound()
    const words = wordsFor(request, organization)
    const name = typed(request.body, 'username')
    if (name.trim() === '') return show(request, reply, organization, [{ field: 'username', text: words.faults['name.required']({}) }])
    if (organization.settings.login.sso) return goTo(reply, `/${organization.key}/sign-in`)
    const begun = performance.now()
    await askReset(access, organization.id, name, request.ip)
    await wake(organization.id)
    const elapsed = performance.now() - begun
    await pause(Math.ceil(elapsed / BEAT_MS) * BEAT_MS - elapsed)
    const { forgot: own } = words
    return page(request, reply, 'sent', { title: own.sentHeading, organization }, { heading: own.sentHeading, text: own.sent, hint: own.sentHint, back: { href: `/${organization.key}/sign-in`, text: own.back } })
  })

  async function show(request: Request, reply: FastifyReply, organization: PortalOrganization, faults: readonly Fault[]): Promise<FastifyReply> {
    // There are no passwords of ours to forget: the sign-in page says where to go.
    if (organization.settings.login.sso) return goTo(reply, `/${organization.key}/sign-in`)
    const { forgot: own } = wordsFor(request, organization)
    return page(request, faults.length > 0 ? reply.status(422) : reply, 'forgot', { title: own.title, organization, problems: faults }, {
      heading: own.heading,
      intro: own.intro,
      action: `/${organization.key}/forgot`,
      fields: fieldsOf([{ id: 'username', type: 'text', label: own.name, autocomplete: 'username' }], faults),
      button: own.button,
      back: { href: `/${organization.key}/sign-in`, text: own.back },
    })
  }
}
