/**
 * Makes strings out of bytes. Most texts of a sheet come again and again (groups, roles, cities): a short one that was made
 * lately is handed out again, which saves its making and the memory of whoever keeps it.
 */
const SLOTS = 1 << 12
const LONGEST = 32

export class Texts {
  readonly known: string[] = Array.from({ length: SLOTS }, () => '')

  /** The text of valid UTF-8 from `start` to `end`. `hash` is any number made of these bytes, `high` all of them joined by "or". */
  at(bytes: Buffer, start: number, end: number, hash: number, high: number): string {
    const length = end - start
    // Without a name of the encoding toString takes its short way, as UTF-8.
    if (length > LONGEST || high > 127) return bytes.toString(undefined, start, end)
    const slot = (hash ^ hash >>> 15) & (SLOTS - 1)
    const known = this.known[slot]!
    if (known.length === length) {
      let at = 0
      while (at < length && known.charCodeAt(at) === bytes[start + at]) at++
      if (at === length) return known
    }
    return this.known[slot] = bytes.toString('latin1', start, end)
  }
}
