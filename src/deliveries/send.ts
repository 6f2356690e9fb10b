import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '../entities/database.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { render, renderTemplate, type CompiledTemplate, type Templates } from '../templates/render.ts'
import type { Background } from './background.ts'
import { envelopeSender, newReference } from './bounceAddress.ts'
import { claimDue } from './claim.ts'
import type { Claimed, Composers } from './compose.ts'
import { judge } from './judge.ts'
import { openLedger, renewLeases, type Ledger, type Verdict } from './ledger.ts'
import { addressOf, buildMessage, type Mailer, type Outcome } from './mailer.ts'
import { mayBegin, pauseMail, UNREACHABLE_RETRY_MS, type MailServer } from './mayBegin.ts'
import type { OwnWording } from './ownWording.ts'
import { redact } from './redact.ts'
import { wordsOf } from './replies.ts'
import { openTurnSessions } from './turnSessions.ts'

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
  /** Takes over what a turn would only wait for; null: a turn sees all of its mails to their end. */
  background: Background | null
  /** What the turns of this process know together. */
  server: MailServer
  /** Turns of this process that have database connections of their own. */
  held: { turns: number }
}

export type SendReport = Record<(typeof COUNTS)[number], number> & {
  /** Milliseconds until it is worth asking again; 0: there is more due at once; null: nothing more is due. */
  nextInMs: number | null
  /** The mail server is away or refuses our login: nothing can leave until it is back. */
  outage: boolean
}

const COUNTS = ['sent', 'failed', 'retried', 'unknown', 'givenBack', 'cancelled', 'held'] as const
const COUNTED = { sent: 'sent', failed: 'failed', retry: 'retried', unknown: 'unknown', giveBack: 'givenBack' } as const
/** While mails wait for their instants it is asked this often what else has come due: somebody may wait for a new password. */
const LOOK_MS = 250
/** With nothing in hand, and nothing to do for longer than this, the turn is over: others have theirs, and the sweep comes back. */
const IDLE_MS = 500
/** Mails of which nothing was heard for so long are left to the background, where there is one. */
const STUCK_MS = 500
/** When the turn is over, what is in hand has so long to end before it is left to the background. */
const GRACE_MS = 1_000
/** A claim of so many is worth connections of its own. */
const MANY = 25
/** Batches of an organization in the background with which it has to wait for the mail server, and claims no more. */
const FULL = 5

/**
 * Sends what an organization has due, until nothing is left, the turn is over, or `signal` aborts. Several workers may do so at
 * once for the same organization. Mails already under way are always seen to their end, and what comes due meanwhile does not wait for them.
 * With a background it resolves as soon as there is only something to wait for: an instant or a slow answer; the report counts what was
 * settled until then. Throws where the database is gone; then everything is settled by the leases (sweep.ts).
 */
