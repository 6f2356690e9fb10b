import { createHash } from 'node:crypto'
import type { Database, Transaction } from '../entities/database.ts'
import { FileRefused } from '../rules/refusal.ts'
import type { ColumnTarget, Mapping, MatchedColumn } from '../rules/columns.ts'
import type { DeliveryWish } from '../rules/deliveryWish.ts'
import { pieceWriter } from './filePieces.ts'
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
      if (size > LIMITS.fileBytes) throw new FileRefused('file.too_large', { what: 'number of bytes', size: `more than ${LIMITS.fileBytes}`, limit: LIMITS.fileBytes })
      hash.update(part)
      await pieces.write(part)
    }
    await pieces.end()
    await tx.run('update imports set file_bytes = $2, file_hash = $3 where id = $1', [id, size, hash.digest('hex')])
    return id
  })
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
