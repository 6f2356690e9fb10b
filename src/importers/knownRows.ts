import { createHash } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'
import type { Catalog } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'
import { holdsMendedRows, type Mapping, type MatchedColumn } from '../rules/columns.ts'
import type { ImportOptions } from './receive.ts'
import { hashRow, PackedRows, PackedWriter, RowTable } from './rowHashes.ts'
import type { SourceRow } from './source.ts'
import { planTable, rowsTable } from './stagedRow.ts'

/**
 * A full file of a feed is nearly the one of the night before. A row that says what it said when it was last taken in, of a contact whom nobody
 * has changed since, read by the same settings, catalog and mapping, would come out as `unchanged`: it is counted as that, and neither
 * checked nor staged nor planned again. Everything else goes the whole way. Where in doubt, all rows do.
 */

/** Counts up whenever rows are read by other rules than before: what was known is then known no longer. */
const READING = 1
/** Marks a row that is packed before its contact is known: in place of the contact stands its number in the file. */
const PENDING = 0xffff_ffff
/** Contacts changed since the last file of whom rows are withheld one by one; where there are more, the file is read whole. */
const MOST_CHANGED = 50_000

/** All that decides how rows are read, and what becomes of them, besides the rows. */
export type Reading = { header: readonly (string | null)[]; columns: readonly MatchedColumn[]; mapping: Mapping | null; settings: Settings; catalog: Catalog; options: ImportOptions }

/** Whether rows of this import may be known from the one before: full files, and no mended parts of them, that let no mail go and hold no dates that pass. */
export function mayKnowRows({ options, columns }: Pick<Reading, 'options' | 'columns'>): boolean {
  const { feed, delivery } = options
  return feed?.mode === 'full' && feed.scope.kind === 'own' && (delivery.kind === 'held' || delivery.kind === 'none') && !columns.some(({ field }) => field === 'sendAt') && !holdsMendedRows(columns)
}

function fingerprintOf({ header, columns, mapping, settings, catalog, options }: Reading): string {
  const { feed, delivery } = options
  return createHash('sha256').update(JSON.stringify([READING, header, columns, mapping, settings, catalog, delivery.kind, feed?.mode, feed?.scope, feed?.adopts])).digest('hex')
}

/** Rows as one attempt to stage meets them: known ones are passed over, the others are noted for the next time. */
export class RowMemory {
  readonly #fingerprint: string
  readonly #packed: PackedRows | null
  readonly #table: RowTable | null
  readonly #fresh = new PackedWriter()
  readonly #hash = { low: 0, high: 0 }
  /** Rows that were passed over, and the number of the last of them in the file. */
  known = 0
  lastRow: number | null = null

  constructor(fingerprint: string, packed: PackedRows | null, withheld: Iterable<number>) {
    this.#fingerprint = fingerprint
    this.#packed = packed
    this.#table = packed && new RowTable(packed)
    for (const index of withheld) this.#table?.withhold(index)
  }

