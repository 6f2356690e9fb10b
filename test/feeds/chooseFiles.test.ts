import { describe, expect, test } from 'vitest'
import { chooseFile, newestFile, type Ordered } from '../../src/feeds/chooseFiles.ts'

const at = (name: string, second: number): Ordered => ({ name, modifiedAt: new Date(second * 1_000) })
const names = (files: readonly Ordered[]): string[] => files.map(({ name }) => name)
const FULL = { mode: 'full', order: 'modified' } as const
const CHANGES = { mode: 'changes', order: 'modified' } as const
const NOTHING_BEFORE = { last: null, importing: false, held: false }

describe('of full files', () => {
  test('the newest is taken, and the others are superseded', () => {
    const choice = chooseFile(FULL, [at('b', 2), at('c', 3), at('a', 1)], NOTHING_BEFORE)
    expect(choice).toMatchObject({ take: { name: 'c' }, outOfOrder: null, supersedesHeld: false, blocked: null })
    expect(names(choice.supersede)).toEqual(['a', 'b'])
  })

  test('one that is older than the last one taken is out of order where it comes alone, and superseded beside a newer one', () => {
    const before = { ...NOTHING_BEFORE, last: at('last', 5) }
    expect(chooseFile(FULL, [at('old', 4)], before)).toMatchObject({ take: { name: 'old' }, outOfOrder: { newer: 'last' } })
    const beside = chooseFile(FULL, [at('old', 4), at('new', 6)], before)
    expect(beside).toMatchObject({ take: { name: 'new' }, outOfOrder: null })
    expect(names(beside.supersede)).toEqual(['old'])
  })

  test('one written in the same second as the last one is not older', () => {
    expect(chooseFile(FULL, [at('a', 5)], { ...NOTHING_BEFORE, last: at('b', 5) })).toMatchObject({ take: { name: 'a' }, outOfOrder: null })
  })

  test('a newer one takes the place of one that is held; an older one waits', () => {
    const before = { last: at('held', 5), importing: false, held: true }
    expect(chooseFile(FULL, [at('new', 6)], before)).toMatchObject({ take: { name: 'new' }, supersedesHeld: true, blocked: null })
    expect(chooseFile(FULL, [at('old', 4)], before)).toMatchObject({ take: null, supersedesHeld: false, blocked: 'decision' })
  })

  test('none is taken while another one is imported', () => {
    expect(chooseFile(FULL, [at('new', 6)], { last: at('last', 5), importing: true, held: false })).toMatchObject({ take: null, supersede: [], blocked: 'import' })
  })

  test('may be ordered by their names', () => {
    const order = { mode: 'full', order: 'name' } as const
    expect(chooseFile(order, [at('people-0102', 1), at('people-0101', 9)], NOTHING_BEFORE).take).toMatchObject({ name: 'people-0102' })
    expect(chooseFile(order, [at('people-0101', 9)], { ...NOTHING_BEFORE, last: at('people-0102', 1) }).outOfOrder).toEqual({ newer: 'people-0102' })
    expect(chooseFile(order, [at('people', 9)], { ...NOTHING_BEFORE, last: at('people', 1) }).outOfOrder, 'one name, newer').toBeNull()
  })
})

describe('of changes', () => {
  test('the oldest is taken, and none is superseded', () => {
    expect(chooseFile(CHANGES, [at('b', 2), at('a', 1)], NOTHING_BEFORE)).toMatchObject({ take: { name: 'a' }, supersede: [], blocked: null })
  })

  test('none is taken while another one is imported, or held', () => {
    expect(chooseFile(CHANGES, [at('b', 2)], { last: at('a', 1), importing: true, held: false })).toMatchObject({ take: null, blocked: 'import' })
    expect(chooseFile(CHANGES, [at('b', 2)], { last: at('a', 1), importing: false, held: true })).toMatchObject({ take: null, blocked: 'decision' })
  })

  test('one that is older than the last one taken is out of order: it would undo what is newer', () => {
    expect(chooseFile(CHANGES, [at('a', 1)], { ...NOTHING_BEFORE, last: at('b', 2) })).toMatchObject({ take: { name: 'a' }, outOfOrder: { newer: 'b' } })
  })
})

test('where nothing is whole, nothing is done', () => {
  for (const feed of [FULL, CHANGES]) expect(chooseFile(feed, [], { last: at('a', 1), importing: true, held: true })).toMatchObject({ take: null, blocked: null })
})

test('the newest of two with one time is told by the name', () => {
  expect(newestFile('modified', [at('b', 1), at('c', 1), at('a', 1)])?.name).toBe('c')
  expect(newestFile('modified', [])).toBeNull()
})
