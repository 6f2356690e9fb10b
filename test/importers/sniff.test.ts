import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { sniff } from '../../src/importers/sniff.ts'
import { LIMITS } from '../../src/importers/source.ts'
import { writeOle } from '../support/writeOle.ts'
import { bytesSource, workbookParts, writeWorkbook, writeZip } from '../support/writeWorkbook.ts'
import { refusalOf } from './workbook/support.ts'

const kindOf = (bytes: Buffer | string, name?: string) => sniff(bytesSource(Buffer.from(bytes as string)), LIMITS, name === undefined ? {} : { name })
const refusal = (bytes: Buffer | string, name?: string) => refusalOf(kindOf(bytes, name))

describe('what is taken in', () => {
  test('a workbook, whatever it is called', async () => {
    const bytes = writeWorkbook({ sheets: [{}] })
    expect(await kindOf(bytes)).toBe('xlsx')
    expect(await kindOf(bytes, 'people.csv')).toBe('xlsx')
    expect(await kindOf(writeWorkbook({ sheets: [{}], contentType: 'application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml' }))).toBe('xlsx')
  })

  test('text, in any encoding that the CSV reader judges', async () => {
    for (const text of ['a,b\r\n1,2', 'BMI;name', 'Größe;Name', 'PK,name', '"<b>",x', 'x', 'MZ,1', 'I\u0000', '{"a":1}', '%PDX,1']) expect(await kindOf(text, 'people.csv')).toBe('text')
    expect(await kindOf(Buffer.from('Größe;Name', 'latin1'))).toBe('text')
    expect(await kindOf(Buffer.from('\ufeffa,b\r\n1,2', 'utf16le'))).toBe('text')
    expect(await kindOf(Buffer.from('a,b\r\n1,2,three,four,five', 'utf16le'))).toBe('text')
  })
})

describe('what is refused, with its kind', () => {
  test('an empty file', async () => expect(await refusal('')).toMatchObject({ code: 'file.empty' }))

  test('an encrypted workbook, wherever in the directory it says so', async () => {
    expect(await refusal(writeOle(['EncryptionInfo', 'EncryptedPackage']))).toEqual({ code: 'file.encrypted' })
    expect(await refusal(writeOle(['a', 'b', 'c', 'd', 'EncryptedPackage']))).toEqual({ code: 'file.encrypted' })
  })

  test.each([
    [['Workbook'], '.xls'], [['x', 'y', 'z', 'Book'], '.xls'], [['WordDocument'], '.doc'], [['Something'], 'old Office'],
  ])('an OLE2 file with %s', async (names, kind) => {
    expect(await refusal(writeOle(names))).toMatchObject({ code: 'file.not_a_workbook', kind: expect.stringContaining(kind), advice: expect.stringMatching(/\.$/) })
  })

  test('a damaged OLE2 file, without hanging', async () => {
    const circle = writeOle(['x'])
    circle.writeUInt32LE(1, 512 + 4)
    for (const bytes of [circle, circle.subarray(0, 600), circle.subarray(0, 20), Buffer.concat([circle.subarray(0, 8), randomBytes(2_000)])]) expect(await refusal(bytes)).toMatchObject({ code: 'file.not_a_workbook' })
  })

  test.each([
    ['application/vnd.ms-excel.sheet.macroEnabled.main+xml', '.xlsm'],
    ['application/vnd.ms-excel.sheet.binary.macroEnabled.main', '.xlsb'],
    ['application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml', '.docx'],
    ['application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml', '.pptx'],
  ])('a container of %s', async (contentType, kind) => {
    expect(await refusal(writeWorkbook({ sheets: [{}], contentType }), 'people.xlsx')).toMatchObject({ code: 'file.not_a_workbook', kind: expect.stringContaining(kind) })
  })

  test('zip files of something else', async () => {
    const zip = (...names: string[]) => writeZip(names.map((name) => ({ name, data: name === 'mimetype' ? 'application/vnd.oasis.opendocument.spreadsheet' : 'x', stored: true })))
    expect(await refusal(zip('mimetype', 'content.xml'))).toMatchObject({ kind: expect.stringContaining('.ods') })
    expect(await refusal(zip('Index/Document.iwa', 'preview.jpg'))).toMatchObject({ kind: expect.stringContaining('Numbers') })
    expect(await refusal(zip('letters/people.xlsx'))).toMatchObject({ kind: 'a zip archive', advice: expect.stringContaining('letters/people.xlsx') })
    expect(await refusal(zip())).toMatchObject({ kind: 'a zip archive' })
  })

  test('workbooks with parts missing, cut short, or made to do harm', async () => {
    const parts = [...workbookParts({ sheets: [{}] })].map(([name, data]) => ({ name, data }))
    expect(await refusal(writeZip(parts.filter(({ name }) => name.startsWith('xl/worksheets'))))).toMatchObject({ code: 'file.corrupt' })
    expect(await refusal(writeZip(parts).subarray(0, -30))).toMatchObject({ code: 'file.corrupt' })
    expect(await refusal(writeZip([...parts, { name: 'x', data: ' '.repeat(9_000_000) }]))).toMatchObject({ code: 'file.zip_bomb' })
  })

  test.each<[string, string | Buffer]>([
    ['HTML', '<html><body><table><tr><td>a</td></tr></table></body></html>'],
    ['HTML', '\ufeff\r\n <!DOCTYPE HTML PUBLIC "x"><html>'],
    ['HTML', '<table border=1><tr><td>x'],
    ['HTML', '<?xml version="1.0"?><!-- c --><html xmlns="http://www.w3.org/1999/xhtml">'],
    ['HTML', Buffer.from('\ufeff<html><table>', 'utf16le')],
    ['MHTML', 'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="x"'],
    ['Excel 2003', '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?><Workbook>'],
    ['XML', '<?xml version="1.0"?><people/>'],
    ['PDF', '%PDF-1.7\n'],
    ['gzip', gzipSync('a,b')],
    ['7-Zip', Buffer.from('377abcaf271c0004', 'hex')],
    ['PNG', Buffer.from('89504e470d0a1a0a0000', 'hex')],
    ['JPEG', Buffer.from('ffd8ffe000104a46', 'hex')],
    ['image', Buffer.from('RIFF\u0010\u0000\u0000\u0000WEBPVP8 ', 'latin1')],
    ['RTF', '{\\rtf1\\ansi'],
    ['PGP', '-----BEGIN PGP MESSAGE-----\n\nabc'],
    ['SQLite', 'SQLite format 3\u0000'],
    ['.xls', Buffer.from('0900040002001000', 'hex')],
    ['binary', Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 256))],
  ])('%s', async (kind, bytes) => {
    for (const name of ['people.xlsx', 'people.csv']) expect(await refusal(bytes, name)).toMatchObject({ code: 'file.not_a_workbook', kind: expect.stringContaining(kind), advice: expect.stringMatching(/\.$/) })
  })

  test('text that calls itself a workbook', async () => {
    for (const name of ['people.xlsx', 'PEOPLE.XLS', 'a.xlsm', 'a.xlsb']) expect(await refusal('a,b\n1,2', name)).toMatchObject({ code: 'file.not_a_workbook', kind: expect.stringContaining('plain text'), advice: expect.stringContaining('.csv') })
  })
})
