/**
 * An SFTP server under the test's control, for what OpenSSH cannot be made to do: logins by password, host keys of several types, answers
 * that are short, early or never come, lists that say little of their entries or do not end. It only gives files to read.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import ssh2, { type Connection, type SFTPWrapper } from 'ssh2'
import { newSshKey } from './sshKey.ts'

/** What a read is answered with: bytes, the end of the file, or nothing ever. */
export type ReadAnswer = Buffer | 'end' | 'silence'
export type SftpScript = {
  password?: string
  /** Takes the password as the answer to a question only. */
  asks?: boolean
  files?: Record<string, Buffer>
  /** Undefined: what is in the file. */
  onRead?: (path: string, offset: number, length: number) => ReadAnswer | undefined
  /** The mode of files. */
  mode?: number
  /** What the folder holds, in so many answers; default: the files. Undefined: the end. */
  onList?: (answer: number) => { name: string; line: string; mode: number }[] | undefined
  hostKeys?: readonly ('ed25519' | 'rsa')[]
  /** Lets people in, but not to SFTP. */
  noSftp?: boolean
}
export type ScriptedServer = { host: string; port: number; username: string; /** Fingerprints in the order of hostKeys. */ hostKeys: string[]; /** Ways of login that were tried. */ tried: string[]; close(): Promise<void> }

const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp
const MODIFIED = 1_790_000_000

/** Starts a server on a free port of the loopback. Its user is `client`. */
export async function startSftpScript({ password = 'secret', asks = false, files = {}, onRead = () => undefined, mode = 0o100644, onList, hostKeys = ['ed25519'], noSftp = false }: SftpScript = {}): Promise<ScriptedServer> {
  const pairs = hostKeys.map((type) => newSshKey({ type }))
  const tried: string[] = []
  const open = new Set<Connection>()

  const serve = (sftp: SFTPWrapper) => {
    const handles: string[] = []
    const pathOf = (handle: Buffer) => handles[handle.readUInt32BE(0)]!
    const attributes = (path: string) => ({ mode, uid: 0, gid: 0, size: files[path]!.length, atime: MODIFIED, mtime: MODIFIED })
    const tell = (id: number, path: string) => (files[path] ? sftp.attrs(id, attributes(path)) : sftp.status(id, STATUS_CODE.NO_SUCH_FILE))
    sftp.on('OPEN', (id, path, flags) => {
      if (!files[path] || (flags & OPEN_MODE.WRITE) !== 0) return sftp.status(id, STATUS_CODE.NO_SUCH_FILE)
      const handle = Buffer.alloc(4)
      handle.writeUInt32BE(handles.push(path) - 1)
      sftp.handle(id, handle)
    })
    const list = onList ?? ((answer) => (answer === 0 ? Object.keys(files).map((name) => ({ name, line: name, mode })) : undefined))
    let answers = 0
    sftp.on('OPENDIR', (id) => {
      answers = 0
      sftp.handle(id, Buffer.alloc(4))
    })
    sftp.on('READDIR', (id) => {
      const entries = list(answers++)
      if (!entries) return sftp.status(id, STATUS_CODE.EOF)
      sftp.name(id, entries.map((entry) => ({ filename: entry.name, longname: entry.line, attrs: { mode: entry.mode, uid: 0, gid: 0, size: files[entry.name]?.length ?? 0, atime: MODIFIED, mtime: MODIFIED } })))
    })
    sftp.on('STAT', tell)
    sftp.on('LSTAT', tell)
    sftp.on('FSTAT', (id, handle) => tell(id, pathOf(handle)))
    sftp.on('READ', (id, handle, offset, length) => {
      const path = pathOf(handle)
      const answer = onRead(path, offset, length) ?? files[path]!.subarray(offset, offset + length)
      if (answer === 'silence') return
      if (answer === 'end' || answer.length === 0) sftp.status(id, STATUS_CODE.EOF)
      else sftp.data(id, answer)
    })
    sftp.on('CLOSE', (id) => sftp.status(id, STATUS_CODE.OK))
  }

  const server = new ssh2.Server({ hostKeys: pairs.map((pair) => pair.private) }, (client) => {
    open.add(client)
    client.on('close', () => open.delete(client))
    client.on('error', () => undefined)
    client.on('authentication', (login) => {
      tried.push(login.method)
      if (login.method === 'password' && !asks && login.password === password) return login.accept()
      if (login.method !== 'keyboard-interactive' || !asks) return login.reject([asks ? 'keyboard-interactive' : 'password'])
      login.prompt([{ prompt: 'Password: ', echo: false }], (answers) => (answers[0] === password ? login.accept() : login.reject()))
    })
    client.on('session', (accept) => {
      const session = accept()
      session.on('sftp', (acceptSftp, reject) => (noSftp ? reject() : serve(acceptSftp())))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    username: 'client',
    hostKeys: pairs.map((pair) => `SHA256:${createHash('sha256').update(Buffer.from(pair.public.split(' ')[1]!, 'base64')).digest('base64').replace(/=+$/, '')}`),
    tried,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const client of open) client.end()
      await closed
    },
  }
}
