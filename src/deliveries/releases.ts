import type { Transaction } from '../entities/database.ts'
import { RELEASE_LIFECYCLE, type ReleaseState } from '../entities/states.ts'
import { audit } from '../organizations/audit.ts'
import { chooseUsers, LEFT_OUT, type LeftOut } from './choose.ts'
import { oweMails } from './oweMails.ts'
import { FIRST_WAVE } from './recheck.ts'

/** What may be released: what gives people access, to themselves. */
export const RELEASE_PURPOSES = ['credentials', 'invitation'] as const
export type ReleasePurpose = (typeof RELEASE_PURPOSES)[number]

/** A release that cannot be made or changed as asked. */
export class ReleaseRefused extends Error {
  readonly code: 'release.unknown_id' | 'release.wrong_state' | 'release.nobody' | 'release.name_taken' | 'release.sso'
  readonly hint: string
  constructor(code: ReleaseRefused['code'], message: string, hint: string) {
    super(message)
    this.name = 'ReleaseRefused'
    this.code = code
    this.hint = hint
  }
}

export type ReleaseWish = {
  name: string
  userIds: readonly string[]
  purpose: ReleasePurpose
  /** Not before this instant; one that has passed: at once. */
  sendAt: Date
  /** Mails a minute over all workers; null: the organization's rate alone. */
  ratePerMinute: number | null
  /** So many leave first; 0: all at once. */
  firstWave: number
  /** Minutes from the first wave to the rest. */
  restAfterMinutes: number
  /** Who asks. */
  operator: string
}

/** What somebody did to a release, as it then is. `changed` is false where it was so already. */
export type Changed = { id: string; state: ReleaseState; changed: boolean; mails: number }

/** Refuses what no user of the organization may be released (spec C10). */
export async function assertReleasable(tx: Transaction): Promise<void> {
  const [row] = await tx.query<{ sso: boolean }>(`select settings #>> '{login,sso}' = 'true' as sso from organizations where id = $1`, [tx.organizationId])
  if (row?.sso) throw new ReleaseRefused('release.sso', 'The organization signs in through SSO: it sends neither credentials nor invitations.', 'Set "login": {"sso": false} in its declaration, and apply it, if that is no longer so.')
}

/**
 * Makes a release (spec D6): whoever can be mailed is owed the mail on its date, whoever cannot is left out with the reason. What imports
 * hold for the chosen is taken along; a mail with a date of its own keeps that. Of a first wave the rest is held until it has been looked at (waves.ts).
 * Throws ReleaseRefused where the organization uses SSO, nobody is left to be mailed, or an open release has the name already.
 * @returns `mailed` are users; `owed` counts their mails, and is less only where another process owed them at this moment
 */
export async function createRelease(tx: Transaction, wish: ReleaseWish): Promise<{ id: string; mailed: string[]; owed: number; leftOut: LeftOut[] }> {
  await assertReleasable(tx)
  // Two at once with one name: the second finds the first one's.
  await tx.query(`select pg_advisory_xact_lock(hashtext('muster.releases'), hashtext($1))`, [`${tx.organizationId}/${wish.name}`])
  const taken = await tx.query<{ id: string }>(`select id from releases where name = $1 and state in ('scheduled', 'running', 'frozen')`, [wish.name])
  if (taken.length > 0) throw new ReleaseRefused('release.name_taken', `There is an open release named ${JSON.stringify(wish.name)} already: ${taken[0]!.id}.`, `./muster release show ${taken[0]!.id} shows it. Give the new one another name.`)
  // Whoever is changed at this moment, or owed a mail by somebody else, is waited for, and judged as he or she is then.
  await tx.run('select from users where id = any ($1::bigint[]) order by id for no key update', [[...wish.userIds]])
  const { mailed, leftOut } = await chooseUsers(tx, { ...wish, forRelease: true })
  if (mailed.length === 0) throw nobodyLeft(leftOut)

  const [made] = await tx.query<{ id: string; sendAt: Date }>(
    `insert into releases (organization_id, name, state, send_at, rate_per_minute, first_wave, rest_after_minutes, created_by)
     values ($1, $2, 'scheduled', greatest($3::timestamptz, now()), $4, $5, $6, $7) returning id, send_at as "sendAt"`,
    [tx.organizationId, wish.name, wish.sendAt, wish.ratePerMinute, wish.firstWave < mailed.length ? wish.firstWave : 0, wish.restAfterMinutes, wish.operator],
  )
  const { id, sendAt } = made!
  const owed = await oweMails(tx, { userIds: mailed, purpose: wish.purpose, sendAt, releaseId: id })
  if (wish.firstWave > 0 && wish.firstWave < mailed.length) await partFirstWave(tx, id, wish)
  await audit(tx, wish.operator, 'releases.create', {
    releaseId: id, purpose: wish.purpose, sendAt: sendAt.toISOString(), ratePerMinute: wish.ratePerMinute, firstWave: wish.firstWave, mailed: owed, leftOut: countReasons(leftOut),
  })
  return { id, mailed, owed, leftOut }
}

