import { startScheduler } from '../jobs/startScheduler.ts'
import { startPortal } from '../portal/startPortal.ts'
import { startConsole } from '../web/startConsole.ts'
import type { ImportReport } from '../importers/importReport.ts'
import type { Context } from './context.ts'
import { demonstrate } from './demonstrate.ts'
import { startDemonstrationDrop, type DemonstrationDrop } from './demonstrateDrop.ts'
import { openInstallation, portalParts, type Installation } from './installation.ts'
import { openLog } from './log.ts'
import { bold, count, dim, duration, EXIT, green, number, type ExitStatus } from './output.ts'
import { untilToldToEnd } from './runProcess.ts'

/** `muster up`: everything in one go; stays until it is told to end. */
export async function bringUp(context: Context): Promise<ExitStatus> {
  const { out } = context
  const begun = performance.now()
  const config = context.config()
  // Log lines would stand between the lines for people; what goes wrong is still said.
  const log = openLog(config.logLevel === 'info' && !out.json ? 'warn' : config.logLevel)
  out.progress('starting PostgreSQL')
  const installation = await openInstallation(config, log, { migrate: true, quiet: (line) => out.progress(line) })
  const told = untilToldToEnd()
  const closing: (() => unknown)[] = [() => installation.close()]
  try {
    out.progress('starting worker, scheduler, console and portal')
    const page = await openConsole(installation)
    closing.unshift(() => page.close())
    const portal = await openPortal(installation)
    closing.unshift(() => portal.close())
    await installation.startWorker({ publicUrl: config.publicUrl ?? portal.url, consoleUrl: page.url })
    // An embedded worker brings its own.
    if (!installation.embedded) {
      const scheduler = await startScheduler(installation.queues, log)
      closing.unshift(() => scheduler.close())
    }
    const reports = installation.embedded ? await demonstrate(installation, out) : []
    const drop = await startDemonstrationDrop(installation, (start) => onPort('DROP_PORT', config.dropPort, config.dropPortIsDefault, start))
    if (drop) {
      closing.unshift(() => drop.rest())
      // A worker that is just looking at it finds it there to the end.
      closing.push(() => drop.close())
    }
    if (out.json) out.data({ up: { console: page.url, portal: portal.url, drop: dropDocument(drop), embedded: installation.embedded, migrated: installation.migrated, imports: reports } })
    else tell(context, page, portal, drop, reports, performance.now() - begun, installation)
    await told
    out.say()
    out.say('Ending: mails under way are seen to their end.')
  } finally {
    for (const close of closing) await close()
  }
  out.say('Muster is down. ./muster up or npm start brings it back, with everything in it.')
  return EXIT.done
}

type Page = { url: string; moved: boolean; close(): Promise<void> }

/** The console on its port. */
function openConsole({ config, database }: Installation): Promise<Page> {
  const mailboxHome = config.smtpUrl === null ? config.home : null
  return onPort('PORT', config.port, config.portIsDefault, (port) => startConsole({ database, mailboxHome, port }))
}

/** The portal on its port. */
function openPortal(installation: Installation): Promise<Page> {
  const { config } = installation
  return onPort('PORTAL_PORT', config.portalPort, config.portalPortIsDefault, (port) => startPortal({ ...portalParts(installation), port }))
}

/** Starts what listens on a port; on any other where nobody asked for this one and it is taken. */
async function onPort<Listening extends object>(setting: string, port: number, isDefault: boolean, start: (port: number) => Promise<Listening>): Promise<Listening & { moved: boolean }> {
  try {
    return { ...(await start(port)), moved: false }
  } catch (error) {
    if ((error as { code?: string }).code !== 'EADDRINUSE') throw error
    if (!isDefault) throw new Error(`Port ${port} is taken. Set ${setting} to another one, or to 0 for any that is free.`, { cause: error })
    return { ...(await start(0)), moved: true }
  }
}

/** What to do with the drop, and what to watch. */
const dropNext = ({ port, username, host, organization, feed }: DemonstrationDrop): [command: string, what: string][] => [
  [`sftp -P ${port} ${username}@${host}`, 'then: put fixtures/demonstration/joiners.csv'],
  [`./muster feed run ${feed} --organization ${organization}`, 'takes it in at once; by itself it does within a minute'],
  ['./muster feed list', 'a line a feed: all is well, or what to do'],
]

/** What is to be known of the portal's address. */
function aboutPortal({ publicUrl, smtpUrl }: Installation['config'], portal: Page): string {
  if (publicUrl !== null) return `  (listens on ${portal.url})`
  if (portal.moved) return '  (port 3001 is taken)'
  return smtpUrl === null ? '  (where the links of the mails lead)' : ''
}

/** As --json tells of it: never the password. */
const dropDocument = (drop: DemonstrationDrop | null): object | null => drop && { host: drop.host, port: drop.port, username: drop.username, passwordFile: drop.passwordFile, hostKey: drop.hostKey, folder: drop.folder, organization: drop.organization, feed: drop.feed }

function tell({ out }: Context, page: Page, portal: Page, drop: DemonstrationDrop | null, reports: readonly ImportReport[], elapsed: number, installation: Installation): void {
  const { config } = installation
  const parts = [installation.embedded ? 'embedded PostgreSQL' : 'your PostgreSQL', config.redisUrl === null ? 'queue in PostgreSQL' : 'queue in Redis', config.smtpUrl === null ? 'mails to the built-in mailbox' : 'mails through SMTP_URL']
  out.say(`${green('Muster is up')} after ${duration(elapsed)}: ${parts.join(', ')}.`)
  for (const { file, totals, users, deliveries, id } of reports) {
    out.say(`  ${bold(file.name.padEnd(16))} ${count(totals.read, 'row')} read: ${number(totals.created)} created, ${number(totals.updated)} updated, ${number(totals.rejected)} rejected; ${count(users.created, 'user')}, ${count(deliveries.owed, 'mail')} owed ${dim(`(import ${id})`)}`)
  }
  out.say()
  out.say(`  Console  ${bold(page.url)}${page.moved ? dim('  (port 3000 is taken)') : ''}`)
  out.say(`  Portal   ${bold(config.publicUrl ?? portal.url)}${dim(aboutPortal(config, portal))}`)
  if (config.smtpUrl === null) out.say(`  Mailbox  ${bold(`${page.url}/mailbox`)}`)
  if (drop) {
    out.say(`  Drop     ${bold(`sftp -P ${drop.port} ${drop.username}@${drop.host}`)}${dim(`  (password in ${drop.passwordFile}${drop.moved ? '; port 3022 is taken' : ''})`)}`)
    out.say(dim(`           its key is ${drop.hostKey}; feed "${drop.feed}" of ${drop.organization} looks at it every minute`))
  }
  out.say()
  out.say('  Try next, in another terminal:')
  const next: [command: string, what: string][] = [
    ...(reports[0] ? [[`./muster import errors ${reports[0].id} -o to-mend.xlsx`, 'the rejected rows, marked, to mend and take in again'] as [string, string]] : []),
    ['./muster users list --organization acme', 'who has an account now'],
    ['./muster template acme -o people.xlsx', "the organization's Excel template; fill it in, then"],
    ['./muster import people.xlsx --organization acme --preview', 'see what it would change'],
    ...(drop ? dropNext(drop) : []),
  ]
  const width = Math.max(...next.map(([command]) => command.length))
  for (const [command, what] of next) out.say(`    ${command.padEnd(width)}  ${dim(what)}`)
  out.say(dim('  Ctrl-C ends everything in order.'))
}
