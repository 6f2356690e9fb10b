/** How the console writes values. Pure. */

/** An instant for a <time> element: ISO 8601 in UTC, and the organization's own clock with its zone named. */
export type ShownInstant = { iso: string; text: string }
/** How a state looks: `tone` is a class of the style sheet and never the only thing that tells states apart. */
export type Badge = { text: string; tone: Tone }
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'quiet'

const NUMBERS = new Intl.NumberFormat('en-US')

/** 1210 -> 1,210 */
export const showNumber = (value: number): string => NUMBERS.format(value)

/** "1 row", "1,210 rows" */
export const showCount = (value: number, one: string, many = `${one}s`): string => `${NUMBERS.format(value)} ${value === 1 ? one : many}`

/** Bytes in decimal units, as file managers show them. */
export function showBytes(bytes: number): string {
  const unit = (['GB', 'MB', 'kB'] as const).find((_, index) => bytes >= 1000 ** (3 - index))
  if (unit === undefined) return showCount(bytes, 'byte')
  const value = bytes / { GB: 1e9, MB: 1e6, kB: 1e3 }[unit]
  return `${value < 10 ? value.toFixed(1) : NUMBERS.format(Math.round(value))} ${unit}`
}

/** Milliseconds -> "0.4 s", "12 s", "3 min 20 s", "2 h 5 min" */
export function showDuration(ms: number): string {
  const seconds = Math.max(ms, 0) / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return joined(Math.floor(whole / 60), 'min', whole % 60, 's')
  return joined(Math.floor(whole / 3600), 'h', Math.floor((whole % 3600) / 60), 'min')
}

const joined = (large: number, unit: string, small: number, smaller: string): string => `${large} ${unit}${small === 0 ? '' : ` ${small} ${smaller}`}`

/** An instant on the clock of an IANA zone; null stays null. */
export function showInstant(instant: Date | string | null, zone: string): ShownInstant | null {
  if (instant === null) return null
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) return null
  return { iso: date.toISOString(), text: formatFor(zone).format(date) }
}

const formats = new Map<string, Intl.DateTimeFormat>()
function formatFor(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', { year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', timeZone: zone, timeZoneName: 'short' })
    formats.set(zone, format)
  }
  return format
}

/** A command parted for a narrow page: a line may end between its words, never within an option. */
export const wordsOf = (command: string): string[] => command.split(' ')
