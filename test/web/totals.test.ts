import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { totalsLine, totalsView } from '../../src/web/pages/totals.ts'

const count = fc.integer({ min: 0, max: 1_000_000 })
const parts = fc.record({ created: count, updated: count, unchanged: count, rejected: count, held: count, blank: count })

describe('the bar of an import', () => {
  test('is filled by its parts, and every part that is there is seen', () => {
    fc.assert(fc.property(parts, (counts) => {
      const read = Object.values(counts).reduce((sum, each) => sum + each, 0)
      const view = totalsView({ read, ...counts })
      if (read === 0) return expect(view).toBeNull()
      const { segments, reconciles } = view!
      expect(reconciles).toBe(true)
      expect(segments.map(({ kind }) => kind)).toEqual(Object.keys(counts).filter((kind) => counts[kind as keyof typeof counts] > 0))
      expect(segments.reduce((sum, { width }) => sum + width, 0)).toBeCloseTo(1_000, 0)
      for (const [index, { x, width }] of segments.entries()) {
        expect(width).toBeGreaterThan(6)
        expect(x).toBeCloseTo(index === 0 ? 0 : segments[index - 1]!.x + segments[index - 1]!.width, 1)
      }
    }))
  })

  test('writes the sum out', () => {
    const totals = { read: 1_210, created: 1_042, updated: 118, unchanged: 43, rejected: 4, held: 1, blank: 2 }
    expect(totalsView(totals)?.sum).toBe('1,210 rows read = 1,042 created + 118 updated + 43 unchanged + 4 rejected + 1 held + 2 blank')
    expect(totalsLine(totals)).toBe('1,042 created, 118 updated, 43 unchanged, 4 rejected, 1 held')
  })

  test('says where the parts do not add up', () => {
    expect(totalsView({ read: 10, created: 8, updated: 0, unchanged: 0, rejected: 1, held: 0, blank: 0 })?.reconciles).toBe(false)
  })
})
