import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import type { Decryption } from './decrypt.ts'
import type { RemoteFile, RemoteFolder } from './remoteFolder.ts'
import { ServerFault } from './serverFault.ts'

/** A control file holds a hash and a name. */
const CONTROL_BYTES = 64 * 1024

/**
 * Fetches a file and gives its contents piece by piece to `sink`, which the next piece waits for. Only when this resolves was the file
 * whole and one and the same from beginning to end: bytes counted = size listed, size and time before = after, hash = the control file's,
 * PGP verified (faults.md 26, 30). Where it throws, what the sink was given is to be thrown away.
 * @param file as it was listed
 * @param options.decrypt for PGP; the sink is then given what was in the message
 * @param options.control path of a file with the SHA-256 of this one in hex; null or left out: there is none
 * @param options.moved called, and waited for, with each piece that comes from the server, also with those that the sink is not given
 * @returns `bytes`: given to the sink · `hash`: SHA-256 in hex of the bytes as they lie on the server
 * @throws ServerFault feed.changed_during_fetch, feed.cut_short_transfer, feed.hash_differs, feed.control_unreadable, feed.file_missing, pgp.*,
 *   and whatever the folder throws; errors of the sink go through
 */
export async function fetchFile(
  folder: RemoteFolder, path: string, file: RemoteFile,
  { decrypt, control = null, moved, sink }: { decrypt?: Decryption | undefined; control?: string | null; moved?: () => Promise<void>; sink: (part: Buffer) => Promise<void> },
): Promise<{ bytes: number; hash: string }> {
  const name = posix.basename(path)
  const unchanged = async (): Promise<void> => {
    const there = await folder.stat(path)
    if (!there) throw new ServerFault('feed.file_missing', `${name} is no longer there.`, 'Somebody else has moved or removed it; Muster looks again.', { file: name })
    if (there.bytes !== file.bytes || there.modifiedAt.getTime() !== file.modifiedAt.getTime()) throw changed(name, file, there)
  }
  await unchanged()
  const expected = control === null ? null : hashIn(await folder.readText(control, CONTROL_BYTES), name, control)

  const hash = createHash('sha256')
  let counted = 0
  const source = folder.read(path)[Symbol.asyncIterator]()
  /** The file's bytes, as far as they were not asked for before; whoever stops early leaves the rest to others. */
  const bytes: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const part = await source.next()
        if (part.done !== true) {
          hash.update(part.value)
          counted += part.value.length
          await moved?.()
        }
        return part
      },
    }),
  }
  let given = 0
  let fault: ServerFault | undefined
  try {
    for await (const part of decrypt ? decrypt.open(bytes) : bytes) {
      given += part.length
      await sink(part)
    }
  } catch (error) {
    const endsHere = !isPgp(error) || OF_OUR_KEYS.has(error.code) || (BY_ITS_FORM.has(error.code) && expected === null)
    if (endsHere) {
      await source.return?.()
      if (isPgp(error)) await unchanged()
      throw error
    }
    // A message that cannot be read may be a file that was changed meanwhile, which is the better reason: read on and look.
    fault = error
  }
  for await (const part of bytes) void part

  if (counted !== file.bytes) throw counted < file.bytes ? cutShort(name, counted, file.bytes) : changed(name, file, { ...file, bytes: counted })
  await unchanged()
  const found = hash.digest('hex')
  if (expected !== null && expected !== found) {
    throw new ServerFault('feed.hash_differs', `${name} is not what its control file says: its SHA-256 is ${found}, expected is ${expected}.`, 'Ask the sender to put both there anew. If it happens again, look for what changes the file on its way.', { file: name, found, expected })
  }
  if (fault) throw fault
  return { bytes: given, hash: found }
}

/** What no byte of the file changes. */
const OF_OUR_KEYS = new Set(['pgp.key_unreadable', 'pgp.sender_key_unreadable'])
/** What its first bytes tell of all of them. */
const BY_ITS_FORM = new Set(['pgp.not_encrypted', 'pgp.not_signed'])

const isPgp = (error: unknown): error is ServerFault => error instanceof ServerFault && error.code.startsWith('pgp.')

/** The hash in a control file: alone, or in a line as sha256sum writes it, with or without --tag. */
const hashIn = (text: string, name: string, control: string): string => {
  const lines = text.split(/\r\n|\r|\n/).flatMap((line) => {
    const hash = /(?<![0-9a-z])[0-9a-f]{64}(?![0-9a-z])/i.exec(line)?.[0].toLowerCase()
    return hash === undefined ? [] : [{ line, hash }]
  })
  const own = lines.find(({ line, hash }) => nameBeside(line, hash) === name) ?? (lines.length === 1 ? lines[0] : undefined)
  if (own) return own.hash
  throw new ServerFault('feed.control_unreadable', `${posix.basename(control)} holds no SHA-256 of ${name}.`, 'Ask the sender to write it in hex, as sha256sum does, before the marker is put there.', { file: posix.basename(control) })
}

/** The name in a line, without folders: behind the hash and the asterisk of binary files, or in the parentheses of --tag. */
const nameBeside = (line: string, hash: string): string => {
  const at = line.toLowerCase().indexOf(hash)
  const beside = /\((.*)\)\s*=\s*$/.exec(line.slice(0, at))?.[1] ?? line.slice(at + hash.length).trim().replace(/^\*/, '')
  return beside.replace(/^.*[/\\]/, '')
}

const changed = (name: string, before: RemoteFile, after: RemoteFile): ServerFault =>
  new ServerFault('feed.changed_during_fetch', `${name} was changed while it was fetched.`, 'It is fetched again once it is whole. If it stays so, choose a readiness rule that tells when the sender is done.', { file: name, bytes: before.bytes, now: after.bytes })

const cutShort = (name: string, bytes: number, expected: number): ServerFault =>
  new ServerFault('feed.cut_short_transfer', `${name} ended after ${bytes} of ${expected} bytes.`, 'It is fetched again. If it stays so, ask the owner of the server.', { file: name, bytes, expected })
