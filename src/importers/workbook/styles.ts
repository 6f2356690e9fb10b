import { FileRefused } from '../../rules/refusal.ts'
import { isBuiltInDateFormat, isDateFormat } from './numberFormats.ts'
import { eachElement, nameCode } from './xml.ts'

const NUM_FMT = nameCode('numFmt'), CELL_XFS = nameCode('cellXfs'), XF = nameCode('xf')
/** Excel itself allows 65,490 cell formats. */
const MOST = 200_000

/** For each cell format (the s of a cell) whether it shows a date. An index beyond the end counts as General. */
export type DateStyles = { isDate(style: number): boolean }

export const NO_STYLES: DateStyles = { isDate: () => false }

/** Reads the styles part, of which only number formats matter. */
export async function readStyles(chunks: AsyncIterable<Buffer>, part: string): Promise<DateStyles> {
  const custom = new Map<number, boolean>()
  const formats: number[] = []
  let inCellFormats = false
  await eachElement(chunks, part, (xml) => {
    if (xml.name === CELL_XFS) inCellFormats = true
    if (xml.name === NUM_FMT) {
      const attributes = xml.attributeMap()
      custom.set(Number(attributes.get('numFmtId')), isDateFormat(attributes.get('formatCode') ?? ''))
    }
    if (xml.name === XF && inCellFormats) formats.push(Number(xml.attributeMap().get('numFmtId') ?? 0))
    if (formats.length > MOST || custom.size > MOST) throw new FileRefused('file.too_large', { what: 'number of cell formats', size: MOST + 1, limit: MOST })
  }, (name) => {
    if (name === CELL_XFS) inCellFormats = false
  })
  const dates = Uint8Array.from(formats, (id) => Number(custom.get(id) ?? isBuiltInDateFormat(id)))
  return { isDate: (style) => dates[style] === 1 }
}
