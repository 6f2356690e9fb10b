import type { Report } from './problem.ts'

/** Visible ASCII with single or more spaces inside: nothing to clean. */
const CLEAN = /^[!-~](?:[ -~]*[!-~])?$/

/** Scripts whose spelling needs joiners, by the letters and marks that may stand beside one. */
const JOINING = String.raw`[[\p{scx=Arab}\p{scx=Syrc}\p{scx=Deva}\p{scx=Beng}\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Mong}]--\p{Default_Ignorable_Code_Point}]`
const VIRAMAS = String.raw`[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca]`

/**
 * Characters that nobody sees, except where spelling needs them: joiners in Arabic and Indic scripts,
 * variation selectors behind Han characters and Mongolian letters. Reading direction marks are never kept.
 * What is kept leans on visible neighbors alone: else one removal would bring on the next, a round for each.
 */
const INVISIBLE = new RegExp(
  String.raw`(?!(?<=${JOINING})[\u200c\u200d](?=${JOINING})|(?<=${VIRAMAS})[\u200c\u200d]|(?<=\p{Script=Han})[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]|(?<=[\p{Script=Mongolian}--\p{Default_Ignorable_Code_Point}])[\u180b-\u180d\u180f])[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]`,
  'gv',
)

const SPACE = /[\t\p{Zs}]/u
const OTHER_SPACES = /\p{Zs}/gu
const CONTROL = /[\p{Cc}\u2028\u2029]/u
const CONTROL_IN_LINES = /(?![\n\t])[\p{Cc}\u2028\u2029]/u
const BROKEN = /[\p{Cs}\ufffd\ufffe\uffff]/u
const NOTHING_SEEN = /^[\s\p{Z}\p{Default_Ignorable_Code_Point}]*$/u

/** Whether nothing visible stands in a cell's text. */
export function isBlank(text: string): boolean {
  return text === '' || (text.charCodeAt(0) < 0x21 || text.charCodeAt(0) > 0x7e) && NOTHING_SEEN.test(text)
}

/**
 * The text of a cell as it is stored: NFC, every kind of space an ordinary one, spaces and tabs at the ends removed.
 * '' where nothing visible is left. Invisible characters are removed with a warning; a control character
 * (a line break too) or a broken one is an error, which gives null.
 */
export function cleanText(text: string, report: Report): string | null {
  return CLEAN.test(text) ? text : clean(text, CONTROL, report)
}

/** As cleanText, for values of several lines: line breaks (as \n) and tabs may stand inside. */
export function cleanLines(text: string, report: Report): string | null {
  return CLEAN.test(text) ? text : (clean(text.replace(/\r\n?/g, '\n'), CONTROL_IN_LINES, report)?.trim() ?? null)
}

/**
 * Without the spaces of any kind, and tabs, at its ends; line breaks stay. A loop, because /[ ]+$/ takes quadratic time
 * where a cell holds many thousand spaces and then a letter.
 */
export function trimSpaces(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && SPACE.test(text.charAt(start))) start++
  while (end > start && SPACE.test(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

/** The way a character is told in a message: itself in quotes where it can be seen, else by name or number. */
export function showCharacter(character: string): string {
  if (character === ' ') return 'a space'
  if (character === '\n' || character === '\r') return 'a line break'
  if (character === '\t') return 'a tab'
  if (/^[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]$/u.test(character)) return codePoint(character)
  return /^\p{M}$/u.test(character) ? `"◌${character}" (${codePoint(character)})` : `"${character}"`
}

const codePoint = (character: string): string => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`

function clean(text: string, control: RegExp, report: Report): string | null {
  const broken = BROKEN.exec(text)
  if (broken !== null) {
    report('cell.broken_character', { character: codePoint(broken[0]) })
    return null
  }
  const trimmed = trimSpaces(text)
  const forbidden = control.exec(trimmed)
  if (forbidden !== null) {
    report('cell.control_character', { character: showCharacter(forbidden[0]) })
    return null
  }
  return trimSpaces(withoutInvisible(trimmed.normalize('NFC'), report).replace(OTHER_SPACES, ' '))
}

/** Removing one character can bring two others together, so that more has to go; each round makes the text shorter. */
function withoutInvisible(text: string, report: Report): string {
  let before = text
  let after = text.replace(INVISIBLE, '').normalize('NFC')
  if (after === text) return text
  report('cell.invisible_character', { character: [...new Set(text.match(INVISIBLE))].map(codePoint).join(', ') })
  while (after !== before) {
    before = after
    after = before.replace(INVISIBLE, '').normalize('NFC')
  }
  return after
}
