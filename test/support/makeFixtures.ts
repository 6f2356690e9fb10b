/**
 * Makes the files of fixtures/accepted, rejected and hostile: `node test/support/makeFixtures.ts` (the same bytes each time).
 * fixtures/README.md says which of them shows what.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { writeOle } from './writeOle.ts'
import { csvOf, rowXml, workbookOf } from './writePeople.ts'
import { sheetXml, workbookParts, writeWorkbook, writeZip } from './writeWorkbook.ts'
import type { WorkbookXml, ZipEntry } from './writeWorkbook.ts'

type Row = readonly (string | null | { xml: string })[]

const HEADER = ['External ID', 'First Name', 'Last Name', 'Email', 'Phone']
const ADA = ['E001', 'Ada', 'Lovelace', 'ada@int.test', '(612) 555-0100']
const BEN = ['E002', 'Ben', 'Okafor', 'ben@int.test', '(612) 555-0101']

const number = (text: string, style = 0): { xml: string } => ({ xml: ` s="${style}"><v>${text}</v>` })
const formula = (text: string, result: string | null, type = 'str'): { xml: string } => ({ xml: ` t="${type}"><f>${text}</f>${result === null ? '' : `<v>${result}</v>`}` })
const shared = (index: number): { xml: string } => ({ xml: ` t="s"><v>${index}</v>` })
/** The number by which a spreadsheet counts a day (1900 system). */
const serial = (day: string): number => Math.round((Date.parse(`${day}T00:00:00Z`) - Date.UTC(1899, 11, 30)) / 86_400_000)
const DAYS_TO_1904 = 1_462
/** Style 1 of workbooks made here is a date. */
const DATES = { styles: [0, 14] }

const rowsXml = (rows: readonly Row[]): string => rows.map((cells, index) => rowXml(index + 1, cells)).join('')
const workbook = (rows: readonly Row[], after = '', more: Partial<WorkbookXml> = {}, links?: Record<string, string>): Buffer =>
  writeWorkbook({ sheets: [{ name: 'People', rows: rowsXml(rows), after, ...(links ? { links } : {}) }], ...more })
const entries = (parts: WorkbookXml = { sheets: [{ name: 'People', rows: rowsXml([HEADER, ADA]) }] }): ZipEntry[] => [...workbookParts(parts)].map(([name, data]) => ({ name, data }))
const text = (lines: readonly string[], newline = '\r\n'): Buffer => Buffer.from(lines.map((line) => line + newline).join(''))
const utf16 = (content: string, order: 'le' | 'be'): Buffer => {
  const bytes = Buffer.from(`\ufeff${content}`, 'utf16le')
  return order === 'le' ? bytes : bytes.swap16()
}

const UMLAUTS = csvOf([HEADER, ['E001', 'Zoë', 'Müller', 'zoe@int.test', '6125550100'], ['E002', 'François', 'Nuñez', 'fn@int.test', '6125550101']], ';').toString()
const good = workbookOf([HEADER, ADA, BEN])
/** One bit of the packed rows, so that what is unpacked no longer fits its checksum. */
const flipped = (): Buffer => {
  const bytes = Buffer.from(good)
  bytes[bytes.indexOf('xl/worksheets/sheet1.xml') + 60]! ^= 0x10
  return bytes
}
const longLocal = `${'a'.repeat(65)}@int.test`
const longDomain = `a@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(20)}.test`

