/**
 * What a sheet says of its cells only after them: merged ranges and hyperlinks. A first pass over the sheet looks for the end
 * of its rows, which costs little more than unpacking, and reads what follows; so rows can stream in one go afterwards.
 * That pass also proves the part undamaged before its first row is handed on.
 */
import { FileRefused } from '../../rules/refusal.ts'
import type { Cell } from '../source.ts'
import { parseRange, rangeName } from './references.ts'
import type { Range } from './references.ts'
import { relationId } from './workbookParts.ts'
import { MORE, OPEN, Xml, nameCode } from './xml.ts'

export const MERGE_CELL = nameCode('mergeCell'), HYPERLINK = nameCode('hyperlink'), WORKSHEET = nameCode('worksheet')

/** Excel allows 65,530 links in a sheet; other writers do not stop there. */
const MOST_RANGES = 1 << 18

export type Merge = Range & { cell: Cell }
/** `address` stands behind a mailto: link, without its parameters. */
export type MailLink = Range & { address: string }

export type Marks = {
  /** Sorted by their first row. */
  merges: Merge[]
  links: MailLink[]
  /** All elements met, to be compared with what the rows' pass meets. */
  mergeElements: number
  linkElements: number
}

const SHEET_DATA = Buffer.from('sheetData')
/** Bytes kept of the chunk before, so that an end tag with its prefix is found across a border. */
const OVERLAP = 64

/** Reads the marks of a sheet. `addresses` holds the mailto: targets of the sheet's relationships by id. */
export async function readMarks(chunks: AsyncIterable<Buffer>, part: string, addresses: ReadonlyMap<string, string>): Promise<Marks> {
  const marks: Marks = { merges: [], links: [], mergeElements: 0, linkElements: 0 }
  const xml = new Xml(part)
  xml.inside(WORKSHEET)
  for await (const _ of xml.feed(afterRows(chunks))) {
    for (let kind = xml.next(); kind !== MORE; kind = xml.next()) if (kind === OPEN) readMark(xml, marks, addresses)
  }
  marks.merges.sort((a, b) => a.top - b.top)
  marks.links.sort((a, b) => a.top - b.top)
  return marks
}

/** What stands behind the rows. A sheet without rows has nothing to mark, and ends here as one whose end was read. */
async function* afterRows(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let before: Buffer = Buffer.alloc(0)
  let found = false
  for await (const chunk of chunks) {
    if (found) {
      yield chunk
      continue
    }
    const searched = before.length > 0 ? Buffer.concat([before, chunk]) : chunk
    const end = endOfRows(searched)
    found = end >= 0
    if (found) yield searched.subarray(end)
    else before = searched.subarray(Math.max(0, searched.length - OVERLAP))
  }
  if (!found) yield Buffer.from('</worksheet>')
}

function readMark(xml: Xml, marks: Marks, addresses: ReadonlyMap<string, string>): void {
  if (xml.name === MERGE_CELL) {
    marks.mergeElements++
    const ref = xml.attributeMap().get('ref') ?? ''
    const range = parseRange(ref)
    if (!range) throw xml.damaged(`merges the cells ${ref.slice(0, 30)}, which do not exist`)
    marks.merges.push({ ...range, cell: { type: 'merged', range: rangeName(range) } })
  }
  if (xml.name === HYPERLINK) {
    marks.linkElements++
    const attributes = xml.attributeMap()
    const address = addresses.get(relationId(attributes) ?? '')
    const range = parseRange(attributes.get('ref') ?? '')
    if (address !== undefined && range) marks.links.push({ ...range, address })
  }
  const most = Math.max(marks.merges.length, marks.links.length)
  if (most > MOST_RANGES) throw new FileRefused('file.too_large', { what: 'number of its merged ranges or links', size: most, limit: MOST_RANGES })
}

/** The place behind `</sheetData>`, with any prefix; -1 where it is not in these bytes in full. */
function endOfRows(bytes: Buffer): number {
  for (let at = bytes.indexOf(SHEET_DATA); at >= 0; at = bytes.indexOf(SHEET_DATA, at + 1)) {
    const open = bytes.lastIndexOf('<', at)
    if (open < 0 || !/^<\/(?:[^<>/\s:]+:)?$/.test(bytes.toString('latin1', open, at))) continue
    const close = bytes.indexOf('>', at)
    if (close >= 0) return close + 1
  }
  return -1
}

/** The address of a mailto: link; null for every other link. */
export function mailAddress(target: string): string | null {
  const match = /^mailto:([^?]*)/i.exec(target)
  if (!match) return null
  try {
    return decodeURIComponent(match[1]!).trim()
  } catch {
    return match[1]!.trim()
  }
}

/** Ranges in force at each row, for rows that only ever go up. */
export class RangeSweep<T extends Range> {
  readonly ranges: readonly T[]
  next = 0
  active: T[] = []

  constructor(ranges: readonly T[]) {
    this.ranges = ranges
  }

  at(row: number): readonly T[] {
    if (this.active.length > 0) this.active = this.active.filter((range) => range.bottom >= row)
    for (let range = this.ranges[this.next]; range && range.top <= row; range = this.ranges[++this.next]) if (range.bottom >= row) this.active.push(range)
    return this.active
  }
}
