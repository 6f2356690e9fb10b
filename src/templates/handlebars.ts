/**
 * The one door to Handlebars: templates are compiled from strings, know three helpers (if, unless, each),
 * no decorators, see own properties only, and throw at a name that the context does not have. Mails know no partials.
 */
import Handlebars from 'handlebars'

type Place = { loc: { start: { line: number } } }
export type Path = Place & { type: 'PathExpression'; data: boolean; depth: number; parts: string[]; original: string }
/** A literal is not a name, yet Handlebars takes one that stands where a name should: {{"firstName"}}. */
export type Expression = Path | (Place & { type: 'SubExpression'; path: Expression }) | (Place & { type: 'Literal' })
type Call = { path: Expression; params: Expression[]; hash?: { pairs: Array<{ key: string; value: Expression }> } }
export type Program = { body: Statement[]; blockParams?: string[] }
export type Statement = Place &
  (
    | { type: 'ContentStatement'; original: string }
    | { type: 'CommentStatement' }
    | ({ type: 'MustacheStatement'; escaped: boolean } & Call)
    | ({ type: 'BlockStatement'; program?: Program; inverse?: Program } & Call)
    | { type: 'PartialStatement' | 'PartialBlockStatement'; name: Expression }
    | { type: 'Decorator' | 'DecoratorBlock'; path: Expression }
  )

export const HELPERS = ['if', 'unless', 'each'] as const

/** A template that Handlebars cannot read; `line` counts from 1. */
export class TemplateSyntax extends Error {
  readonly line: number
  constructor(message: string, line: number) {
    super(message)
    this.name = 'TemplateSyntax'
    this.line = line
  }
}

/** In words, by what the parser met. */
const UNEXPECTED: Readonly<Record<string, string>> = {
  EOF: 'it ends while a block or its braces are still open.',
  INVALID: 'a character stands here that is not allowed between braces.',
  OPEN_ENDBLOCK: 'a block is closed here that was not opened.',
  INVERSE: 'an else stands here outside of a block.',
}

/** The template as Handlebars reads it. Throws TemplateSyntax. */
export function parseTemplate(source: string): Program {
  try {
    return Handlebars.parse(source) as unknown as Program
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // The parser begins with the line, the checks after it end with " - line:column".
    const line = /^Parse error on line (\d+)/.exec(message)?.[1] ?? / - (\d+):\d+$/.exec(message)?.[1] ?? 1
    const found = /got '(\w+)'$/.exec(message)?.[1]
    const reason = found === undefined ? message.replace(/ - \d+:\d+$/, '') : (UNEXPECTED[found] ?? 'something stands here that does not belong between braces.')
    throw new TemplateSyntax(reason, Number(line))
  }
}

const environment = (): typeof Handlebars => {
  const own = Handlebars.create()
  for (const name of ['with', 'log', 'lookup']) own.unregisterHelper(name)
  for (const name of Object.keys(own.decorators)) own.unregisterDecorator(name)
  return own
}
const own = environment()

const OPTIONS = {
  strict: true,
  knownHelpersOnly: true,
  knownHelpers: { helperMissing: true, blockHelperMissing: true, each: true, if: true, unless: true, with: false, log: false, lookup: false },
} as const

/**
 * Compiles a template. Nothing runs before the first call of what is returned.
 * `escape` is 'html' for HTML and 'none' for plain text and subjects.
 */
export function compileString(source: string, escape: 'html' | 'none'): (context: object) => string {
  const render = own.compile<object>(source, { ...OPTIONS, noEscape: escape === 'none' })
  return (context) => render(context)
}

/**
 * Compiles HTML pages of our own that use one another as partials: {{> name}}, {{#> name}} … {{/name}}. All else is as in
 * compileString; what organizations write never gets here.
 * @returns renders the page of that name
 */
export function compilePages<Name extends string>(sources: Readonly<Record<Name, string>>): (name: Name, context: object) => string {
  const pages = environment()
  const compiled = new Map<string, (context: object) => string>()
  for (const [name, source] of Object.entries<string>(sources)) {
    const page = pages.compile<object>(source, OPTIONS)
    pages.registerPartial(name, page)
    compiled.set(name, (context) => page(context))
  }
  return (name, context) => compiled.get(name)!(context)
}
