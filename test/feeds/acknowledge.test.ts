import { describe, expect, test } from 'vitest'
import { acknowledgementName, acknowledgementText, answerTo, archiveNames, errorsName, pathIn, type Acknowledgement } from '../../src/feeds/acknowledge.ts'
import { explainProblem, problem, problemOf, timesInARow } from '../../src/feeds/problems.ts'

const AT = new Date('2026-12-01T06:30:00.123Z')

test('answers lie beside their file, under its name', () => {
  expect(acknowledgementName('people.csv')).toBe('people.csv.ack.json')
  expect(errorsName('people.csv', 'csv')).toBe('people.csv.errors.csv')
  expect(errorsName('people.xlsx', 'xlsx')).toBe('people.xlsx.errors.xlsx')
})

test.each([
  ['people.csv.ack.json', 'people.csv', false], ['people.csv.errors.csv', 'people.csv', true], ['people.csv.errors.xlsx', 'people.csv', true],
  ['.people.csv.ack.json.tmp', 'people.csv', false], ['.people.csv.errors.csv.tmp', 'people.csv', false],
  ['people.csv.errors.csv.errors.csv', 'people.csv.errors.csv', true], ['people.csv.errors.csv.ack.json', 'people.csv.errors.csv', false],
])('%s answers to %s, by rows: %s', (name, file, rows) => {
  expect(answerTo(name, (each) => each === 'people.csv')).toEqual({ file, rows })
})

test.each(['people.csv', 'errors.csv', 'people.csv.errors.csv.mended', 'ack.json', 'other.csv.ack.json', 'people.errors.csv'])('%s answers to no file of the feed', (name) => {
  expect(answerTo(name, (each) => each === 'people.csv')).toBeNull()
})

test.each([
  ['.', 'people.csv'], ['', 'people.csv'], ['in', 'in/people.csv'], ['/srv/in/', '/srv/in/people.csv'], ['/', '/people.csv'],
])('in the folder %j a file is %s', (folder, path) => {
  expect(pathIn(folder, 'people.csv')).toBe(path)
})

test.each([
  ['people.csv', 'people.20261201T063000Z.csv', 'people.20261201T063000123Z.csv'],
  ['people.csv.pgp', 'people.20261201T063000Z.csv.pgp', 'people.20261201T063000123Z.csv.pgp'],
  ['people', 'people.20261201T063000Z', 'people.20261201T063000123Z'],
  ['.people', '.people.20261201T063000Z', '.people.20261201T063000123Z'],
])('in the archive %s keeps its name, or becomes %s, or %s, where that is taken', (name, second, third) => {
  expect(archiveNames(name, AT)).toEqual([name, second, third])
})

test('an acknowledgement is one JSON document', () => {
  const told: Acknowledgement = { feed: 'nightly', file: { name: 'people.csv', bytes: 3, sha256: null }, state: 'repeated', import: null, held: [], failure: explainProblem(problem('feed.repeated', { earlier: 'old.csv' })), errors: null, at: AT.toISOString() }
  expect(JSON.parse(acknowledgementText(told))).toEqual(told)
  expect(told.failure?.message).toBe('The file holds the same bytes as old.csv, which was taken in before.')
})

describe('a problem in words', () => {
  test('is that of the catalog where that knows it', () => {
    expect(explainProblem({ code: 'mapping.unknown', detail: { mapping: 'hr' } })).toEqual({ code: 'mapping.unknown', message: 'The organization has no mapping named hr.', hint: 'Save one with --save-mapping hr.' })
  })

  test('is what the server was told to have done', () => {
    const kept = problemOf({ code: 'feed.lost', message: 'It broke off.', hint: 'It is tried again.', detail: { host: 'sftp.acme.example' } }, 3)
    expect(explainProblem(kept)).toEqual({ code: 'feed.lost', message: 'It broke off.', hint: 'It is tried again.' })
    expect(timesInARow(kept)).toBe(3)
    expect(timesInARow(problem('feed.no_file'))).toBe(0)
    expect(timesInARow(null)).toBe(0)
  })
})
