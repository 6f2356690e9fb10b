/**
 * Workbooks written by hand, part by part, so that a test can build any that a program would, and any that none ever should.
 */
import { crc32, deflateRawSync } from 'node:zlib'
import type { ByteSource } from '../../src/importers/source.ts'

/** One entry of a zip container. Everything that a directory says of it can be made to lie. */
export type ZipEntry = {
  name: string
  data: Buffer | string
  /** Stored without packing; deflated otherwise. */
  stored?: boolean
  /** What is written instead of the truth. Sizes in bytes. */
  lie?: { unpacked?: number; packed?: number; crc32?: number; method?: number; flags?: number; offset?: number }
}

/** A zip file with these entries, in order. `entryCount` overrides the number that the end record tells. */
export function writeZip(entries: readonly ZipEntry[], entryCount = entries.length): Buffer {
  const local: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data, stored, lie = {} } of entries) {
    const unpacked = Buffer.from(data)
    const packed = stored ? unpacked : deflateRawSync(unpacked)
    const nameBytes = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(lie.flags ?? 0x800, 2)
    fields.writeUInt16LE(lie.method ?? (stored ? 0 : 8), 4)
    // 1 January 1980, the first day that there is: the same bytes each time.
    fields.writeUInt16LE(0x21, 8)
    fields.writeUInt32LE(lie.crc32 ?? crc32(unpacked), 10)
    fields.writeUInt32LE(lie.packed ?? packed.length, 14)
    fields.writeUInt32LE(lie.unpacked ?? unpacked.length, 18)
    fields.writeUInt16LE(nameBytes.length, 22)
    local.push(Buffer.from('PK\u0003\u0004'), fields, nameBytes, packed)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(lie.offset ?? offset, 10)
    directory.push(Buffer.from('PK\u0001\u0002\u0014\u0000'), fields, rest, nameBytes)
    offset += 30 + nameBytes.length + packed.length
  }
  const directoryBytes = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entryCount, 4)
  end.writeUInt16LE(entryCount, 6)
  end.writeUInt32LE(directoryBytes.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...local, directoryBytes, Buffer.from('PK\u0005\u0006'), end])
}

export const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const RELATIONSHIPS = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006'

export type SheetXml = {
  name?: string
  state?: 'visible' | 'hidden' | 'veryHidden'
  /** What stands between <sheetData> and </sheetData>. */
  rows?: string
  /** What follows the rows: merged cells, links. */
  after?: string
  /** Targets of hyperlink relationships by id. */
  links?: Record<string, string>
  /** The whole part instead of the three above. */
  xml?: string | Buffer
}

export type WorkbookXml = {
  sheets?: SheetXml[]
  /** What stands inside of <sst>: the <si> elements. */
  strings?: string
  /** Custom number formats by id (164 and up). */
  numberFormats?: Record<number, string>
  /** Number format ids of the cell formats, in the order of the style indexes. */
  styles?: number[]
  date1904?: boolean
  /** Parts put in place of the ones made, or beside them; null leaves a part out. */
  parts?: Record<string, string | Buffer | null>
  contentType?: string
}

/** The parts of a workbook by name. */
export function workbookParts(workbook: WorkbookXml): Map<string, string | Buffer> {
  const sheets = workbook.sheets ?? [{}]
  const contentType = workbook.contentType ?? 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml'
  const relationship = (id: string, type: string, target: string, external = false) =>
    `<Relationship Id="${id}" Type="${RELATIONSHIPS}/${type}" Target="${attribute(target)}"${external ? ' TargetMode="External"' : ''}/>`
  const relationships = (inner: string) => `<?xml version="1.0" encoding="UTF-8"?>\n<Relationships xmlns="${PACKAGE}/relationships">${inner}</Relationships>`
  const parts = new Map<string, string | Buffer>([
    ['[Content_Types].xml', `<?xml version="1.0"?><Types xmlns="${PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${contentType}"/></Types>`],
    ['_rels/.rels', relationships(relationship('rId1', 'officeDocument', 'xl/workbook.xml'))],
    ['xl/workbook.xml', `<?xml version="1.0"?><workbook xmlns="${MAIN}" xmlns:r="${RELATIONSHIPS}"><workbookPr${workbook.date1904 ? ' date1904="1"' : ''}/><sheets>${
      sheets.map((sheet, index) => `<sheet name="${attribute(sheet.name ?? `Sheet${index + 1}`)}" sheetId="${index + 1}"${sheet.state ? ` state="${sheet.state}"` : ''} r:id="rId${index + 1}"/>`).join('')
    }</sheets></workbook>`],
    ['xl/_rels/workbook.xml.rels', relationships([
      ...sheets.map((_, index) => relationship(`rId${index + 1}`, 'worksheet', `worksheets/sheet${index + 1}.xml`)),
      relationship('rIdStrings', 'sharedStrings', 'sharedStrings.xml'), relationship('rIdStyles', 'styles', 'styles.xml'),
    ].join(''))],
  ])
  for (const [index, sheet] of sheets.entries()) {
    const part = `xl/worksheets/sheet${index + 1}.xml`
    parts.set(part, sheet.xml ?? sheetXml(sheet.rows ?? '', sheet.after))
    if (sheet.links) {
      parts.set(`xl/worksheets/_rels/sheet${index + 1}.xml.rels`, relationships(Object.entries(sheet.links).map(([id, target]) => relationship(id, 'hyperlink', target, true)).join('')))
    }
  }
  if (workbook.strings !== undefined) parts.set('xl/sharedStrings.xml', `<sst xmlns="${MAIN}">${workbook.strings}</sst>`)
  if (workbook.styles) {
    const formats = Object.entries(workbook.numberFormats ?? {}).map(([id, code]) => `<numFmt numFmtId="${id}" formatCode="${attribute(code)}"/>`).join('')
    const decoy = '<cellStyleXfs count="1"><xf numFmtId="14"/></cellStyleXfs>'
    parts.set('xl/styles.xml', `<styleSheet xmlns="${MAIN}"><numFmts>${formats}</numFmts>${decoy}<cellXfs>${workbook.styles.map((id) => `<xf numFmtId="${id}" applyNumberFormat="1"/>`).join('')}</cellXfs></styleSheet>`)
  }
  for (const [name, content] of Object.entries(workbook.parts ?? {})) {
    if (content === null) parts.delete(name)
    else parts.set(name, content)
  }
  return parts
}

/** A worksheet part around its rows. */
export const sheetXml = (rows: string, after = '') =>
  `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<worksheet xmlns="${MAIN}" xmlns:r="${RELATIONSHIPS}"><sheetData>${rows}</sheetData>${after}</worksheet>`

/** The bytes of a workbook. */
export const writeWorkbook = (workbook: WorkbookXml): Buffer => writeZip([...workbookParts(workbook)].map(([name, data]) => ({ name, data })))

const attribute = (text: string) => text.replace(/[&<"]/g, (character) => `&#${character.charCodeAt(0)};`)

/** Bytes in memory as a source. `reads` counts how often it was asked. */
export function bytesSource(bytes: Buffer): ByteSource & { reads: number } {
  return {
    size: bytes.length,
    reads: 0,
    async read(offset, length) {
      this.reads++
      if (offset + length > bytes.length) throw new Error(`The source ends at ${bytes.length}`)
      return bytes.subarray(offset, offset + length)
    },
    async *stream() {
      yield bytes
    },
  }
}
