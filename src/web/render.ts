import { readdir, readFile } from 'node:fs/promises'
import { compilePages } from '../templates/handlebars.ts'
import { inertView } from './show.ts'

const FOLDER = new URL('templates/', import.meta.url)

/** Renders a template by its file's name without ending; every text in the view is made inert. */
export type Render = (template: string, view: object) => string

/** Reads and compiles all templates. A template that is broken throws here, before anybody is served. */
export async function loadPages(): Promise<Render> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.hbs'))
  const sources = await Promise.all(files.map(async (file) => [file.slice(0, -'.hbs'.length), await readFile(new URL(file, FOLDER), 'utf8')] as const))
  const render = compilePages(Object.fromEntries(sources))
  return (template, view) => render(template, inertView(view))
}
