/** The demonstration drop, used by OpenSSH's own client and by one that knows no manners. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import ssh2 from 'ssh2'
import type { SFTPWrapper } from 'ssh2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startDrop, type Drop } from '../../src/embedded/drop.ts'
import { programOf, skipWithout } from '../support/services.ts'
import { newHome } from './processes.ts'

const run = promisify(execFile)
const start = (home: string): Promise<Drop> => startDrop(home, { username: 'acme', port: 0, random: randomBytes })

let home: string
let drop: Drop
beforeAll(async () => {
  home = newHome()
  drop = await start(home)
})
afterAll(() => drop.close())

describe('what it keeps', () => {
  test('key and password are made once, and can be read by their owner alone', async () => {
    expect(drop.hostKey).toMatch(/^SHA256:[\w+/]{43}$/)
    expect(drop.password.length).toBeGreaterThanOrEqual(16)
    const again = await start(home)
    await again.close()
    expect([again.hostKey, again.password]).toEqual([drop.hostKey, drop.password])
    for (const name of ['drop-host-key', 'drop-password']) expect(statSync(join(home, name)).mode & 0o777).toBe(0o600)
    expect(statSync(drop.folder).mode & 0o777).toBe(0o700)
    expect(readFileSync(drop.passwordFile, 'utf8').trim()).toBe(drop.password)
  })
})

describe.skipIf(skipWithout('sftp'))('with the sftp program', () => {
  /** Runs a batch of commands; a `-` in front lets one fail. */
  async function sftp(lines: readonly string[], { password = drop.password } = {}): Promise<{ out: string; err: string; status: number }> {
    const folder = join(home, '..')
    const [batch, ask] = [join(folder, `batch-${randomBytes(4).toString('hex')}`), join(folder, `ask-${randomBytes(4).toString('hex')}`)]
    writeFileSync(batch, lines.join('\n'))
    writeFileSync(ask, `#!/bin/sh\necho '${password}'\n`, { mode: 0o700 })
    const options = ['BatchMode=no', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'PreferredAuthentications=password', 'NumberOfPasswordPrompts=1', 'IdentityFile=none']
    const env = { ...process.env, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' }
    return run(programOf('sftp')!, ['-P', String(drop.port), ...options.flatMap((option) => ['-o', option]), '-b', batch, `acme@${drop.host}`], { env }).then(
      ({ stdout, stderr }) => ({ out: stdout, err: stderr, status: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => ({ out: error.stdout, err: error.stderr, status: error.code }),
    )
  }
  const local = (name: string, content: string | Buffer): string => {
    const path = join(home, '..', name)
    writeFileSync(path, content)
    return path
  }

  test('files go in, are listed, renamed, fetched and removed, byte for byte', async () => {
    const bytes = randomBytes(700_001)
    const path = local('large.bin', bytes)
    utimesSync(path, 1_700_000_000, 1_700_000_000)
    const back = join(home, '..', 'back.bin')
    const { out, err, status } = await sftp([`put -p ${path} people.csv.tmp`, 'rename people.csv.tmp people.csv', 'mkdir archive', `put ${path} archive/one.csv`, 'ls -l', 'ls archive', `get people.csv ${back}`, 'pwd', 'rm archive/one.csv', 'rmdir archive', 'ls -1'])
    expect([err, status]).toEqual(['', 0])
    expect(out).toMatch(/-rw------- .* 700001 Nov 14 2023 22:13 people\.csv/)
    expect(out).toMatch(/drwx------ .* archive/)
    expect(out).toContain('Remote working directory: /')
    expect(readFileSync(back).equals(bytes)).toBe(true)
    expect(readFileSync(join(drop.folder, 'people.csv')).equals(bytes)).toBe(true)
    expect(out.trimEnd().endsWith('people.csv')).toBe(true)
    expect(statSync(join(drop.folder, 'people.csv')).mode & 0o777).toBe(0o600)
  })

  test('a file that is renamed onto another takes its place at once, and what is not there is told so', async () => {
    const { out, err } = await sftp([`put ${local('a.txt', 'first')} now.csv`, `put ${local('b.txt', 'second')} next.csv`, 'rename next.csv now.csv', '-rename -l gone.csv other.csv', '-get nothing.csv /dev/null', 'ls -1 now.csv'])
    expect(readFileSync(join(drop.folder, 'now.csv'), 'utf8')).toBe('second')
    expect(out + err).toContain('No such file')
    expect(out + err).toContain('File "/nothing.csv" not found.')
  })

  test('nothing leads out of the folder: neither .. nor a link', async () => {
    writeFileSync(join(home, 'kept'), 'kept from everybody')
    symlinkSync(home, join(drop.folder, 'out'))
    symlinkSync(join(home, 'kept'), join(drop.folder, 'file-out'))
    const stolen = join(home, '..', 'stolen')
    const lines = [`-get ../kept ${stolen}`, `-get /../../kept ${stolen}`, `-get out/kept ${stolen}`, `-get file-out ${stolen}`, `-put ${local('c.txt', 'x')} out/planted`, `-put ${local('c.txt', 'x')} file-out`, '-ls out/', '-symlink now.csv other', '-rm out/kept']
    const { out, status } = await sftp([...lines, `put ${local('c.txt', 'x')} in.csv`, 'ls -1'])
    expect([status, out]).toEqual([0, expect.stringContaining('in.csv')])
    expect(out).not.toContain('drop-password')
    expect(() => statSync(stolen)).toThrow('ENOENT')
    expect(() => statSync(join(home, 'planted'))).toThrow('ENOENT')
    expect(readFileSync(join(home, 'kept'), 'utf8')).toBe('kept from everybody')
  })

  test('another password is refused', async () => {
    const { err, status } = await sftp(['ls'], { password: 'not-the-password' })
    expect(status).not.toBe(0)
    expect(err).toContain('Permission denied')
  })
})

describe('with a client of its own making', () => {
  type Session = { sftp: SFTPWrapper; end: () => void }
  const connect = (changes: { username?: string; password?: string } = {}): Promise<Session> =>
    new Promise((resolve, reject) => {
      const client = new ssh2.Client()
      client
        .once('error', reject)
        .once('ready', () => client.sftp((error, sftp) => (error ? reject(error) : resolve({ sftp, end: () => client.end() }))))
        .connect({ host: drop.host, port: drop.port, username: 'acme', password: drop.password, ...changes })
    })

  test('only its user may sign in, and may run no command', async () => {
    await expect(connect({ username: 'root' })).rejects.toThrow('authentication')
    const told = await new Promise<string>((resolve, reject) => {
      const client = new ssh2.Client()
      client.once('error', reject).once('ready', () => client.exec('id', (error) => {
        resolve(error?.message ?? 'it ran')
        client.end()
      })).connect({ host: drop.host, port: drop.port, username: 'acme', password: drop.password })
    })
    expect(told).toContain('Unable to exec')
  })

  test('a link is not listed where it leads out of the folder, nor where it is the folder itself', async () => {
    const { sftp, end } = await connect()
    const list = (path: string) => new Promise<string[]>((resolve, reject) => sftp.readdir(path, (error, found) => (error ? reject(error) : resolve(found.map(({ filename }) => filename)))))
    symlinkSync(home, join(drop.folder, 'way-out'))
    mkdirSync(join(drop.folder, 'inner'))
    writeFileSync(join(drop.folder, 'inner', 'kept.csv'), '')
    symlinkSync('inner', join(drop.folder, 'way-in'))
    for (const path of ['way-out', '/way-out/', 'way-out/.', 'inner/../way-out']) await expect(list(path)).rejects.toThrow('Permission denied')
    expect(await list('way-in')).toEqual(['kept.csv'])
    end()
  })

  test('it closes though somebody holds on to a connection, without a word or in a session', async () => {
    const closing = await start(newHome())
    const silent = createConnection({ host: closing.host, port: closing.port, allowHalfOpen: true })
    silent.on('error', () => undefined)
    await once(silent, 'connect')
    const client = new ssh2.Client()
    client.on('error', () => undefined).connect({ host: closing.host, port: closing.port, username: 'acme', password: closing.password })
    await once(client, 'ready')
    const began = performance.now()
    await closing.close()
    expect(performance.now() - began).toBeLessThan(5_000)
    silent.destroy()
    client.end()
  })

  test('one who breaks off in the middle of a file leaves the others alone', async () => {
    const first = await connect()
    const other = await connect()
    const handle = await new Promise<Buffer>((resolve, reject) => first.sftp.open('half.csv', 'w', (error, opened) => (error ? reject(error) : resolve(opened))))
    await new Promise<void>((resolve, reject) => first.sftp.write(handle, Buffer.from('half'), 0, 4, 0, (error) => (error ? reject(error) : resolve())))
    first.end()
    const names = await new Promise<string[]>((resolve, reject) => other.sftp.readdir('.', (error, list) => (error ? reject(error) : resolve(list.map(({ filename }) => filename)))))
    expect(names).toContain('half.csv')
    other.end()
  })

  test('many names are listed in full', async () => {
    mkdirSync(join(drop.folder, 'many'))
    const made = Array.from({ length: 250 }, (_, index) => `file-${String(index).padStart(3, '0')}.csv`)
    for (const name of made) writeFileSync(join(drop.folder, 'many', name), '')
    const { sftp, end } = await connect()
    const names = await new Promise<string[]>((resolve, reject) => sftp.readdir('/many', (error, list) => (error ? reject(error) : resolve(list.map(({ filename }) => filename)))))
    expect(names).toEqual(made)
    end()
  })
})
