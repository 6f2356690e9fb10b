import type { Database, Transaction } from '../entities/database.ts'
import { audit } from '../organizations/audit.ts'
import { seal, unsealWithEither, type SealKeys } from '../organizations/seal.ts'
import type { Settings } from '../organizations/declaration.ts'
import { inertCell } from '../rules/inert.ts'
import { endAccess } from './changeActivity.ts'
import { lockUsers, type LeftOutUser } from './lockUsers.ts'
import { generatePassword, hashPassword, type HashCost, type RandomBytes } from './passwords.ts'

/** A report can be fetched for so long, in minutes (spec D2). */
export const REPORT_MINUTES = 60

export type ReportedPassword = { username: string; firstName: string; lastName: string; email: string | null; password: string }

export type Chosen = {
  userIds: string[]
  leftOut: LeftOutUser[]
  /** Of those chosen: have chosen a password themselves or logged in already; theirs is reset. */
  registered: number
  /** Of those chosen: are owed a mail that makes yet another password when it leaves. */
  owed: number
}

/**
 * Who of these gets a new password by report (spec D2): whoever can log in. People who chose a password or logged in already are left
 * out unless `alsoRegistered`.
 */
export async function chooseForPasswords(tx: Transaction, userIds: readonly string[], alsoRegistered: boolean): Promise<Chosen> {
  const users = await lockUsers(tx, userIds)
  const registered = new Map(
    (await tx.query<{ userId: string; reason: string }>(
      `select id as "userId", case when password_chosen_at is not null then 'already_registered' else 'already_logged_in' end as reason
       from users where id = any ($1::bigint[]) and (password_chosen_at is not null or last_login_at is not null)`,
      [[...userIds]],
    )).map(({ userId, reason }) => [userId, reason]),
  )
  const reasonOf = ({ userId, state, contactState, loginable }: (typeof users)[number]): string | null => {
    if (state !== 'active') return 'user_inactive'
    if (contactState !== 'active') return 'contact_inactive'
    if (!loginable) return 'not_loginable'
    return alsoRegistered ? null : (registered.get(userId) ?? null)
  }
  const judged = users.map((user) => ({ ...user, reason: reasonOf(user) }))
  const chosen = judged.filter(({ reason }) => reason === null).map(({ userId }) => userId)
  const [owed] = await tx.query<{ count: number }>(
    `select count(distinct user_id)::int as count from deliveries where user_id = any ($1::bigint[]) and purpose in ('credentials', 'operatorCredentials') and state in ('held', 'scheduled', 'queued', 'sending')`,
    [chosen],
  )
  return {
    userIds: chosen,
    leftOut: judged.flatMap(({ userId, username, reason }) => (reason === null ? [] : [{ userId, username, reason }])),
    registered: chosen.filter((id) => registered.has(id)).length,
    owed: owed!.count,
  }
}

/** A password that exists nowhere but here yet, and what will be kept of it. */
export type MadePassword = { userId: string; password: string; hash: string }

export type Making = {
  policy: Settings['password']
  random: RandomBytes
  cost: HashCost
  /** So many are hashed at once. */
  lanes: number
  /** Told after each, with the number made so far. */
  progress?: (made: number) => void
}

/** Makes a password by policy for each user (spec D1), hashed in lanes. Writes nothing. */
export async function makePasswords(userIds: readonly string[], { policy, random, cost, lanes, progress }: Making): Promise<MadePassword[]> {
  const made: MadePassword[] = []
  const waiting = userIds.values()
  const lane = async (): Promise<void> => {
    for (const userId of waiting) {
      const password = readable(policy, random)
      made.push({ userId, password, hash: await hashPassword(password, random, cost) })
      progress?.(made.length)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, lanes) }, lane))
  return made
}

/** A password that stands in a CSV as it is: one that a spreadsheet would run as a formula is thrown away whole, so that all others stay equally likely. */
function readable(policy: Settings['password'], random: RandomBytes): string {
  for (;;) {
    const password = generatePassword(policy, random)
    if (inertCell(password) === password) return password
  }
}

export type Storing = { operator: string; secret: string; random: RandomBytes; alsoRegistered: boolean; mustChange: boolean }
export type StoredReport = { id: string; expiresAt: Date; userIds: string[]; leftOut: LeftOutUser[] }

const PURPOSE = 'password-report'
const contextOf = (organizationId: string, reportId: string): string => `${organizationId}/${reportId}`

/**
 * Puts new passwords in force and the report of them under seal, all in the caller's transaction: a crash leaves both or neither. Whoever
 * may no longer get one is left out of it, unchanged. Sessions of the others end, and their links to reset a password are void.
 * @returns null where nobody is left
 */
