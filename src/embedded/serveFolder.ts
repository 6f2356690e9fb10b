import { constants, type Stats } from 'node:fs'
import { link, lstat, mkdir, open, readdir, realpath, rename, rmdir, truncate, unlink, utimes, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, posix, sep } from 'node:path'
import { LARGEST_PACKET, OPEN, packetsOf, PacketMalformed, PacketReader, reply, REQUEST, STATUS, type Attributes, type Entry } from './sftpPackets.ts'

/** What is read at once at most, and so fits into a packet. */
const LARGEST_READ = LARGEST_PACKET - 1024
/** Entries of a folder that are told at once. */
const ENTRIES_AT_ONCE = 100
const MOST_HANDLES = 100

/** Where requests come from and replies go to. */
export type Wire = { requests: AsyncIterable<Buffer>; send: (bytes: Buffer) => Promise<void> }
type Opened = { file: FileHandle } | { entries: Entry[]; told: number }

/** A request that is refused, with a status of SFTP. */
class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * Serves a folder by SFTP until its client goes: requests one after the other. To the client the folder is /, and nothing else is there:
 * neither .. nor links lead out of it. Throws PacketMalformed where the client does not speak SFTP.
 * @param made told of each file and folder that is made, by its path on disk
 */
export async function serveFolder(folder: string, wire: Wire, made: (path: string) => void): Promise<void> {
  const served = new ServedFolder(await realpath(folder), made)
  try {
    for await (const bytes of packetsOf(wire.requests)) {
      const packet = new PacketReader(bytes)
      const type = packet.byte()
      await wire.send(type === REQUEST.init ? reply.version({ 'posix-rename@openssh.com': '1' }) : await answer(served, type, packet))
    }
  } finally {
    await served.close()
  }
}

async function answer(served: ServedFolder, type: number, packet: PacketReader): Promise<Buffer> {
  const id = packet.number()
  try {
    return await served.answer(type, id, packet)
  } catch (error) {
    if (error instanceof PacketMalformed) throw error
    return reply.status(id, ...statusOf(error as NodeJS.ErrnoException))
  }
}

function statusOf(error: NodeJS.ErrnoException): [status: number, message: string] {
  if (error instanceof Refusal) return [error.status, error.message]
  if (error.code === 'ENOENT') return [STATUS.missing, 'No such file']
  if (error.code === 'EACCES' || error.code === 'EPERM' || error.code === 'ELOOP') return [STATUS.denied, 'Permission denied']
  // The words of the system hold paths of this machine.
  return [STATUS.failure, `Failure${error.code ? ` (${error.code})` : ''}`]
}

class ServedFolder {
  #root: string
  #made: (path: string) => void
  #opened = new Map<string, Opened>()
  #handles = 0

  constructor(root: string, made: (path: string) => void) {
    this.#root = root
    this.#made = made
  }

