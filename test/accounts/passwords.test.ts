import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { generatePassword, hashPassword, PASSWORD_CHARACTERS, verifyPassword } from '../../src/accounts/passwords.ts'
import { WORDS } from '../../src/accounts/words.ts'
import { seededRandom } from '../support/seededRandom.ts'

/** Small, so that the tests are quick; the real cost is asserted once. */
const CHEAP = { memory: 64, passes: 1, parallelism: 1 }

/** Chi-square statistic of counts that should all be alike, as a number of standard deviations from what chance gives. */
function unevenness(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  const expected = total / counts.length
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  const freedom = counts.length - 1
  return (chi - freedom) / Math.sqrt(2 * freedom)
}

describe('random passwords', () => {
  test('have the length asked for, a capital, a small letter, a digit, and no character that looks like another', () => {
    const random = seededRandom(1)
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 128 }), (length) => {
        const password = generatePassword({ kind: 'random', length, mustChange: true }, random)
        expect(password).toHaveLength(length)
        expect(password).toMatch(/[A-Z]/)
        expect(password).toMatch(/[a-z]/)
        expect(password).toMatch(/[0-9]/)
        expect(password).not.toMatch(/[0Oo1lIi'"`.,;:|\s]/)
        expect([...password].every((character) => PASSWORD_CHARACTERS.includes(character))).toBe(true)
      }),
    )
  })

  test('draw every character equally often', () => {
    const random = seededRandom(2)
    const counts = new Map([...PASSWORD_CHARACTERS].map((character) => [character, 0]))
    // Long ones, so that hardly any is thrown away for lacking a kind.
    for (let made = 0; made < 2_000; made++) {
      for (const character of generatePassword({ kind: 'random', length: 128, mustChange: true }, random)) counts.set(character, counts.get(character)! + 1)
    }
    expect(counts.size).toBe(PASSWORD_CHARACTERS.length)
    expect(unevenness([...counts.values()])).toBeLessThan(4)
  })

  test('would show a bias if there were one', () => {
    const random = seededRandom(2)
    const counts = Array.from({ length: PASSWORD_CHARACTERS.length }, () => 0)
    for (let made = 0; made < 256_000; made++) counts[random(1)[0]! % counts.length]!++
    expect(unevenness(counts)).toBeGreaterThan(4)
  })

  test('throw bytes away that would favour some characters', () => {
    const limit = PASSWORD_CHARACTERS.length
    const unfair = 65_536 - (65_536 % limit)
    let asked = 0
    const random = () => {
      asked++
      // Nothing but unfair values at first, then a fixed password with all kinds.
      return asked === 1 ? Uint8Array.from({ length: 64 }, (_, index) => (index % 2 === 0 ? unfair >> 8 : 255)) : Uint8Array.from({ length: 64 }, (_, index) => (index % 2 === 0 ? 0 : index * 3))
    }
    expect(generatePassword({ kind: 'random', length: 10, mustChange: true }, random)).toHaveLength(10)
    expect(asked).toBeGreaterThan(1)
  })
})

describe('passphrases', () => {
  test('are words of the list, as many as asked for', () => {
    const random = seededRandom(3)
    for (let words = 4; words <= 10; words++) {
      const parts = generatePassword({ kind: 'passphrase', words, mustChange: true }, random).split('-')
      expect(parts).toHaveLength(words)
      expect(parts.every((word) => WORDS.includes(word))).toBe(true)
    }
  })

  test('come from a list without repetitions whose entropy is as stated', () => {
    expect(new Set(WORDS).size).toBe(7_772)
    expect(WORDS.every((word) => /^[a-z]{3,9}$/.test(word))).toBe(true)
    expect(Math.log2(WORDS.length)).toBeCloseTo(12.92, 2)
  })

  test('draw every word equally often', () => {
    const random = seededRandom(4)
    const at = new Map(WORDS.map((word, index) => [word, index]))
    const counts = WORDS.map(() => 0)
    for (let made = 0; made < 20_000; made++) {
      for (const word of generatePassword({ kind: 'passphrase', words: 10, mustChange: true }, random).split('-')) counts[at.get(word)!]!++
    }
    expect(unevenness(counts)).toBeLessThan(4)
  })
})

describe('hashes', () => {
  test('take the password they were made of and no other', async () => {
    const hash = await hashPassword('Kaffee-Müller-42', seededRandom(5), CHEAP)
    expect(await verifyPassword(hash, 'Kaffee-Müller-42')).toBe(true)
    expect(await verifyPassword(hash, 'Kaffee-Müller-43')).toBe(false)
    expect(await verifyPassword(hash, '')).toBe(false)
  })

  test('are argon2id of 19 MiB, two passes, one lane, in PHC form, under a salt of their own', async () => {
    const random = seededRandom(6)
    const [one, two] = await Promise.all([hashPassword('same', random), hashPassword('same', random)])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(one).not.toBe(two)
    expect(await verifyPassword(two, 'same')).toBe(true)
  })

  test('agree with the reference implementation', async () => {
    // argon2id, t=2, m=256 KiB, p=1, "password" under "somesalt": from the test vectors of the reference implementation.
    const hash = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'
    expect(await verifyPassword(hash, 'password')).toBe(true)
  })

  test('that are none of ours take nothing', async () => {
    for (const text of ['', 'password', '$2b$10$abcdefghijklmnopqrstuv', '$argon2id$v=19$m=1,t=1,p=1$x$y']) expect(await verifyPassword(text, 'password')).toBe(false)
  })
})
