/**
 * The zip container of a workbook. Everything the central directory tells is checked before a byte is unpacked
 * (faults: bad input 1 and 3), and what really comes out is counted and compared, because a directory can lie.
 */
import yauzl from 'yauzl'
import type { Entry, ZipFile } from 'yauzl'
import { FileRefused } from '../../rules/refusal.ts'
import type { ByteSource, Limits } from '../source.ts'
import { unpackPart } from './unpackPart.ts'
import { waitFor } from './patience.ts'
import type { Patience } from './patience.ts'

export type Container = {
  /** Names of all parts as the container spells them. */
  names: readonly string[]
  /** Part names are compared without regard to case and to a leading slash (OPC, ECMA-376 part 2, 6.2.2). */
  has(name: string): boolean
  /** The unpacked bytes of a part in order. Throws FileRefused where the part is damaged or larger than it declares. */
  stream(name: string): AsyncGenerator<Buffer>
  /** A whole small part; refuses one above `limitBytes`. */
  read(name: string, limitBytes: number): Promise<Buffer>
}

/** Parts below this size are never called a bomb: a short part of blanks packs well without harm. */
const RATIO_FROM_BYTES = 1024 * 1024
const READ_AHEAD = 64 * 1024

const corrupt = (what: string) => new FileRefused('file.corrupt', { what })

/** Lets yauzl read the directory out of a ByteSource, with a read-ahead: two short reads for each part would be slow from a database. */
class SourceReader extends yauzl.RandomAccessReader {
  readonly source: ByteSource
  readonly patience: Patience
  /** The failure of the source itself, to be told apart from a damaged file. */
  failure: unknown = undefined
  /** Called when yauzl throws inside its own callback, which would otherwise end the process. */
  onThrow: (error: unknown) => void = () => {}
  block: Buffer = Buffer.alloc(0)
  blockStart = 0

  constructor(source: ByteSource, patience: Patience) {
    super()
    this.source = source
    this.patience = patience
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: (error: Error | null, bytesRead?: number) => void): void {
    this.fill(position, length).then((piece) => {
      piece.copy(buffer, offset)
      return piece.length
    }, (error: unknown) => {
      this.failure = error
      return -1
    }).then((bytesRead) => bytesRead < 0 ? callback(new Error('The source failed')) : callback(null, bytesRead)).catch((error: unknown) => this.onThrow(error))
  }

  /** The bytes at a place, fewer where the source ends before. */
  async fill(position: number, length: number): Promise<Buffer> {
    if (position < this.blockStart || position + length > this.blockStart + this.block.length) {
      const end = Math.min(this.source.size, position + Math.max(length, READ_AHEAD))
      if (position < 0 || position >= end) return Buffer.alloc(0)
      this.block = await waitFor(this.patience, this.source.read(position, end - position))
      this.blockStart = position
    }
    return this.block.subarray(position - this.blockStart, position - this.blockStart + length)
  }
}

/**
 * Opens the container and checks its directory: number of parts, their sizes and ratios, names twice or out of bounds, encryption.
 * Throws FileRefused `file.corrupt`, `file.zip_bomb`, `file.too_large` or `file.encrypted`. Nothing needs closing: the source is the caller's.
 */
