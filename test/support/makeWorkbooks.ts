/**
 * Makes the workbooks of fixtures/workbooks that ExcelJS writes, with its full and its streaming writer.
 * `node test/support/makeWorkbooks.ts FOLDER`; the others there come from make.py and from LibreOffice (see the README beside them).
 */
import ExcelJS from 'exceljs'
import { join } from 'node:path'

const HEADERS = ['External ID', 'First Name', 'Last Name', 'Email', 'Phone', 'System User', 'Send Date', 'Note']

const PEOPLE: ExcelJS.CellValue[][] = [
  ['E001', 'Ada', 'Lovelace', 'ada@int.test', '(612) 555-0100', true, new Date(Date.UTC(2026, 11, 1)), 'plain'],
  ['01234', 'Nguyễn', 'Müller', 'n.m@int.test', 6125550101, false, new Date(Date.UTC(2026, 11, 1, 8, 30, 15)), ' blanks around '],
  ['E003', '李', 'O’Brien', { text: 'shown@int.test', hyperlink: 'mailto:other@int.test' }, 15551000000, 'yes', new Date(Date.UTC(1999, 1, 28)), 'line one\nline two'],
  ['E004', { richText: [{ text: 'Jean-' }, { font: { bold: true }, text: 'Luc' }] }, 'd’Arc', { text: 'same@int.test', hyperlink: 'mailto:same@int.test' }, 0.1, 'no', null, '<b> & "quotes" \' ]]>'],
  ['E005', { formula: 'UPPER("bob")', result: 'BOB' }, { formula: '1+1', result: 2 }, { formula: 'NA()', result: { error: '#N/A' } as ExcelJS.CellErrorValue }, { formula: 'TRUE()', result: true }, { error: '#DIV/0!' }, { formula: 'TODAY()', result: new Date(Date.UTC(2026, 10, 21)) }, { formula: 'X1', result: '' }],
  [null, null, null, null, null, null, null, null],
  ['E006', '_x000D_ as typed', '😀 emoji', null, -1.5e-7, null, null, 1e300],
]

function fill(sheet: ExcelJS.Worksheet): void {
  sheet.columns = HEADERS.map((header, index) => ({ header, width: 18, ...(index === 6 ? { style: { numFmt: 'yyyy-mm-dd hh:mm:ss' } } : {}) }))
  for (const person of PEOPLE) sheet.addRow(person).commit()
}

async function make(folder: string): Promise<void> {
  for (const date1904 of [false, true]) {
    const workbook = new ExcelJS.Workbook()
    workbook.properties.date1904 = date1904
    fill(workbook.addWorksheet('People', { views: [{ state: 'frozen', ySplit: 1 }] }))
    const more = workbook.addWorksheet('More & more')
    more.getCell('B3').value = 'far'
    more.getCell('Z30').value = 12
    more.getCell('A40').value = new Date(Date.UTC(2000, 1, 29))
    more.getCell('A40').numFmt = '[$-409]d-mmm-yy;@'
    more.getCell('A41').value = 0.75
    more.getCell('A41').numFmt = '[h]:mm'
    more.getCell('A42').value = 12.5
    more.getCell('A42').numFmt = '0.00 "days"'
    more.getCell('A43').value = { formula: 'A42*2', result: 25 }
    more.fillFormula('B43:B46', 'A42*2', [1, 2, 3, 4])
    more.getRow(43).hidden = true
    workbook.addWorksheet('Secret', { state: 'hidden' }).addRow(['hidden'])
    const identity = workbook.addWorksheet('_muster', { state: 'veryHidden' })
    identity.addRow(['version', 1])
    identity.addRow(['organization', 'acme'])
    await workbook.xlsx.writeFile(join(folder, date1904 ? 'exceljs-1904.xlsx' : 'exceljs-full.xlsx'))
  }
  for (const useSharedStrings of [true, false]) {
    const workbook = new ExcelJS.stream.xlsx.WorkbookWriter({ filename: join(folder, `exceljs-stream-${useSharedStrings ? 'shared' : 'inline'}.xlsx`), useSharedStrings, useStyles: true })
    const sheet = workbook.addWorksheet('People')
    fill(sheet)
    sheet.commit()
    await workbook.commit()
  }
  const merged = new ExcelJS.Workbook()
  const sheet = merged.addWorksheet('Merged')
  for (let row = 1; row <= 8; row++) sheet.addRow(['a', 'b', 'c', 'd'].map((letter) => letter + row))
  sheet.mergeCells('A2:A3')
  sheet.mergeCells('B5:C5')
  sheet.mergeCells('C7:D8')
  await merged.xlsx.writeFile(join(folder, 'exceljs-merged.xlsx'))
}

await make(process.argv[2] ?? 'fixtures/workbooks')
