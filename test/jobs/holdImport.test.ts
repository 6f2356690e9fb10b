/** When a feed's file is held as a whole, and that it then changes nothing (spec A6, A7, faults.md I4), through the real jobs. */
import { describe, expect, test } from 'vitest'
import { heldPeople } from '../../src/importers/heldPeople.ts'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { beginCommit } from '../../src/jobs/stageImport.ts'
import { sweepOnce } from '../../src/jobs/sweep.ts'
import { DEFAULT_LIMIT, LIMITED_CHANGES, type Allowance, type Limit, type Thresholds } from '../../src/rules/feedPolicy.ts'
import { useDatabase } from '../support/importing.ts'
import { feedScene, NO_LIMIT, people, UNLIMITED, upTo, type FeedScene } from './feedScene.ts'

const database = useDatabase()

const codes = (report: ImportReport): string[] => (report.feed?.hold ?? []).map(({ code }) => code)
const USUAL: Thresholds = Object.fromEntries(LIMITED_CHANGES.map((change) => [change, DEFAULT_LIMIT])) as Thresholds
/** Everything of the organization that a file could change. */
const standing = async (scene: FeedScene): Promise<unknown> => ({
  contacts: await scene.sql('select id, version, state, email, feed_id from contacts where organization_id = $1 order by id', [scene.organizationId]),
  users: await scene.sql('select id, version, state from users where organization_id = $1 order by id', [scene.organizationId]),
  mails: await scene.sql('select id, state from deliveries where organization_id = $1 and user_id is not null order by id', [scene.organizationId]),
})

describe('a full file that was cut short', () => {
  const whole = people(upTo(100))
  /** So much of the file, to the byte. */
  const cut = (share: number): string => whole.slice(0, Math.floor(whole.length * share))

  const CUTS: Record<string, [text: string, state: 'held' | 'failed']> = {
    '95 %': [cut(0.95), 'held'], 'half': [cut(0.5), 'held'], '95 rows of 100': [people(upTo(95)), 'held'], 'one row': [people([1]), 'held'], 'blank rows': [people([], ',,,', ',,,'), 'held'],
    'the last address': [whole.slice(0, -5), 'held'], 'the last newline': [whole.slice(0, -1), 'held'], 'the header': [people([]), 'failed'], 'nothing': ['', 'failed'],
  }
  test.each(Object.keys(CUTS))('deactivates nobody: %s', async (name) => {
    const [text, state] = CUTS[name]!
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { ...USUAL, creations: NO_LIMIT } })
    await feed.take(whole)
    const before = await standing(acme)

    const report = await feed.take(text)

    expect(report.state).toBe(state)
    expect(await standing(acme)).toEqual(before)
    if (state === 'held') expect(codes(report)).not.toEqual([])
    else expect(report.failure?.code).toBe('file.empty')
    // Nor later on, whoever looks after it.
    await sweepOnce({ database: database.current, queues: { wake: () => Promise.resolve() } })
    expect(await acme.tenant((tx) => beginCommit(tx, report.id))).toEqual([])
    expect(await standing(acme)).toEqual(before)
  })

  test('is told from one whose sender never closes the last line', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    expect((await feed.take(whole.slice(0, -1))).state).toBe('committed')
    expect((await feed.take(people(upTo(99)).slice(0, -1))).state).toBe('committed')
    expect((await feed.take(whole)).state).toBe('committed')
    expect(codes(await feed.take(people(upTo(99)).slice(0, -1)))).toEqual(['feed.cut_short'])
  })

  test('deactivates nobody though nothing is limited, where the cut shows', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(whole)
    const report = await feed.take(people(upTo(99), '100,Person'))
    expect(codes(report)).toEqual(['feed.cut_short'])
    expect(report.feed!.hold[0]!.message).toBe('The file ends in the middle of row 101: fields are missing there, or its line is not closed as it was in the last file.')
    expect(codes(await feed.take(people([], '', ',,,')))).toEqual(['contract.rows'])
    expect(await acme.active()).toHaveLength(100)
  })
})

