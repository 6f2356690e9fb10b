import type { Database, Transaction } from '../entities/database.ts'
import type { ByteSource } from './source.ts'

/** Bytes of one piece: small enough to hold a few, large enough that a file is few rows. */
const PIECE_BYTES = 4 * 1024 * 1024

/** Writes a file's bytes as pieces of PIECE_BYTES. `write` takes parts of any size in order; `end` writes what is left. */
export function pieceWriter(tx: Transaction, importId: string): { write(part: Buffer): Promise<void>; end(): Promise<void> } {
  let number = 0
  let waiting: Buffer[] = []
  let size = 0
  const put = async (bytes: Buffer): Promise<void> => {
    await tx.run('insert into file_pieces (import_id, number, organization_id, bytes) values ($1, $2, $3, $4)', [importId, number++, tx.organizationId, bytes])
  }
  return {
    async write(part) {
      waiting.push(part)
      size += part.length
      if (size < PIECE_BYTES) return
      const whole = Buffer.concat(waiting)
      let at = 0
      for (; whole.length - at >= PIECE_BYTES; at += PIECE_BYTES) await put(whole.subarray(at, at + PIECE_BYTES))
      waiting = [whole.subarray(at)]
      size = whole.length - at
    },
    async end() {
      if (size > 0) await put(Buffer.concat(waiting))
    },
  }
}

/**
 * A stored file as readers want it. Keeps the two pieces that were asked for last,
 * so that memory stays flat and a workbook's directory at the end does not push out what is being read.
 */
export function storedFile(database: Database, organizationId: string, importId: string, size: number): ByteSource {
  const kept = new Map<number, Promise<Buffer>>()
  const piece = (number: number): Promise<Buffer> => {
    const found = kept.get(number)
    if (found) return found
    const fetched = database.tenant(organizationId, async (tx) => {
      const [row] = await tx.query<{ bytes: Buffer }>('select bytes from file_pieces where import_id = $1 and number = $2', [importId, number])
      if (!row) throw new Error(`piece ${number} of import ${importId} is not stored`)
      return row.bytes
    })
    fetched.catch(() => kept.delete(number))
    if (kept.size >= 2) kept.delete(kept.keys().next().value!)
    kept.set(number, fetched)
    return fetched
  }
  return {
    size,
    async read(offset, length) {
      if (offset < 0 || offset + length > size) throw new RangeError(`bytes ${offset} to ${offset + length} of ${size}`)
      const parts: Buffer[] = []
      for (let at = offset; at < offset + length; ) {
        const bytes = await piece(Math.floor(at / PIECE_BYTES))
        const from = at % PIECE_BYTES
        const part = bytes.subarray(from, Math.min(bytes.length, from + offset + length - at))
        parts.push(part)
        at += part.length
      }
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    },
    async *stream() {
      for (let number = 0; number * PIECE_BYTES < size; number++) yield await piece(number)
    },
  }
}
