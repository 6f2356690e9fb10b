import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { becomeHolder, hasHolder, homeSecret, madeOnce, openHome, withLock } from '../../src/embedded/home.ts'
import { endHolders, newHome, startHolder } from './processes.ts'

afterEach(endHolders)

const quiet = (): void => undefined
const modeOf = (file: string): number => statSync(file).mode & 0o777

describe('the home', () => {
  test('is made with a mode that lets others pass through and not look', () => {
    const home = openHome(newHome())
    expect(modeOf(home.path)).toBe(0o711)
  })

  test('keeps its secret: made once, mode 600, the same ever after', () => {
    const home = openHome(newHome())
    const secret = homeSecret(home, randomBytes)
    expect(secret.length).toBeGreaterThanOrEqual(43)
    expect(modeOf(home.secretFile)).toBe(0o600)
    expect(homeSecret(openHome(home.path), randomBytes)).toBe(secret)
    expect(readFileSync(home.secretFile, 'utf8').trim()).toBe(secret)
  })

  test('gives whoever comes second the secret of whoever came first', () => {
    const home = openHome(newHome())
    const text = madeOnce(home, home.secretFile, () => {
      // Somebody else is faster, between the look for the file and its making.
      madeOnce(home, home.secretFile, () => 'first')
      return 'second'
    })
    expect(text).toBe('first')
  })
})

describe('the lock', () => {
  test('lets one in at a time within a process', async () => {
    const home = openHome(newHome())
    let inside = 0
    let most = 0
    const visit = () =>
      withLock(home, 'test', quiet, async () => {
        inside += 1
        most = Math.max(most, inside)
        await new Promise((next) => setImmediate(next))
        inside -= 1
      })
    await Promise.all([visit(), visit(), visit(), visit()])
    expect(most).toBe(1)
  })

  test('waits for another process and enters when that gives it back', async () => {
    const home = openHome(newHome())
    const other = startHolder('lock', home.path)
    await other.next()
    let entered = false
    const entry = withLock(home, 'test', quiet, async () => {
      entered = true
    })
    expect(entered).toBe(false)
    expect(await other.release()).toBe(0)
    await entry
    expect(entered).toBe(true)
  })

  test('is free again when its process was killed', async () => {
    const home = openHome(newHome())
    const other = startHolder('lock', home.path)
    await other.next()
    await other.kill()
    expect(await withLock(home, 'test', quiet, async () => 'entered')).toBe('entered')
  })

  test('is given back when the work fails', async () => {
    const home = openHome(newHome())
    await expect(withLock(home, 'test', quiet, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    expect(await withLock(home, 'test', quiet, async () => 'entered')).toBe('entered')
  })

  test('of one name does not hinder another name', async () => {
    const home = openHome(newHome())
    expect(await withLock(home, 'one', quiet, () => withLock(home, 'two', quiet, async () => 'both'))).toBe('both')
  })
})

describe('a holder', () => {
  test('counts until it gives back its place', () => {
    const home = openHome(newHome())
    expect(hasHolder(home, 'test')).toBe(false)
    const first = becomeHolder(home, 'test')
    const second = becomeHolder(home, 'test')
    first()
    first()
    expect(hasHolder(home, 'test')).toBe(true)
    second()
    expect(hasHolder(home, 'test')).toBe(false)
  })

  test('in another process counts, and no longer when that was killed', async () => {
    const home = openHome(newHome())
    const other = startHolder('place', home.path)
    await other.next()
    expect(hasHolder(home, 'test')).toBe(true)
    await other.kill()
    expect(hasHolder(home, 'test')).toBe(false)
  })
})