export async function sendDue(parts: SendParts, organizationId: string, signal: AbortSignal): Promise<SendReport> {
  const { database, mailer, log, leaseSeconds, background } = parts
  const report: SendReport = { sent: 0, failed: 0, retried: 0, unknown: 0, givenBack: 0, cancelled: 0, held: 0, nextInMs: null, outage: false }
  if (background !== null && background.holding(organizationId) >= FULL * parts.batch) return { ...report, nextInMs: IDLE_MS }
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
  /** Nothing more is due: it is only looked again as long as something is in hand. */
  let idle = false
  let endRest = new AbortController()
  /** When something was last claimed or settled. */
  let stirredAt = performance.now()
  let grace: NodeJS.Timeout | undefined
  const leave = Promise.withResolvers<void>()
  const over = () => outage || broken !== undefined || signal.aborted

  const sessions = openTurnSessions(database, organizationId, parts.held)
  const ledger = openLedger(sessions, parts.composers, leaseSeconds)
  const heartbeat = setInterval(() => {
    if (inHand.size === 0) return
    database.tenant(organizationId, (tx) => renewLeases(tx, [...inHand], leaseSeconds)).catch((error: unknown) => log.error({ error: wordsOf(error) }, 'leases were not renewed'))
  }, (leaseSeconds * 1000) / 3)

  const restFor = (milliseconds: number, waking: AbortSignal) => {
    rest = wait(milliseconds, undefined, { signal: AbortSignal.any([signal, waking]) }).catch(() => undefined).finally(() => void (rest = null))
  }
  const giveBackQueue = () => Promise.all(queue.splice(0).map(({ claimed }) => settle(claimed, { is: 'giveBack', reason: 'not begun' })))
  /** Claims no more. What is in hand is left to the background, at once or when it had time enough to end. */
  const endTurn = (nextInMs: number | null, leaving: 'at once' | 'in time') => {
    exhausted = true
    if (!outage) report.nextInMs = nextInMs
    if (leaving === 'at once') leave.resolve()
    else if (background !== null) grace ??= setTimeout(() => void giveBackQueue().then(() => leave.resolve()), GRACE_MS)
  }

  const claimMore = async () => {
    const claim = await database.tenant(organizationId, (tx) =>
      claimDue(tx, { limit: parts.batch, worker: parts.worker, leaseSeconds, purposes: Object.keys(parts.composers) as DeliveryPurpose[] }))
    const claimedAt = performance.now()
    idle = false
    for (const claimed of claim.claimed) {
      inHand.add(claimed)
      queue.push({ claimed, notBefore: claimedAt + claimed.waitMs })
    }
    // What need not wait goes before what does.
    queue.sort((a, b) => a.notBefore - b.notBefore)
    for (const { state } of claim.refused) report[state]++
    const found = claim.claimed.length + claim.refused.length
    if (found > 0) stirredAt = claimedAt
    if (claim.claimed.length >= MANY && claim.nextInMs === null) sessions.hurry()
    if (claim.claimed.length > 0) await parts.failpoint('deliver.claimed')
    const ends = (pause: number) => claimedAt + pause >= turnEnds
    if (claim.nextInMs !== null) {
      const pause = Math.min(claim.nextInMs, LOOK_MS)
      // Its instants are waited for elsewhere: meanwhile the place is for another organization.
      if (background !== null && claim.nextInMs > 0) endTurn(claim.nextInMs, 'at once')
      else if (ends(pause) || (inHand.size === 0 && claim.nextInMs > IDLE_MS)) endTurn(claim.nextInMs, 'in time')
      else restFor(pause, new AbortController().signal)
    } else if (found < parts.batch) {
      // What was given back would be claimed again and again.
      if (inHand.size === 0 || report.givenBack > 0 || ends(LOOK_MS)) endTurn(null, 'in time')
      else if (background !== null && claimedAt - stirredAt > STUCK_MS) endTurn(null, 'at once')
      else {
        idle = true
        endRest = new AbortController()
        restFor(LOOK_MS, endRest.signal)
      }
    }
    if (!exhausted && performance.now() > turnEnds) endTurn(0, 'in time')
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
      // Given back it is due at once, and whoever only looks for what else has come due would claim it again.
      if (verdict.is === 'giveBack' && idle) {
        endTurn(report.nextInMs, 'in time')
        await refill
      }
      const recorded = await ledger.record({ claimed, verdict })
      if (recorded) report[COUNTED[verdict.is]]++
      else log.warn({ delivery: claimed.id, came: verdict.is }, 'the delivery is no longer ours; the answer was not recorded')
    } catch (error) {
      broken = error
      log.error({ delivery: claimed.id, came: verdict.is, error: wordsOf(error) }, 'the answer could not be recorded; the lease will settle it')
    } finally {
      inHand.delete(claimed)
      stirredAt = performance.now()
      if (inHand.size === 0 || exhausted) endRest.abort()
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
        if (outcome.is === 'unreachable') parts.server.away = true
        report.nextInMs = outcome.is === 'loginRefused' ? parts.loginRetrySeconds * 1000 : UNREACHABLE_RETRY_MS
      })
      await settle(claimed, verdict)
      if (verdict.is === 'sent') await parts.failpoint('deliver.recorded')
    }
  }

  const toTheEnd = async () => {
    try {
      // Some are composed, their passwords hashed, while others are on the wire.
      await Promise.all(Array.from({ length: mailer.connections * 3 + 2 }, lane))
      await Promise.resolve(refill)
      await giveBackQueue()
    } finally {
      clearTimeout(grace)
      clearInterval(heartbeat)
      sessions.share()
    }
    if (broken !== undefined) throw broken
  }
  const work = toTheEnd()
  const left = background === null ? await work : await Promise.race([work, leave.promise.then(() => 'left' as const)])
  // What was given back is due again, and perhaps to be refused now with its reason.
  if (signal.aborted || report.givenBack > 0) report.nextInMs ??= 0
  if (left !== 'left' || background === null) return report
  const soFar = { ...report }
  sessions.share()
  background.keep(organizationId, inHand, work.then(
    () => log.info({ organizationId, ...countsSince(soFar, report) }, 'delivered'),
    (error: unknown) => log.error({ organizationId, error: wordsOf(error) }, 'mails could not be seen to their end; the leases will settle them'),
  ))
  return soFar
}

/** What was settled after a report. */
const countsSince = (before: SendReport, after: SendReport) => Object.fromEntries(COUNTS.map((name) => [name, after[name] - before[name]]))

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
