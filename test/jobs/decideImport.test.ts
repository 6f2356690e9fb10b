/** Deciding about a held import (spec A6): who may, what is bound to what, and that nothing else happens. */
import { describe, expect, test } from 'vitest'
import type { ImportReport } from '../../src/importers/importReport.ts'
import { approveImport, expireHolds, rejectImport, supersedeImport } from '../../src/jobs/decideImport.ts'
import { cancelImport } from '../../src/jobs/finishImport.ts'
import { useDatabase, type DeclarationChanges } from '../support/importing.ts'
import { feedScene, named, people, type Fed, type FeedScene } from './feedScene.ts'

const database = useDatabase()

/** Two people, of whom a held file names one; the other one leaves, and a third comes. */
async function held(changes: DeclarationChanges = {}): Promise<{ acme: FeedScene; feed: Fed; report: ImportReport }> {
  const acme = await feedScene(database.current, { operators: ['desk@acme.example'], ...changes })
  const feed = await acme.feed({ author: 'ana', thresholds: { deactivations: { people: 0, percent: null } } })
  await feed.take(people([1, 2]))
  return { acme, feed, report: await feed.take(people([1, 3])) }
}

const alerts = (acme: FeedScene) => acme.sql('select kind, state from feed_alerts where organization_id = $1', [acme.organizationId])
const trail = (acme: FeedScene) => acme.sql('select operator, action from audit_entries where organization_id = $1', [acme.organizationId])
const decision = (acme: FeedScene, id: string) => acme.sql('select state, decision, decided_by as by, decided_at is not null as at from imports where id = $1', [id])