/** How many are left out for each reason. */
export function countReasons(leftOut: readonly { reason: string }[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(leftOut, ({ reason }) => reason)].map(([reason, people]) => [reason, people.length]))
}

function nobodyLeft(leftOut: readonly LeftOut[]): ReleaseRefused {
  const why = Object.entries(countReasons(leftOut)).map(([reason, count]) => `${count}: ${LEFT_OUT[reason] ?? reason}`)
  return new ReleaseRefused('release.nobody', `Nobody is left who could be mailed. ${why.join(' ')}`.trim(), 'Mend what keeps them from it, or choose others.')
}

/** Spread over everybody, in no order that means anything: the wave is to look like the whole. */
async function partFirstWave(tx: Transaction, id: string, { firstWave, restAfterMinutes }: ReleaseWish): Promise<void> {
  await tx.run(
    `update deliveries d set first_wave = true from (
       select id from deliveries where release_id = $1 order by hashint8(user_id), id limit $2) w
     where d.id = w.id`,
    [id, firstWave],
  )
  await tx.run(
    `update deliveries d set state = 'held', reason = '${FIRST_WAVE}', send_at = d.send_at + make_interval(mins => $2), updated_at = now()
     where d.release_id = $1 and d.state = 'scheduled' and not d.first_wave`,
    [id, restAfterMinutes],
  )
}

type Locked = { id: string; name: string; state: ReleaseState; sendAt: Date; firstWave: number; restReleasedAt: Date | null; reason: string | null }

/** The release, locked until the transaction ends. Throws ReleaseRefused where it is not there, or in a state that allows no such step. */
async function lockFor(tx: Transaction, id: string, step: keyof typeof RELEASE_LIFECYCLE.transitions): Promise<Locked> {
  const [release] = /^\d{1,18}$/.test(id)
    ? await tx.query<Locked>(
        `select id, name, state, send_at as "sendAt", first_wave as "firstWave", rest_released_at as "restReleasedAt", reason from releases where id = $1 for no key update`,
        [id],
      )
    : []
  if (!release) throw unknownRelease(id)
  const { from, to } = RELEASE_LIFECYCLE.transitions[step]
  // A step that was taken already is not taken again, and that is no fault. What was resumed may be running by now.
  const taken = release.state === to || (step === 'resume' && release.state === 'running')
  if (!taken && !(from as readonly string[]).includes(release.state)) {
    throw new ReleaseRefused('release.wrong_state', `Release ${id} is ${release.state}: it cannot be ${DONE[step]}.`, `Only one that is ${from.join(' or ')} can. ./muster release show ${id}`)
  }
  return release
}
const DONE = { begin: 'begun', move: 'moved', freeze: 'frozen', resume: 'resumed', finish: 'finished', cancel: 'cancelled' } as const

/** There is no release of this id. */
export const unknownRelease = (id: string): ReleaseRefused => new ReleaseRefused('release.unknown_id', `There is no release ${JSON.stringify(id)}.`, './muster release list shows those there are.')

/** Whether it was its first wave that froze it. */
const frozeItself = ({ reason }: Locked): boolean => reason?.startsWith(FIRST_WAVE) === true

/** Mails of release $1 that somebody may still take back, locked in the order of their ids, as everybody does. */
const open = (states: string, more = ''): string => `with open as (select id from deliveries where release_id = $1 and state in (${states}) ${more} order by id for no key update)`

/** SQL: whether a held mail goes on as its release is moved; $2: with the rest behind its first wave. Who cannot log in stays held, with the new date. */
const LET_GO = `(d.state = 'held' and (d.reason = 'release_frozen' or $2 and d.reason = '${FIRST_WAVE}'))`

/**
 * Gives a release another date; what was frozen goes on, too. Mails not sent yet get the date; those that a worker has in its hands fall
 * at the fence, as their date is to come. Of a release that is under way what has left has left. One that froze itself over its first
 * wave goes on as a whole: whoever moves it has looked.
 * @param sendAt one that has passed: at once
 */
export async function moveRelease(tx: Transaction, id: string, sendAt: Date, operator: string): Promise<Changed> {
  const release = await lockFor(tx, id, 'move')
  const overridden = frozeItself(release)
  await tx.run(
    `update releases set state = 'scheduled', send_at = greatest($2::timestamptz, now()), reason = null, updated_at = now(),
       rest_released_at = case when $3 then now() else rest_released_at end where id = $1`,
    [id, sendAt, overridden],
  )
  // In one statement, as a mail may go from one of these states to another at this moment. One that is past the fence most likely leaves;
  // if the server refuses it for now, the date is the new one.
  const [moved] = await tx.query<{ mails: number }>(
    `${open(`'held', 'scheduled', 'queued', 'sending'`)}, moved as (
       update deliveries d set
         state = case when ${LET_GO} then 'scheduled' else d.state end,
         reason = case when d.state = 'scheduled' or ${LET_GO} then null else d.reason end,
         send_at = case when d.state in ('queued', 'sending') and r.send_at <= now() then d.send_at
           when d.reason = '${FIRST_WAVE}' and d.state = 'held' and not $2 then r.send_at + make_interval(mins => r.rest_after_minutes) else r.send_at end,
         updated_at = now()
       from open, releases r where d.id = open.id and r.id = $1 and d.state in ('held', 'scheduled', 'queued', 'sending') returning d.state
     )
     select (count(*) filter (where state <> 'sending'))::int as mails from moved`,
    [id, overridden],
  )
  const { mails } = moved!
  const changed = release.state !== 'scheduled' || release.sendAt.getTime() !== sendAt.getTime()
  if (changed) await audit(tx, operator, 'releases.move', { releaseId: id, from: release.sendAt.toISOString(), to: sendAt.toISOString(), mails })
  return { id, state: 'scheduled', changed, mails }
}

