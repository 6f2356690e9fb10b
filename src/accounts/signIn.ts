import type { Transaction } from '../entities/database.ts'
import { asLookedFor, type AccessParts } from './accessParts.ts'
import { newDevice, readDevice } from './devices.ts'
import { hashLane, MOST_WAITING } from './hashLanes.ts'
import { ENTITLED, LOGINABLE } from './loginable.ts'
import { hashPassword, needsRehash } from './passwords.ts'
import { planned } from './planned.ts'
import { addressCounted, counterOf, countSql, countTry, giveBack, giveBackSql, refuseBeyond, type CountedRow, type Counter } from './throttle.ts'
import { verifyEvenly } from './verifyEvenly.ts'

export type SignInAsked = {
  /** Null: an organization that there is not. It is answered like any other wrong sign-in. */
  organizationId: string | null
  username: string
  password: string
  /** The client's address; '': not known, and not counted. */
  address: string
  /** What earlier sign-ins from this browser gave: one for each person who has signed in from it. */
  device: string | readonly string[] | null
  /** Who says what the address is; addresses told by different parties are counted apart. Default: the portal itself. */
  addressBy?: string
}

export type SignedIn = {
  is: 'right'
  userId: string
  username: string
  firstName: string
  lastName: string
  mustChangePassword: boolean
  noticeAccepted: boolean
  /** To be kept by the browser and shown at its next sign-in. It opens nothing. */
  device: string
}

/** notReady: the password is right, and the account lacks a group, a profile or a license. */
export type SignInAnswer = SignedIn | { is: 'wrong' } | { is: 'notReady' } | { is: 'wait'; seconds: number }

/** Devices of one browser that are looked at. */
const MOST_DEVICES = 5

type Candidate = { id: string; username: string; firstName: string; lastName: string; passwordHash: string | null; loginable: boolean; entitled: boolean }
type Marks = { mustChangePassword: boolean; noticeAccepted: boolean }
/** The counters of one try; `device`: the token that the only one of them is of. */
type Counted = { counters: Counter[]; device: string | null }

/**
 * Whether a login is right (spec D4): user id within the organization and password, of an active user of an active contact who can log in
 * (spec C2), not of an organization with SSO. A right one sets the last login, and raises the hash when the setting went up.
 *
 * Whatever is wrong, the answer is the same and costs the same: the same statements, one argon2id (verifyEvenly.ts has the fine print).
 * Tries are counted before they are made and given back when they were right (throttle.ts); a throttled one costs no argon2id. Names that
 * nobody has are counted like the others. Somebody who signed in from this browser before has a counter of their own and no other, so that
 * nobody else's failures lock them out, at this account or from this address. Who gives the right password of an account that cannot log in
 * yet is told so, and nobody else.
 * @param alongside read or done in the transaction of a right sign-in, after the last login was set; its result is `alongside` of the answer
 */
export async function signIn<T = undefined>(
  parts: AccessParts,
  asked: SignInAsked,
  alongside?: (tx: Transaction, userId: string) => Promise<T>,
): Promise<(SignedIn & { alongside: T }) | Exclude<SignInAnswer, SignedIn>> {
  if (hashLane.waiting() >= MOST_WAITING) return { is: 'wait', seconds: 2 }
  const username = asLookedFor(asked.username)
  const begun = await begin(parts, asked, username)
  if (typeof begun === 'number') return { is: 'wait', seconds: begun }
  const { candidate, counted } = begun
  const matches = await hashLane(() => verifyEvenly(candidate?.passwordHash ?? null, asked.password, parts.hashCost))
  if (!candidate?.passwordHash || !matches || !candidate.entitled) return { is: 'wrong' }
  if (!candidate.loginable) {
    await parts.database.tenant(asked.organizationId!, (tx) => giveBack(tx, counted.counters))
    return { is: 'notReady' }
  }
  const settled = await settle(parts, asked, candidate as Candidate & { passwordHash: string }, counted, alongside)
  if (!settled) return { is: 'wrong' }
  const { id: userId, firstName, lastName } = candidate
  const device = counted.device ?? newDevice(parts.secret, asked.organizationId!, userId, parts.random)
  return { is: 'right', userId, username: candidate.username, firstName, lastName, ...settled, device }
}

