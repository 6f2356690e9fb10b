import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { UserSelection } from '../accounts/selectUsers.ts'
import { openSource } from '../importers/openSource.ts'
import { explainFailure } from '../rules/catalog.ts'
import { matchHeaders } from '../rules/columns.ts'
import { CommandRefused } from './find.ts'
import { count, inert, number } from './output.ts'

/** How a command line says whom it means. */
export type SelectionFlags = { organization: string; id?: string[]; contact?: string[]; filter?: string[]; users?: string; all?: boolean }

const SHOWN_UNKNOWN = 5

/** The selection that a command line makes. Refuses one that says nothing: a forgotten filter must not mean everybody. */
export async function readSelection({ id, contact, filter, users, all }: SelectionFlags): Promise<UserSelection> {
  const ids = id ?? contact
  if (!ids && !filter && users === undefined && !all) {
    throw new CommandRefused('usage.selection', 'Nobody was chosen.', 'Say whom you mean: --filter group=Staff, --id ID (of contacts: --contact ID), --users FILE, or --all.')
  }
  if (all && (ids || filter || users !== undefined)) throw new CommandRefused('usage.selection', '--all means everybody, and something else was chosen besides.', 'Leave one of them out.')
  return { ids, filters: filter, keys: users === undefined ? undefined : await readKeys(users), all }
}

/**
 * The first column of a file of people, as the selection takes it: one username, external id or e-mail address a line, or a CSV or
 * workbook of them. A header, where there is one, is none of them.
 */
export async function readKeys(path: string): Promise<string[]> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CommandRefused('file.not_found', explainFailure('file.not_found', { path }).message, 'Check the path.')
    throw new CommandRefused('file.not_readable', `${path} cannot be read: ${error.code === 'EISDIR' ? 'it is a folder' : error.message}.`)
  })
  const source = await openSource({ size: bytes.length, read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)), stream: () => asStream(bytes) }, { name: basename(path), sheet: null })
  const keys: string[] = []
  let first = true
  for await (const rows of source.rows()) {
    for (const { cells } of rows) {
      const cell = cells[0] ?? null
      const key = (cell === null || typeof cell === 'string' ? cell : 'text' in cell ? cell.text : null)?.trim() ?? ''
      if (key === '') continue
      if (!first || !isHeader(key)) keys.push(key)
      first = false
    }
  }
  return keys
}

async function* asStream(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/** "Username", "Employee ID", "E-Mail" and whatever else names such a column in a file to import. */
function isHeader(text: string): boolean {
  const field = matchHeaders([text], null, { required: [] }).columns[0]?.field
  return field === 'username' || field === 'externalId' || field === 'email'
}

/** Lines that tell of those nobody has. */
export function nameUnknown(unknown: readonly string[]): string[] {
  if (unknown.length === 0) return []
  const more = unknown.length - SHOWN_UNKNOWN
  return [`Not found: ${count(unknown.length, 'line')}: ${unknown.slice(0, SHOWN_UNKNOWN).map(inert).join(', ')}${more > 0 ? ` and ${number(more)} more` : ''}`]
}
