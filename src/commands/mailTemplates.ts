import { randomBytes } from 'node:crypto'
import { Mailer, type Outcome } from '../deliveries/mailer.ts'
import { startMailbox } from '../embedded/mailbox.ts'
import type { DeliveryPurpose } from '../entities/states.ts'
import { listWordings, previewMail, publishWording, readWording, sendTest, type Preview } from '../jobs/mailTemplates.ts'
import { LANGUAGES } from '../organizations/declaration.ts'
import { withdrawOwnTemplate } from '../organizations/mailTemplates.ts'
import { organizationId, readOrganization } from '../organizations/organizations.ts'
import type { TemplateProblem } from '../templates/check.ts'
import { checkPublication } from '../templates/publication.ts'
import { PURPOSES, variablesOf, type Variable } from '../templates/purposes.ts'
import { TemplateRefused } from '../templates/render.ts'
import type { Language } from '../templates/source.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { openToWrite } from './openToWrite.ts'
import { count, dim, EXIT, inert, table, type ExitStatus } from './output.ts'
import { readTemplateFolder, writeTemplateFolder } from './templateFolder.ts'

export type MailFlags = { organization: string; language?: string; output?: string; user?: string; to?: string }

/** A template that cannot be published, told with every problem. */
class TemplateInvalid extends CommandRefused {
  readonly problems: readonly TemplateProblem[]
  constructor(purpose: DeliveryPurpose, problems: readonly TemplateProblem[]) {
    const lines = problems.map(({ part, line, message }) => `  ${part}.hbs, line ${line}: ${message}`)
    super('template.invalid', `The template cannot be published; it has ${count(problems.length, 'problem')}:\n${lines.join('\n')}`, `What it can use: ./muster mail variables ${purpose}`)
    this.problems = problems
  }
}

/** `muster mail templates`: every purpose and language, with whose wording is mailed. */
export function listMailTemplates(context: Context, flags: MailFlags): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const { language, templates } = await database.tenant(await organizationId(database, flags.organization), async (tx) => ({ language: (await readOrganization(tx)).language, templates: await listWordings(tx) }))
    if (out.json) {
      out.data({ organization: flags.organization, language, templates })
      return EXIT.done
    }
    const shown = templates.filter((template) => template.version !== null || template.language === language)
    for (const line of table(['purpose', 'language', 'wording', 'published (UTC)', 'by'], shown.map((template) => [
      template.purpose, template.language, template.version === null ? 'default' : `own, version ${template.version}`, template.publishedAt?.slice(0, 16).replace('T', ' ') ?? '', template.publishedBy ?? '',
    ]))) out.say(line)
    out.say(dim(`${inert(flags.organization)} is written to in ${language}. The defaults are there in ${LANGUAGES.join(', ')}.`))
    return EXIT.done
  })
}

/** `muster mail show PURPOSE [-o FOLDER]`: the wording that is mailed, to read or to start from. */
export function showMailTemplate(context: Context, purposeName: string, flags: MailFlags): Promise<ExitStatus> {
  const purpose = purposeOf(purposeName)
  return context.with(async ({ database }) => {
    const { out } = context
    const { language, version, source } = await database.tenant(await organizationId(database, flags.organization), async (tx) => {
      const language = await languageOf(tx, flags.language)
      return { language, ...(await readWording(tx, purpose, language)) }
    })
    if (flags.output !== undefined) await writeTemplateFolder(flags.output, source)
    const facts = { purpose, language, version }
    if (out.json) out.data({ ...facts, ...(flags.output === undefined ? source : { folder: flags.output }) })
    else if (flags.output !== undefined) out.say(`${inert(flags.output)} has ${whoseWording(facts)}. Change it, then: ./muster mail publish ${purpose} ${inert(flags.output)} --organization ${flags.organization} --language ${language}`)
    else {
      out.say(dim(whoseWording(facts)))
      for (const [part, text] of Object.entries(source)) sayPart(context, `${part}.hbs`, text)
    }
    return EXIT.done
  })
}

/** `muster mail check FOLDER --purpose PURPOSE`: everything that would keep it from being published; needs no database. */
export async function checkMailTemplate(context: Context, folder: string, flags: { purpose: string }): Promise<ExitStatus> {
  const purpose = purposeOf(flags.purpose)
  const problems = checkPublication(purpose, await readTemplateFolder(folder))
  if (problems.length > 0) throw new TemplateInvalid(purpose, problems)
  if (context.out.json) context.out.data({ purpose, problems })
  else context.out.say(`${inert(folder)} can be published for ${purpose}.`)
  return EXIT.done
}

