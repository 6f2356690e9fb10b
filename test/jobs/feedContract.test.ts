/** When people are told of a feed, and that it is over (spec A7), against a real SSH server. Time passes by moving what is stored. */
import { createHash } from 'node:crypto'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import * as openpgp from 'openpgp'
import { describe, expect, test } from 'vitest'
import { pauseFeed, pinHostKey } from '../../src/feeds/feeds.ts'
import { storeSecret } from '../../src/feeds/secrets.ts'
import { peopleOf, useFeeds, type FeedScene } from '../support/feedScene.ts'
import { skipWithout } from '../support/services.ts'
import { startSshServer } from '../support/sshServer.ts'
import { startTcpProxy } from '../support/tcpProxy.ts'

const MINUTE = 60
const CONTRACT = { contract: { lateAfterMinutes: 30, missingAfterMinutes: 120 } }
/** As an operator would type it. */
const random = (count: number): Uint8Array => new Uint8Array(count).fill(7)

/** The latest run. */
const run = async (scene: FeedScene) => (await scene.runs()).at(-1)!

describe.skipIf(skipWithout('sshd'))('a feed that waits', () => {
  const feeds = useFeeds()

  test('looks every minute, alerts once that the file is late, once that it is missing, and clears both when one comes', async () => {
    const scene = await feeds.scene({ feed: CONTRACT })
    await scene.slot()
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'due', looks: 1, problem: { code: 'feed.no_file' } })
    expect((await run(scene)).nextIn).toBeGreaterThan(55)
    expect((await run(scene)).nextIn).toBeLessThanOrEqual(60)
    await scene.turn()
    expect((await run(scene)).looks, 'nothing is looked at before it is time').toBe(1)
    await scene.pass(29 * MINUTE + 30)
    await scene.turn()
    expect(await scene.alerts()).toEqual([])
    expect((await run(scene)).nextIn, 'the moment at which it is late is not slept through').toBeLessThanOrEqual(30)
    await scene.pass(MINUTE)
    await scene.turn()
    await scene.pass(MINUTE)
    await scene.turn()
    expect(await scene.alerts()).toEqual([expect.stringMatching(/^late 20/)])
    expect(await scene.alerted('late')).toBe(1)
    await scene.pass(90 * MINUTE)
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'missing', looks: 5, nextIn: null })
    expect((await scene.alerts()).map((alert) => alert.split(' ')[0])).toEqual(['late', 'missing'])
    expect(await scene.turn()).toEqual({ kind: 'done' })
    scene.put('people.csv', peopleOf(1))
    await scene.slot()
    await scene.work()
    expect(await run(scene)).toMatchObject({ state: 'done', filesTaken: 1 })
    expect(await scene.alerts()).toEqual([])
  })

  test('of an operator looks once, and is neither late nor missing', async () => {
    const scene = await feeds.scene({ feed: CONTRACT })
    await scene.run()
    expect(await run(scene)).toMatchObject({ kind: 'manual', state: 'done', looks: 1, filesTaken: 0, problem: { code: 'feed.no_file' } })
    expect(await scene.alerts()).toEqual([])
  })

  test('for a slot that passed while nobody was there says at once that its file is missing', async () => {
    const scene = await feeds.scene({ feed: CONTRACT })
    await scene.slot(600)
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'missing', looks: 1 })
    expect((await scene.alerts()).map((alert) => alert.split(' ')[0])).toEqual(['missing'])
  })

  test('29: takes a file only when its size and time were the same for as long as agreed', async () => {
    const scene = await feeds.scene({ feed: { readiness: { kind: 'stable', seconds: 20 } } })
    scene.put('people.csv', peopleOf(1))
    await scene.run()
    expect(await run(scene)).toMatchObject({ kind: 'manual', state: 'due', problem: { code: 'feed.not_whole', detail: { file: 'people.csv' } } })
    expect((await run(scene)).nextIn).toBeLessThanOrEqual(20)
    await scene.pass(15)
    // It grows: its time begins anew.
    scene.put('people.csv', peopleOf(1, 2))
    await scene.pass(6)
    await scene.work()
    expect(await scene.imports()).toEqual([])
    expect(await scene.files(), 'what it was before is forgotten').toHaveLength(1)
    await scene.pass(20)
    await scene.work()
    expect(await run(scene)).toMatchObject({ state: 'done', filesTaken: 1, looks: 3 })
    expect(await scene.active()).toEqual(['E1', 'E2'])
  })

  test('29: gives a file that came after its slot had passed the time to show that it is whole, and no more', async () => {
    const scene = await feeds.scene({ feed: { ...CONTRACT, readiness: { kind: 'stable', seconds: 60 } } })
    scene.put('people.csv', peopleOf(1))
    await scene.slot(600)
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'due' })
    expect(await scene.alerts()).toEqual([])
    for (const size of [2, 3, 4]) {
      await scene.pass(61)
      scene.put('people.csv', peopleOf(...Array.from({ length: size }, (_, index) => index)))
      await scene.turn()
    }
    expect(await run(scene)).toMatchObject({ state: 'missing' })
  })

  test('29: waits for the marker, and for what it says', async () => {
    const scene = await feeds.scene({ feed: { readiness: { kind: 'marker', suffix: '.sha256', hash: true }, archive: 'marked', ...CONTRACT } })
    scene.put('people.csv', peopleOf(1))
    await scene.slot()
    await scene.work()
    expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.not_whole' } })
    scene.put('people.csv.sha256', `${'0'.repeat(64)}  people.csv\n`)
    await scene.pass(60)
    await scene.work()
    expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.hash_differs', detail: { times: 1 } } })
    expect(await scene.imports(), 'nothing of it is left').toEqual([])
    expect(await scene.alerts(), 'the sender may be at it').toEqual([])
    for (let again = 0; again < 2; again++) {
      await scene.pass(60)
      await scene.work()
    }
    expect(await scene.alerts()).toEqual(['failed people.csv'])
    scene.put('people.csv.sha256', `${createHash('sha256').update(peopleOf(1)).digest('hex')}  people.csv\n`)
    await scene.pass(60)
    await scene.work()
    expect(await run(scene)).toMatchObject({ state: 'done', filesTaken: 1 })
    expect(scene.server.list('marked')).toEqual(['people.csv', 'people.csv.sha256'])
    expect(await scene.alerts()).toEqual([])
  })

  test('29: leaves alone what lies under a temporary name', async () => {
    const scene = await feeds.scene({ feed: { pattern: '*' } })
    for (const name of ['people.csv.part', '.people.csv', 'people.tmp']) scene.put(name, peopleOf(1))
    await scene.run()
    expect(await run(scene)).toMatchObject({ state: 'done', problem: { code: 'feed.no_file' } })
    scene.server.rename(`${scene.feed.name}/people.csv.part`, `${scene.feed.name}/people.csv`)
    await scene.run()
    expect(await scene.active()).toEqual(['E1'])
  })

  test('tries a server that cannot be reached again, alerts when it stays so, and clears it when it is back', async () => {
    const proxy = await startTcpProxy({ port: feeds.server.port })
    try {
      const scene = await feeds.scene({ port: proxy.port, feed: CONTRACT })
      proxy.refuse()
      scene.put('people.csv', peopleOf(1))
      await scene.slot()
      for (let look = 1; look <= 4; look++) {
        await scene.turn()
        const { state, looks, problem, nextIn } = await run(scene)
        expect({ state, looks, times: problem?.detail['times'] }).toEqual({ state: 'due', looks: look, times: look })
        expect(nextIn! > 100, 'it is tried less often after the third time').toBe(look > 3)
        expect(await scene.alerts()).toEqual(look < 3 ? [] : ['unreachable'])
        await scene.pass(look > 3 ? 300 : 60)
      }
      expect(await scene.alerted('unreachable')).toBe(1)
      proxy.heal()
      await scene.work()
      expect(await run(scene)).toMatchObject({ state: 'done', filesTaken: 1 })
      expect(await scene.alerts()).toEqual([])
      proxy.refuse()
      await scene.slot()
      await scene.turn()
      await scene.pass(120 * MINUTE)
      await scene.turn()
      expect(await run(scene)).toMatchObject({ state: 'failed', looks: 2 })
      expect(await scene.alerts(), 'whether the file is there nobody knows').toEqual(['unreachable'])
      await scene.run()
      expect(await run(scene), 'an operator is told at once').toMatchObject({ kind: 'manual', state: 'failed', looks: 1 })
    } finally {
      await proxy.close()
    }
  })

  test('tells of a line that breaks in each transfer once, and that it holds once a look has come to its end', async () => {
    const proxy = await startTcpProxy({ port: feeds.server.port })
    try {
      const scene = await feeds.scene({ port: proxy.port, feed: CONTRACT })
      scene.put('people.csv', peopleOf(...Array.from({ length: 7_000 }, (_, index) => index + 1)))
      await scene.slot()
      for (let look = 1; look <= 6; look++) {
        proxy.cutAfter(100_000)
        await scene.turn()
        expect(await run(scene)).toMatchObject({ state: 'due', looks: look, problem: { code: 'feed.lost' } })
        await scene.pass(301)
      }
      expect(await scene.alerts()).toEqual(['unreachable'])
      expect(await scene.alerted('unreachable')).toBe(1)
      proxy.heal()
      await scene.turn()
      expect(await scene.alerts()).toEqual([])
      expect(await scene.files()).toMatchObject([{ state: 'importing' }])
    } finally {
      await proxy.close()
    }
  })

  test('tells of a missing PGP key as what keeps the file away, and not as a login: once', async () => {
    const own = await openpgp.generateKey({ type: 'curve25519', userIDs: [{ name: 'feed' }], format: 'armored' })
    const scene = await feeds.scene({ secrets: { 'pgp-key': own.privateKey }, feed: { ...CONTRACT, pgp: { privateKey: 'pgp-key' } } })
    await scene.sql(`delete from feed_secrets where organization_id = $1 and name = 'pgp-key'`, [scene.organizationId])
    const message = await openpgp.encrypt({ message: await openpgp.createMessage({ binary: Buffer.from(peopleOf(1)) }), encryptionKeys: await openpgp.readKey({ armoredKey: own.publicKey }), format: 'binary' })
    scene.put('people.csv', message as Uint8Array)
    await scene.slot()
    for (let look = 0; look < 3; look++) {
      await scene.turn()
      expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.unknown_secret' } })
      expect(await scene.alerts()).toEqual(['failed people.csv'])
      await scene.pass(301)
    }
    expect([await scene.alerted('failed'), await scene.alerted('login')]).toEqual([1, 0])
    await scene.tenant((tx) => storeSecret(tx, { secret: scene.parts.keys.secret, random }, 'pgp-key', own.privateKey, 'olga'))
    await scene.work()
    expect(await scene.active()).toEqual(['E1'])
    expect(await scene.alerts()).toEqual([])
  })

  test('says of a file that is late that it is there and not whole, and of a marker that it is older', async () => {
    const scene = await feeds.scene({ feed: { readiness: { kind: 'marker' }, ...CONTRACT } })
    const late = async () => (await scene.sql<{ detail: object }>(`select detail from feed_alerts where feed_id = $1 and kind = 'late' order by id desc limit 1`, [scene.feed.id]))[0]?.detail
    scene.put('people.csv', peopleOf(1), new Date(Date.UTC(2026, 0, 2)))
    await scene.slot(31)
    await scene.pass(300)
    await scene.turn()
    expect(await late()).toEqual({ slot: expect.any(String), minutes: 30, file: 'people.csv' })
    scene.put('people.csv.done', '', new Date(Date.UTC(2026, 0, 1)))
    await scene.slot(40)
    await scene.pass(300)
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.marker_older', detail: { file: 'people.csv', marker: 'people.csv.done' } } })
    expect(await late()).toMatchObject({ file: 'people.csv', code: 'feed.marker_older', marker: 'people.csv.done' })
  })

  test('of a worker that was stopped for longer than its lease says nothing of what another one has found since', async () => {
    let stopped: FeedScene | null = null
    const scene = await feeds.scene({
      feed: CONTRACT,
      failpoint: async (name) => {
        if (name !== 'feed.looked' || stopped === null) return
        const late = stopped
        stopped = null
        late.put('people.csv', peopleOf(1))
        await late.pass(120)
        await late.work()
      },
    })
    stopped = scene
    await scene.slot(45)
    await scene.pass(300)
    expect(await scene.turn()).toEqual({ kind: 'cancel', reason: 'taken away' })
    expect(await run(scene)).toMatchObject({ state: 'done', filesTaken: 1 })
    expect([await scene.alerted('late'), await scene.alerted('missing')]).toEqual([0, 0])
  })

  test('takes nothing while its archive is the folder itself under another name', async () => {
    const scene = await feeds.scene({ feed: { ...CONTRACT, archive: 'alias' } })
    symlinkSync(scene.feed.name, join(scene.server.folder, 'alias'))
    scene.put('people.csv', peopleOf(1))
    await scene.slot()
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.archive_is_folder', detail: { folder: scene.feed.name, archive: 'alias' } } })
    expect(await scene.alerts()).toEqual(['failed'])
    expect(await scene.imports()).toEqual([])
    await scene.declare({ archive: 'apart' })
    await scene.pass(60)
    await scene.work()
    expect(scene.server.list('apart')).toEqual(['people.csv'])
    expect(await scene.alerts()).toEqual([])
  })

  test('28: refuses a server that shows another key, and does not run without a pinned one', async () => {
    const own = await startSshServer()
    try {
      const { host, port } = own
      const scene = await feeds.scene({ secrets: { 'other-key': own.privateKey }, feed: { ...CONTRACT, server: { host, port, username: own.username, login: { key: 'other-key' } } } })
      own.makeFolder(scene.feed.name)
      own.put(`${scene.feed.name}/people.csv`, peopleOf(1))
      await scene.slot()
      await scene.work()
      // What is pinned is the key of the other server.
      expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.host_key_changed', detail: { shown: own.hostKey, pinned: feeds.server.hostKey } } })
      expect(await scene.alerts()).toEqual(['hostKey'])
      expect(own.log()).not.toContain('Accepted')
      await scene.sql('update feeds set host_key = null where id = $1', [scene.feed.id])
      await scene.pass(60)
      await scene.work()
      expect(await run(scene)).toMatchObject({ state: 'failed', problem: { code: 'feed.not_trusted' } })
      await scene.tenant((tx) => pinHostKey(tx, scene.feed.id, own.hostKey, 'olga'))
      await scene.slot(1)
      await scene.work()
      expect(await run(scene)).toMatchObject({ state: 'done', filesTaken: 1 })
      expect(await scene.alerts()).toEqual([])
    } finally {
      await own.stop()
    }
  })

  test('alerts at once of a login that is refused, and of a secret that is not there', async () => {
    const scene = await feeds.scene({ feed: CONTRACT })
    const give = (name: string, value: string) => scene.tenant((tx) => storeSecret(tx, { secret: scene.parts.keys.secret, random }, name, value, 'olga'))
    await give('sftp-key', feeds.server.privateKey.replace(/[A-Za-z0-9+/]{10}(?=\n-----END)/, 'AAAAAAAAAA'))
    await scene.slot()
    await scene.turn()
    expect((await run(scene)).problem?.code).toMatch(/^feed\.(?:key_unreadable|login_refused)$/)
    expect(await scene.alerts()).toEqual(['login'])
    await scene.sql(`delete from feed_secrets where organization_id = $1`, [scene.organizationId])
    await scene.pass(60)
    await scene.turn()
    expect(await run(scene)).toMatchObject({ problem: { code: 'feed.unknown_secret', detail: { hint: expect.stringContaining('sftp-key') } } })
    await give('sftp-key', feeds.server.privateKey)
    await scene.pass(60)
    await scene.turn()
    expect(await scene.alerts()).toEqual([])
  })

  test('alerts of a folder that is not there, and clears it when it is', async () => {
    const scene = await feeds.scene({ feed: CONTRACT })
    scene.server.remove(scene.feed.name)
    await scene.slot()
    await scene.turn()
    expect(await run(scene)).toMatchObject({ state: 'due', problem: { code: 'feed.folder_missing' } })
    expect(await scene.alerts()).toEqual(['failed'])
    scene.server.makeFolder(scene.feed.name)
    await scene.pass(60)
    await scene.turn()
    expect(await scene.alerts()).toEqual([])
  })

  test('and is paused, looks for nothing but what an operator tells it to', async () => {
    const scene = await feeds.scene({ feed: CONTRACT })
    await scene.slot()
    await scene.turn()
    await scene.tenant((tx) => pauseFeed(tx, scene.feed.id, 'olga'))
    scene.put('people.csv', peopleOf(1))
    await scene.pass(60)
    await scene.work()
    expect(await run(scene)).toMatchObject({ state: 'failed', problem: { code: 'feed.paused' } })
    expect(await scene.alerts()).toEqual([])
    await scene.run()
    expect(await run(scene)).toMatchObject({ kind: 'manual', state: 'done', filesTaken: 1 })
  })
})
