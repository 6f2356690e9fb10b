import type { ByteSource } from '../source.ts'
import { waitFor } from './patience.ts'
import type { Patience } from './patience.ts'

const ENTRY = 128
/** Sectors of the directory that are looked at; what tells one kind from another stands near its front. */
const MOST_SECTORS = 64
const END_OF_CHAIN = 0xfffffff0

/**
 * What an OLE2 compound file holds, by the names in its directory (MS-CFB 2.2 and 2.6): password-protected workbooks of today are
 * wrapped in one, old workbooks and documents are one. Damage ends the search; the answer is then 'other'.
 */
export async function sniffOle(source: ByteSource, patience: Patience): Promise<'encrypted' | 'workbook' | 'document' | 'other'> {
  const read = async (offset: number, length: number): Promise<Buffer | null> =>
    offset >= 0 && offset + length <= source.size ? await waitFor(patience, source.read(offset, length)) : null
  const header = await read(0, 512)
  if (!header) return 'other'
  const shift = header.readUInt16LE(30)
  if (shift !== 9 && shift !== 12) return 'other'
  const sectorSize = 1 << shift
  const sectorAt = (sector: number) => (sector + 1) * sectorSize
  const names = new Set<string>()
  let sector = header.readUInt32LE(48)
  for (let count = 0; count < MOST_SECTORS && sector < END_OF_CHAIN; count++) {
    const bytes = await read(sectorAt(sector), sectorSize)
    if (!bytes) break
    for (let at = 0; at < bytes.length; at += ENTRY) {
      const length = bytes.readUInt16LE(at + 64)
      if (length >= 2 && length <= 64) names.add(bytes.toString('utf16le', at, at + length - 2))
    }
    // The next sector of the chain stands in the allocation table, whose own sectors the header lists (the first 109 of them).
    const perSector = sectorSize / 4
    const table = Math.floor(sector / perSector)
    if (table >= 109) break
    const entry = await read(sectorAt(header.readUInt32LE(76 + table * 4)) + (sector % perSector) * 4, 4)
    if (!entry) break
    sector = entry.readUInt32LE(0)
  }
  if (names.has('EncryptedPackage') || names.has('EncryptionInfo')) return 'encrypted'
  if (names.has('Workbook') || names.has('Book')) return 'workbook'
  return names.has('WordDocument') ? 'document' : 'other'
}
