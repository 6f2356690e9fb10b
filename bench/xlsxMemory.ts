import { join } from 'node:path'
import type { Benchmark } from './benchmark.ts'
import { writePeopleWorkbook } from './workbook.ts'
import { readInChild } from './xlsxRead.ts'

/** What a sheet can hold below its header. */
const ROWS = 1_048_575
const LIMIT_MB = 300

export const xlsxMemory: Benchmark = {
  name: 'xlsx-memory',
  title: 'peak memory of a process that reads a workbook of 1,048,575 rows by 14 columns, against a limit of 300 MB; once',
  unit: 'MB',
  better: 'less',
  target: 1,
  async run(ground) {
    const rows = ground.scaled(ROWS)
    const file = join(ground.folder, 'memory.xlsx')
    ground.say(`preparing a workbook of ${rows} rows`)
    await writePeopleWorkbook(file, rows)
    const { peakMb, seconds } = await readInChild(ground, 'muster', file, rows)
    if (peakMb === null) throw new Error('peak memory is known on Linux only')
    ground.say(`${xlsxMemory.name}: ${peakMb.toFixed(0)} MB, read in ${seconds.toFixed(1)} s (${Math.round(rows / seconds)} rows/s)`)
    return [{ value: peakMb, floor: LIMIT_MB }]
  },
}
