import { posix } from 'node:path'
import { inBlocks } from './inBlocks.ts'
import { ServerFault } from './serverFault.ts'
import type { Connection } from './watchConnection.ts'

type Told<T> = (error: Error | undefined, value: T) => void
/** Some servers tell no mode. */
type Attributes = { mode?: number; size: number; mtime: number }
type Entry = { filename: string; longname: string; attrs: Attributes }
/** The requests of SFTP version 3 that are put here, as the library of server.ts has them: each is answered once, by its callback. */
export type Sftp = {
  open(path: string, mode: 'r' | 'w', told: Told<Buffer>): void
  close(handle: Buffer, told: (error?: Error | null) => void): void
  read(handle: Buffer, into: Buffer, offset: number, length: number, position: number, told: Told<number>): void
  write(handle: Buffer, from: Buffer, offset: number, length: number, position: number, told: (error?: Error | null) => void): void
  fstat(handle: Buffer, told: Told<Attributes>): void
  stat(path: string, told: Told<Attributes>): void
  opendir(path: string, told: Told<Buffer>): void
  readdir(handle: Buffer, told: Told<Entry[]>): void
  realpath(path: string, told: Told<string>): void
  mkdir(path: string, told: (error?: Error | null) => void): void
  unlink(path: string, told: (error?: Error | null) => void): void
  rename(from: string, to: string, told: (error?: Error | null) => void): void
  /** Throws where the server does not know it. */
  ext_openssh_rename(from: string, to: string, told: (error?: Error | null) => void): void
}

/** `modifiedAt` in whole seconds, by the server's clock. */
export type RemoteFile = { name: string; bytes: number; modifiedAt: Date }

/** A connection's files. Paths that are not absolute begin where the login does. Whatever goes wrong is a ServerFault. */
export type RemoteFolder = {
  /**
   * The files of a folder, by name; folders and links are left out. feed.folder_missing where there is none, feed.folder_too_large where it
   * holds more than anybody should list. `moved` is called, and waited for, whenever some more of them have come.
   */
  list(folder: string, moved?: () => Promise<void>): Promise<RemoteFile[]>
  /** The absolute path, without links where the server follows them; null where there is no such file or folder, or the server does not tell. */
  realPath(path: string): Promise<string | null>
  /** Null where there is no such file. */
  stat(path: string): Promise<RemoteFile | null>
  /**
   * A file's bytes in order, as fast as the line allows and never more than a few megabytes ahead of the reader. Ends only with the
   * whole of what was there when it began: feed.cut_short_transfer where less comes, feed.changed_during_fetch where more has come.
   */
  read(path: string): AsyncIterable<Buffer>
  /** A small file as UTF-8; feed.file_too_large where it has more bytes than told. */
  readText(path: string, maxBytes: number): Promise<string>
  /**
   * Writes a file under a temporary name (`.NAME.tmp`) and renames it over one that is there: nobody sees half of it, and nothing is left
   * where it fails. `before` is told, and waited for, how the file will be listed, when all of it is there and nobody sees it yet.
   */
  write(path: string, bytes: Iterable<Buffer | string> | AsyncIterable<Buffer | string>, before?: (written: { bytes: number; modifiedAt: Date }) => Promise<void>): Promise<void>
  /** Moves a file; feed.name_taken where one of the new name is there. */
  rename(from: string, to: string): Promise<void>
  /** Makes a folder and those above it, unless they are there. */
  makeFolder(folder: string): Promise<void>
  close(): Promise<void>
}

/** What every server gives at once; a longer piece would be asked for in parts that wait for each other. */
const PIECE = 30 * 1024
/** Pieces on their way. Together they fill the window of 2 MiB that the connection has. */
const IN_FLIGHT = 64
const WRITES_IN_FLIGHT = 16

/** Files and folders in a folder that are looked at: whoever has more has not cleared up for years. */
const MOST_ENTRIES = 100_000
/** What an answer without any entry counts for. */
const EMPTY_ANSWER = 1_000

/** Status codes of SFTP version 3. */
const END_OF_FILE = 1
const NO_SUCH_FILE = 2
const PERMISSION_DENIED = 3
const FAILURE = 4

