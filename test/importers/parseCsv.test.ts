import { describe, expect, test } from 'vitest'
import { openCsv } from '../../src/importers/parseCsv.ts'
import { LIMITS } from '../../src/importers/source.ts'
import type { ByteSource } from '../../src/importers/source.ts'
import { bytesInPieces, readCsv, refusal } from './csv/fromBytes.ts'

const values = async (...args: Parameters<typeof readCsv>) => (await readCsv(...args)).rows.map(({ cells }) => cells)
const lines = async (...args: Parameters<typeof readCsv>) => (await readCsv(...args)).rows.map(({ row }) => row)

describe('fields', () => {
  test('an empty field is null and nothing is trimmed', async () => {
    expect(await values('a,b,c\n x ,,"  "\n')).toEqual([['a', 'b', 'c'], [' x ', null, '  ']])
  })

  test('a delimiter, a newline and a doubled quote inside quotes are text', async () => {
    expect(await values('a,b\n"x, y","1\r\n2 ""q"""\n')).toEqual([['a', 'b'], ['x, y', '1\r\n2 "q"']])
  })

  test('a quote inside an unquoted field is text', async () => {
    expect(await values('a,b\nJohn "Jack" Doe,5" screen\nnext,"row"\n')).toEqual([['a', 'b'], ['John "Jack" Doe', '5" screen'], ['next', 'row']])
  })

  test('a quote alone inside a quoted field of one line is text', async () => {
    expect(await values('a,b\n"John "Jack" Doe",x\n')).toEqual([['a', 'b'], ['John "Jack" Doe', 'x']])
  })

  test('spaces between a closing quote and the delimiter or newline are dropped', async () => {
    expect(await values('a,b\n"x" ,"y" \r\n"z","w"\t\n')).toEqual([['a', 'b'], ['x', 'y'], ['z', 'w']])
  })

  test('a formula that keeps leading zeros is passed on as it is', async () => {
    expect(await values('a,b\n="0123",=1+1\n')).toEqual([['a', 'b'], ['="0123"', '=1+1']])
  })

  test('NUL, U+FFFD and invisible characters are passed on for the rules to judge', async () => {
    expect(await values('a,b,c\nx\0y,\ufffd,\u200b\n')).toEqual([['a', 'b', 'c'], ['x\0y', '\ufffd', '\u200b']])
  })

  test('a zero-width no-break space is dropped only as the mark of the file', async () => {
    expect(await values('\ufeffa,b\n\ufeffx,y\n')).toEqual([['a', 'b'], ['\ufeffx', 'y']])
  })

  test('duplicate, empty and dangerous headers are neither renamed nor lost', async () => {
    expect((await values('a,a,,__proto__,constructor,A\n'))[0]).toEqual(['a', 'a', null, '__proto__', 'constructor', 'A'])
  })
})

describe('number of fields', () => {
  const counts = async (text: string) => (await readCsv(text)).rows.slice(1).map(({ cells, fieldCount }) => [cells.length, fieldCount])

  test('a row with fewer or more fields than the header is marked', async () => {
    expect(await counts('a,b,c\n1,2\n1,2,3\n1,2,3,4\n')).toEqual([[2, 'too_few'], [3, undefined], [4, 'too_many']])
  })

  test('trailing empty fields beyond the header are dropped', async () => {
    expect(await counts('a,b\n1,2,,\n1,,,\n1,2,,4,,\n')).toEqual([[2, undefined], [2, undefined], [4, 'too_many']])
  })

  test('a row needs no fields for trailing columns without a header', async () => {
    expect(await counts('a,b,,\n1,2\n1\n1,2,3,4\n')).toEqual([[2, undefined], [1, 'too_few'], [4, undefined]])
  })

  test('a row of delimiters alone has null cells and is not marked', async () => {
    const { rows } = await readCsv('a,b,c\n,,\n,\n')
    expect(rows.slice(1)).toEqual([{ row: 2, cells: [null, null, null] }, { row: 3, cells: [null, null] }])
  })

  test('a blank line has no cells and is not marked', async () => {
    expect((await readCsv('a,b\n\n1,2\n\n')).rows.slice(1)).toEqual([{ row: 2, cells: [] }, { row: 3, cells: ['1', '2'] }, { row: 4, cells: [] }])
  })
})

