import type { FastifyInstance } from 'fastify'
import { dressOf, type PageParts } from '../parts.ts'
import { nextStep, signedIn } from '../steps.ts'

/** GET /: who one is here and where to go from here; without a session, how to come in. */
export function homeRoutes(app: FastifyInstance, parts: PageParts): void {
  const { cookies, goTo, page, sessionOf, wordsFor } = parts

  app.get('/', async (request, reply) => {
    if (cookies.readSession(request) === null) return nobody()
    const user = await sessionOf(request)
    if (user === null) return cookies.readOrganization(request) === null ? nobody() : signedIn(parts, request, reply).then(() => reply)
    if (nextStep(user) !== '/') return goTo(reply, nextStep(user))
    const organization = dressOf(user)
    const words = wordsFor(request, organization)
    const { home: own, shared } = words
    const { url } = organization.settings.login
    const left = cookies.takeNote(request, reply)
    return page(request, reply, 'home', { title: own.title, organization }, {
      heading: own.done(user.firstName),
      text: url === null ? own.noLogin(organization.name) : own.text(organization.name),
      note: left === null ? null : words.notes[left.note],
      button: url === null ? null : { href: url, text: own.button(organization.name) },
      facts: [
        { term: own.name, is: `${user.firstName} ${user.lastName}` },
        { term: shared.username, is: user.username },
        { term: own.organization, is: organization.name },
      ],
      changePassword: words.password.title,
      signOut: shared.signOut,
    })

    function nobody() {
      const { nobody: own, notes, shared } = wordsFor(request, null)
      const left = cookies.takeNote(request, reply)
      const key = cookies.readOrganization(request)
      return page(request, reply, 'nobody', { title: own.title, organization: null }, {
        heading: own.heading,
        text: own.text,
        note: left === null ? null : notes[left.note],
        signIn: key === null ? null : { href: `/${key}/sign-in`, text: shared.signIn },
      })
    }
  })
}
