/** Undoing (spec E4) at the very moment at which an import is committed or a mail leaves. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/entities/database.ts'
import { DEFAULT_OPTIONS, receiveFile } from '../../src/importers/receive.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { beginCommit, stageImport, type ImportParts } from '../../src/jobs/stageImport.ts'
import { undoImport, type UndoReport } from '../../src/jobs/undoImport.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import { importing, useDatabase, type DeclarationChanges, type Importing } from '../support/importing.ts'

const database = useDatabase()
const HEADER = 'External ID,First Name,Last Name,Email,Phone'
const sheet = (...rows: string[]): string => [HEADER, ...rows].join('\n')
const ADA = 'E1,Ada,Lovelace,ada@undo.test,6125550101'
const BEN = 'E2,Ben,Okafor,ben@undo.test,6125550102'
const CLEO = 'E3,Cleo,Diaz,cleo@undo.test,6125550103'

const organization = (changes: DeclarationChanges = {}): Promise<Importing> => importing(database.current, changes)
const tenant = <T>({ organizationId }: Importing, work: (tx: Transaction) => Promise<T>): Promise<T> => database.current.tenant(organizationId, work)
const undo = (acme: Importing, importId: string): Promise<UndoReport> => tenant(acme, (tx) => undoImport(tx, importId, 'olga'))
const left = (report: UndoReport): Record<string, number> => Object.fromEntries(report.left.map(({ reason, count }) => [reason, count]))
const names = async (acme: Importing): Promise<string[]> => (await acme.contacts()).map(({ firstName }) => firstName).toSorted()
const mails = async (acme: Importing): Promise<string[]> => (await acme.deliveries()).filter(({ userId }) => userId !== null).map(({ state, reason }) => [state, reason].filter(Boolean).join(' '))

describe('beside others', () => {
  /** Takes a file in up to the chunk, which is then committed under `failpoint`. */
  async function readyToCommit(acme: Importing, text: string): Promise<{ importId: string; commit(failpoint?: ImportParts['failpoint']): Promise<unknown> }> {
    const parts: ImportParts = { database: database.current, queues: { wake: () => Promise.resolve() }, failpoint: () => Promise.resolve() }
    const importId = await receiveFile(database.current, acme.organizationId, { name: 'people.csv', bytes: [Buffer.from(text)] }, { ...DEFAULT_OPTIONS, preview: true })
    await stageImport(parts, { organizationId: acme.organizationId, importId }, new AbortController().signal)
    const [chunk] = await tenant(acme, (tx) => beginCommit(tx, importId))
    return { importId, commit: (failpoint = parts.failpoint) => commitChunk({ ...parts, failpoint }, { organizationId: acme.organizationId, importId, chunk: chunk! }) }
  }

  test('an import that is being committed is waited for, and what it changed stays', async () => {
    const acme = await organization()
    const { id } = await acme.run(sheet(ADA, BEN))
    const other = await readyToCommit(acme, sheet(ADA.replace('0101', '0188')))
    let undone: Promise<UndoReport> | undefined
    await other.commit(async (point) => {
      if (point !== 'import.chunk_applied') return
      undone = undo(acme, id)
      await expect.poll(async () => (await acme.sql(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length).toBeGreaterThan(0)
    })
    expect(left(await undone!)).toEqual({ changed: 1 })
    expect(await acme.contacts()).toMatchObject([{ firstName: 'Ada', phone: '6125550188' }])
  })

  test('an import that is committed while it is undone leaves those alone who went, and tells them', async () => {
    const acme = await organization()
    const { id } = await acme.run(sheet(ADA, BEN))
    const other = await readyToCommit(acme, sheet(ADA.replace('0101', '0188'), CLEO))
    let committed: Promise<unknown> | undefined
    await tenant(acme, async (tx) => {
      await undoImport(tx, id, 'olga')
      committed = other.commit()
      await expect.poll(async () => (await acme.sql(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length).toBeGreaterThan(0)
    })
    await committed
    expect(await acme.report(other.importId)).toMatchObject({ state: 'committed', totals: { created: 1, held: 1 }, issues: [{ code: 'plan.stale' }] })
    expect(await names(acme)).toEqual(['Cleo'])
  })

  test('a user of a known person who goes while another import would change it makes that row stale', async () => {
    const acme = await organization()
    await acme.run(`${HEADER},System User\n${ADA},no`)
    const { id } = await acme.run(`${HEADER},System User\n${ADA},yes`)
    const other = await readyToCommit(acme, `${HEADER},Profile\n${ADA},Manager`)
    await undo(acme, id)
    await other.commit()
    expect(await acme.report(other.importId)).toMatchObject({ state: 'committed', totals: { held: 1 }, issues: [{ code: 'plan.stale' }] })
  })
})

describe('beside a worker that sends', () => {
  let run: DeliveryRun
  beforeAll(async () => {
    run = await deliveryRun()
  })
  afterAll(() => run.close())

  const turn = (acme: Importing, failpoint: (name: string) => Promise<void>) => run.send({ organizationId: acme.organizationId } as never, { failpoint })

  test.each([['who goes', 'deliver.claimed', false], ['who stays', 'deliver.claimed', true], ['who goes, at the last moment', 'deliver.inData', false]] as const)('a mail in its hands to somebody %s never leaves', async (_, point, stays) => {
    const acme = await importing(run.database)
    const { id } = await acme.run(sheet(ADA), { delivery: { kind: 'now' } })
    if (stays) await acme.sql('update users set version = version + 1 where organization_id = $1', [acme.organizationId])
    let undone: UndoReport | undefined
    const before = run.sink.messages.length
    await turn(acme, async (name) => {
      if (name === point) undone ??= await run.database.tenant(acme.organizationId, (tx) => undoImport(tx, id, 'olga'))
    })
    expect(undone).toMatchObject({ mails: { cancelled: 1 }, users: { deleted: stays ? 0 : 1 } })
    expect(run.sink.messages.slice(before)).toEqual([])
    expect(await mails(acme)).toEqual(stays ? ['cancelled import_undone'] : [])
  })

  test('a mail that is past the fence is waited for by nobody, and its person stays', async () => {
    const acme = await importing(run.database)
    const { id } = await acme.run(sheet(ADA), { delivery: { kind: 'now' } })
    let undone: UndoReport | undefined
    await turn(acme, async (name) => {
      if (name === 'deliver.fenced') undone ??= await run.database.tenant(acme.organizationId, (tx) => undoImport(tx, id, 'olga'))
    })
    expect(left(undone!)).toEqual({ may_have_left: 1 })
    expect([await mails(acme), (await acme.users()).length]).toEqual([['sent'], 1])
  })
})
