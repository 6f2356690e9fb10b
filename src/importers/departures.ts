import type { Transaction } from '../entities/database.ts'
import type { ChangeCounts, FeedIntake } from '../rules/feedPolicy.ts'
import type { Chunk } from './commit.ts'
import { hasFurther } from './furtherAccounts.ts'
import { adoptedTable, COLUMN_OF_FIELD, furtherTable, leavingTable, planTable, rowsTable } from './stagedRow.ts'

/**
 * What a full file of a feed does by silence (spec A6): whoever of the feed's own scope it does not name is deactivated, never deleted.
 * Who leaves stands in a table of the plan, with the version at which it was planned.
 */

/** A condition with the values of its parameters, which begin at $1. */
type Condition = { sql: string; values: string[] }

/** SQL over a contact `c`: whether the feed speaks for the person. A declared scope is everybody in it, whoever brought them. */
function inScope(intake: Pick<FeedIntake, 'feedId' | 'scope'>): Condition {
  const { scope } = intake
  const held = (from: string, where: string): string => `c.id in (select ${from} where ${where})`
  switch (scope.kind) {
    case 'own':
      return { sql: 'c.feed_id = $1', values: [intake.feedId] }
    case 'customer':
      return { sql: held('l.contact_id from contact_customers l join customers s on s.id = l.customer_id', 'lower(s.name) = lower($1)'), values: [scope.customer] }
    case 'group':
      return { sql: held('u.contact_id from users u join user_group_members m on m.user_id = u.id join user_groups s on s.id = m.group_id', 'lower(s.name) = lower($1)'), values: [scope.group] }
    case 'security':
      return { sql: held(`u.contact_id from users u join security_groups s on s.id = u.${COLUMN_OF_FIELD[scope.dimension]}`, 's.dimension = $1 and lower(s.name) = lower($2)'), values: [scope.dimension, scope.group] }
    case 'attribute':
      return { sql: 'c.attributes ->> $1 = $2', values: [scope.attribute, scope.value] }
    default:
      return scope satisfies never
  }
}

/** SQL over a staged row `r` and a contact `c`, both with neither id nor address: whether they have one name. */
const SAME_NAME = 'r.external_id is null and r.email_key is null and c.external_id is null and c.email_key is null and c.last_name = r.last_name and c.first_name = r.first_name'

/**
 * Plans who leaves: active people of the feed's scope whom no row of the file names, whatever became of the row. Behind the plan of contacts and users, in
 * its transaction; a plan that was there is replaced. Nobody leaves by a file of changes.
 * People of rows that were neither staged nor planned, since they say what they said before, stand in the table `passed_over` of this transaction.
 * @returns their number
 */
export async function planLeaving(tx: Transaction, importId: string, intake: FeedIntake): Promise<number> {
  const leaving = leavingTable(importId)
  await tx.run(`drop table if exists ${leaving}`)
  await tx.run(`create table ${leaving} (number integer not null, contact_id bigint not null, version integer not null, users_version integer not null, outcome text) with (autovacuum_enabled = off)`)
  if (intake.mode !== 'full') return 0
  const scope = inScope(intake)
  // Neither side is known to be small: with a cut file the one is large, with a garbled one the other.
  await tx.run('set local enable_nestloop = off')
  // The plan knows of one person for each row; a row that was rejected because it names two speaks of both.
  const count = await tx.run(
    `with missing as materialized (
       select c.id, c.version, c.external_id, c.email_key, c.last_name, c.first_name from contacts c
       where c.state = 'active' and ${scope.sql} and not exists (select from ${planTable(importId)} p where p.contact_id = c.id)
         and not exists (select from passed_over k where k.contact_id = c.id)
     ), rejected as materialized (
       select r.external_id, r.email_key, r.last_name, r.first_name from ${planTable(importId)} p join ${rowsTable(importId)} r on r.row = p.row where p.fate = 'rejected'
       union all
       -- So does one whose address was not taken in, since it is the person's own to change: the address may be somebody else's.
       select null, lower(i.value), null, null from import_issues i where i.import_id = ${importId} and i.code = 'email.belongs_to_person'
     )
     insert into ${leaving} select row_number() over (order by c.id), c.id, c.version, ${usersVersion('c.id')}, null from missing c
     where not exists (select from rejected r where r.external_id = c.external_id) and not exists (select from rejected r where r.email_key = c.email_key)
       and not exists (select from rejected r where ${SAME_NAME})`,
    scope.values,
  )
  await tx.run('set local enable_nestloop to default')
  await tx.run(`create unique index on ${leaving} (number)`)
  await tx.run(`analyze ${leaving}`)
  return count
}