/**
 * Stops a release: nothing more of it leaves but the mails that are past the fence. What is scheduled is held; what a worker has in
 * its hands falls at the fence and is held by the next claim.
 * @param reason kept, for whoever wonders; null: an operator asked for it
 */
export async function freezeRelease(tx: Transaction, id: string, operator: string, reason: string | null = null): Promise<Changed> {
  const release = await lockFor(tx, id, 'freeze')
  if (release.state === 'frozen') return { id, state: 'frozen', changed: false, mails: 0 }
  await tx.run(`update releases set state = 'frozen', reason = $2, updated_at = now() where id = $1`, [id, reason])
  const mails = await tx.run(
    `${open(`'scheduled'`)} update deliveries d set state = 'held', reason = 'release_frozen', updated_at = now() from open where d.id = open.id and d.state = 'scheduled'`,
    [id],
  )
  await audit(tx, operator, 'releases.freeze', { releaseId: id, mails, ...(reason === null ? {} : { reason }) })
  return { id, state: 'frozen', changed: true, mails }
}

/**
 * Lets a frozen release go on: on its date, or now where that has passed. One that froze itself over its first wave lets the rest go, too:
 * whoever resumes it has looked. Otherwise the wait for the rest counts anew.
 */
export async function resumeRelease(tx: Transaction, id: string, operator: string): Promise<Changed> {
  const release = await lockFor(tx, id, 'resume')
  if (release.state !== 'frozen') return { id, state: release.state, changed: false, mails: 0 }
  const overridden = frozeItself(release)
  const inWave = release.firstWave > 0 && release.restReleasedAt === null
  await tx.run(
    `update releases set state = 'scheduled', reason = null, updated_at = now(), rest_released_at = case when $2 then now() else rest_released_at end,
       send_at = case when $3 then greatest(send_at, now()) else send_at end where id = $1`,
    [id, overridden, inWave && !overridden],
  )
  const mails = await tx.run(
    `${open(`'held'`, `and reason = 'release_frozen'`)}
     update deliveries d set state = 'scheduled', send_at = greatest(d.send_at, now()), reason = null, updated_at = now() from open where d.id = open.id and d.state = 'held'`,
    [id],
  )
  const rest = overridden ? await letRestGo(tx, id) : 0
  await audit(tx, operator, 'releases.resume', { releaseId: id, mails: mails + rest, overridden })
  return { id, state: 'scheduled', changed: true, mails: mails + rest }
}

/** The rest behind a first wave leaves from now on. Gives how many. */
export function letRestGo(tx: Transaction, id: string): Promise<number> {
  return tx.run(
    `${open(`'held'`, `and reason = '${FIRST_WAVE}'`)} update deliveries d set state = 'scheduled', send_at = now(), reason = null, updated_at = now() from open where d.id = open.id and d.state = 'held'`,
    [id],
  )
}

/** Ends a release for good: what has not left never will, and invitations of it that were never launched are revoked. */
export async function cancelRelease(tx: Transaction, id: string, operator: string): Promise<Changed> {
  const release = await lockFor(tx, id, 'cancel')
  if (release.state === 'cancelled') return { id, state: 'cancelled', changed: false, mails: 0 }
  await tx.run(`update releases set state = 'cancelled', finished_at = now(), updated_at = now() where id = $1`, [id])
  const cancelled = await tx.query<{ id: string }>(
    `${open(`'held', 'scheduled'`)}, ended as (
       update deliveries d set state = 'cancelled', reason = 'release_cancelled', updated_at = now() from open where d.id = open.id and d.state in ('held', 'scheduled')
       returning d.id, d.user_id, d.epoch, d.purpose
     ), revoked as (
       update invitations i set state = 'revoked' from ended e where e.purpose = 'invitation' and i.user_id = e.user_id and i.epoch = e.epoch and i.state = 'created'
     )
     select id from ended`,
    [id],
  )
  await audit(tx, operator, 'releases.cancel', { releaseId: id, mails: cancelled.length })
  return { id, state: 'cancelled', changed: true, mails: cancelled.length }
}

/** Whom an import owes mails, whatever became of them. */
export async function usersOwedBy(tx: Transaction, importId: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }>('select distinct user_id as id from deliveries where import_id = $1 and user_id is not null order by 1', [importId])
  return rows.map(({ id }) => id)
}