  async answer(type: number, id: number, packet: PacketReader): Promise<Buffer> {
    const ok = reply.status(id, STATUS.ok)
    switch (type) {
      case REQUEST.realpath: {
        const path = shownPath(packet.text())
        return reply.names(id, [{ name: path, line: path, attributes: {} }])
      }
      // Links are shown as such, and not followed.
      case REQUEST.lstat:
      case REQUEST.stat:
        return reply.attributes(id, attributesOf(await lstat(await this.#path(packet.text()))))
      case REQUEST.setstat:
        await this.#setAttributes(await this.#path(packet.text()), packet.attributes())
        return ok
      case REQUEST.opendir:
        return reply.handle(id, this.#keep({ entries: await entriesOf(await this.#folder(packet.text())), told: 0 }))
      case REQUEST.readdir: {
        const entries = this.#entries(packet.text())
        return entries.length === 0 ? reply.status(id, STATUS.end) : reply.names(id, entries)
      }
      case REQUEST.open:
        return reply.handle(id, await this.#openFile(packet.text(), packet.number()))
      case REQUEST.read: {
        const bytes = await this.#read(packet.text(), packet.long(), packet.number())
        return bytes.length === 0 ? reply.status(id, STATUS.end) : reply.data(id, bytes)
      }
      case REQUEST.write:
        await this.#write(packet.text(), packet.long(), packet.bytes())
        return ok
      case REQUEST.fstat:
        return reply.attributes(id, attributesOf(await this.#file(packet.text()).stat()))
      case REQUEST.fsetstat: {
        const file = this.#file(packet.text())
        const { size, accessed, modified } = packet.attributes()
        if (size !== undefined) await file.truncate(size)
        if (modified !== undefined) await file.utimes(accessed ?? modified, modified)
        return ok
      }
      case REQUEST.close:
        await this.#giveUp(packet.text())
        return ok
      case REQUEST.remove:
        await unlink(await this.#below(packet.text()))
        return ok
      case REQUEST.mkdir: {
        const path = await this.#below(packet.text())
        await mkdir(path, { mode: 0o700 })
        this.#made(path)
        return ok
      }
      case REQUEST.rmdir:
        await rmdir(await this.#below(packet.text()))
        return ok
      case REQUEST.rename:
        await renameOnto(await this.#below(packet.text()), await this.#below(packet.text()))
        return ok
      case REQUEST.extended:
        if (packet.text() !== 'posix-rename@openssh.com') break
        await rename(await this.#below(packet.text()), await this.#below(packet.text()))
        return ok
    }
    return reply.status(id, STATUS.unsupported, 'Operation unsupported')
  }

  async close(): Promise<void> {
    for (const handle of this.#opened.keys()) await this.#giveUp(handle).catch(() => undefined)
  }

  /** The path on disk of one that the client names, whose folder is within the root, links looked through. Throws where it is not. */
  async #path(given: string): Promise<string> {
    const shown = shownPath(given)
    if (shown === '/') return this.#root
    return join(await this.#within(join(this.#root, dirname(shown))), basename(shown))
  }

  /** As #path, for a folder whose entries are read: its own link is looked through, too. */
  async #folder(given: string): Promise<string> {
    return this.#within(await this.#path(given))
  }

  /** The path with all links looked through. Throws where it leads out of the root. */
  async #within(path: string): Promise<string> {
    const real = await realpath(path)
    if (real !== this.#root && !real.startsWith(this.#root + sep)) throw new Refusal(STATUS.denied, 'Permission denied')
    return real
  }

  /** As #path, and not the root itself. */
  async #below(given: string): Promise<string> {
    if (shownPath(given) === '/') throw new Refusal(STATUS.denied, 'Permission denied')
    return this.#path(given)
  }

  async #setAttributes(path: string, { size, accessed, modified }: Attributes): Promise<void> {
    // Both would follow a link.
    if ((await lstat(path)).isSymbolicLink()) throw new Refusal(STATUS.denied, 'Permission denied')
    if (size !== undefined) await truncate(path, size)
    if (modified !== undefined) await utimes(path, accessed ?? modified, modified)
  }

  async #openFile(given: string, flags: number): Promise<string> {
    const path = await this.#path(given)
    const access = flags & OPEN.write ? (flags & OPEN.read ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY
    const how = (flags & OPEN.append ? constants.O_APPEND : 0) | (flags & OPEN.create ? constants.O_CREAT : 0) | (flags & OPEN.truncate ? constants.O_TRUNC : 0) | (flags & OPEN.exclusive ? constants.O_EXCL : 0)
    // Windows has no O_NOFOLLOW, and hardly any links; opening a pipe must not wait for its other end.
    const file = await open(path, access | how | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0), 0o600)
    if (!(await file.stat()).isFile()) {
      await file.close()
      throw new Refusal(STATUS.failure, 'Not a regular file')
    }
    if (flags & OPEN.create) this.#made(path)
    return this.#keep({ file })
  }

  async #read(handle: string, offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.min(length, LARGEST_READ))
    const { bytesRead } = await this.#file(handle).read(bytes, 0, bytes.length, offset)
    return bytes.subarray(0, bytesRead)
  }

  async #write(handle: string, offset: number, bytes: Buffer): Promise<void> {
    const file = this.#file(handle)
    for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
  }

  #keep(opened: Opened): string {
    if (this.#opened.size >= MOST_HANDLES) {
      if ('file' in opened) void opened.file.close()
      throw new Refusal(STATUS.failure, 'Too many open files')
    }
    const handle = String(++this.#handles)
    this.#opened.set(handle, opened)
    return handle
  }

  #file(handle: string): FileHandle {
    const opened = this.#opened.get(handle)
    if (!opened || !('file' in opened)) throw new Refusal(STATUS.failure, 'Not an open file')
    return opened.file
  }

  #entries(handle: string): Entry[] {
    const opened = this.#opened.get(handle)
    if (!opened || 'file' in opened) throw new Refusal(STATUS.failure, 'Not an open folder')
    opened.told += ENTRIES_AT_ONCE
    return opened.entries.slice(opened.told - ENTRIES_AT_ONCE, opened.told)
  }

  async #giveUp(handle: string): Promise<void> {
    const opened = this.#opened.get(handle)
    if (!opened) throw new Refusal(STATUS.failure, 'Not open')
    this.#opened.delete(handle)
    if ('file' in opened) await opened.file.close()
  }
}

/** The path as the client sees it, from the root; .. ends there. Throws for what is no path on every system. */
function shownPath(given: string): string {
  if (/[\0\\]/.test(given)) throw new Refusal(STATUS.failure, 'Not a path')
  const path = posix.normalize(`/${given}`)
  return path === '/' ? path : path.replace(/\/$/, '')
}

/** As the plain rename of SFTP asks: never over another file. */
async function renameOnto(from: string, to: string): Promise<void> {
  if ((await lstat(from)).isFile()) {
    await link(from, to)
    await unlink(from)
  } else if (await lstat(to).then(() => true, () => false)) throw new Refusal(STATUS.failure, 'It exists')
  else await rename(from, to)
}

async function entriesOf(folder: string): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const name of (await readdir(folder)).toSorted()) {
    const found = await lstat(join(folder, name)).catch(() => null)
    if (found) entries.push({ name, line: lineOf(name, found), attributes: attributesOf(found) })
  }
  return entries
}

const attributesOf = ({ size, mode, atimeMs, mtimeMs }: Stats): Attributes => ({ size, mode, accessed: Math.floor(atimeMs / 1000), modified: Math.floor(mtimeMs / 1000) })

/** As `ls -l` has it; clients show it as it is. */
function lineOf(name: string, found: Stats): string {
  const kind = found.isDirectory() ? 'd' : found.isSymbolicLink() ? 'l' : '-'
  const rights = ['r', 'w', 'x'].map((right, index) => [right, 0o400 >> index] as const)
  const mode = [0, 3, 6].flatMap((shift) => rights.map(([right, bit]) => (found.mode & (bit >> shift) ? right : '-'))).join('')
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) (\d\d:\d\d)/.exec(found.mtime.toUTCString()) ?? []
  return `${kind}${mode}    1 muster   muster   ${String(found.size).padStart(10)} ${month} ${(day ?? '').padStart(2)} ${year} ${time} ${name}`
}
