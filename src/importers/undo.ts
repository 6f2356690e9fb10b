import type { Transaction } from '../entities/database.ts'
import { readOrganization } from '../organizations/organizations.ts'
import { CONTENT, RECORDED_COLUMNS } from './recordChanges.ts'

/** An import that cannot be undone, with a stable code and what to do. */
export class UndoRefused extends Error {
  readonly code: 'import.unknown' | 'import.wrong_state'
  readonly hint: string
  constructor(code: UndoRefused['code'], message: string, hint: string) {
    super(message)
    this.name = 'UndoRefused'
    this.code = code
    this.hint = hint
  }
}

/** Takes a committed import for this transaction, so that it is undone once. Gives the feed that brought it. @throws UndoRefused */
export async function beginUndo(tx: Transaction, importId: string): Promise<{ feed: { id: string; name: string } | null }> {
  const [found] = await tx.query<{ state: string; feedId: string | null }>('select state, feed_id as "feedId" from imports where id = $1 for no key update', [importId])
  if (!found) throw new UndoRefused('import.unknown', `There is no import ${importId}.`, './muster import list shows those there are.')
  if (found.state !== 'committed') {
    throw new UndoRefused('import.wrong_state', `Import ${importId} is ${found.state}; only a committed one can be undone.`, found.state === 'undone' ? `./muster import show ${importId} tells what was put back.` : `./muster import show ${importId}`)
  }
  const [feed] = found.feedId === null ? [] : await tx.query<{ id: string; name: string }>('select id, name from feeds where id = $1', [found.feedId])
  return { feed: feed ?? null }
}

/**
 * Finds the contacts that an import made or changed, in a table of this transaction, and locks them in the order of their ids, as imports
 * that are committed meanwhile do. `version` is the one that the import left: another one means that somebody changed the contact since.
 * Contacts of whom only an account was made are among them. Lock users behind.
 */
export async function gatherContacts(tx: Transaction, importId: string): Promise<void> {
  await tx.run(`set local work_mem = '128MB'`)
  await tx.run('create temporary table undo_contacts (contact_id bigint primary key, made boolean not null, before jsonb not null, version integer not null, reason text) on commit drop')
  // Of what it made, a row is there only where a later import was undone, which counted the version up.
  await tx.run(
    `insert into undo_contacts select c.id, true, '{}', coalesce((select e.version from import_changes e where e.import_id = $1 and e.what = 'contact' and e.target = c.id), 1) from contacts c where c.created_by_import = $1`,
    [importId],
  )
  await tx.run(
    `insert into undo_contacts select c.id, false, e.before, e.version from import_changes e join contacts c on c.id = e.target
     where e.import_id = $1 and e.what = 'contact' and c.created_by_import is distinct from $1`,
    [importId],
  )
  await tx.run('analyze undo_contacts')
  await tx.run(
    `insert into undo_contacts select c.id, false, jsonb_build_object('version', c.version), c.version from contacts c
     where c.id in (select u.contact_id from users u where u.created_by_import = $1 and not exists (select from undo_contacts s where s.contact_id = u.contact_id))`,
    [importId],
  )
  // Counted, so that nothing comes back of whom there may be a million.
  await tx.query('select count(*) from (select from contacts where id in (select contact_id from undo_contacts) order by id for update) locked')
}

/**
 * Says of the contacts that the import made which have to stay, and why: changed since, or somebody else refers to them.
 * @param users the table of its users (user_id, contact_id, made, reason), judged already: who has to stay keeps the contact
 */
export async function judgeMadeContacts(tx: Transaction, importId: string, users: string): Promise<void> {
  const { settings } = await readOrganization(tx)
  const support = settings.supportContact !== null && 'externalId' in settings.supportContact ? settings.supportContact.externalId : null
  await tx.run(
    `update undo_contacts s set reason = case
       when exists (select from users u where u.contact_id = s.contact_id and u.created_by_import is distinct from $1) then 'further_user'
       when c.version <> s.version then 'changed'
       when exists (select from identity_decisions d where d.contact_id = s.contact_id and d.import_id is distinct from $1 and d.state <> 'lapsed') then 'decision'
       when c.external_id = $2 then 'support_contact'
       when exists (select from ${users} t where t.contact_id = s.contact_id and t.reason is not null) then 'user_left' end
     from contacts c where c.id = s.contact_id and s.made`,
    [importId, support],
  )
}

/** Deletes the contacts that the import made and that need not stay; their users are gone. Gives how many. */
export function deleteMadeContacts(tx: Transaction): Promise<number> {
  return tx.run('delete from contacts c using undo_contacts s where s.made and s.reason is null and c.id = s.contact_id')
}

/** Says which of the contacts that the import changed cannot be put back, and why. Call it behind the deletions: what these had is free. */
export async function judgeChangedContacts(tx: Transaction): Promise<void> {
  const taken = (column: string): string =>
    `s.before ->> '${column}' is distinct from c.${column} and exists (select from contacts o where o.${column} = s.before ->> '${column}' and o.id <> c.id)`
  await tx.run(
    `update undo_contacts s set reason = case when c.version <> s.version then 'changed' when ${taken('email_key')} then 'address_taken' when ${taken('external_id')} then 'id_taken' end
     from contacts c where c.id = s.contact_id and not s.made`,
  )
}

