import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { render, renderTemplate, type CompiledTemplate, type Templates } from '../templates/render.ts'
import { envelopeSender, newReference } from './bounceAddress.ts'
import { claimDue } from './claim.ts'
import type { Claimed, Composers } from './compose.ts'
import { judge } from './judge.ts'
import { openLedger, renewLeases, type Ledger, type Verdict } from './ledger.ts'
import { addressOf, buildMessage, type Mailer, type Outcome } from './mailer.ts'
import type { OwnWording } from './ownWording.ts'
import { askSmtpPause, pauseSmtp, resumeSmtp } from './pause.ts'
import { redact } from './redact.ts'
import { wordsOf } from './replies.ts'
import { openSession } from './session.ts'

/** Places where a test may end the process (faults 6 to 10). */
export type SendFailpoint = 'deliver.claimed' | 'deliver.inData' | 'deliver.fenced' | 'deliver.answered' | 'deliver.recorded'

export type SendLog = { info(detail: object, message: string): void; warn(detail: object, message: string): void; error(detail: object, message: string): void }

export type SendParts = {
  database: Database
  mailer: Mailer
  templates: Templates
  ownWording: OwnWording
  composers: Composers
  /** From of organizations that declare none. */
  defaultFrom: string
  /** The worker's name. */
  worker: string
  log: SendLog
  /** So many random bytes. */
  random: (count: number) => Uint8Array
  failpoint: (name: SendFailpoint) => Promise<void>
  /** How long the worker may be silent before its deliveries are given to others. */
  leaseSeconds: number
  /** Deliveries claimed at once, at most. */
  batch: number
  /** After so long no more are claimed, so that other organizations have their turn. */
  turnSeconds: number
  /** Pause after a refused login. */
  loginRetrySeconds: number
}

export type SendReport = Record<'sent' | 'failed' | 'retried' | 'unknown' | 'givenBack' | 'cancelled' | 'held', number> & {
  /** Milliseconds until it is worth asking again; 0: there is more due at once; null: nothing more is due. */
  nextInMs: number | null
  /** The mail server is away or refuses our login: nothing can leave until it is back. */
  outage: boolean
}

const COUNTED = { sent: 'sent', failed: 'failed', retry: 'retried', unknown: 'unknown', giveBack: 'givenBack' } as const
const UNREACHABLE_RETRY_MS = 15_000
/** While mails wait for their instants it is asked this often what else has come due: somebody may wait for a new password. */
const LOOK_MS = 250
/** With nothing in hand, and nothing to do for longer than this, the turn is over: others have theirs, and the sweep comes back. */
const IDLE_MS = 500

/**
 * Sends what an organization has due, until nothing is left, the turn is over, or `signal` aborts. Several workers may do so at
 * once for the same organization. Mails already under way are always seen to their end. Throws where the database is gone;
 * then everything is settled by the leases (sweep.ts).
 */
