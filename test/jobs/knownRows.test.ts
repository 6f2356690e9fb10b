/** Passing rows over that were known must not be seen in anything but time: every night comes out as if the whole file had been read. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { approveImport } from '../../src/jobs/decideImport.ts'
import { undoImport } from '../../src/jobs/undoImport.ts'
import type { FeedIntake, Limit } from '../../src/rules/feedPolicy.ts'
import { importing, useDatabase, type Between, type Importing } from '../support/importing.ts'
import { csvOf } from '../support/writePeople.ts'

const database = useDatabase()
const HEADER = ['External ID', 'First Name', 'Last Name', 'Email', 'Phone', 'System User', 'License']
const NO_LIMIT: Limit = { people: null, percent: null }

type Nightly = Importing & {
  feedId: string
  night(rows: readonly (readonly (string | null)[])[], intake?: Partial<FeedIntake>, between?: Between): Promise<ImportReport>
  passedOver(importId: string): Promise<number>
  /** Has somebody else than the feed's author approve what is held. */
  approve(importId: string): Promise<ImportReport>
  undo(importId: string): Promise<void>
  /** Somebody changes a person beside all files. */
  byHand(externalId: string): Promise<void>
  /** Two days go by. */
  sleep(): Promise<void>
}

async function nightly(changes: Record<string, unknown> = {}): Promise<Nightly> {
  const people = await importing(database.current, changes)
  const id = people.organizationId
  const [feed] = await people.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, 'nightly', 'active', '{"alerts": {"mails": [], "webhook": null}}', 'ana') returning id`, [id])
  const feedId = feed!.id
  const base: Omit<FeedIntake, 'fileId'> = {
    feedId, mode: 'full', scope: { kind: 'own' }, adopts: false, rows: { least: null, most: null, changePercent: null }, lastHeaders: null, lastRows: null, outOfOrder: null, holdHours: 72,
    thresholds: { creations: NO_LIMIT, updates: NO_LIMIT, deactivations: NO_LIMIT, changedEmails: NO_LIMIT, reactivations: NO_LIMIT },
  }
  let nights = 0
  return {
    ...people,
    feedId,
    async night(rows, intake = {}, between = {}) {
      const name = `people_${++nights}.csv`
      const [file] = await people.sql<{ id: string }>(`insert into feed_files (organization_id, feed_id, name, bytes, modified_at, state) values ($1, $2, $3, 1, now(), 'importing') returning id`, [id, feedId, name])
      return people.run({ name, bytes: csvOf([HEADER, ...rows]) }, { feed: { ...base, fileId: file!.id, ...intake } }, between)
    },
    async passedOver(importId) {
      const [row] = await people.sql<{ known: number }>(`select coalesce((source ->> 'knownRows')::int, 0) as known from imports where id = $1`, [importId])
      return row!.known
    },
    async approve(importId) {
      return people.finish(importId, await database.current.tenant(id, (tx) => approveImport(tx, importId, 'ben')))
    },
    undo: (importId) => database.current.tenant(id, async (tx) => void (await undoImport(tx, importId, 'ben'))),
    byHand: async (externalId) =>
      void (await people.sql(`update contacts set last_name = 'Byhand', version = version + 1, updated_at = now() where organization_id = $1 and external_id = $2`, [id, externalId])),
    async sleep() {
      for (const [table, column] of [['contacts', 'updated_at'], ['users', 'updated_at'], ['known_rows', 'at']])
        await people.sql(`update ${table} set ${column} = ${column} - interval '2 days' where organization_id = $1`, [id])
    },
  }
}

/** A file that is held, and changes nothing that the same file would not. */
const HELD: Partial<FeedIntake> = { outOfOrder: { newer: 'people_99.csv' } }

const someone = (number: number, changes: Partial<Record<'first' | 'last' | 'email' | 'phone' | 'user' | 'license', string | null>> = {}): (string | null)[] => [
  `E${number}`, changes.first ?? 'Ana', changes.last ?? 'Lee', changes.email === undefined ? `p${number}@int.test` : changes.email, changes.phone ?? '6125550100', changes.user ?? null, changes.license ?? null,
]
const everybody = (count: number): (string | null)[][] => Array.from({ length: count }, (_, index) => someone(index + 1))

describe('a row that is known from the night before', () => {
  test('is passed over, and counted as unchanged', async () => {
    const feed = await nightly()
    await feed.night(everybody(20))
    const report = await feed.night([...everybody(20).with(3, someone(4, { phone: '6125550199' })), someone(21)])
    expect(report.totals).toEqual({ read: 21, created: 1, updated: 1, unchanged: 19, rejected: 0, held: 0, blank: 0 })
    expect(await feed.passedOver(report.id)).toBe(19)
    const third = await feed.night([...everybody(20).with(3, someone(4, { phone: '6125550199' })), someone(21)])
    expect(third.totals).toMatchObject({ read: 21, unchanged: 21 })
    expect(await feed.passedOver(third.id)).toBe(21)
    expect(third.state).toBe('committed')
  })

  test('is read again once its contact or user was changed by anybody else', async () => {
    const feed = await nightly()
    await feed.night(everybody(5))
    await feed.sql(`update contacts set phone = '6125559999', version = version + 1, updated_at = now() where organization_id = $1 and external_id = 'E2'`, [feed.organizationId])
    await feed.sql(`update users u set profile_id = null, version = u.version + 1, updated_at = now() from contacts c where c.id = u.contact_id and c.organization_id = $1 and c.external_id = 'E4'`, [feed.organizationId])
    const report = await feed.night(everybody(5))
    expect(await feed.passedOver(report.id)).toBe(3)
    expect(report.totals).toMatchObject({ updated: 1, unchanged: 4 })
    expect((await feed.contacts()).find(({ externalId }) => externalId === 'E2')?.phone).toBe('6125550100')
  })

  test('is read again when the settings, the catalog or the header say something else', async () => {
    const feed = await nightly()
    await feed.night(everybody(5))
    await feed.declare({ phone: 'nanp' })
    const report = await feed.night(everybody(5))
    expect(await feed.passedOver(report.id)).toBe(0)
    expect(report.totals).toMatchObject({ read: 5 })
  })

  test('had no problem: what was rejected or warned of is told every night anew', async () => {
    const feed = await nightly()
    const rows = [...everybody(4), someone(5, { phone: '12' })]
    await feed.night(rows)
    const report = await feed.night(rows)
    expect(report.totals).toMatchObject({ unchanged: 4, rejected: 1 })
    expect(report.issues.map(({ row, code }) => ({ row, code }))).toEqual([{ row: 6, code: 'phone.not_ten_digits' }])
    expect(await feed.passedOver(report.id)).toBe(4)
  })

  test('keeps its person from being taken for one who has left', async () => {
    const feed = await nightly()
    await feed.night(everybody(10))
    await feed.night(everybody(9))
    const states = (await feed.contacts()).map(({ externalId, state }) => `${externalId} ${state}`).toSorted()
    expect(states.filter((state) => state.endsWith('inactive'))).toEqual(['E10 inactive'])
  })

  test('is read with the whole file where another row is about the same person', async () => {
    const feed = await nightly()
    await feed.night(everybody(5))
    // Before the row that repeats what was known: that one is the later, and the one to be rejected.
    const report = await feed.night([someone(3, { phone: '6125550177' }), ...everybody(5)])
    expect(report.totals).toMatchObject({ read: 6, updated: 1, unchanged: 4, rejected: 1 })
    expect(report.issues).toMatchObject([{ row: 5, code: 'duplicate.in_file' }])
    expect(await feed.passedOver(report.id)).toBe(0)
  })

  test('is read again after an undo, though another file was held meanwhile', async () => {
    const feed = await nightly()
    const first = await feed.night(everybody(5))
    const held = await feed.night(everybody(5), HELD)
    expect([held.state, await feed.passedOver(held.id)]).toEqual(['held', 5])
    await feed.undo(first.id)
    await feed.approve(held.id)
    await feed.sleep()
    const report = await feed.night(everybody(5))
    expect(report.totals).toMatchObject({ created: 5, unchanged: 0 })
    expect(await feed.contacts()).toHaveLength(5)
  })

  test.each([['passed it over', everybody(5)], ['was read whole', everybody(5).map((cells) => [...cells.slice(0, 1), 'Bo', ...cells.slice(2)])]])(
    'is read again where its person was changed while a file that %s was held',
    async (_, rows) => {
      const feed = await nightly()
      await feed.night(everybody(5))
      await feed.sleep()
      const held = await feed.night(rows, HELD)
      await feed.byHand('E2')
      await feed.sleep()
      await feed.approve(held.id)
      await feed.sleep()
      await feed.night(rows)
      expect((await feed.contacts()).map(({ lastName }) => lastName)).toEqual(['Lee', 'Lee', 'Lee', 'Lee', 'Lee'])
    },
  )

  test('is read again where its person was changed between reading and planning', async () => {
    const feed = await nightly()
    await feed.night(everybody(3))
    await feed.sleep()
    const report = await feed.night(everybody(3), {}, { 'import.staged': () => feed.byHand('E2') })
    expect(report.totals).toMatchObject({ updated: 1, unchanged: 2 })
  })
})

test('nights come out the same with and without it, whatever the files say and whoever changes people in between', async () => {
  const oneOf = (...values: (string | null)[]) => fc.constantFrom(...values)
  const row = fc.record({
    number: fc.integer({ min: 1, max: 7 }), phone: oneOf('6125550100', '6125550101', '12'), email: oneOf('own', 'own', 'own', 'p1@int.test', 'new', null),
    first: oneOf('Ana', 'Ana', 'Bo'), user: oneOf(null, null, 'no'), license: oneOf(null, null, 'Read only', 'None such'),
  })
  const someoneElse = fc.option(fc.integer({ min: 1, max: 7 }), { freq: 3 })
  const night = fc.record({
    rows: fc.array(row, { minLength: 1, maxLength: 9 }), byHand: someoneElse, held: fc.option(fc.record({ byHand: someoneElse }), { freq: 2 }), undone: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
  })
  let passedOver = 0
  await fc.assert(
    fc.asyncProperty(fc.array(night, { minLength: 2, maxLength: 4 }), fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 6 }), async (nights, steady) => {
      const [remembers, forgets] = [await nightly(), await nightly()]
      // Some people stand in every file as they are, so that there is something to know.
      const always = [...new Set([8, 9, 10, 11, ...steady])].map((number) => someone(number))
      for (const { rows, byHand, held, undone } of nights) {
        const file = [...always, ...rows.map(({ number, email, ...changes }) => someone(number, { ...changes, ...(email === 'own' ? {} : { email: email === 'new' ? `q${number}@int.test` : email }) }))]
        await forgets.sql('delete from known_rows where organization_id = $1', [forgets.organizationId])
        const taken: ImportReport[] = []
        for (const organization of [remembers, forgets]) {
          let report = await organization.night(file, held === null ? {} : HELD)
          if (organization === remembers) passedOver += await remembers.passedOver(report.id)
          if (held !== null) {
            if (held.byHand !== null) await organization.byHand(`E${held.byHand}`)
            await organization.sleep()
            report = await organization.approve(report.id)
          }
          taken.push(report)
          if (byHand !== null) await organization.byHand(`E${byHand}`)
          if (undone) await organization.undo(report.id)
          await organization.sleep()
        }
        const said = ({ state, totals, users, deliveries, issues }: ImportReport) => ({ state, totals, users, deliveries, issues: issues.map(({ row, code, value }) => ({ row, code, value })) })
        expect(said(taken[0]!)).toEqual(said(taken[1]!))
        const people = async (organization: Nightly) => ({
          contacts: (await organization.contacts()).map((contact) => ({ ...contact, id: '' })), users: (await organization.users()).map((user) => ({ ...user, id: '', contactId: '' })),
        })
        expect(await people(remembers)).toEqual(await people(forgets))
      }
    }),
    { numRuns: 8 },
  )
  // Else it would have shown nothing.
  expect(passedOver).toBeGreaterThan(10)
}, 120_000)