  /** Whether the row is known, and need not be looked at. A row that holds anything but text, or has too few or many fields, never is. */
  passesOver({ row, cells, fieldCount }: SourceRow): boolean {
    if (fieldCount || !cells.every((cell) => cell === null || typeof cell === 'string')) return false
    hashRow(cells, this.#hash)
    const { low, high } = this.#hash
    if (this.#table && this.#table.take(low, high) >= 0) {
      this.known++
      this.lastRow = row
      return true
    }
    this.#fresh.add({ low, high, contactId: String(row), version: 0, usersVersion: PENDING })
    return false
  }

  /** Keeps what was met with the import, for its plan and for the file after it. */
  async keep(tx: Transaction, feedId: string, importId: string): Promise<void> {
    const writer = new PackedWriter()
    for (const index of this.#table?.takenRows() ?? []) writer.copy(this.#packed!, index)
    const rows = Buffer.concat([writer.bytes(), this.#fresh.bytes()])
    await tx.run(
      `insert into known_rows (feed_id, import_id, organization_id, fingerprint, rows) values ($1, $2, $3, $4, $5)
       on conflict (feed_id, import_id) do update set fingerprint = excluded.fingerprint, rows = excluded.rows, settled = false`,
      [feedId, importId, tx.organizationId, this.#fingerprint, rows],
    )
  }
}

/**
 * What is remembered of the feed's last file that was taken in. Rows of people who have been changed since, as far as a clock tells, are withheld
 * here already; whether the others stand as they did is for the plan to say (listPassedOver).
 */
export async function rememberRows(tx: Transaction, importId: string, reading: Reading): Promise<RowMemory> {
  const fingerprint = fingerprintOf(reading)
  const feedId = reading.options.feed!.feedId
  const [last] = await tx.query<{ fingerprint: string; rows: Buffer; at: string }>(
    'select fingerprint, rows, at::text as at from known_rows where feed_id = $1 and settled and import_id <> $2 order by import_id desc limit 1',
    [feedId, importId],
  )
  if (reading.options.readWhole || last?.fingerprint !== fingerprint) return new RowMemory(fingerprint, null, [])
  const changed = await tx.query<{ id: string }>(
    `select id from contacts where updated_at >= $1 union select contact_id from users where updated_at >= $1
     union select contact_id from identity_decisions where state = 'waiting' limit ${MOST_CHANGED + 1}`,
    [last.at],
  )
  if (changed.length > MOST_CHANGED) return new RowMemory(fingerprint, null, [])
  const packed = new PackedRows(last.rows)
  const ids = new Set(changed.map(({ id }) => id))
  const withheld: number[] = []
  if (ids.size > 0) for (let index = 0; index < packed.length; index++) if (ids.has(packed.contactId(index))) withheld.push(index)
  return new RowMemory(fingerprint, packed, withheld)
}

/** A row that was staged is about somebody whose row was passed over, or such a person was changed: the file has to be read whole. */
export class ReadWhole extends Error {
  constructor(importId: string) {
    super(`import ${importId} has to be read whole`)
    this.name = 'ReadWhole'
  }
}

/** Contacts, and the rows that they are packed from, that go to the database at once. */
const AT_ONCE = 100_000

/**
 * Lists whose rows the import passed over in the temporary table `passed_over` (contact_id, version, users_version) of this transaction; nobody where it remembers
 * no rows. Throws ReadWhole where one of them does not stand as packed any more, or is also in a row that was staged. Before the plan, in its transaction.
 */
export async function listPassedOver(tx: Transaction, importId: string): Promise<void> {
  await tx.run('drop table if exists passed_over')
  await tx.run('create temporary table passed_over (contact_id bigint not null, version integer not null, users_version integer not null) on commit drop')
  const [kept] = await tx.query<{ feedId: string; rows: Buffer }>('select feed_id as "feedId", rows from known_rows where import_id = $1', [importId])
  if (!kept) return
  const packed = new PackedRows(kept.rows)
  let count = 0
  while (count < packed.length && packed.usersVersion(count) !== PENDING) count++
  if (count === 0) return
  for (let from = 0; from < count; from += AT_ONCE) {
    const length = Math.min(AT_ONCE, count - from)
    const list = (value: (index: number) => string | number): string => `{${Array.from({ length }, (_, index) => value(from + index)).join(',')}}`
    await tx.run('insert into passed_over select * from unnest($1::bigint[], $2::integer[], $3::integer[])', [list(packed.contactId), list(packed.version), list(packed.usersVersion)])
  }
  await tx.run('analyze passed_over')
  const [found] = await tx.query<{ changed: boolean; twice: boolean }>(
    `select exists (
       select from passed_over k left join contacts c on c.id = k.contact_id
       left join (select contact_id, sum(version)::int as version from users group by contact_id) u on u.contact_id = k.contact_id
       where c.id is null or c.version <> k.version or c.state <> 'active' or c.feed_id is distinct from $1 or coalesce(u.version, 0) <> k.users_version
         or k.contact_id in (select d.contact_id from identity_decisions d where d.state = 'waiting')
     ) as changed,
     exists (
       select from ${rowsTable(importId)} r join contacts c on c.external_id = r.external_id join passed_over k on k.contact_id = c.id where r.verdict = 'o'
       union all
       select from ${rowsTable(importId)} r join contacts c on c.email_key = r.email_key join passed_over k on k.contact_id = c.id where r.verdict = 'o'
       union all
       select from ${rowsTable(importId)} r join contacts c on c.last_name = r.last_name and c.first_name = r.first_name join passed_over k on k.contact_id = c.id
       where r.verdict = 'o' and r.external_id is null and r.email_key is null and c.external_id is null and c.email_key is null
     ) as twice`,
    [kept.feedId],
  )
  if (found!.changed || found!.twice) throw new ReadWhole(importId)
}

/** How users of the people whom the plan meets stood when it was made: (contact_id, version). */
export const standingTable = (importId: string): string => `${planTable(importId)}_standing`

/** Notes how the users of people in the plan stand, for settleRows. Behind the plan of contacts, in its transaction. Does nothing where no rows are remembered. */
export async function noteStanding(tx: Transaction, importId: string): Promise<void> {
  await tx.run(`drop table if exists ${standingTable(importId)}`)
  if ((await tx.query('select from known_rows where import_id = $1', [importId])).length === 0) return
  await tx.run(
    `create table ${standingTable(importId)} with (autovacuum_enabled = off) as
     select u.contact_id, sum(u.version)::int as version from users u
     where u.contact_id in (select p.contact_id from ${planTable(importId)} p where p.fate in ('update', 'unchanged')) group by u.contact_id`,
  )
}

/**
 * Settles what is remembered of an import that was committed: rows that came out well and had no problem, each with its contact as it stands now.
 * What the feed remembered before is forgotten. Before staging is emptied.
 */
export async function settleRows(tx: Transaction, importId: string): Promise<void> {
  const [kept] = await tx.query<{ feedId: string; rows: Buffer }>('select feed_id as "feedId", rows from known_rows where import_id = $1 and not settled for update', [importId])
  if (!kept) return
  const packed = new PackedRows(kept.rows)
  const settled = new PackedWriter()
  let index = 0
  for (; index < packed.length && packed.usersVersion(index) !== PENDING; index++) settled.copy(packed, index)
  // What was noted of rows stands in their order.
  while (index < packed.length) {
    const end = Math.min(index + AT_ONCE, packed.length)
    const people = await peopleOf(tx, kept.feedId, importId, Number(packed.contactId(index)), Number(packed.contactId(end - 1)))
    for (; index < end; index++) {
      const person = people.get(packed.contactId(index))
      if (person) settled.add({ low: packed.low(index), high: packed.high(index), contactId: person.id, version: person.version, usersVersion: person.users })
    }
  }
  await tx.run('update known_rows set rows = $3, settled = true, at = now() where feed_id = $1 and import_id = $2', [kept.feedId, importId, settled.bytes()])
  await tx.run('delete from known_rows where feed_id = $1 and import_id < $2', [kept.feedId, importId])
}

/**
 * By row: the feed's one person of each row, from one to another, that was taken in without a problem and is of no other row. Whoever does not stand as the plan
 * and its commit left him or her was changed by somebody else meanwhile: such a row is not remembered, and is looked at the next time.
 */
async function peopleOf(tx: Transaction, feedId: string, importId: string, first: number, last: number): Promise<Map<string, { id: string; version: number; users: number }>> {
  const people = await tx.query<{ row: number; id: string; version: number; users: number }>(
    `select p.row, c.id, c.version, coalesce(u.version, 0) as users
     from ${planTable(importId)} p join contacts c on c.id = p.contact_id
     left join (select contact_id, sum(version)::int as version from users group by contact_id) u on u.contact_id = c.id
     left join ${standingTable(importId)} s on s.contact_id = c.id
     left join (select contact_id, count(*)::int as changes from ${planTable(importId)}_users where fate in ('create', 'update') group by contact_id) done on done.contact_id = c.id
     where p.row between $2 and $3 and c.state = 'active' and c.feed_id = $4
       and c.version = case p.fate when 'create' then 1 when 'update' then p.contact_version + 1 when 'unchanged' then p.contact_version end
       and coalesce(u.version, 0) = coalesce(s.version, 0) + coalesce(done.changes, 0)
       and not exists (select from import_issues i where i.import_id = $1 and i.row = p.row)
       and not exists (select from (select contact_id from ${planTable(importId)} where contact_id is not null group by contact_id having count(*) > 1) several where several.contact_id = c.id)`,
    [importId, first, last, feedId],
  )
  return new Map(people.map((person) => [String(person.row), person]))
}