/** `muster mail publish PURPOSE FOLDER`: the next mail is made of it. */
export async function publishMailTemplate(context: Context, purposeName: string, folder: string, flags: MailFlags): Promise<ExitStatus> {
  const purpose = purposeOf(purposeName)
  const source = await readTemplateFolder(folder)
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const published = await database
      .tenant(await organizationId(database, flags.organization), async (tx) => {
        const language = await languageOf(tx, flags.language)
        const mailedIn = (await readOrganization(tx)).language
        return { purpose, language, mailedIn, ...(await publishWording(tx, operator, purpose, language, source)) }
      })
      .catch((error: unknown) => {
        throw error instanceof TemplateRefused ? new TemplateInvalid(purpose, error.problems) : error
      })
    const { purpose: _, mailedIn, language } = published
    if (mailedIn !== language) out.remark(`${inert(flags.organization)} is written to in ${mailedIn}: this wording waits until its language is ${language}.`)
    if (out.json) out.data({ purpose, language, version: published.version, changed: published.changed })
    else if (published.changed) out.say(`Published: version ${published.version} of ${purpose} in ${published.language}. The next mail is made of it. Look at it: ./muster mail preview ${purpose} --organization ${flags.organization} --language ${published.language} -o preview.html`)
    else out.say(`That is what version ${published.version} of ${purpose} in ${published.language} says already; nothing was changed.`)
    return EXIT.done
  })
}

/** `muster mail withdraw PURPOSE`: back to the default. */
export function withdrawMailTemplate(context: Context, purposeName: string, flags: MailFlags): Promise<ExitStatus> {
  const purpose = purposeOf(purposeName)
  return context.with(async ({ database, operator }) => {
    const { out } = context
    const { language, withdrawn } = await database.tenant(await organizationId(database, flags.organization), async (tx) => {
      const language = await languageOf(tx, flags.language)
      return { language, withdrawn: await withdrawOwnTemplate(tx, operator, purpose, language) }
    })
    if (out.json) out.data({ purpose, language, withdrawn })
    else out.say(withdrawn ? `Withdrawn. The next mail has the default wording of ${purpose} in ${language}.` : `${inert(flags.organization)} has no wording of its own for ${purpose} in ${language}; nothing was changed.`)
    return EXIT.done
  })
}

/** `muster mail preview PURPOSE`: a mail with a real row and example secrets. */
export function previewMailTemplate(context: Context, purposeName: string, flags: MailFlags): Promise<ExitStatus> {
  const purpose = purposeOf(purposeName)
  return context.with(async ({ database, publicUrl }) => {
    const { out } = context
    const preview = await database.tenant(await organizationId(database, flags.organization), async (tx) =>
      previewMail(tx, { purpose, language: await languageOf(tx, flags.language), username: flags.user, publicUrl }))
    if (preview === null) throw unknownUser(flags)
    if (flags.output !== undefined) {
      await using file = await openToWrite(flags.output)
      await file.writeFile(preview.html)
    }
    if (out.json) {
      out.data({ ...preview, ...(flags.output !== undefined && { file: flags.output }) })
      return EXIT.done
    }
    out.say(dim(`${whoseWording(preview)}; ${shownFor(preview)}; passwords and links are examples`))
    out.say(`${dim('Subject')} ${inert(preview.subject)}`)
    if (flags.output === undefined) sayPart(context, 'text', preview.text)
    else out.say(`${inert(flags.output)} is its HTML: open it in a browser.`)
    return EXIT.done
  })
}

