/** Never more than the limits say without a hold, and never anything while held (spec A6, faults.md I4): files made up by chance, through the real jobs. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { LIMITED_CHANGES, type LimitedChange, type Thresholds } from '../../src/rules/feedPolicy.ts'
import { useDatabase } from '../support/importing.ts'
import { feedScene, people, upTo, wordOf, type FeedScene } from './feedScene.ts'

const database = useDatabase()
const RUNS = 8
/** People of the first file; those behind them are new, and the last two are entered by hand. */
const POPULATION = 8
const ALL = POPULATION + 4

type Person = { id: string; name: string; email: string; state: string }
const standing = (acme: FeedScene): Promise<Person[]> => acme.sql<Person>(`select external_id as id, first_name as name, email, state from contacts where organization_id = $1 order by id`, [acme.organizationId])

/** What is different, kind by kind, told from the people alone. */
function changed(before: Person[], after: Person[]): Record<LimitedChange, number> {
  const known = new Map(before.map((person) => [person.id, person]))
  const pairs = after.flatMap((now) => (known.has(now.id) ? [{ now, was: known.get(now.id)! }] : []))
  const both = pairs.filter(({ now, was }) => now.state === was.state)
  return {
    creations: after.length - before.length,
    updates: both.filter(({ now, was }) => now.name !== was.name || now.email !== was.email).length,
    changedEmails: pairs.filter(({ now, was }) => now.email !== was.email).length,
    deactivations: pairs.filter(({ now, was }) => was.state === 'active' && now.state === 'inactive').length,
    reactivations: pairs.filter(({ now, was }) => was.state === 'inactive' && now.state === 'active').length,
  }
}

const limit = fc.record({ people: fc.option(fc.nat(4), { freq: 3 }), percent: fc.option(fc.integer({ min: 0, max: 100 }), { freq: 2 }) })
const thresholds = fc.record(Object.fromEntries(LIMITED_CHANGES.map((change) => [change, limit])) as Record<LimitedChange, typeof limit>)
/** What a file says of each person: nothing, the same, another name, another address, or something that is rejected. */
const said = fc.array(fc.constantFrom('missing', 'same', 'same', 'same', 'name', 'email', 'broken'), { minLength: ALL, maxLength: ALL })

const LINES: Record<string, (number: number) => string[]> = {
  missing: () => [],
  same: (number) => [`${number},Person,${wordOf(number)},p${number}@acme.example`],
  name: (number) => [`${number},Renamed,${wordOf(number)},p${number}@acme.example`],
  email: (number) => [`${number},Person,${wordOf(number)},new${number}@acme.example`],
  broken: (number) => [`${number},Person,${wordOf(number)},nowhere`],
}

test('what is done without a decision is within the limits, and what is over them is not done', async () => {
  await fc.assert(
    fc.asyncProperty(thresholds, said, said, async (limits: Thresholds, first, second) => {
      const acme = await feedScene(database.current, { defaults: { delivery: 'none' } })
      const feed = await acme.feed()
      await acme.run(people(upTo(ALL, ALL - 1)))
      await feed.take(people(upTo(POPULATION)))
      for (const [file, unlimited] of [[first, true], [second, false]] as const) {
        const text = people([], ...file.flatMap((what, index) => LINES[what]!(index + 1)))
        const before = await standing(acme)
        const report = await feed.take(text, unlimited ? {} : { thresholds: limits })
        const done = changed(before, await standing(acme))
        // Whoever was entered by hand stays, whatever the files say.
        expect((await standing(acme)).filter(({ id }) => Number(id) > ALL - 2).map(({ state }) => state)).toEqual(['active', 'active'])
        if (report.state !== 'committed') {
          expect(['held', 'failed']).toContain(report.state)
          expect(Object.values(done).every((count) => count === 0)).toBe(true)
          continue
        }
        expect(report.feed!.changes).toMatchObject(done)
        if (unlimited) continue
        for (const change of LIMITED_CHANGES) {
          const { people: most, percent } = limits[change]
          if (most !== null) expect(done[change]).toBeLessThanOrEqual(most)
          if (percent !== null && done[change] > 0) expect(done[change] * 100).toBeLessThan(percent * report.feed!.changes!.population)
        }
      }
    }),
    { numRuns: RUNS },
  )
}, 60_000)
