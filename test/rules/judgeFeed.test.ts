import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { explainHold } from '../../src/rules/catalog.ts'
import { DEFAULT_LIMIT, LIMITED_CHANGES, type ChangeCounts, type FeedIntake, type Limit, type Thresholds } from '../../src/rules/feedPolicy.ts'
import { fitsAllowance, judge, limitOf, ofMendedRows, replay, type FileFacts } from '../../src/rules/judgeFeed.ts'

const UNLIMITED: Limit = { people: null, percent: null }
const all = (limit: Limit): Thresholds => ({ creations: limit, updates: limit, deactivations: limit, changedEmails: limit, reactivations: limit })
const counts = (some: Partial<ChangeCounts> = {}): ChangeCounts => ({ rows: 1000, population: 1000, creations: 0, updates: 0, deactivations: 0, changedEmails: 0, reactivations: 0, adoptions: 0, ...some })
const intake = (some: Partial<FeedIntake> = {}): FeedIntake => ({
  feedId: '1', fileId: '1', mode: 'full', scope: { kind: 'own' }, adopts: false, thresholds: all(DEFAULT_LIMIT), rows: { least: null, most: null, changePercent: null }, lastHeaders: null, lastRows: null,
  outOfOrder: null, holdHours: 72, ...some,
})
const WHOLE: FileFacts = { fileName: 'people.csv', cutShort: null, unsureRows: 0, adoptedBefore: false }
const codes = (changes: ChangeCounts, fed: FeedIntake, headers: string[] = [], facts: FileFacts = WHOLE): string[] => judge(changes, fed, headers, facts).map(({ code }) => code)

describe('the most that a file may change by itself', () => {
  test.each([
    ['the smaller of 5 % and 25 people', DEFAULT_LIMIT, [[0, 0], [10, 0], [20, 0], [21, 1], [40, 1], [41, 2], [399, 19], [400, 19], [401, 20], [499, 24], [500, 24], [501, 25], [10_000, 25], [1_000_000, 25]]],
    ['people alone', { people: 25, percent: null }, [[0, 25], [10, 25], [10_000, 25]]],
    ['a share alone', { people: null, percent: 5 }, [[0, 0], [400, 19], [10_000, 499]]],
    ['a share that binary cannot hold', { people: null, percent: 0.1 }, [[1000, 0], [3000, 2], [30_000, 29]]],
    ['nobody', { people: 0, percent: null }, [[10_000, 0]]],
    ['no share', { people: null, percent: 0 }, [[10_000, 0]]],
    ['less than all', { people: null, percent: 100 }, [[1, 0], [400, 399]]],
    ['no limit', UNLIMITED, [[0, null], [10_000, null]]],
  ] as [string, Limit, [number, number | null][]][])('%s', (_, limit, edges) => {
    expect(edges.map(([population]) => [population, limitOf(limit, population)])).toEqual(edges)
  })

  test.each([[0, 1], [10, 1], [400, 20], [500, 25], [10_000, 26]])('of %i people the first to be held are %i', (population, held) => {
    for (const change of LIMITED_CHANGES) {
      expect(codes(counts({ population, [change]: held - 1 }), intake())).toEqual([])
      expect(codes(counts({ population, [change]: held }), intake())).toEqual([`limit.${change}`])
    }
  })

  test('a file is never held for what it does not change, and never changes more than its limit unheld', () => {
    const limit = fc.record({ people: fc.option(fc.nat(60)), percent: fc.option(fc.nat(100)) })
    const some = fc.record({ population: fc.nat(2000), creations: fc.nat(80), updates: fc.nat(80), deactivations: fc.nat(80), changedEmails: fc.nat(80), reactivations: fc.nat(80) })
    fc.assert(
      fc.property(limit, some, (declared, changed) => {
        const { people, percent } = declared
        const held = LIMITED_CHANGES.filter((change) => {
          const count = changed[change]
          const first = change === 'creations' && changed.population === 0 && (people !== null || percent !== null)
          return count > 0 && (first || (people !== null && count > people) || (percent !== null && count * 100 >= percent * changed.population))
        })
        expect(codes(counts(changed), intake({ thresholds: all(declared) }))).toEqual(held.map((change) => `limit.${change}`))
      }),
    )
  })

  test('the first file of a feed is looked at, however many people one may bring, unless there is no limit', () => {
    const first = counts({ population: 0, creations: 1 })
    expect(codes(first, intake({ thresholds: all({ people: 1000, percent: null }) }))).toEqual(['limit.creations'])
    expect(codes(first, intake({ thresholds: all(UNLIMITED) }))).toEqual([])
    expect(codes(counts({ population: 0, updates: 20 }), intake({ thresholds: all({ people: 1000, percent: null }) }))).toEqual([])
  })
})

