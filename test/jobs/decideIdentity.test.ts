/** Questions about who somebody is (spec B4): from the file that raises one to what comes of a person's answer, and to the next file. */
import { describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/entities/database.ts'
import { listDecisions, type IdentityQuestion } from '../../src/importers/identityDecisions.ts'
import { decideIdentity, type Decided } from '../../src/jobs/decideIdentity.ts'
import { deactivate } from '../../src/jobs/operateUsers.ts'
import type { FeedIntake } from '../../src/rules/feedPolicy.ts'
import { importing, useDatabase, type DeclarationChanges, type Importing } from '../support/importing.ts'

const database = useDatabase()
const HEADER = 'External ID,First Name,Last Name,Email,Phone'
const sheet = (...rows: string[]): string => [HEADER, ...rows].join('\n')
const ADA = 'E1,Ada,Lovelace,ada@old.test,6125550101'
const MOVED = 'E1,Ada,King,ada@new.test,6125550199'
const BEN = 'E2,Ben,Okafor,ben@old.test,'

const organization = (changes: DeclarationChanges = {}): Promise<Importing> => importing(database.current, changes)
const tenant = <T>({ organizationId }: Importing, work: (tx: Transaction) => Promise<T>): Promise<T> => database.current.tenant(organizationId, work)
const waiting = (acme: Importing): Promise<IdentityQuestion[]> => tenant(acme, (tx) => listDecisions(tx))
const declined = (acme: Importing): Promise<IdentityQuestion[]> => tenant(acme, (tx) => listDecisions(tx, 'rejected'))
const decide = (acme: Importing, verdict: 'accept' | 'reject', ...ids: string[]): Promise<Decided[]> => tenant(acme, (tx) => decideIdentity(tx, ids, verdict, 'olga'))
const states = async (acme: Importing): Promise<unknown[]> => (await acme.sql<{ s: string }>('select state as s from identity_decisions where organization_id = $1 order by id', [acme.organizationId])).map(({ s }) => s)
const mailed = (acme: Importing) => acme.sql(`update deliveries set state = 'sent', sent_at = now(), recipient = 'ada@old.test' where organization_id = $1 and user_id is not null`, [acme.organizationId])
const codes = ({ issues }: { issues: { code: string }[] }): string[] => issues.map(({ code }) => code)
const allUsers = async (acme: Importing): Promise<string[]> => (await acme.users()).map(({ id }) => id)

/** An organization in which Ada was invited, and a file said that she has moved. */
async function adaMoved(changes: DeclarationChanges = {}): Promise<{ acme: Importing; question: IdentityQuestion; importId: string }> {
  const acme = await organization(changes)
  await acme.run(sheet(ADA))
  await mailed(acme)
  const { id } = await acme.run(sheet(MOVED))
  const [question] = await waiting(acme)
  return { acme, question: question!, importId: id }
}

/** An organization that wants to be asked, and in which Ada was deactivated and is in a file again. */
async function adaBack(changes: DeclarationChanges = {}): Promise<{ acme: Importing; question: IdentityQuestion }> {
  const acme = await organization({ matching: { deactivated: 'ask' }, ...changes })
  await acme.run(sheet(ADA))
  await tenant(acme, async (tx) => deactivate(tx, 'pat', await allUsers(acme)))
  await acme.sql(`update contacts set state = 'inactive', version = version + 1, updated_at = now() where organization_id = $1`, [acme.organizationId])
  await acme.run(sheet(ADA))
  const [question] = await waiting(acme)
  return { acme, question: question! }
}

describe('a question', () => {
  test('is asked with both sides where somebody who was mailed has a new address', async () => {
    const { acme, question, importId } = await adaMoved()
    expect(question).toMatchObject({
      kind: 'moved', state: 'waiting', importId, file: 'people.csv', row: 2,
      known: { firstName: 'Ada', lastName: 'Lovelace', externalId: 'E1', email: 'ada@old.test', state: 'active', lastMail: { purpose: 'invitation', to: 'ada@old.test', at: expect.any(String) } },
      given: { firstName: 'Ada', lastName: 'King', email: 'ada@new.test' },
    })
    expect(await acme.contacts()).toMatchObject([{ lastName: 'Lovelace', email: 'ada@old.test' }])
  })

  test('is not asked where nobody was mailed: the address is simply entered', async () => {
    const acme = await organization()
    await acme.run(sheet(ADA))
    await acme.run(sheet(MOVED))
    expect([await waiting(acme), await acme.contacts()]).toMatchObject([[], [{ email: 'ada@new.test' }]])
  })

  test('waits once, and says what the latest file says', async () => {
    const { acme, question } = await adaMoved()
    await acme.run(sheet(MOVED.replace('ada@new.test', 'ada@newer.test')))
    expect(await waiting(acme)).toMatchObject([{ id: question.id, given: { email: 'ada@newer.test' } }])
  })

  test('lapses with a file that says as before', async () => {
    const { acme } = await adaMoved()
    await acme.run(sheet(ADA))
    expect([await waiting(acme), await states(acme)]).toEqual([[], ['lapsed']])
  })

  test('waits on where a file says nothing of it', async () => {
    const { acme } = await adaMoved()
    await acme.run('External ID,First Name,Last Name,Phone\nE1,Ada,Lovelace,6125550177')
    await acme.run(sheet(BEN))
    expect(await states(acme)).toEqual(['waiting'])
  })

  test('is over once the person was changed so by other means', async () => {
    const { acme, question } = await adaBack()
    await acme.sql(`update contacts set state = 'active' where organization_id = $1`, [acme.organizationId])
    expect(await waiting(acme)).toEqual([])
    await expect(decide(acme, 'accept', question.id)).rejects.toMatchObject({ code: 'identity.lapsed' })
    await acme.run(sheet(BEN))
    expect(await states(acme)).toEqual(['lapsed'])
  })

  test('lapses with a full file of the same feed that names the person no more', async () => {
    const NONE = { people: null, percent: null }
    const acme = await organization({ matching: { deactivated: 'ask' } })
    const [made] = await acme.sql<{ id: string }>(`insert into feeds (organization_id, name, state, definition, author) values ($1, 'nightly', 'active', '{}', 'olga') returning id`, [acme.organizationId])
    const feed: FeedIntake = {
      feedId: made!.id, fileId: '1', mode: 'full', scope: { kind: 'own' }, adopts: false, thresholds: { creations: NONE, updates: NONE, deactivations: NONE, changedEmails: NONE, reactivations: NONE },
      rows: { least: null, most: null, changePercent: null }, lastHeaders: null, lastRows: null, outOfOrder: null, holdHours: 24,
    }
    await acme.run(sheet(ADA, BEN), { feed })
    await acme.run(sheet(BEN), { feed })
    const { id } = await acme.run(sheet(ADA, BEN), { feed })
    expect(await waiting(acme)).toMatchObject([{ kind: 'deactivated', importId: id }])
    expect(await acme.run(sheet(BEN), { feed })).toMatchObject({ state: 'committed' })
    expect(await states(acme)).toEqual(['lapsed'])
  })
})

describe('a move', () => {
  test('that is accepted enters the address, makes the links to the old one void, and is no question to the next file', async () => {
    const { acme, question } = await adaMoved()
    await acme.sql(`update invitations set state = 'launched', token_hash = 'x' where organization_id = $1`, [acme.organizationId])
    await acme.sql(`insert into password_resets (organization_id, user_id, epoch, token_hash, expires_at) select organization_id, id, 1, 'r' || id, now() + interval '1 day' from users where organization_id = $1`, [acme.organizationId])
    expect(await decide(acme, 'accept', question.id)).toMatchObject([{ name: 'Ada Lovelace', from: 'ada@old.test', to: 'ada@new.test', invitationsRevoked: 1, linksVoided: 1, users: [{ username: 'ada.lovelace', unregistered: true }] }])
    expect(await acme.contacts()).toMatchObject([{ lastName: 'Lovelace', email: 'ada@new.test' }])
    expect(await acme.sql('select used_at is not null as void from password_resets where organization_id = $1', [acme.organizationId])).toEqual([{ void: true }])
    const next = await acme.run(sheet(MOVED))
    expect([codes(next), next.totals.updated, await acme.contacts()]).toMatchObject([[], 1, [{ lastName: 'King', email: 'ada@new.test', phone: '6125550199' }]])
    expect(await states(acme)).toEqual(['accepted'])
  })

  test('that is rejected changes nobody, and the same file is told so and does not ask again', async () => {
    const { acme, question } = await adaMoved()
    await decide(acme, 'reject', question.id)
    const next = await acme.run(`${HEADER},Profile\n${MOVED},Manager`)
    expect([next.totals, next.issues]).toMatchObject([{ unchanged: 1, held: 0, updated: 0 }, [{ code: 'identity.move_declined', severity: 'warning', row: 2, column: 'Email', value: 'ada@new.test' }]])
    expect([await waiting(acme), await acme.contacts(), await acme.users()]).toMatchObject([[], [{ lastName: 'Lovelace', email: 'ada@old.test', phone: '6125550101' }], [{ profile: 'Standard' }]])
    expect(codes(await acme.run(sheet(MOVED.replace('ada@new.test', 'ada@third.test'))))).toEqual(['identity.moved'])
    expect(await waiting(acme)).toMatchObject([{ given: { email: 'ada@third.test' } }])
  })

  test('that was rejected makes no further account of the person either', async () => {
    const { acme, question } = await adaMoved()
    await decide(acme, 'reject', question.id)
    await acme.run(`${HEADER},Account Kind\n${MOVED},\n${MOVED},service representative`)
    expect([await acme.users(), await acme.contacts()]).toMatchObject([[{ username: 'ada.lovelace' }], [{ email: 'ada@old.test' }]])
  })

  test('that was rejected can be accepted after all', async () => {
    const { acme, question } = await adaMoved()
    await decide(acme, 'reject', question.id)
    expect(await declined(acme)).toMatchObject([{ id: question.id, decidedBy: 'olga' }])
    await decide(acme, 'accept', question.id)
    expect([await states(acme), await acme.contacts()]).toMatchObject([['rejected', 'accepted'], [{ email: 'ada@new.test' }]])
  })

  test('to an address that somebody else has got is refused, and says who', async () => {
    const { acme, question } = await adaMoved()
    await acme.run(sheet('E9,Eva,Ng,ada@new.test,'))
    await expect(decide(acme, 'accept', question.id)).rejects.toMatchObject({ code: 'identity.address_taken', message: expect.stringContaining('Eva Ng') })
    expect([await states(acme), (await acme.contacts())[0]]).toMatchObject([['waiting'], { email: 'ada@old.test' }])
  })

  test('of somebody who has registered meanwhile is theirs to tell, where the organization says so', async () => {
    const { acme, question } = await adaMoved({ onboarding: { contactDetails: 'person' } })
    await acme.sql('update users set password_chosen_at = now() where organization_id = $1', [acme.organizationId])
    await expect(decide(acme, 'accept', question.id)).rejects.toMatchObject({ code: 'identity.belongs_to_person' })
  })
})

describe('somebody who is back', () => {
  test('is active again with the users, once that is accepted', async () => {
    const { acme, question } = await adaBack()
    expect(question).toMatchObject({ kind: 'deactivated', known: { state: 'inactive' } })
    expect(await decide(acme, 'accept', question.id)).toMatchObject([{ users: [{ username: 'ada.lovelace', activated: true }] }])
    expect([await acme.contacts(), await acme.users()]).toMatchObject([[{ state: 'active' }], [{ state: 'active' }]])
    expect(codes(await acme.run(sheet(ADA)))).toEqual([])
  })

  test('and has no user is active again as well', async () => {
    const { acme, question } = await adaBack()
    await acme.sql('delete from users where organization_id = $1', [acme.organizationId])
    await decide(acme, 'accept', question.id)
    expect(await acme.contacts()).toMatchObject([{ state: 'active' }])
  })

  test('stays away where no seat is free', async () => {
    const { acme, question } = await adaBack({ licenses: [{ name: 'Full', seats: 1 }] })
    await acme.run(sheet(BEN))
    await expect(decide(acme, 'accept', question.id)).rejects.toMatchObject({ code: 'license.no_seats' })
    expect([(await acme.contacts())[0], await states(acme)]).toMatchObject([{ state: 'inactive' }, ['waiting']])
  })

  test('is not asked about again once that is rejected, until somebody changes the person', async () => {
    const { acme, question } = await adaBack()
    await decide(acme, 'reject', question.id)
    const next = await acme.run(sheet(ADA))
    expect([next.totals, codes(next), await waiting(acme)]).toMatchObject([{ unchanged: 1, held: 0 }, ['identity.deactivated_skipped'], []])
    await acme.sql(`update contacts set version = version + 1, updated_at = now() + interval '1 second' where organization_id = $1`, [acme.organizationId])
    expect(codes(await acme.run(sheet(ADA)))).toEqual(['identity.deactivated'])
  })
})

describe('deciding', () => {
  test('is about all of them or none', async () => {
    const acme = await organization()
    await acme.run(sheet(ADA, BEN))
    await mailed(acme)
    await acme.run(sheet(MOVED, 'E2,Ben,Okafor,ben@new.test,'))
    await acme.run(sheet('E9,Eva,Ng,ben@new.test,'))
    const ids = (await waiting(acme)).map(({ id }) => id)
    await expect(decide(acme, 'accept', ...ids)).rejects.toMatchObject({ code: 'identity.address_taken' })
    expect([await states(acme), (await acme.contacts()).map(({ email }) => email)]).toEqual([['waiting', 'waiting'], ['ada@old.test', 'ben@old.test', 'ben@new.test']])
    expect(await decide(acme, 'reject', ...ids)).toHaveLength(2)
  })

  test('is not done twice, and not of what is not there', async () => {
    const { acme, question } = await adaMoved()
    await decide(acme, 'accept', question.id)
    await expect(decide(acme, 'accept', question.id)).rejects.toMatchObject({ code: 'identity.decided', message: expect.stringContaining('olga') })
    await expect(decide(acme, 'reject', '999999')).rejects.toMatchObject({ code: 'identity.unknown' })
  })

  test('is in the audit trail, by ids alone', async () => {
    const { acme, question } = await adaMoved()
    await decide(acme, 'accept', question.id)
    const lines = await acme.sql(`select operator, action, detail from audit_entries where organization_id = $1 and action like 'identity%'`, [acme.organizationId])
    expect(lines).toEqual([{ operator: 'olga', action: 'identity.accept', detail: { decisions: [question.id], contacts: [question.contactId] } }])
  })

  test('of one organization sees nothing of another', async () => {
    const { question } = await adaMoved()
    await expect(decide(await organization(), 'accept', question.id)).rejects.toMatchObject({ code: 'identity.unknown' })
  })
})
