import type { Settings } from '../organizations/declaration.ts'
import { showPhone } from '../rules/phones.ts'
import { hashToken, launchSql, newToken, type Launch } from './invitations.ts'
import { generatePassword, hashPassword, type RandomBytes } from './passwords.ts'

/** What a mail to a person is made of. */
export type MailFacts = {
  userId: string | null
  epoch: number
  person: { firstName: string; lastName: string; username: string } | null
  organization: { name: string; timeZone: string; language: string; settings: Settings }
  /** The database's clock. */
  claimedAt: Date
}

export type ComposeParts = {
  /** Base of links, without a slash at its end. */
  publicUrl: string
  random: RandomBytes
  /** Hashes at the same time; more than cores or threads of the pool only make the others wait. */
  hashLanes: number
}

/** The mail with user name and password (spec D1): the password is made here, and only its hash is stored. */
export function credentialsMail({ publicUrl, random, hashLanes }: ComposeParts) {
  const inLane = lanes(hashLanes)
  return {
    async compose(facts: MailFacts) {
      const { settings } = facts.organization
      const password = generatePassword(settings.password, random)
      const passwordHash = await inLane(() => hashPassword(password, random))
      return {
        variables: {
          ...aboutPerson(facts),
          username: facts.person!.username,
          password,
          loginUrl: settings.login.url ?? `${publicUrl}/sign-in`,
          mustChange: settings.password.mustChange,
        },
        secret: password,
        sealed: { passwordHash, mustChange: settings.password.mustChange },
      }
    },
    seal: (leaving: string) => [
      `update users u set password_hash = l.sealed ->> 'passwordHash', must_change_password = (l.sealed ->> 'mustChange')::boolean, updated_at = now()
       from ${leaving} l where u.id = l.user_id`,
    ],
  }
}

/** The mail with the personal link (spec D3): the token is made here, and only its hash is stored. */
export function invitationMail({ publicUrl, random }: ComposeParts) {
  const showInstant = instants()
  return {
    async compose(facts: MailFacts) {
      const token = newToken(random)
      const { timeZone, language, settings } = facts.organization
      // Stored to the second from the moment of leaving, which is later: what the mail promises always holds.
      const expiresAt = facts.claimedAt.getTime() + settings.invitation.lifetimeDays * 86_400_000
      return {
        variables: {
          ...aboutPerson(facts),
          link: `${publicUrl}/invitations/${token}`,
          expiresAt: showInstant(new Date(expiresAt), language, timeZone),
        },
        secret: token,
        sealed: { tokenHash: hashToken(token), lifetimeDays: settings.invitation.lifetimeDays } satisfies Launch,
      }
    },
    seal: launchSql,
  }
}

function aboutPerson({ person, organization }: MailFacts) {
  const { supportContact } = organization.settings
  return {
    firstName: person!.firstName,
    lastName: person!.lastName,
    organization: organization.name,
    supportName: supportContact?.name,
    supportEmail: supportContact?.email,
    supportPhone: supportContact?.phone === undefined ? undefined : showPhone(supportContact.phone),
  }
}

/** Shows instants to the minute, as the language writes them, with the zone's name. Making a format costs more than a mail. */
function instants(): (instant: Date, language: string, timeZone: string) => string {
  const formats = new Map<string, Intl.DateTimeFormat>()
  return (instant, language, timeZone) => {
    const key = `${language} ${timeZone}`
    let format = formats.get(key)
    if (!format) {
      format = new Intl.DateTimeFormat(language, { year: 'numeric', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit', timeZone, timeZoneName: 'short' })
      formats.set(key, format)
    }
    return format.format(instant)
  }
}

/** Runs at most so many at once; the others wait in order. */
function lanes(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
