/**
 * Rows of a file as two 32-bit words each, and a table to find them in again. Pure. A full file of a feed is nearly the one of the night
 * before: a row that is found here need not be checked, staged and planned again (knownRows.ts says when).
 */

/** What is kept of a row that was taken in: its hash, whose row it is, and how that contact and its users stood afterwards. */
export type KnownRow = { low: number; high: number; contactId: string; version: number; usersVersion: number }

/** Between two cells: no cell holds it, since control characters are refused. */
const BETWEEN = 0x1f

/** The hash of a row's cells: two words of 32 bits, mixed as MurmurHash3 does. An empty cell and a missing text are the same; the same cells give the same words on every machine. */
export function hashRow(cells: readonly (string | null)[], into: { low: number; high: number }): void {
  let low = 0x9747b28c
  let high = 0x3c6ef372
  for (const given of cells) {
    const cell = given ?? ''
    for (let at = 0; at < cell.length; at++) {
      const unit = cell.charCodeAt(at)
      low = Math.imul(low ^ unit, 0xcc9e2d51)
      low = (low << 15) | (low >>> 17)
      high = Math.imul(high ^ unit, 0x1b873593)
      high = (high << 13) | (high >>> 19)
    }
    low = Math.imul(low ^ BETWEEN, 0x85ebca6b) + cell.length
    high = Math.imul(high ^ BETWEEN, 0xc2b2ae35) ^ cell.length
  }
  into.low = stir(low ^ (high >>> 7)) >>> 0
  into.high = stir(high ^ (low >>> 11)) >>> 0
}

function stir(word: number): number {
  let bits = word ^ (word >>> 16)
  bits = Math.imul(bits, 0x85ebca6b)
  bits ^= bits >>> 13
  bits = Math.imul(bits, 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}

/** Bytes of a packed row: hash 8, contact 8, version 4, users' version 4. Little-endian. */
const PACKED = 24

/** Rows packed one behind the other, for `known_rows.rows`. */
export class PackedRows {
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    if (bytes.length % PACKED !== 0) throw new RangeError(`${bytes.length} bytes are no packed rows`)
    this.#bytes = bytes
  }

  get length(): number {
    return this.#bytes.length / PACKED
  }

  low = (index: number): number => this.#bytes.readUInt32LE(index * PACKED)
  high = (index: number): number => this.#bytes.readUInt32LE(index * PACKED + 4)
  contactId = (index: number): string => this.#bytes.readBigUInt64LE(index * PACKED + 8).toString()
  version = (index: number): number => this.#bytes.readUInt32LE(index * PACKED + 16)
  usersVersion = (index: number): number => this.#bytes.readUInt32LE(index * PACKED + 20)

  /** The bytes of one row, to be packed anew as they are. */
  slice(index: number): Buffer {
    return this.#bytes.subarray(index * PACKED, (index + 1) * PACKED)
  }
}

/** Rows of one step of a PackedWriter's growth. */
const STEP = 4_096

/** Packs rows one after the other, in as little memory as they need. */
export class PackedWriter {
  readonly #full: Buffer[] = []
  #bytes = Buffer.allocUnsafe(STEP * PACKED)
  #at = 0
  length = 0

  add({ low, high, contactId, version, usersVersion }: KnownRow): void {
    const at = this.#place()
    this.#bytes.writeUInt32LE(low, at)
    this.#bytes.writeUInt32LE(high, at + 4)
    this.#bytes.writeBigUInt64LE(BigInt(contactId), at + 8)
    this.#bytes.writeUInt32LE(version, at + 16)
    this.#bytes.writeUInt32LE(usersVersion >>> 0, at + 20)
  }

  /** A row that is packed already, as it is. */
  copy(rows: PackedRows, index: number): void {
    const at = this.#place()
    rows.slice(index).copy(this.#bytes, at)
  }

  #place(): number {
    if (this.#at === this.#bytes.length) {
      this.#full.push(this.#bytes)
      this.#bytes = Buffer.allocUnsafe(STEP * PACKED)
      this.#at = 0
    }
    const at = this.#at
    this.#at += PACKED
    this.length++
    return at
  }

  /** All of them, in their order. */
  bytes(): Buffer {
    return Buffer.concat([...this.#full, this.#bytes.subarray(0, this.#at)])
  }
}

/** Finds packed rows by their hash; each one once. Flat: two small arrays however many rows there are. */
export class RowTable {
  readonly #rows: PackedRows
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #taken: Uint8Array

  constructor(rows: PackedRows) {
    this.#rows = rows
    let size = 16
    while (size < rows.length * 2) size *= 2
    this.#mask = size - 1
    this.#slots = new Int32Array(size).fill(-1)
    this.#taken = new Uint8Array(rows.length)
    for (let index = 0; index < rows.length; index++) {
      let slot = rows.low(index) & this.#mask
      while (this.#slots[slot] !== -1) slot = (slot + 1) & this.#mask
      this.#slots[slot] = index
    }
  }

  /** The row of this hash that was not taken yet, and is from now on; -1 where there is none. */
  take(low: number, high: number): number {
    for (let slot = low & this.#mask; this.#slots[slot] !== -1; slot = (slot + 1) & this.#mask) {
      const index = this.#slots[slot]!
      if (this.#rows.low(index) !== low || this.#rows.high(index) !== high || this.#taken[index] !== 0) continue
      this.#taken[index] = 1
      return index
    }
    return -1
  }

  /** Indexes of all rows that were taken, in the order in which they are packed. */
  *takenRows(): Generator<number> {
    for (let index = 0; index < this.#taken.length; index++) if (this.#taken[index] === 1) yield index
  }

  /** Keeps a row from being taken: it has to be read anew. */
  withhold(index: number): void {
    this.#taken[index] = 2
  }
}