/**
 * Plans whom the feed makes its own, where it adopts (spec A6): people whom the file names, and whom no feed has brought or one that is gone. Nobody is taken from another
 * feed. Behind the plan of contacts, in its transaction; a plan that was there is replaced.
 */
export async function planAdopted(tx: Transaction, importId: string, intake: Pick<FeedIntake, 'adopts'>): Promise<void> {
  const adopted = adoptedTable(importId)
  await tx.run(`drop table if exists ${adopted}`)
  await tx.run(`create table ${adopted} (contact_id bigint primary key) with (autovacuum_enabled = off)`)
  if (!intake.adopts) return
  await tx.run(
    `insert into ${adopted} select distinct c.id from ${planTable(importId)} p join contacts c on c.id = p.contact_id
     where p.fate in ('update', 'unchanged') and not exists (select from feeds f where f.id = c.feed_id)`,
  )
  await tx.run(`analyze ${adopted}`)
}

/** SQL: a number that grows with every change of a contact's users, and with every new one. */
const usersVersion = (contact: string): string => `(select coalesce(sum(u.version), 0)::int from users u where u.contact_id = ${contact})`

/**
 * Rejected rows in which nobody can be recognized, neither known nor new: whoever is planned to leave may be among them. A row is recognized by an id or
 * address that could be read, unless the cells of the row are shifted or its id is there and cannot be read; then it has to be somebody known.
 */
export async function countUnsureRows(tx: Transaction, importId: string): Promise<number> {
  const [found] = await tx.query<{ count: number }>(
    `select count(*)::int as count from ${rowsTable(importId)} r join ${planTable(importId)} p on p.row = r.row
     cross join lateral (
       select coalesce(bool_or(i.code in ('row.too_few_fields', 'row.too_many_fields')), false) as shifted, coalesce(bool_or(i.field = 'externalId'), false) as id_unread,
         coalesce(bool_or(i.field = 'email'), false) as address_unread
       from import_issues i where i.import_id = $1 and i.row = r.row and i.severity = 'error'
     ) said
     where r.verdict = 'r' and not (
       p.contact_id is not null and (r.external_id is not null or r.email_key is not null)
       or not said.shifted and (r.external_id is not null or r.email_key is not null and not said.id_unread
         or not said.id_unread and not said.address_unread and exists (select from contacts c where ${SAME_NAME})))`,
    [importId],
  )
  return found!.count
}

/**
 * What the plan changes, kind by kind, each person once (spec A6). Behind planLeaving and planAdopted.
 * `rows` are those that are not blank, those that were passed over among them; `population` is the active people of the feed's scope before anything changes.
 */
export async function countChanges(tx: Transaction, importId: string, intake: FeedIntake): Promise<ChangeCounts> {
  const plan = planTable(importId)
  const scope = inScope(intake)
  // A further account of somebody whom the same file makes or changes is no further change.
  const counted = (await hasFurther(tx, importId)) ? `not exists (select from ${furtherTable(importId)} x join ${plan} f on f.row = x.first_row where x.row = p.row and f.fate in ('create', 'update'))` : 'true'
  const [rows] = await tx.query<Pick<ChangeCounts, 'rows' | 'creations' | 'updates' | 'reactivations'>>(
    `select count(*) filter (where p.fate <> 'blank')::int + (select count(*)::int from passed_over) as rows, count(*) filter (where p.fate = 'create')::int as creations,
       count(distinct p.contact_id) filter (where p.fate = 'update' and not p.reactivate and ${counted})::int as updates,
       count(distinct p.contact_id) filter (where p.fate = 'update' and p.reactivate)::int as reactivations
     from ${plan} p`,
  )
  // Only where there was an address before: it is not a way to somebody else's account that a first one opens.
  const [emails] = await tx.query<{ changed: number }>(
    `select count(*)::int as changed from ${plan} p join ${rowsTable(importId)} r on r.row = p.row join contacts c on c.id = p.contact_id
     where p.fate = 'update' and p.contact_version is not null and c.email_key is not null and (r.email_key <> c.email_key or 'email' = any (r.clears))`,
  )
  const [population] = await tx.query<{ count: number }>(`select count(*)::int as count from contacts c where c.state = 'active' and ${scope.sql}`, scope.values)
  const { left } = await countLeaving(tx, importId)
  const [adopted] = await tx.query<{ count: number }>(`select count(*)::int as count from ${adoptedTable(importId)}`)
  const { rows: read, creations, updates, reactivations } = rows!
  return { rows: read, population: population!.count, creations, updates, deactivations: left, changedEmails: emails!.changed, reactivations, adoptions: adopted!.count }
}

