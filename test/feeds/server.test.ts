import { randomBytes } from 'node:crypto'
import { symlinkSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectServer, fetchHostKey, type RemoteFolder, type ServerOptions } from '../../src/feeds/server.ts'
import { skipWithout } from '../support/services.ts'
import { startSftpScript, type ScriptedServer, type SftpScript } from '../support/sftpScript.ts'
import { newSshKey } from '../support/sshKey.ts'
import { startSshServer, type SshServer } from '../support/sshServer.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcpProxy.ts'
import { collect, faultOf } from './fault.ts'

const open = new Set<RemoteFolder>()
const connected = async (options: ServerOptions): Promise<RemoteFolder> => {
  const folder = await connectServer(options)
  open.add(folder)
  return folder
}
afterEach(async () => {
  for (const folder of open) await folder.close()
  open.clear()
})

describe.skipIf(skipWithout('sshd'))('a server', () => {
  let server: SshServer
  let proxy: TcpProxy
  beforeAll(async () => {
    server = await startSshServer()
    proxy = await startTcpProxy(server)
  })
  beforeEach(() => proxy.heal())
  afterAll(async () => {
    await proxy.close()
    await server.stop()
  })
  const options = (more: Partial<ServerOptions> = {}): ServerOptions => ({
    host: server.host, port: proxy.port, username: server.username, login: { key: server.privateKey }, hostKey: server.hostKey, ...more,
  })

  describe('of files', () => {
    test('lists them with size and time, and neither folders nor links', async () => {
      const modifiedAt = new Date('2026-03-01T02:03:04Z')
      server.put('listed/b.csv', 'four', { modifiedAt })
      server.put('listed/.hidden', '')
      server.put('listed/below/c.csv', 'c')
      symlinkSync('b.csv', join(server.folder, 'listed/link.csv'))
      const folder = await connected(options())
      expect((await folder.list('listed')).map(({ name }) => name)).toEqual(['.hidden', 'b.csv'])
      expect(await folder.stat('listed/b.csv')).toEqual({ name: 'b.csv', bytes: 4, modifiedAt })
      expect(await folder.stat('listed/below')).toBeNull()
      expect(await folder.stat('listed/none.csv')).toBeNull()
    })

    test('lists many, and gives a sign of it on the way', async () => {
      const names = Array.from({ length: 250 }, (_, index) => `${1000 + index}.csv`)
      for (const name of names) server.put(`many/${name}`, '')
      const folder = await connected(options())
      let signs = 0
      expect((await folder.list('many', () => Promise.resolve(void signs++))).map(({ name }) => name)).toEqual(names)
      expect(signs).toBeGreaterThan(1)
    })

    test('knows two names of one folder', async () => {
      server.makeFolder('real')
      symlinkSync('real', join(server.folder, 'alias'))
      const folder = await connected(options())
      expect(await folder.realPath('real/../alias')).toBe(await folder.realPath(`${server.folder}/real`))
      expect(await folder.realPath('alias/none/none')).toBeNull()
    })

    test('says which folder is missing', async () => {
      const folder = await connected(options())
      expect(await faultOf(folder.list('inbound/none'))).toMatchObject({ code: 'feed.folder_missing', detail: { folder: 'inbound/none' }, message: expect.stringContaining('inbound/none') as string })
    })

    test.each([0, 1, 30 * 1024, 5_000_001])('gives the %i bytes of a file as they are', async (bytes) => {
      const content = randomBytes(bytes)
      server.put('read.bin', content)
      const folder = await connected(options())
      expect((await collect(folder.read('read.bin'))).equals(content)).toBe(true)
    })

    test('is let go of by a reader who stops early', async () => {
      server.put('large.bin', randomBytes(5_000_000))
      const folder = await connected(options())
      for await (const part of folder.read('large.bin')) {
        expect(part.length).toBeGreaterThan(0)
        break
      }
      expect((await folder.list('.')).length).toBeGreaterThan(0)
    })

    test('gives a small file as text, and no large one', async () => {
      server.put('small.txt', 'Müller')
      const folder = await connected(options())
      expect(await folder.readText('small.txt', 7)).toBe('Müller')
      expect(await faultOf(folder.readText('small.txt', 6))).toMatchObject({ code: 'feed.file_too_large' })
      expect(await faultOf(folder.readText('none.txt', 6))).toMatchObject({ code: 'feed.file_missing' })
    })

    test('is written to under another name, then renamed over what was there: nobody sees half of it', async () => {
      server.put('answers/x.ack.json', 'old')
      const folder = await connected(options())
      const seen: unknown[] = []
      const block = randomBytes(200_000)
      await folder.write('answers/x.ack.json', (function* () {
        yield 'new '
        yield block
        seen.push(server.list('answers'), server.read('answers/x.ack.json').toString())
        yield 'end'
      })())
      expect(seen).toEqual([['.x.ack.json.tmp', 'x.ack.json'], 'old'])
      expect(server.read('answers/x.ack.json').equals(Buffer.concat([Buffer.from('new '), block, Buffer.from('end')]))).toBe(true)
      expect(server.list('answers')).toEqual(['x.ack.json'])
    })

    test('tells beforehand how what is written will be listed', async () => {
      const folder = await connected(options())
      const told: unknown[] = []
      await folder.write('told.csv', ['four'], (written) => Promise.resolve(void told.push({ ...written, there: server.has('told.csv') })))
      const { bytes, modifiedAt } = (await folder.stat('told.csv'))!
      expect(told).toEqual([{ bytes, modifiedAt, there: false }])
    })

    test('keeps what was there when writing breaks off, and nothing else, and takes an empty file', async () => {
      server.put('kept.json', 'old')
      const folder = await connected(options())
      const breaking = function* () {
        yield 'half'
        throw new Error('broken off')
      }
      await expect(folder.write('kept.json', breaking())).rejects.toThrow('broken off')
      expect(server.read('kept.json').toString()).toBe('old')
      await expect(folder.write('kept.json', ['new'], () => Promise.reject(new Error('not noted')))).rejects.toThrow('not noted')
      expect(server.read('kept.json').toString()).toBe('old')
      expect(server.list().filter((name) => name.includes('.kept'))).toEqual([])
      await folder.write('kept.json', [])
      expect(server.read('kept.json').length).toBe(0)
    })

    test('makes folders once and moves files into them, never over another one', async () => {
      server.put('moved.csv', 'new')
      server.put('done/2026/taken.csv', 'there')
      const folder = await connected(options())
      await folder.makeFolder(`${server.folder}/done/2026/05`)
      await folder.makeFolder('done/2026/05')
      await folder.rename('moved.csv', 'done/2026/05/moved.csv')
      expect(server.list('done/2026/05')).toEqual(['moved.csv'])
      expect(await faultOf(folder.rename('done/2026/05/moved.csv', 'done/2026/taken.csv'))).toMatchObject({ code: 'feed.name_taken' })
      expect(server.read('done/2026/taken.csv').toString()).toBe('there')
    })
  })

  describe('whom it lets in', () => {
    test('refuses another key by telling who was refused', async () => {
      const other = newSshKey().private
      expect(await faultOf(connected(options({ login: { key: other } })))).toMatchObject({ code: 'feed.login_refused', detail: { username: server.username } })
      expect(await faultOf(connected(options({ login: { password: 'no' } })))).toMatchObject({ code: 'feed.login_refused' })
    })

    test('a key that cannot be read is told without a word of it', async () => {
      const locked = newSshKey({ passphrase: 'open' }).private
      for (const login of [{ key: 'my seeded secret' }, { key: locked }, { key: locked, passphrase: 'wrong' }]) {
        const fault = await faultOf(connected(options({ login })))
        expect(fault.code).toBe('feed.key_unreadable')
        expect(JSON.stringify([fault.message, fault.hint, fault.detail])).not.toContain('seeded')
      }
      // Read with its passphrase, it is merely the wrong one.
      expect(await faultOf(connected(options({ login: { key: locked, passphrase: 'open' } })))).toMatchObject({ code: 'feed.login_refused' })
    })

    test('a changed host key ends it before anything of the login was sent', async () => {
      const pinned = server.hostKey
      await server.restart({ newHostKey: true })
      const before = server.log().length
      expect(await faultOf(connected(options({ hostKey: pinned })))).toMatchObject({ code: 'feed.host_key_changed', detail: { pinned, shown: server.hostKey } })
      expect(server.log().slice(before)).not.toMatch(/Accepted|Failed|userauth/i)
      expect(await fetchHostKey({ host: server.host, port: server.port })).toBe(server.hostKey)
      const folder = await connected(options())
      expect(await folder.stat('none')).toBeNull()
    })
  })

  describe('behind a line that fails', () => {
    const content = randomBytes(8_000_000)
    beforeAll(() => server.put('failing.bin', content))
    /** What reading ends with when `failure` comes after the first piece. */
    const readThrough = async (failure: () => void, more: Partial<ServerOptions> = {}) => {
      const folder = await connected(options(more))
      let bytes = 0
      const fault = await faultOf((async () => {
        for await (const part of folder.read('failing.bin')) {
          if (bytes === 0) failure()
          bytes += part.length
        }
      })())
      expect(bytes).toBeLessThan(content.length)
      // Whoever asks later is told at once.
      expect((await faultOf(folder.list('.'))).code).toBe(fault.code)
      return fault.code
    }

    test.each(['reset', 'end'] as const)('tells at once of a line that is cut (%s)', async (how) => {
      expect(await readThrough(() => proxy.cutAfter(1_000_000, how))).toBe('feed.lost')
    })

    test('ends a connection that falls silent, by its own deadline', async () => {
      expect(await readThrough(() => proxy.hang(), { silenceMs: 200 })).toBe('feed.silent')
      expect(proxy.made()).toBeGreaterThan(0)
    })

    test('ends one whose other side is gone without a word', async () => {
      expect(await readThrough(() => proxy.halfOpen(), { silenceMs: 200 })).toBe('feed.silent')
    })

    test('is told when the server itself is killed', async () => {
      try {
        expect(await readThrough(() => void server.stop())).toBe('feed.lost')
      } finally {
        await server.restart()
      }
    })

    test('ends where it is told to', async () => {
      const stopping = new AbortController()
      expect(await readThrough(() => stopping.abort(), { signal: stopping.signal })).toBe('feed.stopped')
      expect(await faultOf(connected(options({ signal: stopping.signal })))).toMatchObject({ code: 'feed.stopped' })
    })

    test('goes on for as long as bytes come, however slowly', async () => {
      server.put('slow.bin', content.subarray(0, 150_000))
      const silenceMs = 600
      const folder = await connected(options({ silenceMs }))
      proxy.slow(150_000)
      const began = performance.now()
      expect((await collect(folder.read('slow.bin'))).length).toBe(150_000)
      expect(performance.now() - began).toBeGreaterThan(silenceMs)
    })

    test('waits for a slow reader, who is not the silence of the server', async () => {
      const silenceMs = 300
      const folder = await connected(options({ silenceMs }))
      const began = performance.now()
      let bytes = 0
      for await (const part of folder.read('failing.bin')) {
        // The other side has said all it was asked for; only another connection's answers come meanwhile.
        while (performance.now() - began < 2 * silenceMs) await fetchHostKey({ host: server.host, port: server.port })
        bytes += part.length
      }
      expect(bytes).toBe(content.length)
    })

    test('tells a port that nobody answers from one that takes the connection and says nothing', async () => {
      proxy.hang()
      expect(await faultOf(connected(options({ connectMs: 200 })))).toMatchObject({ code: 'feed.silent' })
      expect(await faultOf(fetchHostKey({ host: server.host, port: proxy.port, connectMs: 200 }))).toMatchObject({ code: 'feed.silent' })
      const gone = await startTcpProxy(server)
      await gone.close()
      expect(await faultOf(connected(options({ port: gone.port })))).toMatchObject({ code: 'feed.unreachable', detail: { reason: 'ECONNREFUSED' } })
      expect(await faultOf(connected(options({ host: 'feeds.invalid', connectMs: 2000 })))).toMatchObject({ code: 'feed.unreachable' })
    })

    test('leaves no connection behind, whatever happened to it', async () => {
      const folder = await connected(options())
      expect(proxy.connections()).toBeGreaterThan(0)
      await folder.close()
      await faultOf(connected(options({ hostKey: 'SHA256:other' })))
      await faultOf(connected(options({ login: { password: 'no' } })))
      await expect.poll(() => proxy.connections()).toBe(0)
    })
  })
})

