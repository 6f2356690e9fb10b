import type { Transaction } from '../entities/database.ts'
import { FIRST_WAVE } from './recheck.ts'
import { freezeRelease, letRestGo } from './releases.ts'

/** What became of a first wave's mails. Those that were left out at sending (cancelled, held) say nothing about the others, and do not count. */
export type Wave = {
  sent: number
  /** Failed, bounced, or nobody knows. */
  troubled: number
  /** Refused for now, and to be tried again. */
  retrying: number
  /** Not tried yet, or under way. */
  untried: number
}

/** From this share of a wave on, in per cent, the rest does not follow by itself. */
export const TROUBLE_PERCENT = 20
/** One mistyped address in a small wave says nothing about the rest: so many have to be in trouble besides, or half of the wave. */
export const TROUBLE_AT_LEAST = 3

/**
 * What follows from a first wave (spec D6). `freeze`: too many of it failed, came back or are unknown, which only gets worse; a person looks.
 * `wait`: the time has not come, some were not tried yet, or too many are refused for now. `go`: the rest may leave. Pure.
 * @param due whether the time of the rest has come
 */
export function judgeWave(wave: Wave, due: boolean): 'go' | 'wait' | 'freeze' {
  const { sent, troubled, retrying, untried } = wave
  const size = sent + troubled + retrying + untried
  const much = (count: number): boolean => count > 0 && count * 100 >= size * TROUBLE_PERCENT && (count >= TROUBLE_AT_LEAST || count * 2 >= size)
  if (much(troubled)) return 'freeze'
  return due && untried === 0 && !much(troubled + retrying) ? 'go' : 'wait'
}

/** What a sweep has done with the releases of an organization. */
export type Swept = { begun: string[]; followed: string[]; frozen: { id: string; name: string; reason: string }[]; finished: string[] }

/** As the audit trail names what happened by itself. */
const BY_ITSELF = 'muster'

/**
 * Everything about releases that time alone changes, for the transaction's organization: begins those whose date has come, looks at first
 * waves, and ends those of which nothing is open any more. Harmless to run twice, or by several at once.
 */
export async function sweepReleases(tx: Transaction): Promise<Swept> {
  // Each second and for every organization with an open release: mostly there is nothing to do, and one question finds that out.
  const [found] = await tx.query<{ some: boolean; stalled: boolean }>(
    `select exists (select from releases r where r.organization_id = $1 and (
       r.state = 'scheduled' and r.send_at <= now() or r.state = 'running' and (r.first_wave > 0 and r.rest_released_at is null or not ${HAS_OPEN}))) as some,
       exists (select from releases r where r.organization_id = $1 and r.state in ('scheduled', 'running') and ${HAS_STALLED}) as stalled`,
    [tx.organizationId],
  )
  if (found!.stalled) await letStalledGo(tx)
  if (!found!.some) return { begun: [], followed: [], frozen: [], finished: [] }
  const begun = await tx.query<{ id: string }>(
    `update releases set state = 'running', updated_at = now() where organization_id = $1 and state = 'scheduled' and send_at <= now() returning id`,
    [tx.organizationId],
  )
  const waves = await lookAtWaves(tx)
  const finished = await tx.query<{ id: string }>(
    `update releases r set state = 'finished', finished_at = now(), updated_at = now() where r.organization_id = $1 and r.state = 'running' and not ${HAS_OPEN} returning id`,
    [tx.organizationId],
  )
  return { begun: begun.map(({ id }) => id), ...waves, finished: finished.map(({ id }) => id) }
}

/** SQL: whether anything of release r is still to come. One that failed or is unknown wants a person, and is not. */
const HAS_OPEN = `exists (select from deliveries d where d.release_id = r.id and d.state in ('held', 'scheduled', 'queued', 'sending'))`

/** Whether the rest of release r still waits for its first wave. */
const REST_WAITS = '(r.first_wave > 0 and r.rest_released_at is null)'

/**
 * SQL: whether release r, which is not frozen, has mails that are held as if it were, or behind a first wave that is through. A claim holds
 * them so where its snapshot is older than the step that let the others go. While the rest waits, which may be many, only the wave is looked at.
 */
const HAS_STALLED = `(${REST_WAITS} and exists (select from deliveries d where d.release_id = r.id and d.first_wave and d.state = 'held' and d.reason = 'release_frozen')
    or not ${REST_WAITS} and exists (select from deliveries d where d.release_id = r.id and d.state = 'held' and d.reason in ('release_frozen', '${FIRST_WAVE}')))`

/** Where the release is frozen at this very moment, the next claim holds them again. */
function letStalledGo(tx: Transaction): Promise<number> {
  return tx.run(
    `with stalled as (
       select d.id, r.send_at from releases r join deliveries d on d.release_id = r.id
       where r.organization_id = $1 and r.state in ('scheduled', 'running') and d.state = 'held' and (d.reason = 'release_frozen' or d.reason = '${FIRST_WAVE}' and not ${REST_WAITS})
       order by d.id for no key update of d
     )
     update deliveries d set state = 'scheduled', send_at = greatest(d.send_at, s.send_at, now()), reason = null, updated_at = now() from stalled s where d.id = s.id and d.state = 'held'`,
    [tx.organizationId],
  )
}

async function lookAtWaves(tx: Transaction): Promise<Pick<Swept, 'followed' | 'frozen'>> {
  const running = await tx.query<{ id: string; name: string; due: boolean }>(
    `select id, name, send_at + make_interval(mins => rest_after_minutes) <= now() as due from releases
     where organization_id = $1 and state = 'running' and first_wave > 0 and rest_released_at is null order by id for no key update skip locked`,
    [tx.organizationId],
  )
  const found: Pick<Swept, 'followed' | 'frozen'> = { followed: [], frozen: [] }
  for (const { id, name, due } of running) {
    const wave = await readWave(tx, id)
    const verdict = judgeWave(wave, due)
    if (verdict === 'freeze') {
      const reason = `${FIRST_WAVE}: ${wave.troubled} of ${wave.sent + wave.troubled + wave.retrying + wave.untried} failed, came back or are unknown`
      await freezeRelease(tx, id, BY_ITSELF, reason)
      found.frozen.push({ id, name, reason })
    }
    if (verdict === 'go') {
      await tx.run('update releases set rest_released_at = now(), updated_at = now() where id = $1', [id])
      await letRestGo(tx, id)
      found.followed.push(id)
    }
  }
  return found
}

/** What has become of a release's first wave so far. */
export async function readWave(tx: Transaction, id: string): Promise<Wave> {
  const [row] = await tx.query<Wave>(
    `select count(*) filter (where state = 'sent')::int as sent,
       count(*) filter (where state in ('failed', 'bounced', 'unknown'))::int as troubled,
       count(*) filter (where state = 'scheduled' and attempts > 0)::int as retrying,
       count(*) filter (where state in ('queued', 'sending') or (state = 'scheduled' and attempts = 0))::int as untried
     from deliveries where release_id = $1 and first_wave and purpose <> 'alreadyRegistered'`,
    [id],
  )
  return row!
}
