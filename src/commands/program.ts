import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { SettingsRefused, type Environment } from '../config.ts'
import * as apiKeys from './apiKeys.ts'
import { takeBounces, type BounceFlags } from './bounces.ts'
import { contextOf, type Context } from './context.ts'
import { DELIVERY_PURPOSES, DELIVERY_STATES } from '../entities/states.ts'
import { declareFeeds } from './declareFeeds.ts'
import { declareIdentity } from './declareIdentity.ts'
import { CONTACT_FILTERS, declareUsers, USER_FILTERS, type DeclareCommand } from './declareUsers.ts'
import * as deliveries from './deliveries.ts'
import { examine } from './doctor.ts'
import * as imports from './import.ts'
import * as mailbox from './mailbox.ts'
import * as mails from './mailTemplates.ts'
import { migrateAll } from './installation.ts'
import * as organization from './organization.ts'
import { EXIT, inert, openOutput, red, type ExitStatus, type Output } from './output.ts'
import * as people from './people.ts'
import { showAudit } from './showUser.ts'
import * as releases from './release.ts'
import { resealSecrets } from './secret.ts'
import { undoOneImport } from './undoImport.ts'
import { bringUp } from './up.ts'

type Run = (context: Context) => Promise<ExitStatus>

/**
 * Runs a command line, as in process.argv, and gives its exit status (interface.md): 0 done, 2 done in part, 1 refused, 64 wrong usage.
 * Everything that goes wrong is told on standard error, and under --json as one document on standard output too.
 */
export async function runCommand(argv: readonly string[], environment: Environment): Promise<ExitStatus> {
  let chosen: Run | undefined
  let json = argv.includes('--json')
  const program = declare((run, flags) => {
    chosen = run
    json ||= flags['json'] === true
  })
  try {
    await program.parseAsync(withImpliedWords(argv))
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return EXIT.done
    if (json) process.stdout.write(`${JSON.stringify({ error: { code: 'usage.wrong', message: error.message.replace(/^error: /, ''), hint: '--help shows what is possible.' } })}\n`)
    return EXIT.usage
  }
  if (!chosen) return EXIT.usage
  process.stdout.on('error', readOn)
  const out = openOutput(json, process.stdout, process.stderr, () => performance.now())
  try {
    return await chosen(contextOf(out, environment))
  } catch (error) {
    return tellRefusal(error as Error & { code?: string; hint?: string | null }, out)
  }
}

/** Whoever reads may have seen enough and closed the pipe (`| head`): the command comes to its end all the same. */
function readOn(error: Error & { code?: string }): void {
  if (error.code !== 'EPIPE') throw error
}

const IMPORT_WORDS = new Set(['file', 'commit', 'show', 'list', 'errors', 'cancel', 'undo', 'help', '-h', '--help'])

/** `import FILE` stands for `import file FILE`, whether options stand before it or behind; `mailbox` alone for `mailbox list`. */
function withImpliedWords(argv: readonly string[]): string[] {
  const [node, script, command, next, ...rest] = argv
  if (command === 'import' && next !== undefined && !IMPORT_WORDS.has(next)) return [node!, script!, command, 'file', next, ...rest]
  if (command === 'mailbox' && (next === undefined || next === '--json')) return [node!, script!, command, 'list', ...argv.slice(3)]
  return [...argv]
}

function tellRefusal(error: Error & { code?: string; hint?: string | null }, out: Output): ExitStatus {
  const message = error.message || String(error.code ?? error)
  const hint = error.hint ?? (error.code === 'ECONNREFUSED' ? 'Is the server running? ./muster doctor looks at every part.' : null)
  out.remark(`${red('Refused.')} ${inertLines(message)}`)
  if (hint) out.remark(`  ${inert(hint)}`)
  if (out.json) out.data({ error: { code: error.code ?? (error instanceof SettingsRefused ? 'settings.refused' : 'unexpected'), message, hint, ...('problems' in error && { problems: error.problems }) } })
  return error.code?.startsWith('usage.') ? EXIT.usage : EXIT.refused
}

