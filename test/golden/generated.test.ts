/** Files too large to be kept (faults: bad input 3, 5, 17, 22), made here and sent the whole way. */
import { expect, test } from 'vitest'
import { LIMITS } from '../../src/importers/source.ts'
import { importing, useDatabase } from '../support/importing.ts'
import { rowXml, workbookOf } from '../support/writePeople.ts'
import { workbookParts, writeWorkbook, writeZip } from '../support/writeWorkbook.ts'
import { fates, QUIET } from './sheets.ts'

const database = useDatabase()
const MEGABYTE = 1024 * 1024
const LINE = 'External ID,First Name,Last Name\r\n'

const refused = async (file: { name: string; bytes: Buffer }) => {
  const organization = await importing(database.current, QUIET)
  const report = await organization.run(file)
  expect(report).toMatchObject({ state: 'failed', totals: { read: 0 }, issueCount: 0 })
  expect(await organization.contacts()).toEqual([])
  return report.failure
}

test('a field of 10 MB is refused, quoted or not, in CSV and workbook', async () => {
  const long = 'x'.repeat(10 * MEGABYTE)
  const limit = expect.stringContaining(`the limit is ${LIMITS.cellCharacters}`) as string
  expect(await refused({ name: 'a.csv', bytes: Buffer.from(`${LINE}1,${long},B\r\n`) })).toMatchObject({ code: 'file.too_large', message: limit })
  expect(await refused({ name: 'a.csv', bytes: Buffer.from(`${LINE}1,"${long}",B\r\n`) })).toMatchObject({ code: 'file.too_large', message: limit })
  const parts = [...workbookParts({ sheets: [{ rows: rowXml(1, ['First Name', 'Last Name']) + rowXml(2, ['A', long]) }] })]
  expect(await refused({ name: 'a.xlsx', bytes: writeZip(parts.map(([name, data]) => ({ name, data, stored: true }))) })).toMatchObject({ code: 'file.too_large' })
})

test('10,000 columns are refused', async () => {
  const many = Array.from({ length: 10_000 }, (_, index) => `c${index}`)
  expect(await refused({ name: 'a.csv', bytes: Buffer.from(`${many.join(',')}\r\n${many.join(',')}\r\n`) })).toMatchObject({ code: 'file.too_large', message: 'The file is too large: the number of columns is 10000; the limit is 500.' })
  expect(await refused({ name: 'a.xlsx', bytes: workbookOf([many, many]) })).toMatchObject({ code: 'file.too_large' })
})

test('more rows than a sheet has are refused, with nothing of them kept', async () => {
  const lines = Buffer.concat([Buffer.from('First Name,Last Name\r\n'), Buffer.alloc((LIMITS.rows + 5) * 5, 'A,B\r\n')])
  expect(await refused({ name: 'a.csv', bytes: lines })).toMatchObject({ code: 'file.too_large', message: expect.stringContaining('number of rows') as string })
}, 120_000)

test('thousands of parts, and parts that unpack to too much, are refused before they are unpacked', async () => {
  const good = [...workbookParts({ sheets: [{ rows: rowXml(1, ['First Name', 'Last Name']) }] })].map(([name, data]) => ({ name, data }))
  expect(await refused({ name: 'a.xlsx', bytes: writeZip([...good, ...Array.from({ length: 5_000 }, (_, index) => ({ name: `p${index}`, data: '' }))]) })).toMatchObject({ code: 'file.zip_bomb' })
  expect(await refused({ name: 'a.xlsx', bytes: writeWorkbook({ sheets: [{ rows: rowXml(1, ['First Name', 'Last Name']) }], parts: { 'xl/media/image1.png': Buffer.alloc(64 * MEGABYTE) } }) })).toMatchObject({ code: 'file.zip_bomb' })
})

test('characters split between the pieces in which a file is stored come out whole', async () => {
  const organization = await importing(database.current, QUIET)
  // Two bytes each, so that a border of pieces of an even size falls into the middle of one where what stands before is odd.
  const filler = 'é'.repeat(30_000)
  const rows = Array.from({ length: 160 }, (_, index) => `${index},Zoë,Müller,${filler}\r\n`)
  const file = `External ID,First Name,Last Name,Note\r\n${rows.join('')}`
  for (const before of ['', ' ']) {
    const report = await organization.run({ name: 'a.csv', bytes: Buffer.from(file.replace('Note', `Note${before}`)) }, { setColumns: { Note: 'ignore' } })
    expect(report.file.bytes).toBeGreaterThan(9 * MEGABYTE)
    expect(report.totals).toMatchObject({ read: 160, rejected: 0 })
  }
  expect((await organization.contacts()).every(({ firstName, lastName }) => firstName === 'Zoë' && lastName === 'Müller')).toBe(true)
})

test('a file of several chunks is committed as one of a single chunk', async () => {
  const organization = await importing(database.current, QUIET)
  const count = 45_000
  const lines = Array.from({ length: count }, (_, index) => `${index},Ada,Lovelace\r\n`)
  const report = await organization.run(`${LINE}${lines.join('')}`)
  expect([fates(report), report.users.created]).toEqual([{ read: count, created: count }, count])
  const [found] = await organization.sql<{ names: number; highest: number; chunks: number }>(
    `select count(distinct username)::int as names, max(username_number) as highest, (select count(*)::int from import_chunks where import_id = $2) as chunks from users where organization_id = $1`,
    [organization.organizationId, report.id],
  )
  expect(found).toEqual({ names: count, highest: count, chunks: 3 })
}, 120_000)