export const FIXTURES: Record<string, Buffer> = {
  // 1 to 6: containers and XML
  'hostile/zero-bytes.xlsx': Buffer.alloc(0),
  'hostile/truncated.xlsx': good.subarray(0, good.length * 0.6),
  'hostile/bit-flipped.xlsx': flipped(),
  'rejected/old-workbook.xls': writeOle(['Workbook']),
  'rejected/encrypted.xlsx': writeOle(['EncryptionInfo', 'EncryptedPackage']),
  'rejected/html-named.xlsx': text(['<html><body><table>', '<tr><th>First Name</th><th>Last Name</th></tr>', '<tr><td>Ada</td><td>Lovelace</td></tr>', '</table></body></html>']),
  'rejected/csv-named.xlsx': csvOf([HEADER, ADA]),
  'rejected/binary-workbook.xlsb': writeWorkbook({ sheets: [{}], contentType: 'application/vnd.ms-excel.sheet.binary.macroEnabled.main', parts: { 'xl/workbook.bin': 'x' } }),
  'rejected/macros.xlsm': writeWorkbook({ sheets: [{ rows: rowsXml([HEADER, ADA]) }], contentType: 'application/vnd.ms-excel.sheet.macroEnabled.main+xml' }),
  'hostile/zip-bomb.xlsx': writeWorkbook({ sheets: [{ name: 'People', xml: sheetXml(rowsXml([HEADER, ADA]) + ' '.repeat(3_000_000)) }] }),
  'hostile/traversal-entry.xlsx': writeZip([...entries(), { name: '../../evil.xml', data: 'x' }]),
  'hostile/duplicate-entry.xlsx': writeZip([...entries(), { name: 'xl/worksheets/sheet1.xml', data: sheetXml(rowsXml([HEADER, BEN])) }]),
  'hostile/undefined-entity.xlsx': workbook([HEADER, ['E001', { xml: ' t="str"><v>&evil;</v>' }, 'Lovelace']]),
  'hostile/external-entity.xlsx': writeWorkbook({ sheets: [{ xml: sheetXml(rowsXml([HEADER, ADA])).replace('<worksheet', '<!DOCTYPE worksheet [<!ENTITY x SYSTEM "file:///etc/passwd">]><worksheet') }] }),
  'hostile/cell-xfd1.xlsx': writeWorkbook({ sheets: [{ name: 'People', rows: rowXml(1, HEADER).replace('</row>', '<c r="XFD1" t="str"><v>far out</v></c></row>') + rowXml(2, ADA) }] }),
  'accepted/last-row.xlsx': writeWorkbook({ sheets: [{ name: 'People', rows: rowXml(1, HEADER) + rowXml(2, ADA) + rowXml(1_048_576, BEN) }] }),
  'hostile/shared-string-out-of-range.xlsx': workbook([HEADER, ['E001', shared(7), 'Lovelace']], '', { strings: '<si><t>only</t></si>' }),

  // 7 to 13: what stands in and around cells
  'accepted/rich-text-and-phonetics.xlsx': workbook(
    [HEADER, ['E001', shared(0), shared(1), shared(2), '6125550100'], ['E002', 'M_x0061_ria', shared(3), 'maria@int.test', '6125550101'], ['E003', 'Carriage_x000D_', 'Return', 'cr@int.test', null]],
    '<hyperlinks><hyperlink ref="D2" r:id="rId1"/></hyperlinks>',
    { strings: '<si><t>太郎</t><rPh sb="0" eb="2"><t>たろう</t></rPh><phoneticPr fontId="1"/></si><si><t>山田</t><rPh sb="0" eb="2"><t>やまだ</t></rPh></si><si><r><t>taro@</t></r><r><rPr><b/></rPr><t>int.test</t></r></si><si><r><t xml:space="preserve">van </t></r><r><rPr><i/></rPr><t>Dyk</t></r></si>' },
    { rId1: 'mailto:taro@int.test' },
  ),
  'accepted/link-to-another-address.xlsx': workbook([HEADER, ADA, BEN], '<hyperlinks><hyperlink ref="D2" r:id="rId1"/><hyperlink ref="D3" r:id="rId2"/></hyperlinks>', {}, { rId1: 'mailto:ada.private@elsewhere.test', rId2: 'mailto:BEN@int.test?subject=hello' }),
  'rejected/formulas-and-errors.xlsx': workbook([
    HEADER, ['E001', 'Ada', 'Lovelace', formula('LOWER(&quot;ADA@INT.TEST&quot;)', 'ada@int.test'), null], ['E002', 'Ben', formula('B2&amp;&quot;x&quot;', null), 'ben@int.test', null], ['E003', 'Cai', 'Li', { xml: ' t="e"><v>#N/A</v>' }, null], ['E004', formula('VLOOKUP(1,A:B,2)', '#REF!', 'e'), 'Diaz', 'dd@int.test', null],
  ]),
  'rejected/merged-over-rows.xlsx': workbook([HEADER, ADA, ['E002', 'Ben', null, 'ben@int.test', null], ['E003', 'Cai', 'Li', 'cai@int.test', null]], '<mergeCells count="1"><mergeCell ref="C2:C3"/></mergeCells>'),
  'accepted/hidden-sheet-first.xlsx': writeWorkbook({ sheets: [{ name: 'Salaries', state: 'hidden', rows: rowsXml([['First Name', 'Last Name'], ['Not', 'Imported']]) }, { name: 'Deep', state: 'veryHidden', rows: rowsXml([['First Name', 'Last Name'], ['Nor', 'This']]) }, { name: 'People', rows: rowsXml([HEADER, ADA]) }] }),
  'accepted/hidden-rows.xlsx': writeWorkbook({ sheets: [{ name: 'People', rows: rowXml(1, HEADER) + rowXml(2, ADA, ' hidden="1"') + rowXml(3, BEN) + rowXml(4, ['E003', 'Cai', 'Li', 'cai@int.test', null], ' hidden="true"'), after: '<autoFilter ref="A1:E4"/>' }] }),
  'hostile/row-number-twice.xlsx': writeWorkbook({ sheets: [{ name: 'People', rows: rowXml(1, HEADER) + rowXml(2, ADA) + rowXml(2, BEN) }] }),

  // 14 to 16: dates and numbers
  'rejected/dates.xlsx': workbook([
    [...HEADER, 'Send Date'],
    ['E001', 'Date', 'Cell', 'e1@int.test', null, number(String(serial('2099-12-01')), 1)], ['E002', 'Date', 'Time', 'e2@int.test', null, number(String(serial('2099-12-01') + 1 / 3), 1)],
    ['E003', 'Iso', 'Cell', 'e3@int.test', null, { xml: ' t="d"><v>2099-12-01T08:00:00</v>' }], ['E004', 'Below', 'Sixty', 'e4@int.test', null, number('59', 1)],
    ['E005', 'Either', 'Order', 'e5@int.test', null, '03/04/2099'], ['E006', 'One', 'Order', 'e6@int.test', null, '13/04/2099'], ['E007', 'No', 'Day', 'e7@int.test', null, '2099-02-30'],
    ['E008', 'Long', 'Past', 'e8@int.test', null, '2020-01-01'], ['E009', 'Bare', 'Number', 'e9@int.test', null, number(String(serial('2099-12-01')))], ['E010', number(String(serial('2099-12-01')), 1), 'Name', 'e10@int.test', null, null],
  ], '', DATES),
  'accepted/dates-1904.xlsx': workbook([[...HEADER, 'Send Date'], ['E001', 'Date', 'Cell', 'e1@int.test', null, number(String(serial('2099-12-01') - DAYS_TO_1904), 1)]], '', { ...DATES, date1904: true }),
  'accepted/dates-declared-format.csv': csvOf([[...HEADER, 'Send Date'], ['E001', 'Day', 'First', 'e1@int.test', null, '03/04/2099'], ['E002', 'Day', 'Time', 'e2@int.test', null, '03/04/2099 08:30']]),
  'rejected/phones-as-numbers.xlsx': workbook([
    HEADER, ['E001', 'Ten', 'Digits', 'p1@int.test', number('6125550100')], ['E002', 'Country', 'Code', 'p2@int.test', number('1.5551000000000E+10')], ['E003', 'Rounded', 'Digits', 'p3@int.test', '1.5551E+10'],
    ['E004', 'Nine', 'Digits', 'p4@int.test', number('612555010')], ['E005', 'Fraction', 'Point', 'p5@int.test', number('6125550100.5')], ['E006', 'Whole', 'Point', 'p6@int.test', number('6125550100.0')],
  ]),
  'rejected/phones-typed.csv': csvOf([
    HEADER, ['E001', 'Every', 'Separator', 'p1@int.test', '+1 (612) 555.0100'], ['E002', 'Scientific', 'Notation', 'p2@int.test', '1.5551E+10'], ['E003', 'Lost', 'Zero', 'p3@int.test', '612555010'],
    ['E004', 'Too', 'Short', 'p4@int.test', '555-0100'], ['E005', 'With', 'Extension', 'p5@int.test', '612-555-0100 x12'], ['E006', 'Other', 'Country', 'p6@int.test', '+49 30 1234567'], ['E007', 'From', 'Float', 'p7@int.test', '6125550100.0'],
  ]),
  'rejected/identifiers-as-numbers.xlsx': workbook([HEADER, [number('1234'), 'Lost', 'Zeros', 'i1@int.test', null], [number('9007199254740993'), 'Above', 'Safe', 'i2@int.test', null], [number('1.23E+17'), 'Rounded', 'Off', 'i3@int.test', null], ['01234', 'Text', 'Stays', 'i4@int.test', null]]),

  // 17 to 21: encodings, records, headers
  'rejected/invalid-utf-8.csv': Buffer.concat([csvOf([HEADER, ['E001', 'Zoë', 'Müller', 'zoe@int.test', null], ['E002', 'Bjørn', 'Åse', 'b@int.test', null]]), Buffer.from('E003,Jos'), Buffer.from([0xe9]), Buffer.from(',Nu,n@int.test,\r\n')]),
  'rejected/replacement-character.csv': csvOf([HEADER, ['E001', 'Zo\ufffd', 'Müller', 'zoe@int.test', null], BEN]),
  'accepted/utf-8-bom.csv': Buffer.from(`\ufeff${UMLAUTS}`),
  'accepted/utf-16-le.csv': utf16(UMLAUTS, 'le'),
  'accepted/utf-16-be.csv': utf16(UMLAUTS, 'be'),
  'accepted/windows-1252.csv': Buffer.from(UMLAUTS.replace('Müller', 'M\u00fcller\u0092s'), 'latin1'),
  'accepted/mixed-newlines.csv': Buffer.from(`${HEADER.join(',')}\rE001,Ada,Lovelace,ada@int.test,\nE002,Ben,Okafor,ben@int.test,\r\n\r\nE003,Cai,Li,cai@int.test,`),
  'accepted/quoted-newline.csv': csvOf([[...HEADER, 'Note'], [...ADA, 'first line\nsecond "line"'], [...BEN, 'one\r\ntwo']]),
  'hostile/unclosed-quote.csv': text([HEADER.join(','), ADA.map((field) => `"${field}"`).join(','), 'E002,"Ben,Okafor,ben@int.test,', 'E003,Cai,Li,cai@int.test,']),
  'rejected/field-counts.csv': text([HEADER.join(','), 'E001,Ada,Lovelace,ada@int.test,6125550100', 'E002,Ben,Okafor', 'E003,Cai,Li,cai@int.test,6125550102,and more', 'E004,Eva,Diaz,eva@int.test,,,']),
  'hostile/control-characters.csv': text([
    HEADER.join(','), 'E001,A\u0000da,Lovelace,n1@int.test,', 'E002,Ben\u0085,Okafor,n2@int.test,', 'E003,Zero\u200bWidth,Space,n3@int.test,', 'E004,No\u00a0Break,\u00a0Space\u00a0,n4@int.test,', 'E005,Right\u202eot,Left,n5@int.test,',
    'E006,Zero,Mail,n\u200b6@int.test,', 'E007,Esc,\u001b[31mRed,n7@int.test,', '\u200b,Blank,Identifier,n8@int.test,',
  ]),
  'hostile/lone-surrogate.csv': Buffer.concat([utf16(`${HEADER.join(',')}\r\nE001,Ada`, 'le'), Buffer.from([0x00, 0xd8]), Buffer.from(',Lovelace,ada@int.test,\r\n', 'utf16le')]),
  'hostile/header-proto.csv': csvOf([['First Name', 'Last Name', '__proto__'], ['Ada', 'Lovelace', 'x']]),
  'hostile/header-constructor.csv': csvOf([['First Name', 'Last Name', ' Constructor '], ['Ada', 'Lovelace', 'x']]),
  'rejected/header-duplicate.csv': csvOf([['First Name', 'Last Name', 'Email', 'E-Mail-Adresse'], ['Ada', 'Lovelace', 'ada@int.test', 'a@int.test']]),
  'rejected/header-near-miss.csv': csvOf([['Frist Name', 'Last Name', 'Email'], ['Ada', 'Lovelace', 'ada@int.test']]),
  'accepted/header-empty-unknown-other-case.csv': csvOf([['FIRST NAME', 'last_name', '', 'Shoe size', 'e-MAIL', 'toString'], ['Ada', 'Lovelace', 'ignored', '38', 'ada@int.test', 'x']]),
  'rejected/one-column.csv': text(['First Name', 'Ada', 'Ben']),
  'accepted/separator-line.csv': text(['sep=|', HEADER.join('|'), ADA.join('|')]),
  'accepted/comma-text-in-semicolons.csv': text([`${HEADER.join(';')};Note`, 'E001;Ada;Lovelace;ada@int.test;;one, two, three', 'E002;Ben;Okafor;ben@int.test;;"four; five, six"']),

  // 23 to 28, 30: values
  'hostile/several-addresses.csv': csvOf([
    HEADER, ['E001', 'Comma', 'Two', 'a@int.test, b@evil.test', null], ['E002', 'Semicolon', 'Two', 'a@int.test;b@evil.test', null], ['E003', 'Quoted', 'Local', '"evil@g.com x"@int.test', null],
    ['E004', 'Header', 'Injection', 'a@int.test\r\nBcc: b@evil.test', null], ['E005', 'Injected\r\nBcc: b@evil.test', 'Name', 'e5@int.test', null], ['E006', 'Angle', 'Brackets', 'Ada <ada@int.test>', null], ['E007', 'Trailing', 'Break', 'e7@int.test\n', null],
  ]),
  'rejected/email-policy.csv': csvOf([
    HEADER, ['E001', 'No', 'At', 'john.example.com', null], ['E002', 'No', 'Dot', 'a@localhost', null], ['E003', 'A', 'Comment', 'a(comment)@int.test', null], ['E004', 'Ip', 'Literal', 'a@[127.0.0.1]', null], ['E005', 'Bare', 'Ip', 'a@127.0.0.1', null],
    ['E006', 'Long', 'Local', longLocal, null], ['E007', 'Long', 'Domain', longDomain, null], ['E008', 'Empty', 'Label', 'a@int..test', null], ['E009', 'Short', 'Ending', 'a@int.t', null], ['E010', 'Two', 'Ats', 'a@b@int.test', null], ['E011', 'Edge', 'Hyphen', 'a@-int.test', null], ['E012', 'No', 'Address', null, null],
  ]),
  'accepted/idn-domain.csv': csvOf([HEADER, ['E001', 'Jürgen', 'Groß', 'juergen@bücher.test', null], ['E002', 'Ascii', 'Form', 'same@xn--bcher-kva.test', null], ['E003', 'Plus', 'Tag', "o'brien+news@Sub.Int.TEST", null]]),
  'rejected/same-email-other-case.csv': csvOf([HEADER, ['E001', 'Ada', 'Lovelace', 'Ada@Int.Test', null], ['E002', 'Ada', 'Byron', 'ada@int.test', null]]),
  'accepted/names-of-the-world.csv': csvOf([
    HEADER, ['E001', 'Sean', "O'Brien", 'n1@int.test', null], ['E002', 'Jeanne', 'D’Arcy', 'n2@int.test', null], ['E003', 'Thị Hoa', 'Nguyễn', 'n3@int.test', null], ['E004', 'X', 'Y', 'n4@int.test', null], ['E005', '太郎', '山田', 'n5@int.test', null],
    ['E006', 'Jennifer', 'Null', 'n6@int.test', null], ['E007', 'Ludwig', 'van  Beethoven', 'n7@int.test', null], ['E008', 'José Mª', 'Núñez-Ó', 'n8@int.test', null], ['E009', 'محمد', 'علي', 'n9@int.test', null], ['E010', 'Zoe\u0308', 'Jr.', 'n10@int.test', null],
  ]),
  'rejected/names.csv': csvOf([HEADER, ['E001', 'A'.repeat(200), 'Long', 'n1@int.test', null], ['E002', '=cmd', 'Formula', 'n2@int.test', null], ['E003', null, 'Missing', 'n3@int.test', null], ['E004', 'R2D2', 'Digits', 'n4@int.test', null], ['E005', '-', 'Nothing', 'n5@int.test', null]]),
  'hostile/formulas.csv': csvOf([
    [...HEADER, 'Note'], ['=1+1', '=cmd|\' /C calc\'!A0', 'Equals', 'f1@int.test', null, '=HYPERLINK("http://evil.test")'], ['+1', '+cmd', 'Plus', 'f2@int.test', null, '+1+1'], ['-1', '-cmd', 'Minus', 'f3@int.test', null, '-1-1'],
    ['@SUM(A1)', '@cmd', 'At', 'f4@int.test', null, '@SUM(1)'], ['\t=1', '\t=cmd', 'Tab', 'f5@int.test', null, '\t=1'], ['\r=1', '\r=cmd', 'Return', 'f6@int.test', null, '\r=1'], ['＝1', '＝cmd', 'Fullwidth', 'f7@int.test', null, '＝1'],
  ]),
  'hostile/markup-in-names.csv': csvOf([[...HEADER, 'Note'], ['E001', '{{x}}', 'Braces', 'm1@int.test', null, '{{password}}'], ['E002', '<b>Bold</b>', 'Tag', 'm2@int.test', null, '<b>'], ['E003', '<script>alert(1)</script>', 'Script', 'm3@int.test', null, null], ['{{E004}}', 'Ada', 'Lovelace', 'm4@int.test', null, '<script>alert("{{x}}")</script>']]),
  'accepted/numbering-plan-not-asked-for.csv': csvOf([HEADER, ['E001', 'Exchange', 'Service', 'p1@int.test', '234-911-5678'], ['E002', 'Area', 'One', 'p2@int.test', '(123) 555-0100']]),
  'rejected/numbering-plan.csv': csvOf([HEADER, ['E001', 'Exchange', 'Service', 'p1@int.test', '234-911-5678'], ['E002', 'Area', 'One', 'p2@int.test', '(123) 555-0100'], ['E003', 'In', 'Plan', 'p3@int.test', '(612) 555-0100']]),

  // The whole catalog, so that each kind of value is told
  'rejected/unknown-values.csv': csvOf([
    [...HEADER, 'System User', 'User Group', 'Profile', 'License', 'Role', 'Product', 'Tenant', 'Department', 'Customer', 'Worksite', 'Contact Role', 'Delivery', 'Username', 'Account Kind'],
    ['E001', 'All', 'Known', 'v1@int.test', null, 'yes', 'staff;Supervisors', 'MANAGER', 'Read  only', 'Customer Limited', 'Payroll', 'South', 'HR', 'Ministry', 'Warehouse', 'Approver;Payer', 'none', 'all.known', 'employee'],
    ['E002', 'Near', 'Misses', 'v2@int.test', null, 'maybe', 'Staf', 'Standrad', 'Fulll', 'Customr Limited', 'Payrol', null, 'Hr dept', 'Minstry', null, null, 'pigeon', 'a b', 'robot'],
    ['E003', 'Far', 'Off', 'v3@int.test', null, null, 'Qwerty', 'Zyx', 'Gold', 'King', 'Rocket', 'North', 'Moon', 'Nobody', 'Cellar', 'Jester', null, null, null],
    ['E004', 'Wrong', 'Place', 'v4@int.test', null, null, null, null, null, 'Customer Limited;customer limited', 'WebCenter', 'North', null, 'Ministry', 'Celar', 'Approvr', null, 'admin', null],
    ['E005', 'No', 'Customer', 'v5@int.test', null, null, null, null, null, null, null, 'North', null, null, 'Warehouse', 'Approver', null, null, null],
  ]),
  // What limits a user, in an organization whose departments have no "all"
  'rejected/lookups.csv': csvOf([
    [...HEADER, 'System User', 'Department', 'Authorized Lookups'],
    ['E001', 'All', 'Known', 'l1@int.test', null, null, 'HR', 'Job Code = engineering; JOB_CODE=Sales; payGroup=all'], ['E002', 'Near', 'Misses', 'l2@int.test', null, null, 'HR', 'jobCode=Enginering; pay grup=all'],
    ['E003', 'Far', 'Off', 'l3@int.test', null, null, 'HR', 'shoe size=nine'], ['E004', 'No', 'Pair', 'l4@int.test', null, null, 'HR', 'Engineering; jobCode='],
    ['E005', 'No', 'Department', 'l5@int.test', null, null, null, null], ['E006', 'Contact', 'Alone', 'l6@int.test', null, 'no', null, null],
  ]),

  // Several accounts of one person
  'accepted/several-accounts.csv': csvOf([
    [...HEADER, 'Account Kind'], [...ADA, null], [...BEN, 'service representative'], ['E001', 'Ada', 'Lovelace', null, null, 'contact'], [null, 'Ben', 'Okafor', 'BEN@int.test', null, 'employee'], ['E001', 'Ada', 'Lovelace', 'ada@int.test', '612.555.0100', 'Service Rep'],
  ]),
  'rejected/several-accounts.csv': csvOf([
    [...HEADER, 'Account Kind', 'System User'], [...ADA, null, null], ['E001', 'Ada', 'King', 'other@int.test', '6125550199', 'contact', null], ['E001', 'Ada', 'Lovelace', null, null, 'employee', null], ['E001', 'Ada', 'Lovelace', null, null, 'service rep', 'no'],
    [...BEN, null, null], ['E009', 'Cai', 'Li', 'ben@int.test', null, 'contact', null],
  ]),
}

if (import.meta.main) {
  for (const [name, bytes] of Object.entries(FIXTURES)) {
    const path = join(import.meta.dirname, '../../fixtures', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
}
