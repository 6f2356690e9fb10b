import { createReadStream } from 'node:fs'
import { rename, stat, unlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { Writable } from 'node:stream'
import { listImports, type ImportReport } from '../importers/importReport.ts'
import { readPlan } from '../importers/readPlan.ts'
import { receiveFile, type ImportOptions } from '../importers/receive.ts'
import { writeErrors } from '../importers/writeErrors.ts'
import { cancelImport } from '../jobs/finishImport.ts'
import { beginCommit } from '../jobs/stageImport.ts'
import { listOrganizations, organizationId } from '../organizations/organizations.ts'
import { explainFailure } from '../rules/catalog.ts'
import { parseSetColumn, type ColumnTarget } from '../rules/columns.ts'
import { FIELDS } from '../rules/fields.ts'
import { ensureWorker, type Context } from './context.ts'
import { CommandRefused, findImport } from './find.ts'
import { followDeliveries, followImport, fullReport } from './followImport.ts'
import type { Installation } from './installation.ts'
import { openToWrite } from './openToWrite.ts'
import { readWish } from './readWish.ts'
import { count, EXIT, inert, number, table, type ExitStatus, type Output } from './output.ts'
import { showImport } from './showImport.ts'

export type ImportFlags = {
  organization: string
  mapping?: string
  preview?: boolean
  delivery?: string
  saveMapping?: string
  setColumn?: string[]
  sheet?: string
}

/** Rows of a plan that are printed, and that --json holds. */
const PLANNED_SHOWN = 12
const PLANNED_DATA = 1_000

/** `muster import FILE`: takes a file in, and follows it to its end or its preview. */
export async function importFile(context: Context, path: string, flags: ImportFlags): Promise<ExitStatus> {
  const { out } = context
  const found = await stat(path).catch(() => null)
  if (!found?.isFile()) {
    const { message, hint } = explainFailure('file.not_found', { path })
    throw new CommandRefused('file.not_found', message, hint)
  }
  const setColumns = readSetColumns(flags.setColumn ?? [])
  return context.with(async (installation) => {
    const { database, queues } = installation
    const organization = await organizationId(database, flags.organization)
    const options: ImportOptions = {
      delivery: await readWish(installation, organization, flags.delivery, '--delivery'),
      preview: flags.preview ?? false,
      mapping: flags.mapping ?? null,
      setColumns,
      saveMapping: flags.saveMapping ?? null,
      sheet: flags.sheet ?? null,
    }
    const importId = await receiveFile(database, organization, { name: basename(path), bytes: createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer> }, options)
    const ours = await ensureWorker(installation, out)
    await queues.wake('stage', { organizationId: organization, importId })
    return follow(installation, organization, importId, out, ours)
  })
}

/** Where no other worker is there, this process stays until the mails that may go have gone. */
async function follow(installation: Installation, organization: string, importId: string, out: Output, ours: boolean): Promise<ExitStatus> {
  const report = await followImport(installation, organization, importId, out)
  if (ours && report.state !== 'previewed') await followDeliveries(installation, organization, importId, out)
  await print(installation, organization, report, out)
  return exitOf(report)
}

async function print(installation: Installation, organization: string, report: ImportReport, out: Output): Promise<void> {
  const waiting = report.state === 'previewed' || report.state === 'held'
  const plan = waiting ? await installation.database.tenant(organization, (tx) => readPlan(tx, report.id, { after: 0, limit: out.json ? PLANNED_DATA : PLANNED_SHOWN })) : []
  if (out.json) return out.data({ import: report, ...(waiting ? { plan } : {}) })
  showImport(report, plan, out)
}

/** Warnings of rows whose mail was asked for and is not owed. */
const NOT_OWED = new Set(['delivery.sso', 'delivery.not_invitable', 'license.awaiting'])

function exitOf(report: ImportReport): ExitStatus {
  if (report.state === 'failed' || report.state === 'cancelled') return EXIT.refused
  const partly = report.totals.rejected + report.totals.held + report.users.withoutSeat > 0 || report.issues.some(({ code }) => NOT_OWED.has(code))
  return partly ? EXIT.partly : EXIT.done
}

/** `muster import commit ID`: carries out exactly the plan that was previewed. */
export function commitImport(context: Context, id: string): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const { database, queues } = installation
    const { organizationId: organization, stored } = await findImport(database, id)
    if (stored.state !== 'previewed') throw new CommandRefused('import.wrong_state', `Import ${id} is ${stored.state}; only a previewed one can be committed.`, `./muster import show ${id}`)
    const chunks = await database.tenant(organization, (tx) => beginCommit(tx, id))
    const ours = await ensureWorker(installation, context.out)
    for (const chunk of chunks) await queues.wake('commit', { organizationId: organization, importId: id, chunk })
    return follow(installation, organization, id, context.out, ours)
  })
}

