/** Fault 42 with a file that really takes all the memory of its worker: it is put aside after two, and no other file with it. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { writeWorkbook } from '../support/writeWorkbook.ts'
import { endProcesses, expectEnded, importWorld, peopleCsv, wrongPeopleCsv, wrongTotals, type Process, type World } from './importProcesses.ts'

/** What a worker here may have, in MB; it needs half of that for itself, and ordinary files no more. */
const MEMORY = { NODE_OPTIONS: '--max-old-space-size=160' }
/** Rows of a file that is stopped in the middle. */
const ROWS = 7_000

/**
 * A small workbook whose rows hold gigabytes: two long texts, each the text of many thousand cells. Their numbers share a place in the reader's memory of texts,
 * so that each cell makes its own.
 */
function poison(): Buffer {
  const SHARED = 16_384
  const long = (letter: string): string => `<si><t>${letter.repeat(32_000)}</t></si>`
  const cells = (row: number): string => Array.from({ length: 400 }, (_, column) => `<c s="${(row * 7919 + column * 104_729) % 997}" t="s"><v>${(column % 2) * SHARED}</v></c>`).join('')
  const headers = ['External ID', 'First Name', 'Last Name', 'Email', ...Array.from({ length: 396 }, (_, index) => `Note ${index}`)]
  const rows = Array.from({ length: 400 }, (_, index) => `<row r="${index + 2}">${cells(index + 2)}</row>`)
  const header = `<row r="1">${headers.map((text) => `<c t="inlineStr"><is><t>${text}</t></is></c>`).join('')}</row>`
  return writeWorkbook({ sheets: [{ rows: header + rows.join('') }], strings: long('a') + '<si><t>-</t></si>'.repeat(SHARED - 1) + long('b') })
}

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
