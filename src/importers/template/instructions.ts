import { FIELDS } from '../../rules/fields.ts'
import type { FieldDefinition, FieldName } from '../../rules/fields.ts'
import type { SheetLayout, Style, WorkbookCell } from '../writeWorkbook.ts'
import type { Lists, TemplateOrder } from './values.ts'

const TITLE: Style = { bold: true, size: 18, color: '1F4E79', centered: true }
const SECTION: Style = { bold: true, size: 13, color: '1F4E79', centered: true }
const PLAIN: Style = { format: '@' }
const COMMAND: Style = { format: '@', color: '1F2A36', fill: 'EEF2F6', indented: true }
const HEAD: Style = { bold: true, color: 'FFFFFF', fill: '1F4E79', centered: true, indented: true }
const CELL: Style = { format: '@', wrap: true, indented: true, underlined: true }
const NAME: Style = { ...CELL, bold: true }
const NEEDED: Style = { ...CELL, bold: true, color: 'A33A00' }

/** Widths of the table's columns, in characters. */
const WIDTHS = [22, 22, 60, 46, 32] as const
/** Characters of a column's width that its indent takes. */
const INDENT = 2
/** Values of a list that are written out; the drop-down list has them all. */
const SHOWN = 12
const LINE = 15

export const INSTRUCTIONS_LAYOUT: SheetLayout = {
  name: 'Instructions',
  columns: WIDTHS.map(width => ({ width })),
  gridLines: false,
  onePageWide: true,
}

type InstructionRow = { cells: (WorkbookCell | null)[]; height?: number }

/** The sheet that explains the template: how to fill it in, how to hand it over, what each column means. */
export function* instructionRows(order: TemplateOrder, lists: Lists, example: Partial<Record<FieldName, string>>): Generator<InstructionRow> {
  const { key, name, timeZone } = order.organization
  yield heading(`People of ${name}`, TITLE, 34)

  yield heading('How to fill it in', SECTION, 26)
  for (const line of [
    'Write one person in each row of the sheet "People", below the header. Dark headers are required; an e-mail address is needed wherever a mail is owed.',
    'The example in row 2 is skipped as long as it stands as it is. Delete it, or type over the whole row.',
    'Columns that you do not need may be deleted or left empty. An empty cell changes nothing of a person who is known already.',
    'Where several values are allowed, part them with a semicolon (;). Choose one from the list and type the others behind it.',
    'Cells are formatted as text, so that leading zeros stay. Paste values only, or the format of what you paste comes along.',
  ]) yield { cells: [{ value: `•  ${line}`, style: PLAIN }] }

  yield heading('How to hand it over', SECTION, 26)
  for (const [what, command] of [
    ['See what would happen:', `muster import FILE.xlsx --organization ${key} --preview`],
    ['Carry exactly that out:', 'muster import commit ID'],
    ['Get the rejected rows back:', 'muster import errors ID -o errors.xlsx'],
  ] as const) yield { cells: [{ value: what, style: PLAIN }, null, { value: command, style: COMMAND }] }
  for (const line of [
    'Importing mails nobody by itself: credentials and invitations wait for a release, or for --delivery now or a date. A row\'s own Send Date wins over both.',
    'Rejected rows come back as a workbook with the wrong cells colored. Mend them there and hand that workbook in as it is.',
    `This template is for ${name} (${key}) alone; another organization refuses it. Times are in the zone ${timeZone}.`,
  ]) yield { cells: [{ value: `•  ${line}`, style: PLAIN }] }

  yield heading('What each column means', SECTION, 26)
  yield { cells: ['Column', 'Required', 'What it means', 'Allowed values', 'Example'].map(value => ({ value, style: HEAD })), height: 22 }
  for (const field of FIELDS) yield describe(field, lists.get(field.name), example[field.name])
  yield* describeRoles(order)
}

/** Examples that say more than the example row may. */
const SPELLED: Partial<Record<FieldName, string>> = { externalId: '01234', sendAt: '2026-12-01 08:00' }

const heading = (value: string, style: Style, height: number): InstructionRow => ({ cells: [{ value, style }], height })

function describe(field: FieldDefinition, values: readonly string[] | undefined, example: string | undefined): InstructionRow {
  return tableRow([
    [field.header, NAME],
    field.required ? ['required', NEEDED] : [field.kind === 'email' ? 'where a mail is owed' : 'optional', CELL],
    [field.help, CELL],
    [allowed(field, values), CELL],
    [SPELLED[field.name] ?? example ?? '', CELL],
  ])
}

function allowed({ kind, multiple, limit }: FieldDefinition, values: readonly string[] | undefined): string {
  if (values === undefined) {
    if (kind === 'catalog') return 'None are declared for your organization.'
    return kind === 'moment' ? 'A date, with or without a time.' : `Text, at most ${limit} characters.`
  }
  const rest = values.length - SHOWN
  const shown = values.slice(0, rest > 0 ? SHOWN : values.length).join(multiple ? '; ' : ', ')
  return rest > 0 ? `${shown} … and ${rest} more in the drop-down list.` : shown
}

/** The roles with what the organization says of them, where it says something. */
function* describeRoles({ catalog }: TemplateOrder): Generator<InstructionRow> {
  const roles = catalog.roles.filter(role => role.description !== null || role.userType !== null || role.required || !role.invitableAlone)
  if (roles.length === 0) return
  yield heading('Your roles', SECTION, 26)
  yield { cells: ['Role', 'User type', 'What it is for', 'Rules', ''].map(value => ({ value, style: HEAD })), height: 22 }
  for (const role of roles) {
    const rules = [...(role.required ? ['At least one user must hold it.'] : []), ...(role.invitableAlone ? [] : ['Alone it cannot be invited.'])].join(' ')
    yield tableRow([[role.name, NAME], [role.userType ?? '', CELL], [role.description ?? '', CELL], [rules, CELL], ['', CELL]])
  }
}

/** Spreadsheets do not measure wrapped text when they open a file, so the height is reckoned here. */
function tableRow(cells: readonly (readonly [string, Style])[]): InstructionRow {
  const lines = cells.map(([value], index) => linesOf(value, (WIDTHS[index] ?? 20) - INDENT))
  return { cells: cells.map(([value, style]) => ({ value, style })), height: LINE * Math.min(20, Math.max(...lines)) + 5 }
}

/** How many lines a text takes when it breaks between words. */
function linesOf(value: string, width: number): number {
  let lines = 1
  let used = 0
  for (const word of value.split(' ')) {
    const space = used === 0 ? 0 : 1
    if (used + space + word.length <= width) used += space + word.length
    else {
      lines += used === 0 ? 0 : 1
      lines += Math.floor(word.length / (width + 1))
      used = word.length % (width + 1)
    }
  }
  return lines
}
