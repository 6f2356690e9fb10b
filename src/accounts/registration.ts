import type { Database, Transaction } from '../entities/database.ts'
import type { Settings } from '../organizations/declaration.ts'
import { checkUsername, numberedUsername, splitUsername } from '../rules/usernames.ts'
import { portalOrganizationOf, type AccessParts, type PortalOrganization, type Problem } from './accessParts.ts'
import { storeChosen } from './choosePassword.ts'
import { newDevice } from './devices.ts'
import { hashLane } from './hashLanes.ts'
import { hashToken } from './invitations.ts'
import { judgePassword, personalWords } from './judgePassword.ts'
import { hashPassword } from './passwords.ts'
import { addressCounted, counterOf, countTry, giveBack } from './throttle.ts'

export { portalOrganization, type PortalOrganization, type Problem } from './accessParts.ts'

/** Why a link leads nowhere. used: somebody has registered with it, or the person has a password of their own by other means. */
export type Gone = 'unknown' | 'expired' | 'revoked' | 'used'

export type InvitationRead =
  | { is: 'open'; organization: PortalOrganization; firstName: string; lastName: string; /** The one given so far, as a proposal. */ username: string; expiresAt: Date }
  | { is: 'gone'; why: Gone; organization: PortalOrganization | null }

export type Registered =
  /** `device` is for the browser, as after a sign-in: whoever followed the mailed link is nobody's attacker. */
  | { is: 'registered'; organizationId: string; userId: string; device: string }
  | { is: 'refused'; problems: Problem[] }
  | { is: 'gone'; why: Gone }
  /** Too many links that are none, or too many refused registrations, came from this address. */
  | { is: 'wait'; seconds: number }

type Invited = {
  id: string
  userId: string
  state: string
  expired: boolean
  expiresAt: Date
  active: boolean
  settled: boolean
  username: string
  firstName: string
  lastName: string
  email: string | null
}

/**
 * What a mailed link leads to. Reads only, as mail scanners open links before people do.
 * @param token as in the link
 */
export async function readInvitation({ database }: Pick<AccessParts, 'database'>, token: string): Promise<InvitationRead> {
  const organizationId = await organizationOf(database, token)
  if (organizationId === null) return { is: 'gone', why: 'unknown', organization: null }
  return database.tenant(organizationId, async (tx) => {
    const organization = await portalOrganizationOf(tx)
    const invited = await readInvited(tx, token)
    const why = invited ? whyGone(invited, organization.settings) : 'unknown'
    if (!invited || why) return { is: 'gone', why: why ?? 'unknown', organization }
    const { firstName, lastName, username, expiresAt } = invited
    return { is: 'open', organization, firstName, lastName, username, expiresAt }
  })
}

/**
 * Registers the invited person (spec D3, D4): the user id and password are theirs from here on, and the invitation is in progress. One
 * transaction under a lock on the invitation, behind the hashing, which takes long: of two that use a link at the same moment one wins, and the
 * other finds it used. Where two people choose the same user id at the same moment, the unique index decides; the link of the other one
 * still works. What is refused changes nothing.
 * @param chosen `address` of the client, by which vain attempts are counted; none: they are not
 */
export async function register(parts: AccessParts, token: string, chosen: { username: string; password: string; address?: string }): Promise<Registered> {
  const { database, secret, random, hashCost } = parts
  const counters = chosen.address ? [counterOf(secret, 'token', addressCounted(chosen.address))] : []
  const seconds = await database.fleet((tx) => countTry(tx, counters))
  if (seconds > 0) return { is: 'wait', seconds }
  const organizationId = await organizationOf(database, token)
  if (organizationId === null) return { is: 'gone', why: 'unknown' }
  const judged = await database.tenant(organizationId, (tx) => judge(tx, token, chosen))
  if (judged.is !== 'judged') return judged
  const { username, words, settings } = judged
  const problems = [...judged.problems, ...(await judgePassword(chosen.password, { passwordLength: settings.onboarding.passwordLength, words }))]
  if (problems.length > 0 || username === null) return { is: 'refused', problems }
  const passwordHash = await hashLane(() => hashPassword(chosen.password, random, hashCost))
  try {
    return await database.tenant(organizationId, async (tx) => {
      // The user first: whatever else is done about this person at the moment, such as another link, comes before or behind.
      await tx.run('select from users where id = (select user_id from invitations where token_hash = $1) for update', [hashToken(token)])
      const invited = await readInvited(tx, token, 'for update of i')
      const why = invited ? whyGone(invited, settings) : 'unknown'
      if (!invited || why) return { is: 'gone', why: why ?? 'unknown' }
      if (username !== invited.username) await rename(tx, invited.userId, invited.username, username)
      await storeChosen(tx, invited.userId, passwordHash, null)
      await tx.run(`update invitations set state = 'in_progress' where id = $1`, [invited.id])
      await tx.run(`update invitations set state = 'revoked' where user_id = $1 and id <> $2 and state in ('created', 'launched', 'expired')`, [invited.userId, invited.id])
      // Another invitation that was owed meanwhile would lead nowhere. What a worker has in its hands meets the re-check at the fence.
      await tx.run(`update deliveries set state = 'cancelled', reason = 'already_registered', updated_at = now() where user_id = $1 and purpose = 'invitation' and state in ('held', 'scheduled')`, [invited.userId])
      await giveBack(tx, counters)
      return { is: 'registered', organizationId, userId: invited.userId, device: newDevice(secret, organizationId, invited.userId, random) }
    })
  } catch (error) {
    if (!isTaken(error)) throw error
    const proposal = await database.tenant(organizationId, (tx) => freeUsername(tx, username, settings))
    return { is: 'refused', problems: [taken(proposal)] }
  }
}

