/** Which files a feed takes and what becomes of them, against a real SSH server: its jobs in this process, without a queue. */
import { createHash } from 'node:crypto'
import * as openpgp from 'openpgp'
import { describe, expect, test } from 'vitest'
import { approveImport, rejectImport } from '../../src/jobs/decideImport.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { AUTHOR, NO_LIMITS, peopleOf, upTo, useFeeds, type FeedScene } from '../support/feedScene.ts'
import { skipWithout } from '../support/services.ts'

const LIMITED = { thresholds: { ...NO_LIMITS, deactivations: { people: 2, percent: null } } }

/** Somebody else than the author lets a held import go on. */
async function approve(scene: FeedScene, importId: string): Promise<void> {
  const chunks = await scene.tenant((tx) => approveImport(tx, importId, 'anders'))
  for (const chunk of chunks) await commitChunk({ database: scene.parts.database, queues: scene.parts.queues, failpoint: scene.parts.failpoint }, { organizationId: scene.organizationId, importId, chunk })
  await scene.work()
}

const states = async (scene: FeedScene): Promise<Record<string, string>> => Object.fromEntries((await scene.files()).map(({ name, state }) => [name, state]))
const openImport = async (scene: FeedScene): Promise<string> => (await scene.files()).find(({ state }) => state === 'held')!.importId!

