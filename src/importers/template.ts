import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { columnLetters } from '../rules/columns.ts'
import { FIELDS } from '../rules/fields.ts'
import type { FieldDefinition } from '../rules/fields.ts'
import { IDENTITY_SHEET, identityRows, TEMPLATE_VERSION } from './template/identity.ts'
import { instructionRows, INSTRUCTIONS_LAYOUT } from './template/instructions.ts'
import { exampleOf, listsOf } from './template/values.ts'
import type { Lists, TemplateOrder } from './template/values.ts'
import { openWorkbookWriter } from './writeWorkbook.ts'
import type { DropDown, SheetWriter, Style, WorkbookCell } from './writeWorkbook.ts'

/** The sheet to fill in. */
export const PEOPLE_SHEET = 'People'
const LISTS_SHEET = 'Lists'
/** How far down the drop-down lists reach. The formats hold for the whole column. */
const LAST_ROW = 5_000

const REQUIRED: Style = { bold: true, color: 'FFFFFF', fill: '1F4E79', centered: true, format: '@' }
const OPTIONAL: Style = { bold: true, color: '1F2A36', fill: 'D6E0EA', centered: true, format: '@' }
const TEXT: Style = { format: '@' }
const MOMENT: Style = { format: 'yyyy-mm-dd hh:mm' }
const EXAMPLE: Style = { format: '@', italic: true, color: '808890' }

/**
 * The Excel template of an organization (A1), as the bytes of an .xlsx file: the sheet to fill in, with the organization's own
 * values in drop-down lists; instructions; a hidden sheet of those values; and a very hidden one that tells whose template it is.
 */
export async function writeTemplate(order: TemplateOrder): Promise<Buffer> {
  const out = new PassThrough()
  const bytes = buffer(out)
  const book = await openWorkbookWriter(out)
  const lists = listsOf(order.catalog)
  const example = exampleOf(order, lists)

  const people = book.addSheet({
    name: PEOPLE_SHEET,
    columns: FIELDS.map(field => ({ width: widthOf(field), style: field.kind === 'moment' ? MOMENT : TEXT })),
    frozen: { rows: 1, columns: 0 },
    tab: '1F4E79',
    dropDowns: dropDowns(lists),
  })
  people.addRow(FIELDS.map(field => ({ value: field.header, style: field.required ? REQUIRED : OPTIONAL, note: field.help })), 30)
  people.addRow(FIELDS.map(({ name }) => (example[name] === undefined ? null : { value: example[name], style: EXAMPLE })))
  await people.close()

  const instructions = book.addSheet(INSTRUCTIONS_LAYOUT)
  await addRows(instructions, instructionRows(order, lists, example))

  const values = book.addSheet({ name: LISTS_SHEET, state: 'hidden', columns: [...lists].map(() => ({ width: 24, style: TEXT })) })
  await addRows(values, listRows(lists))

  const identity = book.addSheet({ name: IDENTITY_SHEET, state: 'veryHidden', columns: [{ width: 16, style: TEXT }, { width: 40, style: TEXT }] })
  const { key, name } = order.organization
  await addRows(identity, identityRows({ template: 'people', version: TEMPLATE_VERSION, organization: key }, name).map(row => row.map(text)))

  await book.close()
  return bytes
}

const text = (value: string): WorkbookCell => ({ value, style: TEXT })
const cellOf = (value: string | undefined): WorkbookCell | null => (value === undefined ? null : text(value))

async function addRows(sheet: SheetWriter, rows: Iterable<{ cells: (WorkbookCell | null)[]; height?: number } | (WorkbookCell | null)[]>): Promise<void> {
  for (const row of rows) {
    if (Array.isArray(row)) sheet.addRow(row)
    else sheet.addRow(row.cells, row.height)
  }
  await sheet.close()
}

/** One column for each list, its field's name above it. */
function* listRows(lists: Lists): Generator<(WorkbookCell | null)[]> {
  yield [...lists.keys()].map(text)
  const longest = Math.max(...[...lists.values()].map(values => values.length))
  for (let at = 0; at < longest; at += 1) yield [...lists.values()].map(values => cellOf(values[at]))
}

function dropDowns(lists: Lists): DropDown[] {
  const columns = [...lists.keys()]
  return FIELDS.flatMap(({ name, header, multiple }, index) => {
    const values = lists.get(name)
    if (values === undefined) return []
    const letters = columnLetters(index)
    const from = columnLetters(columns.indexOf(name))
    return [{
      range: `${letters}2:${letters}${LAST_ROW}`,
      values: `${LISTS_SHEET}!$${from}$2:$${from}$${values.length + 1}`,
      question: multiple ? null : { title: `Unknown ${header}`, text: 'This value is not in the list, and the row would be rejected. Choose one from the list, or ask for a newer template.' },
    }]
  })
}

function widthOf({ kind, name, multiple }: FieldDefinition): number {
  if (kind === 'email') return 30
  if (multiple || name === 'customer' || name === 'worksite') return 22
  return kind === 'yesNo' ? 14 : 18
}