export async function sendDue(parts: SendParts, organizationId: string, signal: AbortSignal): Promise<SendReport> {
  const { database, mailer, log, leaseSeconds } = parts
  const report: SendReport = { sent: 0, failed: 0, retried: 0, unknown: 0, givenBack: 0, cancelled: 0, held: 0, nextInMs: null, outage: false }
  if (!(await mayBegin(parts, report))) return report

  const inHand = new Set<Claimed>()
  const queue: { claimed: Claimed; notBefore: number }[] = []
  const turnEnds = performance.now() + parts.turnSeconds * 1000
  let exhausted = false
  let broken: unknown
  /** Set where the mail server cannot be used: nothing more is begun. */
  let outage = false
  let refill: Promise<void> | null = null
  /** Until it is worth looking again for what may leave. */
  let rest: Promise<void> | null = null
  const over = () => outage || broken !== undefined || signal.aborted

  const fences = await openSession(database, organizationId, { durable: true })
  const verdicts = await openSession(database, organizationId, { durable: false }).catch((error: unknown) => {
    fences.close()
    throw error
  })
  const ledger = openLedger({ fences, verdicts }, parts.composers, leaseSeconds)
  const heartbeat = setInterval(() => {
    if (inHand.size === 0) return
    database.tenant(organizationId, (tx) => renewLeases(tx, [...inHand], leaseSeconds)).catch((error: unknown) => log.error({ error: wordsOf(error) }, 'leases were not renewed'))
  }, (leaseSeconds * 1000) / 3)

  const claimMore = async () => {
    const claim = await database.tenant(organizationId, (tx) =>
      claimDue(tx, { limit: parts.batch, worker: parts.worker, leaseSeconds, purposes: Object.keys(parts.composers) as DeliveryPurpose[] }))
    const claimedAt = performance.now()
    for (const claimed of claim.claimed) {
      inHand.add(claimed)
      queue.push({ claimed, notBefore: claimedAt + claimed.waitMs })
    }
    // What need not wait goes before what does.
    queue.sort((a, b) => a.notBefore - b.notBefore)
    for (const { state } of claim.refused) report[state]++
    if (claim.claimed.length > 0) await parts.failpoint('deliver.claimed')
    if (claim.nextInMs !== null) {
      const pause = Math.min(claim.nextInMs, LOOK_MS)
      if (claimedAt + pause >= turnEnds || (inHand.size === 0 && claim.nextInMs > IDLE_MS)) [report.nextInMs, exhausted] = [claim.nextInMs, true]
      else {
        rest = wait(pause, undefined, { signal }).catch(() => undefined).finally(() => {
          rest = null
        })
      }
    } else exhausted = claim.claimed.length + claim.refused.length < parts.batch
    if (!exhausted && performance.now() > turnEnds) [report.nextInMs, exhausted] = [0, true]
  }

  const next = async () => {
    for (;;) {
      if (over()) return undefined
      if (queue.length <= parts.batch / 2 && !exhausted && rest === null) {
        refill ??= claimMore()
          .catch((error: unknown) => {
            broken = error
          })
          .finally(() => {
            refill = null
          })
      }
      const first = queue.shift()
      if (first) return first
      if (refill === null && rest === null) return undefined
      await (refill ?? rest)
    }
  }

  const settle = async (claimed: Claimed, verdict: Verdict) => {
    try {
      const recorded = await ledger.record({ claimed, verdict })
      if (recorded) report[COUNTED[verdict.is]]++
      else log.warn({ delivery: claimed.id, came: verdict.is }, 'the delivery is no longer ours; the answer was not recorded')
    } catch (error) {
      broken = error
      log.error({ delivery: claimed.id, came: verdict.is, error: wordsOf(error) }, 'the answer could not be recorded; the lease will settle it')
    } finally {
      inHand.delete(claimed)
    }
  }

  const lane = async () => {
    for (;;) {
      const first = await next()
      if (!first) return
      const { claimed, notBefore } = first
      const verdict = await deliver(parts, claimed, notBefore, ledger, signal, (outcome) => {
        outage = true
        report.outage = true
        report.nextInMs = outcome.is === 'loginRefused' ? parts.loginRetrySeconds * 1000 : UNREACHABLE_RETRY_MS
      })
      await settle(claimed, verdict)
      if (verdict.is === 'sent') await parts.failpoint('deliver.recorded')
    }
  }

  try {
    // Some are composed, their passwords hashed, while others are on the wire.
    await Promise.all(Array.from({ length: mailer.connections * 3 + 2 }, lane))
    await Promise.resolve(refill)
    await Promise.all(queue.splice(0).map(({ claimed }) => settle(claimed, { is: 'giveBack', reason: 'not begun' })))
  } finally {
    clearInterval(heartbeat)
    fences.close()
    verdicts.close()
  }
  if (broken !== undefined) throw broken
  // What was given back is due again, and perhaps to be refused now with its reason.
  if (signal.aborted || report.givenBack > 0) report.nextInMs ??= 0
  return report
}

