import type { Transaction } from '../entities/database.ts'
import { asLookedFor, type AccessParts } from './accessParts.ts'
import { newDevice, readDevice, type Device } from './devices.ts'
import { hashLane, MOST_WAITING } from './hashLanes.ts'
import { LOGINABLE } from './loginable.ts'
import { hashPassword, needsRehash } from './passwords.ts'
import { planned } from './planned.ts'
import { addressCounted, clearCounter, counterOf, countSql, countTry, giveBackSql, refuseBeyond, type CountedRow, type Counter } from './throttle.ts'
import { verifyEvenly } from './verifyEvenly.ts'

export type SignInAsked = {
  /** Null: an organization that there is not. It is answered like any other wrong sign-in. */
  organizationId: string | null
  username: string
  password: string
  /** The client's address; '': not known, and not counted. */
  address: string
  /** What an earlier sign-in from this browser gave. */
  device: string | null
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

export type SignInAnswer = SignedIn | { is: 'wrong' } | { is: 'wait'; seconds: number }

type Candidate = { id: string; username: string; firstName: string; lastName: string; passwordHash: string | null; loginable: boolean }
type Marks = { mustChangePassword: boolean; noticeAccepted: boolean }
/** The counters of one try, and which of them is the account's or the device's. */
type Counted = { counters: Counter[]; person: Counter; device: Device | null }

/**
 * Whether a login is right (spec D4): user id within the organization and password, of an active user of an active contact who can log in
 * (spec C2), not of an organization with SSO. A right one sets the last login, and raises the hash when the setting went up.
 *
 * Whatever is wrong, the answer is the same and costs the same: the same statements, one argon2id (verifyEvenly.ts has the fine print).
 * Tries are counted before they are made and given back when they were right (throttle.ts); a throttled one costs no argon2id. Names that
 * nobody has are counted like the others. Somebody who signed in from this browser before has a counter of their own, so that nobody
 * else's failures lock them out.
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
  if (!candidate?.passwordHash || !matches || !candidate.loginable) return { is: 'wrong' }
  const settled = await settle(parts, asked, candidate as Candidate & { passwordHash: string }, counted, alongside)
  if (!settled) return { is: 'wrong' }
  const { id: userId, firstName, lastName } = candidate
  const device = counted.device && asked.device ? asked.device : newDevice(parts.secret, asked.organizationId!, userId, parts.random)
  return { is: 'right', userId, username: candidate.username, firstName, lastName, ...settled, device }
}

/** Finds who may be meant and counts the try. Gives the seconds to wait where there were too many. */
async function begin({ database, secret }: AccessParts, asked: SignInAsked, username: string): Promise<{ candidate: Candidate | null; counted: Counted } | number> {
  const { organizationId } = asked
  const account = counterOf(secret, 'account', organizationId ?? '', username)
  const others = asked.address === '' ? [] : [counterOf(secret, 'address', asked.addressBy ?? '', addressCounted(asked.address))]
  if (organizationId === null) {
    const counters = [account, ...others]
    return (await database.fleet((tx) => countTry(tx, counters))) || { candidate: null, counted: { counters, person: account, device: null } }
  }
  const shown = readDevice(secret, organizationId, asked.device)
  const ofDevice = shown === null ? null : counterOf(secret, 'device', organizationId, shown.userId, shown.nonce)
  return database.tenant(organizationId, async (tx) => {
    const [found] = await planned<{ candidate: Candidate | null; rows: CountedRow[] }>(tx, 'sign_in.begin', BEGIN, [
      username, account.key, account.seconds, shown?.userId ?? null, ofDevice?.key ?? null, ofDevice?.seconds ?? null, others.map(({ key }) => key), others.map(({ seconds }) => seconds),
    ])
    const { candidate, rows } = found!
    const device = shown !== null && shown.userId === candidate?.id ? shown : null
    const person = device === null ? account : ofDevice!
    const counters = [person, ...others]
    return (await refuseBeyond(tx, counters, rows)) || { candidate, counted: { counters, person, device } }
  }, { plannedOnce: true })
}

/**
 * Username; key and seconds of the account's counter; user, key and seconds of the device's; keys and seconds of the others. A count that a crash of the
 * database loses is no loss: the answer does not wait for the disk.
 */
const BEGIN = `
  with found as (
    select u.id::text as id, u.username, c.first_name as "firstName", c.last_name as "lastName", u.password_hash as "passwordHash", ${LOGINABLE} as loginable
    from users u join contacts c on c.id = u.contact_id join organizations o on o.id = u.organization_id where u.username = $1
  ), counted as (${countSql(`
    select case when d.own then $5::text else $2::text end as key, case when d.own then $6::int else $3::int end as seconds
    from (select coalesce((select id from found) = $4::text, false) as own) d
    union all select * from unnest($7::text[], $8::int[])`)}
  )
  select (select to_jsonb(f) from found f) as candidate, (select jsonb_agg(to_jsonb(r)) from counted r) as rows, set_config('synchronous_commit', 'off', true)`

/** Records a right sign-in; null where the user was deactivated meanwhile, or the password is another one now. */
async function settle<T>(parts: AccessParts, asked: SignInAsked, { id, passwordHash }: Candidate & { passwordHash: string }, { counters, person, device }: Counted, alongside: ((tx: Transaction, userId: string) => Promise<T>) | undefined): Promise<(Marks & { alongside: T }) | null> {
  const raised = needsRehash(passwordHash, parts.hashCost) ? await hashLane(() => hashPassword(asked.password, parts.random, parts.hashCost)) : null
  const keys = counters.map(({ key }) => key)
  return parts.database.tenant(asked.organizationId!, async (tx) => {
    let [marks] = await planned<Marks>(tx, 'sign_in.mark', MARK, [id, passwordHash, raised, keys])
    // Two sign-ins at the same moment, of which the other one has raised the hash: the password is the same one.
    if (!marks) {
      const [now] = await tx.query<{ hash: string | null }>('select password_hash as hash from users where id = $1', [id])
      const isOther = now?.hash && now.hash !== passwordHash
      if (isOther && (await hashLane(() => verifyEvenly(now.hash, asked.password, parts.hashCost)))) [marks] = await planned<Marks>(tx, 'sign_in.mark', MARK, [id, now.hash, null, keys])
    }
    if (!marks) return null
    if (device) await clearCounter(tx, person)
    return { ...marks, alongside: (await alongside?.(tx, id)) as T }
  }, { plannedOnce: true })
}

/** User, the hash that was right, one to take its place, and the keys of counters that this try is taken back from. */
const MARK = `
  with marked as (
    update users u set last_login_at = now(), password_hash = coalesce($3, u.password_hash)
    from contacts c, organizations o where u.id = $1 and u.password_hash = $2 and c.id = u.contact_id and o.id = u.organization_id and ${LOGINABLE}
    returning u.must_change_password as "mustChangePassword", u.notice_accepted_at is not null as "noticeAccepted"
  ), ${giveBackSql(`case when exists (select from marked) then $4::text[] else '{}' end`)}
  select * from marked`
