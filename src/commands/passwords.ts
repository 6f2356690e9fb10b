import { randomBytes } from 'node:crypto'
import { unlink } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { chooseForPasswords, fetchReport, makePasswords, REPORT_MINUTES, storePasswords, type ReportedPassword } from '../accounts/passwordReports.ts'
import { nameUsers, selectUsers } from '../accounts/selectUsers.ts'
import { organizationId, organizationOfPasswordReport, readOrganization } from '../organizations/organizations.ts'
import { inertCell } from '../rules/inert.ts'
import { WHY_LEFT_OUT, type BulkFlags } from './bulk.ts'
import { confirmed, countLeftOut, nameLeftOut, namePeople, SHOWN_PEOPLE } from './confirm.ts'
import type { Context } from './context.ts'
import { CommandRefused } from './find.ts'
import { openToWrite } from './openToWrite.ts'
import { count, EXIT, number, table, yellow, type ExitStatus } from './output.ts'
import { nameUnknown, readSelection } from './readSelection.ts'
import { perform } from './rehearse.ts'

export type PasswordFlags = BulkFlags & { alsoRegistered?: boolean }

/** `muster users passwords`: new passwords that are not mailed but shown once, in a report that keeps for an hour (spec D2). */
export async function reportPasswords(context: Context, flags: PasswordFlags): Promise<ExitStatus> {
  const selection = await readSelection(flags)
  const { out } = context
  return context.with(async ({ database, secret, config, operator }) => {
    const id = await organizationId(database, flags.organization)
    const { key, name, settings } = await database.tenant(id, readOrganization)
    if (settings.login.sso) throw new CommandRefused('delivery.sso', `${name} signs in through SSO: there are no passwords to make.`)
    const alsoRegistered = flags.alsoRegistered ?? false
    const { chosen, people, unknown } = await database.tenant(id, async (tx) => {
      const { userIds, unknown: lines } = await selectUsers(tx, selection)
      const who = await chooseForPasswords(tx, userIds, alsoRegistered)
      return { chosen: who, people: await nameUsers(tx, who.userIds, SHOWN_PEOPLE), unknown: lines }
    })
    const { userIds, leftOut, registered, owed } = chosen
    if (userIds.length + leftOut.length === 0) throw new CommandRefused('users.nobody', `No user of ${key} is meant by this.`, `./muster users list --organization ${key} --filter … shows who fits.`)

    out.say(userIds.length === 0 ? 'Nobody would get a new password.' : `${count(userIds.length, 'user')} would get a new password:`)
    for (const line of namePeople(people, userIds.length)) out.say(line)
    if (registered > 0) out.say(yellow(`${count(registered, 'of them has', 'of them have')} a password in use: it is RESET, and stops working at once.`))
    if (owed > 0) out.say(yellow(`${count(owed, 'of them is', 'of them are')} owed a mail with credentials besides: when it leaves, the password in it replaces this one.`))
    for (const line of [...nameLeftOut(leftOut, WHY_LEFT_OUT), ...nameUnknown(unknown)]) out.say(line)
    const document = { action: 'users.passwords', organization: key, selected: userIds.length + leftOut.length, changed: userIds.length, reset: registered, alsoOwedCredentials: owed, people, leftOut: countLeftOut(leftOut, WHY_LEFT_OUT), unknown }
    if (userIds.length === 0) {
      if (leftOut.some(({ reason }) => reason.startsWith('already_'))) out.say('People who have a password in use are left alone; --also-registered resets theirs, too.')
      if (out.json) out.data({ ...document, confirmed: false, report: null })
      return EXIT.partly
    }
    if (!(await confirmed(context, flags.yes, `Make new passwords for ${count(userIds.length, 'user')}${registered > 0 ? `, and reset ${number(registered)} in use` : ''}?`))) {
      if (out.json) out.data({ ...document, confirmed: false, report: null })
      return EXIT.done
    }
    const made = await makePasswords(userIds, {
      policy: settings.password, random: randomBytes, cost: config.hashCost, lanes: availableParallelism(),
      progress: (done) => out.progress(`making passwords: ${number(done)} of ${number(userIds.length)}`),
    })
    out.settle()
    const report = await perform(database, id, (tx) => storePasswords(tx, made, { operator, secret, random: randomBytes, alsoRegistered, mustChange: settings.password.mustChange }))
    if (!report) throw new CommandRefused('users.changed', 'Meanwhile somebody else has changed these users, so that none of them may get a new password.', 'Run the command again to see why.')
    if (out.json) out.data({ ...document, changed: report.userIds.length, confirmed: true, report: { id: report.id, users: report.userIds.length, expiresAt: report.expiresAt.toISOString() } })
    else {
      out.say(`${count(report.userIds.length, 'new password')} ${report.userIds.length === 1 ? 'is' : 'are'} in force. Report ${report.id} shows ${report.userIds.length === 1 ? 'it' : 'them'} once, within ${REPORT_MINUTES} minutes:`)
      out.say(`  ./muster users report ${report.id} -o FILE.csv`)
    }
    return leftOut.length + report.leftOut.length + unknown.length > 0 ? EXIT.partly : EXIT.done
  })
}

