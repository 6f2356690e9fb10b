import type { Totals } from '../../importers/importReport.ts'
import { showCount, showNumber } from '../show.ts'

const KINDS = ['created', 'updated', 'unchanged', 'rejected', 'held', 'blank'] as const
type Kind = (typeof KINDS)[number]

/** Units of the bar's own width, and the least that a part which is there gets, so that it is seen. */
const WIDTH = 1_000
const LEAST = 8

export type TotalsView = {
  read: string
  /** What became of the rows, each kind with its number. */
  parts: { kind: Kind; name: string; count: string; none: boolean }[]
  /** Where each part stands in a bar of 1,000 units. */
  segments: { kind: Kind; x: number; width: number }[]
  /** The sum written out (spec B9). */
  sum: string
  /** False where the parts do not add up to the rows read: a fault of ours that has to be seen. */
  reconciles: boolean
}

/** Totals as a bar whose parts add up to the rows read; null before any row was. */
export function totalsView(totals: Totals): TotalsView | null {
  if (totals.read === 0) return null
  const parts = KINDS.map((kind) => ({ kind, name: kind === 'blank' ? 'blank, skipped' : kind, count: showNumber(totals[kind]), none: totals[kind] === 0 }))
  const there = KINDS.filter((kind) => totals[kind] > 0)
  const added = there.reduce((sum, kind) => sum + totals[kind], 0)
  return {
    read: showCount(totals.read, 'row'),
    parts,
    segments: segmentsOf(there.map((kind) => ({ kind, count: totals[kind] })), added),
    sum: `${showCount(totals.read, 'row')} read = ${there.map((kind) => `${showNumber(totals[kind])} ${kind}`).join(' + ') || '0'}`,
    reconciles: added === totals.read,
  }
}

/** One line of text for lists: what changed, and what did not go through. */
export function totalsLine(totals: Totals): string {
  const told = KINDS.filter((kind) => totals[kind] > 0 && kind !== 'blank').map((kind) => `${showNumber(totals[kind])} ${kind}`)
  return told.length === 0 ? showCount(totals.read, 'row') : told.join(', ')
}

function segmentsOf(kinds: readonly { kind: Kind; count: number }[], added: number): TotalsView['segments'] {
  const wanted = kinds.map(({ count }) => Math.max((count / added) * WIDTH, LEAST))
  const scale = WIDTH / wanted.reduce((sum, width) => sum + width, 0)
  let x = 0
  return kinds.map(({ kind }, index) => {
    const width = round(wanted[index]! * scale)
    const segment = { kind, x: round(x), width }
    x += wanted[index]! * scale
    return segment
  })
}

const round = (value: number): number => Math.round(value * 100) / 100
