import { openCsv } from '../../../src/importers/parseCsv.ts'
import { LIMITS } from '../../../src/importers/source.ts'
import type { ByteSource, Limits, SourceDescription, SourceRow } from '../../../src/importers/source.ts'
import { FileRefused } from '../../../src/rules/refusal.ts'

/** A source of bytes in memory that comes in pieces of the given sizes, over and over. */
export const bytesInPieces = (bytes: Buffer, sizes: readonly number[] = [64 * 1024]): ByteSource => ({
  size: bytes.length,
  read: (offset, length) => offset + length <= bytes.length ? Promise.resolve(bytes.subarray(offset, offset + length)) : Promise.reject(new Error('read beyond the end')),
  async *stream() {
    let start = 0
    for (let turn = 0; start < bytes.length; turn += 1) {
      const size = sizes[turn % sizes.length]!
      yield bytes.subarray(start, start + size)
      start += size
    }
  },
})

export type Read = { description: SourceDescription; rows: SourceRow[] }

export const readCsv = async (content: string | Buffer, options: Parameters<typeof openCsv>[2] & { limits?: Partial<Limits>; sizes?: readonly number[] } = {}): Promise<Read> => {
  const { limits, sizes, ...rest } = options
  const source = await openCsv(bytesInPieces(Buffer.from(content), sizes), { ...LIMITS, ...limits }, rest)
  const rows: SourceRow[] = []
  for await (const batch of source.rows()) rows.push(...batch)
  return { description: source.description, rows }
}

/** Code and detail of the refusal; fails where the file is not refused. */
export const refusal = async (reading: Promise<unknown>): Promise<{ code: string; detail: object }> => {
  try {
    await reading
  } catch (error) {
    if (error instanceof FileRefused) return { code: error.code, detail: error.detail }
    throw error
  }
  throw new Error('The file was not refused.')
}

/** Text in an encoding of one byte for each character. */
export const encodeSingleByte = (text: string, label: string): Buffer => {
  const decoder = new TextDecoder(label)
  const bytes = new Map(Array.from({ length: 256 }, (_, byte) => [decoder.decode(Uint8Array.of(byte)), byte]))
  return Buffer.from(Array.from(text, (character) => {
    const byte = bytes.get(character)
    if (byte === undefined) throw new Error(`${label} has no ${character}`)
    return byte
  }))
}

export const utf16 = (text: string, order: 'LE' | 'BE', mark = true): Buffer => {
  const bytes = Buffer.from((mark ? '\ufeff' : '') + text, 'utf16le')
  return order === 'LE' ? bytes : bytes.swap16()
}
