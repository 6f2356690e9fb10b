import { createHash } from 'node:crypto'
import type { Transaction } from '../entities/database.ts'
import type { Catalog } from '../organizations/catalog.ts'
import type { Settings } from '../organizations/declaration.ts'
import type { Mapping, MatchedColumn } from '../rules/columns.ts'
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
/** A transaction that was under way as the last import ended may have stamped its changes so much earlier. */
const MARGIN = "interval '15 minutes'"
/** Marks a row that is packed before its contact is known: in place of the contact stands its number in the file. */
const PENDING = 0xffff_ffff

/** All that decides how rows are read, and what becomes of them, besides the rows. */
export type Reading = { header: readonly (string | null)[]; columns: readonly MatchedColumn[]; mapping: Mapping | null; settings: Settings; catalog: Catalog; options: ImportOptions }

/** Whether rows of this import may be known from the one before: full files that let no mail go and hold no dates that pass. */
export function mayKnowRows({ options, columns }: Pick<Reading, 'options' | 'columns'>): boolean {
  const { feed, delivery } = options
  return feed?.mode === 'full' && feed.scope.kind === 'own' && (delivery.kind === 'held' || delivery.kind === 'none') && !columns.some(({ field }) => field === 'sendAt')
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

/** What is remembered of the feed's last file that was taken in, as far as it still holds. */
export async function rememberRows(tx: Transaction, importId: string, reading: Reading): Promise<RowMemory> {
  const fingerprint = fingerprintOf(reading)
  const feedId = reading.options.feed!.feedId
  const [last] = await tx.query<{ importId: string; fingerprint: string; rows: Buffer }>(
    // An undo takes people away without a trace that could be looked for here.
    `select k.import_id as "importId", k.fingerprint, k.rows from known_rows k join imports i on i.id = k.import_id
     where k.feed_id = $1 and k.settled and k.import_id <> $2 and not exists (select from imports u where u.undone_at > k.at - ${MARGIN}) order by k.import_id desc limit 1`,
    [feedId, importId],
  )
  if (reading.options.readWhole || last?.fingerprint !== fingerprint) return new RowMemory(fingerprint, null, [])
  const packed = new PackedRows(last.rows)
  const changed = await tx.query<{ id: string; version: number; users: number; asIs: boolean }>(
    `with last as (select at - ${MARGIN} as since from known_rows where feed_id = $2 and import_id = $1)
     select c.id, c.version, coalesce((select sum(u.version) from users u where u.contact_id = c.id), 0)::int as users,
       c.state = 'active' and c.feed_id is not distinct from $2 and not exists (select from identity_decisions d where d.contact_id = c.id and d.state = 'waiting') as "asIs"
     from contacts c
     where c.updated_at > (select since from last) or c.id in (select u.contact_id from users u where u.updated_at > (select since from last))
       or c.id in (select d.contact_id from identity_decisions d where d.state = 'waiting')`,
    [last.importId, feedId],
  )
  const standing = new Map(changed.map((contact) => [contact.id, contact]))
  const withheld: number[] = []
  if (standing.size > 0) {
    for (let index = 0; index < packed.length; index++) {
      const now = standing.get(packed.contactId(index))
      if (now && !(now.asIs && now.version === packed.version(index) && now.users === packed.usersVersion(index))) withheld.push(index)
    }
  }
  return new RowMemory(fingerprint, packed, withheld)
}

/** The contacts of the rows that an import passed over. */
export class PassedOver {
  /** Ids are below 2^53: sorted numbers are a set that needs little room. */
  readonly #ids: Float64Array

  constructor(ids: Float64Array) {
    this.#ids = ids.sort()
  }

  get size(): number {
    return this.#ids.length
  }

  has(id: string): boolean {
    const wanted = Number(id)
    let [low, high] = [0, this.#ids.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ids[middle]! < wanted) low = middle + 1
      else high = middle
    }
    return this.#ids[low] === wanted
  }

  /** As PostgreSQL takes it for bigint[]. */
  asArray(): string {
    return `{${this.#ids.join(',')}}`
  }
}

/** Whose rows were passed over; nobody's where the import remembers no rows. */
export async function readPassedOver(tx: Transaction, importId: string): Promise<PassedOver> {
  const [kept] = await tx.query<{ rows: Buffer }>('select rows from known_rows where import_id = $1', [importId])
  if (!kept) return new PassedOver(new Float64Array())
  const packed = new PackedRows(kept.rows)
  let count = 0
  while (count < packed.length && packed.usersVersion(count) !== PENDING) count++
  return new PassedOver(Float64Array.from({ length: count }, (_, index) => Number(packed.contactId(index))))
}

/** A row that was staged is about somebody whose row was passed over: the file has to be read whole. */
export class ReadWhole extends Error {
  constructor(importId: string) {
    super(`import ${importId} has to be read whole`)
    this.name = 'ReadWhole'
  }
}

/**
 * Throws ReadWhole where a row that was staged is about somebody of a row that was passed over, by id, address or name: which of the two is to be
 * rejected is for the whole file to say. Behind the plan of contacts.
 */
export async function assertNobodyTwice(tx: Transaction, importId: string, passedOver: PassedOver): Promise<void> {
  if (passedOver.size === 0) return
  const named = await tx.query<{ id: string }>(
    `select p.contact_id as id from ${planTable(importId)} p where p.contact_id is not null and p.fate <> 'create'
     union select m.id from ${rowsTable(importId)} r join contacts m on m.email_key = r.email_key
     union select m.id from ${rowsTable(importId)} r join contacts m on m.external_id = r.external_id`,
  )
  if (named.some(({ id }) => passedOver.has(id))) throw new ReadWhole(importId)
}

/** Rows whose people are looked up at once when an import is settled. */
const SETTLED_AT_ONCE = 50_000

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
    const end = Math.min(index + SETTLED_AT_ONCE, packed.length)
    const people = await peopleOf(tx, importId, Number(packed.contactId(index)), Number(packed.contactId(end - 1)))
    for (; index < end; index++) {
      const person = people.get(packed.contactId(index))
      if (person) settled.add({ low: packed.low(index), high: packed.high(index), contactId: person.id, version: person.version, usersVersion: person.users })
    }
  }
  await tx.run('update known_rows set rows = $3, settled = true, at = now() where feed_id = $1 and import_id = $2', [kept.feedId, importId, settled.bytes()])
  await tx.run('delete from known_rows where feed_id = $1 and import_id < $2', [kept.feedId, importId])
}

/** By row: the one person of each row, from one to another, that was taken in without a problem and is of no other row. */
async function peopleOf(tx: Transaction, importId: string, first: number, last: number): Promise<Map<string, { id: string; version: number; users: number }>> {
  const people = await tx.query<{ row: number; id: string; version: number; users: number }>(
    `select p.row, c.id, c.version, coalesce((select sum(u.version) from users u where u.contact_id = c.id), 0)::int as users
     from ${planTable(importId)} p join contacts c on c.id = p.contact_id
     where p.row between $2 and $3 and p.fate in ('create', 'update', 'unchanged') and c.state = 'active'
       and not exists (select from import_issues i where i.import_id = $1 and i.row = p.row)
       and not exists (select from (select contact_id from ${planTable(importId)} where contact_id is not null group by contact_id having count(*) > 1) several where several.contact_id = c.id)`,
    [importId, first, last],
  )
  return new Map(people.map((person) => [String(person.row), person]))
}
