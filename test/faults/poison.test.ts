/** Fault 42 with a file that really takes all the memory of its worker: it is put aside after two, and no other file with it. And files that would, and must not. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { fewLongTexts } from '../support/heavyWorkbooks.ts'
import { writeWorkbook } from '../support/writeWorkbook.ts'
import { endProcesses, expectEnded, importWorld, peopleCsv, wrongPeopleCsv, wrongTotals, type Process, type World } from './importProcesses.ts'

/** What a worker here may have, in MB; it needs half of that for itself, and ordinary files no more. */
const HEAP = '--max-old-space-size=160'
/** A text of a file that takes all of that, where it is read with eatMemory.ts. */
const EATS_MEMORY = 'takes all the memory of its worker'
const MEMORY = { NODE_OPTIONS: `${HEAP} --import=${pathToFileURL(join(import.meta.dirname, 'eatMemory.ts')).href}`, EAT_MEMORY_AT: EATS_MEMORY }
/** Rows of a file that is stopped in the middle. */
const ROWS = 7_000

/** A small workbook like any other besides. */
const poison = (): Buffer => writeWorkbook({ sheets: [{ rows: ['Email', EATS_MEMORY].map((text, index) => `<row r="${index + 1}"><c t="inlineStr"><is><t>${text}</t></is></c></row>`).join('') }] })

let world: World
beforeAll(async () => {
  world = await importWorld()
})
afterEach(endProcesses)
afterAll(() => world.close())

const attemptsOf = async (importId: string): Promise<number> => (await world.sql<{ attempts: number }>('select attempts from imports where id = $1', [importId]))[0]!.attempts
const outOfMemory = async (worker: Process): Promise<void> => {
  expect(['SIGABRT', 134]).toContain(await worker.ended)
  expect(worker.output()).toContain('heap out of memory')
}

test('42: it is put aside after it has ended two workers; the file that was read beside it is taken in, and so are others', { timeout: 60_000 }, async () => {
  const bytes = poison()
  expect(bytes.length).toBeLessThan(1_000_000)
  const bad = await receiveFile(world.database, world.people.organizationId, { name: 'people.xlsx', bytes: [bytes] }, DEFAULT_OPTIONS)
  const good = await world.receive(wrongPeopleCsv(ROWS))

  // Both are read in one process, and it ends.
  let held = await world.holdStaging()
  let worker = await world.start('worker.ts', MEMORY)
  await world.wake(good)
  await held.reached()
  await world.wake(bad)
  await outOfMemory(worker)
  await held.goOn()
  expect([await attemptsOf(bad), await attemptsOf(good)]).toEqual([1, 1])

  // From now on each is read alone: the one waits until the other is through.
  for (const importId of [bad, good]) await world.leaseRunsOut(importId)
  held = await world.holdStaging()
  worker = await world.start('worker.ts', MEMORY)
  await world.wake(good)
  await held.reached()
  await world.wake(bad)
  await expect.poll(() => world.sql(`select from bullmq.job where name = 'stage' and state = 'delayed' and data->>'importId' = $1`, [bad]), { timeout: 20_000 }).toHaveLength(1)
  await held.goOn()
  await world.reaches(good, 'committing', 'committed')
  await outOfMemory(worker)
  expect(await attemptsOf(bad)).toBe(2)

  await world.leaseRunsOut(bad)
  worker = await world.start('worker.ts', MEMORY)
  await world.start('scheduler.ts')
  await world.reaches(bad, 'failed')
  await expectEnded(world, bad, 'failed')
  expect((await world.people.report(bad)).failure?.code).toBe('import.interrupted')
  await world.reaches(good, 'committed')
  expect(await expectEnded(world, good)).toMatchObject(wrongTotals(ROWS))
  const next = await world.receive(peopleCsv(20, ROWS + 1))
  await world.reaches(next, 'committed')
  expect(await expectEnded(world, next)).toMatchObject({ created: 20 })
  worker.process.kill('SIGTERM')
  expect(await worker.ended).toBe(0)
})

test('a workbook that holds gigabytes in few bytes takes no worker with it: it is taken in, or refused with its reason', { timeout: 60_000 }, async () => {
  const worker = await world.start('worker.ts', { NODE_OPTIONS: HEAP })
  const take = async (bytes: Buffer, options = {}): Promise<string> => {
    expect(bytes.length).toBeLessThan(1_000_000)
    const importId = await receiveFile(world.database, world.people.organizationId, { name: 'people.xlsx', bytes: [bytes] }, { ...DEFAULT_OPTIONS, ...options })
    await world.wake(importId)
    await world.reaches(importId, 'committed', 'failed')
    expect(await attemptsOf(importId)).toBe(1)
    return importId
  }

  const wide = await take(fewLongTexts({ rows: 400, columns: 400 }))
  await expectEnded(world, wide, 'failed')
  expect((await world.people.report(wide)).failure?.code).toBe('file.too_large')

  // Each cell is read, kept as an attribute's, and refused with a problem of its own.
  const setColumns = Object.fromEntries(Array.from({ length: 96 }, (_, index) => [`Note ${index}`, { attribute: `Note ${index}` }]))
  const long = await take(fewLongTexts({ rows: 120, columns: 100 }), { setColumns })
  expect(await expectEnded(world, long)).toMatchObject({ read: 120, rejected: 120 })
  expect(await world.sql(`select code, count(*)::int as count from import_issues where import_id = $1 and field is null group by code`, [long])).toEqual([{ code: 'cell.too_long', count: 120 * 96 }])

  // As many problems as a cell can have parts: those of one row are written before the next is read.
  const inline = (texts: string[]): string => texts.map((text) => `<c t="inlineStr"><is><t>${text}</t></is></c>`).join('')
  const rows = Array.from({ length: 4 }, (_, index) => `<row r="${index + 2}">${inline([`many${index}`, 'Ana', 'Nguyen', `many${index}@acme.example`])}<c t="s"><v>0</v></c></row>`)
  const sheet = `<row r="1">${inline(['External ID', 'First Name', 'Last Name', 'Email', 'Groups'])}</row>${rows.join('')}`
  const many = await take(writeWorkbook({ sheets: [{ rows: sheet }], strings: `<si><t>${'x;'.repeat(16_000)}</t></si>` }))
  expect(await expectEnded(world, many)).toMatchObject({ read: 4, rejected: 4 })
  expect(await world.sql('select count(*)::int as count from import_issues where import_id = $1 group by xmin::text', [many])).toEqual(Array.from({ length: 4 }, () => ({ count: 16_000 })))

  const next = await world.receive(peopleCsv(20, 2 * ROWS))
  await world.wake(next)
  await world.reaches(next, 'committed')
  expect(await expectEnded(world, next)).toMatchObject({ created: 20 })
  worker.process.kill('SIGTERM')
  expect(await worker.ended).toBe(0)
})