describe('approving', () => {
  test('by somebody else carries out the plan that was held, and ends the alert', async () => {
    const { acme, feed, report } = await held()
    expect(await acme.active()).toEqual(named(1, 2))

    const done = await acme.approve(report.id, 'eve', report.feed!.plan!)

    expect(done).toMatchObject({ state: 'committed', totals: { created: 1, unchanged: 1 }, deactivated: 1, feed: { id: feed.id, decision: 'approved', decidedBy: 'eve' } })
    expect(await acme.active()).toEqual(named(1, 3))
    expect(await alerts(acme)).toEqual([{ kind: 'held', state: 'cleared' }])
    expect(await trail(acme)).toEqual([{ operator: 'eve', action: 'import.approve' }])
    expect(await acme.sql('select wake_at <= now() as woken from feeds where id = $1', [feed.id])).toEqual([{ woken: true }])
  })

  test('tells the operators of the end, once, and of the question no more', async () => {
    const { acme, report } = await held()
    await acme.approve(report.id, 'eve')
    expect(await acme.sql(`select epoch, state, reason from deliveries where import_id = $1 and purpose = 'operatorSummary' order by epoch`, [report.id])).toEqual([
      { epoch: 1, state: 'cancelled', reason: 'import_decided' }, { epoch: 2, state: 'scheduled', reason: null },
    ])
  })

  test('tells of the end, too, where the question was sent', async () => {
    const { acme, report } = await held()
    await acme.sql(`update deliveries set state = 'sent' where import_id = $1`, [report.id])
    await acme.approve(report.id, 'eve')
    expect(await acme.sql(`select epoch, state from deliveries where import_id = $1 and purpose = 'operatorSummary' order by epoch`, [report.id])).toEqual([{ epoch: 1, state: 'sent' }, { epoch: 2, state: 'scheduled' }])
  })

  test.each([
    ['whoever declared the feed', 'ana', {}, 'decision.own_feed'],
    ['whoever declared the feed, though an administrator', 'ana', { administrators: ['ana', 'eve'] }, 'decision.own_feed'],
    ['somebody who is no administrator', 'bob', { administrators: ['eve'] }, 'decision.not_administrator'],
  ])('is refused to %s, and nothing is changed', async (_, operator, changes, code) => {
    const { acme, report } = await held(changes)
    await expect(acme.approve(report.id, operator)).rejects.toMatchObject({ name: 'DecisionRefused', code, hint: expect.stringContaining('') as string })
    expect(await decision(acme, report.id)).toEqual([{ state: 'held', decision: null, by: null, at: false }])
    expect(await acme.active()).toEqual(named(1, 2))
    expect(await alerts(acme)).toEqual([{ kind: 'held', state: 'raised' }])
  })

  test('is for an administrator where there are any', async () => {
    const { acme, report } = await held({ administrators: ['eve'] })
    expect((await acme.approve(report.id, 'eve')).state).toBe('committed')
  })

  test('is of the plan that was looked at', async () => {
    const { acme, report } = await held()
    await expect(acme.approve(report.id, 'eve', 'f'.repeat(64))).rejects.toMatchObject({ code: 'decision.plan_changed' })
    expect(await decision(acme, report.id)).toMatchObject([{ state: 'held' }])
  })

  test('is refused where the plan is not the one that was held', async () => {
    const { acme, report } = await held()
    await acme.sql(`insert into staging.plan_${report.id}_leaving (number, contact_id, version, users_version) select 2, id, version, 1 from contacts where organization_id = $1 and external_id = '1'`, [acme.organizationId])
    await expect(acme.approve(report.id, 'eve', report.feed!.plan!)).rejects.toMatchObject({ code: 'decision.plan_changed' })
    expect(await acme.active()).toEqual(named(1, 2))
  })

  test.each([
    ['settings', { login: { sso: true } }],
    ['catalog', { products: [{ name: 'WebCenter' }, { name: 'Payroll', autoLink: true }] }],
  ])('is refused where the %s that the plan was made by were changed since, and nothing is changed', async (_, changes) => {
    const { acme, report } = await held()
    await acme.declare({ operators: ['desk@acme.example'], ...changes })
    await expect(acme.approve(report.id, 'eve', report.feed!.plan!)).rejects.toMatchObject({ code: 'decision.plan_changed', hint: expect.stringContaining(`feed reject ${report.id}`) as string })
    expect(await decision(acme, report.id)).toMatchObject([{ state: 'held' }])
    expect(await acme.active()).toEqual(named(1, 2))
  })

  test('goes through where only who may decide, who is told, and the seats were changed', async () => {
    const { acme, report } = await held()
    await acme.declare({ administrators: ['eve'], operators: [], mail: { ratePerMinute: 9 }, licenses: [{ name: 'Full', seats: 50 }, { name: 'Read only', seats: null }] })
    expect((await acme.approve(report.id, 'eve', report.feed!.plan!)).state).toBe('committed')
  })

  test('of a file in which nothing is new ends it at once', async () => {
    const acme = await feedScene(database.current)
    const feed = await acme.feed()
    await feed.take(people([1, 2]))
    const { id, state } = await feed.take(people([1, 2]), { outOfOrder: { newer: 'people-2.csv' } })
    expect(state).toBe('held')
    expect(await acme.tenant((tx) => approveImport(tx, id, 'eve'))).toEqual([])
    expect(await acme.report(id)).toMatchObject({ state: 'committed', totals: { read: 2, unchanged: 2 }, feed: { decision: 'approved' } })
  })

  test('leaves alone whoever was changed since, and carries out the rest', async () => {
    const { acme, report } = await held()
    await acme.run(people([], '2,Changed,C,p2@acme.example'))
    expect(await acme.approve(report.id, 'eve', report.feed!.plan!)).toMatchObject({ state: 'committed', totals: { created: 1 }, deactivated: 0, notDeactivated: [{ reason: 'stale', count: 1 }] })
    expect(await acme.active()).toEqual(['Changed C', ...named(1, 3)])
  })

  test('happens once, however many press the button', async () => {
    const { acme, report } = await held()
    const both = await Promise.allSettled(['eve', 'bob'].map((operator) => acme.tenant((tx) => approveImport(tx, report.id, operator))))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find((one) => one.status === 'rejected')).toMatchObject({ reason: { code: 'import.not_held' } })
    expect(await trail(acme)).toHaveLength(1)
  })

  test('of what is not held is refused', async () => {
    const { acme, feed } = await held()
    const { id } = await feed.take(people([1, 2, 4]))
    await expect(acme.approve(id, 'eve')).rejects.toMatchObject({ code: 'import.not_held' })
    await expect(acme.approve('999999999', 'eve')).rejects.toMatchObject({ code: 'import.not_held' })
  })

  test('changes nothing where seats went since', async () => {
    const { acme, report } = await held({ licenses: [{ name: 'Full', seats: 3 }, { name: 'Read only', seats: null }] })
    await acme.run(people([8]))
    await expect(acme.approve(report.id, 'eve')).rejects.toMatchObject({ code: 'license.seats_gone' })
    expect(await decision(acme, report.id)).toMatchObject([{ state: 'held', decision: null }])
    expect(await acme.active()).toEqual(named(1, 2, 8))
  })
})

