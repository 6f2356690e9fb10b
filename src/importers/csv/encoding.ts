import { isAscii, isUtf8 } from 'node:buffer'
import { analyse } from 'chardet'
import { FileRefused } from '../../rules/refusal.ts'
import type { ByteSource } from '../source.ts'

export type Encoding = {
  /** As people read it: UTF-8, UTF-8 with BOM, UTF-16LE, Windows-1252, ISO-8859-2. */
  name: string
  /** What TextDecoder calls it. */
  label: string
}

/** How much of a file is looked at to tell its encoding, in bytes. */
const SAMPLE_BYTES = 256 * 1024
/** The most bytes that are decoded at once, whatever the size of the pieces that come in. */
const DECODED_BYTES = 256 * 1024
/** How many points (of 100) a guess must be ahead of Windows-1252, which is by far the likeliest, to be believed. */
const CLEARLY_AHEAD = 10

const UTF_8: Encoding = { name: 'UTF-8', label: 'utf-8' }
const UTF_16LE: Encoding = { name: 'UTF-16LE', label: 'utf-16le' }
const UTF_16BE: Encoding = { name: 'UTF-16BE', label: 'utf-16be' }
const WINDOWS_1252: Encoding = { name: 'Windows-1252', label: 'windows-1252' }

/**
 * Decides once for a whole file how its bytes are to be read, and gives its first bytes along (spec A3).
 * A byte order mark decides; then `declared`; then the pattern of NUL bytes that UTF-16 leaves; then the first bytes
 * beyond ASCII, wherever they stand: where they are UTF-8, the file is, and a later invalid sequence refuses it;
 * where they are not, the encoding is guessed. A file of ASCII alone is UTF-8, and is read to its end to know that.
 * Throws FileRefused `file.encoding` for a declared encoding that is unknown, and for UTF-32.
 */
export async function detectEncoding(source: ByteSource, declared?: string, signal?: AbortSignal): Promise<{ encoding: Encoding; head: Buffer }> {
  const head = await source.read(0, Math.min(source.size, SAMPLE_BYTES))
  const encoding = markedEncoding(head)
    ?? (declared === undefined ? null : declaredEncoding(declared))
    ?? unmarkedUtf16(head)
    ?? judge(await sampleBeyondAscii(source, head, signal))
  return { encoding, head }
}

/**
 * The text of a file in pieces, without its byte order mark. Characters split over pieces of bytes are put together.
 * Throws FileRefused `file.encoding` with the byte offset at which a sequence turns out to be invalid; U+FFFD is never made up.
 */
export async function* decodeText(bytes: AsyncIterable<Buffer>, encoding: Encoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding.label, { fatal: true, ignoreBOM: true })
  let offset = 0
  let started = false
  const decode = (chunk: Buffer, stream: boolean): string => {
    try {
      return decoder.decode(chunk, { stream })
    } catch {
      throw new FileRefused('file.encoding', { encoding: encoding.name, offset: invalidOffset(chunk, offset, encoding) })
    }
  }
  for await (const piece of bytes) {
    for (let start = 0; start < piece.length; start += DECODED_BYTES) {
      const chunk = piece.length <= DECODED_BYTES ? piece : piece.subarray(start, start + DECODED_BYTES)
      const text = decode(chunk, true)
      offset += chunk.length
      if (text === '') continue
      yield started || text.charCodeAt(0) !== 0xfe_ff ? text : text.slice(1)
      started = true
    }
  }
  const rest = decode(Buffer.alloc(0), false)
  if (rest !== '') yield rest
}

/** The text of a file's first bytes, as far as whole characters go. Invalid bytes count as such only where the rows are read. */
export const decodeHead = (head: Buffer, encoding: Encoding): string =>
  new TextDecoder(encoding.label).decode(head, { stream: true })

const markedEncoding = (head: Buffer): Encoding | null => {
  const starts = (...bytes: number[]): boolean => bytes.every((byte, index) => head[index] === byte)
  // The mark of UTF-32LE begins like that of UTF-16LE, and would be read as text full of NULs.
  if (starts(0xff, 0xfe, 0, 0) || starts(0, 0, 0xfe, 0xff)) throw new FileRefused('file.encoding', { encoding: 'UTF-8 or UTF-16', offset: 0 })
  if (starts(0xef, 0xbb, 0xbf)) return { name: 'UTF-8 with BOM', label: 'utf-8' }
  if (starts(0xff, 0xfe)) return UTF_16LE
  if (starts(0xfe, 0xff)) return UTF_16BE
  return null
}

const declaredEncoding = (declared: string): Encoding => {
  try {
    return named(new TextDecoder(declared).encoding)
  } catch {
    throw new FileRefused('file.encoding', { encoding: declared, offset: 0 })
  }
}

