/** What a full file of a feed does by silence (spec A6), through the real jobs. */
import { describe, expect, test } from 'vitest'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { approveImport } from '../../src/jobs/decideImport.ts'
import { decideIdentity } from '../../src/jobs/decideIdentity.ts'
import { activate, deactivate } from '../../src/jobs/operateUsers.ts'
import { useDatabase } from '../support/importing.ts'
import { feedScene, named, people, upTo } from './feedScene.ts'

const database = useDatabase()

describe('who is missing from a full file', () => {
  test('is deactivated with everything that it means, and never deleted', async () => {
    const acme = await feedScene(database.current, { licenses: [{ name: 'Full', seats: 3 }, { name: 'Read only', seats: null }] })
    const feed = await acme.feed()
    expect(await feed.take(people([1, 2, 3]))).toMatchObject({ state: 'committed', totals: { created: 3 }, deactivated: 0, feed: { id: feed.id, changes: { rows: 3, population: 0, creations: 3 }, hold: [] } })

    const report = await feed.take(people([1, 3]))

    expect(report).toMatchObject({ state: 'committed', totals: { read: 2, unchanged: 2 }, deactivated: 1, notDeactivated: [], feed: { changes: { rows: 2, population: 3, deactivations: 1, updates: 0 } } })
    expect(await acme.active()).toEqual(named(1, 3))
    expect((await acme.contacts()).map(({ state, externalId }) => [externalId, state])).toEqual([['1', 'active'], ['2', 'inactive'], ['3', 'active']])
    expect((await acme.users()).map(({ externalId, state }) => [externalId, state])).toEqual([['1', 'active'], ['2', 'inactive'], ['3', 'active']])
    const mails = await acme.sql<{ state: string; reason: string | null }>(`select d.state, d.reason from deliveries d join users u on u.id = d.user_id join contacts c on c.id = u.contact_id where c.organization_id = $1 and c.external_id = '2'`, [acme.organizationId])
    expect(mails).toEqual([{ state: 'cancelled', reason: 'user_inactive' }])
    expect(await acme.sql(`select i.state from invitations i join users u on u.id = i.user_id join contacts c on c.id = u.contact_id where c.organization_id = $1 and c.external_id = '2'`, [acme.organizationId])).toEqual([{ state: 'revoked' }])
    // The seat is free again.
    expect(await feed.take(people([1, 3, 4]))).toMatchObject({ users: { created: 1, withoutSeat: 0 } })
  })

  test('comes back with user and seat when a file names the person again, as the organization wants it', async () => {
    const acme = await feedScene(database.current, { licenses: [{ name: 'Full', seats: 2 }, { name: 'Read only', seats: null }] })
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    await feed.take(people([1]))

    const report = await feed.take(people([1, 2]))

    expect(report).toMatchObject({ totals: { updated: 1, unchanged: 1 }, feed: { changes: { reactivations: 1, updates: 0, population: 1 } } })
    expect((await acme.users()).map(({ state }) => state)).toEqual(['active', 'active'])
    expect(await acme.active()).toEqual(named(1, 2))
    // And goes again, being the feed's as before.
    expect(await feed.take(people([2]))).toMatchObject({ deactivated: 1 })
    expect(await acme.active()).toEqual(named(2))
  })

  test('comes back without a seat only where one is free', async () => {
    const acme = await feedScene(database.current, { licenses: [{ name: 'Full', seats: 2 }, { name: 'Read only', seats: null }] })
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    await feed.take(people([1]))
    await feed.take(people([1, 3]))

    const report = await feed.take(people([1, 2, 3]))

    expect(report).toMatchObject({ totals: { updated: 0, rejected: 1, unchanged: 2 }, issues: [{ code: 'identity.reactivated' }, { code: 'license.no_seats' }] })
    expect(await acme.active()).toEqual(named(1, 3))
  })

  test.each([['skip', 'unchanged', 'identity.deactivated_skipped'], ['ask', 'held', 'identity.deactivated']] as const)('stays away where the organization says %s', async (deactivated, fate, code) => {
    const acme = await feedScene(database.current, { matching: { deactivated } })
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    await feed.take(people([1]))
    expect(await feed.take(people([1, 2]))).toMatchObject({ totals: { [fate]: fate === 'unchanged' ? 2 : 1 }, issues: [{ code }], feed: { changes: { reactivations: 0 } } })
    expect(await acme.active()).toEqual(named(1))
  })

  test('stays by a file of changes', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ mode: 'changes' })
    await feed.take(people([1, 2]))
    expect(await feed.take(people([1]))).toMatchObject({ state: 'committed', deactivated: 0, feed: { changes: { population: 2, deactivations: 0 } } })
    expect(await acme.active()).toEqual(named(1, 2))
  })

  test('stays where the import is no feed’s', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    const report = await acme.run(people([1]))
    expect(report).toMatchObject({ state: 'committed', deactivated: 0 })
    expect(report).not.toHaveProperty('feed')
    expect(await acme.active()).toEqual(named(1, 2))
  })
})

