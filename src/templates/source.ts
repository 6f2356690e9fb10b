import { readFile } from 'node:fs/promises'
import type { Purpose } from './purposes.ts'
import { de } from './wording/de.ts'
import { en } from './wording/en.ts'
import { es } from './wording/es.ts'
import { fr } from './wording/fr.ts'
import type { Wording } from './wording/wording.ts'

/** What an organization may write of its own: three Handlebars templates. */
export type TemplateSource = { subject: string; text: string; html: string }

export const WORDINGS = { en, es, fr, de } as const satisfies Record<string, Wording>
export type Language = keyof typeof WORDINGS

/** The language of the defaults that fits a BCP 47 tag: es for es-MX, en for one that is not there. */
export function languageFor(tag: string | null | undefined): Language {
  const base = (tag ?? '').toLowerCase().split(/[-_]/)[0] ?? ''
  return Object.hasOwn(WORDINGS, base) ? (base as Language) : 'en'
}

const asItIs = (sentence: string): string => sentence

/** Only what stands outside {{ }}: Handlebars escapes the values. */
const asHtml = (sentence: string): string =>
  sentence.replace(/\{\{.*?\}\}|[&<>"]/g, (found) => (found.length > 1 ? found : `&#${found.charCodeAt(0)};`))

/** Puts the sentences of a language where [[name]] stands. A name without a sentence is an error of ours. */
export function fillWording(skeleton: string, sentences: Readonly<Record<string, string>>, escape: 'html' | 'none'): string {
  return skeleton.replace(/\[\[(\w+)\]\]/g, (_, name: string) => {
    const sentence = Object.hasOwn(sentences, name) ? sentences[name] : undefined
    if (sentence === undefined) throw new Error(`no wording named ${name}`)
    return (escape === 'html' ? asHtml : asItIs)(sentence)
  })
}

const readSkeleton = (purpose: Purpose, file: string): Promise<string> => readFile(new URL(`${purpose}/${file}`, import.meta.url), 'utf8')

/**
 * The default template of a purpose in a language, complete as Handlebars:
 * what is mailed where an organization has nothing of its own, and what it starts from when it writes its own.
 */
export async function defaultSource(purpose: Purpose, language: Language): Promise<TemplateSource> {
  const [subject, text, html] = await Promise.all([
    readSkeleton(purpose, 'subject.hbs'),
    readSkeleton(purpose, 'text.hbs'),
    readSkeleton(purpose, 'html.hbs'),
  ])
  const wording = WORDINGS[language]
  const sentences = { ...wording.shared, ...wording[purpose], language: wording.language }
  const filledSubject = fillWording(subject, sentences, 'none').trim()
  return {
    subject: filledSubject,
    text: fillWording(text, sentences, 'none'),
    html: fillWording(html, { ...sentences, title: filledSubject }, 'html'),
  }
}
