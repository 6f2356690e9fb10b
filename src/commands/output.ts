import { styleText } from 'node:util'

/** Exit statuses that scripts rely on (interface.md). */
export const EXIT = { done: 0, refused: 1, partly: 2, usage: 64 } as const
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT]

/** Where a command prints: results on standard output, progress and remarks on standard error. */
export type Output = {
  json: boolean
  /** A line for people; nothing under --json. */
  say(line?: string): void
  /** The one JSON document of --json, or a line of JSON lines. */
  data(value: unknown): void
  /** Progress: rewritten in place on a terminal, now and then a line elsewhere. */
  progress(text: string): void
  /** Ends the line that progress rewrites. */
  settle(): void
  /** Resolves once all that was said on standard output has left this process; throws where it cannot be written. */
  written(): Promise<void>
  /** A remark on standard error. */
  remark(line: string): void
}

type Stream = { write(text: string, written?: (error?: Error | null) => void): unknown; isTTY?: boolean; columns?: number }

/** Off a terminal progress is told this often, in milliseconds. */
const QUIET_MS = 5_000

/** What a command says, by streams and clock: for people, or one JSON document on `stdout` and the rest on `stderr`. `now` in milliseconds. */
export function openOutput(json: boolean, stdout: Stream, stderr: Stream, now: () => number): Output {
  let open = false
  let toldAt = Number.NEGATIVE_INFINITY
  const settle = (): void => {
    if (open) stderr.write('\r\u001B[K')
    open = false
  }
  return {
    json,
    say(line = '') {
      settle()
      if (!json) stdout.write(`${line}\n`)
    },
    data(value) {
      settle()
      stdout.write(`${JSON.stringify(value)}\n`)
    },
    progress(text) {
      if (stderr.isTTY) {
        stderr.write(`\r\u001B[K${text.slice(0, (stderr.columns ?? 80) - 1)}`)
        open = true
      } else if (now() - toldAt >= QUIET_MS) {
        if (toldAt !== Number.NEGATIVE_INFINITY) stderr.write(`${text}\n`)
        toldAt = now()
      }
    },
    settle,
    written: () => new Promise((resolve, reject) => void stdout.write('', (error) => (error ? reject(error) : resolve()))),
    remark(line) {
      settle()
      stderr.write(`${line}\n`)
    },
  }
}

/** Text as it is shown on a terminal that has styles. */
export const bold = (text: string): string => styleText('bold', text)
/** As bold, faint. */
export const dim = (text: string): string => styleText('dim', text)
/** As bold, in red. */
export const red = (text: string): string => styleText('red', text)
/** As bold, in green. */
export const green = (text: string): string => styleText('green', text)
/** As bold, in yellow. */
export const yellow = (text: string): string => styleText('yellow', text)

/** 12345 -> 12,345 */
export const number = (value: number): string => value.toLocaleString('en-US')

/** "1 row", "2 rows". */
export const count = (value: number, one: string, many = `${one}s`): string => `${number(value)} ${value === 1 ? one : many}`

/** Milliseconds as people say them: 0.8 s, 42 s, 3 min 5 s. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 90) return `${Math.round(seconds)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

/** Characters that would move the cursor, hide or turn text around are shown as their code point, whoever wrote them. */
export function inert(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

/** Rows as columns, padded; the last column is not. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const shown = rows.map((row) => row.map(inert))
  const widths = header.map((title, index) => Math.min(44, shown.reduce((most, row) => Math.max(most, widthOf(row[index] ?? '')), title.length)))
  const line = (cells: readonly string[]): string => cells.map((cell, index) => (index === cells.length - 1 ? cell : fit(cell, widths[index]!))).join('  ').trimEnd()
  return [dim(line(header)), ...shown.map(line)]
}

const ORDINARY = /^[\u0020-\u02ff]*$/
const MARK = /\p{M}/u
/** Letters that take two places on a terminal: Chinese, Japanese, Korean, fullwidth forms, pictures. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

const placesOf = (character: string): number => (MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1)
/** Places that a text takes on a terminal. */
const widthOf = (text: string): number => (ORDINARY.test(text) ? text.length : [...text].reduce((sum, character) => sum + placesOf(character), 0))

/** The text in exactly so many places: cut short with an ellipsis, or padded. */
function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text + ' '.repeat(width - widthOf(text))
  let kept = ''
  let places = 0
  for (const character of text) {
    if (places + placesOf(character) > width - 1) break
    kept += character
    places += placesOf(character)
  }
  return `${kept}…${' '.repeat(width - 1 - places)}`
}