/** False while SMTP is paused. When a pause is over, the one worker that is chosen tries the login before anything is claimed. */
async function mayBegin(parts: SendParts, report: SendReport): Promise<boolean> {
  const pause = await askSmtpPause(parts.database, parts.loginRetrySeconds)
  if (pause.is === 'open') return true
  report.nextInMs = pause.is === 'paused' ? pause.inMs : parts.loginRetrySeconds * 1000
  report.outage = true
  if (pause.is === 'paused') return false
  const failure = await parts.mailer.probe()
  if (failure !== null) {
    parts.log.info({ failure: failure.is }, 'mail is still paused')
    return false
  }
  await resumeSmtp(parts.database)
  parts.log.info({}, 'the mail server takes our login again; mail goes on')
  report.nextInMs = null
  report.outage = false
  return true
}

/** Takes one claimed delivery as far as it goes, and says what came of it. Never throws. */
async function deliver(
  parts: SendParts,
  claimed: Claimed,
  notBefore: number,
  ledger: Ledger,
  signal: AbortSignal,
  onOutage: (outcome: Outcome) => void,
): Promise<Verdict> {
  let own
  try {
    own = await parts.ownWording(claimed)
  } catch (error) {
    return { is: 'giveBack', reason: `the wording could not be read: ${wordsOf(error)}` }
  }
  let mail
  try {
    mail = await prepare(parts, claimed, own)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'compose_failed'
    parts.log.error({ delivery: claimed.id, code }, 'the mail could not be made')
    return { is: 'failed', reason: `${code}: the mail could not be made`, response: null }
  }
  const { secret, messageId, envelope, bytes, sealed } = mail
  const early = notBefore - performance.now()
  if (early > 0) await wait(early, undefined, { signal }).catch(() => undefined)
  if (signal.aborted) return { is: 'giveBack', reason: 'shutting down' }

  const outcome = await parts.mailer.send(envelope, bytes, async () => {
    await parts.failpoint('deliver.inData')
    const askedAt = performance.now()
    const granted = await ledger.finish({ claimed, messageId, sealed })
    await parts.failpoint('deliver.fenced')
    // A process that was stopped or blocked here for as long as its lease may have been taken for dead (faults 11 and 12).
    return granted && performance.now() - askedAt < parts.leaseSeconds * 1000
  })
  if (outcome.is === 'accepted') await parts.failpoint('deliver.answered')
  if (outcome.is === 'loginRefused' || outcome.is === 'unreachable') onOutage(outcome)
  if (outcome.is === 'loginRefused') await pauseMail(parts, redact(outcome.response, secret))
  return judge(outcome, claimed.attempts, () => parts.random(1)[0]! / 256, (words) => redact(words, secret))
}

async function pauseMail({ database, log, loginRetrySeconds }: SendParts, words: string): Promise<void> {
  try {
    if (await pauseSmtp(database, words, loginRetrySeconds)) log.error({ alert: 'smtp_login_refused', response: words }, 'the mail server refuses our login: all mail is paused; check SMTP_URL')
  } catch (error) {
    log.error({ error: wordsOf(error), response: words }, 'the mail server refuses our login, and the pause could not be recorded')
  }
}

async function prepare({ composers, templates, defaultFrom, random }: SendParts, claimed: Claimed, own: CompiledTemplate | null) {
  const { purpose, organization } = claimed
  const { variables, secret, sealed } = await composers[purpose]!.compose(claimed)
  const content = own === null ? render<typeof purpose>(templates, purpose, organization.language, variables) : renderTemplate<typeof purpose>(own, variables)
  const from = organization.settings.mail.from ?? defaultFrom
  const domain = addressOf(from).split('@')[1]!
  const reference = newReference(claimed, random)
  const messageId = `<${reference}@${domain}>`
  const returnPath = envelopeSender(organization.settings.mail.bounceAddress, reference)
  const name = claimed.person === null || claimed.deliverTo !== null ? '' : `${claimed.person.firstName} ${claimed.person.lastName}`
  const { envelope, bytes } = await buildMessage({ ...content, from, to: { name, address: claimed.to }, messageId, date: claimed.claimedAt, returnPath, reference })
  return { secret, sealed, messageId, envelope, bytes }
}
