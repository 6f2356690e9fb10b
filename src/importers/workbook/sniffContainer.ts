import { FileRefused } from '../../rules/refusal.ts'
import type { ByteSource, Limits } from '../source.ts'
import { openContainer } from './container.ts'
import { decodeXml } from './decodeXml.ts'
import type { Patience } from './patience.ts'
import { eachElement, nameCode } from './xml.ts'

const OVERRIDE = nameCode('Override'), DEFAULT = nameCode('Default')
const CONTENT_TYPES = '[Content_Types].xml'
const AS_XLSX = 'Open it in Excel and save it as "Excel Workbook (.xlsx)".'
const MIMETYPE_BYTES = 1_000

const refused = (kind: string, advice: string) => new FileRefused('file.not_a_workbook', { kind, advice })

/** Returns where a zip file is a workbook of the kind that is read; throws FileRefused with what else it is. */
export async function sniffContainer(source: ByteSource, limits: Limits, patience: Patience): Promise<void> {
  const container = await openContainer(source, limits, patience)
  const { names } = container
  if (container.has(CONTENT_TYPES)) {
    const types = new Set<string>()
    await eachElement(decodeXml(container.stream(CONTENT_TYPES), CONTENT_TYPES), CONTENT_TYPES, (xml) => {
      if (xml.name === OVERRIDE || xml.name === DEFAULT) types.add((xml.attributeMap().get('ContentType') ?? '').toLowerCase())
    })
    const is = (word: string) => [...types].some((type) => type.includes(word))
    if (is('ms-excel.sheet.binary') || container.has('xl/workbook.bin')) throw refused('a binary Excel workbook (.xlsb)', AS_XLSX)
    if (is('ms-excel.sheet.macroenabled') || is('ms-excel.template.macroenabled') || is('ms-excel.addin') || is('vbaproject')) {
      throw refused('an Excel workbook with macros (.xlsm)', 'Open it in Excel and save it as "Excel Workbook (.xlsx)", without macros.')
    }
    if (is('wordprocessingml')) throw refused('a Word document (.docx)', 'Put the list into an Excel workbook (.xlsx) or CSV.')
    if (is('presentationml')) throw refused('a PowerPoint presentation (.pptx)', 'Put the list into an Excel workbook (.xlsx) or CSV.')
  }
  if (container.has('xl/workbook.xml') || container.has(CONTENT_TYPES) && container.has('_rels/.rels')) return
  if (names.some((name) => name.startsWith('xl/'))) throw new FileRefused('file.corrupt', { what: 'parts of the workbook are missing' })
  if (container.has('mimetype')) {
    const mimetype = (await container.read('mimetype', MIMETYPE_BYTES)).toString('latin1').trim()
    if (mimetype.startsWith('application/vnd.oasis.opendocument.spreadsheet')) throw refused('an OpenDocument spreadsheet (.ods)', 'Save it as "Excel 2007-365 (.xlsx)".')
    if (mimetype.startsWith('application/vnd.oasis.opendocument')) throw refused('an OpenDocument file', 'Put the list into an Excel workbook (.xlsx) or CSV.')
  }
  if (names.some((name) => /(?:^|\/)index(?:\.zip|\/.*\.iwa)$/i.test(name))) throw refused('an Apple Numbers document', 'Export it in Numbers: File > Export To > Excel, and choose .xlsx.')
  const inside = names.find((name) => /\.(?:xlsx|csv|xls)$/i.test(name))
  throw refused('a zip archive', inside ? `Unpack it, and upload ${inside} alone.` : 'Unpack it, and upload the workbook or CSV that is in it.')
}
