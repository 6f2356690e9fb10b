import { createHash } from 'node:crypto'
import type { Database, Transaction } from '../entities/database.ts'
import { FileRefused } from '../rules/refusal.ts'
import type { ColumnTarget, Mapping, MatchedColumn } from '../rules/columns.ts'
import type { DeliveryWish } from '../rules/deliveryWish.ts'
import type { FeedIntake } from '../rules/feedPolicy.ts'
import { gatherPieces, pieceWriter, putPiece } from './filePieces.ts'
import { LIMITS } from './source.ts'

export type ImportOptions = {
  delivery: DeliveryWish
  /** Stop before anything changes. */
  preview: boolean
  mapping: string | null
  /** Set for this file alone, over the mapping. */
  setColumns: Record<string, ColumnTarget>
  /** Keep the columns as a mapping of this name. */
  saveMapping: string | null
  sheet: string | null
  /** The feed that brought the file; absent where a person did. */
  feed?: FeedIntake
  /** Every row is read, known from the night before or not (knownRows.ts). */
  readWhole?: true
}

export const DEFAULT_OPTIONS: ImportOptions = { delivery: { kind: 'held' }, preview: false, mapping: null, setColumns: {}, saveMapping: null, sheet: null }

/**
 * Takes a file in: its bytes, hashed, in one transaction, so that any worker can go on from here (design: receive).
 * @param bytes parts of any size, in order
 * @returns the import's id; throws FileRefused `file.too_large` before more than the limit is stored
 */
export async function receiveFile(
  database: Database,
  organizationId: string,
  file: { name: string; bytes: AsyncIterable<Buffer> | Iterable<Buffer> },
  options: ImportOptions,
): Promise<string> {
  return database.tenant(organizationId, async (tx) => {
    const [row] = await tx.query<{ id: string }>(
      `insert into imports (organization_id, state, file_name, file_bytes, file_hash, options) values ($1, 'received', $2, 0, '', $3) returning id`,
      [organizationId, file.name, JSON.stringify(options)],
    )
    const id = row!.id
    const hash = createHash('sha256')
    const pieces = pieceWriter(tx, id)
    let size = 0
    for await (const part of file.bytes) {
      size += part.length
      if (size > LIMITS.fileBytes) throw tooLarge()
      hash.update(part)
      await pieces.write(part)
    }
    await pieces.end()
    await tx.run('update imports set file_bytes = $2, file_hash = $3 where id = $1', [id, size, hash.digest('hex')])
    return id
  })
}

const tooLarge = (): FileRefused => new FileRefused('file.too_large', { what: 'number of bytes', size: `more than ${LIMITS.fileBytes}`, limit: LIMITS.fileBytes })

/** Seconds for which whoever receives a file is believed alive without a sign. */
const LEASE_SECONDS = 90
/** How often it gives one while bytes come, in milliseconds. */
const RENEW_MS = 15_000

/** The import was deleted while it was received: its lease had passed, and somebody else may have begun anew. */
export class ReceivingGone extends Error {
  constructor(importId: string) {
    super(`import ${importId} is no longer to be received here`)
    this.name = 'ReceivingGone'
  }
}

/**
 * Begins to take a file in piece by piece: nobody stages it, and nobody sees it, before finishReceiving. What is left of one that ends
 * without that is deleted by dropReceivedInPart.
 * @param feedId the feed that brings it
 * @returns the import's id
 */
export async function beginReceiving(tx: Transaction, file: { name: string; feedId: string }, options: ImportOptions): Promise<string> {
  const [row] = await tx.query<{ id: string }>(
    `insert into imports (organization_id, state, file_name, file_bytes, file_hash, options, feed_id, lease_until)
     values ($1, 'receiving', $2, 0, '', $3, $4, now() + make_interval(secs => $5)) returning id`,
    [tx.organizationId, file.name, JSON.stringify(options), file.feedId, LEASE_SECONDS],
  )
  return row!.id
}

