/** An organization with people who are owed mails, built straight into a test's database. */
import type { Database } from '../../src/entities/database.ts'
import type { DeliveryPurpose, DeliveryState } from '../../src/entities/states.ts'
import { settingsSchema } from '../../src/organizations/declaration.ts'

export type SceneOptions = {
  /** Merged into the settings of a declaration. */
  settings?: object
  key?: string
  language?: string
  timeZone?: string
}

export type OweOptions = {
  purpose?: DeliveryPurpose
  state?: DeliveryState
  /** SQL; default now(). */
  sendAt?: string
}

export type Scene = {
  organizationId: string
  /** Makes so many people who can log in, each owed one mail; gives the deliveries' ids in order of address. */
  owe(people: number, options?: OweOptions): Promise<string[]>
  /** Runs a statement beside everything, as an administrator of the database would. */
  sql<R extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
}

let scenes = 0

export async function deliveryScene(database: Database, { settings = {}, key, language = 'en', timeZone = 'UTC' }: SceneOptions = {}): Promise<Scene> {
  const sql = async <R extends object>(text: string, values: unknown[] = []) => (await database.pool.query<R>(text, values)).rows
  const kept = settingsSchema.parse({ mail: { from: 'Acme <no-reply@acme.example>' }, ...settings })
  const [organization] = await sql<{ id: string }>('insert into organizations (key, name, time_zone, language, settings) values ($1, $2, $3, $4, $5) returning id', [
    key ?? `acme-${process.pid}-${++scenes}`, 'Acme Staffing', timeZone, language, kept,
  ])
  const organizationId = organization!.id
  const [catalog] = await sql<{ group: string; profile: string; license: string }>(
    `with g as (insert into user_groups (organization_id, name) values ($1, 'Staff') returning id),
       p as (insert into profiles (organization_id, name) values ($1, 'Standard') returning id),
       l as (insert into licenses (organization_id, name) values ($1, 'Full') returning id)
     select g.id as group, p.id as profile, l.id as license from g, p, l`,
    [organizationId],
  )
  let made = 0
  return {
    organizationId,
    sql,
    async owe(people, { purpose = 'invitation', state = 'scheduled', sendAt = 'now()' } = {}) {
      const first = made + 1
      made += people
      const rows = await sql<{ id: string }>(
        `with n as (select generate_series($2::int, $3::int) as n),
           c as (insert into contacts (organization_id, first_name, last_name, email, email_key)
             select $1, 'Ana', 'Nguyễn-' || n, 'ana' || n || '@example.test', 'ana' || n || '@example.test' from n returning id, email),
           u as (insert into users (organization_id, contact_id, username, username_stem, username_number, profile_id, license_id)
             select $1, id, split_part(email, '@', 1), 'ana', substring(email from '\\d+')::int, $4, $5 from c returning id, username_number as n),
           m as (insert into user_group_members (user_id, group_id, organization_id) select id, $6, $1 from u),
           i as (insert into invitations (organization_id, user_id, state) select $1, id, 'created' from u where $7 = 'invitation'),
           d as (insert into deliveries (organization_id, user_id, purpose, state, send_at) select $1, id, $7, $8, ${sendAt} from u returning id, user_id)
         select d.id from d join u on u.id = d.user_id order by u.n`,
        [organizationId, first, made, catalog!.profile, catalog!.license, catalog!.group, purpose, state],
      )
      return rows.map(({ id }) => id)
    },
  }
}
