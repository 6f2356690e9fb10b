import { checkTemplate, problemOf, type TemplateProblem } from './check.ts'
import { leaksSecret, readOn, START } from './place.ts'
import { exampleVariables, variablesOf, type Purpose, type PurposeVariables } from './purposes.ts'
import { compileTemplate, renderTemplate, type RenderedMail } from './render.ts'
import type { TemplateSource } from './source.ts'

/** Characters of a part; mail programs cut what is half as long. */
const LONGEST = 200_000

/**
 * Everything that keeps an organization's own wording from being published (spec D5): what checkTemplate finds; and in a sound template, a
 * part that says nothing, and a password or link that would be left out, or stand in the subject. Empty when it can be published.
 */
export function checkPublication(purpose: Purpose, source: TemplateSource): TemplateProblem[] {
  const tooLong = PARTS.filter((part) => source[part].length > LONGEST)
  if (tooLong.length > 0) return tooLong.map((part) => problemOf('template.too_long', part, 1))
  const problems = checkTemplate(purpose, source)
  return problems.length > 0 ? problems : checkRendered(purpose, source)
}

const PARTS = ['subject', 'text', 'html'] as const

function checkRendered(purpose: Purpose, source: TemplateSource): TemplateProblem[] {
  const compiled = compileTemplate(purpose, source)
  const mails = occasions(purpose).map((variables) => renderTemplate(compiled, variables))
  const problems = PARTS.filter((part) => mails.some((mail) => isBlank(mail, part))).map((part) => problemOf('template.blank', part, 1))
  for (const [name, variable] of Object.entries(variablesOf(purpose))) {
    if (variable.kind === 'flag' || variable.kind === 'list' || !variable.secret) continue
    if (mails.some(({ subject }) => subject.includes(variable.example))) problems.push(problemOf('template.secret_in_subject', 'subject', 1, name))
    for (const part of ['text', 'html'] as const) if (mails.some((mail) => !mail[part].includes(variable.example))) problems.push(problemOf('template.secret_missing', part, 1, name))
    if (mails.some(({ html }) => isInTag(html, variable.example))) problems.push(problemOf('template.secret_in_attribute', 'html', 1, name))
    for (const part of ['text', 'html'] as const) if (mails.some((mail) => isInAddress(part === 'html' ? mail.html.replace(/<[^>]*>/g, ' ') : mail.text, variable.example))) problems.push(problemOf('template.secret_in_address', part, 1, name))
  }
  return problems
}

/**
 * Whether a secret stands within a tag other than as the whole address of a link: in a picture's address it would be told to that host as soon as
 * the mail is opened. Looked at in rendered mails, so that no branch of a template hides it.
 */
function isInTag(html: string, secret: string): boolean {
  const pieces = html.split(secret)
  let place = START
  return pieces.slice(0, -1).some((piece, index) => {
    place = readOn(place, piece, () => undefined)
    const leaks = leaksSecret(place, pieces[index + 1]!)
    place = readOn(place, secret, () => undefined)
    return leaks
  })
}

/** Whether a secret goes on from an address that is not its own: mail programs make links of addresses in plain text, too. */
const isInAddress = (text: string, secret: string): boolean => text.split(secret).slice(0, -1).some((before) => /(?:[a-z][a-z0-9+.-]*:\/\/|\bwww\.)[^\s<>"']*$/i.test(before))

const isBlank = (mail: RenderedMail, part: keyof TemplateSource): boolean =>
  (part === 'html' ? mail.html.replace(/<!--[\s\S]*?-->|<(style|title)\b[\s\S]*?<\/\1>|<[^>]*>|&[\w#]+;/gi, '') : mail[part]).trim() === ''

/** With more than so many variables that come and go, a mail is looked at with all of them and with none. */
const COMBINED = 6

/** Whatever may be left out given or not, every flag set or not, in all combinations: a mail has to be whole each time. */
function occasions<P extends Purpose>(purpose: P): PurposeVariables[P][] {
  const catalog = variablesOf(purpose)
  const examples: object = exampleVariables(purpose)
  const optional = Object.keys(catalog).filter((name) => catalog[name]!.kind === 'flag' || !catalog[name]!.always)
  const choices = optional.length > COMBINED ? [0, -1] : Array.from({ length: 2 ** optional.length }, (_, bits) => bits)
  return choices.map((bits) => {
    const without = optional.map((name, index) => {
      const given = (bits & (1 << index)) !== 0
      return [name, catalog[name]!.kind === 'flag' ? given : given ? (examples as Record<string, unknown>)[name] : null]
    })
    return { ...examples, ...Object.fromEntries(without) } as PurposeVariables[P]
  })
}
