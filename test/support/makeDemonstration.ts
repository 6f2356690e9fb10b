/**
 * Makes the files that `muster up` shows itself with: `node test/support/makeDemonstration.ts` writes fixtures/demonstration/people.xlsx
 * and contractors.csv, the same bytes each time.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ExcelJS from 'exceljs'
import { LIMITS } from '../../src/importers/source.ts'
import { openContainer } from '../../src/importers/workbook/container.ts'
import { bytesSource, writeZip } from './writeWorkbook.ts'

const FOLDER = join(import.meta.dirname, '../../fixtures/demonstration')
const MADE = new Date(Date.UTC(2026, 10, 20))
const MOST_BYTES = 10_000_000

const COLUMNS: [header: string, width: number][] = [
  ['External ID', 13], ['First Name', 16], ['Last Name', 18], ['Email', 36], ['Phone', 18], ['System User', 13], ['User Group', 14], ['Role', 44], ['Product', 11], ['Tenant', 10], ['Delivery', 13], ['Send Date', 18],
]

type Value = string | number | Date | null

/** Ten good rows and four bad ones: no @, a phone number that lost its zero, a role with a slip of the pen, a person who is there twice. */
const PEOPLE: Value[][] = [
  ['1001', 'María', 'Hernández', 'maria.hernandez@lakeside.example', '(612) 555-0101', 'yes', 'Supervisors', 'Customer Administrator', null, null, null, null],
  ['1002', 'Sean', "O'Brien", 'sean.obrien@lakeside.example', '612-555-0102', 'yes', null, 'Customer Limited', null, null, null, null],
  ['1003', 'Jeanne', 'D’Arcy', 'jeanne.darcy@lakeside.example', '612.555.0103', 'yes', null, 'Customer Limited', 'Payroll', 'North', null, null],
  ['1004', 'Thị Hoa', 'Nguyễn', 'hoa.nguyen@lakeside.example', '+1 612 555 0104', 'yes', null, 'Customer Limited', null, null, null, null],
  ['1005', 'Zoë', 'Krüger', 'zoe.krueger@lakeside.example', '(612) 555-0105', 'yes', null, 'Customer Limited; Customer Administrator', null, null, null, null],
  ['1006', '太郎', '山田', 'taro.yamada@harbor.example', 6125550106, 'yes', null, 'Customer Limited', null, null, null, null],
  ['1007', 'Priya', 'Raman', 'priya.raman@harbor.example', '(612) 555-0107', 'no', null, null, null, null, null, null],
  ['1008', 'Oluwaseun', 'Adébáyọ̀', 'o.adebayo@harbor.example', '(612) 555-0108', 'yes', null, 'Customer Limited', null, null, null, new Date(Date.UTC(2036, 0, 7, 8))],
  ['1009', 'Lena', 'Lindström-Berg', 'lena.lindstrom@harbor.example', null, 'yes', null, 'Customer Administrator', 'Payroll', 'South', null, null],
  ['1010', 'John', 'Smith', 'john.smith@harbor.example', '(612) 555-0110', 'yes', null, 'Customer Limited', null, null, null, null],
  ['1011', 'Grace', 'Kim', 'grace.kim.harbor.example', '(612) 555-0111', 'yes', null, 'Customer Limited', null, null, null, null],
  ['1012', 'Tom', 'Becker', 'tom.becker@harbor.example', 125550112, 'yes', null, 'Customer Limited', null, null, null, null],
  ['1013', 'Ana', 'Souza', 'ana.souza@harbor.example', '(612) 555-0113', 'yes', null, 'Customr Limited', null, null, null, null],
  ['1002', 'Sean', "O'Brien", 'sean.obrien@lakeside.example', '612-555-0102', 'yes', null, 'Customer Limited', null, null, null, null],
]

/** Five new people, one who is known with another phone number, and two bad rows: a doubled @ and a date that may be two. */
const CONTRACTORS = [
  'Personalnummer;Vorname;Nachname;E-Mail;Telefon;Rolle;Versandart;Versanddatum',
  '2001;Jürgen;Weiß;juergen.weiss@bau.example;(612) 555-0121;Customer Limited;Zugangsdaten;',
  '2002;Anneliese;Groß-Gerau;a.gross-gerau@bau.example;612 555 0122;Customer Limited;Zugangsdaten;',
  '2003;Mehmet;Yılmaz;mehmet.yilmaz@bau.example;612-555-0123;Customer Limited;Einladung;',
  '2004;Katarzyna;Wójcik;k.wojcik@bau.example;;Customer Limited;Einladung;',
  '2005;John;Smith;j.smith@bau.example;(612) 555-0125;Customer Limited;keine;',
  '1005;Zoë;Krüger;zoe.krueger@lakeside.example;(612) 555-0199;;;',
  '2006;Klaus;Vogel;klaus@@bau.example;(612) 555-0126;Customer Limited;Einladung;',
  '2007;Britta;Sommer;britta.sommer@bau.example;(612) 555-0127;Customer Limited;Einladung;03/04/2036',
]

/** The workbook as a desk keeps it: a styled header that stays in view, filters, dates that are dates. */
export async function makePeople(): Promise<Buffer> {
  const book = new ExcelJS.Workbook()
  Object.assign(book, { creator: 'Lakeside operations desk', lastModifiedBy: 'Lakeside operations desk', created: MADE, modified: MADE })
  const sheet = book.addWorksheet('People', { views: [{ state: 'frozen', ySplit: 1 }] })
  sheet.columns = COLUMNS.map(([header, width]) => ({ header, width, style: { font: { name: 'Calibri', size: 11 } } }))
  for (const cells of PEOPLE) sheet.addRow(cells)
  sheet.getColumn(COLUMNS.length).numFmt = 'yyyy-mm-dd hh:mm'
  sheet.autoFilter = { from: { row: 1, column: 1 }, to: { row: 1, column: COLUMNS.length } }
  sheet.getRow(1).height = 22
  sheet.getRow(1).eachCell((cell) => {
    cell.font = { name: 'Calibri', size: 11, bold: true, color: { argb: 'FFFFFFFF' } }
    cell.fill = { type: 'pattern', pattern: 'solid', fgColor: { argb: 'FF1F4E79' } }
    cell.alignment = { vertical: 'middle' }
  })
  return withoutTimes(Buffer.from(await book.xlsx.writeBuffer()))
}

export const makeContractors = (): Buffer => Buffer.from(CONTRACTORS.map((line) => `${line}\r\n`).join(''))

/** A container says when its parts were packed: packed anew, it does not. */
async function withoutTimes(bytes: Buffer): Promise<Buffer> {
  const container = await openContainer(bytesSource(bytes), LIMITS, { deadlineMs: 10_000, signal: undefined })
  const entries = []
  for (const name of container.names) if (!name.endsWith('/')) entries.push({ name, data: await container.read(name, MOST_BYTES) })
  return writeZip(entries)
}

if (import.meta.main) {
  writeFileSync(join(FOLDER, 'people.xlsx'), await makePeople())
  writeFileSync(join(FOLDER, 'contractors.csv'), makeContractors())
}