/** SQL: what a recorded column of contact `c` is put back to from `s.before`; one that was not recorded stays. */
function valueBefore(column: (typeof RECORDED_COLUMNS)[number]): string {
  const value = column === 'attributes' ? `nullif(s.before -> 'attributes', 'null')` : `(s.before ->> '${column}')${column === 'awaiting_license' ? '::boolean' : column === 'feed_id' ? '::bigint' : ''}`
  return `case when s.before ? '${column}' then ${value} else c.${column} end`
}

/**
 * Puts contacts back as they stood before the import, those without a reason against it. The version counts up where something
 * changes, and where an account of theirs is gone: plans that others made meanwhile are stale.
 * @param users the table of the import's users (user_id, contact_id, made, reason)
 * @returns how many were put back, how many of them are active again, and whose address is another one now
 */
export async function putContactsBack(tx: Transaction, users: string): Promise<{ putBack: number; activated: number; moved: string[] }> {
  await tx.run(
    `create temporary table undo_differing on commit drop as
     with standing as materialized (
       select s.contact_id, c.state, s.before - 'version' as before, (select jsonb_object_agg(k.key, k.value) from jsonb_each(${CONTENT}) k where s.before ? k.key) as now
       from undo_contacts s join contacts c on c.id = s.contact_id where not s.made and s.reason is null and s.before - 'version' <> '{}'
     )
     select contact_id, state, now -> 'email_key' is distinct from before -> 'email_key' as moved, now -> 'customers' is distinct from before -> 'customers' as customers
     from standing where now <> before`,
  )
  const [done] = await tx.query<{ putBack: number; activated: number; moved: string[] }>(
    `with written as (
       update contacts c set ${RECORDED_COLUMNS.map((column) => `${column} = ${valueBefore(column)}`).join(', ')}, version = c.version + 1, updated_at = now()
       from undo_contacts s join undo_differing d on d.contact_id = s.contact_id where c.id = s.contact_id
       returning c.id, c.state = 'active' and d.state <> 'active' as activated, d.moved
     )
     select count(*)::int as "putBack", (count(*) filter (where activated))::int as activated, coalesce(array_agg(id::text) filter (where moved), '{}') as moved from written`,
  )
  await tx.run('delete from contact_customers l using undo_differing d where d.customers and l.contact_id = d.contact_id')
  await tx.run(
    `insert into contact_customers (organization_id, contact_id, customer_id, worksite_id, contact_role_id)
     select ${tx.organizationId}, d.contact_id, (p.place ->> 0)::bigint, (p.place ->> 1)::bigint, (p.place ->> 2)::bigint
     from undo_differing d join undo_contacts s on s.contact_id = d.contact_id cross join lateral jsonb_array_elements(nullif(s.before -> 'customers', 'null')) as p (place) where d.customers`,
  )
  await tx.run(
    `update contacts c set version = c.version + 1, updated_at = now()
     where c.id in (select u.contact_id from ${users} u where u.made and u.reason is null) and not exists (select from undo_differing d where d.contact_id = c.id)`,
  )
  return done!
}

/**
 * What was put back stands as an earlier import left it, under another version: that import can be undone as well. Where that one had not
 * counted the version up, it found what it left, and the import before it is passed the version on in its turn.
 * @param what which of import_changes
 * @param gathered the table of what was put back: made, before, version, reason
 */
export async function passVersionsOn(tx: Transaction, importId: string, what: 'contact' | 'user', gathered: string): Promise<void> {
  const now = `${gathered} s join ${what}s t on t.id = s.${what}_id and not s.made and s.reason is null`
  await tx.run(
    `update import_changes e set version = t.version, before = case when (e.before ->> 'version')::int = e.version then e.before || jsonb_build_object('version', t.version) else e.before end
     from ${now} where e.what = '${what}' and e.target = t.id and e.import_id <> $1 and e.version = (s.before ->> 'version')::int`,
    [importId],
  )
  await tx.run(
    `insert into import_changes (import_id, what, target, organization_id, before, version)
     select t.created_by_import, '${what}', t.id, ${tx.organizationId}, '{}', t.version from ${now} where t.created_by_import <> $1 and (s.before ->> 'version')::int = 1 on conflict do nothing`,
    [importId],
  )
}

/** Ends the undoing: the import is `undone`, with what came of it, and what it asks is no question any more. `report` holds counts and ids only. */
export async function endUndo(tx: Transaction, importId: string, report: Record<string, unknown>, operator: string): Promise<void> {
  await tx.run(`update imports set state = 'undone', undo = $2, undone_by = $3, undone_at = now() where id = $1 and state = 'committed'`, [importId, JSON.stringify(report), operator])
  await tx.run(`update identity_decisions set state = 'lapsed', decided_at = now() where import_id = $1 and state = 'waiting'`, [importId])
  await tx.run('delete from import_changes where import_id = $1', [importId])
}
