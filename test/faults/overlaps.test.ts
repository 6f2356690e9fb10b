/** Fault 40: imports that touch the same people, committed at the same moment by two worker processes, again and again, and beside an operator's bulk change. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { splitIntoChunks } from '../../src/importers/commit.ts'
import { deactivate } from '../../src/jobs/operateUsers.ts'
import { openQueues, type Queues } from '../../src/jobs/queues.ts'
import { beginCommit } from '../../src/jobs/stageImport.ts'
import { expectEnded, importWorld, peopleCsv, type Process, type World } from './importProcesses.ts'

const REPEATS = Number(process.env['MUSTER_FAULT_REPEATS'] ?? 1)
const rounds = Array.from({ length: 3 * REPEATS }, (_, index) => index + 1)
/** People who are known already, new ones of both files, and rows that are committed together. */
const KNOWN = 240
const NEW = 80
const CHUNK = 40

let world: World
let queues: Queues
let workers: Process[]
beforeAll(async () => {
  world = await importWorld()
  queues = openQueues({ databaseUrl: world.databaseUrl, redisUrl: null, onError: () => undefined })
  await world.people.run(peopleCsv(KNOWN))
  workers = [await world.start('worker.ts'), await world.start('worker.ts')]
  await world.start('scheduler.ts')
})
afterAll(async () => {
  await queues.close()
  await world.close()
})