describe('lines', () => {
  test.each([['LF', '\n'], ['CRLF', '\r\n'], ['CR', '\r']])('%s ends a record and a line, with or without one at the end', async (_, newline) => {
    for (const end of ['', newline]) {
      const { rows } = await readCsv(['a,b', '1,"2"', '"3",4'].join(newline) + end)
      expect(rows).toEqual([{ row: 1, cells: ['a', 'b'] }, { row: 2, cells: ['1', '2'] }, { row: 3, cells: ['3', '4'] }])
    }
  })

  test('LF, CRLF and CR in one file all end a record', async () => {
    const { rows } = await readCsv('a,b\r\n1,2\n3,"4"\r5,6\r\r\n"7",8\n\r9,10')
    expect(rows.map(({ row, cells }) => [row, ...cells])).toEqual([[1, 'a', 'b'], [2, '1', '2'], [3, '3', '4'], [4, '5', '6'], [5], [6, '7', '8'], [7], [8, '9', '10']])
  })

  test('newlines inside quotes are kept as they are and counted', async () => {
    const { rows } = await readCsv('a,b\r\n"1\n2","3\r\n4"\r\n"5\r6",7\n8,9\r"1\n\r\n2",\n3,4')
    expect(rows.map(({ row, cells }) => [row, ...cells])).toEqual([[1, 'a', 'b'], [2, '1\n2', '3\r\n4'], [5, '5\r6', '7'], [7, '8', '9'], [8, '1\n\r\n2', null], [11, '3', '4']])
  })

  test('a CR at the end of a quoted field belongs to it', async () => {
    expect(await values('a,b\n1,"2\r"\n1,"2\r"\r\n')).toEqual([['a', 'b'], ['1', '2\r'], ['1', '2\r']])
  })

  test('blank lines before the header are passed over and counted', async () => {
    expect((await readCsv('\n\r\na,b\n1,2')).rows).toEqual([{ row: 3, cells: ['a', 'b'] }, { row: 4, cells: ['1', '2'] }])
  })

  test('a sep= line is not a row and is counted', async () => {
    const { description, rows } = await readCsv('sep=;\r\na;b\r\n1,5;2')
    expect(description.delimiter).toBe(';')
    expect(rows).toEqual([{ row: 2, cells: ['a', 'b'] }, { row: 3, cells: ['1,5', '2'] }])
    expect(await lines('\ufeffsep=;\na;b\n', { sizes: [1] })).toEqual([2])
  })

  test('a delimiter that is given is stronger than a sep= line and the guess', async () => {
    expect(await values('sep=;\na|b;c\n', { delimiter: '|' })).toEqual([['a', 'b;c']])
  })
})

describe('quotes that are not closed', () => {
  test('the line on which the quote opens is named', async () => {
    expect(await refusal(readCsv('a,b\r\n1,2\r\n"x\r\ny","never closed\r\n3,4\r\n'))).toEqual({ code: 'file.unclosed_quote', detail: { line: 4 } })
    expect(await refusal(readCsv('a,b\n1,"'))).toEqual({ code: 'file.unclosed_quote', detail: { line: 2 } })
  })

  test('a quote that swallows records as far as the next quoted field is refused, never a record lost', async () => {
    expect(await refusal(readCsv('a,b,c\n1,2,3\n1,"x,y\n2,"z",w\n3,4,5\n'))).toEqual({ code: 'file.unclosed_quote', detail: { line: 3 } })
  })

  test('one that swallows more than a cell may hold is told from a cell that is too long', async () => {
    const tail = 'some,more\n'.repeat(100_000)
    expect(await refusal(readCsv(`a,b\n1,2\nx,"y\n${tail}`))).toEqual({ code: 'file.unclosed_quote', detail: { line: 3 } })
    expect(await refusal(readCsv(`a,b\n1,2\nx,"y\n${tail}x,"z"\n${tail}`))).toEqual({ code: 'file.unclosed_quote', detail: { line: 3 } })
    expect(await refusal(readCsv(`a,b\n1,2\nx,"${'""y\n'.repeat(200_000)}"\nz,w\n`))).toEqual({ code: 'file.too_large', detail: { what: 'number of characters in one cell', size: 800_000, limit: 32_767 } })
  })
})

