/** Reads a workbook whole and says what it took, as JSON: `node bench/readWorkbook.ts muster|exceljs FILE`. Run by xlsx-read and xlsx-memory. */
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { openWorkbook } from '../src/importers/parseWorkbook.ts'
import { LIMITS, type ByteSource } from '../src/importers/source.ts'
import { timed } from './benchmark.ts'
import { readWithExceljs } from './floorExceljs.ts'
import { peakMemory } from './peakMemory.ts'

export type Reader = 'muster' | 'exceljs'
/** Rows with the header; cells that hold something; MB of a million bytes, null where the system does not tell. */
export type ReadReport = { rows: number; cells: number; seconds: number; peakMb: number | null }

/** As a file comes out of the database: in pieces of 4 MB. */
const PIECE_BYTES = 4 * 1024 * 1024

async function readWithMuster(path: string): Promise<{ rows: number; cells: number }> {
  const file = await open(path)
  const source: ByteSource = {
    size: (await stat(path)).size,
    async read(offset, length) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
      if (bytesRead < length) throw new Error('the file is shorter than it was')
      return buffer
    },
    stream: () => createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>,
  }
  try {
    const workbook = await openWorkbook(source, LIMITS)
    let rows = 0
    let cells = 0
    for await (const batch of workbook.rows()) {
      rows += batch.length
      for (const row of batch) for (const cell of row.cells) if (cell !== null) cells++
    }
    return { rows, cells }
  } finally {
    await file.close()
  }
}

const [reader, path] = process.argv.slice(2)
const read = reader === 'exceljs' ? readWithExceljs : readWithMuster
let counts = { rows: 0, cells: 0 }
const seconds = await timed(async () => {
  counts = await read(path!)
})
const report: ReadReport = { ...counts, seconds, peakMb: process.platform === 'linux' ? peakMemory('self') : null }
process.stdout.write(JSON.stringify(report))
