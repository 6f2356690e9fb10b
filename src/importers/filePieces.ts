import type { Database, Transaction } from '../entities/database.ts'
import type { ByteSource } from './source.ts'

/** Bytes of one piece: small enough to hold a few, large enough that a file is few rows. */
const PIECE_BYTES = 4 * 1024 * 1024
/** Room that is made for the beginning of a file. */
const FIRST_BYTES = 64 * 1024

/** Stores a piece; the bytes are the writer's again once it has resolved. */
type PutPiece = (number: number, bytes: Buffer) => Promise<void>

/** Writes a file's bytes as pieces of PIECE_BYTES. `write` takes parts of any size in order; `end` writes what is left. */
export function pieceWriter(tx: Transaction, importId: string): { write(part: Buffer): Promise<void>; end(): Promise<void> } {
  return gatherPieces((number, bytes) => putPiece(tx, importId, number, bytes))
}

/** Writes one piece of a file. */
export async function putPiece(tx: Transaction, importId: string, number: number, bytes: Buffer): Promise<void> {
  await tx.run('insert into file_pieces (import_id, number, organization_id, bytes) values ($1, $2, $3, $4)', [importId, number, tx.organizationId, bytes])
}

/** Gathers parts of any size into pieces of PIECE_BYTES, as `storedFile` finds them. Holds one piece, however many parts it comes in. */
export function gatherPieces(put: PutPiece): { write(part: Buffer): Promise<void>; end(): Promise<void> } {
  let number = 0
  // Grows with the file: most are far smaller than a piece, and many may come at once.
  let piece = Buffer.allocUnsafeSlow(FIRST_BYTES)
  let filled = 0
  const makeRoom = (bytes: number): void => {
    if (filled + bytes <= piece.length || piece.length === PIECE_BYTES) return
    let size = piece.length
    while (size < filled + bytes && size < PIECE_BYTES) size *= 4
    const larger = Buffer.allocUnsafeSlow(Math.min(size, PIECE_BYTES))
    piece.copy(larger, 0, 0, filled)
    piece = larger
  }
  return {
    async write(part) {
      for (let at = 0; at < part.length; ) {
        makeRoom(part.length - at)
        const copied = part.copy(piece, filled, at)
        at += copied
        filled += copied
        if (filled < PIECE_BYTES) continue
        await put(number++, piece)
        filled = 0
      }
    },
    async end() {
      if (filled > 0) await put(number, piece.subarray(0, filled))
      filled = 0
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