describe('more changes than a file may make by itself', () => {
  const twenty = people(upTo(20))
  const limited = (change: keyof Thresholds, limit: Limit): Partial<Thresholds> => ({ [change]: limit })
  const moved = (count: number): string => people(upTo(20, count + 1), ...upTo(count).map((number) => `${number},Person,${named(number)},new${number}@acme.example`))
  const named = (number: number): string => [...String(number)].map((digit) => 'ABCDEFGHIJ'[Number(digit)]).join('')
  const renamed = (count: number): string => people(upTo(20, count + 1), ...upTo(count).map((number) => `${number},Renamed,${named(number)},p${number}@acme.example`))

  test.each([
    ['creations', (count: number) => people(upTo(20 + count))],
    ['updates', renamed],
    ['deactivations', (count: number) => people(upTo(20 - count))],
    ['changedEmails', moved],
  ] as const)('%s are held from the first one over the limit, with what it would change', async (change, file) => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { ...limited(change, { people: 3, percent: null }), creations: change === 'creations' ? { people: 3, percent: null } : NO_LIMIT } })
    await feed.take(twenty, { thresholds: UNLIMITED })
    const before = await standing(acme)

    const report = await feed.take(file(4))

    expect(codes(report)).toEqual([`limit.${change}`])
    expect(report.feed).toMatchObject({ changes: { [change]: 4, population: 20 }, decision: null, plan: expect.stringMatching(/^[0-9a-f]{64}$/) as string })
    expect(await standing(acme)).toEqual(before)
    expect((await feed.take(file(3))).state).toBe('committed')
  })

  test('reactivations are held apart', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { reactivations: { people: 1, percent: null } } })
    await feed.take(twenty)
    await feed.take(people(upTo(18)))
    expect(codes(await feed.take(twenty))).toEqual(['limit.reactivations'])
    expect((await feed.take(people(upTo(19)))).state).toBe('committed')
  })

  test.each([
    [10, 1, 'held'], [100, 4, 'committed'], [100, 5, 'held'], [400, 19, 'committed'], [400, 20, 'held'],
  ])('by default of %i people, %i who leave are %s', async (population, leave, state) => {
    const acme = await feedScene(database.current, { defaults: { delivery: 'none' } })
    const feed = await acme.feed({ thresholds: { ...USUAL, creations: NO_LIMIT } })
    await feed.take(people(upTo(population)))
    expect(await feed.take(people(upTo(population - leave)))).toMatchObject({ state, feed: { changes: { population, deactivations: leave } } })
  })

  test('the first file of a feed is looked at', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: USUAL })
    const report = await feed.take(people([1]))
    expect(codes(report)).toEqual(['limit.creations'])
    expect(await acme.contacts()).toEqual([])
  })

  test('one who gets two accounts is one person', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    const kinds = (...lines: string[]): string => ['External ID,First Name,Last Name,Email,Account Kind', ...lines].join('\n')
    expect(await feed.take(kinds('1,Ada,Li,a@acme.example,employee', '1,Ada,Li,a@acme.example,service representative'))).toMatchObject({ users: { created: 2 }, feed: { changes: { rows: 2, creations: 1, updates: 0 } } })
    expect(await feed.take(kinds('1,Ada,Lo,a@acme.example,employee', '1,Ada,Lo,a@acme.example,service representative'))).toMatchObject({ feed: { changes: { creations: 0, updates: 1 } } })
  })

  test('a first address is no changed one', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take('External ID,First Name,Last Name,Email,System User\n1,Ada,Li,,no\n2,Ben,Lo,b@acme.example,no\n')
    expect(await feed.take('External ID,First Name,Last Name,Email,System User\n1,Ada,Li,a@acme.example,no\n2,Ben,Lo,B@acme.example,no\n')).toMatchObject({ feed: { changes: { updates: 2, changedEmails: 0 } } })
    expect(await feed.take('External ID,First Name,Last Name,Email,System User\n1,Ada,Li,other@acme.example,no\n2,Ben,Lo,B@acme.example,no\n')).toMatchObject({ feed: { changes: { updates: 1, changedEmails: 1 } } })
  })
})

describe('the contract', () => {
  test('an older file that comes late, other columns and too few rows hold it, told all at once', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(people(upTo(3)))
    const alerts = () => acme.sql<{ kind: string }>('select kind from feed_alerts where organization_id = $1 order by id', [acme.organizationId])
    const report = await feed.take('External ID,First Name,Last Name\n1,Person,B\n', {
      lastHeaders: ['External ID', 'First Name', 'Last Name', 'Email'], rows: { least: 2, most: null, changePercent: null }, outOfOrder: { newer: 'people-2.csv' }, thresholds: { ...UNLIMITED, deactivations: { people: 1, percent: null } },
    })
    expect(codes(report)).toEqual(['contract.columns', 'contract.rows', 'feed.out_of_order', 'limit.deactivations'])
    expect(await alerts()).toEqual([{ kind: 'held' }])
    expect(report.feed!.hold.map(({ message }) => message)).toEqual([
      'The columns are not those of the last file: missing are Email, new are none.', 'Rows in the file: 1. Expected are at least 2.', 'The file people.csv is older than people-2.csv, which was taken in before it.',
      'People deactivated because the file does not name them: 2. By itself a file may deactivate at most 1 (active now: 3).',
    ])
  })
})