/**
 * Writes the bytes of an import that is received: each piece in a transaction of its own, so that none is open while the sender is waited
 * for. The lease is renewed while bytes come.
 * `write` takes parts of any size in order and throws FileRefused `file.too_large`, or ReceivingGone where the import is there no longer;
 * `end` writes what is left, and gives the number of bytes and their SHA-256 in hex.
 */
export function receiveParts(database: Database, organizationId: string, importId: string): { write(part: Buffer): Promise<void>; end(): Promise<{ bytes: number; hash: string }> } {
  const hash = createHash('sha256')
  let size = 0
  let renewedAt = performance.now()
  const inTurn = (work: (tx: Transaction) => Promise<void>): Promise<void> =>
    database.tenant(organizationId, async (tx) => {
      const renewed = await tx.run(`update imports set lease_until = now() + make_interval(secs => $2) where id = $1 and state = 'receiving'`, [importId, LEASE_SECONDS])
      if (renewed === 0) throw new ReceivingGone(importId)
      renewedAt = performance.now()
      await work(tx)
    })
  const pieces = gatherPieces((number, bytes) => inTurn((tx) => putPiece(tx, importId, number, bytes)))
  return {
    async write(part) {
      size += part.length
      if (size > LIMITS.fileBytes) throw tooLarge()
      hash.update(part)
      await pieces.write(part)
      // Over a slow line a piece takes longer than the lease.
      if (performance.now() - renewedAt > RENEW_MS) await inTurn(() => Promise.resolve())
    },
    async end() {
      await pieces.end()
      return { bytes: size, hash: hash.digest('hex') }
    },
  }
}

/** All bytes are there and are what they should be: from here on any worker can go on. Throws ReceivingGone. */
export async function finishReceiving(tx: Transaction, importId: string, received: { bytes: number; hash: string }): Promise<void> {
  const finished = await tx.run(`update imports set state = 'received', file_bytes = $2, file_hash = $3, lease_until = null where id = $1 and state = 'receiving'`, [importId, received.bytes, received.hash])
  if (finished === 0) throw new ReceivingGone(importId)
}

/** Removes an import whose bytes came to nothing, with its pieces. */
export async function dropReceiving(tx: Transaction, importId: string): Promise<void> {
  await tx.run(`delete from imports where id = $1 and state = 'receiving'`, [importId])
}

/** As dropReceiving, where whoever received it has given no sign for longer than its lease (faults.md 1). */
export async function dropReceivedInPart(tx: Transaction, importId: string): Promise<void> {
  await tx.run(`delete from imports where id = $1 and state = 'receiving' and lease_until < now()`, [importId])
}

/** The mapping that an import is to be read by: the saved one it names, with what was set for this file over it. */
export async function mappingFor(database: Database, organizationId: string, options: ImportOptions): Promise<Mapping | null> {
  const set = Object.entries(options.setColumns)
  if (options.mapping === null) return set.length === 0 ? null : { name: '', columns: options.setColumns }
  const [row] = await database.tenant(organizationId, (tx) => tx.query<{ definition: Mapping }>('select definition from mappings where name = $1', [options.mapping]))
  if (!row) throw new FileRefused('mapping.unknown', { mapping: options.mapping })
  return { ...row.definition, name: options.mapping, columns: { ...row.definition.columns, ...options.setColumns } }
}

/** Keeps how a file's columns were read under a name (spec A4), with what the mapping that was used says beside columns. */
export async function saveMapping(tx: Transaction, name: string, columns: readonly MatchedColumn[], used: Mapping | null): Promise<void> {
  const targets = columns.flatMap(({ header, field, attribute, by }): [string, ColumnTarget][] => {
    if (header === '' || by === 'none') return []
    return [[header, field ?? (attribute === null ? 'ignore' : { attribute })]]
  })
  const definition: Mapping = { ...used, name, columns: Object.fromEntries(targets) }
  await tx.run(
    `insert into mappings (organization_id, name, definition) values ($1, $2, $3)
     on conflict (organization_id, name) do update set definition = excluded.definition, updated_at = now()`,
    [tx.organizationId, name, JSON.stringify(definition)],
  )
}
