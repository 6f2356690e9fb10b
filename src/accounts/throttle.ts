import { createHmac } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import type { Transaction } from '../entities/database.ts'
import { keyFor } from '../organizations/seal.ts'
import { planned } from './planned.ts'

/** Tries that are counted together: at most `limit` in a window of so many seconds, which begins with the first of them. */
export type Counter = { key: string; limit: number; seconds: number }

/** A transaction of an organization or of none: the table belongs to none. */
type Statements = Pick<Transaction, 'client' | 'run'>

const QUARTER = 15 * 60
const HOUR = 60 * 60

/** How often something may be tried in vain, by what is counted. */
export const LIMITS = {
  /** From one client address: an office behind one address is many people. */
  address: { limit: 100, seconds: QUARTER },
  /** At one user id from browsers that never signed in to it: nobody else is locked out by them, and these for a quarter of an hour at most. */
  account: { limit: 10, seconds: QUARTER },
  /** At one user id from one browser that has signed in to it. */
  device: { limit: 10, seconds: QUARTER },
  /** The current password, asked for by a change of password. */
  current: { limit: 10, seconds: QUARTER },
  /** Links that are none, and registrations that were refused, from one address. */
  token: { limit: 100, seconds: QUARTER },
  /** Mails to choose a new password, for one name or address as it was typed, and for one user however asked for. */
  forgot: { limit: 3, seconds: HOUR },
  forgotUser: { limit: 3, seconds: HOUR },
  /** As forgot, from one address. */
  forgotAddress: { limit: 20, seconds: HOUR },
  /** API keys that are none, from one address. */
  apiKey: { limit: 100, seconds: QUARTER },
} as const satisfies Record<string, { limit: number; seconds: number }>

/** A counter of one kind for one thing. Its key is an HMAC-SHA-256: neither addresses nor names stand in the table. */
export function counterOf(secret: string, kind: keyof typeof LIMITS, ...value: readonly string[]): Counter {
  const key = createHmac('sha256', keyFor(secret, 'throttle')).update(JSON.stringify([kind, ...value])).digest('base64url')
  return { key, ...LIMITS[kind] }
}

/**
 * SQL that counts one try for each row of a query of key and seconds, and returns key, count and the seconds until the window ends. In the
 * order of keys, as in giveBackSql: two transactions that count the same two things wait for each other one way round only.
 */
export const countSql = (counters: string): string => `
  insert into throttles as t (key, count, ends_at)
  select k.key, 1, now() + make_interval(secs => k.seconds) from (${counters}) k order by k.key
  on conflict (key) do update set
    count = case when t.ends_at <= now() then 1 else t.count + 1 end,
    ends_at = case when t.ends_at <= now() then excluded.ends_at else t.ends_at end
  returning t.key, t.count, greatest(1, ceil(extract(epoch from t.ends_at - now())))::int as seconds`

/** What countSql returns. */
export type CountedRow = { key: string; count: number; seconds: number }

/** SQL for parts of a statement that take a try back. `keys` is an expression for text[]. */
export const giveBackSql = (keys: string): string => `
  mine as (select key from throttles where key = any (${keys}) order by key for update),
  given_back as (update throttles t set count = greatest(t.count - 1, 0) from mine where t.key = mine.key)`

/**
 * Counts a try before it is made, so that many at the same moment are not all let through: whoever made it in vain leaves it counted,
 * whoever did not gives it back. Where one of the counters is at its limit, none counts.
 * @returns 0: go on; else the seconds until the window ends
 */
export async function countTry(tx: Statements, counters: readonly Counter[]): Promise<number> {
  if (counters.length === 0) return 0
  return refuseBeyond(tx, counters, await count(tx, counters))
}

/**
 * Counts a try for each of the counters by itself. Those that are at their limit stay there.
 * @returns the keys of those that were not
 */
export async function countEach(tx: Statements, counters: readonly Counter[]): Promise<Set<string>> {
  if (counters.length === 0) return new Set()
  const counts = new Map((await count(tx, counters)).map((row) => [row.key, row.count]))
  const isWithin = ({ key, limit }: Counter): boolean => counts.get(key)! <= limit
  await giveBack(tx, counters.filter((counter) => !isWithin(counter)))
  return new Set(counters.filter(isWithin).map(({ key }) => key))
}

const count = (tx: Statements, counters: readonly Counter[]): Promise<CountedRow[]> =>
  planned<CountedRow>(tx, 'throttle.count', countSql('select * from unnest($1::text[], $2::int[]) as u (key, seconds)'), [counters.map(({ key }) => key), counters.map(({ seconds }) => seconds)])

/** The seconds to wait where a count is beyond its limit, and then takes the try back; else 0. */
export async function refuseBeyond(tx: Statements, counters: readonly Counter[], rows: readonly CountedRow[]): Promise<number> {
  const limits = new Map(counters.map(({ key, limit }) => [key, limit]))
  const exceeded = rows.filter(({ key, count }) => count > limits.get(key)!)
  if (exceeded.length === 0) return 0
  await giveBack(tx, counters)
  return Math.max(...exceeded.map(({ seconds }) => seconds))
}

/** Takes a try back that was not in vain. */
export async function giveBack(tx: Statements, counters: readonly Counter[]): Promise<void> {
  if (counters.length > 0) await planned(tx, 'throttle.give_back', `with ${giveBackSql('$1::text[]')} select`, [counters.map(({ key }) => key)])
}

/** Forgets everything that was counted. */
export async function clearCounter(tx: Statements, counter: Counter): Promise<void> {
  await tx.run('delete from throttles where key = $1', [counter.key])
}

/**
 * A client's address as it is counted: an IPv4 address as it is, of an IPv6 address its first 64 bits, as one customer of a provider has all
 * that begin so; in other forms the text itself, shortened.
 */
export function addressCounted(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
  if (isIPv4(mapped)) return mapped
  const bare = address.split('%')[0]!
  if (!isIPv6(bare)) return address.slice(0, 100)
  const [head = '', tail] = bare.toLowerCase().replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail ? tail.split(':') : []
  const groups = tail === undefined ? front : [...front, ...Array.from({ length: 8 - front.length - back.length }, () => '0'), ...back]
  return `${groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}
