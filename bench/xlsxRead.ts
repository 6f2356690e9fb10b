import { join } from 'node:path'
import { inTurns, type Benchmark } from './benchmark.ts'
import { saidBy, type Ground } from './ground.ts'
import type { ReadReport, Reader } from './readWorkbook.ts'
import { writePeopleWorkbook } from './workbook.ts'

const ROWS = 100_000

/** Reads a workbook in a process of its own. */
export async function readInChild(ground: Ground, reader: Reader, file: string, rows: number): Promise<ReadReport> {
  const report = JSON.parse(await saidBy(ground.child('bench/readWorkbook.ts', [reader, file]))) as ReadReport
  if (report.rows !== rows + 1) throw new Error(`${reader} read ${report.rows} rows of ${rows + 1}`)
  return report
}

export const xlsxRead: Benchmark = {
  name: 'xlsx-read',
  title: 'a workbook of 100,000 rows by 14 columns read by our reader, against the streaming reader of ExcelJS',
  unit: 'rows/s',
  better: 'more',
  target: 6,
  async run(ground) {
    const rows = ground.scaled(ROWS)
    const file = join(ground.folder, 'read.xlsx')
    await writePeopleWorkbook(file, rows)
    const seconds = async (reader: Reader): Promise<number> => (await readInChild(ground, reader, file, rows)).seconds
    return inTurns(ground, xlsxRead.name, rows, () => seconds('exceljs'), () => seconds('muster'))
  },
}
