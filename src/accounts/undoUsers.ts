import type { Transaction } from '../entities/database.ts'
import { deactivateUsers, type Deactivation } from './changeActivity.ts'
import { RECORDED_COLUMNS } from './recordUsers.ts'

/** The table of an undoing in which users stand: user_id, contact_id, made, before, version, reason. */
export const GATHERED_USERS = 'undo_users'

/**
 * Finds the users that an import made or changed, in a table of this transaction, and locks them in the order of their ids. Lock
 * contacts before. `version` is the one that the import left: another one means that somebody changed the user since.
 */
export async function gatherUsers(tx: Transaction, importId: string): Promise<void> {
  await tx.run(
    `create temporary table ${GATHERED_USERS} (user_id bigint primary key, contact_id bigint not null, made boolean not null, before jsonb not null, version integer not null, reason text,
       done boolean not null default false, takes_seat boolean not null default false) on commit drop`,
  )
  await tx.run(
    `insert into undo_users select u.id, u.contact_id, true, '{}', coalesce((select e.version from import_changes e where e.import_id = $1 and e.what = 'user' and e.target = u.id), 1) from users u where u.created_by_import = $1`,
    [importId],
  )
  await tx.run(
    `insert into undo_users select u.id, u.contact_id, false, e.before, e.version from import_changes e join users u on u.id = e.target
     where e.import_id = $1 and e.what = 'user' and u.created_by_import is distinct from $1`,
    [importId],
  )
  await tx.run('create index on undo_users (contact_id)')
  await tx.run('analyze undo_users')
  // Counted, so that nothing comes back of whom there may be a million.
  await tx.query('select count(*) from (select from users where id in (select user_id from undo_users) order by id for update) locked')
}

/**
 * Says of the users that the import made which have to stay, and why: somebody was told of the account, or may have been, or somebody
 * else has to do with it. Their mails are locked before.
 */
export async function judgeMadeUsers(tx: Transaction, importId: string): Promise<void> {
  await tx.run(
    `update undo_users s set reason = case
       when u.last_login_at is not null or u.notice_accepted_at is not null then 'signed_in'
       when u.password_chosen_at is not null or exists (select from invitations i where i.user_id = u.id and i.state in ('in_progress', 'completed')) then 'registered'
       when m.arrived then 'mailed'
       when m.unsure then 'may_have_left'
       when u.version <> s.version then 'changed'
       when m.owed then 'owed_by_others' end
     from users u left join (
       select d.user_id, bool_or(d.state in ('sent', 'bounced')) as arrived, bool_or(d.state in ('sending', 'unknown')) as unsure,
         bool_or(d.state in ('held', 'scheduled', 'queued') and d.import_id is distinct from $1) as owed
       from deliveries d where d.user_id in (select user_id from undo_users where made) group by d.user_id
     ) m on m.user_id = u.id
     where u.id = s.user_id and s.made`,
    [importId],
  )
}

/** Keeps the accounts of people whom the import made and who stay for another reason. `contacts` is the table of these (contact_id, made, reason). */
export async function keepWithPeople(tx: Transaction, contacts: string): Promise<void> {
  await tx.run(`update undo_users s set reason = 'person_left' from ${contacts} t where t.contact_id = s.contact_id and t.made and t.reason is not null and s.made and s.reason is null`)
}

/** Deletes the users that the import made and that need not stay. Their names are free at once: nobody was told of them. Gives how many, and the seats that are free. */
export async function deleteMadeUsers(tx: Transaction): Promise<{ deleted: number; seats: Deactivation['seats'] }> {
  const going = `undo_users s join users u on u.id = s.user_id where s.made and s.reason is null`
  const seats = await tx.query<Deactivation['seats'][number]>(
    `select l.name as license, g.count from (select u.license_id, count(*)::int as count from ${going} and u.state = 'active' group by 1) g join licenses l on l.id = g.license_id order by l.id`,
  )
  return { deleted: await tx.run('delete from users u using undo_users s where s.made and s.reason is null and u.id = s.user_id'), seats }
}

