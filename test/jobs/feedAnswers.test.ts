/** What lies on a feed's server afterwards, and what it does when the server does not take it, against a real SSH server. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { pinHostKey } from '../../src/feeds/feeds.ts'
import { feedScene, peopleOf, useFeeds, type FeedScene } from '../support/feedScene.ts'
import { skipWithout } from '../support/services.ts'
import { startSshServer } from '../support/sshServer.ts'
import { startTcpProxy } from '../support/tcpProxy.ts'

const folderOf = (scene: FeedScene): string => join(scene.server.folder, scene.feed.name)

describe.skipIf(skipWithout('sshd'))('an answer', () => {
  const feeds = useFeeds()

  test('34: that the server refuses is tried again after pauses that grow, and the file is not imported again', async () => {
    const scene = await feeds.scene({ feed: { archive: 'refused' } })
    scene.put('people.csv', peopleOf(1))
    await scene.tell()
    await scene.turn()
    chmodSync(folderOf(scene), 0o555)
    await scene.work()
    expect(await scene.files()).toMatchObject([{ state: 'imported', acknowledged: null, archived: false, settles: true, attempts: 1 }])
    expect(await scene.alerts()).toEqual(['acknowledgement people.csv'])
    expect(await scene.people.contacts()).toHaveLength(1)
    const pauses: number[] = []
    for (let again = 0; again < 3; again++) {
      const [next] = await scene.sql<{ seconds: number }>('select extract(epoch from settle_at - now())::float8 as seconds from feed_files where feed_id = $1', [scene.feed.id])
      pauses.push(Math.round(next!.seconds / 60))
      await scene.pass(next!.seconds + 1)
      await scene.run()
    }
    expect(pauses).toEqual([1, 2, 4])
    expect(await scene.imports()).toHaveLength(1)
    expect(await scene.alerted('acknowledgement')).toBe(1)
    chmodSync(folderOf(scene), 0o755)
    await scene.pass(3_600)
    await scene.work()
    expect(await scene.files()).toMatchObject([{ state: 'imported', acknowledged: 'imported', archived: true, settles: false, attempts: 0 }])
    expect(scene.answer('people.csv').state).toBe('imported')
    expect(await scene.alerts()).toEqual([])
    expect(await scene.imports()).toHaveLength(1)
  })

  test('34: of a file that cannot be moved into the archive is written all the same', async () => {
    const scene = await feeds.scene({ feed: { archive: 'closed' } })
    scene.server.makeFolder('closed')
    chmodSync(join(scene.server.folder, 'closed'), 0o555)
    scene.put('people.csv', peopleOf(1))
    await scene.run()
    expect(await scene.files()).toMatchObject([{ state: 'imported', acknowledged: 'imported', archived: false, settles: true }])
    await scene.run()
    expect(await scene.imports()).toHaveLength(1)
    chmodSync(join(scene.server.folder, 'closed'), 0o755)
    await scene.pass(3_600)
    await scene.work()
    expect(scene.server.list('closed')).toEqual(['people.csv'])
    expect(scene.server.list(scene.feed.name)).toEqual(['people.csv.ack.json'])
  })

  test('leaves what lies in the archive under the same name, and keeps both', async () => {
    const scene = await feeds.scene({ feed: { archive: 'both' } })
    for (const numbers of [[1], [1, 2], [1, 2, 3]]) {
      scene.put('people.csv', peopleOf(...numbers))
      await scene.run()
    }
    const names = scene.server.list('both')
    expect(names).toHaveLength(3)
    expect(names).toContain('people.csv')
    for (const name of names.filter((kept) => kept !== 'people.csv')) expect(name).toMatch(/^people\.\d{8}T\d{6,9}Z\.csv$/)
  })

  test('does not move another file that came to lie under the name meanwhile', async () => {
    const scene = await feeds.scene({ feed: { archive: 'meanwhile' } })
    scene.put('people.csv', peopleOf(1))
    await scene.tell()
    await scene.turn()
    scene.put('people.csv', peopleOf(1, 2))
    await scene.work()
    expect(await scene.files()).toMatchObject([{ state: 'imported', settles: false }])
    expect(scene.server.has(`${scene.feed.name}/people.csv`)).toBe(true)
    await scene.run()
    expect(await scene.active()).toEqual(['E1', 'E2'])
    expect(scene.server.list('meanwhile')).toEqual(['people.csv'])
  })

  test('is not written where the feed does not ask for it', async () => {
    const scene = await feeds.scene({ feed: { acknowledge: false } })
    scene.put('people.csv', peopleOf(1))
    await scene.run()
    expect(await scene.files()).toMatchObject([{ state: 'imported', acknowledged: null, settles: false }])
    expect(scene.server.list(scene.feed.name)).toEqual(['people.csv'])
  })

  test('of a file that is refused says why', async () => {
    const scene = await feeds.scene()
    scene.put('people.csv', 'Colour,Shape\nred,round\n')
    await scene.run()
    const { state, failure, import: taken } = scene.answer('people.csv')
    expect({ state, code: failure?.code, taken: taken?.state }).toEqual({ state: 'refused', code: 'header.missing', taken: 'failed' })
    expect(failure!.message).toContain('First Name')
    expect(await scene.alerts()).toEqual(['failed people.csv'])
  })

  test('is not given to a server that shows another key; people are told of the key', async () => {
    const own = await startSshServer()
    try {
      const scene = await feedScene(feeds.database, own)
      scene.put('people.csv', peopleOf(1))
      await scene.tell()
      await scene.turn()
      await own.restart({ newHostKey: true })
      await scene.work()
      expect(await scene.files()).toMatchObject([{ state: 'imported', settles: true, attempts: 1 }])
      expect(await scene.alerts()).toEqual(['hostKey'])
      await scene.tenant((tx) => pinHostKey(tx, scene.feed.id, own.hostKey, 'olga'))
      await scene.pass(60)
      await scene.work()
      expect(scene.answer('people.csv').state).toBe('imported')
      expect(await scene.alerts()).toEqual([])
    } finally {
      await own.stop()
    }
  })

  test('waits while the server is away, and alerts of that only when it stays so', async () => {
    const proxy = await startTcpProxy({ port: feeds.server.port })
    try {
      const scene = await feeds.scene({ port: proxy.port })
      scene.put('people.csv', peopleOf(1))
      await scene.tell()
      await scene.turn()
      proxy.refuse()
      await scene.work()
      expect(await scene.files()).toMatchObject([{ state: 'imported', settles: true, attempts: 1 }])
      expect(await scene.alerts()).toEqual([])
      for (const attempts of [2, 3]) {
        await scene.pass(3_600)
        await scene.turn()
        expect(await scene.files()).toMatchObject([{ attempts }])
      }
      expect(await scene.alerts()).toEqual(['acknowledgement people.csv'])
      proxy.heal()
      await scene.pass(3_600)
      await scene.turn()
      expect(await scene.alerts()).toEqual([])
      expect(scene.answer('people.csv').state).toBe('imported')
    } finally {
      await proxy.close()
    }
  })
})