describe('the contract of a feed', () => {
  test.each([
    ['other headers', ['First Name', 'Mail'], ['missing are Last Name, Email', 'new are Mail']],
    ['one more', ['First Name', 'Last Name', 'Email', 'Phone'], ['missing are none', 'new are Phone']],
  ])('columns that drift are told: %s', (_, headers, told) => {
    const [reason] = judge(counts(), intake({ lastHeaders: ['First Name', 'Last Name', 'Email'] }), headers, WHOLE)
    for (const words of told) expect(explainHold(reason!).message).toContain(words)
  })

  test('columns in another order, case or spelling are the same ones, and any are where they are not looked at', () => {
    expect(codes(counts(), intake({ lastHeaders: ['First Name', 'Last Name', ''] }), ['last_name', ' FIRST NAME'])).toEqual([])
    expect(codes(counts(), intake({ lastHeaders: null }), ['anything'])).toEqual([])
  })

  test.each([
    [{ least: 100, most: null, changePercent: null }, [[99, 'at least 100'], [100, null]]],
    [{ least: null, most: 100, changePercent: null }, [[101, 'at most 100'], [100, null]]],
    [{ least: null, most: null, changePercent: 10 }, [[89, 'about as many as in the last file, 100'], [90, null], [110, null], [111, 'about as many as in the last file, 100']]],
    [{ least: 50, most: null, changePercent: 10 }, [[40, 'at least 50, about as many as in the last file, 100']]],
  ] as [FeedIntake['rows'], [number, string | null][]][])('rows are within %o', (rows, edges) => {
    for (const [read, told] of edges) {
      const reasons = judge(counts({ rows: read }), intake({ rows, lastRows: 100 }), [], WHOLE)
      expect(reasons.map((reason) => explainHold(reason).message)).toEqual(told === null ? [] : [`Rows in the file: ${read}. Expected are ${told}.`])
    }
  })

  test('a share of the last rows says nothing where there was no last file', () => {
    expect(codes(counts(), intake({ rows: { least: null, most: null, changePercent: 0 }, lastRows: null }))).toEqual([])
    expect(codes(counts(), intake({ rows: { least: null, most: null, changePercent: 0 }, lastRows: 0 }))).toEqual([])
  })

  test('a full file of blank rows is held though nothing is limited', () => {
    expect(codes(counts({ rows: 0, deactivations: 1000 }), intake({ thresholds: all(UNLIMITED) }))).toEqual(['contract.rows'])
    expect(codes(counts({ rows: 0 }), intake({ thresholds: all(UNLIMITED) }))).toEqual([])
  })

  test('rows of nobody hold a file only where somebody would leave', () => {
    expect(codes(counts(), intake(), [], { ...WHOLE, unsureRows: 3 })).toEqual([])
    expect(codes(counts({ deactivations: 1 }), intake(), [], { ...WHOLE, unsureRows: 3 })).toEqual(['leaving.unsure'])
  })

  test('the first file that makes people the feed’s own is looked at, whatever is unlimited', () => {
    expect(codes(counts({ adoptions: 1 }), intake({ thresholds: all(UNLIMITED) }))).toEqual(['feed.adopts'])
    expect(codes(counts({ adoptions: 1 }), intake(), [], { ...WHOLE, adoptedBefore: true })).toEqual([])
    expect(codes(counts(), intake())).toEqual([])
  })

  test('rows that were handed back are judged by what they change, and not as a whole file', () => {
    const agreed = intake({ lastHeaders: ['A'], lastRows: 1000, rows: { least: 10, most: null, changePercent: 5 }, outOfOrder: { newer: 'people-2.csv' } })
    expect(codes(counts({ rows: 1 }), ofMendedRows(agreed), ['B'])).toEqual([])
    expect(codes(counts({ rows: 1, updates: 99 }), ofMendedRows(agreed), ['B'])).toEqual(['limit.updates'])
  })

  test('all reasons are told at once, those of the file before those of its changes', () => {
    const everything = judge(
      counts({ rows: 1, creations: 99, updates: 99, deactivations: 99, changedEmails: 99, reactivations: 99, adoptions: 1 }),
      intake({ lastHeaders: ['A'], rows: { least: 10, most: null, changePercent: null }, outOfOrder: { newer: 'people-2.csv' } }),
      ['B'],
      { fileName: 'people-1.csv', cutShort: 7, unsureRows: 2, adoptedBefore: false },
    )
    expect(everything.map(({ code }) => code)).toEqual(['feed.cut_short', 'contract.columns', 'contract.rows', 'feed.out_of_order', 'leaving.unsure', 'feed.adopts', ...LIMITED_CHANGES.map((change) => `limit.${change}`)])
    for (const reason of everything) expect(explainHold(reason).message).toMatch(/^[^{}]+\.$/)
  })
})

describe('an exception for one file', () => {
  const reasons = judge(counts({ creations: 40, deactivations: 30 }), intake(), [], WHOLE)

  test.each([
    ['everything is in it', { creations: 40, deactivations: 30 }, true],
    ['one more than it allows', { creations: 40, deactivations: 29 }, false],
    ['a kind that it does not speak of', { creations: 1000 }, false],
  ])('%s', (_, limits, fits) => {
    expect(fitsAllowance(reasons, { limits })).toBe(fits)
  })

  test('covers limits and nothing that is wrong with the file', () => {
    const cut = judge(counts({ creations: 40 }), intake(), [], { ...WHOLE, cutShort: 9 })
    expect(fitsAllowance(cut, { limits: { creations: 1000 } })).toBe(false)
  })
})

test('a threshold is replayed over earlier runs', () => {
  const runs = [counts({ deactivations: 3 }), counts({ deactivations: 30, updates: 26 }), counts({ updates: 50 }), counts()]
  expect(replay(runs, all(DEFAULT_LIMIT))).toEqual({ runs: 4, held: 2, which: [{ run: 1, changes: ['updates', 'deactivations'] }, { run: 2, changes: ['updates'] }] })
  expect(replay(runs, all(UNLIMITED))).toEqual({ runs: 4, held: 0, which: [] })
  expect(replay([], all(DEFAULT_LIMIT))).toEqual({ runs: 0, held: 0, which: [] })
})