describe('whom a full file speaks for', () => {
  test('those whom the feed brought; whoever was entered by hand and listed once stays', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7, 8]))
    const feed = await acme.feed()
    await feed.take(people([1, 7]))
    expect(await feed.take(people([2]))).toMatchObject({ deactivated: 1, feed: { changes: { population: 1 } } })
    expect(await acme.active()).toEqual(named(2, 7, 8))
  })

  test('with adopts those, too, whom it named once; another feed’s people stay that one’s', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7, 8]))
    const other = await acme.feed()
    await other.take(people([5]))
    const feed = await acme.feed({ adopts: true })
    await acme.approve((await feed.take(people([1, 5, 7]))).id, 'eve')
    expect(await acme.sql(`select external_id as id, feed_id as feed from contacts where organization_id = $1 order by external_id`, [acme.organizationId])).toEqual([
      { id: '1', feed: feed.id }, { id: '5', feed: other.id }, { id: '7', feed: feed.id }, { id: '8', feed: null },
    ])
    expect(await feed.take(people([1]))).toMatchObject({ deactivated: 1 })
    expect(await acme.active()).toEqual(named(1, 5, 8))
  })

  test('people of a feed that is gone can be adopted', async () => {
    const acme = await feedScene(database.current)
    const gone = await acme.feed()
    await gone.take(people([1, 2]))
    await acme.sql('delete from feeds where id = $1', [gone.id])
    const feed = await acme.feed({ adopts: true })
    await acme.approve((await feed.take(people([1]))).id, 'eve')
    expect(await acme.sql(`select external_id as id from contacts where organization_id = $1 and feed_id = $2`, [acme.organizationId, feed.id])).toEqual([{ id: '1' }])
  })

  test('no more for somebody whom a person brought back; what a file asks about and a person says yes to stays the feed’s', async () => {
    const acme = await feedScene(database.current, { matching: { deactivated: 'ask' } })
    const feed = await acme.feed()
    await feed.take(people([1, 2, 3]))
    await feed.take(people([1]))
    const [two] = (await acme.users()).filter(({ externalId }) => externalId === '2')
    await acme.tenant((tx) => activate(tx, 'eve', [two!.id]))
    expect(await feed.take(people([1, 3]))).toMatchObject({ deactivated: 0, totals: { held: 1 } })
    const [asked] = await acme.sql<{ id: string }>(`select id from identity_decisions where organization_id = $1`, [acme.organizationId])
    await acme.tenant((tx) => decideIdentity(tx, [asked!.id], 'accept', 'eve'))
    expect(await acme.active()).toEqual(named(1, 2, 3))
    expect(await feed.take(people([1]))).toMatchObject({ deactivated: 1, feed: { changes: { population: 2 } } })
    expect(await acme.active()).toEqual(named(1, 2))
  })

  test('two full feeds of an organization never touch each other’s people', async () => {
    const acme = await feedScene(database.current)
    const [one, two] = [await acme.feed(), await acme.feed()]
    await one.take(people([1, 2, 3]))
    await two.take(people([3, 4, 5]))
    expect(await one.take(people([1]))).toMatchObject({ deactivated: 2 })
    expect(await two.take(people([4]))).toMatchObject({ deactivated: 1 })
    expect(await acme.active()).toEqual(named(1, 4))
  })

  test('whom one feed has let go and another brings back is the other one’s from then on', async () => {
    const acme = await feedScene(database.current)
    const [one, two] = [await acme.feed(), await acme.feed()]
    await one.take(people([1, 3]))
    await two.take(people([3, 4]))
    expect(await one.take(people([1]))).toMatchObject({ deactivated: 1 })
    const { id, totals } = await two.take(people([3, 4]))
    expect(totals).toMatchObject({ updated: 1, unchanged: 1 })

    expect(await one.take(people([1]))).toMatchObject({ deactivated: 0 })
    expect(await two.take(people([3, 4]))).toMatchObject({ totals: { updated: 0, unchanged: 2 } })
    expect(await acme.active()).toEqual(named(1, 3, 4))
    // An undo gives the person back as the feed had let go of him or her.
    expect(await acme.sql(`select before ->> 'feed_id' as feed, before ->> 'state' as state from import_changes where import_id = $1 and what = 'contact'`, [id])).toEqual([{ feed: one.id, state: 'inactive' }])
    expect(await two.take(people([4]))).toMatchObject({ deactivated: 1 })
  })

  test('who was entered by hand, and whom a file brings back, stays nobody’s', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7]))
    await acme.sql(`update contacts set state = 'inactive', version = version + 1 where organization_id = $1`, [acme.organizationId])
    const feed = await acme.feed()
    await feed.take(people([1, 7]))
    expect(await feed.take(people([1]))).toMatchObject({ deactivated: 0 })
    expect(await acme.active()).toEqual(named(1, 7))
  })

  const declared = 'External ID,First Name,Last Name,Email,Customer,User Group,Department,Location,Site'
  const line = (number: number, customer = '', group = '', department = '', site = ''): string => `${number},Person,${named(number)[0]!.slice(7)},p${number}@acme.example,${customer},${group},${department},,${site}`
  const by = [declared, line(1, 'Ministry'), line(2, '', 'Supervisors'), line(3, '', '', 'HR'), line(4, '', '', '', 'Duluth'), line(5)].join('\n')
  test.each([
    [{ kind: 'customer', customer: 'ministry' }, 1],
    [{ kind: 'group', group: 'Supervisors' }, 2],
    [{ kind: 'security', dimension: 'department', group: 'HR' }, 3],
    [{ kind: 'attribute', attribute: 'Site', value: 'Duluth' }, 4],
  ] as const)('everybody in a declared scope, whoever brought them: %o', async (scope, gone) => {
    const acme = await feedScene(database.current)
    await acme.saveMapping({ name: 'site', columns: { Site: { attribute: 'Site' } } })
    await acme.run(by, { mapping: 'site' })
    const feed = await acme.feed({ scope })
    expect(await feed.take(people([9]))).toMatchObject({ deactivated: 1, feed: { changes: { population: 1 } } })
    expect(await acme.active()).toEqual(named(...[1, 2, 3, 4, 5, 9].filter((number) => number !== gone)))
  })
})

