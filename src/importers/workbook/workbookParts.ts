/** Which parts a workbook has: its sheets with their names and states, its strings, its styles, its date system. */
import { posix } from 'node:path'
import { FileRefused } from '../../rules/refusal.ts'
import type { Container } from './container.ts'
import { decodeXml } from './decodeXml.ts'
import { eachElement, nameCode } from './xml.ts'

export type SheetState = 'visible' | 'hidden' | 'veryHidden'
export type Sheet = { name: string; state: SheetState; part: string }

export type WorkbookParts = {
  /** Worksheets only, in the order of their tabs; charts and dialogs hold no rows. */
  sheets: Sheet[]
  strings: string | null
  styles: string | null
  /** Days count from 1904 instead of 1900. */
  date1904: boolean
}

export type Relationship = { id: string; type: string; target: string; external: boolean }

const RELATIONSHIP = nameCode('Relationship'), SHEET = nameCode('sheet'), WORKBOOK = nameCode('workbook'), WORKBOOK_PR = nameCode('workbookPr')
const MOST_SHEETS = 10_000

/** Reads the relationships of a part ('' = the whole package) and calls back for each; types are given by their last word. */
export async function eachRelationship(container: Container, part: string, onRelationship: (relationship: Relationship) => void): Promise<void> {
  const name = posix.join(posix.dirname(part), '_rels', `${posix.basename(part)}.rels`)
  if (!container.has(name)) return
  await eachElement(decodeXml(container.stream(name), name), name, (xml) => {
    if (xml.name !== RELATIONSHIP) return
    const attributes = xml.attributeMap()
    const external = attributes.get('TargetMode') === 'External'
    const target = attributes.get('Target') ?? ''
    onRelationship({
      id: attributes.get('Id') ?? '',
      type: (attributes.get('Type') ?? '').split('/').at(-1)!,
      target: external ? target : target.startsWith('/') ? target.slice(1) : posix.join(posix.dirname(part), target),
      external,
    })
  })
}

/** Finds the workbook's parts through its relationships; a part that is named but missing counts as not there. */
export async function readWorkbookParts(container: Container): Promise<WorkbookParts> {
  let main = 'xl/workbook.xml'
  await eachRelationship(container, '', ({ type, target }) => {
    if (type === 'officeDocument') main = target
  })
  if (!container.has(main)) throw new FileRefused('file.corrupt', { what: `its part ${main} is missing` })

  const related = new Map<string, Relationship>()
  let strings: string | null = null
  let styles: string | null = null
  await eachRelationship(container, main, (relationship) => {
    if (relationship.external) return
    related.set(relationship.id, relationship)
    if (relationship.type === 'sharedStrings' && container.has(relationship.target)) strings = relationship.target
    if (relationship.type === 'styles' && container.has(relationship.target)) styles = relationship.target
  })

  const sheets: Sheet[] = []
  let date1904 = false
  let isWorkbook = false
  await eachElement(decodeXml(container.stream(main), main), main, (xml) => {
    if (xml.name === WORKBOOK && xml.depth <= 1) isWorkbook = true
    if (xml.name === WORKBOOK_PR) date1904 = isTrue(xml.attributeMap().get('date1904'))
    if (xml.name !== SHEET) return
    const attributes = xml.attributeMap()
    const relation = related.get(relationId(attributes) ?? '')
    if (!relation || relation.type !== 'worksheet') return
    const state = attributes.get('state')
    sheets.push({ name: attributes.get('name') ?? '', state: state === 'hidden' || state === 'veryHidden' ? state : 'visible', part: relation.target })
    if (sheets.length > MOST_SHEETS) throw new FileRefused('file.too_large', { what: 'number of sheets', size: sheets.length, limit: MOST_SHEETS })
  })
  if (!isWorkbook) throw new FileRefused('file.corrupt', { what: `its part ${main} is not the description of a workbook` })
  return { sheets, strings, styles, date1904 }
}

/** The r:id of an element, whatever prefix the writer has chosen for r. */
export function relationId(attributes: ReadonlyMap<string, string>): string | undefined {
  for (const [name, value] of attributes) if (name.endsWith(':id')) return value
  return undefined
}

/** A boolean attribute as workbooks write it. */
export const isTrue = (value: string | undefined) => value === '1' || value === 'true'