/** `muster mail test PURPOSE --to ADDRESS`: sends it to an operator of the organization, marked as a test. */
export function testMailTemplate(context: Context, purposeName: string, flags: MailFlags & { to: string }): Promise<ExitStatus> {
  const purpose = purposeOf(purposeName)
  return context.with(async ({ database, config, publicUrl, operator }) => {
    const { out } = context
    const id = await organizationId(database, flags.organization)
    const language = await database.tenant(id, (tx) => languageOf(tx, flags.language))
    const mailbox = config.smtpUrl === null ? await startMailbox(config.home, { port: 0 }) : null
    const mailer = new Mailer({ url: config.smtpUrl ?? mailbox!.url, connections: 1 })
    try {
      const tested = await sendTest({ database, mailer, publicUrl, operator, random: randomBytes }, id, flags.to, { purpose, language, username: flags.user })
      if (tested.is === 'nobody') throw unknownUser(flags)
      if (tested.is === 'stranger') throw stranger(flags, tested.operators)
      if (tested.outcome.is !== 'accepted') throw notSent(tested.outcome)
      const { subject } = tested.preview
      if (out.json) out.data({ purpose, language, to: flags.to, subject: `[Test] ${subject}`, response: tested.outcome.response })
      else out.say(`Sent to ${inert(flags.to)}, ${mailbox === null ? 'marked as a test' : 'which is the built-in mailbox here (./muster mailbox)'}: ${whoseWording(tested.preview)}, ${shownFor(tested.preview)}.`)
      return EXIT.done
    } finally {
      await mailer.close()
      await mailbox?.close()
    }
  })
}

/** `muster mail variables PURPOSE`: what a template of the purpose can use. */
export async function listMailVariables(context: Context, purposeName: string): Promise<ExitStatus> {
  const { out } = context
  const variables = Object.entries(variablesOf(purposeOf(purposeName))).flatMap(([name, variable]) => [{ name, ...lineOf(variable) }, ...fieldsOf(name, variable)])
  if (out.json) out.data({ purpose: purposeName, variables })
  else for (const line of table(['variable', 'kind', 'given', 'means'], variables.map(({ name, kind, always, means }) => [name, kind, always ? 'always' : 'at times', means]))) out.say(line)
  return EXIT.done
}

const lineOf = ({ kind, always, means }: Variable) => ({ kind, always, means })
const fieldsOf = (list: string, variable: Variable) => (variable.kind === 'list' ? Object.entries(variable.fields).map(([name, field]) => ({ name, ...lineOf(field), means: `${field.means}; within {{#each ${list}}}` })) : [])

const shownFor = ({ username }: Preview): string => (username === null ? 'for nobody: there is no user yet' : `for ${inert(username)}`)
const whoseWording = ({ purpose, language, version }: Pick<Preview, 'purpose' | 'language' | 'version'>): string => `${version === null ? 'the default' : `version ${version}`} of ${purpose} in ${language}`

function sayPart({ out }: Context, title: string, text: string): void {
  out.say()
  out.say(dim(title))
  for (const line of text.trimEnd().split('\n')) out.say(inert(line))
}

/** The purpose of this name; refuses with those there are. */
function purposeOf(name: string): DeliveryPurpose {
  if (Object.hasOwn(PURPOSES, name)) return name as DeliveryPurpose
  throw new CommandRefused('usage.purpose', `There is no mail named ${JSON.stringify(name)}.`, `Name one of ${Object.keys(PURPOSES).join(', ')}.`)
}

/** The language that was asked for, else that of the organization. */
async function languageOf(tx: Parameters<typeof readOrganization>[0], asked: string | undefined): Promise<Language> {
  const language = asked ?? (await readOrganization(tx)).language
  if ((LANGUAGES as readonly string[]).includes(language)) return language as Language
  throw new CommandRefused('usage.language', `--language ${JSON.stringify(language)} is none that mails are sent in.`, `Write one of ${LANGUAGES.join(', ')}.`)
}

const unknownUser = ({ user, organization }: MailFlags): CommandRefused => new CommandRefused('users.unknown', `${organization} has no user ${JSON.stringify(user)}.`, `./muster users list --organization ${organization} shows those there are.`)

function stranger({ to, organization }: MailFlags, operators: readonly string[]): CommandRefused {
  const known = operators.length === 0 ? 'It names none yet.' : `It names ${operators.join(', ')}.`
  return new CommandRefused('mail.not_an_operator', `${to} is no operator of ${organization}, and tests go to nobody else. ${known}`, 'Add the address to "operators" in the declaration, apply it (./muster organization apply FILE.json), and try again.')
}

function notSent(outcome: Exclude<Outcome, { is: 'accepted' }>): CommandRefused {
  const words = 'response' in outcome ? outcome.response : outcome.reason
  return new CommandRefused('mail.not_sent', `The mail server did not take the test: ${words}`, './muster doctor looks at the mail server.')
}