const named = (label: string): Encoding => {
  const known = [UTF_8, UTF_16LE, UTF_16BE].find((encoding) => encoding.label === label)
  return known ?? { name: label.startsWith('windows') ? `W${label.slice(1)}` : label.toUpperCase(), label }
}

/** UTF-16 without a mark: delimiters, newlines and Latin letters have one byte NUL, always on the same side. */
const unmarkedUtf16 = (head: Buffer): Encoding | null => {
  const counts = [0, 0]
  for (let at = head.indexOf(0); at !== -1; at = head.indexOf(0, at + 1)) counts[at % 2]! += 1
  const [high, low] = [counts[0]!, counts[1]!]
  const many = head.length / 2 * 0.3
  if (low > many && high < low / 10) return UTF_16LE
  if (high > many && low < high / 10) return UTF_16BE
  return null
}

/** Some SAMPLE_BYTES bytes, from the first place that is not all ASCII; `last` when the file ends with them. */
const sampleBeyondAscii = async (source: ByteSource, head: Buffer, signal?: AbortSignal): Promise<{ bytes: Buffer; last: boolean }> => {
  if (head.length === source.size || !isAscii(head)) return { bytes: head, last: head.length === source.size }
  const chunks: Buffer[] = []
  let size = 0
  for await (const piece of source.stream()) {
    signal?.throwIfAborted()
    for (let start = 0; start < piece.length; start += SAMPLE_BYTES) {
      const chunk = piece.subarray(start, start + SAMPLE_BYTES)
      // All before is ASCII, so that the sample begins with a whole character.
      if (size === 0 && isAscii(chunk)) continue
      if (size >= SAMPLE_BYTES) return { bytes: Buffer.concat(chunks), last: false }
      chunks.push(chunk)
      size += chunk.length
    }
  }
  return { bytes: Buffer.concat(chunks), last: true }
}

const judge = ({ bytes, last }: { bytes: Buffer; last: boolean }): Encoding => {
  if (isUtf8(last ? bytes : withoutSplitCharacter(bytes))) return UTF_8
  // Text in another encoding hardly ever holds a valid sequence by chance: where half are valid, the file is damaged UTF-8.
  const text = new TextDecoder().decode(bytes)
  const beyondAscii = text.match(/[^\0-\x7f]/gu) ?? []
  const invalid = beyondAscii.filter((character) => character === '\ufffd').length
  return beyondAscii.length - invalid >= invalid ? UTF_8 : guess(bytes)
}

/** Drops a UTF-8 sequence that the end of the sample cut in two. */
const withoutSplitCharacter = (bytes: Buffer): Buffer => {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]!
    if (byte < 0x80) return bytes
    if (byte >= 0xc0) return byte >= (back === 1 ? 0xc0 : back === 2 ? 0xe0 : 0xf0) ? bytes.subarray(0, -back) : bytes
  }
  return bytes
}

const guess = (bytes: Buffer): Encoding => {
  // Only the lines that tell something: a long file in English with three names beyond ASCII would tell next to nothing.
  const telling = bytes.toString('latin1').split(/[\r\n]+/).filter((line) => /[^\0-\x7f]/.test(line)).join('\n').slice(0, 64 * 1024)
  const matches = analyse(Buffer.from(telling, 'latin1')).filter((match) => /^(?:windows-125\d|iso-8859-\d+)$/i.test(match.name))
  const isWestern = (name: string): boolean => /^(?:windows-1252|iso-8859-1)$/i.test(name)
  const western = matches.find((match) => isWestern(match.name))?.confidence ?? 0
  const best = matches[0]
  if (!best || isWestern(best.name) || best.confidence < western + CLEARLY_AHEAD) return WINDOWS_1252
  try {
    const encoding = named(new TextDecoder(best.name, { fatal: true }).encoding)
    new TextDecoder(encoding.label, { fatal: true }).decode(bytes)
    return encoding
  } catch {
    return WINDOWS_1252
  }
}

/** The offset in the file of the first byte of `chunk` at which decoding fails; a chunk's first bytes may end a character. */
const invalidOffset = (chunk: Buffer, start: number, encoding: Encoding): number => {
  let from = encoding.label.startsWith('utf-16') ? start % 2 : 0
  if (encoding.label === 'utf-8' && start > 0) from = Math.max(0, chunk.subarray(0, 4).findIndex((byte) => (byte & 0xc0) !== 0x80))
  const fails = (end: number): boolean => {
    try {
      new TextDecoder(encoding.label, { fatal: true, ignoreBOM: true }).decode(chunk.subarray(from, end), { stream: true })
      return false
    } catch {
      return true
    }
  }
  if (!fails(chunk.length)) return start + (chunk.length === 0 ? -1 : 0)
  let [valid, invalid] = [from, chunk.length]
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1
    if (fails(middle)) invalid = middle
    else valid = middle
  }
  return start + valid
}
