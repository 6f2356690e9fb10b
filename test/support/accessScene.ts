/** An organization whose people sign in, register and choose passwords, over a test's database. */
import { randomBytes } from 'node:crypto'
import type { AccessMail, AccessParts } from '../../src/accounts/accessParts.ts'
import { hashToken, newToken } from '../../src/accounts/invitations.ts'
import { hashPassword, type HashCost } from '../../src/accounts/passwords.ts'
import { openSession } from '../../src/accounts/sessions.ts'
import type { Database } from '../../src/entities/database.ts'
import { splitUsername } from '../../src/rules/usernames.ts'
import { deliveryScene, type Scene } from './deliveryScene.ts'

/** As little as argon2id takes, so that tests are quick. */
export const CHEAP: HashCost = { memory: 64, passes: 1, parallelism: 1 }
export const SECRET = 'a secret of the tests that is long enough'
/** A password that nobody finds anything wrong with. */
export const PASSWORD = 'violet-canoe-7-harbour'

export type Person = { userId: string; contactId: string; username: string }
export type PersonOptions = {
  username?: string
  firstName?: string
  lastName?: string
  email?: string
  /** Null: none was ever made. */
  password?: string | null
  cost?: HashCost
  /** Whether the person chose it. */
  chosen?: boolean
  mustChange?: boolean
}

export type AccessScene = Scene & {
  key: string
  parts: AccessParts
  /** Every mail that was owed, in order, as purpose and user. */
  owed: { purpose: AccessMail; userId: string }[]
  person(options?: PersonOptions): Promise<Person>
  /** Launches an invitation, as its mail would, and gives the token of its link. */
  invite(userId: string, options?: { epoch?: number; state?: string; expiresAt?: string }): Promise<string>
  /** As invite: a mailed link to choose a new password. */
  sendReset(userId: string, options?: { epoch?: number; expiresAt?: string }): Promise<string>
  /** Opens a session for the user, and gives its token. */
  openSession(userId: string): Promise<string>
  /** Ends the windows of all throttles. */
  endWindows(): Promise<void>
  /** Starts everything while the user's row is locked, and lets it go when all of them wait for a lock: they meet where they write. */
  atOnce<T>(userId: string, works: readonly (() => Promise<T>)[]): Promise<T[]>
}

let scenes = 0

export async function accessScene(database: Database, { settings = {}, hashCost = CHEAP }: { settings?: object; hashCost?: HashCost } = {}): Promise<AccessScene> {
  const key = `gate-${process.pid}-${++scenes}`
  const scene = await deliveryScene(database, { key, settings })
  const { organizationId, sql } = scene
  const owed: AccessScene['owed'] = []
  const parts: AccessParts = {
    database, secret: SECRET, random: randomBytes,
    // An object of its own: what is learned under a setting is learned by it.
    hashCost: { ...hashCost },
    owe: async (_, purpose, userId) => void owed.push({ purpose, userId }),
  }
  let made = 0
  return {
    ...scene,
    key,
    parts,
    owed,
    async person({ username = `person.${++made}`, firstName = 'Mei', lastName = 'Okafor', email = `${username}@mail.test`, password = PASSWORD, cost = CHEAP, chosen = false, mustChange = false } = {}) {
      const hash = password === null ? null : await hashPassword(password, randomBytes, cost)
      const { stem, number } = splitUsername(username)
      const [row] = await sql<{ userId: string; contactId: string }>(
        `with c as (insert into contacts (organization_id, first_name, last_name, email, email_key) values ($1, $2, $3, $4::text, lower($4::text)) returning id),
           u as (insert into users (organization_id, contact_id, username, username_stem, username_number, password_hash, password_chosen_at, must_change_password, profile_id, license_id)
             select $1, c.id, $5, $6, $7, $8, case when $9::boolean then now() end, $10, (select id from profiles where organization_id = $1), (select id from licenses where organization_id = $1) from c
             returning id, contact_id),
           m as (insert into user_group_members (user_id, group_id, organization_id) select u.id, g.id, $1 from u, user_groups g where g.organization_id = $1)
         select id as "userId", contact_id as "contactId" from u`,
        [organizationId, firstName, lastName, email, username, stem, number, hash, chosen, mustChange],
      )
      return { ...row!, username }
    },
    async invite(userId, { epoch = 1, state = 'launched', expiresAt = `now() + interval '7 days'` } = {}) {
      const token = newToken(randomBytes)
      await sql(`insert into invitations (organization_id, user_id, epoch, state, token_hash, launched_at, expires_at) values ($1, $2, $3, $4, $5, now(), ${expiresAt})`, [organizationId, userId, epoch, state, hashToken(token)])
      return token
    },
    async sendReset(userId, { epoch = 1, expiresAt = `now() + interval '60 minutes'` } = {}) {
      const token = newToken(randomBytes)
      await sql(`insert into password_resets (organization_id, user_id, epoch, token_hash, expires_at) values ($1, $2, $3, $4, ${expiresAt})`, [organizationId, userId, epoch, hashToken(token)])
      return token
    },
    async atOnce(userId, works) {
      const client = await database.pool.connect()
      try {
        await client.query('begin')
        await client.query('select from users where id = $1 for update', [userId])
        const all = Promise.all(works.map((work) => work()))
        for (let waiting = 0; waiting < works.length; ) {
          // Not by the client that holds the row: within a transaction the activity is told as it was first seen.
          const [row] = await sql<{ n: number }>(`select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
          waiting = row!.n
        }
        await client.query('commit')
        return await all
      } finally {
        client.release()
      }
    },
    openSession: (userId) => database.tenant(organizationId, (tx) => openSession(tx, randomBytes, userId)),
    async endWindows() {
      await sql(`update throttles set ends_at = now() - interval '1 second'`)
    },
  }
}
