import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { keyFor, seal, SealBroken, unseal } from '../../src/organizations/seal.ts'

const SECRET = 'a secret of at least thirty-two characters'
const TEXT = Buffer.from('ana.nguyen kR7-vTq9-mWz4-Hd')
const sealed = (secret = SECRET, purpose = 'password-report', context = '7') => seal(secret, purpose, context, TEXT, randomBytes)

describe('what is sealed', () => {
  test('opens with the same secret, for the same purpose and owner', () => {
    expect(unseal(SECRET, 'password-report', '7', sealed())).toEqual(TEXT)
  })

  test('shows nothing of itself, and never looks the same twice', () => {
    expect(sealed().includes('ana')).toBe(false)
    expect(sealed()).not.toEqual(sealed())
  })

  test.each([
    ['another secret', () => unseal(`${SECRET}!`, 'password-report', '7', sealed())],
    ['another purpose', () => unseal(SECRET, 'feed', '7', sealed())],
    ['another owner', () => unseal(SECRET, 'password-report', '8', sealed())],
    ['nothing', () => unseal(SECRET, 'password-report', '7', Buffer.alloc(0))],
    ['a cut end', () => unseal(SECRET, 'password-report', '7', sealed().subarray(0, -1))],
    ['another version', () => unseal(SECRET, 'password-report', '7', Buffer.concat([Buffer.of(2), sealed().subarray(1)]))],
  ])('does not open with %s', (_, open) => {
    expect(open).toThrow(SealBroken)
  })

  test('does not open when any of its bytes was changed', () => {
    const whole = sealed()
    for (let index = 0; index < whole.length; index++) {
      const changed = Buffer.from(whole)
      changed[index]! ^= 1
      expect(() => unseal(SECRET, 'password-report', '7', changed), `byte ${index}`).toThrow(SealBroken)
    }
  })
})

test('keys for two purposes have nothing in common', () => {
  expect(keyFor(SECRET, 'csrf')).toHaveLength(32)
  expect(keyFor(SECRET, 'csrf')).toEqual(keyFor(SECRET, 'csrf'))
  expect(keyFor(SECRET, 'csrf')).not.toEqual(keyFor(SECRET, 'throttle'))
})