/** `muster import show ID` */
export function showOneImport(context: Context, id: string): Promise<ExitStatus> {
  return context.with(async (installation) => {
    const { organizationId: organization } = await findImport(installation.database, id)
    const report = await installation.database.tenant(organization, (tx) => fullReport(tx, id))
    await print(installation, organization, report, context.out)
    return EXIT.done
  })
}

/** `muster import list` */
export function listAllImports(context: Context, flags: { organization?: string; limit: number }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const organizations = flags.organization ? [{ id: await organizationId(database, flags.organization) }] : await listOrganizations(database)
    const reports: ImportReport[] = []
    for (const { id } of organizations) {
      await database.tenant(id, async (tx) => {
        for (const stored of await listImports(tx, flags.limit)) reports.push({ ...(await fullReport(tx, stored.id)), issues: [] })
      })
    }
    reports.sort((a, b) => Number(b.id) - Number(a.id))
    const shown = reports.slice(0, flags.limit)
    if (out.json) out.data({ imports: shown })
    else if (shown.length === 0) out.say('No imports yet. Take a file in: ./muster import FILE --organization KEY')
    else for (const line of table(['id', 'organization', 'file', 'state', 'read', 'created', 'updated', 'rejected', 'held', 'received (UTC)'], shown.map(rowOf))) out.say(line)
    return EXIT.done
  })
}

const rowOf = ({ id, organization, file, state, totals, createdAt }: ImportReport): string[] => [
  id, organization, file.name, state, number(totals.read), number(totals.created), number(totals.updated), number(totals.rejected), number(totals.held), createdAt.slice(0, 16).replace('T', ' '),
]

/** `muster import errors ID [-o FILE]`: the rejected rows, as a file to mend. Without -o, CSV goes to standard output. */
export function writeImportErrors(context: Context, id: string, flags: { output?: string }): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { out } = context
    const { organizationId: organization, stored } = await findImport(database, id)
    if (stored.state === 'failed' || stored.source === null || stored.columns === null) throw new CommandRefused('import.not_read', `Import ${id} was not read: it has no rows to hand back.`, `./muster import show ${id}`)
    const path = flags.output
    if (path === undefined && stored.source.format === 'xlsx') throw new CommandRefused('usage.output', 'A workbook needs a file to go to.', `./muster import errors ${id} -o to-mend.xlsx`)
    if (path === undefined) {
      await writeErrors(database, organization, stored, standardOutput())
      return EXIT.done
    }
    // Written beside and renamed: a reader finds the whole file or none.
    const part = `${path}.part`
    const file = await openToWrite(part, path)
    try {
      const returned = await writeErrors(database, organization, stored, file.createWriteStream())
      await rename(part, path)
      if (out.json) out.data({ file: path, ...returned })
      else out.say(returned.rows === 0 ? `Import ${id} rejected no row; ${inert(path)} holds the header alone.` : `${count(returned.rows, 'row')} with ${count(returned.issues, 'problem')} written to ${inert(path)}. Mend them and take that file in.`)
      return EXIT.done
    } catch (error) {
      await unlink(part).catch(() => undefined)
      throw error
    }
  })
}

/** Standard output as a destination that may be ended without closing it for what comes after. */
function standardOutput(): Writable {
  return new Writable({
    write(part, _encoding, callback) {
      // Nobody reads on (`| head`): what is left is written to nobody.
      process.stdout.write(part, (error) => callback(process.stdout.destroyed ? null : error))
    },
  })
}

/** `muster import cancel ID` */
export function cancelOneImport(context: Context, id: string): Promise<ExitStatus> {
  return context.with(async ({ database }) => {
    const { organizationId: organization, stored } = await findImport(database, id)
    if (!(await database.tenant(organization, (tx) => cancelImport(tx, id)))) {
      throw new CommandRefused('import.wrong_state', `Import ${id} is ${stored.state} and cannot be cancelled.`, stored.state === 'committing' ? 'It is being written; wait for its end.' : 'It has ended.')
    }
    const report = await database.tenant(organization, (tx) => fullReport(tx, id))
    if (context.out.json) context.out.data({ import: report })
    else context.out.say(`Import ${id} is cancelled; nothing of it was changed.`)
    return EXIT.done
  })
}

function readSetColumns(texts: readonly string[]): Record<string, ColumnTarget> {
  const columns = new Map<string, ColumnTarget>()
  for (const text of texts) {
    const parsed = parseSetColumn(text)
    if (!parsed) throw new CommandRefused('usage.set_column', `--set-column ${JSON.stringify(text)} names no field.`, `Write --set-column "Header=field", "Header=ignore" or "Header=attribute:Name"; fields are ${FIELDS.map(({ name }) => name).join(', ')}.`)
    columns.set(parsed.header, parsed.target)
  }
  return Object.fromEntries(columns)
}
