/**
 * Tells by its first bytes what a file is (spec A8; faults: bad input 2). A wrong kind is refused with its name and what to do;
 * a name such as people.xlsx proves nothing, but a text that calls itself a workbook is refused as one.
 */
import { FileRefused } from '../rules/refusal.ts'
import type { ByteSource, Limits } from './source.ts'
import { sniffContainer } from './workbook/sniffContainer.ts'
import { sniffOle } from './workbook/sniffOle.ts'
import { DEADLINE_MS, waitFor } from './workbook/patience.ts'

export type FileKind = 'xlsx' | 'text'

export type SniffOptions = {
  /** The file's name: text is refused where its ending says that it is a workbook. */
  name?: string
  signal?: AbortSignal
  /** Milliseconds for which the source may keep silent; 30,000 by default. */
  deadlineMs?: number
}

const HEAD = 4_096
const AS_XLSX = 'Open it in Excel and save it as "Excel Workbook (.xlsx)".'
const EXPORT = 'Export the list as an Excel workbook (.xlsx) or as CSV.'
const UNPACK = 'Unpack it, and upload the workbook or CSV that is in it.'

const refused = (kind: string, advice: string) => new FileRefused('file.not_a_workbook', { kind, advice })

/** Kinds known by bytes at the very beginning, as Latin-1. */
const SIGNATURES: readonly (readonly [start: string, kind: string, advice: string])[] = [
  ['%PDF-', 'a PDF document', EXPORT],
  ['\u001f\u008b', 'a gzip archive', UNPACK],
  ['BZh', 'a bzip2 archive', UNPACK],
  ['\u00fd7zXZ\u0000', 'an xz archive', UNPACK],
  ['7z\u00bc\u00af\u0027\u001c', 'a 7-Zip archive', UNPACK],
  ['Rar!\u001a\u0007', 'a RAR archive', UNPACK],
  ['\u0028\u00b5\u002f\u00fd', 'a Zstandard archive', UNPACK],
  ['\u0089PNG\r\n', 'an image (PNG)', EXPORT],
  ['\u00ff\u00d8\u00ff', 'an image (JPEG)', EXPORT],
  ['GIF8', 'an image (GIF)', EXPORT],
  ['II*\u0000', 'an image (TIFF)', EXPORT],
  ['MM\u0000*', 'an image (TIFF)', EXPORT],
  ['\u007fELF', 'a program', EXPORT],
  ['MZ\u0090\u0000', 'a program', EXPORT],
  ['SQLite format 3\u0000', 'an SQLite database', EXPORT],
  ['{\\rtf', 'a rich text document (RTF)', EXPORT],
  ['PAR1', 'a Parquet file', EXPORT],
  ['-----BEGIN PGP MESSAGE-----', 'a PGP-encrypted message', 'Decrypt it first, or set up decryption in the feed.'],
  // Excel 2.0 to 4.0 wrote their records without any container.
  ['\u0009\u0000\u0004\u0000', 'an Excel workbook of the 1980s or 1990s (.xls)', AS_XLSX],
  ['\u0009\u0002\u0006\u0000', 'an Excel workbook of the 1980s or 1990s (.xls)', AS_XLSX],
  ['\u0009\u0004\u0006\u0000', 'an Excel workbook of the 1980s or 1990s (.xls)', AS_XLSX],
]

/**
 * 'xlsx' for a workbook, 'text' for what may be CSV. Throws FileRefused: `file.empty` for 0 bytes, `file.not_a_workbook` with kind
 * and advice, `file.encrypted`, and what openContainer says of a damaged or hostile zip file.
 */
export async function sniff(source: ByteSource, limits: Limits, options: SniffOptions = {}): Promise<FileKind> {
  if (source.size === 0) throw new FileRefused('file.empty', { what: 'nothing at all: it is 0 bytes long' })
  const patience = { deadlineMs: options.deadlineMs ?? DEADLINE_MS, signal: options.signal }
  const head = await waitFor(patience, source.read(0, Math.min(HEAD, source.size)))
  const start = head.toString('latin1')

  if (/^PK(?:\u0003\u0004|\u0005\u0006)/.test(start)) {
    await sniffContainer(source, limits, patience)
    return 'xlsx'
  }
  if (start.startsWith('\u00d0\u00cf\u0011\u00e0\u00a1\u00b1\u001a\u00e1')) {
    const holds = await sniffOle(source, patience)
    if (holds === 'encrypted') throw new FileRefused('file.encrypted')
    if (holds === 'workbook') throw refused('an Excel 97-2003 workbook (.xls)', AS_XLSX)
    throw refused(holds === 'document' ? 'a Word 97-2003 document (.doc)' : 'a file of an old Office program', EXPORT)
  }
  const signature = SIGNATURES.find(([beginning]) => start.startsWith(beginning))
  if (signature) throw refused(signature[1], signature[2])
  if (/^RIFF....WEBP/s.test(start) || /^....ftyp(?:heic|heix|mif1|avif)/s.test(start) || /^BM....\u0000\u0000\u0000\u0000/s.test(start)) throw refused('an image', EXPORT)
  const markup = sniffMarkup(head)
  if (markup) throw markup
  if (isBinary(head)) throw refused('a binary file of an unknown kind', EXPORT)

  const ending = /\.(xlsx|xlsm|xlsb|xls)$/i.exec(options.name ?? '')?.[1]
  if (ending) throw refused(`plain text, although its name ends in .${ending}`, 'If it holds comma-separated values, rename it to end in .csv; otherwise open it in Excel and save it as "Excel Workbook (.xlsx)".')
  return 'text'
}

/** Pages and other markup, which many programs save as ".xls" or ".xlsx". */
function sniffMarkup(head: Buffer): FileRefused | null {
  const utf16 = head[0] === 0xff && head[1] === 0xfe || head[0] === 0x3c && head[1] === 0
  const text = head.toString(utf16 ? 'utf16le' : 'utf8').replace(/^\ufeff?\s*/, '').toLowerCase()
  if (text.startsWith('mime-version:') && text.includes('multipart/related')) return refused('a web archive (MHTML)', AS_XLSX)
  if (!text.startsWith('<')) return null
  if (/urn:schemas-microsoft-com:office:spreadsheet|progid="excel\.sheet"/.test(text)) return refused('an XML spreadsheet of Excel 2003', AS_XLSX)
  if (/^(?:<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html|head|body|table|meta|style|script|div|title|center|b|br|h1)\b/s.test(text)) return refused('a web page (HTML)', AS_XLSX)
  if (text.startsWith('<?xml') || text.startsWith('<!doctype')) return refused('an XML file', EXPORT)
  return null
}

/** More control characters than any text has. NULs in every other place are UTF-16, which the CSV reader judges. */
function isBinary(head: Buffer): boolean {
  if (head[0] === 0xff && head[1] === 0xfe || head[0] === 0xfe && head[1] === 0xff) return false
  let controls = 0
  const nulsAt = [0, 0]
  for (const [index, byte] of head.entries()) {
    if (byte === 0) nulsAt[index % 2]!++
    if (byte < 32 && byte !== 9 && byte !== 10 && byte !== 13 && byte !== 12 && byte !== 26) controls++
  }
  const [even = 0, odd = 0] = nulsAt
  if (Math.max(even, odd) > head.length * 0.3 && Math.min(even, odd) < head.length * 0.02) return false
  return controls > Math.max(2, head.length * 0.05)
}