describe('limits', () => {
  const endless = (begin: string, piece: string, bytes: number): { source: ByteSource; taken: () => number } => {
    let taken = 0
    const head = Buffer.from(begin + piece.repeat(300_000 / piece.length))
    return {
      taken: () => taken,
      source: {
        size: bytes,
        read: (offset, length) => Promise.resolve(head.subarray(offset, offset + length)),
        async *stream() {
          yield head
          for (taken = head.length; taken < bytes; taken += 65_536) yield Buffer.from(piece.repeat(65_536 / piece.length))
        },
      },
    }
  }
  const drain = async (source: ByteSource) => {
    for await (const _ of (await openCsv(source, LIMITS, { encoding: 'utf-8' })).rows()) continue
  }

  test('a field without an end is refused long before the file is read', async () => {
    const { source, taken } = endless('a,b\n1,', 'x', 10_000_000)
    expect(await refusal(drain(source))).toMatchObject({ code: 'file.too_large', detail: { what: 'number of characters in one cell', limit: 32_767 } })
    expect(taken()).toBeLessThan(1_000_000)
  })

  test('a record of delimiters or of short fields without an end is refused long before the file is read', async () => {
    for (const piece of [',', 'x,']) {
      const { source, taken } = endless('a,b\n', piece, 100_000_000)
      expect(await refusal(drain(source))).toMatchObject({ code: 'file.too_large', detail: { what: 'number of columns', limit: 500 } })
      expect(taken()).toBeLessThan(2_000_000)
    }
  })

  test('a record of many long fields is refused before it fills the memory', async () => {
    const { source, taken } = endless('a,b\n', `${'x'.repeat(30_000)},`.slice(0, 16_384).replace(/.$/, ','), 400_000_000)
    expect(await refusal(drain(source))).toMatchObject({ code: 'file.too_large', detail: { what: 'number of characters in one row' } })
    expect(taken()).toBeLessThan(20_000_000)
  })

  test('10,000 columns are refused, in the header and in a row', async () => {
    const wide = Array.from({ length: 10_000 }, (_, index) => `c${index}`).join(',')
    expect(await refusal(readCsv(`${wide}\n`))).toEqual({ code: 'file.too_large', detail: { what: 'number of columns', size: 10_000, limit: 500 } })
    expect(await refusal(readCsv(`a,b\n1,2\n${wide}\n`))).toEqual({ code: 'file.too_large', detail: { what: 'number of columns', size: 10_000, limit: 500 } })
  })

  test('10,000 delimiters without a value behind them are no columns', async () => {
    const { rows } = await readCsv(`a,b${','.repeat(10_000)}\n1,2${','.repeat(10_000)}\n`)
    expect(rows).toEqual([{ row: 1, cells: ['a', 'b'] }, { row: 2, cells: ['1', '2'] }])
  })

  test('each limit holds for one more and not for as many', async () => {
    const text = 'a,b\n1,2\n\nxyz,4\n'
    expect((await readCsv(text, { limits: { rows: 4, columns: 2, cellCharacters: 3, fileBytes: text.length } })).rows).toHaveLength(4)
    expect(await refusal(readCsv(text, { limits: { rows: 3 } }))).toEqual({ code: 'file.too_large', detail: { what: 'number of rows', size: 4, limit: 3 } })
    expect(await refusal(readCsv(text, { limits: { columns: 1 } }))).toEqual({ code: 'file.too_large', detail: { what: 'number of columns', size: 2, limit: 1 } })
    expect(await refusal(readCsv(text, { limits: { cellCharacters: 2 } }))).toEqual({ code: 'file.too_large', detail: { what: 'number of characters in one cell', size: 3, limit: 2 } })
    expect(await refusal(readCsv(text, { limits: { fileBytes: text.length - 1 } }))).toEqual({ code: 'file.too_large', detail: { what: 'number of bytes', size: text.length, limit: text.length - 1 } })
  })

  test('bytes are counted as they come, whatever size was announced', async () => {
    const lying = { ...bytesInPieces(Buffer.from('a,b\n1,2\n3,4\n')), size: 5 }
    const source = await openCsv(lying, { ...LIMITS, fileBytes: 10 }, { encoding: 'utf-8' })
    expect(await refusal(Array.fromAsync(source.rows()))).toEqual({ code: 'file.too_large', detail: { what: 'number of bytes', size: 12, limit: 10 } })
  })
})

describe('a file', () => {
  test('without bytes, or with a mark or blank lines alone, is refused as empty', async () => {
    for (const content of ['', '\ufeff', '\n\r\n\r', 'sep=;\n']) {
      expect(await refusal(readCsv(content))).toEqual({ code: 'file.empty', detail: { what: 'no data' } })
    }
  })

  test('with a header alone gives one row', async () => {
    expect((await readCsv('email')).rows).toEqual([{ row: 1, cells: ['email'] }])
  })

  test('can be read more than once', async () => {
    const source = await openCsv(bytesInPieces(Buffer.from('a,b\n1,2\n')), LIMITS, {})
    expect(await Array.fromAsync(source.rows())).toEqual(await Array.fromAsync(source.rows()))
  })

  test('comes in batches of some thousand rows with lines that go on', async () => {
    const source = await openCsv(bytesInPieces(Buffer.from(`a,b\n${'1,2\n'.repeat(200_000)}`)), LIMITS, {})
    let line = 0
    for await (const batch of source.rows()) {
      expect(batch.length).toBeLessThanOrEqual(5_000)
      expect(batch[0]!.row).toBe(line + 1)
      line += batch.length
      expect(batch.at(-1)!.row).toBe(line)
    }
    expect(line).toBe(200_001)
  })

  test('is read no faster than its rows are taken', async () => {
    let taken = 0
    const bytes = bytesInPieces(Buffer.from(`a,b\n${'1,2\n'.repeat(500_000)}`))
    const counted: ByteSource = {
      ...bytes,
      async *stream() {
        for await (const piece of bytes.stream()) {
          taken += piece.length
          yield piece
        }
      },
    }
    const source = await openCsv(counted, LIMITS, { encoding: 'utf-8' })
    for await (const _ of source.rows()) break
    expect(taken).toBeLessThan(500_000)
  })

  test('is given up when the signal says so', async () => {
    const abort = new AbortController()
    const source = await openCsv(bytesInPieces(Buffer.from(`a,b\n${'1,2\n'.repeat(500_000)}`)), LIMITS, { signal: abort.signal })
    const reading = (async () => {
      for await (const _ of source.rows()) abort.abort()
    })()
    await expect(reading).rejects.toThrow(/abort/i)
  })

  test('takes one character as its delimiter and nothing else', async () => {
    for (const delimiter of ['', ';;', '"', '\n']) await expect(readCsv('a', { delimiter })).rejects.toThrow(RangeError)
  })
})
