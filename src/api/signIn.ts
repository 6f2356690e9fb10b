import type { FastifyInstance, FastifyRequest } from 'fastify'
import { readUserLine } from '../accounts/listPeople.ts'
import { signIn } from '../accounts/signIn.ts'
import { keyReader, type KeyHolder } from './keys.ts'
import type { ApiParts } from './parts.ts'
import { ApiProblem } from './problems.ts'
import { signInRequest } from './schemas.ts'

/** POST /sign-in (spec D4): the product that the users belong to asks whether a login is right. */
export function signInRoute(app: FastifyInstance, parts: ApiParts): void {
  const readKey = keyReader(parts)
  const holders = new WeakMap<FastifyRequest, KeyHolder>()
  // Before the body is read: whoever shows no key has nothing read.
  const onRequest = async (request: FastifyRequest): Promise<void> => void holders.set(request, await readKey(request))
  app.post('/sign-in', { onRequest }, async (request) => {
    const { organizationId, organizationKey, sso } = holders.get(request)!
    if (sso) throw new ApiProblem('sign_in.sso')
    const parsed = signInRequest.safeParse(request.body)
    if (!parsed.success) throw new ApiProblem('body.invalid', { detail: parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'The body'}: ${message}.`).join(' ') })
    const { organization = organizationKey, username, password, address = '', device = null } = parsed.data
    if (organization !== organizationKey) throw new ApiProblem('api.key_elsewhere')
    // Addresses are what the product says they are: its own users are counted by them, and nobody else's.
    const answer = await signIn(parts.access, { organizationId, username, password, address, device, addressBy: organizationId }, readUserLine)
    if (answer.is === 'wait') throw new ApiProblem('sign_in.wait', { retryAfter: answer.seconds })
    if (answer.is === 'wrong') throw new ApiProblem('sign_in.wrong')
    if (answer.is === 'notReady') throw new ApiProblem('sign_in.not_ready')
    return { right: true, user: answer.alongside, mustChangePassword: answer.mustChangePassword, noticeAccepted: answer.noticeAccepted, device: answer.device }
  })
}
