/** The pages that the console and the portal render: read from a folder, compiled once, with every text in them made inert. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { compilePages } from './handlebars.ts'

/** Renders a template by its file's name without ending; every text in the view is made inert. */
export type Render = (template: string, view: object) => string

/** Reads and compiles all templates of a folder. A template that is broken throws here, before anybody is served. */
export async function loadPages(folder: URL): Promise<Render> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.hbs'))
  const sources = await Promise.all(files.map(async (file) => [file.slice(0, -'.hbs'.length), await readFile(new URL(file, folder), 'utf8')] as const))
  const render = compilePages(Object.fromEntries(sources))
  return (template, view) => render(template, inertView(view))
}

/** A file that pages refer to. Its address changes with its bytes, so that browsers may keep it for ever. */
export type PageFile = { address: string; bytes: Buffer }

/** How a file that never changes under its address is kept by browsers. */
export const KEPT_FOR_EVER = 'public, max-age=31536000, immutable'

/** Reads a file that pages refer to under the name that its address ends in. */
export async function loadPageFile(from: URL, name: string): Promise<PageFile> {
  const bytes = await readFile(from)
  return { address: `/assets/${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}/${name}`, bytes }
}

/** Control characters, and those that change the direction of what follows. Line breaks and tabs are what they seem. */
const DECEIVING = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/**
 * All texts of a view made fit to be seen: characters that nobody sees, or that turn the reading direction, stand by their numbers.
 * Markup is the template's to escape.
 */
export function inertView<View>(view: View): View {
  if (typeof view === 'string') return view.replace(DECEIVING, (character) => `[U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`) as View
  if (Array.isArray(view)) return view.map(inertView) as View
  if (view !== null && typeof view === 'object') return Object.fromEntries(Object.entries(view).map(([name, value]) => [name, inertView(value)])) as View
  return view
}
