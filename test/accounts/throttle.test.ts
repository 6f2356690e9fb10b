import { describe, expect, test } from 'vitest'
import { addressCounted, clearCounter, counterOf, countTry, giveBack, type Counter } from '../../src/accounts/throttle.ts'
import { useDatabase } from '../support/importing.ts'

const base = useDatabase()
const counter = (name: string, limit = 3): Counter => ({ ...counterOf('a secret', 'account', name), limit })
const count = (...counters: Counter[]) => base.current.fleet((tx) => countTry(tx, counters))
const stored = async ({ key }: Counter) => (await base.current.pool.query<{ count: number }>('select count from throttles where key = $1', [key])).rows[0]?.count

describe('a counter', () => {
  test('lets as many through as its limit says, then tells the seconds to wait and counts no further', async () => {
    const one = counter('one')
    const waits = []
    for (let tries = 0; tries < 6; tries++) waits.push(await count(one))
    expect(waits.map((wait) => wait > 0)).toEqual([false, false, false, true, true, true])
    expect(waits[5]).toBeLessThanOrEqual(one.seconds)
    expect(await stored(one)).toBe(3)
  })

  test('begins anew when its window has ended', async () => {
    const one = counter('two')
    for (let tries = 0; tries < 4; tries++) await count(one)
    // Kept in milliseconds, now may be rounded to an instant that is still to come.
    await base.current.pool.query(`update throttles set ends_at = now() - interval '1 millisecond' where key = $1`, [one.key])
    expect(await count(one)).toBe(0)
    expect(await stored(one)).toBe(1)
  })

  test('at its limit keeps the others of the same try from counting', async () => {
    const [full, other] = [counter('full', 1), counter('other')]
    await count(full)
    expect(await count(full, other)).toBeGreaterThan(0)
    expect(await stored(other)).toBe(0)
  })

  test('takes back what was not in vain, never below nothing, and forgets when it is cleared', async () => {
    const one = counter('back')
    await count(one)
    await base.current.fleet((tx) => giveBack(tx, [one]))
    await base.current.fleet((tx) => giveBack(tx, [one]))
    expect(await stored(one)).toBe(0)
    await base.current.fleet((tx) => clearCounter(tx, one))
    expect(await stored(one)).toBeUndefined()
  })

  test('counts every one of many at the same moment, without a deadlock between two that come in two orders', async () => {
    const [left, right] = [counter('left', 1_000), counter('right', 1_000)]
    await Promise.all(Array.from({ length: 60 }, (_, index) => base.current.fleet(async (tx) => {
      const pair = index % 2 === 0 ? [left, right] : [right, left]
      await countTry(tx, pair)
      if (index % 3 === 0) await giveBack(tx, pair)
    })))
    expect([await stored(left), await stored(right)]).toEqual([40, 40])
  })

  test('has a key that tells nothing, is another one under another secret, kind or value, and is not to be made from other parts', () => {
    const keys = [counterOf('a', 'account', '1', 'mei'), counterOf('b', 'account', '1', 'mei'), counterOf('a', 'device', '1', 'mei'), counterOf('a', 'account', '1', 'mai'), counterOf('a', 'account', '1mei'), counterOf('a', 'account', '1m', 'ei')].map(({ key }) => key)
    expect(new Set(keys).size).toBe(keys.length)
    for (const key of keys) expect(key).toMatch(/^[\w-]{43}$/)
  })
})

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002:0000::9', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
  ['somewhere', 'somewhere'],
])('%s is counted as %s', (address, counted) => {
  expect(addressCounted(address)).toBe(counted)
})