export async function storePasswords(tx: Transaction, made: readonly MadePassword[], { operator, secret, random, alsoRegistered, mustChange }: Storing): Promise<StoredReport | null> {
  const { userIds, leftOut, registered } = await chooseForPasswords(tx, made.map(({ userId }) => userId), alsoRegistered)
  if (userIds.length === 0) return null
  const byUser = new Map(made.map((one) => [one.userId, one]))
  const people = await tx.query<Omit<ReportedPassword, 'password'> & { userId: string }>(
    `update users u set password_hash = n.hash, must_change_password = $3, password_chosen_at = null, version = u.version + 1, updated_at = now()
     from unnest($1::bigint[], $2::text[]) as n (id, hash), contacts c where u.id = n.id and c.id = u.contact_id
     returning u.id as "userId", u.username, c.first_name as "firstName", c.last_name as "lastName", c.email`,
    [userIds, userIds.map((id) => byUser.get(id)!.hash), mustChange],
  )
  await endAccess(tx, userIds)
  const [report] = await tx.query<{ id: string; expiresAt: Date }>(
    `insert into password_reports (organization_id, users, created_by, expires_at) values ($1, $2, $3, now() + make_interval(mins => $4)) returning id, expires_at as "expiresAt"`,
    [tx.organizationId, userIds.length, operator, REPORT_MINUTES],
  )
  const lines = people
    .toSorted((a, b) => (a.username < b.username ? -1 : 1))
    .map(({ userId, username, firstName, lastName, email }): ReportedPassword => ({ username, firstName, lastName, email, password: byUser.get(userId)!.password }))
  const sealed = seal(secret, PURPOSE, contextOf(tx.organizationId, report!.id), Buffer.from(JSON.stringify(lines)), random)
  await tx.run('update password_reports set sealed = $2 where id = $1', [report!.id, sealed])
  await audit(tx, operator, 'users.passwords', { report: report!.id, users: userIds, registered })
  return { id: report!.id, expiresAt: report!.expiresAt, userIds, leftOut }
}

/** A report that cannot be shown: unknown, fetched already, or its hour is over. */
export class ReportRefused extends Error {
  readonly code: 'report.unknown' | 'report.fetched' | 'report.expired'
  readonly hint: string
  constructor(code: ReportRefused['code'], message: string, hint: string) {
    super(message)
    this.name = 'ReportRefused'
    this.code = code
    this.hint = hint
  }
}

const AGAIN = 'Make new passwords for these users: ./muster users passwords'

/**
 * Fetches a report, once (spec D2): of two at the same moment one gets it. What is kept under seal is gone with it.
 * @param keys a report may still be fetched in the hour in which MUSTER_SECRET was changed
 * @param handOver puts the passwords where the reader finds them; where it throws, the report stays, to be fetched again
 * @throws what handOver throws; ReportRefused; SealBroken where MUSTER_SECRET is another one, and then the report stays
 */
export function fetchReport(database: Database, organizationId: string, reportId: string, operator: string, keys: SealKeys, handOver: (lines: readonly ReportedPassword[]) => Promise<void>): Promise<ReportedPassword[]> {
  return database.tenant(organizationId, async (tx) => {
    const [report] = await tx.query<{ sealed: Buffer | null; users: number; over: boolean; fetchedAt: Date | null; fetchedBy: string | null }>(
      'select sealed, users, expires_at <= now() as over, fetched_at as "fetchedAt", fetched_by as "fetchedBy" from password_reports where id = $1 for update',
      [reportId],
    )
    if (!report) throw new ReportRefused('report.unknown', `There is no report ${reportId}.`, AGAIN)
    if (report.fetchedAt !== null) throw new ReportRefused('report.fetched', `Report ${reportId} was fetched by ${report.fetchedBy} at ${report.fetchedAt.toISOString()}; it is shown once.`, AGAIN)
    if (report.sealed === null || report.over) throw new ReportRefused('report.expired', `The hour of report ${reportId} is over, and its passwords are gone.`, AGAIN)
    const lines = JSON.parse(unsealWithEither(keys, PURPOSE, contextOf(organizationId, reportId), report.sealed).toString()) as ReportedPassword[]
    await tx.run('update password_reports set sealed = null, fetched_at = now(), fetched_by = $2 where id = $1', [reportId, operator])
    await audit(tx, operator, 'users.report', { report: reportId, users: report.users })
    await handOver(lines)
    return lines
  })
}
