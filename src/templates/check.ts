import { distance } from 'fastest-levenshtein'
import { HELPERS, parseTemplate, TemplateSyntax } from './handlebars.ts'
import type { Expression, Path, Program, Statement } from './handlebars.ts'
import { afterValue, judgePlace, readOn, riskier, samePlace, START } from './place.ts'
import type { Place } from './place.ts'
import { variablesOf } from './purposes.ts'
import type { Purpose, Variable } from './purposes.ts'
import type { TemplateSource } from './source.ts'

/** Why a template cannot be published (spec D5). {variable} and {nearest} stand for those of the problem. */
export const TEMPLATE_PROBLEMS = {
  'template.syntax': 'The template cannot be read: {reason}',
  'template.unknown_variable': 'There is no variable named {variable}.',
  'template.unknown_helper': 'There is no helper named {variable}; if, unless and each are known.',
  'template.unknown_partial': 'Templates cannot include others ({variable}).',
  'template.not_printable': '{variable} is no text: use it with if or each.',
  'template.not_a_list': '{variable} is no list, so that each cannot go through it.',
  'template.unescaped': '{variable} would be put in unescaped; write it with two braces.',
  'template.unsafe_place': '{variable} stands where escaping does not make it harmless: put it between tags or in a quoted attribute.',
  'template.unsafe_link': '{variable} could make a link run something: begin it with a variable that is an address.',
  'template.foreign_link': '{variable} would be told to whoever has the address in front of it: begin a link that holds variables with one that is an address.',
  'template.foreign_image': '{variable} would be told to whoever has the picture, as soon as the mail is opened: pictures of other hosts hold no variables.',
  'template.secret_in_attribute': '{variable} stands within a tag: put it between tags, or let it be the whole href of a link.',
  'template.secret_in_address': '{variable} stands within an address that mail programs make a link of: set it apart by a space.',
  'template.secret_missing': '{variable} is missing, at least at times: without it this mail is of no use.',
  'template.secret_in_subject': '{variable} has no place in the subject, which lists and notices show to whoever passes by.',
  'template.blank': 'Nothing stands in it, at least at times.',
  'template.too_long': 'It is longer than any mail should be.',
  'template.forbidden_element': 'Scripts, frames, forms and on… attributes have no place in a mail.',
} as const

export type TemplateProblemCode = keyof typeof TEMPLATE_PROBLEMS

export type TemplateProblem = {
  code: TemplateProblemCode
  part: keyof TemplateSource
  /** From 1, within the part. */
  line: number
  /** The name as it stands in the template. */
  variable?: string
  /** The known variable that was probably meant. */
  nearest?: string
  message: string
}

/** The names known at a place: those of the purpose, or of the fields of a list within {{#each}}. */
type Scope = Readonly<Record<string, Variable>>
type Report = (code: TemplateProblemCode, line: number, variable?: string, nearest?: string, reason?: string) => void

/**
 * Everything that keeps a template from being published, in the order subject, text, HTML; empty when it is sound.
 * A template without problems renders whatever its variables hold, and nothing that they hold can become markup.
 */
export function checkTemplate(purpose: Purpose, source: TemplateSource): TemplateProblem[] {
  const problems: TemplateProblem[] = []
  for (const part of ['subject', 'text', 'html'] as const) {
    const report: Report = (code, line, variable, nearest, reason) => void problems.push(problemOf(code, part, line, variable, nearest, reason))
    try {
      walk(parseTemplate(source[part]), [variablesOf(purpose)], part === 'html' ? START : null, report)
    } catch (error) {
      if (!(error instanceof TemplateSyntax)) throw error
      report('template.syntax', error.line, undefined, undefined, error.message)
    }
  }
  return problems
}

/** A problem with its sentence. */
export function problemOf(code: TemplateProblemCode, part: keyof TemplateSource, line: number, variable?: string, nearest?: string, reason = ''): TemplateProblem {
  const sentence = TEMPLATE_PROBLEMS[code].replace('{variable}', () => variable ?? 'This').replace('{reason}', () => reason)
  const message = nearest === undefined ? sentence : `${sentence} Did you mean ${nearest}?`
  return { code, part, line, ...(variable !== undefined && { variable }), ...(nearest !== undefined && { nearest }), message }
}

/** `place` is null outside HTML, where every place is alike. Gives the place after the program. */
function walk(program: Program | undefined, scopes: readonly Scope[], from: Place | null, report: Report): Place | null {
  if (program?.blockParams?.length) report('template.unknown_variable', program.body[0]?.loc.start.line ?? 1, `as |${program.blockParams.join(' ')}|`)
  return (program?.body ?? []).reduce<Place | null>((place, statement) => step(statement, scopes, place, report), from)
}

