/**
 * A real OpenSSH server on a port of the loopback that knows SFTP and one folder, for tests of feeds. Guard the tests with
 * `describe.skipIf(skipWithout('sshd'))`: where OpenSSH is missing they are left out with a reason.
 *
 * It never runs as root: sshd then needs no folder of the system's, and a login without a password works. Run by root, it serves the
 * user `daemon` (not `nobody`, whose login systemd locks).
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, lchownSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { programOf, runHome } from './services.ts'
import { newSshKey } from './sshKey.ts'

export type SshServer = {
  host: string
  port: number
  username: string
  /** The private key that the login takes, as text. */
  privateKey: string
  /** Fingerprint of the host key as OpenSSH shows it: SHA256:… */
  readonly hostKey: string
  /** The folder that a login starts in, absolute; `.` on the server. */
  folder: string
  /** Writes a file into the folder (`name` may lie in folders below it), with the time given or the present. */
  put(name: string, bytes: string | Uint8Array, options?: { modifiedAt?: Date }): void
  read(name: string): Buffer
  has(name: string): boolean
  /** Names in the folder or one below it, sorted. */
  list(below?: string): string[]
  rename(from: string, to: string): void
  remove(name: string): void
  /** Makes a folder below, for the login's user. */
  makeFolder(name: string): void
  /** What the server said so far; the reason of a refused login stands there. */
  log(): string
  /** Ends the server and every connection to it. What lies in the folder stays. */
  stop(): Promise<void>
  /** Stops it and starts it on the same port, with another host key where told so. */
  restart(options?: { newHostKey?: boolean }): Promise<void>
}

const HOST = '127.0.0.1'
const START_MS = 10_000

/**
 * Starts a server. Call `stop` in afterAll or afterEach.
 * @param home folder that everything is put below; else the folder of the test run, which is removed at its end
 * @param program the path of sshd; else the one that was found for the test run
 */
export async function startSshServer({ home = runHome(), program = programOf('sshd') ?? '/usr/sbin/sshd' }: { home?: string; program?: string } = {}): Promise<SshServer> {
  const user = loginUser()
  const own = (path: string): void => {
    if (user.given) lchownSync(path, user.uid, user.gid)
  }
  const base = mkdtempSync(join(home, 'sshd-'))
  // The user whom sshd runs as has to get through to the folder.
  chmodSync(base, 0o711)
  const folder = join(base, 'drop')
  mkdirSync(folder)
  own(folder)
  const place = (name: string): string => join(folder, name)
  const write = (path: string, text: string): string => {
    writeFileSync(path, text, { mode: 0o600 })
    own(path)
    return path
  }

  const login = newSshKey()
  const hostKeyPath = join(base, 'host_key')
  const port = await freePort()
  const config = write(join(base, 'sshd_config'), [
    `Port ${port}`, `ListenAddress ${HOST}`, `HostKey ${hostKeyPath}`, 'PidFile none', 'UsePAM no', 'StrictModes no', 'UseDNS no', 'LogLevel VERBOSE',
    'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PubkeyAuthentication yes', `AuthorizedKeysFile ${write(join(base, 'authorized_keys'), `${login.public}\n`)}`,
    'MaxStartups 200', 'MaxSessions 50', 'AllowTcpForwarding no', 'X11Forwarding no', 'PermitTTY no', 'PermitUserRC no',
    'Subsystem sftp internal-sftp', `ForceCommand internal-sftp -d ${folder}`, '',
  ].join('\n'))
  // Newer servers make somebody wait who failed to log in; older ones do not know the word.
  const patience = ['-o', 'PerSourcePenalties=no']

  let hostKey = ''
  let said = ''
  let child: ChildProcess | undefined
  let more: string[] | undefined

  const newHostKey = (): void => {
    const pair = newSshKey()
    write(hostKeyPath, pair.private)
    hostKey = fingerprint(pair.public)
  }
  const as = user.given ? { uid: user.uid, gid: user.gid } : {}
  const start = async (): Promise<void> => {
    more ??= spawnSync(program, ['-t', '-f', config, ...patience], as).status === 0 ? patience : []
    const running = spawn(program, ['-D', '-e', '-f', config, ...more], { ...as, stdio: ['ignore', 'ignore', 'pipe'] })
    child = running
    running.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    const started = performance.now()
    while (!(await greets(port))) {
      if (running.exitCode !== null || performance.now() - started > START_MS) {
        running.kill('SIGKILL')
        throw new Error(`${program} did not start on port ${port}: ${said}`)
      }
      await pause(10)
    }
  }
  const server: SshServer = {
    host: HOST,
    port,
    username: user.username,
    privateKey: login.private,
    get hostKey() {
      return hostKey
    },
    folder,
    put(name, bytes, { modifiedAt } = {}) {
      if (dirname(name) !== '.') server.makeFolder(dirname(name))
      writeFileSync(place(name), bytes)
      own(place(name))
      if (modifiedAt) utimesSync(place(name), modifiedAt, modifiedAt)
    },
    read: (name) => readFileSync(place(name)),
    has: (name) => existsSync(place(name)),
    list: (below = '.') => readdirSync(place(below)).toSorted(),
    rename: (from, to) => renameSync(place(from), place(to)),
    remove: (name) => rmSync(place(name), { recursive: true, force: true }),
    makeFolder(name) {
      const made = mkdirSync(place(name), { recursive: true })
      if (made !== undefined && user.given) for (let path = place(name); path.startsWith(made); path = dirname(path)) chownSync(path, user.uid, user.gid)
    },
    log: () => said,
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      // Each connection has processes of its own, which the server does not take with it.
      const connections = descendantsOf(child.pid!)
      child.kill('SIGKILL')
      for (const pid of connections) end(pid)
      await gone
    },
    async restart(options = {}) {
      await server.stop()
      if (options.newHostKey) newHostKey()
      await start()
    },
  }
  newHostKey()
  await start()
  // A run that is broken off leaves no server behind.
  process.once('exit', () => child?.kill('SIGKILL'))
  return server
}

/** Whom the server runs as, and lets in. */
const loginUser = (): { username: string; uid: number; gid: number; given: boolean } => {
  const { username, uid, gid } = userInfo()
  if (uid !== 0) return { username, uid, gid, given: false }
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((line) => line.startsWith('daemon:'))
  if (line === undefined) throw new Error('There is no user daemon for the SSH server to run as.')
  const [, , user, group] = line.split(':')
  return { username: 'daemon', uid: Number(user), gid: Number(group), given: true }
}

/** What OpenSSH shows of a public key in its one-line form. */
const fingerprint = (publicKey: string): string =>
  `SHA256:${createHash('sha256').update(Buffer.from(publicKey.split(' ')[1]!, 'base64')).digest('base64').replace(/=+$/, '')}`

const descendantsOf = (pid: number): number[] => {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    return children.flatMap((child) => [child, ...descendantsOf(child)])
  } catch {
    return []
  }
}

const end = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was over already.
  }
}

/** Whether an SSH server says its name there. */
const greets = (port: number): Promise<boolean> =>
  new Promise((answer) => {
    const socket = connect(port, HOST)
    socket.once('data', (bytes) => {
      socket.destroy()
      answer(bytes.toString().startsWith('SSH-'))
    })
    socket.once('error', () => answer(false))
    socket.once('end', () => answer(false))
  })

const freePort = (): Promise<number> =>
  new Promise((found, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, HOST, () => {
      const { port } = server.address() as AddressInfo
      server.close(() => found(port))
    })
  })
