import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fileKey, markerOf, matchesPattern, olderMarker, readyFiles } from '../../src/feeds/readiness.ts'
import type { RemoteFile } from '../../src/feeds/server.ts'

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)
const file = (name: string, { bytes = 10, modifiedAt = at(0) }: Partial<RemoteFile> = {}): RemoteFile => ({ name, bytes, modifiedAt })
const names = ({ ready, waiting }: { ready: RemoteFile[]; waiting: RemoteFile[] }) => ({ ready: ready.map(({ name }) => name), waiting: waiting.map(({ name }) => name) })

describe('a pattern', () => {
  test.each([
    ['roster.csv', 'roster.csv', true], ['roster.csv', '*.csv', true], ['roster_2026-01-01.csv', 'roster_*.csv', true], ['roster_1.csv', 'roster_?.csv', true],
    ['roster_12.csv', 'roster_?.csv', false], ['Roster.csv', 'roster.csv', false], ['roster.csv.gz', '*.csv', false], ['rosterxcsv', 'roster.csv', false],
    ['a[1].csv', 'a[1].csv', true], ['a1.csv', 'a[1].csv', false], ['a+b(c).csv', 'a+b(c).csv', true], ['.csv', '*.csv', false], ['.hidden.csv', '*', false],
    ['.hidden.csv', '.*.csv', true], ['aXbXc', 'a*b*c', true], ['aXbXd', 'a*b*c', false], ['', '*', true], ['😀.csv', '?.csv', true], ['x.csv', '**.csv', true],
  ])('%s by %s: %s', (name, pattern, expected) => {
    expect(matchesPattern(name, pattern)).toBe(expected)
  })

  test('takes no long time however many asterisks it has', () => {
    const began = performance.now()
    expect(matchesPattern('a'.repeat(250), `${'a*'.repeat(99)}b`)).toBe(false)
    expect(performance.now() - began).toBeLessThan(200)
  })

  test('agrees with what a regular expression would say', () => {
    const letter = fc.constantFrom('a', 'b', '*', '?')
    fc.assert(fc.property(fc.array(fc.constantFrom('a', 'b'), { maxLength: 8 }), fc.array(letter, { maxLength: 6 }), (name, pattern) => {
      const expression = new RegExp(`^${pattern.map((each) => (each === '*' ? '.*' : each === '?' ? '.' : each)).join('')}$`)
      expect(matchesPattern(name.join(''), pattern.join(''))).toBe(expression.test(name.join('')))
    }))
  })
})

describe('a file is whole', () => {
  test('rename: when its name is not a temporary one', () => {
    const files = ['a.csv', 'b.csv.part', '.c.csv', 'd.tmp', 'e.filepart'].map((name) => file(name))
    expect(names(readyFiles(files, { kind: 'rename', temporary: ['.*', '*.tmp', '*.part', '*.filepart'] }, new Map(), at(0)))).toEqual({ ready: ['a.csv'], waiting: [] })
  })

  test('marker: when its marker lies beside it, which is no file of its own', () => {
    const files = [file('a.csv'), file('a.csv.done'), file('b.csv'), file('c.csv.done')]
    expect(names(readyFiles(files, { kind: 'marker', suffix: '.done', hash: false }, new Map(), at(0)))).toEqual({ ready: ['a.csv'], waiting: ['b.csv'] })
    expect(markerOf('a.csv', '.done')).toBe('a.csv.done')
  })

  test('marker: not when the marker is of the file that lay there before', () => {
    const rule = { kind: 'marker', suffix: '.done', hash: false } as const
    const files = [file('a.csv', { modifiedAt: at(100) }), file('a.csv.done', { modifiedAt: at(99) })]
    expect(names(readyFiles(files, rule, new Map(), at(200)))).toEqual({ ready: [], waiting: ['a.csv'] })
    expect(olderMarker(files[0]!, files, rule)).toBe('a.csv.done')
    expect([olderMarker(files[0]!, files.slice(0, 1), rule), olderMarker(files[0]!, files, { kind: 'stable', seconds: 60 })]).toEqual([null, null])
    files[1] = file('a.csv.done', { modifiedAt: at(100) })
    expect(names(readyFiles(files, rule, new Map(), at(200))).ready).toEqual(['a.csv'])
    expect(olderMarker(files[0]!, files, rule)).toBeNull()
  })

  test('stable: when size and time were the same as long ago as the rule says', () => {
    const rule = { kind: 'stable', seconds: 60 } as const
    const now = file('a.csv', { bytes: 20, modifiedAt: at(5) })
    const seen = (version: RemoteFile, seconds: number) => new Map([[fileKey(version), { seenAt: at(seconds) }]])
    const isReady = (known: Map<string, { seenAt: Date }>, seconds: number) => readyFiles([now], rule, known, at(seconds)).ready.length === 1
    expect(isReady(new Map(), 1000)).toBe(false)
    expect(isReady(seen(now, 100), 159)).toBe(false)
    expect(isReady(seen(now, 100), 160)).toBe(true)
    // It has grown since, or was written anew.
    expect(isReady(seen({ ...now, bytes: 19 }, 100), 1000)).toBe(false)
    expect(isReady(seen({ ...now, modifiedAt: at(4) }, 100), 1000)).toBe(false)
  })

  test('however small it is: an empty file is for the import to refuse', () => {
    expect(names(readyFiles([file('a.csv', { bytes: 0 })], { kind: 'rename', temporary: [] }, new Map(), at(0))).ready).toEqual(['a.csv'])
  })
})