/**
 * Says which of the users that the import changed cannot be put back, and why; and which take a seat by it.
 * @param contacts the table of the import's contacts (contact_id, before, reason), judged already: nobody is active whose contact is not
 */
export async function judgeChangedUsers(tx: Transaction, contacts: string): Promise<void> {
  await tx.run(
    `update undo_users s set
       reason = case when u.version <> s.version then 'changed'
         when s.before ->> 'username' <> u.username and exists (select from users o where o.username = s.before ->> 'username' and o.id <> u.id) then 'username_taken'
         when ${ACTIVATED} and c.state = 'inactive' and not exists (select from ${contacts} t where t.contact_id = c.id and t.reason is null and t.before ->> 'state' = 'active') then 'contact_left' end,
       takes_seat = coalesce(s.before ->> 'state', u.state) = 'active' and (u.state = 'inactive' or ${LICENSE} is distinct from u.license_id)
         and exists (select from licenses l where l.id = ${LICENSE} and l.seats is not null)
     from users u join contacts c on c.id = u.contact_id where u.id = s.user_id and not s.made and s.before ? 'state'`,
  )
}

/** SQL over a gathered user `s` and user `u`: whether it becomes active, and its license afterwards. */
const ACTIVATED = `(s.before ->> 'state' = 'active' and u.state = 'inactive')`
const LICENSE = `case when s.before ? 'license_id' then (s.before ->> 'license_id')::bigint else u.license_id end`

export type PutBack = {
  putBack: number
  activated: number
  /** Mails that were cancelled as these left. They are not owed again. */
  mailsLost: number
  deactivated: Deactivation
  /** Usernames that are as they were. */
  renamed: number
}

/**
 * Puts users back as they stood before the import: first those who take no seat, which may free some, then as many as there are seats for,
 * in the order of username. A person who was deactivated comes back with all accounts or none.
 * @param contacts as in judgeChangedUsers; whoever finds no seat stays as he or she is, contact and all
 */
export async function putUsersBack(tx: Transaction, importId: string, contacts: string): Promise<PutBack> {
  const open = `not s.made and s.reason is null and not s.done and s.before ? 'state'`
  // Those of a person who has to be seated wait for each other.
  const first = await putBack(tx, importId, `${open} and not exists (select from undo_users o where o.contact_id = s.contact_id and o.takes_seat)`)
  const total = { ...first, deactivated: await deactivateUsers(tx, first.toDeactivate) }
  await tx.run(`select from licenses where id in (select ${LICENSE} from undo_users s join users u on u.id = s.user_id where s.takes_seat) and seats is not null order by id for no key update`)
  for (;;) {
    const more = await putBack(tx, importId, `${open} and s.contact_id not in (${UNSEATED})`)
    if (more.putBack === 0) break
    total.putBack += more.putBack
    total.activated += more.activated
    total.mailsLost += more.mailsLost
    total.renamed += more.renamed
    const along = await deactivateUsers(tx, more.toDeactivate)
    total.deactivated = { ...along, userIds: [...total.deactivated.userIds, ...along.userIds], sessions: total.deactivated.sessions + along.sessions, invitations: total.deactivated.invitations + along.invitations, seats: [...total.deactivated.seats, ...along.seats] }
  }
  await tx.run(`update undo_users s set reason = 'no_seat' where ${open}`)
  await tx.run(`update ${contacts} t set reason = 'no_seat' from contacts c where c.id = t.contact_id and t.reason is null and not t.made and c.state = 'inactive' and t.before ->> 'state' = 'active'
    and exists (select from undo_users s where s.contact_id = t.contact_id and s.reason = 'no_seat')`)
  // Nobody is deactivated with an account that goes on.
  await tx.run(`update ${contacts} t set reason = 'user_active' from contacts c where c.id = t.contact_id and t.reason is null and not t.made and c.state = 'active' and t.before ->> 'state' = 'inactive'
    and exists (select from users u where u.contact_id = c.id and u.state = 'active')`)
  return total
}

