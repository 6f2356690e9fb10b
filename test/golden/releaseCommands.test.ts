/** `muster release …` as operators and scripts see it: a process each, on embedded parts that they share. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { newHome } from '../embedded/processes.ts'
import { runMuster, type Json, type Ran } from '../support/runMuster.ts'
import { TEST_SETTINGS } from '../support/settings.ts'


let home: string
let folder: string
let server: EmbeddedPostgres

const muster = (...args: string[]): Promise<Ran> => runMuster(args, { folder, settings: { MUSTER_HOME: home } })
const release = (...args: string[]) => muster('release', ...args)
const releaseOf = ({ json }: Ran): Json => json['release'] as Json
const create = (name: string, ...args: string[]) => release('create', name, '--organization', 'acme', '--purpose', 'invitation', ...args)

const PEOPLE = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Edsger Dijkstra', 'Barbara Liskov', 'Donald Knuth']
const DECLARATION = {
  key: 'acme', name: 'Acme Staffing', timeZone: 'America/New_York', language: 'en', groups: ['Staff'], profiles: ['Standard'], licenses: [{ name: 'Full' }], roles: [{ name: 'Worker' }],
  defaults: { groups: ['Staff'], profile: 'Standard', license: 'Full', role: 'Worker', delivery: 'invitation' }, mail: { from: 'Acme <no-reply@acme.example>', ratePerMinute: 600 },
}

beforeAll(async () => {
  home = newHome()
  folder = join(home, '..', 'files')
  mkdirSync(folder)
  server = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
  writeFileSync(join(folder, 'acme.json'), JSON.stringify(DECLARATION))
  writeFileSync(join(folder, 'sso.json'), JSON.stringify({ ...DECLARATION, key: 'sso', login: { sso: true } }))
  writeFileSync(join(folder, 'people.csv'), ['First Name,Last Name,Email', ...PEOPLE.map((name) => `${name.replace(' ', ',')},${name.split(' ')[0]!.toLowerCase()}@people.example`)].join('\n'))
  writeFileSync(join(folder, 'some.txt'), 'ada.lovelace\ngrace@people.example\nnobody@people.example\n')
  for (const args of [['organization', 'apply', 'acme.json'], ['organization', 'apply', 'sso.json'], ['import', 'people.csv', '--organization', 'acme']]) {
    const { status, err } = await muster(...args)
    if (status !== 0) throw new Error(err)
  }
}, 90_000)
afterAll(() => server.release())

describe('a go-live', { timeout: 90_000 }, () => {
  let id: string

  test('is shown before anything is changed: whom, when in both clocks, how long, who is left out and why', async () => {
    await muster('users', 'deactivate', '--organization', 'acme', '--filter', 'username=donald.knuth', '--yes')
    const shown = await create('December', '--all', '--at', '2099-12-01 08:00', '--rate', '2')
    expect(shown.status).toBe(0)
    expect(shown.out.split('\n')).toEqual([
      '5 mails (invitation) would be released:',
      ...['ada.lovelace  Ada Lovelace', 'alan.turing  Alan Turing', 'barbara.liskov  Barbara Liskov', 'edsger.dijkstra  Edsger Dijkstra', 'grace.hopper  Grace Hopper'].map((line) => `  ${line}  ${line.split('.')[0]}@people.example`),
      'Left out: 1 person',
      '  1: The user is deactivated. (donald.knuth)',
      'Not before 2099-12-01 08:00 America/New_York (2099-12-01 13:00 UTC)',
      '5 at 2 a minute finishes at 08:03',
      '',
    ])
    expect(shown.err).toContain('Nothing was changed. Add --yes to go ahead.')
    const listed = await release('list', '--json')
    expect(listed.json).toEqual({ releases: [] })
    const document = await create('December', '--all', '--at', '2099-12-01 08:00', '--json')
    expect([document.status, document.json]).toMatchObject([0, { confirmed: false, release: { id: null, counts: { total: 5 }, sendAt: '2099-12-01T13:00:00.000Z' }, leftOut: [{ reason: 'user_inactive', count: 1, users: ['donald.knuth'] }] }])
  })

  test('with --yes is made, takes along what the import holds, and says with its status that somebody is left out', async () => {
    const made = await create('December', '--all', '--at', '2099-12-01 08:00', '--rate', '2', '--first-wave', '1', '--yes', '--json')
    expect(made.status).toBe(2)
    expect(made.json).toMatchObject({ confirmed: true, organization: 'acme', release: { name: 'December', state: 'scheduled', purpose: 'invitation', firstWave: 1, restAfterMinutes: 15, rate: { own: 2, organization: 600, effective: 2 }, counts: { total: 5, waiting: 1, held: 4 }, leftOutBefore: { user_inactive: 1 } } })
    id = releaseOf(made)['id'] as string
    expect(await create('December', '--all', '--at', '2099-12-01 08:00', '--yes', '--json')).toMatchObject({ status: 1, json: { error: { code: 'release.name_taken' } } })
    expect(await create('Another', '--all', '--at', '2099-12-01 08:00', '--yes', '--json')).toMatchObject({ status: 1, json: { error: { code: 'release.nobody', message: expect.stringContaining('5: The mail belongs to another release.') as string } } })
  })

  test('is listed and shown, moved, frozen and resumed; each repeated without harm', async () => {
    const shown = await release('show', id)
    expect(shown.out).toContain('not before  2099-12-01 08:00 America/New_York (2099-12-01 13:00 UTC)')
    expect(shown.out).toContain('rate        2 a minute, the organization\'s 600 a minute')
    expect(shown.out).toContain('1 left out before: The user is deactivated.')
    const moved = await release('move', id, '--at', '2099-12-02 09:30', '--zone', 'Asia/Kathmandu', '--json')
    expect([moved.status, moved.json]).toMatchObject([0, { changed: true, mails: 5, release: { sendAt: '2099-12-02T03:45:00.000Z' } }])
    for (const changed of [true, false]) expect((await release('freeze', id, '--json')).json).toMatchObject({ changed, release: { state: 'frozen', counts: { held: 5 }, reasons: { release_frozen: 1, first_wave: 4 } } })
    expect((await release('resume', id, '--json')).json).toMatchObject({ changed: true, release: { state: 'scheduled', reasons: { first_wave: 4 } } })
    expect((await release('list', '--organization', 'acme')).out).toContain('2099-12-01 22:45 America/New_York')
  })

  test('is cancelled for good: what its state does not allow is refused with a code and what to do', async () => {
    expect((await release('cancel', id, '--json')).json).toMatchObject({ changed: true, mails: 5, release: { state: 'cancelled', counts: { leftOut: 5 }, reasons: { release_cancelled: 5 } } })
    expect(await release('resume', id, '--json')).toMatchObject({ status: 1, json: { error: { code: 'release.wrong_state', hint: expect.stringContaining('release show') as string } } })
    expect(await release('show', '999', '--json')).toMatchObject({ status: 1, json: { error: { code: 'release.unknown_id' } } })
  })

  test('of an import or a file, now, is on its way before the command ends; who was not found is told', async () => {
    const made = await create('Now', '--users', 'some.txt', '--at', 'now', '--yes', '--json')
    expect([made.status, made.json]).toMatchObject([2, { unknown: ['nobody@people.example'], release: { counts: { total: 2, sent: 2 } } }])
    const mailsOf = (...args: string[]) => muster('deliveries', 'list', '--release', releaseOf(made)['id'] as string, ...args)
    expect((await mailsOf('--json')).out.trim().split('\n').map((line) => (JSON.parse(line) as Json)['to']).toSorted()).toEqual(['ada@people.example', 'grace@people.example'])
    expect((await mailsOf('--organization', 'sso')).out).toBe('No deliveries.\n')
    expect(await muster('deliveries', 'list', '--release', '999', '--json')).toMatchObject({ status: 1, json: { error: { code: 'release.unknown_id' } } })
    const rest = await create('Rest', '--import', '1', '--filter', 'username=alan.turing', '--at', '2020-01-01 08:00', '--yes')
    expect(rest.status).toBe(0)
    expect(rest.out).toContain('This date has passed: they leave at once.')
    const mails = (await muster('mailbox', '--json')).out.trim().split('\n').map((line) => (JSON.parse(line) as Json)['to'])
    expect(mails.toSorted()).toEqual(['ada@people.example', 'alan@people.example', 'grace@people.example'])
    const followed = await release('show', releaseOf(made)['id'] as string, '--follow', '--json')
    expect(releaseOf(followed)).toMatchObject({ counts: { sent: 2, waiting: 0 } })
  })

  test.each([
    ['an unknown purpose', ['--all', '--purpose', 'passwordReset', '--at', 'now'], 64, 'usage.purpose'],
    ['nobody chosen', ['--purpose', 'invitation', '--at', 'now'], 64, 'usage.selection'],
    ['a time that the clocks skip', ['--all', '--purpose', 'invitation', '--at', '2026-03-08 02:30'], 64, 'usage.at'],
    ['no date', ['--all', '--purpose', 'invitation', '--at', 'soon'], 64, 'usage.at'],
    ['no zone', ['--all', '--purpose', 'invitation', '--at', '2099-12-01 08:00', '--zone', 'Mars/Olympus'], 64, 'usage.zone'],
    ['a rate of nothing', ['--all', '--purpose', 'invitation', '--at', 'now', '--rate', '0'], 64, 'usage.rate'],
  ])('%s is wrong usage', async (_, args, status, code) => {
    expect(await release('create', 'X', '--organization', 'acme', ...args, '--json')).toMatchObject({ status, json: { error: { code } } })
  })

  test('an organization with SSO is refused with the reason', async () => {
    expect(await release('create', 'X', '--organization', 'sso', '--all', '--purpose', 'invitation', '--at', 'now', '--json')).toMatchObject({ status: 1, json: { error: { code: 'release.sso', message: expect.stringContaining('SSO') as string } } })
  })
})