describe('who is in the file', () => {
  const present = async (first: string, second: string): Promise<{ active: string[]; hold: string[] | undefined }> => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(first)
    const report = await feed.take(second)
    return { active: await acme.active(), hold: report.feed?.hold.map(({ code }) => code) }
  }

  test.each([
    ['rejected for another column', '2,Person,C,no-address', named(1, 2)],
    ['rejected, its id unread, known by its address', '"2\u0001",Person,C,p2@acme.example', named(1, 2)],
    ['with a new id, its address another person’s', '22,Person,C,p2@acme.example', named(1, 2)],
    ['with a known id and the address of somebody else', '1,Person,B,p2@acme.example', named(1, 2)],
    ['named by address alone', ',Person,C,P2@acme.example', named(1, 2)],
    ['rejected for its name', '2,,C,p2@acme.example', named(1, 2)],
  ])('a row counts that is %s', async (_, line, active) => {
    const first = people([1, 2])
    expect(await present(first, line.startsWith('1,') ? people([], line) : people([1], line))).toEqual({ active, hold: [] })
  })

  test('a row counts that repeats somebody', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    // The second names 1 by id, so that it is a duplicate, and 2 by address.
    expect(await feed.take(people([1], '1,Person,B,p2@acme.example'))).toMatchObject({ totals: { rejected: 1 }, deactivated: 0 })
    expect(await acme.active()).toEqual(named(1, 2))
  })

  test.each(['organization', 'person'])('a row counts that gives somebody’s address to another, who has registered, where details are the %s’s', async (contactDetails) => {
    const acme = await feedScene(database.current, { onboarding: { contactDetails } })
    const feed = await acme.feed()
    await feed.take(people([1, 2, 3]))
    await acme.sql('update users set password_chosen_at = now() where organization_id = $1', [acme.organizationId])
    expect(await feed.take(people([1], '3,Person,D,P2@acme.example'))).toMatchObject({ state: 'committed', deactivated: 0 })
    expect(await acme.active()).toEqual(named(1, 2, 3))
    expect(await feed.take(people([1], '3,Person,D,other@acme.example'))).toMatchObject({ state: 'committed', deactivated: 1 })
  })

  test('a row that is held counts', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    await acme.sql(`update deliveries set state = 'sent' where organization_id = $1`, [acme.organizationId])
    expect(await feed.take(people([1], '2,Person,C,other@acme.example'))).toMatchObject({ totals: { held: 1 }, deactivated: 0 })
  })

  test('who has neither id nor address is known by name among those who have neither', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    const names = (...lines: string[]): string => ['First Name,Last Name,System User', ...lines].join('\n')
    await feed.take(names('Ada,Li,no', 'Ben,Lo,no', 'Cy,Lu,no'))
    expect(await feed.take(names('Ada,Li,no', 'Ben,Lo,maybe'))).toMatchObject({ totals: { rejected: 1 }, deactivated: 1 })
    expect(await acme.active()).toEqual(['Ada Li', 'Ben Lo'])
  })

  test.each([
    ['neither id nor address can be read', '"2\u0001",Person,C,nowhere'],
    ['the id cannot be read and the address is nobody’s', '"2\u0001",Person,C,new@acme.example'],
    ['both are empty', ',,C,'],
    ['its cells are shifted', 'Person,C,p2@acme.example'],
  ])('a row in which nobody is recognized holds the file where somebody would leave: %s', async (_, line) => {
    const held = await present(people([1, 2]), people([1], line, '3,Person,D,p3@acme.example'))
    expect(held).toEqual({ active: named(1, 2), hold: ['leaving.unsure'] })
  })

  test('nobody is unsure of a new person who is rejected, nor where nobody would leave', async () => {
    expect(await present(people([1, 2]), people([1], '3,Person,D,nowhere'))).toEqual({ active: named(1), hold: [] })
    expect(await present(people([1, 2]), people([1, 2], ',Person,,'))).toEqual({ active: named(1, 2), hold: [] })
  })
})

