/**
 * A tight pull reader for the XML of workbooks. It works on bytes of valid UTF-8, given in chunks that may end anywhere,
 * and gives tokens with positions instead of strings; a string is made only where somebody wants one.
 * It takes what XML 1.0 allows in such parts, except DOCTYPE and with it every entity of one's own: those are refused.
 */
import { FileRefused } from '../../rules/refusal.ts'
import { lineEnds, resolveEntities } from './entities.ts'

/** No whole token is left: push more bytes, or finish. */
export const MORE = 0
export const OPEN = 1
export const CLOSE = 2
export const TEXT = 3

const INITIAL_WINDOW = 64 * 1024
/** Elements in elements; the deepest that a workbook needs are some ten. */
const DEEPEST = 128
const MOST_ATTRIBUTES = 256
/** Bytes from which a token without its end is not looked at again at once. */
const LONG_TOKEN = 16 * 1024
const FNV = 0x811c9dc5 | 0

const LT = 60, GT = 62, SLASH = 47, BANG = 33, QUESTION = 63, EQUALS = 61, QUOTE = 34, APOSTROPHE = 39, COLON = 58, AMPERSAND = 38, RETURN = 13, SPACE = 32

/**
 * The number by which a name is known: up to four bytes as they are, a hash with the highest bit set beyond.
 * A hash can only be met by somebody who could as well write the name itself.
 */
export function nameCode(name: string): number {
  const bytes = Buffer.from(name)
  let packed = 0
  let hash = FNV
  for (const [index, byte] of bytes.entries()) {
    if (index < 4) packed |= byte << 8 * index
    hash = Math.imul(hash ^ byte, 16_777_619)
  }
  return bytes.length <= 4 ? packed : hash | 0x80000000
}

export class Xml {
  /** Called off while a long token is awaited; see incomplete(). */
  wanted = 0
  window: Buffer = Buffer.allocUnsafeSlow(INITIAL_WINDOW)
  /** The bytes between position and end are not read yet. */
  position = 0
  end = 0
  /** Name of the element just opened or closed, without its prefix, as nameCode. */
  name = 0
  /** The element just opened has no content; no CLOSE follows. */
  empty = false
  /** Attributes of the element just opened: code of the full name, and four positions each (name, value). */
  attributes = 0
  readonly attributeCodes = new Int32Array(MOST_ATTRIBUTES)
  readonly attributePlaces = new Int32Array(MOST_ATTRIBUTES * 4)
  textStart = 0
  textEnd = 0
  /** The text just found is CDATA: an ampersand means itself. */
  literal = false
  depth = 0
  readonly part: string
  readonly longestToken: number
  readonly stack = new Int32Array(DEEPEST)
  rooted = false

  /** `longestToken` in bytes bounds what is ever held at once; `part` names the part in refusals. */
  constructor(part: string, longestToken = 1024 * 1024) {
    this.part = part
    this.longestToken = longestToken
  }

  /** Reads a piece that begins inside of the root element, as the end of a sheet does. */
  inside(root: number): void {
    this.stack[this.depth++] = root
    this.rooted = true
  }

  /**
   * Takes chunks in, and gives way after each to have its tokens read until MORE; once again after the last,
   * and then refuses what breaks off in the middle. Positions are void after each turn.
   */
  async *feed(chunks: AsyncIterable<Buffer>): AsyncGenerator<void> {
    for await (const chunk of chunks) {
      this.push(chunk)
      yield
    }
    this.wanted = 0
    yield
    this.finish()
  }