/** Header and rows with another last name, in the order of the file, or each chunk of them from its end: chunks of both are about the same people, in opposite order. */
const renamed = (csv: string, name: string, backwards = false): string => {
  const [header, ...rows] = csv.trimEnd().split('\n')
  const changed = rows.map((row) => row.replace(',Nguyen,', `,Nguyen ${name},`))
  const chunks = Array.from({ length: Math.ceil(changed.length / CHUNK) }, (_, at) => changed.slice(at * CHUNK, (at + 1) * CHUNK))
  return `${[header, ...chunks.flatMap((chunk) => (backwards ? chunk.toReversed() : chunk))].join('\n')}\n`
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
/** A name that no other round has: names hold no digits. */
const nameOf = (round: number, file: string): string => `${file}${String(round).split('').map((digit) => LETTERS[Number(digit)]).join('')}`

/** Begins to commit previews in chunks of CHUNK rows, all at once, and wakes the workers for the chunks in turn. */
async function commitAtOnce(...importIds: string[]): Promise<void> {
  const { organizationId } = world.people
  const chunks = await Promise.all(
    importIds.map((importId) =>
      world.tenant(async (tx) => {
        await splitIntoChunks(tx, importId, CHUNK)
        return (await beginCommit(tx, importId)).map((chunk) => ({ importId, chunk }))
      }),
    ),
  )
  const most = Math.max(...chunks.map(({ length }) => length))
  expect(most).toBeGreaterThan(2)
  const inTurn = Array.from({ length: most }, (_, at) => chunks.flatMap((ofOne) => ofOne[at] ?? [])).flat()
  await Promise.all(inTurn.map(({ importId, chunk }) => queues.wake('commit', { organizationId, importId, chunk })))
}

/** None of the rows was given up, and each that was left alone was left for somebody else's change. */
async function expectNothingLost(...importIds: string[]): Promise<void> {
  expect(await world.sql('select import_id, number, failures from import_chunks where import_id = any ($1::bigint[]) and failures > 0', [importIds])).toEqual([])
  expect(await world.sql(`select distinct code from import_issues where import_id = any ($1::bigint[]) and severity = 'error' and code <> 'plan.stale'`, [importIds])).toEqual([])
}

describe('40: two files of the same people, previewed before, committed at the same moment by two workers', { timeout: 30_000 }, () => {
  test.each(rounds)('round %i: each row is written by one of them, and the other is told', async (round) => {
    const newcomers = peopleCsv(NEW, 10_000 * round).split('\n').slice(1).join('\n')
    const csv = `${peopleCsv(KNOWN)}${newcomers}`
    const [a, b] = [nameOf(round, 'a'), nameOf(round, 'b')]
    const one = (await world.people.preview(renamed(csv, a), { delivery: { kind: 'now' } })).id
    const two = (await world.people.preview(renamed(csv, b, true), { delivery: { kind: 'now' } })).id
    // Both come as far as a person in the middle of their first chunks, and have to wait there: had they come from two sides, each would then wait for the other.
    const holder = await world.database.pool.connect()
    await holder.query(`begin; select from contacts where organization_id = ${world.people.organizationId} and external_id = 'E${CHUNK / 2}' for update`)
    await commitAtOnce(one, two)
    const waiting = async () => (await world.sql(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length
    await expect.poll(waiting, { interval: 10, timeout: 20_000 }).toBeGreaterThanOrEqual(2)
    await holder.query('rollback')
    holder.release()
    for (const importId of [one, two]) await world.reaches(importId, 'committed')

    const totals = [await expectEnded(world, one), await expectEnded(world, two)]
    const sum = (of: 'updated' | 'created' | 'held' | 'rejected'): number => totals[0]![of] + totals[1]![of]
    expect({ updated: sum('updated'), created: sum('created'), held: sum('held'), rejected: sum('rejected') }).toEqual({ updated: KNOWN, created: NEW, held: KNOWN + NEW, rejected: 0 })
    const names = await world.sql<{ name: string; count: number }>(
      `select last_name as name, count(*)::int as count from contacts where organization_id = $1 and last_name = any ($2) group by 1`,
      [world.people.organizationId, [`Nguyen ${a}`, `Nguyen ${b}`]],
    )
    const written = Object.fromEntries(names.map(({ name, count }) => [name, count]))
    expect([written[`Nguyen ${a}`] ?? 0, written[`Nguyen ${b}`] ?? 0], 'what the report says is there').toEqual(totals.map(({ updated, created }) => updated + created))
    await expectNothingLost(one, two)
  })
})

describe('40: a file that is committed by two workers while an operator deactivates the same people', { timeout: 30_000 }, () => {
  test.each(rounds)('round %i: neither undoes what the other has done', async (round) => {
    const csv = peopleCsv(KNOWN, 500_000 + 1_000 * round)
    const { id: made } = await world.people.run(csv, { delivery: { kind: 'none' } })
    const users = (await world.sql<{ id: string }>('select id from users where created_by_import = $1 order by id desc', [made])).map(({ id }) => id)
    expect(users).toHaveLength(KNOWN)
    const name = nameOf(round, 'c')
    const { id: importId } = await world.people.preview(renamed(csv, name), { delivery: { kind: 'now' } })
    await commitAtOnce(importId)
    // From the moment that something of the file is there.
    await expect.poll(() => world.sql(`select from import_chunks where import_id = $1 and state = 'done'`, [importId]), { interval: 2, timeout: 20_000 }).not.toEqual([])
    const third = KNOWN / 3
    const done = await Promise.all([0, 1, 2].map((part) => world.tenant((tx) => deactivate(tx, 'olga', users.slice(part * third, (part + 1) * third)))))
    expect(done.flatMap(({ userIds }) => userIds)).toHaveLength(KNOWN)
    await world.reaches(importId, 'committed')

    const totals = await expectEnded(world, importId)
    expect(totals.updated + totals.held, 'I1').toBe(KNOWN)
    expect(await world.sql('select from users where id = any ($1::bigint[]) and state <> $2', [users, 'inactive']), 'the operator has the last word').toEqual([])
    const [renamedNow] = await world.sql<{ count: number }>('select count(*)::int as count from contacts where organization_id = $1 and last_name = $2', [world.people.organizationId, `Nguyen ${name}`])
    expect(renamedNow!.count).toBe(totals.updated)
    expect(await world.sql(`select from deliveries where user_id = any ($1::bigint[]) and state not in ('cancelled', 'suppressed')`, [users]), 'nobody who was deactivated is owed a mail').toEqual([])
    await expectNothingLost(importId)
  })

  test('the workers have both worked, and not failed once', async () => {
    expect(await world.sql('select distinct worker from import_chunks where worker is not null')).toHaveLength(workers.length)
    for (const worker of workers) expect(worker.output()).not.toMatch(/deadlock|"level":50/)
  })
})