describe.skipIf(skipWithout('sshd'))('a feed', () => {
  const feeds = useFeeds()

  test('takes the file, imports it, answers beside it, and archives it', async () => {
    const scene = await feeds.scene({ feed: { archive: 'archive/2026' } })
    const text = `${peopleOf(1, 2)}E3,Ana,Nguyen,ana3.acme.example\n`
    scene.put('people.csv', text)
    await scene.run()
    expect(await scene.runs()).toMatchObject([{ kind: 'manual', state: 'done', looks: 1, filesTaken: 1 }])
    const [file] = await scene.files()
    expect(file).toMatchObject({ name: 'people.csv', state: 'imported', acknowledged: 'imported', archived: true, settles: false })
    const report = await scene.people.report(file!.importId!)
    expect(report).toMatchObject({ state: 'committed', totals: { read: 3, created: 2, rejected: 1 } })
    expect(scene.answer('people.csv')).toEqual({
      feed: scene.feed.name, file: { name: 'people.csv', bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') }, state: 'imported',
      import: { id: file!.importId, state: 'committed', totals: report.totals, deactivated: 0, users: report.users, deliveries: report.deliveries, issueCount: report.issueCount },
      held: [], failure: null, errors: 'people.csv.errors.csv', at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    })
    expect(server(scene).list(scene.feed.name)).toEqual(['people.csv.ack.json', 'people.csv.errors.csv'])
    expect(server(scene).read('archive/2026/people.csv').toString()).toBe(text)
    expect(await scene.active()).toEqual(['E1', 'E2'])
    // Nothing is left to be done, and nothing is done again.
    await scene.run()
    expect(await scene.imports()).toHaveLength(1)
    expect((await scene.runs()).at(-1)).toMatchObject({ state: 'done', filesTaken: 0, problem: { code: 'feed.no_file' } })
  })

  test('takes no answer of its own, whatever its pattern says; the rejected rows come back mended, as they are', async () => {
    const scene = await feeds.scene({ feed: { pattern: '*', mode: 'changes', contract: { columns: 'any' } } })
    scene.put('people.csv', `${peopleOf(1)}E2,Ana,Nguyen,ana2.acme.example\nE3,Ana,,ana3@acme.example\n`)
    await scene.run()
    await scene.run()
    expect(await states(scene)).toEqual({ 'people.csv': 'imported' })
    const returned = server(scene).read(`${scene.feed.name}/people.csv.errors.csv`).toString()
    expect(returned.trimEnd().split('\r\n')).toHaveLength(1 + scene.answer('people.csv').import!.totals['rejected']!)
    scene.put('mended.csv', returned.replace('ana2.acme', 'ana2@acme').replace('Ana,,', 'Ana,Nguyen,'))
    await scene.run()
    expect(scene.answer('mended.csv')).toMatchObject({ state: 'imported', errors: null, import: { totals: { read: 2, created: 2, rejected: 0 } } })
    expect(await scene.active()).toEqual(['E1', 'E2', 'E3'])
  })

  test('of changes takes the rejected rows that were mended under the very name that they were returned under, and not as they were returned', async () => {
    // The pattern takes no name but one: what was returned of it comes back all the same.
    const scene = await feeds.scene({ feed: { pattern: 'people.csv', mode: 'changes' } })
    scene.put('people.csv', `${peopleOf(1)}E2,Ana,Nguyen,ana2.acme.example\nE3,Ana,Nguyen,ana3.acme.example\n`)
    await scene.run()
    await scene.run()
    expect(await states(scene)).toEqual({ 'people.csv': 'imported' })
    const returned = (name: string): string => server(scene).read(`${scene.feed.name}/${name}`).toString()
    scene.put('people.csv.errors.csv', returned('people.csv.errors.csv').replace('ana2.acme', 'ana2@acme'), new Date(Date.now() + 10_000))
    await scene.run()
    expect(scene.answer('people.csv.errors.csv')).toMatchObject({ state: 'imported', errors: 'people.csv.errors.csv.errors.csv', import: { totals: { read: 2, created: 1, rejected: 1 } } })
    // What is still wrong is returned, mended and sent once more.
    await scene.run()
    scene.put('people.csv.errors.csv.errors.csv', returned('people.csv.errors.csv.errors.csv').replace('ana3.acme', 'ana3@acme'), new Date(Date.now() + 20_000))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people.csv': 'imported', 'people.csv.errors.csv': 'imported', 'people.csv.errors.csv.errors.csv': 'imported' })
    expect(await scene.active()).toEqual(['E1', 'E2', 'E3'])
  })

  test('of changes does not write over rows that were mended while their file was held', async () => {
    const scene = await feeds.scene({ feed: { mode: 'changes', thresholds: { ...NO_LIMITS, creations: { people: 1, percent: null } } } })
    scene.put('people.csv', `${peopleOf(1, 2)}E3,Ana,Nguyen,ana3.acme.example\n`)
    await scene.run()
    expect(scene.answer('people.csv')).toMatchObject({ state: 'held', errors: 'people.csv.errors.csv' })
    scene.put('people.csv.errors.csv', server(scene).read(`${scene.feed.name}/people.csv.errors.csv`).toString().replace('ana3.acme', 'ana3@acme'), new Date(Date.now() + 10_000))
    await approve(scene, await openImport(scene))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people.csv': 'imported', 'people.csv.errors.csv': 'imported' })
    expect(await scene.active()).toEqual(['E1', 'E2', 'E3'])
  })

  test('that is full takes no rows that were mended: they do not name everybody', async () => {
    const scene = await feeds.scene()
    scene.put('people.csv', `${peopleOf(1)}E2,Ana,Nguyen,ana2.acme.example\n`)
    await scene.run()
    scene.put('people.csv.errors.csv', server(scene).read(`${scene.feed.name}/people.csv.errors.csv`).toString().replace('ana2.acme', 'ana2@acme'), new Date(Date.now() + 10_000))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people.csv': 'imported' })
    expect(await scene.active()).toEqual(['E1'])
  })

  test('deactivates whom a full file no longer names, and says how many', async () => {
    const scene = await feeds.scene()
    scene.put('people-1.csv', peopleOf(...upTo(5)))
    await scene.run()
    scene.put('people-2.csv', peopleOf(1, 2, 3))
    await scene.run()
    expect(await scene.active()).toEqual(['E1', 'E2', 'E3'])
    expect(scene.answer('people-2.csv').import).toMatchObject({ deactivated: 2, totals: { read: 3, unchanged: 3 } })
  })

  test('that is held says so on the server, and once more when it was decided', async () => {
    const scene = await feeds.scene({ feed: { ...LIMITED, archive: 'held-archive' } })
    scene.put('people-1.csv', peopleOf(...upTo(6)))
    await scene.run()
    scene.put('people-2.csv', peopleOf(1, 2))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-1.csv': 'imported', 'people-2.csv': 'held' })
    expect(scene.answer('people-2.csv')).toMatchObject({ state: 'held', import: { state: 'held', deactivated: 4, totals: { read: 2 } }, held: [{ code: 'limit.deactivations', message: expect.stringContaining('4'), hint: expect.any(String) }], failure: null })
    expect(await scene.alerts()).toEqual(['held people-2.csv'])
    expect(server(scene).has(`${scene.feed.name}/people-2.csv`), 'it stays until it was decided').toBe(true)
    await approve(scene, await openImport(scene))
    expect(await states(scene)).toMatchObject({ 'people-2.csv': 'imported' })
    expect(scene.answer('people-2.csv')).toMatchObject({ state: 'imported', import: { state: 'committed', deactivated: 4 } })
    expect(server(scene).has('held-archive/people-2.csv')).toBe(true)
    expect(await scene.alerts()).toEqual([])
  })

  test('answers that a file was rejected, and takes the same one again when it is sent again', async () => {
    const scene = await feeds.scene({ feed: LIMITED })
    scene.put('people-1.csv', peopleOf(...upTo(6)))
    await scene.run()
    scene.put('people-2.csv', peopleOf(1, 2))
    await scene.run()
    await scene.tenant(async (tx) => rejectImport(tx, await openImport(scene), 'anders'))
    await scene.work()
    expect(scene.answer('people-2.csv')).toMatchObject({ state: 'rejected', import: { state: 'cancelled' }, failure: { code: 'import.rejected' } })
    expect(await scene.alerts()).toEqual([])
    scene.put('people-2.csv', peopleOf(1, 2))
    await scene.run()
    expect((await scene.files()).map(({ state }) => state)).toEqual(['imported', 'rejected', 'held'])
    expect(await scene.active()).toHaveLength(6)
  })

  test('gives a held full file up for a newer one', async () => {
    const scene = await feeds.scene({ feed: LIMITED })
    scene.put('people-1.csv', peopleOf(...upTo(6)))
    await scene.run()
    scene.put('people-2.csv', peopleOf(1))
    await scene.run()
    scene.put('people-3.csv', peopleOf(...upTo(5)))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-1.csv': 'imported', 'people-2.csv': 'superseded', 'people-3.csv': 'imported' })
    expect((await scene.imports()).map(({ state }) => state)).toEqual(['committed', 'cancelled', 'committed'])
    expect(scene.answer('people-2.csv')).toMatchObject({ state: 'superseded', failure: { message: expect.stringContaining('people-3.csv') } })
    expect(await scene.active()).toHaveLength(5)
    expect(await scene.alerts()).toEqual([])
  })

  test('takes the newest of several full files alone', async () => {
    const scene = await feeds.scene({ feed: { archive: 'several' } })
    scene.put('people-b.csv', peopleOf(1))
    scene.put('people-a.csv', peopleOf(1, 2))
    scene.put('people-c.csv', peopleOf(3), new Date(Date.UTC(2026, 0, 1)))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-b.csv': 'superseded', 'people-a.csv': 'imported', 'people-c.csv': 'superseded' })
    expect(await scene.imports()).toHaveLength(1)
    expect(server(scene).list('several')).toEqual(['people-a.csv', 'people-b.csv', 'people-c.csv'])
    expect(scene.answer('people-b.csv')).toMatchObject({ state: 'superseded', import: null, failure: { code: 'feed.newer_file' } })
  })

  test('32: holds an older full file that arrives late, and alerts of it', async () => {
    const scene = await feeds.scene({ organization: { administrators: ['anders'] } })
    scene.put('people-2.csv', peopleOf(1, 2, 3))
    await scene.run()
    scene.put('people-1.csv', peopleOf(1, 2, 4), new Date(Date.UTC(2026, 0, 1)))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-2.csv': 'imported', 'people-1.csv': 'held' })
    expect(scene.answer('people-1.csv').held).toMatchObject([{ code: 'feed.out_of_order' }])
    expect(await scene.alerts(), 'of one thing people are told once').toEqual(['outOfOrder people-1.csv'])
    expect(await scene.active()).toEqual(['E1', 'E2', 'E3'])
    // A second one that is older waits: it is no better than the one that is held.
    scene.put('people-0.csv', peopleOf(9), new Date(Date.UTC(2025, 0, 1)))
    await scene.run()
    expect(await states(scene)).toMatchObject({ 'people-0.csv': 'found', 'people-1.csv': 'held' })
    expect((await scene.runs()).at(-1)).toMatchObject({ state: 'due', problem: { code: 'feed.waits_for_decision' }, nextIn: null })
    expect(await scene.turn()).toEqual({ kind: 'done' })
    await scene.tenant(async (tx) => rejectImport(tx, await openImport(scene), 'anders'))
    await scene.work()
    expect(await states(scene)).toMatchObject({ 'people-0.csv': 'held', 'people-1.csv': 'rejected' })
    expect(await scene.alerts()).toEqual(['outOfOrder people-0.csv'])
    await scene.tenant(async (tx) => rejectImport(tx, await openImport(scene), 'anders'))
    expect(await scene.alerts()).toEqual([])
  })

  test('31: recognizes the same bytes under a new name, and does nothing', async () => {
    const scene = await feeds.scene({ feed: { archive: 'repeated' } })
    scene.put('people-1.csv', peopleOf(1, 2))
    await scene.run()
    scene.put('people-2.csv', peopleOf(1, 2))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-1.csv': 'imported', 'people-2.csv': 'repeated' })
    expect(await scene.imports()).toHaveLength(1)
    expect((await scene.runs()).at(-1)).toMatchObject({ state: 'done', filesTaken: 0 })
    expect(scene.answer('people-2.csv')).toMatchObject({ state: 'repeated', import: null, failure: { code: 'feed.repeated', message: expect.stringContaining('people-1.csv') } })
    expect(server(scene).has('repeated/people-2.csv')).toBe(true)
    expect(await scene.alerts()).toEqual(['repeated people-2.csv'])
    scene.put('people-3.csv', peopleOf(1, 2, 3))
    await scene.run()
    expect(await scene.alerts()).toEqual([])
  })

  test('of changes takes each file, the oldest first, one after the other', async () => {
    const scene = await feeds.scene({ feed: { mode: 'changes' } })
    const at = (minute: number): Date => new Date(Date.UTC(2026, 5, 1, 2, minute))
    scene.put('people-new.csv', peopleOf(3).replace('Nguyen', 'Third'), at(3))
    scene.put('people-old.csv', peopleOf(3).replace('Nguyen', 'First'), at(1))
    scene.put('people-mid.csv', peopleOf(3).replace('Nguyen', 'Second'), at(2))
    await scene.tell()
    await scene.turn()
    expect(await states(scene)).toEqual({ 'people-new.csv': 'found', 'people-old.csv': 'importing', 'people-mid.csv': 'found' })
    await scene.work()
    expect(await states(scene)).toEqual({ 'people-new.csv': 'imported', 'people-old.csv': 'imported', 'people-mid.csv': 'imported' })
    expect(await scene.sql('select last_name from contacts where organization_id = $1', [scene.organizationId])).toEqual([{ last_name: 'Third' }])
    expect(await scene.runs()).toMatchObject([{ state: 'done', filesTaken: 3 }])
  })

  test('of changes takes nothing further while a file is held', async () => {
    const scene = await feeds.scene({ feed: { mode: 'changes', thresholds: { ...NO_LIMITS, creations: { people: 2, percent: null } } } })
    scene.put('people-1.csv', peopleOf(1, 2, 3))
    scene.put('people-2.csv', peopleOf(4))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-1.csv': 'held', 'people-2.csv': 'found' })
    await approve(scene, await openImport(scene))
    expect(await states(scene)).toEqual({ 'people-1.csv': 'imported', 'people-2.csv': 'imported' })
    expect(await scene.active()).toHaveLength(4)
  })

  test.each([
    ['95 %', (text: string) => text.slice(0, text.length * 0.95), 'held'],
    ['50 %', (text: string) => text.slice(0, text.length * 0.5), 'held'],
    ['the header alone', (text: string) => text.slice(0, text.indexOf('\n') + 1), 'refused'],
    ['0 bytes', () => '', 'refused'],
  ])('33: deactivates nobody over a full file of which %s came', async (_, cut, state) => {
    // As a feed is declared that says nothing of limits, but for the first file.
    const scene = await feeds.scene({ feed: { thresholds: { creations: null } } })
    const whole = peopleOf(...upTo(100))
    scene.put('people-1.csv', whole)
    await scene.run()
    expect(await scene.active()).toHaveLength(100)
    scene.put('people-2.csv', cut(whole))
    await scene.run()
    expect(await states(scene)).toMatchObject({ 'people-2.csv': state })
    expect(await scene.active()).toHaveLength(100)
    expect(scene.answer('people-2.csv').state).toBe(state)
    expect(await scene.alerts()).toEqual([`${state === 'held' ? 'held' : 'failed'} people-2.csv`])
    // The whole file, sent anew, makes all well again.
    scene.put('people-3.csv', peopleOf(...upTo(99)))
    await scene.run()
    expect(await scene.active()).toHaveLength(99)
    expect(await scene.alerts()).toEqual([])
  })

  test('opens what was encrypted to it and signed by its sender, and refuses the rest', async () => {
    const [own, sender, stranger] = await Promise.all(['feed', 'sender', 'stranger'].map((name) => openpgp.generateKey({ type: 'curve25519', userIDs: [{ name }], format: 'armored' })))
    const message = async (text: string, by: typeof own): Promise<Uint8Array> =>
      (await openpgp.encrypt({
        message: await openpgp.createMessage({ binary: Buffer.from(text) }), encryptionKeys: await openpgp.readKey({ armoredKey: own!.publicKey }), signingKeys: await openpgp.readPrivateKey({ armoredKey: by!.privateKey }), format: 'binary',
      })) as Uint8Array
    const scene = await feeds.scene({ secrets: { 'pgp-key': own!.privateKey }, feed: { pattern: 'people*.pgp', pgp: { privateKey: 'pgp-key', senderKeys: [sender!.publicKey] } } })
    const bytes = await message(peopleOf(1, 2), sender)
    scene.put('people-1.csv.pgp', bytes)
    await scene.run()
    expect(await states(scene)).toEqual({ 'people-1.csv.pgp': 'imported' })
    expect(scene.answer('people-1.csv.pgp').file).toEqual({ name: 'people-1.csv.pgp', bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
    expect(await scene.people.report((await scene.imports())[0]!.id)).toMatchObject({ file: { bytes: peopleOf(1, 2).length, sha256: createHash('sha256').update(peopleOf(1, 2)).digest('hex') } })
    scene.put('people-2.csv.pgp', await message(peopleOf(3), stranger))
    scene.put('people-3.csv.pgp', peopleOf(4))
    await scene.run()
    expect(await states(scene)).toMatchObject({ 'people-2.csv.pgp': 'refused', 'people-3.csv.pgp': 'refused' })
    expect([scene.answer('people-2.csv.pgp'), scene.answer('people-3.csv.pgp')].map(({ failure }) => failure?.code)).toEqual(['pgp.bad_signature', 'pgp.not_encrypted'])
    expect(await scene.imports(), 'nothing of it is left').toHaveLength(1)
    expect(await scene.active()).toEqual(['E1', 'E2'])
    expect(await scene.alerts()).toEqual(['failed people-2.csv.pgp', 'failed people-3.csv.pgp'])
  })

  test('takes what was mended although its columns are fixed: the Errors column is ours', async () => {
    const scene = await feeds.scene({ feed: { mode: 'changes' } })
    scene.put('people.csv', `${peopleOf(1)}E2,Ana,Nguyen,ana2.acme.example\n`)
    await scene.run()
    scene.put('people-mended.csv', server(scene).read(`${scene.feed.name}/people.csv.errors.csv`).toString().replace('ana2.acme', 'ana2@acme'))
    await scene.run()
    expect(await states(scene)).toEqual({ 'people.csv': 'imported', 'people-mended.csv': 'imported' })
  })

  test('tells nobody who or what secret it was, and of each line which feed', async () => {
    const scene = await feeds.scene()
    scene.put('people-ana.csv', peopleOf(1))
    await scene.run()
    expect(scene.log.length).toBeGreaterThan(0)
    for (const line of scene.log) expect(JSON.parse(line)).toMatchObject({ organizationId: scene.organizationId, feedId: scene.feed.id, feed: scene.feed.name })
    for (const secret of ['acme.example', 'people-ana', 'PRIVATE KEY', 'feed-scene-secret', AUTHOR]) expect(scene.log.join('\n')).not.toContain(secret)
  })
})

const server = (scene: FeedScene) => scene.server
