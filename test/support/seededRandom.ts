/** Random bytes that are the same in every run (mulberry32), for tests of what is drawn at random. */
export function seededRandom(seed: number): (count: number) => Uint8Array {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return (count) => Uint8Array.from({ length: count }, () => next() & 0xff)
}