describe('a server unlike OpenSSH', () => {
  let server: ScriptedServer | undefined
  const start = async (script: SftpScript): Promise<ServerOptions> => {
    server = await startSftpScript(script)
    return { host: server.host, port: server.port, username: server.username, login: { password: 'secret' }, hostKey: server.hostKeys[0]!, silenceMs: 400 }
  }
  afterEach(async () => {
    for (const folder of open) await folder.close()
    open.clear()
    await server?.close()
    server = undefined
  })

  test.each([false, true])('lets in by password (asked for it: %s) and refuses a wrong one', async (asks) => {
    const options = await start({ asks, files: { 'a.csv': Buffer.from('a') } })
    const folder = await connected(options)
    expect((await collect(folder.read('a.csv'))).toString()).toBe('a')
    expect(await faultOf(connected({ ...options, login: { password: 'other' } }))).toMatchObject({ code: 'feed.login_refused' })
  })

  test('is known by any of its host keys, whichever it shows first', async () => {
    const options = await start({ hostKeys: ['ed25519', 'rsa'], files: { 'a.csv': Buffer.from('a') } })
    for (const hostKey of server!.hostKeys) expect(await (await connected({ ...options, hostKey })).stat('a.csv')).not.toBeNull()
    expect(server!.tried).toHaveLength(4)
    expect(await faultOf(connected({ ...options, hostKey: 'SHA256:other' }))).toMatchObject({ code: 'feed.host_key_changed' })
    expect(server!.tried).toHaveLength(4)
  })

  test.each(['breaks off', 'falls silent'])('that shows another key is told of though it %s when it is asked for the pinned one', async (how) => {
    const options = await start({})
    let connections = 0
    const gate = createServer((client) => {
      client.on('error', () => undefined)
      if (++connections > 1) return how === 'breaks off' ? void client.destroy() : undefined
      const behind = connect(options.port, options.host)
      behind.on('error', () => undefined)
      client.pipe(behind).pipe(client)
    })
    gate.listen(0, '127.0.0.1')
    await once(gate, 'listening')
    try {
      const began = performance.now()
      expect(await faultOf(connected({ ...options, port: (gate.address() as AddressInfo).port, hostKey: 'SHA256:other', connectMs: 500 }))).toMatchObject({ code: 'feed.host_key_changed', detail: { pinned: 'SHA256:other' } })
      expect(connections).toBeGreaterThan(1)
      expect(performance.now() - began, 'not once more for each type of key').toBeLessThan(1_200)
    } finally {
      gate.close()
    }
  })

  test('may say of its files that they are files in no way, or only in the line that ls would show', async () => {
    const entries = [['a.csv', 'a.csv'], ['b.csv', '-rw-r--r-- 1 0 0 1 Jan 1 2026 b.csv'], ['dropped.csv', 'dropped.csv'], ['c', 'drwxr-xr-x 1 0 0 1 Jan 1 2026 c'], ['d', 'lrwxrwxrwx 1 0 0 1 Jan 1 2026 d']]
    const folder = await connected(await start({ mode: 0o644, files: { 'a.csv': Buffer.from('a') }, onList: (answer) => (answer === 0 ? entries.map(([name, line]) => ({ name: name!, line: line!, mode: 0o644 })) : undefined) }))
    expect((await folder.list('.')).map(({ name }) => name)).toEqual(['a.csv', 'b.csv', 'dropped.csv'])
    expect(await folder.stat('a.csv')).toMatchObject({ bytes: 1 })
  })

  test.each([['full', 4_000], ['empty', 0]])('is left when its list, in %s answers, does not end', async (_, size) => {
    const entries = Array.from({ length: size }, (_entry, index) => ({ name: `${index}`, line: '', mode: 0o100644 }))
    const folder = await connected(await start({ onList: () => entries }))
    expect(await faultOf(folder.list('.'))).toMatchObject({ code: 'feed.folder_too_large' })
  })

  test('says when there is no SFTP for the user', async () => {
    expect(await faultOf(connected(await start({ noSftp: true })))).toMatchObject({ code: 'feed.no_sftp' })
  })

  const content = randomBytes(200_000)

  test('may answer with less than was asked for', async () => {
    const folder = await connected(await start({ files: { 'a.bin': content }, onRead: (_path, offset) => content.subarray(offset, offset + 7000) }))
    expect((await collect(folder.read('a.bin'))).equals(content)).toBe(true)
  })

  test('is not believed when it ends a file early', async () => {
    const folder = await connected(await start({ files: { 'a.bin': content }, onRead: (_path, offset) => (offset >= 100_000 ? 'end' : undefined) }))
    expect(await faultOf(collect(folder.read('a.bin')))).toMatchObject({ code: 'feed.cut_short_transfer' })
  })

  test('is not believed when a file has more than it said', async () => {
    const folder = await connected(await start({ files: { 'a.bin': content }, onRead: (_path, offset, length) => (offset >= content.length ? Buffer.alloc(length) : undefined) }))
    expect(await faultOf(collect(folder.read('a.bin')))).toMatchObject({ code: 'feed.changed_during_fetch' })
  })

  test('is left when an answer never comes, though the connection lives', async () => {
    const folder = await connected(await start({ files: { 'a.bin': content }, onRead: (_path, offset) => (offset >= 100_000 ? 'silence' : undefined) }))
    expect(await faultOf(collect(folder.read('a.bin')))).toMatchObject({ code: 'feed.silent' })
  })
})