describe('giving up', () => {
  const nothingDone = async (acme: FeedScene, id: string, what: string, by: string): Promise<void> => {
    expect(await decision(acme, id)).toEqual([{ state: 'cancelled', decision: what, by, at: true }])
    expect(await acme.active()).toEqual(named(1, 2))
    expect(await alerts(acme)).toEqual([{ kind: 'held', state: 'cleared' }])
    expect(await acme.sql(`select to_regclass('staging.plan_${id}') is null as gone`)).toEqual([{ gone: true }])
    await expect(acme.approve(id, 'eve')).rejects.toMatchObject({ code: 'import.not_held' })
  }

  test('rejected by an administrator', async () => {
    const { acme, report } = await held()
    await acme.tenant((tx) => rejectImport(tx, report.id, 'eve'))
    await nothingDone(acme, report.id, 'rejected', 'eve')
    expect(await trail(acme)).toEqual([{ operator: 'eve', action: 'import.reject' }])
    expect(await acme.sql(`select epoch, state from deliveries where import_id = $1 and purpose = 'operatorSummary' order by epoch`, [report.id])).toEqual([{ epoch: 1, state: 'cancelled' }, { epoch: 2, state: 'scheduled' }])
  })

  test('rejected by whoever declared the feed, and by nobody who may not decide', async () => {
    const { acme, report } = await held({ administrators: ['eve'] })
    await expect(acme.tenant((tx) => rejectImport(tx, report.id, 'bob'))).rejects.toMatchObject({ code: 'decision.not_administrator' })
    await acme.tenant((tx) => rejectImport(tx, report.id, 'ana'))
    await nothingDone(acme, report.id, 'rejected', 'ana')
  })

  test('when its time is over, by the database’s clock, and not before', async () => {
    const { acme, report } = await held()
    expect(await acme.tenant((tx) => expireHolds(tx, report.id))).toBe(false)
    await acme.sql(`update imports set hold_until = now() - interval '1 second' where id = $1`, [report.id])
    expect(await acme.tenant((tx) => expireHolds(tx, report.id))).toBe(true)
    expect(await acme.tenant((tx) => expireHolds(tx, report.id))).toBe(false)
    await nothingDone(acme, report.id, 'expired', 'muster')
  })

  test('for a newer file', async () => {
    const { acme, report } = await held()
    expect(await acme.tenant((tx) => supersedeImport(tx, report.id))).toBe(true)
    expect(await acme.tenant((tx) => supersedeImport(tx, report.id))).toBe(false)
    await nothingDone(acme, report.id, 'superseded', 'muster')
  })

  test('cancelled as any import, it counts as rejected', async () => {
    const { acme, report } = await held()
    expect(await acme.tenant((tx) => cancelImport(tx, report.id))).toBe(true)
    expect(await decision(acme, report.id)).toMatchObject([{ state: 'cancelled', decision: 'rejected' }])
  })
})