const inertLines = (text: string): string => text.split('\n').map(inert).join('\n')

const collect = (value: string, all: string[] | undefined): string[] => [...(all ?? []), value]
const whole = (value: string): number => {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('Give a whole number.')
  return Number(value)
}

/** Every command, as it is written: "import commit". */
export function commandNames(): string[] {
  const leaves = (command: Command, path: readonly string[]): string[] => (command.commands.length === 0 ? [path.join(' ')] : command.commands.flatMap((below) => leaves(below, [...path, below.name()])))
  return leaves(declare(() => undefined), [])
}

/**
 * The command that a line, as in process.argv, stands for: "import commit". Reads it as runCommand does, and runs nothing; a test
 * holds the documents to it. Throws commander's CommanderError where the line is none of ours.
 */
export async function commandOf(argv: readonly string[]): Promise<string> {
  let path: string[] = []
  const program = declare(() => undefined).hook('preAction', (_, chosen) => {
    for (let command: Command | null = chosen; command?.parent; command = command.parent) path = [command.name(), ...path]
  })
  await program.parseAsync(withImpliedWords(argv))
  return path.join(' ')
}

/** Declares every command. `choose` is told what to run; nothing runs while the line is read. */
function declare(choose: (run: Run, flags: Record<string, unknown>) => void): Command {
  const program = new Command('muster').description('Brings people on board in bulk: files in; contacts, users and mails out.').exitOverride().showHelpAfterError('(--help shows what is possible)')
  /** Adds a command whose action only says what is to be run. */
  const add = <Flags extends object>(parent: Command, usage: string, description: string, run: (context: Context, args: string[], flags: Flags) => Promise<ExitStatus>, options: Option[] = []): Command => {
    const command = parent.command(usage).description(description).exitOverride().showHelpAfterError('(--help shows what is possible)')
    for (const option of [...options, new Option('--json', 'one JSON document on standard output')]) command.addOption(option)
    return command.action((...given: unknown[]) => {
      // Commander hands over the arguments, then the options, then the command.
      const flags = command.optsWithGlobals<Flags & Record<string, unknown>>()
      const args = given.slice(0, -2).flat().filter((value): value is string => typeof value === 'string')
      choose((context) => run(context, args, flags), flags)
    })
  }
  const organizationOption = new Option('--organization <key>', 'the organization; required').makeOptionMandatory()
  const outputOption = (otherwise: string): Option => new Option('-o, --output <file>', `where to write; ${otherwise}`)
  const limitOption = new Option('--limit <count>', 'how many lines; 100 without it, all with --json').argParser(whole)

  add(program, 'up', 'everything in one go: embedded parts, migrations, worker, scheduler, console', bringUp)
  add(program, 'migrate', 'brings the database to this version', async (context) => {
    const { databaseUrl } = context.config()
    const applied = databaseUrl === null ? await context.with(async ({ migrated }) => migrated) : await migrateAll(databaseUrl)
    if (context.out.json) context.out.data({ applied })
    else context.out.say(applied.length === 0 ? 'The database is at this version.' : `Applied: ${applied.join(', ')}`)
    return EXIT.done
  })

  const organizations = program.command('organization').description('clients, their settings and catalog')
  add(organizations, 'apply <file>', 'creates or updates an organization from its declaration; harmless to repeat', (context, [file]) => organization.applyOrganization(context, file!))
  add(organizations, 'show <key>', 'its declaration, as JSON that can be applied again', (context, [key]) => organization.showOrganization(context, key!))
  add(organizations, 'list', 'all organizations', organization.listAllOrganizations)
  add<{ output?: string }>(program, 'template <key>', "the organization's Excel template", (context, [key], flags) => organization.writeOrganizationTemplate(context, key!, flags), [outputOption('KEY-people.xlsx without it')])

  const importing = program.command('import').description('takes files in (muster import file --help shows the options)').usage('FILE --organization KEY [options] | commit ID | show ID | list | errors ID | cancel ID | undo ID').enablePositionalOptions()
  add<imports.ImportFlags>(importing, 'file <file>', 'takes a file in (the word "file" may be left out)', (context, [file], flags) => imports.importFile(context, file!, flags), [
    organizationOption,
    new Option('--mapping <name>', 'a saved mapping to read the columns by'),
    new Option('--preview', 'stop before anything changes, and print the plan'),
    new Option('--delivery <when>', 'when the mails owed may go: none, now, or a date in the organization\'s zone such as "2026-12-01 08:00"; without it they are held'),
    new Option('--save-mapping <name>', 'keep how the columns were read under this name'),
    new Option('--set-column <header=field>', 'read a column as a field, "ignore", or "attribute:Name"; may be repeated').argParser(collect),
    new Option('--sheet <name>', 'the sheet to read; otherwise the first visible one'),
  ])
  add(importing, 'commit <id>', 'carries out exactly the plan that was previewed', (context, [id]) => imports.commitImport(context, id!))
  add(importing, 'show <id>', 'an import, its totals and problems', (context, [id]) => imports.showOneImport(context, id!))
  add<{ organization?: string; limit: number }>(importing, 'list', 'the latest imports', (context, _, flags) => imports.listAllImports(context, flags), [
    new Option('--organization <key>', 'of this organization only'),
    new Option('--limit <count>', 'how many').argParser(whole).default(20),
  ])
  add<{ output?: string }>(importing, 'errors <id>', 'the rejected rows as a file to mend and take in again', (context, [id], flags) => imports.writeImportErrors(context, id!, flags), [outputOption('a CSV goes to standard output without it')])
  add<{ yes?: boolean }>(importing, 'undo <id>', 'puts back what an import changed and nobody changed since; shows it first, and asks', (context, [id], flags) => undoOneImport(context, id!, flags), [new Option('--yes', 'go ahead without asking')])
  add(importing, 'cancel <id>', 'gives up an import that is not committed', (context, [id]) => imports.cancelOneImport(context, id!))

  const filterOption = (says: string): Option => new Option('--filter <filter>', says).argParser(collect)
  const contacts = program.command('contacts').description('people and parties')
  add<people.ListFlags>(contacts, 'list', 'contacts of an organization', (context, _, flags) => people.listContactLines(context, flags), [organizationOption, filterOption(CONTACT_FILTERS), limitOption])
  const users = program.command('users').description('accounts, each made from a contact')
  add<people.ListFlags>(users, 'list', 'users of an organization', (context, _, flags) => people.listUserLines(context, flags), [organizationOption, filterOption(USER_FILTERS), limitOption])
  /** Adds commands that are declared in a file of their own below `parent`. */
  const below = (parent: Command): DeclareCommand => (usage, description, run, options) => {
    add(parent, usage, description, run, options.map(({ flags, says, many, needed }) => {
      const option = new Option(flags, says).makeOptionMandatory(needed === true)
      return many ? option.argParser(collect) : option
    }))
  }
  declareUsers(below(users))
  declareIdentity(below(program.command('identity').description('questions about who somebody is, which files raise and people decide')))
  declareFeeds(below(program.command('feed').description("standing arrangements with clients' SFTP servers")))

  const ledger = program.command('deliveries').description('the ledger of mails')
  add<deliveries.DeliveryFlags>(ledger, 'list', 'mails owed, sent and failed', (context, _, flags) => deliveries.listDeliveryLines(context, flags), [
    new Option('--organization <key>', 'of this organization only'),
    new Option('--state <state>', `in this state only: ${DELIVERY_STATES.join(', ')}`),
    new Option('--purpose <purpose>', `for this purpose only: ${DELIVERY_PURPOSES.join(', ')}`),
    new Option('--import <id>', 'owed by this import only'),
    new Option('--release <id>', 'of this release only'),
    limitOption,
  ])
  add(ledger, 'show <id>', 'one mail with everything that was tried', (context, [id]) => deliveries.showOneDelivery(context, id!))
  add<deliveries.ReleaseFlags>(ledger, 'release', 'lets held mails go', (context, _, flags) => deliveries.releaseDeliveries(context, flags), [
    new Option('--import <id>', 'those that this import owes; required').makeOptionMandatory(),
    new Option('--at <date>', 'not before this date in the organization\'s zone, such as "2026-12-01 08:00"; at once without it'),
  ])
  add(ledger, 'retry <id>', 'sends a failed one again, with a new secret', (context, [id]) => deliveries.retryDelivery(context, id!))
  add<{ as: string }>(ledger, 'resolve <id>', 'decides about one whose end is unknown', (context, [id], flags) => deliveries.resolveDelivery(context, id!, flags), [
    new Option('--as <what>', 'sent, or not-sent: then it is sent again').makeOptionMandatory(),
  ])

  add<BounceFlags>(program, 'bounces [files...]', 'takes in mails that came back: files, "-" for standard input (a message or an mbox), or a folder', (context, files, flags) => takeBounces(context, files, flags), [
    new Option('--folder <dir>', 'a Maildir, or a folder of .eml files; what was read is moved to its cur/ or read/'),
  ])

  const mail = program.command('mail').description("an organization's own wording of its mails")
  const languageOption = new Option('--language <code>', "en, es, fr or de; the organization's own without it")
  const userOption = new Option('--user <username>', 'whom it is shown for; the first active user without it')
  add<mails.MailFlags>(mail, 'templates', "every mail, and whether its wording is the default or the organization's own", (context, _, flags) => mails.listMailTemplates(context, flags), [organizationOption])
  add<mails.MailFlags>(mail, 'show <purpose>', 'the wording that is mailed, to read or to start from', (context, [purpose], flags) => mails.showMailTemplate(context, purpose!, flags), [
    organizationOption,
    languageOption,
    new Option('-o, --output <folder>', 'where to write subject.hbs, text.hbs and html.hbs; it is printed without it'),
  ])
  add(mail, 'variables <purpose>', 'what a template of this mail can use', (context, [purpose]) => mails.listMailVariables(context, purpose!))
  add<{ purpose: string }>(mail, 'check <folder>', 'everything that would keep a template from being published', (context, [folder], flags) => mails.checkMailTemplate(context, folder!, flags), [
    new Option('--purpose <purpose>', 'the mail that it is for; required').makeOptionMandatory(),
  ])
  add<mails.MailFlags>(mail, 'publish <purpose> <folder>', "makes a folder's template the organization's wording, from the next mail on", (context, [purpose, folder], flags) => mails.publishMailTemplate(context, purpose!, folder!, flags), [organizationOption, languageOption])
  add<mails.MailFlags>(mail, 'withdraw <purpose>', 'goes back to the default wording', (context, [purpose], flags) => mails.withdrawMailTemplate(context, purpose!, flags), [organizationOption, languageOption])
  add<mails.MailFlags>(mail, 'preview <purpose>', 'a mail as it would be made for a real user, with example secrets', (context, [purpose], flags) => mails.previewMailTemplate(context, purpose!, flags), [organizationOption, languageOption, userOption, outputOption('only the text is shown without it')])
  add<mails.MailFlags & { to: string }>(mail, 'test <purpose>', 'sends such a mail to an operator, marked as a test', (context, [purpose], flags) => mails.testMailTemplate(context, purpose!, flags), [
    organizationOption,
    languageOption,
    userOption,
    new Option('--to <address>', "one of the organization's operators; required").makeOptionMandatory(),
  ])

  const sealed = program.command('secret').description('what is kept under seal')
  add(sealed, 'reseal', 'seals everything anew after MUSTER_SECRET was changed; MUSTER_SECRET_PREVIOUS has to say what it was', resealSecrets)

  const keys = program.command('keys').description('API keys, by which a product asks whether a login is right')
  add<apiKeys.KeyFlags & { name: string }>(keys, 'create', 'makes a key and prints it, this once', (context, _, flags) => apiKeys.createApiKey(context, flags), [
    organizationOption,
    new Option('--name <name>', 'the product that will use it; required').makeOptionMandatory(),
  ])
  add<apiKeys.KeyFlags>(keys, 'list', 'the keys there are, by their first characters', (context, _, flags) => apiKeys.listApiKeys(context, flags), [organizationOption])
  add<apiKeys.KeyFlags>(keys, 'revoke <id>', 'makes a key void', (context, [id], flags) => apiKeys.revokeApiKey(context, id!, flags), [organizationOption])

  const releasing = program.command('release').description('go-lives: mails of many, on a date')
  const zoneOption = new Option('--zone <name>', "the IANA time zone of the date; the organization's without it")
  add<releases.CreateFlags>(releasing, 'create <name>', 'owes the chosen users a mail on a date; shows whom and when, and asks', (context, [name], flags) => releases.createOneRelease(context, name!, flags), [
    organizationOption,
    new Option('--filter <filter>', 'users who fit, as in users list; may be repeated, and all have to fit').argParser(collect),
    new Option('--users <file>', 'a file with a username, external id or e-mail address a line'),
    new Option('--id <id>', 'this user; may be repeated').argParser(collect),
    new Option('--import <id>', 'those whom this import owes mails; with others of these, of them only'),
    new Option('--all', 'everybody'),
    new Option('--purpose <purpose>', 'credentials or invitation; required').makeOptionMandatory(),
    new Option('--at <date>', 'not before this date, such as "2026-12-01 08:00", or now; required').makeOptionMandatory(),
    zoneOption,
    new Option('--rate <count>', "mails a minute over all workers; the organization's rate alone without it").argParser(whole),
    new Option('--first-wave <count>', 'so many leave first, and the rest after a look at them').argParser(whole),
    new Option('--rest-after <minutes>', 'from the first wave to the rest').argParser(whole).default(15),
    new Option('--yes', 'go ahead without asking'),
  ])
  add<{ organization?: string; limit: number }>(releasing, 'list', 'the latest releases', (context, _, flags) => releases.listAllReleases(context, flags), [
    new Option('--organization <key>', 'of this organization only'),
    new Option('--limit <count>', 'how many').argParser(whole).default(20),
  ])
  add<{ follow?: boolean }>(releasing, 'show <id>', 'a release, its schedule and how far it is', (context, [id], flags) => releases.showOneRelease(context, id!, flags), [
    new Option('--follow', 'until it has ended or is frozen'),
  ])
  add<{ at: string; zone?: string }>(releasing, 'move <id>', 'gives what has not left another date', (context, [id], flags) => releases.moveOneRelease(context, id!, flags), [
    new Option('--at <date>', 'not before this date, such as "2026-12-01 08:00", or now; required').makeOptionMandatory(),
    zoneOption,
  ])
  add(releasing, 'freeze <id>', 'stops it: nothing more leaves until it is resumed', (context, [id]) => releases.freezeOneRelease(context, id!))
  add(releasing, 'resume <id>', 'lets a frozen one go on', (context, [id]) => releases.resumeOneRelease(context, id!))
  add(releasing, 'cancel <id>', 'ends it for good: what has not left never will', (context, [id]) => releases.cancelOneRelease(context, id!))

  const box = program.command('mailbox').description('the built-in mailbox')
  add(box, 'list', 'mails it has taken', mailbox.listMessages)
  add(box, 'show <id>', 'shows one mail', (context, [id]) => mailbox.showOneMessage(context, id!))
  add<{ organization: string; limit?: number }>(program, 'audit', 'who did what, the latest first', (context, _, flags) => showAudit(context, flags), [organizationOption, new Option('--limit <count>', 'how many lines; 50 without it').argParser(whole)])
  add(program, 'doctor', 'looks at settings, database, queue, mail and what waits for a person', examine)
  return program
}
