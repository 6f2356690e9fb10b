import { distance } from 'fastest-levenshtein'

/** Beyond this many known values a hint is not worth its time. */
const MOST_VALUES = 5_000

/** Questions of one finder that are remembered. */
const MOST_ANSWERS = 1_000

/** Longer texts are no slips of the pen for a known value. */
const LONGEST = 200

const PLAIN = /^[!-~]+(?: [!-~]+)*$/

/**
 * What two catalog values have in common when they count as the same: compatibility forms made plain, invisible characters left out, spaces trimmed
 * and collapsed, lower case. Accents count: "Rene" and "René" may be two groups.
 */
export function catalogKey(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase()
  // Lower case is taken before and after: NFKC makes new capitals (℃), and lower case may part what NFKC joined (İ).
  return text.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}+/gu, '').toLowerCase().normalize('NFKC').replace(/[\s\p{Z}]+/gu, ' ').trim()
}

/** As catalogKey, without accents: for likeness only, never for sameness. */
const likenessKey = (text: string): string => (PLAIN.test(text) ? text.toLowerCase() : catalogKey(text).normalize('NFD').replace(/\p{M}+/gu, ''))

/** How many letters may differ between a text of this length and the value it was meant to be. */
export const slipsAllowed = (length: number): number => (length < 4 ? 0 : length < 6 ? 1 : length < 12 ? 2 : 3)

/** How many single letters have to be put in, left out or changed to make one text of the other; two swapped neighbors are one slip. */
export function slipsBetween(a: string, b: string): number {
  const slips = distance(a, b)
  return slips === 2 && isSwap(a, b) ? 1 : slips
}

function isSwap(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let at = 0
  while (a[at] === b[at]) at++
  return a[at] === b[at + 1] && a[at + 1] === b[at] && a.slice(at + 2) === b.slice(at + 2)
}

/**
 * Makes known values ready for hints (spec B6). The answer to a text is the known value, as it is written in the catalog,
 * that it was probably meant to be, or null where none is near: for hints only, nothing may be taken because of it.
 * Of equally near values the first is told. Answers are remembered, for a file tends to repeat its mistakes.
 */
export function nearestFinder(known: Iterable<string>): (text: string) => string | null {
  const values = [...known]
  if (values.length > MOST_VALUES) return () => null
  const keys = values.map(likenessKey)
  const answers = new Map<string, string | null>()
  return text => {
    const answered = answers.get(text)
    if (answered !== undefined) return answered
    const key = likenessKey(text)
    const at = key === '' || key.length > LONGEST ? -1 : nearestIndex(key, keys)
    const answer = values[at] ?? null
    if (answers.size < MOST_ANSWERS && text.length <= LONGEST) answers.set(text, answer)
    return answer
  }
}

/** The nearest of known values for a single question; see nearestFinder. */
export function nearestValue(text: string, known: Iterable<string>): string | null {
  return nearestFinder(known)(text)
}

function nearestIndex(key: string, keys: readonly string[]): number {
  let best = -1
  let fewest = slipsAllowed(key.length) + 1
  for (const [index, other] of keys.entries()) {
    if (other === key) return index
    if (Math.abs(other.length - key.length) >= fewest) continue
    const slips = slipsBetween(key, other)
    if (slips < fewest) {
      fewest = slips
      best = index
    }
  }
  return best < 0 ? onlyOneHolding(key, keys) : best
}

/** "Approver" for "Approver (EMEA)": the only value that holds the text, or is held in it, at a word's edge. */
function onlyOneHolding(key: string, keys: readonly string[]): number {
  const holds = (whole: string, part: string) => part.length >= 4 && (whole.startsWith(`${part} `) || whole.endsWith(` ${part}`))
  const first = keys.findIndex(other => holds(other, key) || holds(key, other))
  const last = keys.findLastIndex(other => holds(other, key) || holds(key, other))
  return first === last ? first : -1
}
