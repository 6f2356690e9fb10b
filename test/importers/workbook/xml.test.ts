import { expect, test } from 'vitest'
import { MORE, OPEN, TEXT, Xml, nameCode } from '../../../src/importers/workbook/xml.ts'
import { SharedStrings } from '../../../src/importers/workbook/sharedStrings.ts'
import { columnName, parseRange } from '../../../src/importers/workbook/references.ts'

test('names that workbooks use have codes of their own', () => {
  const names = `c v f is t r row rPh rPr phoneticPr sst si sheetData worksheet dimension sheetViews sheetView sheetFormatPr cols col mergeCells mergeCell hyperlinks hyperlink
    pageMargins pageSetup legacyDrawing drawing tableParts tablePart extLst ext conditionalFormatting cfRule formula dataValidations dataValidation autoFilter sheetPr sheetProtection
    workbook workbookPr sheets sheet definedNames definedName calcPr bookViews workbookView fileVersion Relationships Relationship Types Default Override
    styleSheet numFmts numFmt fonts font fills fill borders border cellStyleXfs cellXfs xf cellStyles cellStyle dxfs dxf colors rowBreaks colBreaks printOptions headerFooter hidden`.split(/\s+/)
  expect(new Set(names.map(nameCode)).size).toBe(names.length)
})

test('a long token without its end is not read over and over', () => {
  const xml = new Xml('part', 1024 * 1024)
  xml.push(Buffer.from('<a>'))
  expect(xml.next()).toBe(OPEN)
  let looked = 0
  const { readText } = xml
  xml.readText = function () {
    looked++
    return readText.call(this)
  }
  for (let index = 0; index < 900; index++) {
    xml.push(Buffer.alloc(1024, 'x'))
    expect(xml.next()).toBe(MORE)
  }
  expect(looked).toBeLessThan(40)
  xml.push(Buffer.from('<'))
  xml.wanted = 0
  expect(xml.next()).toBe(TEXT)
  expect(xml.text()).toHaveLength(900 * 1024)
})

test('shared texts are found again over many segments', () => {
  const strings = new SharedStrings()
  const text = (index: number) => `${index} ${'é'.repeat(index % 300)}`
  for (let index = 0; index < 20_000; index++) {
    const bytes = Buffer.from(text(index))
    strings.add(bytes, 0, bytes.length)
  }
  expect(strings.segments.length).toBeGreaterThan(3)
  for (let index = 0; index < 20_000; index++) expect(strings.get(index)).toBe(text(index))
  for (const index of [20_000, -1, Number.NaN, 2 ** 31, 0.5 + 2 ** 31]) expect(strings.get(index)).toBeUndefined()
})

test('ranges are read with their corners in any order, and refused outside of a sheet', () => {
  expect(parseRange('B3:A1')).toEqual({ top: 1, left: 1, bottom: 3, right: 2 })
  expect(parseRange('$AB$12')).toEqual({ top: 12, left: 28, bottom: 12, right: 28 })
  expect(parseRange('XFD1048576')).toEqual({ top: 1_048_576, left: 16_384, bottom: 1_048_576, right: 16_384 })
  for (const text of ['', 'A', '1', 'A0', 'XFE1', 'A1048577', 'A1:', 'A1:B2:C3', 'a1', 'AAAA1']) expect(parseRange(text)).toBeNull()
  expect([1, 26, 27, 702, 703, 16_384].map(columnName)).toEqual(['A', 'Z', 'AA', 'ZZ', 'AAA', 'XFD'])
})
