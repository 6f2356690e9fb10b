import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw, crc32 } from 'node:zlib'
import { FileRefused } from '../../rules/refusal.ts'
import type { ByteSource } from '../source.ts'
import { waitFor } from './patience.ts'
import type { Patience } from './patience.ts'

/** Where one part lies in the container, and what the directory promises of it. Sizes in bytes. */
export type PackedPart = { name: string; start: number; packed: number; unpacked: number; deflated: boolean; crc32: number }

/** zlib's own default of 16 KB makes inflating ten times slower than it is with this. */
const CHUNK = 256 * 1024

const corrupt = (what: string) => new FileRefused('file.corrupt', { what })

/**
 * The unpacked bytes of a part, one chunk ahead of whoever takes them; leaving the loop early ends the unpacking.
 * Refuses a part that holds more or fewer bytes than the directory says, or others (CRC-32).
 */
export async function* unpackPart(source: ByteSource, part: PackedPart, patience: Patience): AsyncGenerator<Buffer> {
  let size = 0
  let checksum = 0
  const chunks = part.deflated ? inflate(packedBytes(source, part, patience), part.name) : packedBytes(source, part, patience)
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > part.unpacked) throw new FileRefused('file.zip_bomb', { what: `its part ${part.name} holds more than the ${part.unpacked} bytes it declares` })
    checksum = crc32(chunk, checksum)
    yield chunk
  }
  if (size !== part.unpacked) throw corrupt(`its part ${part.name} holds ${size} bytes and not ${part.unpacked}`)
  if (checksum !== part.crc32) throw corrupt(`its part ${part.name} was changed or damaged (checksum)`)
}

async function* packedBytes(source: ByteSource, part: PackedPart, patience: Patience): AsyncGenerator<Buffer> {
  for (let at = 0; at < part.packed; at += CHUNK) {
    yield await waitFor(patience, source.read(part.start + at, Math.min(CHUNK, part.packed - at)))
  }
}

async function* inflate(packed: AsyncGenerator<Buffer>, name: string): AsyncGenerator<Buffer> {
  const inflating = createInflateRaw({ chunkSize: CHUNK })
  // The failure of either end arrives through the loop below; the promise only must not stay unheard.
  const running = pipeline(Readable.from(packed, { objectMode: true, highWaterMark: 1 }), inflating).catch(() => {})
  try {
    for await (const chunk of inflating) yield chunk as Buffer
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code?.startsWith('Z_')) throw corrupt(`its part ${name} cannot be unpacked`)
    throw error
  } finally {
    inflating.destroy()
    await running
  }
}
