import { createHash } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'
import { FEED_LIFECYCLE, type FeedState } from '../entities/states.ts'
import { decisionFault, type DecisionFault } from '../organizations/administrators.ts'
import { differences } from '../organizations/apply.ts'
import { audit } from '../organizations/audit.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { LIMITED_CHANGES, type Allowance } from '../rules/feedPolicy.ts'
import type { FeedDeclaration, FeedDefinition } from './declaration.ts'
import { assertNamesKnown } from './knownNames.ts'
import { nextSlot } from './schedule.ts'
import { wakeFeed } from './wake.ts'

/** A feed as it is kept. */
export type StoredFeed = {
  id: string
  organizationId: string
  name: string
  state: FeedState
  definition: FeedDefinition
  /** Of its schedule: its own, or else the organization's. */
  timeZone: string
  /** The server's pinned key, as in SHA256:…; null: it does not run. */
  hostKey: string | null
  /** Who declared it last. */
  author: string
  /** Null: without a schedule, paused, or its server is not trusted. */
  nextSlotAt: Date | null
  allowance: Allowance | null
}

/** No feed has this name or id. */
export class FeedUnknown extends Error {
  readonly code = 'feed.unknown'
  readonly hint = './muster feed list --organization KEY shows all.'
  constructor(nameOrId: string) {
    super(`There is no feed ${JSON.stringify(nameOrId)}.`)
    this.name = 'FeedUnknown'
  }
}

/** A feed whose server nobody has vouched for: it never connects (faults.md 28). */
export class FeedNotReady extends Error {
  readonly code = 'feed.not_trusted'
  readonly hint: string
  constructor({ name }: { name: string }) {
    super(`Feed ${JSON.stringify(name)} does not run: the key of its server is not pinned.`)
    this.name = 'FeedNotReady'
    this.hint = `Compare it with what the server's people say, and pin it: ./muster feed trust ${name} --organization KEY`
  }
}

/** Something that cannot be done with a feed as asked, with what to do. */
export class FeedStepRefused extends Error {
  readonly code: DecisionFault['code'] | 'feed.invalid_fingerprint' | 'feed.invalid_allowance'
  readonly hint: string
  constructor({ code, message, hint }: { code: FeedStepRefused['code']; message: string; hint: string }) {
    super(message)
    this.name = 'FeedStepRefused'
    this.code = code
    this.hint = hint
  }
}

const READ = `select f.id, f.organization_id as "organizationId", f.name, f.state, f.definition, coalesce(f.definition ->> 'timeZone', o.time_zone) as "timeZone",
    f.host_key as "hostKey", f.author, f.next_slot_at as "nextSlotAt", f.allowance
  from feeds f join organizations o on o.id = f.organization_id`

/** A feed by id; null: there is none. */
export async function readFeed(tx: Transaction, id: string): Promise<StoredFeed | null> {
  const [feed] = await tx.query<StoredFeed>(`${READ} where f.id = $1`, [id])
  return feed ?? null
}

/** A feed by name; null: there is none. */
export async function feedNamed(tx: Transaction, name: string): Promise<StoredFeed | null> {
  const [feed] = await tx.query<StoredFeed>(`${READ} where f.name = $1`, [name])
  return feed ?? null
}

/** All feeds of the organization, by name. */
export function listFeeds(tx: Transaction): Promise<StoredFeed[]> {
  return tx.query<StoredFeed>(`${READ} order by f.name`)
}

/** A feed that nobody else changes until the transaction ends. Throws FeedUnknown. */
export async function lockFeed(tx: Transaction, id: string): Promise<StoredFeed> {
  const [feed] = /^\d{1,18}$/.test(id) ? await tx.query<StoredFeed>(`${READ} where f.id = $1 for no key update of f`, [id]) : []
  if (!feed) throw new FeedUnknown(id)
  return feed
}

/**
 * Creates a feed from a checked declaration, or makes the one of its name what the declaration says; harmless to repeat, and who repeats it
 * does not become its author. Another host or port is another server: the pinned key is dropped, and the feed stands until it is trusted
 * anew. Another schedule or zone begins with its first slot from now. What somebody allowed for once ends with any change.
 * @returns what changed, a sentence each; nothing for a new feed and for a repetition
 * @throws FeedRefused with everything named that is not there
 */
