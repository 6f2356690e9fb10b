import { parseSendAt } from './dates.ts'
import type { Report } from './problem.ts'

/** When what an import owes may go: held until released, at once, never, or not before an instant (ISO, UTC). */
export type DeliveryWish = { kind: 'held' } | { kind: 'now' } | { kind: 'none' } | { kind: 'at'; instant: string }

/**
 * Reads `--delivery none|now|DATE`; a date is a wall time in the organization's zone, as in `2026-12-01 08:00`.
 * @returns null after a problem was reported
 */
export function parseDeliveryWish(text: string, options: { zone: string; now: Temporal.Instant }, report: Report): DeliveryWish | null {
  if (text === 'none' || text === 'now') return { kind: text }
  if (text === 'held') return { kind: 'held' }
  const instant = parseSendAt(text, { ...options, format: null }, report)
  return instant === null ? null : { kind: 'at', instant }
}
