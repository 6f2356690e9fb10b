import type { ImportProgress } from '../../importers/importProgress.ts'
import { showCount, showDuration, showNumber } from '../show.ts'

const STEPS: Readonly<Record<ImportProgress['step'], string>> = {
  waiting: 'Waiting for a worker',
  checking: 'Checking rows',
  planning: 'Comparing with who is there',
  committing: 'Writing contacts and users',
}

export type ProgressView = {
  step: string
  /** "120,000 of 500,000 rows"; null before the first. */
  rows: string | null
  /** "45,000 rows a second" */
  rate: string | null
  /** "about 8 s left" */
  remaining: string | null
  elapsed: string
  /** Null where it is not known how far it goes. */
  value: string | null
  max: string | null
  percent: string | null
}

/** An import's progress with rate and remaining time (spec E2), as far as they can be told. */
export function progressView(progress: ImportProgress): ProgressView {
  const { step, rows, of, rate, remainingMs, elapsedMs } = progress
  const measured = step === 'committing' && of !== null && of > 0
  return {
    step: STEPS[step],
    rows: of !== null && step === 'committing' ? `${showNumber(rows)} of ${showCount(of, 'row')}` : rows > 0 ? showCount(rows, 'row') : null,
    rate: rate === null ? null : `${showNumber(Math.round(rate))} rows a second`,
    remaining: remainingMs === null ? null : `about ${showDuration(remainingMs)} left`,
    elapsed: showDuration(elapsedMs),
    value: measured ? String(rows) : null,
    max: measured ? String(of) : null,
    percent: measured ? `${Math.floor((100 * rows) / of)} %` : null,
  }
}
