import type { ImportReport } from '../importers/importReport.ts'
import type { PlannedRow } from '../importers/readPlan.ts'
import { bold, count, dim, green, inert, number, red, table, yellow, type Output } from './output.ts'

/** Problems that are printed; the rest are counted. */
const SHOWN_ISSUES = 20

/** Prints an import as an operator reads it: what came in, what became of it or will (the first rows of its plan), what to do next. */
export function showImport(report: ImportReport, plan: readonly PlannedRow[], out: Output): void {
  const { file, totals, users, deliveries } = report
  const kind = file.format === 'xlsx' ? `Excel workbook, sheet ${file.sheet}` : file.format === 'csv' ? `CSV, ${file.encoding}, ${delimiterName(file.delimiter)}` : 'nothing was read of it'
  out.say(`${bold(inert(file.name))}  ${dim(`import ${report.id} of ${report.organization}, ${number(file.bytes)} bytes, ${inert(kind)}`)}`)
  if (report.failure) {
    out.say(`${red('The file was refused.')} ${inert(report.failure.message)}`)
    out.say(`  ${inert(report.failure.hint)}`)
    out.say(dim(`  ${report.failure.code}; nothing was changed`))
    return
  }
  out.say(`  ${stateWord(report)}`)
  const cells = [`read ${number(totals.read)}`, `created ${number(totals.created)}`, `updated ${number(totals.updated)}`, `unchanged ${number(totals.unchanged)}`, `rejected ${number(totals.rejected)}`, `held ${number(totals.held)}`, `blank ${number(totals.blank)}`]
  out.say(`  rows   ${cells.join('   ')}${file.hiddenRows > 0 ? dim(`   (${number(file.hiddenRows)} of them hidden in the sheet)`) : ''}`)
  out.say(`  users  ${number(users.created)} created${users.updated > 0 ? `, ${number(users.updated)} updated` : ''}${users.notLoginable > 0 ? `, ${number(users.notLoginable)} cannot log in yet` : ''}${users.withoutSeat > 0 ? `, ${number(users.withoutSeat)} await a license` : ''}`)
  const waiting = deliveries.owed - deliveries.scheduled
  out.say(`  mails  ${number(deliveries.owed)} owed${deliveries.scheduled > 0 ? `, ${number(deliveries.scheduled)} scheduled` : ''}${waiting > 0 ? `, ${number(waiting)} held until released` : ''}${deliveries.notOwed > 0 ? `; ${count(deliveries.notOwed, 'new user')} get${deliveries.notOwed === 1 ? 's' : ''} no mail` : ''}`)
  for (const { count: users, message } of report.notOwed) if (report.notOwed.length > 1 || report.notOwed[0]?.reason !== 'not_asked_for') out.say(dim(`         ${number(users)}: ${message}`))
  if (report.deactivated > 0) out.say(`  gone   ${count(report.deactivated, 'person', 'people')} ${report.state === 'committed' ? 'deactivated' : 'to be deactivated'}: the file no longer names them`)
  for (const { count: people, message } of report.notDeactivated) out.say(`  ${yellow('stay')}   ${number(people)}: ${message}`)
  for (const { license, needed, free } of report.seats) out.say(`  seats  ${inert(license)}: ${number(needed)} of ${number(free)} free`)
  if (report.missingRoles.length > 0) out.say(`  ${yellow('roles')}  nobody holds ${report.missingRoles.map(inert).join(', ')}, which somebody must`)
  const ignored = report.columns.filter((column) => column.by === 'none')
  if (ignored.length > 0) {
    out.say(`  ${yellow('columns ignored:')} ${ignored.map((column) => `"${inert(column.header)}"${column.nearest ? ` (did you mean ${column.nearest}?)` : ''}`).join(', ')}  ${dim('--set-column "Header=field" maps a column')}`)
  }
  showIssues(report, out)
  if (totals.created + totals.updated + report.deactivated + deliveries.owed === 0 && report.state === 'committed') out.say(yellow(bold('  Nothing was changed by this import.')))
  showPlan(plan, report.totals.read, out)
  showNext(report, out)
}

function stateWord({ state }: ImportReport): string {
  if (state === 'committed') return green('committed')
  if (state === 'previewed') return yellow('previewed: nothing was changed yet')
  if (state === 'cancelled') return red('cancelled: nothing was changed')
  return yellow(state)
}

function showIssues(report: ImportReport, out: Output): void {
  if (report.issueCount === 0) return
  out.say()
  for (const issue of report.issues.slice(0, SHOWN_ISSUES)) {
    const mark = issue.severity === 'error' ? red('error  ') : yellow('warning')
    out.say(`  ${mark} row ${issue.row}${issue.column ? `, ${inert(issue.column)}` : ''}${issue.value === null || issue.value === '' ? '' : `: ${bold(inert(issue.value.slice(0, 60)))}`}`)
    out.say(`          ${inert(issue.message)} ${dim(inert(issue.hint))}`)
  }
  const more = report.issueCount - Math.min(report.issues.length, SHOWN_ISSUES)
  if (more > 0) out.say(dim(`          and ${count(more, 'more problem')}`))
}

function showNext(report: ImportReport, out: Output): void {
  const next: [command: string, does: string][] = []
  if (report.state === 'previewed') next.push([`./muster import commit ${report.id}`, 'carry out exactly this plan'], [`./muster import cancel ${report.id}`, 'discard this plan'])
  if (report.totals.rejected + report.totals.held > 0) next.push([`./muster import errors ${report.id} -o to-mend.${report.file.format ?? 'xlsx'}`, 'the rejected rows alone, marked; mend them and take that file in'])
  if (report.state === 'committed' && report.deliveries.owed > report.deliveries.scheduled) next.push([`./muster deliveries release --import ${report.id}`, 'let the held mails go'])
  if (next.length === 0) return
  out.say()
  const width = Math.max(...next.map(([command]) => command.length))
  for (const [command, does] of next) out.say(`  ${command.padEnd(width)}  ${dim(does)}`)
}

/** Prints the first rows of a plan: each row's fate. */
function showPlan(rows: readonly PlannedRow[], all: number, out: Output): void {
  if (rows.length === 0) return
  out.say()
  for (const line of table(
    ['row', 'fate', 'person', 'changes', 'username', 'mail'],
    rows.map((row) => [String(row.row), row.fate, row.name, changes(row), row.username ?? '', row.mail ?? '']),
  ))
    out.say(`  ${line}`)
  if (all > rows.length) out.say(dim(`  and ${count(all - rows.length, 'more row')}; --json holds the first thousand`))
}

const changes = (row: PlannedRow): string => Object.entries(row.changes).map(([field, { old, new: fresh }]) => `${field}: ${old ?? '(none)'} -> ${fresh ?? '(none)'}`).join(', ')

const delimiterName = (delimiter: string | null): string => ({ ',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'pipes' })[delimiter ?? ''] ?? `"${delimiter}"`
