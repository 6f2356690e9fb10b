import type { Settings } from '../organizations/declaration.ts'
import type { SupportContact } from '../organizations/supportContact.ts'
import { showPhone } from '../rules/phones.ts'
import { lanes } from './hashLanes.ts'
import { hashToken, launchSql, newToken, type Launch } from './invitations.ts'
import { launchResetSql, RESET_MINUTES, type ResetLaunch } from './passwordResets.ts'
import { generatePassword, hashPassword, type HashCost, type RandomBytes } from './passwords.ts'

/** What a mail to a person is made of. */
export type MailFacts = {
  userId: string | null
  epoch: number
  person: { firstName: string; lastName: string; username: string; passwordChosenAt: Date | null } | null
  organization: { key: string; name: string; timeZone: string; language: string; settings: Settings; support: SupportContact | null }
  /** The database's clock. */
  claimedAt: Date
}

export type ComposeParts = {
  /** Base of links, without a slash at its end. */
  publicUrl: string
  random: RandomBytes
  /** Hashes at the same time; more than cores or threads of the pool only make the others wait. */
  hashLanes: number
  hashCost: HashCost
}

/** The mail with user name and password (spec D1, D2), to the person or to an operator: the password is made here, and only its hash is stored. */
export function credentialsMail({ publicUrl, random, hashLanes, hashCost }: ComposeParts) {
  const inLane = lanes(hashLanes)
  return {
    async compose(facts: MailFacts) {
      const { settings } = facts.organization
      const password = generatePassword(settings.password, random)
      const passwordHash = await inLane(() => hashPassword(password, random, hashCost))
      return {
        variables: { ...aboutPerson(facts), ...account(facts, publicUrl), password, mustChange: settings.password.mustChange },
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

/** What somebody who has registered already gets in place of an invitation (spec D3). */
export const alreadyRegisteredMail = ({ publicUrl }: ComposeParts) => ({
  async compose(facts: MailFacts) {
    return { variables: { ...aboutPerson(facts), ...account(facts, publicUrl), forgotUrl: forgotUrl(facts, publicUrl) }, secret: null, sealed: null }
  },
})

/** The mail that ends the onboarding: where to sign in from now on (spec D4). */
export const welcomeMail = ({ publicUrl }: ComposeParts) => ({
  async compose(facts: MailFacts) {
    return { variables: { ...aboutPerson(facts), ...account(facts, publicUrl) }, secret: null, sealed: null }
  },
})

/** The mail with the link to choose a new password (spec D4): the token is made here, and only its hash is stored. */
export function passwordResetMail({ publicUrl, random }: ComposeParts) {
  const showInstant = instants()
  return {
    async compose(facts: MailFacts) {
      const token = newToken(random)
      const { timeZone, language } = facts.organization
      return {
        variables: {
          ...aboutPerson(facts),
          username: facts.person!.username,
          link: `${publicUrl}/reset/${token}`,
          // Counted from the moment of leaving, which is later, as with invitations.
          expiresAt: showInstant(new Date(facts.claimedAt.getTime() + RESET_MINUTES * 60_000), language, timeZone),
        },
        secret: token,
        sealed: { tokenHash: hashToken(token) } satisfies ResetLaunch,
      }
    },
    seal: launchResetSql,
  }
}

/** The mail that tells somebody that the password was changed, and whom to turn to if it was not by them (spec D4). */
export function passwordChangedMail({ publicUrl }: ComposeParts) {
  const showInstant = instants()
  return {
    async compose(facts: MailFacts) {
      const { timeZone, language } = facts.organization
      return {
        variables: {
          ...aboutPerson(facts),
          username: facts.person!.username,
          changedAt: showInstant(facts.person!.passwordChosenAt ?? facts.claimedAt, language, timeZone),
          forgotUrl: forgotUrl(facts, publicUrl),
        },
        secret: null,
        sealed: null,
      }
    },
  }
}

/** The variables that every mail about a person has, with the support contact (spec C7). */
export function aboutPerson({ person, organization }: Pick<MailFacts, 'person' | 'organization'>) {
  const { support } = organization
  return {
    firstName: person!.firstName,
    lastName: person!.lastName,
    organization: organization.name,
    supportName: support?.name,
    supportEmail: support?.email,
    supportPhone: support?.phone ? showPhone(support.phone) : null,
  }
}

/** What a person signs in with, and where: the organization's own page, or that of the portal. */
export const account = ({ person, organization }: Pick<MailFacts, 'person' | 'organization'>, publicUrl: string) => ({
  username: person!.username,
  loginUrl: organization.settings.login.url ?? `${publicUrl}/${organization.key}/sign-in`,
})

/** Where somebody asks for a new password. */
export const forgotUrl = ({ organization }: Pick<MailFacts, 'organization'>, publicUrl: string): string => `${publicUrl}/${organization.key}/forgot`

/** Shows instants to the minute, as the language writes them, with the zone's name. Making a format costs more than a mail. */
export function instants(): (instant: Date, language: string, timeZone: string) => string {
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
