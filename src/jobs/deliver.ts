import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { alreadyRegisteredMail, credentialsMail, invitationMail, passwordChangedMail, passwordResetMail, welcomeMail } from '../accounts/composeMail.ts'
import { expireInvitations } from '../accounts/invitations.ts'
import type { Background } from '../deliveries/background.ts'
import type { Composer, Composers } from '../deliveries/compose.ts'
import type { Mailer } from '../deliveries/mailer.ts'
import { ownWordings } from '../deliveries/ownWording.ts'
import { sendDue, type SendLog, type SendReport } from '../deliveries/send.ts'
import { giveBackLostLeases, releaseMended } from '../deliveries/sweep.ts'
import { HASH_COST, type HashCost } from '../accounts/passwords.ts'
import type { Database } from '../entities/database.ts'
import type { Templates } from '../templates/render.ts'
import type { Failpoint } from './failpoint.ts'

export type DeliverParts = {
  database: Database
  mailer: Mailer
  templates: Templates
  /** Base of links, without a slash at its end. */
  publicUrl: string
  /** Makes the mails that tell operators how an import ended; without it such mails wait for a worker that has it. */
  operatorSummary?: Composer<'operatorSummary'>
  /** Make the mails that tell a feed's people what is wrong with it and that it is over; as above. */
  feedAlerts?: Pick<Composers, 'feedAlert' | 'feedAllClear'>
  /** The worker's name. */
  worker: string
  log: SendLog
  failpoint: Failpoint
  /** Default: node:crypto. */
  random?: (count: number) => Uint8Array
  /** Default 60. */
  leaseSeconds?: number
  /** Default 100. */
  batch?: number
  /** Default 30. */
  turnSeconds?: number
  /** Default 300. */
  loginRetrySeconds?: number
  /** Default: the cores of the machine. */
  hashLanes?: number
  /** Default: HASH_COST. */
  hashCost?: HashCost
  /** Takes over what a turn would only wait for. Default: none, a turn ends when all of its mails have. */
  background?: Background
}

/**
 * Makes the job that sends what an organization has due; see sendDue for what it does and gives. `nextInMs` of the report says
 * when to run it again. Harmless to run twice, or in several processes at once.
 */
export function deliverer(parts: DeliverParts): (organizationId: string, signal: AbortSignal) => Promise<SendReport> {
  const { publicUrl, operatorSummary, feedAlerts, random = randomBytes, hashLanes = availableParallelism(), hashCost = HASH_COST } = parts
  const compose = { publicUrl, random, hashLanes, hashCost }
  const credentials = credentialsMail(compose)
  const composers: Composers = {
    credentials,
    operatorCredentials: credentials,
    invitation: invitationMail(compose),
    alreadyRegistered: alreadyRegisteredMail(compose),
    welcome: welcomeMail(compose),
    passwordReset: passwordResetMail(compose),
    passwordChanged: passwordChangedMail(compose),
    ...(operatorSummary && { operatorSummary }),
    ...feedAlerts,
  }
  const send = {
    database: parts.database,
    mailer: parts.mailer,
    templates: parts.templates,
    ownWording: ownWordings(parts),
    composers,
    defaultFrom: `Muster <no-reply@${new URL(publicUrl).hostname}>`,
    worker: parts.worker,
    log: parts.log,
    failpoint: parts.failpoint,
    random,
    leaseSeconds: parts.leaseSeconds ?? 60,
    batch: parts.batch ?? 100,
    turnSeconds: parts.turnSeconds ?? 30,
    loginRetrySeconds: parts.loginRetrySeconds ?? 300,
    background: parts.background ?? null,
    server: { away: false, trying: null },
    held: { turns: 0 },
  }
  return (organizationId, signal) => sendDue(send, organizationId, signal)
}

/**
 * Everything about deliveries that time alone changes, for one organization: lost leases, mended people, expired invitations.
 * @param look.mended whether those are looked for who could not log in: they may be many
 */
export function sweepDeliveries(database: Database, organizationId: string, look: { mended: boolean } = { mended: true }) {
  return database.tenant(organizationId, async (tx) => ({
    ...(await giveBackLostLeases(tx)),
    mended: look.mended ? await releaseMended(tx) : 0,
    expired: await expireInvitations(tx),
  }))
}
