/**
 * Takes in an Excel workbook (.xlsx) as a stream of rows (spec A2, A8): flat memory, nothing unpacked before it was checked,
 * and nothing handed on from a part that is damaged anywhere.
 */
import { FileRefused } from '../rules/refusal.ts'
import type { ByteSource, Limits, Source, SourceRow } from './source.ts'
import { openContainer } from './workbook/container.ts'
import { decodeXml } from './workbook/decodeXml.ts'
import { mailAddress, readMarks } from './workbook/marks.ts'
import { DEADLINE_MS } from './workbook/patience.ts'
import { SharedStrings, readSharedStrings } from './workbook/sharedStrings.ts'
import { readSheet } from './workbook/sheet.ts'
import { NO_STYLES, readStyles } from './workbook/styles.ts'
import { eachRelationship, readWorkbookParts } from './workbook/workbookParts.ts'
import type { Sheet, SheetState } from './workbook/workbookParts.ts'

export type WorkbookOptions = {
  /** The sheet to read, by its name; the first visible one otherwise. */
  sheet?: string
  /** Ends reading with the signal's reason. */
  signal?: AbortSignal
  /** Milliseconds for which the source may keep silent; 30,000 by default. */
  deadlineMs?: number
}

export type Workbook = Source & {
  sheets: { name: string; state: SheetState }[]
  properties: { date1904: boolean }
  /** The first rows of a sheet that is not visible, 1,000 or fewer where they hold much; none where there is no such sheet. */
  readHiddenSheet(name: string): Promise<SourceRow[]>
}

const MOST_HIDDEN_ROWS = 1_000
/** Links of one sheet that are looked at; see marks.ts. */
const MOST_ADDRESSES = 1 << 18
const MOST_ADDRESS_CHARACTERS = 1 << 25

/**
 * Opens a workbook: its container is checked, its sheets and formats are known, no row is read yet.
 * Throws FileRefused: `file.empty`, `file.corrupt`, `file.zip_bomb`, `file.too_large`, `file.encrypted`, `file.sheet_unknown`;
 * rows() throws them too, `file.corrupt` of a damaged sheet before its first row. ReadStalled where the source keeps silent.
 * Whether the bytes are a workbook at all is told by sniff(), which comes first.
 */
export async function openWorkbook(source: ByteSource, limits: Limits, options: WorkbookOptions = {}): Promise<Workbook> {
  const container = await openContainer(source, limits, { deadlineMs: options.deadlineMs ?? DEADLINE_MS, signal: options.signal })
  const parts = await readWorkbookParts(container)
  const xmlOf = (part: string) => decodeXml(container.stream(part), part)
  const styles = parts.styles ? await readStyles(xmlOf(parts.styles), parts.styles) : NO_STYLES
  const sheet = chooseSheet(parts.sheets, options.sheet)

  // Shared texts may be large: they are read when rows are first asked for, and once.
  let shared: Promise<SharedStrings> | undefined
  const sharedStrings = () => shared ??= parts.strings ? readSharedStrings(xmlOf(parts.strings), parts.strings, limits) : Promise.resolve(new SharedStrings())

  const rowsOf = async function* ({ part }: Sheet): AsyncGenerator<SourceRow[]> {
    const addresses = new Map<string, string>()
    let characters = 0
    await eachRelationship(container, part, ({ id, type, target, external }) => {
      const address = type === 'hyperlink' && external ? mailAddress(target) : null
      if (address === null) return
      addresses.set(id, address)
      characters += id.length + address.length
      if (characters > MOST_ADDRESS_CHARACTERS) throw new FileRefused('file.too_large', { what: 'number of characters of its links', size: characters, limit: MOST_ADDRESS_CHARACTERS })
      if (addresses.size > MOST_ADDRESSES) throw new FileRefused('file.too_large', { what: 'number of its links', size: addresses.size, limit: MOST_ADDRESSES })
    })
    const marks = await readMarks(xmlOf(part), part, addresses)
    const batches = readSheet(xmlOf(part), { part, strings: await sharedStrings(), styles, date1904: parts.date1904, limits, marks })
    for await (const batch of batches) {
      options.signal?.throwIfAborted()
      yield batch
    }
  }

  return {
    description: { format: 'xlsx', sheet: sheet.name, encoding: null, delimiter: null },
    sheets: parts.sheets.map(({ name, state }) => ({ name, state })),
    properties: { date1904: parts.date1904 },
    rows: () => rowsOf(sheet),
    async readHiddenSheet(name) {
      const hidden = parts.sheets.find((candidate) => candidate.name === name && candidate.state !== 'visible')
      if (!hidden) return []
      // Whatever is held together is held in one batch.
      for await (const batch of rowsOf(hidden)) return batch.slice(0, MOST_HIDDEN_ROWS)
      return []
    },
  }
}

/** Hidden sheets are not imported (faults: bad input 11), not even by name: nobody sees what they hold. */
function chooseSheet(sheets: readonly Sheet[], name: string | undefined): Sheet {
  const visible = sheets.filter((sheet) => sheet.state === 'visible')
  const first = visible[0]
  if (!first) throw new FileRefused('file.empty', { what: 'no visible sheet with cells' })
  if (name === undefined) return first
  const found = visible.find((sheet) => sheet.name === name) ?? visible.find((sheet) => sheet.name.trim().toLowerCase() === name.trim().toLowerCase())
  if (!found) throw new FileRefused('file.sheet_unknown', { sheet: name, sheets: visible.map((sheet) => sheet.name).slice(0, 20).join(', ') })
  return found
}
