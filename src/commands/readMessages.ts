import { createReadStream } from 'node:fs'
import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** One message of a mailbox, as bytes. */
export type StoredMessage = {
  /** What people know it by: a file, or its place in one. */
  source: string
  bytes: Buffer
  /** Puts it where messages that were read are kept, and tells where; null for what does not lie in a folder. */
  putAway: (() => Promise<string>) | null
}

/** The line that begins a message of an mbox: the sender and a date as of asctime. */
const FROM_LINE = /^From \S+ .*\d{1,2}:\d{2}(?::\d{2})? .*\d{4}/
const NEWLINE = 10

/**
 * The messages of a file or stream: an mbox's, or the one that it is. Of a message longer than `largest` bytes one byte more than that
 * is given, so that whoever reads it sees that it is too long; memory stays flat.
 * @param name what the source is called
 */
export async function* readMessages(name: string, bytes: AsyncIterable<Uint8Array>, largest: number): AsyncGenerator<StoredMessage> {
  let number = 0
  let message: Buffer[] = []
  let size = 0
  let isMbox: boolean | null = null
  let blank = true
  const keep = (line: Buffer): void => {
    const room = largest + 1 - size
    if (room <= 0) return
    message.push(line.subarray(0, room))
    size += Math.min(line.length, room)
  }
  const stored = (): StoredMessage => {
    const whole = { source: isMbox ? `${name} message ${++number}` : name, bytes: Buffer.concat(message), putAway: null }
    message = []
    size = 0
    return whole
  }
  for await (const line of linesOf(bytes, largest + 1)) {
    const head = line.subarray(0, 5).toString('latin1') === 'From ' && FROM_LINE.test(line.subarray(0, 500).toString('latin1'))
    isMbox ??= head
    if (isMbox && blank && head) {
      if (size > 0) yield stored()
    } else keep(isMbox && /^>+From /.test(line.subarray(0, 100).toString('latin1')) ? line.subarray(1) : line)
    blank = line.length <= 2 && /^\r?\n?$/.test(line.toString('latin1'))
  }
  if (size > 0 || number === 0) yield stored()
}

/** Lines with their ends; what is longer than `longest` is given in pieces. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>, longest: number): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  let length = 0
  for await (const piece of bytes) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end + 1)])
      rest = []
      length = 0
      from = end + 1
    }
    rest.push(chunk.subarray(from))
    length += chunk.length - from
    if (length < longest) continue
    yield Buffer.concat(rest)
    rest = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(rest)
}

/** Seen, or thrown away: flags of Maildir behind the colon of a name. */
const SEEN = /:2,[A-Z]*[ST][A-Z]*$/
const READ = 'read'

/**
 * The messages of a folder that were not read yet, oldest name first: of a Maildir (new/ and cur/), else the files that end in .eml.
 * Put away, one of a Maildir goes to cur/ and is seen; any other to the subfolder read/.
 * One that somebody else has taken away meanwhile is left out.
 */
export async function* readFolder(folder: string, largest: number): AsyncGenerator<StoredMessage> {
  const isMaildir = (await Promise.all(['new', 'cur'].map((name) => isFolder(join(folder, name))))).every(Boolean)
  const places = isMaildir ? ['cur', 'new'] : ['']
  for (const place of places) {
    const names = (await readdir(join(folder, place), { withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name).sort()
    for (const name of names) {
      if (name.startsWith('.') || (isMaildir ? SEEN.test(name) : !name.toLowerCase().endsWith('.eml'))) continue
      const path = join(folder, place, name)
      const target = isMaildir ? join('cur', seen(name)) : join(READ, name)
      const bytes = await readStart(path, largest)
      if (bytes === null) continue
      yield { source: join(place, name), bytes, putAway: () => putAway(folder, path, target) }
    }
  }
}

/** Whether there is a folder of this name. */
export const isFolder = (path: string): Promise<boolean> => stat(path).then((found) => found.isDirectory(), () => false)

/** A file's first bytes, one more than `largest` at most; null where it is gone. */
async function readStart(path: string, largest: number): Promise<Buffer | null> {
  try {
    const pieces: Uint8Array[] = []
    for await (const piece of createReadStream(path, { end: largest })) pieces.push(piece as Uint8Array)
    return Buffer.concat(pieces)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The name in cur/ of a message that was seen; flags stand in the order of the alphabet. */
function seen(name: string): string {
  const [base, flags = ''] = name.split(':2,') as [string, string?]
  return `${base}:2,${[...new Set([...flags, 'S'])].sort().join('')}`
}

/** Moves a file, under another name where that one is taken by another message. Whoever else has moved it already has done the same. */
async function putAway(folder: string, path: string, target: string): Promise<string> {
  if (target.startsWith(READ)) await mkdir(join(folder, READ), { recursive: true, mode: 0o700 })
  let free = target
  for (let number = 2; await stat(join(folder, free)).then(() => true, () => false); number++) free = target.replace(/(\.eml)?$/i, `-${number}$1`)
  await rename(path, join(folder, free)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  return free
}
