/** The demonstration drop: an SFTP server on the loopback over a folder of MUSTER_HOME, standing in for a client's. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import type { Connection, ServerChannel } from 'ssh2'
import { giveToHomeOwner, madeOnce, openHome } from './home.ts'
import { serveFolder } from './serveFolder.ts'

export type Drop = {
  host: string
  port: number
  username: string
  password: string
  /** Of its key, as OpenSSH shows it: SHA256:… */
  hostKey: string
  /** What clients see as /, absolute. */
  folder: string
  /** Where the password stands, absolute. */
  passwordFile: string
  close(): Promise<void>
}

const HOST = '127.0.0.1'
/** Wrong passwords of a connection, after which it is ended. */
const MOST_TRIES = 5
/** How long a client may take to sign in, in milliseconds. */
const SIGN_IN_MS = 60_000
/** How long clients may take to go when the drop closes, in milliseconds. */
const LEAVE_MS = 1_000

/**
 * Starts an SFTP server on the loopback over MUSTER_HOME/drop. Its key and its password are made once and kept in MUSTER_HOME, readable
 * by their owner only. Rejects where the port is taken.
 * @param options `username`: the one that may sign in. `random` gives bytes from a secure source (crypto.randomBytes).
 */
export async function startDrop(home: string, options: { username: string; port: number; random: (bytes: number) => Buffer }): Promise<Drop> {
  const opened = openHome(home)
  const folder = join(opened.path, 'drop')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  giveToHomeOwner(opened, folder)
  const key = madeOnce(opened, join(opened.path, 'drop-host-key'), newHostKey)
  const passwordFile = join(opened.path, 'drop-password')
  const password = madeOnce(opened, passwordFile, () => options.random(12).toString('base64url'))

  const clients = new Set<Connection>()
  const server = new ssh2.Server({ hostKeys: [key], ident: 'muster-drop' }, (client) => {
    clients.add(client)
    const deadline = setTimeout(() => client.end(), SIGN_IN_MS).unref()
    client.once('ready', () => clearTimeout(deadline))
    client.once('close', () => {
      clearTimeout(deadline)
      clients.delete(client)
    })
    // A client that breaks off ends its own connection only.
    client.on('error', () => undefined)
    signIn(client, options.username, password)
    client.on('session', (accept) => {
      // Only SFTP, no shell and no commands: whatever else is asked for is refused.
      accept().on('subsystem', (take, refuse, { name }) => {
        if (name === 'sftp') void serve(take(), folder, (path) => giveToHomeOwner(opened, path))
        else refuse()
      })
    })
  })
  server.on('error', () => undefined)
  // Of a client that has said nothing yet, only its socket is known. Without noDelay each answer waits for the acknowledgement of the one before.
  const sockets = new Set<Socket>()
  const door = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    server.injectSocket(socket)
  })
  await new Promise<void>((resolve, reject) => {
    door.once('error', reject)
    door.listen(options.port, HOST, () => {
      door.off('error', reject)
      door.on('error', () => undefined)
      resolve()
    })
  })
  return {
    host: HOST,
    port: (door.address() as AddressInfo).port,
    username: options.username,
    password,
    hostKey: fingerprintOf(key),
    folder,
    passwordFile,
    close: () =>
      new Promise((resolve) => {
        const last = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, LEAVE_MS)
        door.close(() => {
          clearTimeout(last)
          resolve()
        })
        for (const client of clients) client.end()
      }),
  }
}

function signIn(client: Connection, username: string, password: string): void {
  let tries = 0
  client.on('authentication', (asked) => {
    if (asked.method !== 'password') return asked.reject(['password'])
    // Both are looked at, however the first one ends.
    const right = [equal(asked.username, username), equal(asked.password, password)].every(Boolean)
    if (right) return asked.accept()
    asked.reject(['password'])
    if (++tries >= MOST_TRIES) client.end()
  })
}

/** Whether two texts are the same, in a time that does not tell where they differ. */
const equal = (a: string, b: string): boolean => timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())

async function serve(channel: ServerChannel, folder: string, made: (path: string) => void): Promise<void> {
  channel.on('error', () => undefined)
  // What a client that has gone would still have been sent is waited for by nobody.
  const gone = new Promise<void>((resolve) => channel.once('close', () => resolve()))
  const send = (bytes: Buffer): Promise<void> => Promise.race([new Promise<void>((resolve) => channel.write(bytes, () => resolve())), gone])
  try {
    await serveFolder(folder, { requests: channel as AsyncIterable<Buffer>, send }, made)
    channel.exit(0)
  } catch {
    channel.exit(1)
  }
  channel.end()
}

function fingerprintOf(key: string): string {
  const parsed = ssh2.utils.parseKey(key)
  if (parsed instanceof Error) throw new Error(`The key of the drop cannot be read: ${parsed.message}. Remove drop-host-key from MUSTER_HOME; another one is made.`)
  return `SHA256:${createHash('sha256').update(parsed.getPublicSSH()).digest('base64').replace(/=+$/, '')}`
}

/** ssh2 makes a key in a few hundred that it cannot read itself: such a one is thrown away. */
function newHostKey(): string {
  for (;;) {
    const { private: key } = ssh2.utils.generateKeyPairSync('ed25519')
    if (!(ssh2.utils.parseKey(key) instanceof Error)) return key
  }
}
