import { describe, expect, test } from 'vitest'
import { readCells, readSheetRows } from './support.ts'

const strings = (...items: string[]) => ({ strings: items.map((item) => `<si>${item}</si>`).join('') })
const shared = (item: string) => readCells('<c r="A1" t="s"><v>0</v></c>', strings(item))

describe('text', () => {
  test('shared, inline and result strings are plain strings', async () => {
    const cells = await readCells('<c r="A1" t="s"><v>1</v></c><c r="B1" t="inlineStr"><is><t>inline</t></is></c><c r="C1" t="str"><v>result</v></c>', strings('<t>zero</t>', '<t>one</t>'))
    expect(cells).toEqual(['one', 'inline', 'result'])
  })

  test('rich text is joined from its runs, and phonetic readings are left out', async () => {
    const item = '<r><rPr><b/></rPr><t>東</t></r><r><t xml:space="preserve"> 京</t></r><rPh sb="0" eb="1"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/>'
    expect(await shared(item)).toEqual(['東 京'])
    expect(await readCells(`<c r="A1" t="inlineStr"><is>${item}</is></c>`)).toEqual(['東 京'])
  })

  test('all inline runs are kept, not only the last', async () => {
    expect(await readCells('<c r="A1" t="inlineStr"><is><r><t>a@</t></r><r><t>b.de</t></r></is></c>')).toEqual(['a@b.de'])
  })

  test('_xHHHH_ escapes are decoded once, wherever text stands', async () => {
    expect(await shared('<t>a_x000D_b</t>')).toEqual(['a\rb'])
    expect(await shared('<t>_x005F_x000D_</t>')).toEqual(['_x000D_'])
    expect(await readCells('<c r="A1" t="inlineStr"><is><t>a_x000D_b</t></is></c><c r="B1" t="str"><v>_x0041_</v></c><c r="C1" t="inlineStr"><is><t>_x00</t></is></c>')).toEqual(['a\rb', 'A', '_x00'])
  })

  test('entities and numbers stand for their characters', async () => {
    expect(await shared('<t>&amp;&lt;&gt;&quot;&apos;&#65;&#x1F600;&amp;lt;</t>')).toEqual(['&<>"\'A😀&lt;'])
  })

  test('half a surrogate pair comes out as it is, never as U+FFFD', async () => {
    expect(await shared('<t>a&#xD83D;</t>')).toEqual(['a\ud83d'])
    expect(await shared('<t>&#xD83D;&#xDE00;</t>')).toEqual(['😀'])
    expect(await shared('<t>_xD83D_</t>')).toEqual(['\ud83d'])
  })

  test('CDATA is text, in which an ampersand means itself; comments and instructions are none', async () => {
    expect(await shared('<t>a<!-- no --><![CDATA[<b>&amp;]]><?no?>c</t>')).toEqual(['a<b>&amp;c'])
    expect(await readCells('<c r="A1" t="str"><!----><v>1<![CDATA[2]]></v></c>')).toEqual(['12'])
  })

  test('line ends become LF, as XML wants it', async () => {
    expect(await shared('<t>a\r\nb\rc\nd</t>')).toEqual(['a\nb\nc\nd'])
  })

  test('blanks around a text are kept for the rules to judge', async () => {
    expect(await shared('<t> a </t>')).toEqual([' a '])
  })

  test('an empty text is an empty cell', async () => {
    expect(await readCells('<c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is/></c><c r="D1" t="str"><v/></c><c r="E1"><v>1</v></c>', { strings: '<si/><si><t/></si>' }))
      .toEqual([null, null, null, null, { type: 'number', value: 1, text: '1' }])
  })

  test('an object never shows as [object Object]', async () => {
    const cells = await readCells('<c r="A1" t="s"><v>0</v></c>', { strings: '<si><r><t>a</t></r></si>' })
    expect(JSON.stringify(cells)).not.toContain('object Object')
  })
})

describe('numbers', () => {
  test('keep their stored text', async () => {
    const texts = ['1', '-2.50', '1.5551E+10', '6125550100', '01234', '12345678901234567890', '1e-7', '.5', '+3', '0.1']
    const cells = await readCells(texts.map((text) => `<c><v>${text}</v></c>`).join(''))
    expect(cells).toEqual(texts.map((text) => ({ type: 'number', value: Number(text), text })))
  })

  test('what is no number is handed on as the text it is', async () => {
    const texts = ['abc', '1,5', '0x10', 'NaN', '--1', '1e', '1.2.3', 'Infinity', '1e999']
    expect(await readCells(texts.map((text) => `<c t="n"><v>${text}</v></c>`).join(''))).toEqual(texts)
  })

  test('of an identifier that starts with zeros nothing is lost', async () => {
    expect(await readCells('<c r="A1" t="s"><v>0</v></c>', strings('<t>01234</t>'))).toEqual(['01234'])
  })
})

