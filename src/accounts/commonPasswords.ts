import type { ZxcvbnFactory } from '@zxcvbn-ts/core'

/** Guesses that a password has to be good for, as a power of ten. */
const GUESSES = 10
/** So much of a password is looked at: what follows can only add to it, and the search grows faster than the text. */
const LOOKED_AT = 48

let estimator: Promise<ZxcvbnFactory> | undefined

/** The dictionaries take a tenth of a second and some 25 MB, once for a process that chooses passwords at all. */
async function load(): Promise<ZxcvbnFactory> {
  const [{ ZxcvbnFactory: Factory }, { dictionary, adjacencyGraphs }] = await Promise.all([import('@zxcvbn-ts/core'), import('@zxcvbn-ts/language-common')])
  return new Factory({ dictionary, graphs: adjacencyGraphs })
}

/**
 * Whether a password is one of those that are tried first (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 5.0, V6.2.4 and V6.2.12): among the
 * 50,000 most common ones, or so near to them, to words of this person, to dates, rows of keys or repetitions, that fewer than 10^10 guesses
 * lead to it. The throttles allow some thousand guesses a day at one account; the rest is for the day when hashes are stolen.
 * @param words of the person and the organization, which an attacker would try
 */
export async function isCommon(password: string, words: readonly string[]): Promise<boolean> {
  const { guessesLog10 } = (await (estimator ??= load())).check([...password].slice(0, LOOKED_AT).join(''), [...words])
  return guessesLog10 < GUESSES
}
