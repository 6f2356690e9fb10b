/**
 * The texts that cells share, held as UTF-8 in segments with one 32-bit address each: a tenth of what as many JavaScript strings take.
 * A string is made when a cell asks for it; the ones asked for again and again (groups, roles) stay in a small cache.
 */
import { FileRefused } from '../../rules/refusal.ts'
import type { Limits } from '../source.ts'
import { decodeEscapes } from './escapes.ts'
import { CLOSE, MORE, OPEN, TEXT, Xml, nameCode } from './xml.ts'

const SI = nameCode('si'), T = nameCode('t'), R = nameCode('r')

const SEGMENT_BITS = 20
const SEGMENT = 1 << SEGMENT_BITS
/** Bytes of shared text; addresses have 32 bits, memory ends before. */
const MOST_BYTES = 1024 * 1024 * 1024
const MOST_STRINGS = 1 << 25
const CACHE = 1 << 14
/** Characters of a text in the cache: longer ones, which are no group or role, would make it large. */
const LONGEST_CACHED = 256

export class SharedStrings {
  count = 0
  readonly segments: Buffer[] = []
  /** Bytes used of each segment: the end of its last text. */
  readonly used: number[] = []
  starts = new Uint32Array(1024)
  readonly cachedIndex = new Int32Array(CACHE).fill(-1)
  readonly cachedText: string[] = Array.from({ length: CACHE }, () => '')

  /** Texts may have up to MOST_BYTES together; a single one at most a segment, which limits.cellCharacters keeps them under. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    let last = this.segments.length - 1
    if (last < 0 || this.used[last]! + length > SEGMENT) {
      if ((last + 1) * SEGMENT >= MOST_BYTES) throw tooLarge('number of bytes of its shared texts', MOST_BYTES, MOST_BYTES)
      this.segments.push(Buffer.allocUnsafeSlow(SEGMENT))
      this.used.push(0)
      last++
    }
    const segment = this.segments[last]!
    const used = this.used[last]!
    if (length < 32) for (let index = 0; index < length; index++) segment[used + index] = bytes[start + index]!
    else segment.set(bytes.subarray(start, end), used)
    if (this.count === this.starts.length) this.grow()
    this.starts[this.count++] = last * SEGMENT + used
    this.used[last] = used + length
  }

  /** The text of an index with escapes decoded; undefined where there is no such index. */
  get(index: number): string | undefined {
    if (!(index >= 0 && index < this.count)) return undefined
    const slot = index & (CACHE - 1)
    if (this.cachedIndex[slot] === index) return this.cachedText[slot]
    const start = this.starts[index]!
    const number = start >>> SEGMENT_BITS
    const next = index + 1 < this.count ? this.starts[index + 1]! : 0xffffffff
    const end = next >>> SEGMENT_BITS === number ? next & (SEGMENT - 1) : this.used[number]!
    const text = decodeEscapes(this.segments[number]!.toString(undefined, start & (SEGMENT - 1), end))
    if (text.length > LONGEST_CACHED) return text
    this.cachedIndex[slot] = index
    this.cachedText[slot] = text
    return text
  }

  grow(): void {
    if (this.count === MOST_STRINGS) throw tooLarge('number of its shared texts', this.count, MOST_STRINGS)
    const starts = new Uint32Array(Math.ceil(this.starts.length * 1.5))
    starts.set(this.starts)
    this.starts = starts
  }
}

const tooLarge = (what: string, size: number, limit: number) => new FileRefused('file.too_large', { what, size, limit })

/** Reads the shared strings part. Rich text is joined from its runs; phonetic readings (rPh) are left out. */
export async function readSharedStrings(chunks: AsyncIterable<Buffer>, part: string, limits: Limits): Promise<SharedStrings> {
  const strings = new SharedStrings()
  const longest = Math.min(SEGMENT - 1, limits.cellCharacters * 8)
  const xml = new Xml(part, Math.max(SEGMENT, longest * 2))
  let inItem = false
  let inText = false
  /** Open elements within one that is passed over, itself included. */
  let skipping = 0
  let pieces = ''
  /** The item's only piece of text so far, still where it was read; void after the next push. */
  let only: { start: number; end: number } | null = null
  const place = { start: 0, end: 0 }
  const keep = () => {
    if (only) pieces += xml.slice(only.start, only.end)
    only = null
  }
  for await (const _ of xml.feed(chunks)) {
    for (let kind = xml.next(); kind !== MORE; kind = xml.next()) {
      if (skipping > 0) {
        if (kind === OPEN && !xml.empty) skipping++
        if (kind === CLOSE) skipping--
      } else if (kind === TEXT) {
        if (!inText) continue
        if (pieces === '' && !only && !xml.literal && isPlain(xml.window, xml.textStart, xml.textEnd)) {
          place.start = xml.textStart
          place.end = xml.textEnd
          only = place
        } else {
          keep()
          pieces += xml.text()
          if (pieces.length > longest) throw tooLarge('number of characters of a shared text', pieces.length, limits.cellCharacters)
        }
      } else if (kind === OPEN) {
        if (xml.name === SI) {
          if (xml.empty) strings.add(xml.window, 0, 0)
          inItem = !xml.empty
        } else if (inItem && xml.name === T) inText = !xml.empty
        else if (inItem && xml.name !== R && !xml.empty) skipping = 1
      } else if (xml.name === T) inText = false
      else if (xml.name === SI && inItem) {
        const found = only
        if (found && found.end - found.start > longest) throw tooLarge('number of bytes of a shared text', found.end - found.start, longest)
        if (found) strings.add(xml.window, found.start, found.end)
        else {
          const bytes = Buffer.from(pieces)
          if (bytes.length > SEGMENT) throw tooLarge('number of bytes of a shared text', bytes.length, SEGMENT)
          strings.add(bytes, 0, bytes.length)
        }
        inItem = false
        only = null
        pieces = ''
      }
    }
    keep()
  }
  return strings
}

function isPlain(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === 38 || bytes[at] === 13) return false
  return true
}