test('of a file that is held only for being older people are told that, once, and that it was decided', async () => {
  const acme = await feedScene(database.current)
  const feed = await acme.feed()
  await feed.take(people(upTo(3)))
  const report = await feed.take(people([1, 2]), { outOfOrder: { newer: 'people-2.csv' } })
  expect(codes(report)).toEqual(['feed.out_of_order'])
  const alerts = () => acme.sql('select kind, subject, state, import_id as import, detail from feed_alerts where organization_id = $1 order by id', [acme.organizationId])
  const raised = { kind: 'outOfOrder', subject: 'people.csv', import: report.id, detail: { file: 'people.csv', newer: 'people-2.csv', hours: 72 } }
  expect(await alerts()).toEqual([{ ...raised, state: 'raised' }])
  await acme.approve(report.id, 'eve')
  expect(await alerts()).toEqual([{ ...raised, state: 'cleared' }])
})

test('a file that was handed back and mended has the column of its errors more, and no other', async () => {
  const acme = await feedScene(database.current)
  const feed = await acme.feed()
  const lastHeaders = ['External ID', 'First Name', 'Last Name', 'Email']
  expect(codes(await feed.take('External ID,First Name,Last Name,Email,Errors\n1,Person,B,p1@acme.example,none\n', { lastHeaders }))).toEqual([])
  expect(codes(await feed.take('External ID,First Name,Last Name,Email,Error\n1,Person,B,p1@acme.example,none\n', { lastHeaders }))).toEqual(['contract.columns'])
})

test('mended rows of a full file are a part of it: nobody is missing from them, and they are not compared with a whole file', async () => {
  const acme = await feedScene(database.current)
  const feed = await acme.feed({ thresholds: { deactivations: { people: 0, percent: null } } })
  const agreed = { lastHeaders: ['External ID', 'First Name', 'Last Name', 'Email'], lastRows: 5, rows: { least: 3, most: null, changePercent: 10 }, outOfOrder: { newer: 'people-2.csv' } }
  await feed.take(people(upTo(4), '5,Person,F,nowhere'))

  const report = await feed.take('External ID,First Name,Last Name,Email,Errors\r\n5,Person,F,p5@acme.example,none', agreed)

  expect(report).toMatchObject({ state: 'committed', totals: { created: 1 }, deactivated: 0, feed: { hold: [], changes: { rows: 1, creations: 1, deactivations: 0 } } })
  expect(await acme.active()).toHaveLength(5)
  // Their last line tells nothing of how the sender ends whole files.
  expect(codes(await feed.take(people(upTo(5)).slice(0, -1)))).toEqual(['feed.cut_short'])
  // An Errors column that does not stand last is the sender's.
  expect(codes(await feed.take('External ID,First Name,Last Name,Errors,Email\n5,Person,F,none,p5@acme.example\n'))).toEqual(['limit.deactivations'])
})

describe('people whom a feed makes its own', () => {
  test('are named and counted, and the first file that does so is held', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7, 8, 9]))
    const feed = await acme.feed({ adopts: true })
    const report = await feed.take(people([7, 8]))
    expect(report).toMatchObject({ state: 'held', feed: { changes: { updates: 0, adoptions: 2 } } })
    expect(report.feed!.hold).toMatchObject([{ code: 'feed.adopts', message: "People whom the file would make the feed's own, though the feed did not bring them: 2. No file of the feed has done so before." }])
    expect((await acme.tenant((tx) => heldPeople(tx, report.id, 1))).adopted).toMatchObject({ count: 2, people: [{ name: 'Person H' }] })
    expect(await acme.sql('select distinct feed_id from contacts where organization_id = $1', [acme.organizationId])).toEqual([{ feed_id: null }])

    expect((await acme.approve(report.id, 'eve', report.feed!.plan!)).state).toBe('committed')

    // Somebody has seen by now that it does.
    expect(await feed.take(people([7, 8, 9]))).toMatchObject({ state: 'committed', feed: { changes: { adoptions: 1 } } })
    expect(await feed.take(people([7]))).toMatchObject({ state: 'committed', deactivated: 2 })
  })

  test('are those who were looked at, and nobody whom another feed has brought meanwhile', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7, 8]))
    const gone = await acme.feed()
    await gone.take(people([1]))
    const feed = await acme.feed({ adopts: true })
    const { id } = await feed.take(people([1, 7, 8]))
    const other = await acme.feed()
    await acme.sql(`update contacts set feed_id = $2 where organization_id = $1 and external_id = '8'`, [acme.organizationId, other.id])
    // Their feed is gone only now: nobody has seen that they would be adopted.
    await acme.sql('delete from feeds where id = $1', [gone.id])

    await acme.approve(id, 'eve')

    expect(await acme.sql('select external_id as id, feed_id as feed from contacts where organization_id = $1 order by external_id', [acme.organizationId])).toEqual([{ id: '1', feed: gone.id }, { id: '7', feed: feed.id }, { id: '8', feed: other.id }])
  })
})

