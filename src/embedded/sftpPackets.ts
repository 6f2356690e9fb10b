/** Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as a server reads and writes them. Pure. */

export const REQUEST = {
  init: 1, open: 3, close: 4, read: 5, write: 6, lstat: 7, fstat: 8, setstat: 9, fsetstat: 10, opendir: 11, readdir: 12, remove: 13, mkdir: 14, rmdir: 15, realpath: 16, stat: 17, rename: 18,
  extended: 200,
} as const
export const STATUS = { ok: 0, end: 1, missing: 2, denied: 3, failure: 4, malformed: 5, unsupported: 8 } as const
export const OPEN = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const

const REPLY = { version: 2, status: 101, handle: 102, data: 103, name: 104, attributes: 105 } as const
const GIVEN = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x8000_0000 } as const

/** No packet is larger: OpenSSH's limit. */
export const LARGEST_PACKET = 256 * 1024

/** Of a file or folder; times in seconds since 1970. */
export type Attributes = { size?: number; mode?: number; accessed?: number; modified?: number }

/** A packet that ends too early, or has a number that cannot be. */
export class PacketMalformed extends Error {}

/** What is in a packet, read from its beginning. Throws PacketMalformed where it ends too early. */
export class PacketReader {
  #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  byte(): number {
    return this.#take(1)[0]!
  }

  number(): number {
    return this.#take(4).readUInt32BE()
  }

  /** Throws where it is more than a number holds exactly. */
  long(): number {
    const value = this.#take(8).readBigUInt64BE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PacketMalformed('a number is too large')
    return Number(value)
  }

  bytes(): Buffer {
    return this.#take(this.number())
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  attributes(): Attributes {
    const given = this.number()
    const attributes: Attributes = {}
    if (given & GIVEN.size) attributes.size = this.long()
    if (given & GIVEN.owner) this.#take(8)
    if (given & GIVEN.mode) attributes.mode = this.number()
    if (given & GIVEN.times) {
      attributes.accessed = this.number()
      attributes.modified = this.number()
    }
    if (given & GIVEN.extended) for (let left = 2 * this.number(); left > 0; left--) this.bytes()
    return attributes
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new PacketMalformed('a packet ends too early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

/** The packets of a stream of bytes, each without its length. Throws PacketMalformed for one that is larger than any may be. */
export async function* packetsOf(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let kept: Buffer = Buffer.alloc(0)
  for await (const part of parts) {
    kept = kept.length === 0 ? part : Buffer.concat([kept, part])
    while (kept.length >= 4) {
      const length = kept.readUInt32BE()
      if (length === 0 || length > LARGEST_PACKET) throw new PacketMalformed(`a packet of ${length} bytes`)
      if (kept.length < 4 + length) break
      yield kept.subarray(4, 4 + length)
      kept = kept.subarray(4 + length)
    }
  }
}

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const long = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
const text = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([number(bytes.length), bytes])
}
const attributesOf = ({ size, mode, accessed, modified }: Attributes): Buffer =>
  Buffer.concat([
    number((size === undefined ? 0 : GIVEN.size) | (mode === undefined ? 0 : GIVEN.mode) | (modified === undefined ? 0 : GIVEN.times)),
    ...(size === undefined ? [] : [long(size)]),
    ...(mode === undefined ? [] : [number(mode)]),
    ...(modified === undefined ? [] : [number(accessed ?? modified), number(modified)]),
  ])
const packet = (type: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.of(type), ...parts])
  return Buffer.concat([number(body.length), body])
}

/** An entry of a folder: its name, and the line that `ls -l` would show. */
export type Entry = { name: string; line: string; attributes: Attributes }

/** The server's packets, ready to send. `id` is that of the request that is answered. */
export const reply = {
  version: (extensions: Readonly<Record<string, string>>): Buffer => packet(REPLY.version, number(3), ...Object.entries(extensions).flat().map(text)),
  status: (id: number, code: number, message = ''): Buffer => packet(REPLY.status, number(id), number(code), text(message), text('en')),
  handle: (id: number, handle: string): Buffer => packet(REPLY.handle, number(id), text(handle)),
  data: (id: number, bytes: Buffer): Buffer => packet(REPLY.data, number(id), text(bytes)),
  names: (id: number, entries: readonly Entry[]): Buffer => packet(REPLY.name, number(id), number(entries.length), ...entries.flatMap(({ name, line, attributes }) => [text(name), text(line), attributesOf(attributes)])),
  attributes: (id: number, attributes: Attributes): Buffer => packet(REPLY.attributes, number(id), attributesOf(attributes)),
}
