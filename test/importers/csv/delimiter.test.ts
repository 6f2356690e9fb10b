import { expect, test } from 'vitest'
import { detectDelimiter, readSeparatorLine } from '../../../src/importers/csv/delimiter.ts'

test.each([
  [',', 'a,b,c\n1,2,3\n'],
  [';', 'a;b;c\n1;2;3\n'],
  ['\t', 'a\tb\tc\n1\t2\t3\n'],
  ['|', 'a|b|c\n1|2|3\n'],
  [';', 'a;b'],
  [';', 'a;b\r1;2\r3;4'],
])('%j is recognized', (delimiter, text) => {
  expect(detectDelimiter(text, true)).toBe(delimiter)
})

test('commas in the text of a semicolon file count for nothing', () => {
  expect(detectDelimiter('name;note\nDoe, John;a, b, c\nRoe, Jane;d, e, f\n', true)).toBe(';')
  expect(detectDelimiter('amount;price\n1,5;2,50\n3,5;4,50\n', true)).toBe(';')
  expect(detectDelimiter('Last, first, middle;E-mail\nDoe, John, X;a@x.com\nRoe, Jane, Y;b@x.com\n', true)).toBe(';')
})

test('delimiters inside quotes count for nothing', () => {
  expect(detectDelimiter('"a;b;c","d;e"\n"1;2;3","4;5"\n', true)).toBe(',')
  expect(detectDelimiter('"a,b,c";"d,e"\n"1,2,3";"4,5\n,6"\n', true)).toBe(';')
})

test('one column is taken as comma-separated, whatever its values hold', () => {
  expect(detectDelimiter('email\na@x.com\nb@x.com\n', true)).toBe(',')
  expect(detectDelimiter('name\nDoe; John\n', true)).toBe(',')
})

test('rows with a field too many or too few do not confuse', () => {
  expect(detectDelimiter('a;b;c,d\n1;2;3\n1;2\n1;2;3;4\n1;2;3\n', true)).toBe(';')
})

test('spaces behind commas do not matter where nothing else is a delimiter', () => {
  expect(detectDelimiter('a, b, c\n1, 2, 3\n', true)).toBe(',')
})

test('a sample cut inside a record is judged by its whole records, or by what there is', () => {
  expect(detectDelimiter('a;b;c\n1;2;3\n1,2,3,4', false)).toBe(';')
  expect(detectDelimiter('a;b;c;d', false)).toBe(';')
})

test('a sep= line names the delimiter in any case, with any newline, quoted or not', () => {
  expect(readSeparatorLine('sep=;\na')).toEqual({ delimiter: ';', length: 6 })
  expect(readSeparatorLine('SEP=|\r\na')).toEqual({ delimiter: '|', length: 7 })
  expect(readSeparatorLine('sep=\t\ra')).toEqual({ delimiter: '\t', length: 6 })
  expect(readSeparatorLine('"sep=,"\na')).toEqual({ delimiter: ',', length: 8 })
})

test('a header that begins like a sep= line is none', () => {
  for (const text of ['sep=;b\n', 'sep=\n', 'sep=ab\n', 'sep=a\n', 'separator;b\n', 'a\nsep=;\n']) expect(readSeparatorLine(text)).toBeNull()
})
