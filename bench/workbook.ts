/** Writes large workbooks with flat memory, as Excel stores them: shared texts, numbers, dates by format, a reference on every cell. */
import { open, type FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { crc32, createDeflateRaw } from 'node:zlib'
import { person } from './rows.ts'

export const WORKBOOK_COLUMNS = [
  'External ID', 'First Name', 'Last Name', 'Email', 'Phone', 'System User', 'User Group', 'Profile', 'License', 'Role', 'Company', 'Department', 'Location', 'Send Date',
]
const LETTERS = WORKBOOK_COLUMNS.map((_, index) => String.fromCharCode(65 + index))
const PIECE_ROWS = 1_000
/** Sizes in a container without the 64-bit extension. */
const MOST_BYTES = 0xffff_ffff

const NAMESPACE = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const RELATIONSHIPS = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006'
const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

/** A cell's text, or its number with the style of its format. */
type Value = string | { number: number; style: number }

function valuesOf(index: number): Value[] {
  const { externalId, firstName, lastName, email, phone } = person(index)
  return [
    externalId, firstName, lastName, email, { number: Number(phone), style: 0 }, index % 3 === 0 ? 'yes' : 'no', index % 9 === 0 ? 'Supervisors' : 'Staff',
    'Standard', 'Full', 'Customer Limited', `Company ${index % 40}`, `Department ${index % 97}`, `Location ${index % 12}`, { number: 46_357 + (index % 30), style: 1 },
  ]
}

/** Writes a workbook with a header and so many rows of WORKBOOK_COLUMNS. */
export async function writePeopleWorkbook(file: string, rows: number): Promise<void> {
  const shared = new Map<string, number>()
  /** Texts of one row only are numbered in passing; keeping them would take more memory than anything else here. */
  let texts = 0
  const repeated = (text: string): number => {
    const known = shared.get(text)
    if (known !== undefined) return known
    shared.set(text, texts)
    return texts++
  }
  const isUnique = (column: number): boolean => column === 0 || column === 3
  const eachRow = (visit: (values: Value[], row: number) => void, row: number): void => visit(row === 1 ? WORKBOOK_COLUMNS : valuesOf(row - 2), row)

  function* sheet(): Generator<string> {
    yield `${XML}<worksheet xmlns="${NAMESPACE}" xmlns:r="${RELATIONSHIPS}"><dimension ref="A1:N${rows + 1}"/><sheetData>`
    for (let first = 1; first <= rows + 1; first += PIECE_ROWS) {
      let text = ''
      for (let row = first; row < Math.min(rows + 2, first + PIECE_ROWS); row++) {
        eachRow((values) => {
          text += `<row r="${row}" spans="1:14">`
          for (const [column, value] of values.entries()) {
            if (typeof value === 'string') text += `<c r="${LETTERS[column]}${row}" t="s"><v>${isUnique(column) && row > 1 ? texts++ : repeated(value)}</v></c>`
            else text += `<c r="${LETTERS[column]}${row}"${value.style ? ` s="${value.style}"` : ''}><v>${value.number}</v></c>`
          }
          text += '</row>'
        }, row)
      }
      yield text
    }
    yield '</sheetData></worksheet>'
  }

  /** The same walk again, in which each text comes up in the order of its number. */
  function* strings(): Generator<string> {
    yield `${XML}<sst xmlns="${NAMESPACE}" uniqueCount="${texts}">`
    let next = 0
    for (let first = 1; first <= rows + 1; first += PIECE_ROWS) {
      let text = ''
      for (let row = first; row < Math.min(rows + 2, first + PIECE_ROWS); row++) {
        eachRow((values) => {
          for (const [column, value] of values.entries()) {
            if (typeof value !== 'string' || (!(isUnique(column) && row > 1) && shared.get(value) !== next)) continue
            text += `<si><t>${value.replaceAll('&', '&amp;')}</t></si>`
            next++
          }
        }, row)
      }
      yield text
    }
    yield '</sst>'
  }

  const relationship = (id: string, type: string, target: string): string => `<Relationship Id="${id}" Type="${RELATIONSHIPS}/${type}" Target="${target}"/>`
  const relationships = (inner: string): string[] => [`${XML}<Relationships xmlns="${PACKAGE}/relationships">${inner}</Relationships>`]
  const type = (part: string, kind: string): string => `<Override PartName="/xl/${part}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.${kind}+xml"/>`
  await writeContainer(file, [
    ['[Content_Types].xml', [`${XML}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>${type('workbook', 'sheet.main')}${type('worksheets/sheet1', 'worksheet')}${type('styles', 'styles')}${type('sharedStrings', 'sharedStrings')}</Types>`]],
    ['_rels/.rels', relationships(relationship('rId1', 'officeDocument', 'xl/workbook.xml'))],
    ['xl/workbook.xml', [`${XML}<workbook xmlns="${NAMESPACE}" xmlns:r="${RELATIONSHIPS}"><sheets><sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>`]],
    ['xl/_rels/workbook.xml.rels', relationships(relationship('rId1', 'worksheet', 'worksheets/sheet1.xml') + relationship('rId2', 'styles', 'styles.xml') + relationship('rId3', 'sharedStrings', 'sharedStrings.xml'))],
    ['xl/styles.xml', [`${XML}<styleSheet xmlns="${NAMESPACE}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>`]],
    ['xl/worksheets/sheet1.xml', sheet()],
    ['xl/sharedStrings.xml', strings()],
  ])
}

/** Writes a zip file part by part. A part's sizes are known only behind it, and are put into its header then. */
async function writeContainer(path: string, parts: [name: string, pieces: Iterable<string>][]): Promise<void> {
  const file = await open(path, 'w')
  try {
    const directory: Buffer[] = []
    let at = 0
    for (const [name, pieces] of parts) {
      const start = at
      const nameBytes = Buffer.from(name)
      at += 30 + nameBytes.length
      const { checksum, packed, unpacked } = await writeDeflated(file, at, pieces)
      at += packed
      if (unpacked > MOST_BYTES || at > MOST_BYTES) throw new RangeError(`${name} is too large for this container`)
      const fields = Buffer.alloc(26)
      fields.writeUInt16LE(20, 0)
      fields.writeUInt16LE(8, 4)
      fields.writeUInt32LE(checksum, 10)
      fields.writeUInt32LE(packed, 14)
      fields.writeUInt32LE(unpacked, 18)
      fields.writeUInt16LE(nameBytes.length, 22)
      await file.write(Buffer.concat([Buffer.from('PK\u0003\u0004'), fields, nameBytes]), 0, 30 + nameBytes.length, start)
      const rest = Buffer.alloc(14)
      rest.writeUInt32LE(start, 10)
      directory.push(Buffer.from('PK\u0001\u0002\u0014\u0000'), fields, rest, nameBytes)
    }
    const directoryBytes = Buffer.concat(directory)
    const end = Buffer.alloc(22)
    end.write('PK\u0005\u0006', 'latin1')
    end.writeUInt16LE(parts.length, 8)
    end.writeUInt16LE(parts.length, 10)
    end.writeUInt32LE(directoryBytes.length, 12)
    end.writeUInt32LE(at, 16)
    await file.write(Buffer.concat([directoryBytes, end]), 0, directoryBytes.length + end.length, at)
  } finally {
    await file.close()
  }
}

async function writeDeflated(file: FileHandle, start: number, pieces: Iterable<string>): Promise<{ checksum: number; packed: number; unpacked: number }> {
  let checksum = 0
  let unpacked = 0
  let at = start
  function* bytes(): Generator<Buffer> {
    for (const piece of pieces) {
      const part = Buffer.from(piece)
      checksum = crc32(part, checksum)
      unpacked += part.length
      yield part
    }
  }
  const source = Readable.from(bytes(), { objectMode: false, highWaterMark: 1 << 20 })
  const deflate = createDeflateRaw({ level: 3, chunkSize: 1 << 18 })
  source.on('error', (error) => deflate.destroy(error))
  for await (const part of source.pipe(deflate) as AsyncIterable<Buffer>) {
    await file.write(part, 0, part.length, at)
    at += part.length
  }
  return { checksum, packed: at - start, unpacked }
}
