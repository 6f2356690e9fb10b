/**
 * Compiles the MJML of each purpose to its html.hbs, which is kept beside it: loading MJML takes longer than
 * all else that Muster does at start. Run `node src/templates/compile.ts` after a change of any .mjml file;
 * a test holds the two together.
 */
import { readFile, writeFile } from 'node:fs/promises'
import mjml2html from 'mjml'
import { PURPOSES } from './purposes.ts'
import type { Purpose } from './purposes.ts'

/**
 * Lists of mails show the first words of a mail beside its subject. The invisible characters keep them
 * from going on, past the preheader, to the username and the password.
 */
const PREHEADER_PADDING = '&#847;&zwnj;&nbsp;'.repeat(80)

const readPart = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8')

/** The HTML of a purpose, as Handlebars with [[name]] where its wording goes. Rejects at any fault in the MJML. */
export async function compileMail(purpose: Purpose): Promise<string> {
  const [layout, closing, body] = await Promise.all([readPart('layout.mjml'), readPart('closing.mjml'), readPart(`${purpose}/body.mjml`)])
  const source = layout
    .replace('[[body]]', () => body)
    .replace('[[closingSection]]', () => closing)
    .replace('[[preheaderPadding]]', () => PREHEADER_PADDING)
  const { html, errors } = await mjml2html(source, { validationLevel: 'strict', minify: false, beautify: false, keepComments: false, fonts: {} })
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join('\n'))
  return `${html.replace(/[ \t]+$/gm, '').replace(/\n{2,}/g, '\n').trim()}\n`
}

/** The compiled file of a purpose. */
export const compiledFile = (purpose: Purpose): URL => new URL(`${purpose}/html.hbs`, import.meta.url)

if (import.meta.main) {
  for (const purpose of Object.keys(PURPOSES) as Purpose[]) await writeFile(compiledFile(purpose), await compileMail(purpose))
}
