import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashRow, PackedRows, PackedWriter, RowTable, type KnownRow } from '../../src/importers/rowHashes.ts'

const hashOf = (cells: readonly (string | null)[]): [number, number] => {
  const into = { low: 0, high: 0 }
  hashRow(cells, into)
  return [into.low, into.high]
}
const rowOf = (cells: readonly (string | null)[], contactId: string, version = 1): KnownRow => {
  const [low, high] = hashOf(cells)
  return { low, high, contactId, version, usersVersion: 0 }
}

const packed = (rows: readonly KnownRow[]): PackedRows => {
  const writer = new PackedWriter()
  for (const row of rows) writer.add(row)
  return new PackedRows(writer.bytes())
}

describe('the hash of a row', () => {
  test('is the same for the same cells, an empty one and none counting alike', () => {
    expect(hashOf(['E1', null, 'Ana'])).toEqual(hashOf(['E1', '', 'Ana']))
  })

  test('tells rows apart of which one cell, its case, its blanks or its place differ', () => {
    const rows = [['E1', 'Ana', 'Lee'], ['E1', 'Ana', 'Lee '], ['E1', 'ana', 'Lee'], ['E1', 'AnaLee', ''], ['E1', '', 'AnaLee'], ['E1Ana', 'Lee'], ['E1', 'Lee', 'Ana'], ['E1', 'Ana', 'Lee', '']]
    expect(new Set(rows.map((cells) => hashOf(cells).join(' '))).size).toBe(rows.length)
  })

  test('is two words that both tell 300,000 similar rows apart as well as chance would', () => {
    const rows = 300_000
    const both = new Set<string>()
    const low = new Set<number>()
    const high = new Set<number>()
    for (let index = 0; index < rows; index++) {
      const [a, b] = hashOf([`E${index}`, 'Ana', 'Lee', `ana${index}@acme.example`, '6125550100'])
      both.add(`${a} ${b}`)
      low.add(a)
      high.add(b)
    }
    expect(both.size).toBe(rows)
    // By chance some 10 of them share one word with another.
    expect(rows - low.size).toBeLessThan(40)
    expect(rows - high.size).toBeLessThan(40)
  })
})

describe('packed rows', () => {
  test('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ low: fc.nat(0xffff_ffff), high: fc.nat(0xffff_ffff), contactId: fc.bigInt(1n, 10n ** 17n).map(String), version: fc.nat(1e9), usersVersion: fc.nat(0xffff_ffff) })), (rows) => {
        const found = packed(rows)
        expect(Array.from({ length: found.length }, (_, index) => ({ low: found.low(index), high: found.high(index), contactId: found.contactId(index), version: found.version(index), usersVersion: found.usersVersion(index) }))).toEqual(rows)
      }),
    )
  })

  test('are copied as they are, with new ones behind them', () => {
    const before = packed(['1', '2', '3'].map((id) => rowOf([id], id, 7)))
    const writer = new PackedWriter()
    for (const index of [0, 2]) writer.copy(before, index)
    writer.add(rowOf(['4'], '4'))
    const again = new PackedRows(writer.bytes())
    expect([0, 1, 2].map((index) => [again.contactId(index), again.version(index)])).toEqual([['1', 7], ['3', 7], ['4', 1]])
  })

  test('may be many', () => {
    const found = packed(Array.from({ length: 10_000 }, (_, index) => rowOf([`E${index}`], String(index + 1))))
    expect([found.length, found.contactId(0), found.contactId(4_095), found.contactId(4_096), found.contactId(9_999)]).toEqual([10_000, '1', '4096', '4097', '10000'])
  })
})

describe('the table of rows', () => {
  const lines = [['E1', 'Ana'], ['E2', 'Bo'], ['E2', 'Bo'], ['E3', 'Cy']]
  const tableOf = (): RowTable => new RowTable(packed(lines.map((cells, index) => rowOf(cells, String(index)))))

  test('gives each row once, however often it is asked for', () => {
    const table = tableOf()
    const [low, high] = hashOf(['E2', 'Bo'])
    expect([table.take(low, high), table.take(low, high), table.take(low, high)].toSorted()).toEqual([-1, 1, 2])
    expect([...table.takenRows()]).toEqual([1, 2])
  })

  test('gives no row that is withheld, nor one that is not there', () => {
    const table = tableOf()
    table.withhold(0)
    expect(table.take(...hashOf(['E1', 'Ana']))).toBe(-1)
    expect(table.take(...hashOf(['E9', 'Zoe']))).toBe(-1)
    expect([...table.takenRows()]).toEqual([])
  })
})