describe('between the plan and its end', () => {
  test('whoever was changed is left alone and counted; the others leave', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { deactivations: { people: 0, percent: null } } })
    await feed.take(people([1, 2, 3, 4]))
    const { id } = await feed.take(people([1]))
    expect(await acme.leaving(id)).toEqual(['Person C', 'Person D', 'Person E'])
    await acme.run(people([], '3,Anna,D,p3@acme.example'))
    const [user] = (await acme.users()).filter(({ externalId }) => externalId === '4')
    await acme.tenant((tx) => deactivate(tx, 'eve', [user!.id]))

    const report = await acme.approve(id, 'eve')

    expect(report).toMatchObject({ state: 'committed', deactivated: 1, notDeactivated: [{ reason: 'stale', count: 2, message: 'Changed after the plan was made, and left alone.' }] })
    expect(await acme.active()).toEqual(['Anna D', ...named(1, 4)])
  })

  test('people to be adopted are locked before any user, as others lock them: nobody waits in a circle', async () => {
    const acme = await feedScene(database.current)
    await acme.run(people([7, 8]))
    const feed = await acme.feed({ adopts: true, thresholds: { updates: { people: 0, percent: null } } })
    const { id } = await feed.take('External ID,First Name,Last Name,Email,Profile\n7,Person,H,p7@acme.example,Manager\n8,Person,I,p8@acme.example,')
    const [chunk] = await acme.tenant((tx) => approveImport(tx, id, 'eve'))
    let committed: Promise<unknown> | undefined
    await acme.tenant(async (tx) => {
      await tx.run(`select from contacts where external_id = '8' for update`)
      committed = commitChunk({ database: database.current, failpoint: () => Promise.resolve(), queues: { wake: () => Promise.resolve() } }, { organizationId: acme.organizationId, importId: id, chunk: chunk! })
      await expect.poll(async () => (await acme.sql(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length).toBeGreaterThan(0)
      expect(await tx.query('select from users for update skip locked')).toHaveLength(2)
    })
    await committed
    expect(await acme.report(id)).toMatchObject({ state: 'committed', totals: { updated: 1, unchanged: 1 } })
    expect(await acme.sql('select distinct feed_id from contacts where organization_id = $1', [acme.organizationId])).toEqual([{ feed_id: feed.id }])
  })

  test('nobody leaves where the database refused rows for ever, and the report says so', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed({ thresholds: { deactivations: { people: 0, percent: null } } })
    await feed.take(people([1, 2]))
    const { id } = await feed.take(people([1, 3]))
    await acme.sql(`create function refuse() returns trigger language plpgsql as $$ begin raise check_violation; end $$`)
    await acme.sql(`create trigger refused before insert on contacts for each row when (new.organization_id = ${acme.organizationId}) execute function refuse()`)
    const [rows, leaving] = await acme.tenant((tx) => approveImport(tx, id, 'eve'))
    const commit = (chunk: number) => commitChunk({ database: database.current, failpoint: () => Promise.resolve(), queues: { wake: () => Promise.resolve() } }, { organizationId: acme.organizationId, importId: id, chunk })

    // As long as rows are left, those who leave wait.
    expect(await commit(leaving!)).toMatchObject({ kind: 'snooze' })
    for (let tries = 1; tries < 5; tries++) await expect(commit(rows!)).rejects.toMatchObject({ code: '23514' })
    expect(await commit(leaving!)).toMatchObject({ kind: 'snooze' })
    expect(await commit(rows!)).toEqual({ kind: 'done' })
    expect(await commit(leaving!)).toEqual({ kind: 'done' })

    expect(await acme.report(id)).toMatchObject({
      state: 'committed', totals: { created: 0, held: 1 }, deactivated: 0,
      notDeactivated: [{ reason: 'rows_not_written', count: 1, message: 'Rows of the file could not be written, so that nobody was deactivated by it.' }],
    })
    expect(await acme.active()).toEqual(named(1, 2))
  })

  test('what an undo needs is kept of those who left', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(people(upTo(3)))
    const { id } = await feed.take(people([1]))
    expect(await acme.sql(`select what, before ->> 'state' as was from import_changes where import_id = $1 order by what, target`, [id])).toEqual([
      { what: 'contact', was: 'active' }, { what: 'contact', was: 'active' }, { what: 'user', was: 'active' }, { what: 'user', was: 'active' },
    ])
  })
})