describe('dates', () => {
  const styled = (cells: string, date1904 = false) => readCells(cells, { styles: [0, 14, 164, 165, 46], numberFormats: { 164: '[$-409]d-mmm-yy;@', 165: '0.00' }, date1904 })

  test('a number is a date by its format, built in or custom', async () => {
    expect(await styled('<c s="0"><v>46357</v></c><c s="1"><v>46357</v></c><c s="2"><v>46357.5</v></c><c s="3"><v>1</v></c><c s="4"><v>1.5</v></c>')).toEqual([
      { type: 'number', value: 46_357, text: '46357' },
      { type: 'date', iso: '2026-12-01', serial: 46_357 },
      { type: 'date', iso: '2026-12-01T12:00:00', serial: 46_357.5 },
      { type: 'number', value: 1, text: '1' },
      { type: 'number', value: 1.5, text: '1.5' },
    ])
  })

  test('a style that does not exist counts as General', async () => {
    expect(await styled('<c s="99"><v>46357</v></c><c s="-1"><v>1</v></c><c s="x"><v>2</v></c>')).toMatchObject([{ type: 'number' }, { type: 'number' }, { type: 'number' }])
  })

  test('the format of a named style is none of the cell\'s', async () => {
    // writeWorkbook puts a date format among the cellStyleXfs.
    expect(await readCells('<c s="0"><v>1</v></c>', { styles: [0] })).toMatchObject([{ type: 'number' }])
  })

  test('a workbook that counts from 1904 has its days, with serials of the usual system', async () => {
    expect(await styled('<c s="1"><v>0</v></c><c s="1"><v>44895.25</v></c>', true)).toEqual([
      { type: 'date', iso: '1904-01-01', serial: 1462 },
      { type: 'date', iso: '2026-12-01T06:00:00', serial: 46_357.25 },
    ])
  })

  test('serials up to 60 come as Excel shows them, with the serial for the judge', async () => {
    expect(await styled('<c s="1"><v>1</v></c><c s="1"><v>59</v></c><c s="1"><v>60</v></c><c s="1"><v>61</v></c>')).toEqual([
      { type: 'date', iso: '1900-01-01', serial: 1 }, { type: 'date', iso: '1900-02-28', serial: 59 },
      { type: 'date', iso: '1900-02-29', serial: 60 }, { type: 'date', iso: '1900-03-01', serial: 61 },
    ])
  })

  test('a serial that Excel shows as no date stays a number', async () => {
    expect(await styled('<c s="1"><v>-1</v></c><c s="1"><v>6125550100</v></c>')).toMatchObject([{ type: 'number', text: '-1' }, { type: 'number', text: '6125550100' }])
  })

  test('ISO date cells are dates; what is no date in them is text', async () => {
    expect(await readCells('<c t="d"><v>2026-12-01T08:00:00</v></c><c t="d"><v>2026-02-31</v></c>')).toEqual([{ type: 'date', iso: '2026-12-01T08:00:00', serial: null }, '2026-02-31'])
  })
})

describe('booleans, errors, formulas', () => {
  test('booleans and errors are told', async () => {
    expect(await readCells('<c t="b"><v>1</v></c><c t="b"><v>0</v></c><c t="b"><v>true</v></c><c t="b"><v>maybe</v></c><c t="e"><v>#N/A</v></c>')).toEqual([
      { type: 'boolean', value: true }, { type: 'boolean', value: false }, { type: 'boolean', value: true }, 'maybe', { type: 'error', text: '#N/A' },
    ])
  })

  test('a formula\'s result of each type carries the mark', async () => {
    const cells = await readCells('<c t="str"><f>A</f><v>x</v></c><c><f>B</f><v>2</v></c><c t="b"><f>C</f><v>0</v></c><c t="e"><f>D</f><v>#N/A</v></c><c s="1"><f>E</f><v>46357</v></c><c t="s"><f>F</f><v>0</v></c>', { styles: [0, 14], ...strings('<t>s</t>') })
    expect(cells).toEqual([
      { type: 'text', text: 'x', formula: true }, { type: 'number', value: 2, text: '2', formula: true }, { type: 'boolean', value: false, formula: true },
      { type: 'error', text: '#N/A', formula: true }, { type: 'date', iso: '2026-12-01', serial: 46_357, formula: true }, { type: 'text', text: 's', formula: true },
    ])
  })

  test('a formula without a result is told apart from an empty result', async () => {
    expect(await readCells('<c><f>A</f></c><c><f>A</f><v/></c><c><f>A</f><v></v></c><c t="str"><f>A</f></c><c t="str"><f>A</f><v></v></c><c><v>1</v></c>')).toEqual([
      { type: 'uncalculated' }, { type: 'uncalculated' }, { type: 'uncalculated' }, { type: 'uncalculated' }, null, { type: 'number', value: 1, text: '1' },
    ])
  })

  test('shared formulas mark each of their cells, array formulas all that they fill', async () => {
    const rows = await readSheetRows(
      '<row r="1"><c r="A1"><f t="shared" ref="A1:A2" si="0">B1</f><v>1</v></c><c r="B1"><f t="array" ref="B1:C2">X</f><v>2</v></c><c r="C1" t="str"><v>three</v></c></row>'
      + '<row r="2"><c r="A2"><f t="shared" si="0"/><v>1</v></c><c r="B2"><v>4</v></c><c r="C2" t="b"><v>1</v></c><c r="D2"><v>5</v></c></row><row r="3"><c r="B3"><v>6</v></c></row>',
    )
    expect(rows.map((row) => row.cells.map((cell) => typeof cell === 'object' && cell && 'formula' in cell))).toEqual([[true, true, true], [true, true, true, false], [null, false]])
  })
})

