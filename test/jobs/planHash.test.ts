/** What is approved is the plan: its hash speaks of everything that it changes, and of nothing else (spec A6). */
import { describe, expect, test } from 'vitest'
import { planHash } from '../../src/importers/planHash.ts'
import { useDatabase } from '../support/importing.ts'
import { feedScene, people, UNLIMITED, upTo } from './feedScene.ts'

const database = useDatabase()

describe('the hash of a plan', () => {
  const hashes = async (files: string[], before = people(upTo(4))): Promise<string[]> => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { ...UNLIMITED, deactivations: { people: 0, percent: null }, creations: { people: 0, percent: null } } })
    await feed.take(before, { thresholds: UNLIMITED })
    const found: string[] = []
    for (const text of files) found.push((await feed.take(text)).feed!.plan!)
    return found
  }
  const changed = people([1, 3], '2,Renamed,C,p2@acme.example', '7,Ada,Li,a@acme.example')

  test('is the same for the same changes, whatever the order of the rows', async () => {
    const [one, two, three] = await hashes([changed, changed, people([3], '7,Ada,Li,a@acme.example', '', '2,Renamed,C,p2@acme.example', '1,Person,B,p1@acme.example')])
    expect(two).toBe(one)
    expect(three).toBe(one)
  })

  test.each([
    ['another value', changed.replace('Renamed', 'Renamee')],
    ['another new person', changed.replace('7,Ada', '8,Ada')],
    ['somebody else who leaves', changed.replace(/3,Person.*\n/, '4,Person,E,p4@acme.example\n')],
    ['nobody who leaves', people([1, 3, 4], '2,Renamed,C,p2@acme.example', '7,Ada,Li,a@acme.example')],
  ])('differs by %s', async (_, other) => {
    const [one, two] = await hashes([changed, other])
    expect(two).not.toBe(one)
  })

  test('is computed again from the plan that is kept', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { creations: { people: 0, percent: null } } })
    const { id, feed: part } = await feed.take(people([1, 2]))
    const [{ by }] = (await acme.sql<{ by: string }>(`select source ->> 'plannedBy' as by from imports where id = $1`, [id])) as [{ by: string }]
    expect(await acme.tenant((tx) => planHash(tx, id, by))).toBe(part!.plan)
  })

  test('differs by whom the feed makes its own', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7]))
    const feed = await acme.feed({ adopts: true, thresholds: { creations: { people: 0, percent: null } } })
    const [with7, without] = [await feed.take(people([1, 7])), await feed.take(people([1]))]
    expect(with7.feed!.plan).not.toBe(without.feed!.plan)
  })

  test('differs by the settings and the catalog that it was made by, and not by who may decide, who is told, or how many seats there are', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { creations: { people: 0, percent: null } } })
    const hashes: string[] = []
    for (const changes of [{}, { administrators: ['eve'], operators: ['desk@acme.example'], mail: { ratePerMinute: 9 }, licenses: [{ name: 'Full', seats: 5 }, { name: 'Read only', seats: null }] }, { login: { sso: true } }, { products: [] }]) {
      await acme.declare(changes)
      hashes.push((await feed.take(people([1]))).feed!.plan!)
    }
    const [one, same, sso, catalog] = hashes
    expect(same).toBe(one)
    expect(new Set([one, sso, catalog]).size).toBe(3)
  })
})