/** People who leave, or left; `stale` were changed since the plan was made, `spared` were left alone because rows of the file could not be written. */
export type LeavingCounts = { left: number; stale: number; spared: number }

/** What stands in the list of those who leave. Those whose turn has not come count as leaving. */
export async function countLeaving(tx: Transaction, importId: string): Promise<LeavingCounts> {
  const [counts] = await tx.query<LeavingCounts>(
    `select count(*) filter (where outcome is null or outcome = 'left')::int as left, count(*) filter (where outcome = 'stale')::int as stale, count(*) filter (where outcome = 'spared')::int as spared from ${leavingTable(importId)}`,
  )
  return counts!
}

/**
 * Whether those who leave have to wait: rows of the file are not all written yet, and until then it is not known that they all will be.
 */
export async function waitsForRows(tx: Transaction, importId: string): Promise<boolean> {
  const [found] = await tx.query<{ waits: boolean }>(`select exists (select from import_chunks where import_id = $1 and kind = 'rows' and state = 'pending') as waits`, [importId])
  return found!.waits
}

/** Whether rows of the file were set aside because the database refused them: what it would have made of people is not known. */
export async function rowsNotWritten(tx: Transaction, importId: string): Promise<boolean> {
  const [found] = await tx.query<{ some: boolean }>(`select exists (select from import_issues where import_id = $1 and code = 'row.not_written') as some`, [importId])
  return found!.some
}

/** Leaves everybody of a chunk alone, and keeps that it was so. */
export async function spareLeaving(tx: Transaction, importId: string, chunk: Chunk): Promise<void> {
  await tx.run(`update ${leavingTable(importId)} set outcome = 'spared' where number between $1 and $2 and outcome is null`, [chunk.first, chunk.last])
}

/**
 * Deactivates the contacts of a chunk of leaving people; whoever was changed since the plan was made, or whose users were, is left alone as stale. Their
 * users are the caller's to deactivate, in the same transaction.
 * Locks contacts and then users in the order of their ids, as every chunk does.
 */
export async function commitLeaving(tx: Transaction, importId: string, chunk: Chunk): Promise<{ contactIds: string[]; userIds: string[] }> {
  const bounds = [chunk.first, chunk.last]
  const inChunk = `number between $1 and $2 and outcome is null`
  const chosen = `select contact_id from ${leavingTable(importId)} where ${inChunk}`
  await tx.run(`select from contacts where id in (${chosen}) order by id for no key update`, bounds)
  await tx.run(`select from users where contact_id in (${chosen}) order by id for no key update`, bounds)
  await tx.run(
    `update ${leavingTable(importId)} l set outcome = 'stale' where ${inChunk}
       and ((select c.version from contacts c where c.id = l.contact_id and c.state = 'active') is distinct from l.version or ${usersVersion('l.contact_id')} <> l.users_version)`,
    bounds,
  )
  const left = await tx.query<{ id: string }>(`update contacts set state = 'inactive', version = version + 1, updated_at = now() where id in (${chosen}) returning id`, bounds)
  await tx.run(`update ${leavingTable(importId)} set outcome = 'left' where ${inChunk}`, bounds)
  const contactIds = left.map(({ id }) => id)
  const users = await tx.query<{ id: string }>(`select id from users where contact_id = any ($1::bigint[]) and state = 'active' order by id`, [contactIds])
  return { contactIds, userIds: users.map(({ id }) => id) }
}

/**
 * Makes people of a chunk the feed's own, as planned (planAdopted). Whose row is left alone, or who is another feed's meanwhile, is not; nobody is changed otherwise.
 */
export async function adoptNamed(tx: Transaction, importId: string, chunk: Chunk, feedId: string): Promise<void> {
  await tx.run(
    `with adopted as (
       select c.id from contacts c where c.id in (select p.contact_id from ${planTable(importId)} p where p.row between $1 and $2 and p.fate in ('update', 'unchanged'))
         and c.id in (select contact_id from ${adoptedTable(importId)}) and not exists (select from feeds f where f.id = c.feed_id) order by c.id for no key update
     )
     update contacts c set feed_id = $3 from adopted where c.id = adopted.id`,
    [chunk.first, chunk.last, feedId],
  )
}
