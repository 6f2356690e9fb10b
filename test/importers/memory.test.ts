/** Whatever the cells of a file hold, reading takes little memory: in processes of their own, whose heap is small. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LIMITS } from '../../src/importers/source.ts'
import { fewLongTexts, manyLongTexts } from '../support/heavyWorkbooks.ts'

/** MB: little more than reading any file takes. */
const HEAP = 80
const run = promisify(execFile)

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-memory-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** What smallHeap.ts prints; rejects where it dies. */
async function inSmallHeap(deed: string, file?: { name: string; bytes: Buffer | string }): Promise<unknown> {
  const path = join(folder, file?.name ?? '')
  if (file) await writeFile(path, file.bytes)
  const { stdout } = await run(process.execPath, [`--max-old-space-size=${HEAP}`, join(import.meta.dirname, 'smallHeap.ts'), deed, path], { timeout: 60_000 })
  return JSON.parse(stdout)
}

test('a workbook of 200 kB whose cells hold 5 GB together is read in batches of a few rows', async () => {
  const bytes = fewLongTexts({ rows: 1_600, columns: 100 })
  expect(bytes.length).toBeLessThan(1_000_000)
  expect(await inSmallHeap('read', { name: 'few.xlsx', bytes })).toEqual({ rows: 1_601, most: expect.toSatisfy((most: number) => most < 10) as number })
})

test('a row of more characters than the limit is refused, of a workbook as of a CSV file', async () => {
  const refused = { code: 'file.too_large', limit: LIMITS.rowCharacters }
  expect(await inSmallHeap('read', { name: 'wide.xlsx', bytes: fewLongTexts({ rows: 400, columns: 400 }) })).toMatchObject({ ...refused, what: 'number of characters in row 2' })
  const wide = Array.from({ length: 400 }, () => 'x'.repeat(32_000)).join(',')
  expect(await inSmallHeap('read', { name: 'wide.csv', bytes: `${Array.from({ length: 400 }, (_, index) => `c${index}`).join(',')}\n${wide}\n` })).toMatchObject({ ...refused, what: 'number of characters in one row' })
})

test('long texts are not remembered for the cells to come', async () => {
  expect(await inSmallHeap('read', { name: 'many.xlsx', bytes: manyLongTexts({ rows: 50, columns: 100 }) })).toMatchObject({ rows: 51 })
})

test('a hidden sheet is not held either', async () => {
  expect(await inSmallHeap('read', { name: 'hidden.xlsx', bytes: fewLongTexts({ rows: 1_000, columns: 100, state: 'veryHidden' }) })).toMatchObject({ rows: 1 })
})

test('a CSV file of long records is read in small batches', async () => {
  const record = `${Array.from({ length: 100 }, () => 'x'.repeat(32_000)).join(',')}\n`
  expect(await inSmallHeap('read', { name: 'long.csv', bytes: `${Array.from({ length: 100 }, (_, index) => `c${index}`).join(',')}\n${record.repeat(30)}` })).toMatchObject({ rows: 31 })
})

test.each(['issues', 'values'])('%s that are kept of a file do not keep the file with them', async (deed) => {
  expect(await inSmallHeap(deed)).toMatchObject({ kept: 600 })
})