function step(statement: Statement, scopes: readonly Scope[], place: Place | null, report: Report): Place | null {
  const { line } = statement.loc.start
  switch (statement.type) {
    case 'CommentStatement':
      return place
    case 'ContentStatement':
      return place && readOn(place, statement.original, (code, linesBefore) => report(code, line + linesBefore))
    case 'MustacheStatement': {
      const name = nameOf(statement.path)
      if (statement.params.length > 0 || statement.hash?.pairs.length) {
        report('template.unknown_helper', line, name)
        return place
      }
      const variable = find(statement.path, scopes, line, report)
      if (!variable) return place
      if (variable.kind === 'flag' || variable.kind === 'list') report('template.not_printable', line, name)
      if (!place) return place
      if (!statement.escaped) report('template.unescaped', line, name)
      const danger = judgePlace(place, variable.kind === 'url')
      if (danger) report(danger, line, name)
      return afterValue(place)
    }
    case 'BlockStatement':
      return block(statement, scopes, place, report)
    case 'PartialStatement':
    case 'PartialBlockStatement':
      report('template.unknown_partial', line, nameOf(statement.name))
      return place
    default:
      report('template.unknown_helper', line, nameOf(statement.path))
      return place
  }
}

function block(statement: Statement & { type: 'BlockStatement' }, scopes: readonly Scope[], place: Place | null, report: Report): Place | null {
  const { line } = statement.loc.start
  const helper = nameOf(statement.path)
  const [subject, ...rest] = statement.params
  const known = (HELPERS as readonly string[]).includes(helper)
  let inner = scopes
  if (!known) report('template.unknown_helper', line, helper)
  else if (!subject || rest.length > 0 || statement.hash?.pairs.length) report('template.syntax', line, undefined, undefined, `${helper} takes one variable`)
  else {
    const variable = find(subject, scopes, line, report)
    if (helper === 'each' && variable) {
      if (variable.kind === 'list') inner = [variable.fields, ...scopes]
      else report('template.not_a_list', line, nameOf(subject))
    }
  }
  const afterProgram = walk(statement.program, inner, place, report)
  const afterInverse = walk(statement.inverse, scopes, place, report)
  if (afterProgram && afterInverse && !samePlace(afterProgram, afterInverse)) report('template.unsafe_place', line, `{{#${helper}}}`)
  return afterProgram && afterInverse && riskier(afterProgram, afterInverse)
}

const nameOf = (expression: Expression): string =>
  expression.type === 'PathExpression' ? expression.original : 'original' in expression ? String(expression.original) : expression.type === 'SubExpression' ? nameOf(expression.path) : '?'

const POSITIONS: Scope = {
  index: { kind: 'text', always: true, example: '0', means: 'position in the list, from 0' },
  first: { kind: 'flag', always: true, example: true, means: 'the first of the list' },
  last: { kind: 'flag', always: true, example: false, means: 'the last of the list' },
}

/** The variable that an expression names; reports and gives null where there is none. */
function find(expression: Expression, scopes: readonly Scope[], line: number, report: Report): Variable | null {
  const name = nameOf(expression)
  if (expression.type === 'SubExpression') {
    report('template.unknown_helper', line, name)
    return null
  }
  if (expression.type === 'PathExpression') {
    const [first, ...rest] = expression.parts
    const scope = expression.data ? (scopes.length > 1 && expression.depth === 0 ? POSITIONS : {}) : scopes[expression.depth]
    if (scope && first !== undefined && rest.length === 0 && Object.hasOwn(scope, first)) return scope[first] ?? null
  }
  report('template.unknown_variable', line, name, expression.type === 'PathExpression' ? nearestName(expression, scopes) : undefined)
  return null
}

/** The known name that differs by the fewest letters, if by no more than a third of them; with ../ where it is an outer one. */
function nearestName(path: Path, scopes: readonly Scope[]): string | undefined {
  const wanted = (path.parts.join('.') || path.original).toLowerCase()
  let best: string | undefined
  let fewest = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const [depth, scope] of scopes.entries()) {
    for (const name of Object.keys(scope)) {
      const slips = distance(wanted, name.toLowerCase())
      if (slips >= fewest) continue
      fewest = slips
      best = '../'.repeat(depth) + name
    }
  }
  return best
}