describe('links', () => {
  const link = (ref: string, id: string) => `<hyperlinks><hyperlink ref="${ref}" r:id="${id}"/></hyperlinks>`

  test('the shown text is taken; a mail link to another address is told', async () => {
    const rows = await readSheetRows('<row r="1"><c r="A1" t="str"><v>a@x.test</v></c><c r="B1" t="str"><v>b@x.test</v></c></row>', {
      after: '<hyperlinks><hyperlink ref="A1" r:id="l1"/><hyperlink ref="B1" r:id="l2"/></hyperlinks>',
      links: { l1: 'mailto:b@x.test?subject=Hi%20there', l2: 'MAILTO:B%40x.test' },
    })
    expect(rows[0]!.cells).toEqual([{ type: 'text', text: 'a@x.test', linkTarget: 'b@x.test' }, 'b@x.test'])
  })

  test('a linked cell of rich text shows its text', async () => {
    const rows = await readSheetRows('<row r="1"><c r="A1" t="s"><v>0</v></c></row>', { strings: '<si><r><t>a@</t></r><r><t>x.test</t></r></si>', after: link('A1', 'l'), links: { l: 'mailto:b@x.test' } })
    expect(rows[0]!.cells).toEqual([{ type: 'text', text: 'a@x.test', linkTarget: 'b@x.test' }])
  })

  test('links to pages, links without a target, and links of empty cells or numbers mean nothing', async () => {
    const row = '<row r="1"><c r="A1" t="str"><v>a</v></c><c r="C1"><v>1</v></c></row>'
    const plain = [{ row: 1, cells: ['a', null, { type: 'number', value: 1, text: '1' }] }]
    expect(await readSheetRows(row, { after: link('A1', 'l'), links: { l: 'https://x.test/mailto:b@x.test' } })).toEqual(plain)
    expect(await readSheetRows(row, { after: link('A1', 'gone'), links: { l: 'mailto:b@x.test' } })).toEqual(plain)
    expect(await readSheetRows(row, { after: link('B1:Z1048576', 'l'), links: { l: 'mailto:b@x.test' } })).toEqual(plain)
  })

  test('a link over a range counts for each of its cells, and a formula keeps its mark', async () => {
    const rows = await readSheetRows('<row r="2"><c r="A2" t="str"><v>a</v></c></row><row r="3"><c r="A3" t="str"><f>X</f><v>c</v></c></row><row r="5"><c r="A5" t="str"><v>d</v></c></row>', { after: link('A2:B4', 'l'), links: { l: 'mailto:t@x.test' } })
    expect(rows.map((row) => row.cells[0])).toEqual([{ type: 'text', text: 'a', linkTarget: 't@x.test' }, { type: 'text', text: 'c', formula: true, linkTarget: 't@x.test' }, 'd'])
  })
})

describe('merged cells', () => {
  const rows = [1, 2, 3, 4].map((row) => `<row r="${row}">${['A', 'B', 'C'].map((column) => `<c r="${column}${row}" t="str"><v>${column}${row}</v></c>`).join('')}</row>`).join('')
  const merge = (...ranges: string[]) => ({ after: `<mergeCells>${ranges.map((range) => `<mergeCell ref="${range}"/>`).join('')}</mergeCells>` })

  test('over several rows all cells are marked, as nobody can tell whose value it is', async () => {
    const merged = { type: 'merged', range: 'A2:A3' }
    expect((await readSheetRows(rows, merge('A2:A3'))).map((row) => row.cells)).toEqual([['A1', 'B1', 'C1'], [merged, 'B2', 'C2'], [merged, 'B3', 'C3'], ['A4', 'B4', 'C4']])
  })

  test('within one row only the covered cells are', async () => {
    const merged = { type: 'merged', range: 'A2:B2' }
    expect((await readSheetRows(rows, merge('A2:B2')))[1]!.cells).toEqual(['A2', merged, 'C2'])
  })

  test('a covered cell that the file leaves out is marked where its row holds anything else', async () => {
    const merged = { type: 'merged', range: 'E1:E9' }
    const found = await readSheetRows(rows, merge('E1:E9'))
    expect(found.map((row) => row.cells[4])).toEqual([merged, merged, merged, merged])
    expect(found.map((row) => row.row)).toEqual([1, 2, 3, 4])
  })

  test('ranges come in any order', async () => {
    const found = await readSheetRows(rows, merge('C3:C4', 'A1:A2', 'B2:B3'))
    expect(found.map((row) => row.cells.map((cell) => typeof cell === 'string' ? cell : 'merged'))).toEqual([['merged', 'B1', 'C1'], ['merged', 'merged', 'C2'], ['A3', 'merged', 'merged'], ['A4', 'B4', 'merged']])
  })
})
