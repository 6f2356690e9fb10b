import { describe, expect, test } from 'vitest'
import { encodeSingleByte, readCsv, refusal, utf16 } from './fromBytes.ts'

const read = async (...args: Parameters<typeof readCsv>) => {
  const { description, rows } = await readCsv(...args)
  return { encoding: description.encoding, name: rows[1]?.cells[0] }
}
const NAMES = 'name,email\nZoë Müller 😀 € “x”,z@x.com\n'
const FIRST = 'Zoë Müller 😀 € “x”'

describe('what decides on the encoding', () => {
  test.each([
    ['UTF-8', Buffer.from(NAMES)],
    ['UTF-8 with BOM', Buffer.from(`\ufeff${NAMES}`)],
    ['UTF-16LE', utf16(NAMES, 'LE')],
    ['UTF-16BE', utf16(NAMES, 'BE')],
    ['UTF-16LE', utf16(NAMES, 'LE', false)],
    ['UTF-16BE', utf16(NAMES, 'BE', false)],
  ])('%s is told, and right however the bytes are cut', async (encoding, bytes) => {
    for (const sizes of [[1], [2], [3], [5, 1], [64 * 1024]]) expect(await read(bytes, { sizes })).toEqual({ encoding, name: FIRST })
  })

  test('ASCII is UTF-8', async () => {
    expect((await readCsv('a,b\n1,2\n')).description.encoding).toBe('UTF-8')
  })

  test('a byte order mark is stronger than a declared encoding', async () => {
    expect(await read(utf16(NAMES, 'LE'), { encoding: 'windows-1252' })).toEqual({ encoding: 'UTF-16LE', name: FIRST })
  })

  test('a declared encoding is stronger than what the bytes look like', async () => {
    expect(await read(Buffer.from('name\nZoë\n'), { encoding: 'windows-1252' })).toEqual({ encoding: 'Windows-1252', name: 'ZoÃ«' })
    expect(await read(encodeSingleByte('name\nŁukasz\n', 'iso-8859-2'), { encoding: 'latin2' })).toEqual({ encoding: 'ISO-8859-2', name: 'Łukasz' })
  })

  test('an encoding that nobody knows is refused', async () => {
    expect(await refusal(readCsv('a', { encoding: 'klingon' }))).toEqual({ code: 'file.encoding', detail: { encoding: 'klingon', offset: 0 } })
  })

  test('UTF-32 is refused', async () => {
    expect((await refusal(readCsv(Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0])))).code).toBe('file.encoding')
    expect((await refusal(readCsv(Buffer.from([0, 0, 0xfe, 0xff, 0, 0, 0, 0x61])))).code).toBe('file.encoding')
  })

  test('a few NULs do not make UTF-16', async () => {
    expect(await read(Buffer.from('name,b\nx\0y,z\n'))).toEqual({ encoding: 'UTF-8', name: 'x\0y' })
  })
})

describe('Windows-1252', () => {
  test('all of 0x80 to 0x9F is what the standard says', async () => {
    const bytes = Buffer.concat([Buffer.from('name\n'), Buffer.from(Array.from({ length: 32 }, (_, index) => 0x80 + index))])
    const { name } = await read(bytes, { encoding: 'windows-1252' })
    expect(name).toBe('€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ')
  })

  test.each([
    ['name;city\nJosé Nuñez;Málaga\nFrançois Lefèvre;Orléans\n', 'José Nuñez'],
    ['name,b\nO’Brien,1\n', 'O’Brien'],
    ['name,b\n“€ 5” – Ÿ,1\n', '“€ 5” – Ÿ'],
    ['name;b\nJürgen Größe;1\nSøren Ångström;2\n', 'Jürgen Größe'],
  ])('is told from UTF-8: %j', async (text, name) => {
    expect(await read(encodeSingleByte(text, 'windows-1252'))).toEqual({ encoding: 'Windows-1252', name })
  })

  test('the last byte of the file is enough', async () => {
    expect(await read(encodeSingleByte('name\ncafé', 'windows-1252'))).toEqual({ encoding: 'Windows-1252', name: 'café' })
  })

  test('the only letter beyond ASCII may stand far behind, and counts for all', async () => {
    const text = `name,b\n${'Anna,1\n'.repeat(100_000)}`
    const late = await readCsv(encodeSingleByte(`${text}Zoë,2\n`, 'windows-1252'))
    expect(late.description.encoding).toBe('Windows-1252')
    expect(late.rows.at(-1)).toEqual({ row: 100_002, cells: ['Zoë', '2'] })
    const utf8 = await readCsv(Buffer.from(`${text}Zoë,2\n`), { sizes: [700_010, 1] })
    expect(utf8.description.encoding).toBe('UTF-8')
    expect(utf8.rows.at(-1)!.cells[0]).toBe('Zoë')
  })
})