describe('a held import', () => {
  const held = async (scene: FeedScene, allowance: Allowance | null = null): Promise<ImportReport> => {
    const feed = await scene.feed({ thresholds: { deactivations: { people: 0, percent: null } } })
    await feed.take(people([1, 2]))
    if (allowance) await scene.sql('update feeds set allowance = $2 where id = $1', [feed.id, allowance])
    return feed.take(people([1]))
  }

  test('tells the feed’s people and the operators, wakes the feed, and waits for so many hours', async () => {
    const acme = await feedScene(database.current, { operators: ['desk@acme.example'] })
    const report = await held(acme)
    expect(await acme.sql(`select kind, subject, state, import_id as import, detail from feed_alerts where organization_id = $1`, [acme.organizationId])).toEqual([
      { kind: 'held', subject: 'people.csv', state: 'raised', import: report.id, detail: { file: 'people.csv', hours: 72, reasons: expect.stringContaining('does not name them: 1.') as string } },
    ])
    expect(await acme.sql(`select purpose, recipient, state from deliveries where organization_id = $1 and import_id = $2 and user_id is null`, [acme.organizationId, report.id])).toEqual([{ purpose: 'operatorSummary', recipient: 'desk@acme.example', state: 'scheduled' }])
    const [row] = await acme.sql<{ hours: number; woken: boolean }>(`select (extract(epoch from i.hold_until - now()) / 3600)::float8 as hours, f.wake_at <= now() as woken from imports i join feeds f on f.id = i.feed_id where i.id = $1`, [report.id])
    expect(row!.hours).toBeCloseTo(72, 0)
    expect(row!.woken).toBe(true)
  })

  test('keeps its plan, and lists by name who would leave', async () => {
    const acme = await feedScene(database.current)
    const report = await held(acme)
    expect(report).toMatchObject({ deactivated: 1, totals: { unchanged: 1 } })
    expect(await acme.leaving(report.id)).toEqual(['Person C'])
    await sweepOnce({ database: database.current, queues: { wake: () => Promise.resolve() } })
    expect(await acme.leaving(report.id)).toEqual(['Person C'])
  })

  test('is held in a preview, too: no commit of a preview gets around a decision', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: USUAL })
    const text = people([1])
    await feed.take(text)
    const [{ options }] = (await acme.sql<{ options: { feed: never } }>('select options from imports where organization_id = $1', [acme.organizationId])) as [{ options: { feed: never } }]
    const report = await acme.preview(text, options)
    expect(report.state).toBe('held')
    expect((await acme.commit(report.id)).state).toBe('held')
  })

  const exception = (limits: Allowance['limits'], more: Partial<Allowance> = {}): Allowance => ({ limits, by: 'eve', until: null, ...more })

  test('goes on where an exception for one file covers it, which is used up by that', async () => {
    const acme = await feedScene(database.current)
    const report = await held(acme, exception({ deactivations: 1 }))
    expect(report).toMatchObject({ state: 'committed', deactivated: 1, feed: { decision: 'approved', decidedBy: 'eve', hold: [{ code: 'limit.deactivations' }] } })
    expect(await acme.sql('select allowance from feeds where organization_id = $1', [acme.organizationId])).toEqual([{ allowance: null }])
    expect(await acme.sql('select operator, action from audit_entries where organization_id = $1', [acme.organizationId])).toEqual([{ operator: 'eve', action: 'import.allow' }])
  })

  test.each([
    ['is too small', exception({ deactivations: 0 })],
    ['is over', exception({ deactivations: 9 }, { until: '2020-01-01T00:00:00Z' })],
    ['is of another kind', exception({ creations: 9 })],
    ['was made by whoever declared the feed', exception({ deactivations: 9 }, { by: 'ana' })],
  ])('stays held, and the exception there, where it %s', async (_, allowance) => {
    const acme = await feedScene(database.current)
    expect((await held(acme, allowance)).state).toBe('held')
    expect(await acme.sql('select allowance from feeds where organization_id = $1', [acme.organizationId])).toEqual([{ allowance }])
  })
})
