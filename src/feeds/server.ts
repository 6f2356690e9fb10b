import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import Client from 'ssh2-sftp-client'
import { openFolder, type RemoteFolder } from './remoteFolder.ts'
import { ServerFault } from './serverFault.ts'
import { watchConnection } from './watchConnection.ts'

export { ServerFault } from './serverFault.ts'
export type { RemoteFile, RemoteFolder } from './remoteFolder.ts'

export type ServerAddress = { host: string; port: number }
export type ServerLogin = { key: string; passphrase?: string | null } | { password: string }
export type ServerOptions = ServerAddress & {
  username: string
  login: ServerLogin
  /** The pinned fingerprint, SHA256:…; nothing else is talked to. */
  hostKey: string
  /** Milliseconds until the folder has to be there. Default 20,000. */
  connectMs?: number
  /** Milliseconds without a byte, while an answer is owed, that end the connection (faults.md 27). Default 30,000. */
  silenceMs?: number
  /** Ends the connection. */
  signal?: AbortSignal
}

const CONNECT_MS = 20_000
const SILENCE_MS = 30_000
/** How long a server has to say goodbye. */
const CLOSE_MS = 1000

/** By type of key, what a server may sign with. A server has a key of each type, and a feed is pinned to one of them. */
const KEY_TYPES: Record<string, readonly ('ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521' | 'rsa-sha2-512' | 'rsa-sha2-256')[]> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
}

/** The server proved itself with another key than the pinned one; nothing of the login was sent. */
class OtherHostKey extends Error {
  readonly keyType: string
  readonly fingerprint: string
  constructor(key: Buffer) {
    super('another host key')
    this.keyType = key.toString('latin1', 4, 4 + key.readUInt32BE(0))
    this.fingerprint = fingerprintOf(key)
  }
}

/**
 * Connects to a server and logs in, on a connection of its own, after the server has proved to own the pinned host key.
 * @throws ServerFault feed.host_key_changed, feed.login_refused, feed.key_unreadable, feed.unreachable, feed.silent, feed.lost, feed.no_sftp,
 *   feed.handshake_failed, feed.stopped (the signal)
 */
export async function connectServer(options: ServerOptions): Promise<RemoteFolder> {
  try {
    return await logIn(options)
  } catch (error) {
    if (!(error instanceof OtherHostKey)) throw error
    // Servers have keys of several types, and gain some with an update: the pinned one may be there all the same. All tries together have as
    // long as one connection: whoever shows another key is not to keep the lease of a feed, nor the alert, from coming to its end.
    const { connectMs = CONNECT_MS } = options
    const until = performance.now() + connectMs
    for (const keyType of Object.keys(KEY_TYPES)) {
      const left = until - performance.now()
      const folder = keyType === error.keyType || left <= 0 ? null : await logInBy({ ...options, connectMs: left }, keyType)
      if (folder) return folder
    }
    throw new ServerFault(
      'feed.host_key_changed', `${nameOf(options)} shows the host key ${error.fingerprint}, which is not the pinned one (${options.hostKey}).`,
      'Nothing was sent to it. Ask the owner of the server whether its key was changed; if so, ./muster feed trust shows and pins the new one.',
      { host: options.host, port: options.port, shown: error.fingerprint, pinned: options.hostKey },
    )
  }
}

/**
 * The fingerprint of the key that a server shows, SHA256:…, for `muster feed trust`; nobody is logged in.
 * @throws ServerFault feed.unreachable, feed.silent, feed.handshake_failed
 */
export async function fetchHostKey({ host, port, connectMs = CONNECT_MS }: ServerAddress & { connectMs?: number }): Promise<string> {
  try {
    const folder = await logIn({ host, port, username: 'muster', login: { password: '' }, hostKey: '', connectMs })
    await folder.close()
  } catch (error) {
    if (error instanceof OtherHostKey) return error.fingerprint
    throw error
  }
  throw new ServerFault('feed.handshake_failed', `${nameOf({ host, port })} let somebody in without showing its key.`, 'Ask the owner of the server what answers there.', { host, port })
}

/** What only a server can say, or whoever ends us, that has shown the pinned key. */
const BEHIND_THE_KEY = new Set(['feed.login_refused', 'feed.key_unreadable', 'feed.no_sftp', 'feed.stopped'])

/**
 * As logIn, where the server has a key of the type and it is the pinned one; else null. Whatever else comes of it hides nothing of what is
 * known already: that another key was shown.
 */
const logInBy = async (options: ServerOptions, keyType: string): Promise<RemoteFolder | null> => {
  try {
    return await logIn(options, keyType)
  } catch (error) {
    if (error instanceof OtherHostKey || (error instanceof ServerFault && !BEHIND_THE_KEY.has(error.code))) return null
    throw error
  }
}