/** The folder behind a connection. `close` ends it. */
export function openFolder(sftp: Sftp, connection: Connection, close: () => Promise<void>): RemoteFolder {
  const { name: server } = connection
  /** Asks, and puts a refusal into our words. */
  const ask = async <T>(path: string, question: (done: (error: Error | null | undefined, value?: T) => void) => void): Promise<T> => {
    try {
      return await connection.answer<T>(question)
    } catch (error) {
      throw faultOf(server, path, error as Error & { code?: unknown })
    }
  }
  const attributes = async (path: string): Promise<Attributes | null> => {
    try {
      return await ask(path, (done) => sftp.stat(path, done))
    } catch (error) {
      if (error instanceof ServerFault && error.code === 'feed.file_missing') return null
      throw error
    }
  }
  const open = (path: string, mode: 'r' | 'w') => ask<Buffer>(path, (done) => sftp.open(path, mode, done))
  /** The answer to it changes nothing, and on a connection that broke there is none. */
  const closeQuietly = (path: string, handle: Buffer) => ask<void>(path, (done) => sftp.close(handle, done)).catch(() => undefined)

  /** Bytes read into the buffer from `from` on; 0 at the end of the file. */
  const readOnce = (path: string, handle: Buffer, buffer: Buffer, from: number, position: number) =>
    ask<number>(path, (done) => sftp.read(handle, buffer, from, buffer.length - from, position, (error, count) => done(error, count)))

  /** A piece, however many answers it takes. */
  const readPiece = async (path: string, handle: Buffer, position: number, length: number): Promise<Buffer> => {
    const buffer = Buffer.allocUnsafe(length)
    for (let have = 0; have < length; ) {
      const count = await readOnce(path, handle, buffer, have, position + have)
      if (count === 0) throw cutShort(path, position + have)
      have += count
    }
    return buffer
  }

  async function* read(path: string): AsyncGenerator<Buffer> {
    const handle = await open(path, 'r')
    try {
      const size = await sizeOf(path, handle)
      const flying: Promise<Buffer>[] = []
      for (let asked = 0; ; ) {
        for (; asked < size && flying.length < IN_FLIGHT; asked += PIECE) {
          const piece = readPiece(path, handle, asked, Math.min(PIECE, size - asked))
          // It may fail while an earlier one is waited for, which then tells of it.
          piece.catch(() => undefined)
          flying.push(piece)
        }
        const next = flying.shift()
        if (!next) break
        yield await next
      }
      if ((await readOnce(path, handle, Buffer.allocUnsafe(1), 0, size)) > 0) {
        throw new ServerFault('feed.changed_during_fetch', `${path} at ${server} grew while it was fetched.`, 'It is fetched again once it is whole. If it stays so, choose a readiness rule that tells when the sender is done.', { file: path })
      }
    } finally {
      await closeQuietly(path, handle)
    }
  }

  const sizeOf = async (path: string, handle: Buffer): Promise<number> => {
    try {
      return (await ask<{ size: number }>(path, (done) => sftp.fstat(handle, done))).size
    } catch (error) {
      if (!(error instanceof ServerFault) || error.code !== 'feed.refused') throw error
      // Some servers know a file's size by its name only.
      return (await attributes(path))?.size ?? 0
    }
  }

  const folder: RemoteFolder = {
    async list(path, moved) {
      const handle = await openList(path)
      const files: RemoteFile[] = []
      try {
        for (let seen = 0; ; ) {
          const entries = await readList(path, handle)
          if (entries === null) break
          for (const { filename, longname, attrs } of entries) if (isFile(attrs, longname)) files.push({ name: filename, bytes: attrs.size, modifiedAt: new Date(attrs.mtime * 1000) })
          // Answers without any count, too: else there might be no end to them.
          seen += entries.length || EMPTY_ANSWER
          if (seen > MOST_ENTRIES) throw new ServerFault('feed.folder_too_large', `The folder ${path} at ${server} holds more than ${MOST_ENTRIES} files.`, 'Have it cleared up, or let the feed move what was dealt with into an archive.', { folder: path, limit: MOST_ENTRIES })
          await moved?.()
        }
      } finally {
        await closeQuietly(path, handle)
      }
      return files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
    async realPath(path) {
      try {
        return await ask<string>(path, (done) => sftp.realpath(path, done))
      } catch (error) {
        if (error instanceof ServerFault && (error.code === 'feed.file_missing' || error.code === 'feed.refused' || error.code === 'feed.permission_denied')) return null
        throw error
      }
    },
    async stat(path) {
      const found = await attributes(path)
      return found && isFile(found) ? { name: posix.basename(path), bytes: found.size, modifiedAt: new Date(found.mtime * 1000) } : null
    },
    read,
    async readText(path, maxBytes) {
      const parts: Buffer[] = []
      let bytes = 0
      for await (const part of read(path)) {
        bytes += part.length
        if (bytes > maxBytes) throw new ServerFault('feed.file_too_large', `${path} at ${server} has more than ${maxBytes} bytes.`, 'Ask the sender what was put there; it should be a few words.', { file: path })
        parts.push(part)
      }
      return Buffer.concat(parts).toString('utf8')
    },
    async write(path, bytes, before) {
      const temporary = posix.join(posix.dirname(path), `.${posix.basename(path)}.tmp`)
      const handle = await open(temporary, 'w')
      try {
        const position = await writeAll(temporary, handle, bytes)
        const there = await attributes(temporary)
        if (there?.size !== position) throw cutShort(temporary, there?.size ?? 0)
        // The time stays what it is when the file is renamed.
        await before?.({ bytes: position, modifiedAt: new Date(there.mtime * 1000) })
        await replace(temporary, path)
      } catch (error) {
        await ask<void>(temporary, (done) => sftp.unlink(temporary, done)).catch(() => undefined)
        throw error
      }
    },
    async rename(from, to) {
      try {
        await ask<void>(from, (done) => sftp.rename(from, to, done))
      } catch (error) {
        // The servers' answer to a name that is taken is that it failed.
        if (error instanceof ServerFault && error.detail['status'] === FAILURE && (await attributes(to)))
          throw new ServerFault('feed.name_taken', `${from} at ${server} cannot be moved: there is a ${to} already.`, 'Move or remove one of the two on the server.', { file: from, to })
        throw error
      }
    },
    async makeFolder(path) {
      const names = posix.normalize(path).split('/')
      for (let count = 1; count <= names.length; count++) {
        const part = names.slice(0, count).join('/')
        if (part === '' || (await attributes(part))) continue
        await ask<void>(part, (done) => sftp.mkdir(part, done))
      }
    },
    close,
  }

  const openList = async (path: string): Promise<Buffer> => {
    try {
      return await ask<Buffer>(path, (done) => sftp.opendir(path, done))
    } catch (error) {
      if (!(error instanceof ServerFault) || error.code !== 'feed.file_missing') throw error
      throw new ServerFault('feed.folder_missing', `There is no folder ${path} at ${server}.`, 'Check the folder of the feed, or ask the owner of the server to make it.', { folder: path })
    }
  }
  /** As many as come at once; null behind the last of them. */
  const readList = (path: string, handle: Buffer): Promise<Entry[] | null> =>
    ask<Entry[] | null>(path, (done) => sftp.readdir(handle, (error, entries) => ((error as { code?: unknown } | undefined)?.code === END_OF_FILE ? done(null, null) : done(error, entries))))

  /** Writes to a file that is open, and closes it whatever happens. Gives how many bytes. */
  const writeAll = async (path: string, handle: Buffer, bytes: Iterable<Buffer | string> | AsyncIterable<Buffer | string>): Promise<number> => {
    let position = 0
    try {
      const flying: Promise<void>[] = []
      for await (const block of inBlocks(bytes, PIECE)) {
        const written = ask<void>(path, (done) => sftp.write(handle, block, 0, block.length, position, done))
        written.catch(() => undefined)
        flying.push(written)
        position += block.length
        if (flying.length >= WRITES_IN_FLIGHT) await flying.shift()
      }
      await Promise.all(flying)
    } catch (error) {
      await closeQuietly(path, handle)
      throw error
    }
    // Some servers tell only here that the disk is full.
    await ask<void>(path, (done) => sftp.close(handle, done))
    return position
  }

  /** Renames over what is there. */
  const replace = async (from: string, to: string): Promise<void> => {
    try {
      return await ask<void>(to, (done) => sftp.ext_openssh_rename(from, to, done))
    } catch (error) {
      if (!(error instanceof Error) || !/extended request/.test(String((error.cause as Error | undefined)?.message))) throw error
    }
    // A server without OpenSSH's extension: for a moment there is neither.
    if (await attributes(to)) await ask<void>(to, (done) => sftp.unlink(to, done))
    await ask<void>(from, (done) => sftp.rename(from, to, done))
  }

  const cutShort = (path: string, bytes: number): ServerFault =>
    new ServerFault('feed.cut_short_transfer', `${path} at ${server} ended after ${bytes} bytes, which is not all of it.`, 'It is fetched again. If it stays so, ask the sender whether the file is rewritten in place.', { file: path, bytes })

  return folder
}

const faultOf = (server: string, path: string, error: Error & { code?: unknown }): Error => {
  if (error instanceof ServerFault) return error
  const detail = { file: path, ...(typeof error.code === 'number' ? { status: error.code } : {}) }
  if (error.code === NO_SUCH_FILE) return new ServerFault('feed.file_missing', `There is no ${path} at ${server}.`, 'Check the name, and whether somebody else has moved it.', detail, { cause: error })
  if (error.code === PERMISSION_DENIED) return new ServerFault('feed.permission_denied', `${server} does not allow it: ${path}.`, "Ask the owner of the server for the right to read there, and to write where Muster answers or archives.", detail, { cause: error })
  // A question that can no longer be put, or that the end of the connection answered.
  if (typeof error.code !== 'number' && !/extended request/.test(error.message)) return new ServerFault('feed.lost', `The connection to ${server} broke off.`, 'It is tried again.', detail, { cause: error })
  return new ServerFault('feed.refused', `${server} refuses it: ${path} (${error.message}).`, 'It is tried again. If it stays so, ask the owner of the server what stands in its log, and whether its disk is full.', detail, { cause: error })
}

/** By the mode; where that says nothing of it, unless the line that ls would show says that it is something else. */
const isFile = ({ mode = 0 }: Attributes, line = ''): boolean => ((mode & TYPE) === 0 ? !OTHER_THAN_FILE.test(line) : (mode & TYPE) === REGULAR)
const TYPE = 0o170000
const REGULAR = 0o100000
const OTHER_THAN_FILE = /^[bcdlps][-rwxsStT]{9}|<DIR>/