/** `muster users report ID [-o FILE]`: shows it once, and it is gone. */
export function showReport(context: Context, reportId: string, { output }: { output?: string }): Promise<ExitStatus> {
  const { out } = context
  return context.with(async ({ database, secrets, operator }) => {
    const organization = /^\d{1,18}$/.test(reportId) ? await organizationOfPasswordReport(database, reportId) : null
    if (organization === null) throw new CommandRefused('report.unknown', `There is no report ${JSON.stringify(reportId)}.`, 'Make new passwords: ./muster users passwords')
    const fetch = (handOver: (lines: readonly ReportedPassword[]) => Promise<void>): Promise<ReportedPassword[]> => fetchReport(database, organization, reportId, operator, secrets, handOver)
    if (output === undefined) {
      await fetch(async (lines) => {
        if (out.json) out.data({ report: { id: reportId, users: lines.length, passwords: lines } })
        else for (const line of table(['username', 'name', 'e-mail', 'password'], lines.map(({ username, firstName, lastName, email, password }) => [username, `${firstName} ${lastName}`, email ?? '', password]))) out.say(line)
        await out.written()
      })
      return EXIT.done
    }
    const lines = await fetchInto(output, fetch)
    if (out.json) out.data({ report: { id: reportId, users: lines.length, file: output } })
    else out.say(`${count(lines.length, 'password')} written to ${output}, readable by you alone. The report is gone; hand them over, and remove the file.`)
    return EXIT.done
  })
}

/** Fetches the report into a new file of its own. It is on the disk before the report is used up; where that fails, there is no file. */
async function fetchInto(output: string, fetch: (handOver: (lines: readonly ReportedPassword[]) => Promise<void>) => Promise<ReportedPassword[]>): Promise<ReportedPassword[]> {
  // Never over a file that is there: it may hold the passwords of this very report.
  const file = await openToWrite(output, output, { onlyNew: true })
  try {
    return await fetch(async (lines) => {
      try {
        await file.writeFile(csvOf(lines))
        await file.sync()
      } catch (error) {
        throw new CommandRefused('file.not_writable', `${output} cannot be written: ${(error as Error).message}.`, 'The report is still there: name another path with -o.')
      }
    })
  } catch (error) {
    await unlink(output)
    throw error
  } finally {
    await file.close()
  }
}

/** As a spreadsheet opens it: with a byte order mark, nothing in it runs as a formula. */
function csvOf(lines: readonly ReportedPassword[]): string {
  const rows = [['Username', 'First Name', 'Last Name', 'Email', 'Password'], ...lines.map(({ username, firstName, lastName, email, password }) => [username, firstName, lastName, email ?? '', password])]
  return `\uFEFF${rows.map((row) => `${row.map((cell) => quoted(inertCell(cell))).join(',')}\r\n`).join('')}`
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