export async function openContainer(source: ByteSource, limits: Limits, patience: Patience): Promise<Container> {
  if (source.size === 0) throw new FileRefused('file.empty', { what: 'nothing at all: it is 0 bytes long' })
  if (source.size > limits.fileBytes) throw new FileRefused('file.too_large', { what: 'number of bytes', size: source.size, limit: limits.fileBytes })
  const reader = new SourceReader(source, patience)
  const { promise: thrown, reject } = Promise.withResolvers<never>()
  thrown.catch(() => {})
  reader.onThrow = reject
  const zip = await guarded(reader, Promise.race([thrown, yauzl.fromRandomAccessReaderPromise(reader, source.size, {
    autoClose: false, lazyEntries: true, validateEntrySizes: true, strictFileNames: true, decodeStrings: true,
  })]))
  if (zip.entryCount > limits.entries) throw new FileRefused('file.zip_bomb', { what: `${zip.entryCount} parts, where at most ${limits.entries} are allowed` })
  const entries = await guarded(reader, Promise.race([thrown, listEntries(zip, source, limits)]))

  const find = (name: string): Entry => {
    const entry = entries.get(partKey(name))
    if (!entry) throw corrupt(`the part ${name} is missing`)
    return entry
  }
  const stream = async function* (name: string): AsyncGenerator<Buffer> {
    const entry = find(name)
    const { fileDataStart } = await guarded(reader, Promise.race([thrown, zip.readLocalFileHeaderPromise(entry, { minimal: true })]))
    yield* unpackPart(source, { name: entry.fileName, start: fileDataStart, packed: entry.compressedSize, unpacked: entry.uncompressedSize, deflated: entry.compressionMethod === 8, crc32: entry.crc32 }, patience)
  }
  return {
    names: [...entries.values()].map((entry) => entry.fileName),
    has: (name) => entries.has(partKey(name)),
    stream,
    async read(name, limitBytes) {
      const size = find(name).uncompressedSize
      if (size > limitBytes) throw new FileRefused('file.too_large', { what: `size of its part ${name}`, size, limit: limitBytes })
      return Buffer.concat(await Array.fromAsync(stream(name)))
    },
  }
}

const partKey = (name: string) => (name.startsWith('/') ? name.slice(1) : name).toLowerCase()

async function listEntries(zip: ZipFile, source: ByteSource, limits: Limits): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>()
  let unpacked = 0
  let packed = 0
  for await (const entry of zip.eachEntry()) {
    const name = entry.fileName
    if (/[\u0000-\u001f]/.test(name)) throw corrupt('one of its parts has a name with control characters')
    if (entry.isEncrypted()) throw new FileRefused('file.encrypted')
    // A folder is an entry of its own in some writers' files, and holds nothing.
    if (name.endsWith('/') && entry.uncompressedSize === 0) continue
    if (!entry.canDecodeFileData()) throw corrupt(`its part ${name} is packed in a way that workbooks do not use (method ${entry.compressionMethod})`)
    const key = partKey(name)
    if (entries.has(key)) throw corrupt(`its part ${name} is there twice`)
    if (entry.compressedSize > source.size || entry.relativeOffsetOfLocalHeader >= source.size) throw corrupt(`its part ${name} lies outside of the file`)
    unpacked += entry.uncompressedSize
    packed += entry.compressedSize
    if (unpacked > limits.unpackedBytes) throw new FileRefused('file.zip_bomb', { what: `more than ${limits.unpackedBytes} bytes` })
    if (entry.uncompressedSize > RATIO_FROM_BYTES && entry.uncompressedSize > limits.ratio * entry.compressedSize) {
      throw new FileRefused('file.zip_bomb', { what: `${entry.uncompressedSize} bytes out of ${entry.compressedSize} in ${name}` })
    }
    entries.set(key, entry)
  }
  // Parts that share their packed bytes make a bomb of few bytes: together they cannot be larger than the file.
  if (packed > source.size) throw new FileRefused('file.zip_bomb', { what: 'its parts overlap' })
  return entries
}

/** Turns what yauzl says of a damaged directory into a refusal; a failing source or a deadline passes as it is. */
async function guarded<T>(reader: SourceReader, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (reader.failure !== undefined) throw reader.failure
    if (error instanceof FileRefused) throw error
    throw explain(error instanceof Error ? error.message : String(error))
  }
}

function explain(message: string): FileRefused {
  if (message.startsWith('strong encryption')) return new FileRefused('file.encrypted')
  if (message.startsWith('End of central directory')) return corrupt('the end of the workbook is missing, as if it was cut short on its way')
  if (/^(absolute path|invalid relative path|invalid characters)/.test(message)) return corrupt('one of its parts has a name that leads out of the workbook')
  return corrupt(`the directory of its parts cannot be read (${message})`)
}