export async function applyFeed(tx: Transaction, { organization, name, ...definition }: FeedDeclaration, operator: string): Promise<{ feed: StoredFeed; created: boolean; changes: string[] }> {
  const { key } = await readOrganization(tx)
  if (key !== organization) throw new Error(`feed ${name} is of organization ${organization}, not of ${key}`)
  await assertNamesKnown(tx, key, definition)
  // Two at once with one name: the second finds the first one's.
  await tx.query(`select pg_advisory_xact_lock(hashtext('muster.feeds'), hashtext($1))`, [`${tx.organizationId}/${name}`])
  const [before] = await tx.query<StoredFeed>(`${READ} where f.name = $1 for no key update of f`, [name])
  if (!before) {
    const [made] = await tx.query<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, $2, 'active', $3, $4) returning id`, [
      tx.organizationId, name, JSON.stringify(definition), operator,
    ])
    await audit(tx, operator, 'feeds.apply', { feedId: made!.id, created: true })
    return { feed: (await readFeed(tx, made!.id))!, created: true, changes: [] }
  }
  // Not by what is shown, which leaves out the most of a key.
  if (differences(before.definition, definition).length === 0) return { feed: before, created: false, changes: [] }
  const changes = differences(shown(before.definition), shown(definition))

  await tx.run('update feeds set definition = $2, author = $3, allowance = null, updated_at = now() where id = $1', [before.id, JSON.stringify(definition), operator])
  if (before.allowance !== null) changes.push('What was allowed for once is withdrawn: it was allowed for the feed as it was.')
  if (before.hostKey !== null && isOtherServer(before.definition, definition)) {
    await tx.run('update feeds set host_key = null, host_key_by = null, host_key_at = null, next_slot_at = null where id = $1', [before.id])
    changes.push(`The pinned key ${before.hostKey} is dropped, as it was another server's; the feed does not run until the new one is trusted: ./muster feed trust ${name} --organization ${key}`)
  }
  const feed = (await readFeed(tx, before.id))!
  if (before.definition.schedule !== feed.definition.schedule || before.timeZone !== feed.timeZone) await scheduleAnew(tx, feed)
  // Sooner or later than it was to look: the worker works that out.
  await wakeFeed(tx, before.id)
  await audit(tx, operator, 'feeds.apply', { feedId: before.id, created: false, changed: changes.length })
  return { feed: (await readFeed(tx, before.id))!, created: false, changes }
}

const isOtherServer = (before: FeedDefinition, after: FeedDefinition): boolean => before.server.host.toLowerCase() !== after.server.host.toLowerCase() || before.server.port !== after.server.port

/** A definition as people are shown what changed in it. */
function shown({ pgp, ...rest }: FeedDefinition): object {
  return { ...rest, pgp: pgp === null ? null : { ...pgp, senderKeys: pgp.senderKeys.map((key) => `key with SHA-256 ${createHash('sha256').update(key).digest('hex').slice(0, 16)}`) } }
}

/** Its next slot counts from now on; a feed that does not run has none, so that no runs pile up. */
async function scheduleAnew(tx: Transaction, { id, state, hostKey, definition, timeZone }: StoredFeed): Promise<void> {
  const runs = state === 'active' && hostKey !== null && definition.schedule !== null
  const [clock] = await tx.query<{ now: Date }>('select now() as now')
  await tx.run('update feeds set next_slot_at = $2 where id = $1', [id, runs ? nextSlot(definition.schedule!, timeZone, clock!.now) : null])
}

/** Stops a feed from running by itself; what it has taken goes on. Twice is harmless. Throws FeedUnknown. */
export const pauseFeed = (tx: Transaction, id: string, operator: string): Promise<StoredFeed> => step(tx, id, 'pause', operator)

/** Lets a paused feed run again, from its next slot on: those that passed are not made up for. Twice is harmless. Throws FeedUnknown. */
export const resumeFeed = (tx: Transaction, id: string, operator: string): Promise<StoredFeed> => step(tx, id, 'resume', operator)

