import { FileRefused } from '../../rules/refusal.ts'

/** Every line end as LF (XML 1.0, 2.11). */
export const lineEnds = (text: string) => text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text

const PREDEFINED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/**
 * The five entities that XML knows, and numbers. Half a surrogate pair is kept as the _xD83D_ of spreadsheets,
 * because bytes of UTF-8 cannot hold it: it must come out as what it is and be judged, not as U+FFFD.
 */
export function resolveEntities(text: string, part: string): string {
  return text.replace(/&([^;&]{0,12});?/g, (whole, name: string) => {
    const known = Object.hasOwn(PREDEFINED, name) ? PREDEFINED[name] : undefined
    if (known !== undefined && whole.endsWith(';')) return known
    const number = /^#(?:(\d+)|x([0-9A-Fa-f]+))$/.exec(name)
    const code = number ? number[1] ? Number(number[1]) : Number.parseInt(number[2]!, 16) : Number.NaN
    if (!whole.endsWith(';') || !(code <= 0x10ffff)) throw new FileRefused('file.corrupt', { what: `its part ${part} uses the entity ${whole.slice(0, 14)}, which XML does not know` })
    if (code >= 0xd800 && code <= 0xdfff) return `_x${code.toString(16).toUpperCase()}_`
    return String.fromCodePoint(code)
  })
}