/** SQL: contacts of whom some account finds no seat that is free now. */
const UNSEATED = `
  select r.contact_id from (
    select s.contact_id, ${LICENSE} as license_id, row_number() over (partition by ${LICENSE} order by u.username) as place
    from undo_users s join users u on u.id = s.user_id where s.takes_seat and s.reason is null and not s.done
  ) r join (
    select l.id, l.seats - (select count(*) from users u where u.license_id = l.id and u.state = 'active')
      - (select coalesce(sum(s.seats), 0) from seat_reservations s where s.license_id = l.id) as seats
    from licenses l where l.seats is not null
  ) f on f.id = r.license_id where r.place > f.seats`

const LISTS = [
  { key: 'groups', table: 'user_group_members', columns: 'group_id', values: '(e.value #>> \'{}\')::bigint' },
  { key: 'lookups', table: 'user_lookups', columns: 'security_group_id', values: '(e.value #>> \'{}\')::bigint' },
  { key: 'roles', table: 'user_roles', columns: 'role_id, product_id, tenant_id', values: '(e.value ->> 0)::bigint, (e.value ->> 1)::bigint, (e.value ->> 2)::bigint' },
] as const

/** @param whom SQL over undo_users s */
async function putBack(tx: Transaction, importId: string, whom: string): Promise<Omit<PutBack, 'deactivated'> & { toDeactivate: string[] }> {
  await tx.run('drop table if exists undo_now')
  await tx.run(`create temporary table undo_now on commit drop as select s.user_id, s.before, ${ACTIVATED} as activated, s.before ->> 'username' <> u.username as renamed, u.state = 'active' and s.before ->> 'state' = 'inactive' as leaves
    from undo_users s join users u on u.id = s.user_id where ${whom}`)
  // A name of which somebody may have heard since rests; the one before it is in use again.
  await tx.run(
    `insert into released_usernames (organization_id, username, username_stem, username_number)
     select u.organization_id, u.username, u.username_stem, u.username_number from undo_now n join users u on u.id = n.user_id join imports i on i.id = $1
     where n.renamed and (u.last_login_at >= i.created_at or exists (
       select from deliveries d where d.user_id = u.id and d.state in ('sending', 'sent', 'unknown', 'bounced') and d.updated_at >= i.created_at)) on conflict do nothing`,
    [importId],
  )
  await tx.run(`delete from released_usernames r using undo_now n where n.renamed and r.username = n.before ->> 'username'`)
  const values = RECORDED_COLUMNS.map((column) => {
    const type = column.endsWith('_id') ? '::bigint' : column === 'username_number' ? '::integer' : ''
    // Deactivating is more than a column, and is done behind.
    return `${column} = case when n.before ? '${column}'${column === 'state' ? ' and not n.leaves' : ''} then (n.before ->> '${column}')${type} else u.${column} end`
  })
  await tx.run(`update users u set ${values.join(', ')}, version = u.version + 1, updated_at = now() from undo_now n where u.id = n.user_id`)
  for (const { key, table, columns, values: written } of LISTS) {
    await tx.run(`delete from ${table} l using undo_now n where n.before ? '${key}' and l.user_id = n.user_id`)
    await tx.run(
      `insert into ${table} (user_id, organization_id, ${columns}) select n.user_id, ${tx.organizationId}, ${written}
       from undo_now n cross join lateral jsonb_array_elements(nullif(n.before -> '${key}', 'null')) as e (value) on conflict do nothing`,
    )
  }
  await tx.run('update undo_users s set done = true from undo_now n where n.user_id = s.user_id')
  const [lost] = await tx.query<{ count: number }>(
    `select count(*)::int as count from undo_now n join deliveries d on d.user_id = n.user_id join imports i on i.id = $1
     where n.activated and d.state = 'cancelled' and d.reason = 'user_inactive' and d.updated_at between i.created_at and i.finished_at`,
    [importId],
  )
  const [done] = await tx.query<{ putBack: number; activated: number; renamed: number; toDeactivate: string[] }>(
    `select count(*)::int as "putBack", (count(*) filter (where activated))::int as activated, (count(*) filter (where renamed))::int as renamed,
       coalesce(array_agg(user_id::text) filter (where leaves), '{}') as "toDeactivate" from undo_now`,
  )
  return { ...done!, mailsLost: lost!.count }
}
