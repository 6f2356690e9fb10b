import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { NOTES, type Note } from './wording/wording.ts'

/** A note for the next page: what has just been done, and the user id that it was done for. */
export type Left = { note: Note; username: string }

/**
 * The portal's cookies. Where people reach it through https they bear the prefix __Host- (OWASP ASVS 5, V3.3): set by this host only, for all
 * of it, over https only. Without https, which is for the machine itself alone, browsers would not take that prefix.
 */
export type Cookies = {
  /** The name of the cookie that keeps the secret of forms. */
  formName: string
  options: CookieSerializeOptions
  /** The session's token as the browser has it, whatever it is worth. */
  readSession: (request: FastifyRequest) => string | null
  /** Until the browser is closed; the server ends it earlier. */
  keepSession: (reply: FastifyReply, token: string) => void
  endSession: (reply: FastifyReply) => void
  /** By which sign-in knows the people who have signed in from this browser before, the latest first. */
  readDevices: (request: FastifyRequest) => string[]
  /** In place of the one that the same person had; those of the four before stay. */
  keepDevice: (request: FastifyRequest, reply: FastifyReply, device: string) => void
  /** The key of the organization that was signed in to last, to find back to its sign-in. */
  readOrganization: (request: FastifyRequest) => string | null
  keepOrganization: (reply: FastifyReply, key: string) => void
  leaveNote: (reply: FastifyReply, left: Left) => void
  /** The note that was left, once. */
  takeNote: (request: FastifyRequest, reply: FastifyReply) => Left | null
}

/** In seconds. Browsers keep a cookie for at most 400 days. */
const DEVICE_AGE = 400 * 86_400
/** Of people who take turns at one browser. */
const MOST_DEVICES = 5
/** user.nonce.signature, see accounts/devices.ts. Between two of them stands what none of them holds. */
const DEVICE = /^(\d{1,18})\.[\w-]{22}\.[\w-]{43}$/
const BETWEEN = '~'
const NOTE_AGE = 120
const KEY = /^[a-z0-9-]{1,63}$/

/** The cookies of a portal that is reached through https, or not. */
export function portalCookies(secure: boolean): Cookies {
  const nameOf = (name: string): string => (secure ? `__Host-muster-${name}` : `muster-${name}`)
  const options: CookieSerializeOptions = { path: '/', httpOnly: true, secure, sameSite: 'lax' }
  const names = { session: nameOf('session'), device: nameOf('device'), organization: nameOf('organization'), note: nameOf('note') }
  const read = (request: FastifyRequest, name: string): string | null => request.cookies[name] || null
  const readSigned = (request: FastifyRequest, name: string): string | null => {
    const { valid, value } = request.unsignCookie(read(request, name) ?? '')
    return valid ? value : null
  }
  const personOf = (device: string): string | undefined => DEVICE.exec(device)?.[1]
  const readDevices = (request: FastifyRequest): string[] => (read(request, names.device) ?? '').split(BETWEEN, MOST_DEVICES).filter((device) => DEVICE.test(device))
  return {
    formName: nameOf('form'),
    options,
    readSession: (request) => read(request, names.session),
    keepSession: (reply, token) => void reply.setCookie(names.session, token, options),
    endSession: (reply) => void reply.clearCookie(names.session, options),
    readDevices,
    keepDevice(request, reply, device) {
      const others = readDevices(request).filter((other) => personOf(other) !== personOf(device))
      reply.setCookie(names.device, [device, ...others].slice(0, MOST_DEVICES).join(BETWEEN), { ...options, maxAge: DEVICE_AGE })
    },
    readOrganization(request) {
      const key = readSigned(request, names.organization)
      return key !== null && KEY.test(key) ? key : null
    },
    keepOrganization: (reply, key) => void reply.setCookie(names.organization, key, { ...options, signed: true }),
    leaveNote: (reply, { note, username }) => void reply.setCookie(names.note, `${note} ${username}`, { ...options, signed: true, maxAge: NOTE_AGE }),
    takeNote(request, reply) {
      if (read(request, names.note) === null) return null
      reply.clearCookie(names.note, options)
      const [note, ...username] = (readSigned(request, names.note) ?? '').split(' ')
      return (NOTES as readonly string[]).includes(note!) ? { note: note as Note, username: username.join(' ') } : null
    },
  }
}
