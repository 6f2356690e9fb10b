/** The files of the repository as text, and what can be told of a TypeScript file by looking at its text alone. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const CHECKOUT = join(import.meta.dirname, '..', '..')

export type Import = {
  /** What it says: a package's name, node:x, or the path of a file from the checkout. */
  target: string
  /** Types only: gone once the program runs. */
  typeOnly: boolean
  line: number
}

export type SourceFile = {
  /** From the checkout, with slashes. */
  path: string
  text: string
  /** The text with comments and the insides of strings blanked out, line by line as long as it was. */
  code: string
  imports: Import[]
}

/** Paths of all files that are or would be committed. */
export const repositoryFiles = (): string[] =>
  execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: CHECKOUT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }).split('\0').filter(Boolean)

/** The text of a file of the repository; null where it was removed since it was listed. */
export const readText = (path: string): string | null => {
  try {
    return readFileSync(join(CHECKOUT, path), 'utf8')
  } catch {
    return null
  }
}

/** Reads the TypeScript files among `paths`. */
export const readSources = (paths: readonly string[]): SourceFile[] =>
  paths
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => {
      const text = readText(path)
      return text === null ? [] : [sourceOf(path, text)]
    })

/** What can be told of one file. */
export const sourceOf = (path: string, text: string): SourceFile => ({ path, text, code: blank(text), imports: importsOf(path, text).sort((a, b) => a.line - b.line) })

/** The line of a place in a text, from 1. */
export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

const NAMES = String.raw`(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|[\w$]+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?)`
const STATEMENT = new RegExp(String.raw`^(?:import|export)\s+(type\s+)?(${NAMES})\s+from\s+['"]([^'"]+)['"]`, 'gm')
const BARE = /^import\s+['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
const WORKER = /new URL\(\s*['"](\.[^'"]+\.ts)['"],\s*import\.meta\.url\)/g

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean, offset: number): void => {
    const target = specifier.startsWith('.') ? relative(CHECKOUT, resolve(CHECKOUT, dirname(path), specifier)).replaceAll('\\', '/') : packageOf(specifier)
    found.push({ target, typeOnly, line: lineAt(text, offset) })
  }
  for (const { 1: type, 2: names, 3: specifier, index } of text.matchAll(STATEMENT)) {
    const listed = /^\{([^}]*)\}$/.exec(names!)?.[1]?.split(',').map((name) => name.trim()).filter(Boolean)
    add(specifier!, type !== undefined || (listed !== undefined && listed.length > 0 && listed.every((name) => name.startsWith('type '))), index)
  }
  for (const expression of [BARE, DYNAMIC, WORKER]) for (const { 1: specifier, index } of text.matchAll(expression)) add(specifier!, false, index)
  return found
}

const packageOf = (specifier: string): string => (specifier.startsWith('node:') ? specifier : specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/'))

/** A slash behind one of these begins a regular expression; behind anything else it divides. */
const BEFORE_EXPRESSION = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield))\s*$/
const LITERAL = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*|[`{}]/gy

/** Blanks out comments and the insides of strings, templates and regular expressions; what stands in ${} stays. */
function blank(text: string): string {
  let out = ''
  let at = 0
  // The number of open braces below each ${ we are in.
  const templates: number[] = []
  const keep = (end: number): void => {
    out += text.slice(at, end)
    at = end
  }
  const hide = (end: number): void => {
    out += text.slice(at, end).replace(/[^\n]/g, ' ')
    at = end
  }
  const template = (): void => {
    const rest = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y
    rest.lastIndex = at
    rest.exec(text)
    hide(rest.lastIndex)
    if (text[at] === '`') keep(at + 1)
    else {
      keep(at + 2)
      templates.push(0)
    }
  }
  const interesting = /['"`/{}]/g
  for (;;) {
    interesting.lastIndex = at
    const next = interesting.exec(text)
    if (!next) break
    keep(next.index)
    LITERAL.lastIndex = at
    const literal = LITERAL.exec(text)?.[0]
    if (literal === undefined || (next[0] === '/' && !/^\/[/*]/.test(literal) && !BEFORE_EXPRESSION.test(out.slice(-40)))) keep(at + 1)
    else if (literal === '`') {
      keep(at + 1)
      template()
    } else if (literal === '{' || literal === '}') {
      const open = templates.length - 1
      keep(at + 1)
      if (open >= 0 && literal === '{') templates[open]!++
      else if (open >= 0 && templates[open]!-- === 0) {
        templates.pop()
        template()
      }
    } else {
      const end = at + literal.length
      if (/^\/[/*]/.test(literal)) hide(end)
      else {
        keep(at + 1)
        hide(end - 1)
        keep(end)
      }
    }
  }
  keep(text.length)
  return out
}