type Judged = { is: 'judged'; username: string | null; problems: Problem[]; words: string[]; settings: Settings }

/** What can be told of the attempt without hashing: whether the link is open, and the user id. */
async function judge(tx: Transaction, token: string, { username: typed }: { username: string }): Promise<Judged | { is: 'gone'; why: Gone }> {
  const organization = await portalOrganizationOf(tx)
  const { settings } = organization
  const invited = await readInvited(tx, token)
  const why = invited ? whyGone(invited, settings) : 'unknown'
  if (!invited || why) return { is: 'gone', why: why ?? 'unknown' }
  const problems: Problem[] = []
  const username = checkUsername(typed.slice(0, 1_000), settings.username.maxLength, (_, detail) => problems.push({ field: 'username', code: 'username.invalid', detail: { reason: String(detail?.['reason'] ?? '') } }))
  if (username !== null && username !== invited.username && (await takenOf(tx, [username], invited.userId)).has(username)) problems.push(taken(await freeUsername(tx, username, settings)))
  const words = personalWords({ ...invited, username: username ?? invited.username, organizationName: organization.name, organizationKey: organization.key })
  return { is: 'judged', username, problems, words, settings }
}

async function organizationOf(database: Database, token: string): Promise<string | null> {
  const [row] = await database.fleet((tx) => tx.query<{ id: string | null }>('select fleet.organization_of_invitation($1) as id', [hashToken(token)]))
  return row?.id ?? null
}

async function readInvited(tx: Transaction, token: string, lock: '' | 'for update of i' = ''): Promise<Invited | undefined> {
  const [row] = await tx.query<Invited>(
    `select i.id, i.user_id as "userId", i.state, i.expires_at <= now() as expired, i.expires_at as "expiresAt", u.state = 'active' and c.state = 'active' as active,
       u.password_chosen_at is not null or u.last_login_at is not null as settled, u.username, c.first_name as "firstName", c.last_name as "lastName", c.email
     from invitations i join users u on u.id = i.user_id join contacts c on c.id = u.contact_id where i.token_hash = $1 ${lock}`,
    [hashToken(token)],
  )
  return row
}

/** Null where the invitation is open. */
function whyGone({ state, expired, active, settled }: Invited, { login }: Settings): Gone | null {
  if (state === 'in_progress' || state === 'completed') return 'used'
  if (state === 'revoked' || !active || login.sso) return 'revoked'
  // Somebody with credentials of another mail has a password by now: an older link is not to replace it.
  if (settled) return 'used'
  return state === 'expired' || expired ? 'expired' : null
}

/** Gives a user another name; the one so far rests (spec C1). Throws where somebody has the new one, or had it. */
async function rename(tx: Transaction, userId: string, before: string, username: string): Promise<void> {
  const { stem, number } = splitUsername(username)
  await tx.run('update users set username = $2, username_stem = $3, username_number = $4, version = version + 1, updated_at = now() where id = $1', [userId, username, stem, number])
  // Looked for behind the update: whoever gave the name up a moment ago was waited for there, and has put it to rest.
  if ((await tx.query('select from released_usernames where username = $1', [username])).length > 0) throw new NameRests()
  const old = splitUsername(before)
  await tx.run('insert into released_usernames (organization_id, username, username_stem, username_number) values ($1, $2, $3, $4) on conflict do nothing', [tx.organizationId, before, old.stem, old.number])
}

/** A name that somebody had. */
class NameRests extends Error {}

/** PostgreSQL's words for a name that is taken: the unique index, or a deadlock of two who exchange their names. */
const isTaken = (error: unknown): boolean =>
  error instanceof NameRests || (error instanceof Error && 'code' in error && ((error.code === '23505' && 'constraint' in error && error.constraint === 'users_username') || error.code === '40P01'))

const taken = (proposal: string | null): Problem => ({ field: 'username', code: 'username.taken', detail: proposal === null ? {} : { proposal } })

/** Those of the names that somebody has or had; not counting `user`, who may have taken one a moment ago by the same link. */
async function takenOf(tx: Transaction, names: readonly string[], user: string | null = null): Promise<Set<string>> {
  const rows = await tx.query<{ username: string }>('select username from users where username = any ($1) and id is distinct from $2 union select username from released_usernames where username = any ($1)', [names, user])
  return new Set(rows.map(({ username }) => username))
}

/** Numbers that are tried behind a name at once. */
const TRIED = 50

/** A name like this one that nobody has or had; null where none is near. */
async function freeUsername(tx: Transaction, username: string, { username: { maxLength } }: Settings): Promise<string | null> {
  const { stem, number } = splitUsername(username)
  const [last] = await tx.query<{ number: number }>(
    'select greatest((select max(username_number) from users where username_stem = $1), (select max(username_number) from released_usernames where username_stem = $1), $2::int) as number',
    [stem, number],
  )
  const base = number === 1 ? username : stem
  const names = [...Array.from({ length: TRIED }, (_, index) => numberedUsername(base, number + 1 + index)), numberedUsername(base, last!.number + 1)].filter((name) => name.length <= maxLength)
  const known = await takenOf(tx, names)
  return names.find((name) => !known.has(name)) ?? null
}