describe('a guess', () => {
  test.each([
    ['Windows-1250', 'name;b\nŁukasz Wiśniewski;1\nMałgorzata Dąbrowska;2\n', 'Łukasz Wiśniewski'],
    ['Windows-1251', 'имя;почта\nИван Петров;ivan@x.ru\nАнна Смирнова;anna@x.ru\nОльга Кузнецова;o@x.ru\n', 'Иван Петров'],
  ])('is %s where much speaks for it, and is shown', async (encoding, text, name) => {
    expect(await read(encodeSingleByte(text, encoding.toLowerCase()))).toEqual({ encoding, name })
  })
})

describe('invalid bytes', () => {
  const invalid = (offset: number, filler = 0): Buffer => Buffer.concat([Buffer.from(`name\n${'Zoë\n'.repeat(filler)}Zoë`), Buffer.from([0xff]), Buffer.from('\nZoë\n')].map((part, index) => index === 0 ? part.subarray(0, offset) : part))

  test('in UTF-8 are refused with their offset', async () => {
    for (const sizes of [[1], [4], [9], [10], [65_536]]) {
      expect(await refusal(readCsv(invalid(9), { sizes }))).toEqual({ code: 'file.encoding', detail: { encoding: 'UTF-8', offset: 9 } })
    }
  })

  test('in UTF-8 far behind are refused with their offset', async () => {
    const offset = 5 + 5 * 200_000 + 4
    for (const sizes of [[65_536], [99_991], [5_000_000]]) {
      expect(await refusal(readCsv(invalid(offset, 200_000), { sizes }))).toEqual({ code: 'file.encoding', detail: { encoding: 'UTF-8', offset } })
    }
  })

  test('a character cut off by the end is refused', async () => {
    expect(await refusal(readCsv(Buffer.from('name\nZoë Zoë').subarray(0, -1)))).toMatchObject({ code: 'file.encoding', detail: { encoding: 'UTF-8' } })
    expect(await refusal(readCsv(utf16('name\nZoë', 'LE').subarray(0, -1)))).toMatchObject({ code: 'file.encoding', detail: { encoding: 'UTF-16LE' } })
  })

  test('a lone surrogate in UTF-16 is refused where it turns out to be alone', async () => {
    expect(await refusal(readCsv(utf16('name\nx\ud800y\n', 'LE')))).toEqual({ code: 'file.encoding', detail: { encoding: 'UTF-16LE', offset: 17 } })
  })

  test('that a declared encoding does not have are refused', async () => {
    expect(await refusal(readCsv(Buffer.from([0x61, 0x0a, 0xe9]), { encoding: 'utf-8' }))).toMatchObject({ code: 'file.encoding', detail: { encoding: 'UTF-8' } })
    expect(await refusal(readCsv(Buffer.from([0x61, 0x0a, 0xaa]), { encoding: 'windows-1253' }))).toEqual({ code: 'file.encoding', detail: { encoding: 'Windows-1253', offset: 2 } })
  })
})