async function step(tx: Transaction, id: string, name: keyof typeof FEED_LIFECYCLE.transitions, operator: string): Promise<StoredFeed> {
  const feed = await lockFeed(tx, id)
  const { to } = FEED_LIFECYCLE.transitions[name]
  if (feed.state === to) return feed
  await tx.run('update feeds set state = $2, updated_at = now() where id = $1', [id, to])
  await scheduleAnew(tx, { ...feed, state: to })
  await wakeFeed(tx, id)
  await audit(tx, operator, `feeds.${name}`, { feedId: id })
  return (await readFeed(tx, id))!
}

/**
 * Pins the key of a feed's server: from now on it runs, and connects to that server only.
 * @param fingerprint as OpenSSH shows it, SHA256:…
 * @throws FeedUnknown; FeedStepRefused where it is no fingerprint
 */
export async function pinHostKey(tx: Transaction, id: string, fingerprint: string, operator: string): Promise<StoredFeed> {
  if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint)) {
    throw new FeedStepRefused({ code: 'feed.invalid_fingerprint', message: `${JSON.stringify(fingerprint)} is no fingerprint of a host key.`, hint: 'It begins with SHA256: and has 43 more characters, as "ssh-keygen -lf" shows it on the server.' })
  }
  const feed = await lockFeed(tx, id)
  if (feed.hostKey === fingerprint) return feed
  await tx.run('update feeds set host_key = $2, host_key_by = $3, host_key_at = now(), updated_at = now() where id = $1', [id, fingerprint, operator])
  if (feed.nextSlotAt === null) await scheduleAnew(tx, { ...feed, hostKey: fingerprint })
  await wakeFeed(tx, id)
  await audit(tx, operator, 'feeds.trust', { feedId: id, hostKey: fingerprint, before: feed.hostKey })
  return (await readFeed(tx, id))!
}

/**
 * Lets the next file that would be held go beyond the thresholds once, up to so many of each ("approve once", spec A6); null takes that back,
 * which anybody may.
 * @throws FeedUnknown; FeedStepRefused where the operator declared the feed or is no administrator, or it allows nothing
 */
export async function allowOnce(tx: Transaction, id: string, allowance: Pick<Allowance, 'limits' | 'until'> | null, operator: string): Promise<StoredFeed> {
  const feed = await lockFeed(tx, id)
  if (allowance !== null) {
    const { settings } = await readOrganization(tx)
    const fault = decisionFault(feed, settings.administrators, operator)
    if (fault !== null) throw new FeedStepRefused(fault)
    await assertAllows(tx, allowance)
  }
  const kept: Allowance | null = allowance === null ? null : { limits: allowance.limits, by: operator, until: allowance.until }
  await tx.run('update feeds set allowance = $2, updated_at = now() where id = $1', [id, kept === null ? null : JSON.stringify(kept)])
  await audit(tx, operator, 'feeds.allow', { feedId: id, limits: allowance?.limits ?? null, until: allowance?.until ?? null })
  return (await readFeed(tx, id))!
}

async function assertAllows(tx: Transaction, { limits, until }: Pick<Allowance, 'limits' | 'until'>): Promise<void> {
  const numbers = Object.entries(limits)
  const known: readonly string[] = LIMITED_CHANGES
  const refused = (message: string, hint: string): FeedStepRefused => new FeedStepRefused({ code: 'feed.invalid_allowance', message, hint })
  if (numbers.length === 0 || numbers.some(([change, most]) => !known.includes(change) || !Number.isSafeInteger(most) || most < 0)) {
    throw refused('An allowance says how many of each kind of change are let through.', `Give a whole number for one or more of ${LIMITED_CHANGES.join(', ')}.`)
  }
  if (until === null) return
  const [clock] = await tx.query<{ past: boolean }>('select $1::timestamptz <= now() as past', [until])
  if (clock!.past) throw refused(`The allowance would be over already: ${until} has passed.`, 'Give a date to come, or none.')
}
