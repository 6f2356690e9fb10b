import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/entities/database.ts'
import { readProgress } from '../../src/importers/importProgress.ts'
import { countIssues } from '../../src/importers/rowIssues.ts'
import { importing } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { testDatabase } from '../support/services.ts'
import type { TestDatabase } from '../support/services.ts'

let own: TestDatabase
let database: Database
let acme: Importing
let id: string
beforeAll(async () => {
  own = await testDatabase()
  database = new Database(own.url, { maxConnections: 2 })
  acme = await importing(database)
  ;({ id } = await acme.preview('First Name,Last Name\nAna,Li\nBo,Li\nCy,Li\nDi,Li'))
})
afterAll(async () => {
  await database.close()
  await own.drop()
})

const progress = () => database.tenant(acme.organizationId, (tx) => readProgress(tx, id))

describe('the progress of an import', () => {
  test('is none where nothing is under way', async () => {
    expect(await progress()).toBeNull()
  })

  test('counts checked rows and their rate, of a number that is not known yet', async () => {
    await acme.sql(`update imports set state = 'staging', staged_at = null, rows_staged = 90000, started_at = now() - interval '3 seconds' where id = $1`, [id])
    expect(await progress()).toMatchObject({ step: 'checking', rows: 90_000, of: null, remainingMs: null, rate: expect.toSatisfy((rate: number) => rate > 25_000 && rate <= 30_000) })
  })

  test('knows all rows while it plans', async () => {
    await acme.sql('update imports set staged_at = now(), rows_staged = 4 where id = $1', [id])
    expect(await progress()).toMatchObject({ step: 'planning', rows: 4, of: 4, rate: null })
  })

  test('tells the rows of the chunks that are done, and the rest by the rate since the first', async () => {
    await acme.sql(`update imports set state = 'committing', rows_staged = 1000 where id = $1`, [id])
    expect(await progress()).toMatchObject({ step: 'committing', rows: 0, of: 1_000, rate: null, remainingMs: null })
    // Row numbers have gaps: 2,000 of them stand for 1,000 rows.
    await acme.sql(
      `insert into import_chunks (import_id, number, organization_id, first_row, last_row, state, done_at)
       select $1, n, $2, n * 500 + 1, n * 500 + 500, case when n < 2 then 'done' else 'pending' end, case n when 0 then now() - interval '5 seconds' when 1 then now() - interval '1 second' end
       from generate_series(0, 3) as n`,
      [id, acme.organizationId],
    )
    const found = (await progress())!
    expect(found).toMatchObject({ step: 'committing', rows: 500, of: 1_000 })
    expect(found.rate).toBeGreaterThan(40)
    expect(found.rate).toBeLessThanOrEqual(50)
    expect(found.remainingMs).toBeCloseTo((500 / found.rate!) * 1_000, 3)
  })
})

test('problems are counted by their code, errors first, the most frequent first', async () => {
  const report = await acme.run('First Name,Last Name,Email\nAna,Li,a.b\n,Li,c.d\nB\u200bo,Li,bo@acme.example\nCy,,e@f')
  const counted = await database.tenant(acme.organizationId, (tx) => countIssues(tx, report.id))
  expect(counted).toEqual([
    { code: 'email.missing_at', severity: 'error', count: 2 },
    { code: 'name.required', severity: 'error', count: 2 },
    { code: 'email.missing_dot', severity: 'error', count: 1 },
    { code: 'cell.invisible_character', severity: 'warning', count: 1 },
  ])
})