/** Finds who may be meant and counts the try. Gives the seconds to wait where there were too many. */
async function begin({ database, secret }: AccessParts, asked: SignInAsked, username: string): Promise<{ candidate: Candidate | null; counted: Counted } | number> {
  const { organizationId } = asked
  const account = counterOf(secret, 'account', organizationId ?? '', username)
  const others = asked.address === '' ? [] : [counterOf(secret, 'address', asked.addressBy ?? '', addressCounted(asked.address))]
  if (organizationId === null) {
    const counters = [account, ...others]
    return (await database.fleet((tx) => countTry(tx, counters))) || { candidate: null, counted: { counters, device: null } }
  }
  const shown = [asked.device ?? []].flat().slice(0, MOST_DEVICES).flatMap((token) => {
    const device = readDevice(secret, organizationId, token)
    return device === null ? [] : [{ token, userId: device.userId, counter: counterOf(secret, 'device', organizationId, device.userId, device.nonce) }]
  })
  const strangers = [account, ...others]
  return database.tenant(organizationId, async (tx) => {
    const [found] = await planned<{ candidate: Candidate | null; rows: CountedRow[] }>(tx, 'sign_in.begin', BEGIN, [
      username, shown.map(({ userId }) => userId), shown.map(({ counter }) => counter.key), shown.map(({ counter }) => counter.seconds), strangers.map(({ key }) => key), strangers.map(({ seconds }) => seconds),
    ])
    const { candidate, rows } = found!
    const own = shown.find(({ counter }) => counter.key === rows[0]!.key)
    const counters = own ? [own.counter] : strangers
    return (await refuseBeyond(tx, counters, rows)) || { candidate, counted: { counters, device: own?.token ?? null } }
  }, { plannedOnce: true })
}

/**
 * Username; users, keys and seconds of the devices' counters; keys and seconds of the counters of those who show no device of this user. A count that a crash of the
 * database loses is no loss: the answer does not wait for the disk.
 */
const BEGIN = `
  with found as (
    select u.id::text as id, u.username, c.first_name as "firstName", c.last_name as "lastName", u.password_hash as "passwordHash", ${ENTITLED} as entitled, ${LOGINABLE} as loginable
    from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id where u.username = $1
  ), own as (
    select d.key, d.seconds from found f join unnest($2::text[], $3::text[], $4::int[]) as d (user_id, key, seconds) on d.user_id = f.id limit 1
  ), counted as (${countSql(`
    select key, seconds from own
    union all select s.key, s.seconds from unnest($5::text[], $6::int[]) as s (key, seconds) where not exists (select from own)`)}
  )
  select (select to_jsonb(f) from found f) as candidate, (select jsonb_agg(to_jsonb(r)) from counted r) as rows, set_config('synchronous_commit', 'off', true)`

/** Records a right sign-in; null where the user was deactivated meanwhile, or the password is another one now. */
async function settle<T>(parts: AccessParts, asked: SignInAsked, { id, passwordHash }: Candidate & { passwordHash: string }, { counters, device }: Counted, alongside: ((tx: Transaction, userId: string) => Promise<T>) | undefined): Promise<(Marks & { alongside: T }) | null> {
  const raised = needsRehash(passwordHash, parts.hashCost) ? await hashLane(() => hashPassword(asked.password, parts.random, parts.hashCost)) : null
  const keys = counters.map(({ key }) => key)
  // A device's own counter begins anew; the others are many people's.
  const back = device === null ? [keys, []] : [[], keys]
  return parts.database.tenant(asked.organizationId!, async (tx) => {
    let [marks] = await planned<Marks>(tx, 'sign_in.mark', MARK, [id, passwordHash, raised, ...back])
    // Two sign-ins at the same moment, of which the other one has raised the hash: the password is the same one.
    if (!marks) {
      const [now] = await tx.query<{ hash: string | null }>('select password_hash as hash from users where id = $1', [id])
      const isOther = now?.hash && now.hash !== passwordHash
      if (isOther && (await hashLane(() => verifyEvenly(now.hash, asked.password, parts.hashCost)))) [marks] = await planned<Marks>(tx, 'sign_in.mark', MARK, [id, now.hash, null, ...back])
    }
    if (!marks) return null
    return { ...marks, alongside: (await alongside?.(tx, id)) as T }
  }, { plannedOnce: true })
}

/** User, the hash that was right, one to take its place, the keys of counters that this try is taken back from, and of those that are forgotten. */
const MARK = `
  with marked as (
    update users u set last_login_at = now(), password_hash = coalesce($3, u.password_hash)
    from contacts c, organizations o where u.id = $1 and u.password_hash = $2 and c.id = u.contact_id and o.id = u.organization_id and ${LOGINABLE}
    returning u.must_change_password as "mustChangePassword", u.notice_accepted_at is not null as "noticeAccepted"
  ), ${giveBackSql(`case when exists (select from marked) then $4::text[] else '{}' end`)}, forgotten as (delete from throttles where key = any ($5::text[]) and exists (select from marked))
  select * from marked`
