const MINUTE = 60
const HOUR = 60 * MINUTE

/** Pauses after the first, second, … refusal, in seconds; 46 hours together (spec D8; RFC 5321 4.5.4.1 asks for days). */
const PAUSES = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, 10 * HOUR, 12 * HOUR]
const JITTER = 0.1

/** After so many attempts that count a delivery fails for good. */
export const MAX_ATTEMPTS = PAUSES.length + 1

/**
 * Seconds until the next attempt, a tenth more or less; null where there is none left.
 * @param attempts attempts that counted so far, from 1
 * @param chance from 0 up to 1
 */
export function backoffSeconds(attempts: number, chance: number): number | null {
  const pause = PAUSES[attempts - 1]
  return pause === undefined ? null : pause * (1 - JITTER + 2 * JITTER * chance)
}