/** One connection. Throws OtherHostKey, before the login, where the server shows another key. */
const logIn = async (options: ServerOptions, keyType?: string): Promise<RemoteFolder> => {
  const { username, login, connectMs = CONNECT_MS, silenceMs = SILENCE_MS, signal } = options
  const name = nameOf(options)
  const began = performance.now()
  const socket = await reach(options, connectMs)
  const connection = watchConnection({ name, socket, silenceMs, ...(signal ? { signal } : {}) })
  let shown: Buffer | undefined
  let reason: (Error & { level?: string }) | undefined

  const lost = () => connection.fail(lostFault(name))
  const client = new Client('muster', { error: lost, end: lost, close: lost })
  // The library's own error keeps neither the level nor the cause.
  client.on('error', (error: Error & { level?: string }) => (reason ??= error))
  if ('password' in login) {
    // Many servers ask for the password as the answer to a question, and for nothing else.
    client.on('keyboard-interactive', (_name: string, _text: string, _language: string, prompts: { echo: boolean }[], answer: (answers: string[]) => void) =>
      answer(prompts.map(({ echo }) => (echo ? '' : login.password))),
    )
  }
  // Of the whole way, the subsystem included; the library's own ends with the login.
  const deadline = setTimeout(() => {
    connection.fail(new ServerFault('feed.silent', `${name} took the connection and did not let anybody in within ${seconds(connectMs)}.`, 'It is tried again. If it stays so, ask the owner of the server.', { host: options.host, port: options.port }))
  }, Math.max(1, connectMs - (performance.now() - began)))
  try {
    const sftp = await connection.during(client.connect({
      sock: socket,
      username,
      ...('password' in login ? { password: login.password, tryKeyboard: true } : { privateKey: login.key, ...(login.passphrase ? { passphrase: login.passphrase } : {}) }),
      readyTimeout: 0,
      ...(keyType === undefined ? {} : { algorithms: { serverHostKey: [...KEY_TYPES[keyType]!] } }),
      hostVerifier: (key: Buffer) => {
        shown = key
        return fingerprintOf(key) === options.hostKey
      },
    }))
    // Without a listener a broken answer would end the process.
    sftp.on('error', (error: Error) => connection.fail(lostFault(name, error)))
    sftp.on('close', lost)
    return openFolder(sftp, connection, async () => {
      const timer = setTimeout(() => socket.destroy(), CLOSE_MS)
      connection.end()
      await client.end().catch(() => undefined)
      clearTimeout(timer)
      socket.destroy()
    })
  } catch (error) {
    connection.end()
    socket.destroy()
    if (shown && fingerprintOf(shown) !== options.hostKey) throw new OtherHostKey(shown)
    throw connectFault(options, error as Error, reason)
  } finally {
    clearTimeout(deadline)
  }
}

/** A socket that is connected. */
const reach = ({ host, port, signal }: ServerOptions, connectMs: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const name = nameOf({ host, port })
    const socket = connect({ host, port, noDelay: true, keepAlive: true })
    const settle = (fault: ServerFault | null) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      socket.off('error', refused)
      // What comes after the end, or after whoever listens has gone, has no ear and would end the process.
      socket.on('error', () => undefined)
      if (!fault) return resolve(socket)
      socket.destroy()
      reject(fault)
    }
    const unreachable = (why: string, code: string, cause?: Error) =>
      settle(new ServerFault('feed.unreachable', `${name} cannot be reached: ${why}.`, 'It is tried again. Check the host and the port of the feed, and that the server lets this machine through.', { host, port, reason: code }, { cause }))
    const refused = (error: Error & { code?: string }) => unreachable(REASONS[error.code ?? ''] ?? error.code ?? error.message, error.code ?? '', error)
    const stop = () => settle(new ServerFault('feed.stopped', `The connection to ${name} was given up.`, 'It is tried again.', { host, port }))
    const timer = setTimeout(() => unreachable(`no answer within ${seconds(connectMs)}`, 'ETIMEDOUT'), connectMs)
    if (signal?.aborted) return stop()
    signal?.addEventListener('abort', stop)
    socket.once('error', refused)
    socket.once('connect', () => settle(null))
  })

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing answers on that port', ENOTFOUND: 'there is no host of that name', EAI_AGAIN: 'the name service does not answer',
  ETIMEDOUT: 'no answer', EHOSTUNREACH: 'there is no way to it', ENETUNREACH: 'there is no way to its network', ECONNRESET: 'it hung up',
}

/** What the library says while it connects, in our words. */
const connectFault = (options: ServerOptions, error: Error, reason: (Error & { level?: string }) | undefined): Error => {
  if (error instanceof ServerFault && error.code !== 'feed.lost') return error
  const { host, port, username } = options
  const name = nameOf(options)
  const said = (reason ?? error).message
  const detail = { host, port }
  if (reason?.level === 'client-authentication' || /authentication/i.test(said)) {
    const what = 'password' in options.login ? 'password' : 'key'
    return new ServerFault('feed.login_refused', `${name} does not let ${username} in with this ${what}.`, `Check the user name, or give the right ${what} with ./muster feed secret; the owner of the server knows which it takes.`, { ...detail, username })
  }
  if (/privateKey|private key|passphrase/i.test(said))
    return new ServerFault('feed.key_unreadable', `The private key for ${username} at ${name} cannot be read: it is not one, or its passphrase is missing or wrong.`, 'Give the key in the form of OpenSSH or PEM, and its passphrase if it has one, with ./muster feed secret.', { ...detail, username })
  if (reason?.level === 'handshake' || /no matching|handshake|protocol|version/i.test(said))
    return new ServerFault('feed.handshake_failed', `${name} and Muster find no common way to talk: ${said}.`, 'Ask the owner of the server for a present version of SSH, and check that the port is the one for SFTP.', detail)
  if (/subsystem|exit code|SFTP session|channel open/i.test(said)) return new ServerFault('feed.no_sftp', `${name} lets ${username} in, but not to SFTP.`, 'Ask the owner of the server to allow SFTP for this user.', { ...detail, username })
  return lostFault(name, reason ?? error)
}

const lostFault = (name: string, cause?: Error): ServerFault =>
  new ServerFault('feed.lost', `The connection to ${name} broke off.`, 'It is tried again.', {}, cause ? { cause } : {})

/** As OpenSSH shows it. */
const fingerprintOf = (key: Buffer): string => `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`

const nameOf = ({ host, port }: ServerAddress): string => (port === 22 ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

const seconds = (milliseconds: number): string => `${Math.round(milliseconds / 100) / 10} s`