  push(chunk: Buffer): void {
    const rest = this.end - this.position
    if (rest > this.longestToken) {
      if (this.window[this.position] === LT) throw this.damaged('holds a tag without an end')
      throw new FileRefused('file.too_large', { what: `number of bytes of one text in its part ${this.part}`, size: rest, limit: this.longestToken })
    }
    const needed = rest + chunk.length
    if (needed > this.window.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.window.length * 2))
      this.window.copy(larger, 0, this.position, this.end)
      this.window = larger
    } else if (rest > 0) {
      this.window.copyWithin(0, this.position, this.end)
    }
    chunk.copy(this.window, rest)
    this.position = 0
    this.end = needed
  }

  /** The next token, with its details in the fields above. Throws FileRefused `file.corrupt` where this is no XML. */
  next(): number {
    // A long token that came without its end is looked at again only when twice as much of it is there: no quadratic work.
    if (this.end - this.position < this.wanted) return MORE
    this.wanted = 0
    for (;;) {
      if (this.position >= this.end) return MORE
      if (this.window[this.position] !== LT) return this.readText()
      const second = this.window[this.position + 1]
      if (this.position + 1 >= this.end) return this.incomplete()
      if (second === SLASH) return this.readClose()
      if (second !== BANG && second !== QUESTION) return this.readOpen()
      const kind = second === QUESTION ? this.skipTo('?>', 2) : this.readDeclaration()
      if (kind !== OPEN) return kind
    }
  }

  finish(): void {
    for (let at = this.position; at < this.end; at++) if (this.window[at]! > SPACE) throw this.damaged('breaks off in the middle')
    if (this.depth > 0) throw this.damaged('breaks off in the middle')
    if (!this.rooted) throw this.damaged('is empty')
  }

  /** The text just found, with entities resolved and line ends as XML wants them. */
  text(): string {
    return this.literal ? lineEnds(this.slice(this.textStart, this.textEnd)) : this.decode(this.textStart, this.textEnd)
  }

  /** All attributes of the element just opened by their full names. For elements that are few; cells read the positions. */
  attributeMap(): Map<string, string> {
    const map = new Map<string, string>()
    for (let index = 0; index < this.attributes; index++) {
      const [nameStart, nameEnd, start, end] = this.attributePlaces.subarray(index * 4, index * 4 + 4)
      map.set(this.slice(nameStart!, nameEnd!), this.decode(start!, end!))
    }
    return map
  }

  slice(start: number, end: number): string {
    // Without a name of the encoding toString takes its short way.
    return this.window.toString(undefined, start, end)
  }

  /** Bytes of the window as text, with entities resolved. */
  decode(start: number, end: number): string {
    const window = this.window
    for (let at = start; at < end; at++) {
      const byte = window[at]
      if (byte === AMPERSAND || byte === RETURN) return resolveEntities(lineEnds(this.slice(start, end)), this.part)
    }
    return this.slice(start, end)
  }

  damaged(what: string): FileRefused {
    return new FileRefused('file.corrupt', { what: `its part ${this.part} ${what}` })
  }

  incomplete(): typeof MORE {
    const rest = this.end - this.position
    this.wanted = rest > LONG_TOKEN ? 2 * rest : 0
    return MORE
  }

  readText(): number {
    const window = this.window
    const start = this.position
    const near = Math.min(this.end, start + 64)
    let at = start
    while (at < near && window[at] !== LT) at++
    if (at === near && at < this.end) at = window.indexOf(LT, at)
    if (at < 0 || at >= this.end) return this.incomplete()
    this.position = at
    if (this.depth === 0) {
      for (let byte = start; byte < at; byte++) if (window[byte]! > SPACE) throw this.damaged('is not XML')
      return this.next()
    }
    this.textStart = start
    this.textEnd = at
    this.literal = false
    return TEXT
  }

  readClose(): number {
    const window = this.window
    let at = this.position + 2
    let packed = 0
    let hash = FNV
    let length = 0
    for (; at < this.end; at++) {
      const byte = window[at]!
      if (byte === GT || byte <= SPACE) break
      if (byte === COLON) {
        packed = length = 0
        hash = FNV
      } else {
        if (length < 4) packed |= byte << 8 * length
        hash = Math.imul(hash ^ byte, 16_777_619)
        length++
      }
    }
    while (at < this.end && window[at]! <= SPACE) at++
    if (at >= this.end) return this.incomplete()
    if (window[at] !== GT) throw this.damaged('is not XML')
    this.name = length <= 4 ? packed : hash | 0x80000000
    if (this.depth === 0 || this.stack[--this.depth] !== this.name) throw this.damaged('closes an element that is not open')
    this.position = at + 1
    return CLOSE
  }

  readOpen(): number {
    const window = this.window
    const limit = this.end
    let at = this.position + 1
    let packed = 0
    let hash = FNV
    let length = 0
    for (; at < limit; at++) {
      const byte = window[at]!
      if (byte === GT || byte === SLASH || byte <= SPACE) break
      if (byte === COLON) {
        packed = length = 0
        hash = FNV
      } else {
        if (byte === LT) throw this.damaged('is not XML')
        if (length < 4) packed |= byte << 8 * length
        hash = Math.imul(hash ^ byte, 16_777_619)
        length++
      }
    }
    this.name = length <= 4 ? packed : hash | 0x80000000
    if (length === 0 && at < limit) throw this.damaged('is not XML')
    this.attributes = 0
    this.empty = false
    for (;;) {
      while (at < limit && window[at]! <= SPACE) at++
      if (at >= limit) return this.incomplete()
      const byte = window[at]
      if (byte === GT) break
      if (byte === SLASH) {
        if (at + 1 >= limit) return this.incomplete()
        if (window[at + 1] !== GT) throw this.damaged('is not XML')
        this.empty = true
        at++
        break
      }
      at = this.readAttribute(at)
      if (at < 0) return this.incomplete()
    }
    if (this.depth === 0) {
      if (this.rooted) throw this.damaged('goes on after its end')
      this.rooted = true
    }
    if (!this.empty) {
      if (this.depth === DEEPEST) throw this.damaged('nests elements too deeply')
      this.stack[this.depth++] = this.name
    }
    this.position = at + 1
    return OPEN
  }

  /** Where the attribute that begins at a place ends; -1 where its end has not come yet. */
  readAttribute(start: number): number {
    const window = this.window
    const limit = this.end
    let at = start
    let packed = 0
    let hash = FNV
    for (; at < limit; at++) {
      const byte = window[at]!
      if (byte === EQUALS || byte <= SPACE) break
      if (byte === LT || byte === GT) throw this.damaged('is not XML')
      if (at - start < 4) packed |= byte << 8 * (at - start)
      hash = Math.imul(hash ^ byte, 16_777_619)
    }
    const nameEnd = at
    while (at < limit && window[at]! <= SPACE) at++
    if (at >= limit) return -1
    if (window[at] !== EQUALS || nameEnd === start) throw this.damaged('is not XML')
    at++
    while (at < limit && window[at]! <= SPACE) at++
    if (at >= limit) return -1
    const quote = window[at]
    if (quote !== QUOTE && quote !== APOSTROPHE) throw this.damaged('is not XML')
    const valueStart = ++at
    while (at < limit && window[at] !== quote) at++
    if (at >= limit) return -1
    if (this.attributes === MOST_ATTRIBUTES) throw this.damaged('holds an element with too many attributes')
    const index = this.attributes++
    this.attributeCodes[index] = nameEnd - start <= 4 ? packed : hash | 0x80000000
    const places = this.attributePlaces
    places[index * 4] = start
    places[index * 4 + 1] = nameEnd
    places[index * 4 + 2] = valueStart
    places[index * 4 + 3] = at
    return at + 1
  }

  /** Comment or CDATA; OPEN means that it was passed over. */
  readDeclaration(): number {
    const head = this.window.toString('latin1', this.position, Math.min(this.end, this.position + 9))
    if (head.startsWith('<!--')) return this.skipTo('-->', 4)
    if (head === '<![CDATA[' && this.depth > 0) {
      const end = this.window.indexOf(']]>', this.position + 9, 'latin1')
      if (end < 0 || end + 3 > this.end) return this.incomplete()
      this.textStart = this.position + 9
      this.textEnd = end
      this.literal = true
      this.position = end + 3
      return TEXT
    }
    if ('<!--'.startsWith(head) || '<![CDATA['.startsWith(head) && head.length < 9) return this.incomplete()
    throw this.damaged(head.toUpperCase().startsWith('<!DOCT') || head.startsWith('<!E') ? 'declares entities of its own, which no workbook does' : 'is not XML')
  }

  skipTo(ending: string, from: number): number {
    const end = this.window.indexOf(ending, this.position + from, 'latin1')
    if (end < 0 || end + ending.length > this.end) return this.incomplete()
    this.position = end + ending.length
    return OPEN
  }
}

/** Tokens of a whole part, for parts that are read only once: calls back for each opened element. */
export async function eachElement(chunks: AsyncIterable<Buffer>, part: string, onOpen: (xml: Xml) => void, onClose?: (name: number) => void): Promise<void> {
  const xml = new Xml(part)
  for await (const _ of xml.feed(chunks)) {
    for (let kind = xml.next(); kind !== MORE; kind = xml.next()) {
      if (kind === OPEN) onOpen(xml)
      if (onClose && (kind === CLOSE || kind === OPEN && xml.empty)) onClose(xml.name)
    }
  }
}
