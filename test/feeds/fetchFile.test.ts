import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, closeSync, openSync, truncateSync, utimesSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openDecryption } from '../../src/feeds/decrypt.ts'
import { fetchFile } from '../../src/feeds/fetchFile.ts'
import { connectServer, type RemoteFolder } from '../../src/feeds/server.ts'
import { ServerFault } from '../../src/feeds/serverFault.ts'
import { skipWithout } from '../support/services.ts'
import { startSftpScript } from '../support/sftpScript.ts'
import { startSshServer, type SshServer } from '../support/sshServer.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcpProxy.ts'
import { faultOf } from './fault.ts'

const hashOf = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')
type Options = Partial<Parameters<typeof fetchFile>[3]>

/** Lists a file and fetches it; `first` runs when the first piece has come. */
const fetch = async (folder: RemoteFolder, path: string, { first, ...options }: Options & { first?: () => void } = {}) => {
  const file = (await folder.stat(path))!
  const parts: Buffer[] = []
  const fetched = await fetchFile(folder, path, file, {
    sink: async (part) => {
      if (parts.push(part) === 1) first?.()
      await Promise.resolve()
    },
    ...options,
  })
  return { ...fetched, content: Buffer.concat(parts) }
}

describe.skipIf(skipWithout('sshd'))('a file that is fetched', () => {
  let server: SshServer
  let proxy: TcpProxy
  let folder: RemoteFolder
  const connect = (port: number) => connectServer({ host: server.host, port, username: server.username, login: { key: server.privateKey }, hostKey: server.hostKey, silenceMs: 500 })
  beforeAll(async () => {
    server = await startSshServer()
    proxy = await startTcpProxy(server)
    folder = await connect(server.port)
  })
  afterAll(async () => {
    await folder.close()
    await proxy.close()
    await server.stop()
  })
  // More than lies in the buffers on the way.
  const content = randomBytes(30_000_000)
  const modifiedAt = new Date('2026-03-01T00:00:00Z')
  const place = (name: string) => join(server.folder, name)

  test('comes as it is, with the hash of its bytes', async () => {
    server.put('a.bin', content, { modifiedAt })
    const fetched = await fetch(folder, 'a.bin')
    expect(fetched.content.equals(content)).toBe(true)
    expect({ bytes: fetched.bytes, hash: fetched.hash }).toEqual({ bytes: content.length, hash: hashOf(content) })
  })

  test('may be empty', async () => {
    server.put('empty.csv', '')
    expect(await fetch(folder, 'empty.csv')).toEqual({ bytes: 0, hash: hashOf(''), content: Buffer.alloc(0) })
  })

  test('waits for whoever takes its pieces', async () => {
    server.put('a.bin', content, { modifiedAt })
    let taking = 0
    let most = 0
    await fetch(folder, 'a.bin', {
      sink: async () => {
        most = Math.max(most, ++taking)
        await new Promise((done) => setImmediate(done))
        taking--
      },
    })
    expect(most).toBe(1)
  })

  test('is refused when it was overwritten meanwhile, though as long as before', async () => {
    server.put('a.bin', content, { modifiedAt })
    const overwrite = () => {
      const file = openSync(place('a.bin'), 'r+')
      writeSync(file, randomBytes(content.length))
      closeSync(file)
    }
    expect(await faultOf(fetch(folder, 'a.bin', { first: overwrite }))).toMatchObject({ code: 'feed.changed_during_fetch' })
  })

  test('is refused when another one was renamed over it meanwhile', async () => {
    server.put('a.bin', content, { modifiedAt })
    server.put('b.bin', content, { modifiedAt: new Date('2026-03-01T00:00:01Z') })
    expect(await faultOf(fetch(folder, 'a.bin', { first: () => server.rename('b.bin', 'a.bin') }))).toMatchObject({ code: 'feed.changed_during_fetch' })
  })

  test('is refused when it was cut short meanwhile, even to what had been read, at the old time', async () => {
    server.put('a.bin', content, { modifiedAt })
    const cut = () => {
      truncateSync(place('a.bin'), 20_000_000)
      utimesSync(place('a.bin'), modifiedAt, modifiedAt)
    }
    expect(await faultOf(fetch(folder, 'a.bin', { first: cut }))).toMatchObject({ code: 'feed.cut_short_transfer' })
  })

  test('is refused when it is still growing', async () => {
    server.put('a.bin', content, { modifiedAt })
    expect(await faultOf(fetch(folder, 'a.bin', { first: () => appendFileSync(place('a.bin'), 'more') }))).toMatchObject({ code: 'feed.changed_during_fetch' })
  })

  test('is refused when it is another one than was listed, or gone', async () => {
    server.put('a.bin', 'ten bytes.', { modifiedAt })
    const listed = (await folder.stat('a.bin'))!
    const sink = () => Promise.reject(new Error('nothing is to be given'))
    server.put('a.bin', 'other byte', { modifiedAt: new Date('2026-03-01T00:00:01Z') })
    expect(await faultOf(fetchFile(folder, 'a.bin', listed, { sink }))).toMatchObject({ code: 'feed.changed_during_fetch' })
    server.remove('a.bin')
    expect(await faultOf(fetchFile(folder, 'a.bin', listed, { sink }))).toMatchObject({ code: 'feed.file_missing' })
  })

  test.each([
    ['alone', (hash: string) => `${hash.toUpperCase()}\r\n`],
    ['as sha256sum writes it', (hash: string) => `${'0'.repeat(64)}  other.csv\n${hash} *c.csv\n`],
    ['of files whose names hold its name', (hash: string) => `${'0'.repeat(64)}  old-c.csv\n${'1'.repeat(64)}  c.csv.bak\n${hash}  out/c.csv\n`],
    ['as sha256sum --tag writes it', (hash: string) => `SHA256 (c.csv) = ${hash}\n`],
  ])('is held against the hash of its control file (%s)', async (_form, write) => {
    server.put('c.csv', 'id,name\n1,Ann\n')
    server.put('c.csv.done', write(hashOf('id,name\n1,Ann\n')))
    expect((await fetch(folder, 'c.csv', { control: 'c.csv.done' })).hash).toBe(hashOf('id,name\n1,Ann\n'))
    server.put('c.csv', 'id,name\n1,Bob\n')
    expect(await faultOf(fetch(folder, 'c.csv', { control: 'c.csv.done' }))).toMatchObject({ code: 'feed.hash_differs', detail: { expected: hashOf('id,name\n1,Ann\n'), found: hashOf('id,name\n1,Bob\n') } })
  })

  test.each(['', 'done', 'a'.repeat(65), `${'0'.repeat(64)} x\n${'1'.repeat(64)} y`])('is refused when its control file holds no hash of it: %j', async (text) => {
    server.put('c.csv', 'id\n')
    server.put('c.csv.done', text)
    expect(await faultOf(fetch(folder, 'c.csv', { control: 'c.csv.done' }))).toMatchObject({ code: 'feed.control_unreadable' })
  })

  test('ends with the error of whoever takes its pieces, and the connection goes on', async () => {
    server.put('a.bin', content, { modifiedAt })
    await expect(fetch(folder, 'a.bin', { sink: () => Promise.reject(new Error('no room')) })).rejects.toThrow('no room')
    expect(await folder.stat('a.bin')).toMatchObject({ bytes: content.length })
  })

  describe('on a line that fails', () => {
    let mine: RemoteFolder
    afterEach(async () => {
      await mine.close()
      proxy.heal()
    })
    test.each<[string, () => void, string]>([
      ['cut', () => proxy.cutAfter(1_000_000), 'feed.lost'],
      ['ended in order', () => proxy.cutAfter(1_000_000, 'end'), 'feed.lost'],
      ['silent', () => proxy.hangAfter(1_000_000), 'feed.silent'],
      ['half open', () => proxy.halfOpen(), 'feed.silent'],
    ])('%s: is not taken for whole, encrypted or not', async (_how, first, code) => {
      server.put('a.bin', content, { modifiedAt })
      mine = await connect(proxy.port)
      expect(await faultOf(fetch(mine, 'a.bin', { first }))).toMatchObject({ code })
      proxy.heal()
      mine = await connect(proxy.port)
      const decrypt = {
        async *open(bytes: AsyncIterable<Buffer>) {
          // As the library does: what the line threw is an error in the middle of the message.
          try {
            yield* bytes
          } catch (error) {
            throw error instanceof ServerFault ? error : new ServerFault('pgp.corrupt', '', '')
          }
        },
      }
      expect(await faultOf(fetch(mine, 'a.bin', { first, decrypt }))).toMatchObject({ code })
    })
  })

  test('that cannot be opened gives a sign for each piece that is read on, and is not read on for our own fault', async () => {
    server.put('a.bin', content, { modifiedAt })
    const signs = async (code: string): Promise<number> => {
      let count = 0
      const decrypt = {
        // eslint-disable-next-line require-yield
        async *open(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
          await bytes[Symbol.asyncIterator]().next()
          throw new ServerFault(code, '', '')
        },
      }
      expect(await faultOf(fetch(folder, 'a.bin', { decrypt, moved: () => Promise.resolve(void count++) }))).toMatchObject({ code })
      return count
    }
    expect(await signs('pgp.corrupt')).toBeGreaterThan(900)
    for (const code of ['pgp.key_unreadable', 'pgp.sender_key_unreadable', 'pgp.not_encrypted', 'pgp.not_signed']) expect(await signs(code)).toBe(1)
  })

  test('that no key opens is read to its end all the same: being changed is the better reason', async () => {
    const decrypt = openDecryption({ privateKey: null, passphrase: null, senderKeys: [] })
    server.put('plain.csv', 'no message', { modifiedAt })
    expect(await faultOf(fetch(folder, 'plain.csv', { decrypt }))).toMatchObject({ code: 'pgp.not_signed' })
    server.put('plain.csv.done', hashOf('another'))
    expect(await faultOf(fetch(folder, 'plain.csv', { decrypt, control: 'plain.csv.done' }))).toMatchObject({ code: 'feed.hash_differs' })
  })
})

test('an early end that the server calls the end of the file is no end', async () => {
  const content = randomBytes(100_000)
  const server = await startSftpScript({ files: { 'a.bin': content }, onRead: (_path, offset) => (offset >= 60_000 ? 'end' : undefined) })
  const folder = await connectServer({ host: server.host, port: server.port, username: server.username, login: { password: 'secret' }, hostKey: server.hostKeys[0]! })
  expect(await faultOf(fetch(folder, 'a.bin'))).toMatchObject({ code: 'feed.cut_short_transfer' })
  await folder.close()
  await server.close()
})
