import { checkTemplate } from './check.ts'
import type { TemplateProblem } from './check.ts'
import { compileString } from './handlebars.ts'
import { PURPOSES, variablesOf } from './purposes.ts'
import type { Purpose, PurposeVariables, Variable } from './purposes.ts'
import { defaultSource, languageFor, WORDINGS } from './source.ts'
import type { Language, TemplateSource } from './source.ts'

/** A mail, ready to be addressed. `subject` is one line; `text` and `html` end in a newline, lines in LF. */
export type RenderedMail = { subject: string; text: string; html: string }

type Context = Record<string, unknown>
export type CompiledTemplate<P extends Purpose = Purpose> = {
  readonly purpose: P
  readonly subject: (context: Context) => string
  readonly text: (context: Context) => string
  readonly html: (context: Context) => string
}

/** The default templates, compiled: one for each purpose and language. */
export type Templates = { readonly [P in Purpose]: Readonly<Record<Language, CompiledTemplate<P>>> }

/** A template that cannot be published; `problems` says why, in full. */
export class TemplateRefused extends Error {
  readonly problems: readonly TemplateProblem[]
  constructor(problems: readonly TemplateProblem[]) {
    super(problems.map(({ part, line, message }) => `${part}, line ${line}: ${message}`).join('\n'))
    this.name = 'TemplateRefused'
    this.problems = problems
  }
}

/** A value that cannot be mailed. The value itself is never told: it may be a password or a link. */
export class VariableRefused extends Error {
  readonly code: 'template.variable_missing' | 'template.variable_type' | 'template.variable_url' | 'template.variable_altered'
  readonly variable: string
  constructor(code: VariableRefused['code'], variable: string) {
    super(`${code}: ${variable}`)
    this.name = 'VariableRefused'
    this.code = code
    this.variable = variable
  }
}

/** Compiles a template, an organization's own or a default. Throws TemplateRefused where checkTemplate finds anything. */
export function compileTemplate<P extends Purpose>(purpose: P, source: TemplateSource): CompiledTemplate<P> {
  const problems = checkTemplate(purpose, source)
  if (problems.length > 0) throw new TemplateRefused(problems)
  return {
    purpose,
    subject: compileString(source.subject, 'none'),
    text: compileString(source.text, 'none'),
    html: compileString(source.html, 'html'),
  }
}

let defaults: Promise<Templates> | undefined

/** The default templates, read and compiled once for the process. Rejects only where the installation is damaged. */
export const loadTemplates = (): Promise<Templates> => (defaults ??= readTemplates())

async function readTemplates(): Promise<Templates> {
  const purposes = Object.keys(PURPOSES) as Purpose[]
  const languages = Object.keys(WORDINGS) as Language[]
  const entries = purposes.map(async (purpose) => {
    const compiled = languages.map(async (language) => [language, compileTemplate(purpose, await defaultSource(purpose, language))] as const)
    return [purpose, Object.fromEntries(await Promise.all(compiled))] as const
  })
  return Object.fromEntries(await Promise.all(entries)) as Templates
}

/**
 * A mail from the default template of a purpose. `language` is a BCP 47 tag; one that is not there gives English.
 * Throws VariableRefused at a missing value, and at an address that is not http or https.
 */
export const render = <P extends Purpose>(
  templates: Templates,
  purpose: P,
  language: string | null | undefined,
  variables: PurposeVariables[P],
): RenderedMail => renderTemplate<P>(templates[purpose][languageFor(language)], variables)

/** A mail from a compiled template; as render, for an organization's own wording. */
export function renderTemplate<P extends Purpose>(template: CompiledTemplate<P>, variables: PurposeVariables[P]): RenderedMail {
  const context = contextOf(variablesOf(template.purpose), variables)
  return {
    // Only the template itself can still hold a line break here, but a header must not, whoever wrote it.
    subject: oneLine(template.subject(context)).replace(/ {2,}/g, ' ').trim(),
    text: `${template.text(context).replace(/\n{3,}/g, '\n\n').trim()}\n`,
    html: template.html(context),
  }
}

/** C0, C1, line and paragraph separators: they break lines and headers. */
const BREAKING = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g
/** Embeddings, overrides and isolates change the direction of what follows them, so that a text reads as another one. */
const REDIRECTING = /[\u202a-\u202e\u2066-\u2069]/g
const SUSPECT = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/

/** A value as one line in its own direction. Lone surrogates become U+FFFD: they cannot be sent. */
const oneLine = (value: string): string => (SUSPECT.test(value) ? value.replace(BREAKING, ' ').replace(REDIRECTING, '').toWellFormed() : value)

const ADDRESS = /^https?:\/\/[^\s\u0000-\u0020\u007f-\u009f\u2028-\u202e\u2066-\u2069"'<>\\^`{|}]+$/i

/** Every name of the catalog with a value, so that a name not given is empty, and one not known is an error of strict mode. */
function contextOf(catalog: Readonly<Record<string, Variable>>, given: object): Context {
  const context: Context = {}
  for (const name in catalog) {
    const variable = catalog[name]
    if (variable) context[name] = valueOf(name, variable, Object.hasOwn(given, name) ? (given as Context)[name] : undefined)
  }
  return context
}

function valueOf(name: string, variable: Variable, value: unknown): unknown {
  if (value === undefined || value === null) return missing(name, variable)
  if (variable.kind === 'flag') {
    if (typeof value !== 'boolean') throw new VariableRefused('template.variable_type', name)
    return value
  }
  if (variable.kind === 'list') {
    if (!Array.isArray(value)) throw new VariableRefused('template.variable_type', name)
    return value.map((item: unknown) => {
      if (typeof item !== 'object' || item === null) throw new VariableRefused('template.variable_type', name)
      return contextOf(variable.fields, item)
    })
  }
  if (typeof value !== 'string') throw new VariableRefused('template.variable_type', name)
  const line = oneLine(value)
  // A password that is mailed altered would lock its owner out.
  if (variable.secret && line !== value) throw new VariableRefused(variable.kind === 'url' ? 'template.variable_url' : 'template.variable_altered', name)
  if (line.trim() === '') return missing(name, variable)
  if (variable.kind === 'url' && !(ADDRESS.test(value) && URL.canParse(value))) throw new VariableRefused('template.variable_url', name)
  return line
}

function missing(name: string, variable: Variable): unknown {
  if (variable.always) throw new VariableRefused('template.variable_missing', name)
  return variable.kind === 'list' ? [] : variable.kind === 'flag' ? false : ''
}
