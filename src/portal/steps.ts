import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionUser } from '../accounts/sessions.ts'
import type { PageParts } from './parts.ts'

/** Where somebody who is signed in has to go next: own password, notice, then the account. */
export function nextStep({ mustChangePassword, noticeAccepted }: Pick<SessionUser, 'mustChangePassword' | 'noticeAccepted'>): '/password' | '/notice' | '/' {
  if (mustChangePassword) return '/password'
  return noticeAccepted ? '/' : '/notice'
}

/** Who is signed in. Whoever is not is sent to sign in, and null is given: the answer is sent already. */
export async function signedIn({ sessionOf, cookies, goTo }: PageParts, request: FastifyRequest, reply: FastifyReply): Promise<SessionUser | null> {
  const user = await sessionOf(request)
  if (user !== null) return user
  if (cookies.readSession(request) !== null) {
    cookies.endSession(reply)
    cookies.leaveNote(reply, { note: 'ended', username: '' })
  }
  const key = cookies.readOrganization(request)
  await goTo(reply, key === null ? '/' : `/${key}/sign-in`)
  return null
}
