/** What operators do to users (spec C9 to C11, D2, D3), as scripts and people see it: a process each, on embedded parts that they share. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { newHome } from '../embedded/processes.ts'
import { runMuster, type Json, type Ran } from '../support/runMuster.ts'
import { TEST_SETTINGS } from '../support/settings.ts'

const CHECKOUT = join(import.meta.dirname, '../..')

let home: string
let folder: string
let server: EmbeddedPostgres

const ACME = {
  key: 'acme', name: 'Acme Staffing', timeZone: 'America/Chicago', username: { format: '{first}.{last}', maxLength: 32 },
  defaults: { groups: ['Staff'], profile: 'Standard', license: 'Full', role: 'Customer Limited', delivery: 'none' },
  groups: ['Staff', 'Supervisors'], profiles: ['Standard', 'Manager'], licenses: [{ name: 'Full', seats: 5 }],
  roles: [{ name: 'Customer Limited' }, { name: 'Customer Administrator', required: true }, { name: 'Authorized Representative', invitableAlone: false }],
  securityGroups: { department: ['all', 'HR'] }, lookups: { jobCode: ['Engineering', 'Sales'] },
  operators: ['Ops@acme.example'], mail: { from: 'Acme <no-reply@acme.example>', ratePerMinute: 6000 },
}
const PEOPLE = ['External ID,First Name,Last Name,Email,Role,System User', '1,Ana,Nguyen,ana@one.example,Customer Administrator,yes', '2,Bo,Lund,bo@one.example,,yes', '3,Cy,Ray,cy@one.example,,yes', '4,Di,Moss,di@one.example,,no', '5,Ed,Fox,ed@one.example,,no', '6,Flo,Kay,,,no', '7,Gus,Lee,gus@one.example,,no']

beforeAll(async () => {
  home = newHome()
  folder = join(home, '..', 'files')
  mkdirSync(folder)
  server = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
  writeFileSync(join(folder, 'acme.json'), JSON.stringify(ACME))
  writeFileSync(join(folder, 'sso.json'), JSON.stringify({ ...ACME, key: 'sso', name: 'Single Sign-On', login: { sso: true } }))
  writeFileSync(join(folder, 'people.csv'), PEOPLE.join('\n'))
  for (const args of [['organization', 'apply', 'acme.json'], ['organization', 'apply', 'sso.json'], ['import', 'people.csv', '--organization', 'acme'], ['import', 'people.csv', '--organization', 'sso']]) {
    const ran = await muster(...args)
    if (ran.status !== 0) throw new Error(ran.err + ran.out)
  }
}, 120_000)
afterAll(() => server.release())

const muster = (...args: string[]): Promise<Ran> => runMuster(args, { folder, settings: { MUSTER_HOME: home } })
const users = (command: string, ...args: string[]): Promise<Ran> => muster('users', command, '--organization', 'acme', ...args)
const states = async (): Promise<Json> => Object.fromEntries((await users('list', '--json')).lines.map(({ username, state }) => [username as string, state]))

describe('operators and their users', { timeout: 120_000 }, () => {
  test('whoever names nobody, or something unknown, is refused before anything happens', async () => {
    const wrong = await users('deactivate', '--json')
    expect([wrong.status, wrong.json]).toMatchObject([64, { error: { code: 'usage.selection' } }])
    const refused = await Promise.all([users('deactivate', '--filter', 'shoe=1', '--json'), users('set', '--all', '--profile', 'Managr', '--json'), users('deactivate', '--id', '999', '--json'), users('deactivate', '--users', 'no-such.txt', '--json')])
    expect(refused.map(({ status, json }) => [status, (json['error'] as Json)['code']])).toEqual([[1, 'filter.unknown'], [1, 'profile.unknown'], [1, 'users.nobody'], [1, 'file.not_found']])
    expect(refused[1].json).toMatchObject({ error: { hint: 'Did you mean Manager?' } })
    expect((await users('set', '--all', '--yes')).status).toBe(64)
    expect(await users('set', '--all', '--username', 'x.y', '--yes', '--json')).toMatchObject({ status: 64, json: { error: { code: 'usage.username' } } })
  })

  test('without --yes nothing changes: the preview names whom, how many, who is left out and why', async () => {
    const preview = await users('enable', '--filter', 'user=none', '--delivery', 'invitation')
    expect([preview.status, preview.err]).toEqual([0, 'Nothing was changed. Add --yes to go ahead.\n'])
    expect(preview.out.split('\n')).toEqual([
      '2 users would be made:', '  di.moss  Di Moss  di@one.example', '  ed.fox  Ed Fox  ed@one.example', '1 contact would await a license, for no seat is free: Gus Lee (7).', '2 invitations would be owed.',
      'They are held until they are released.', 'Left out: 1 person', '  1: There is no e-mail address, and a mail would be owed. (Flo Kay (6))', '',
    ])
    const json = await users('enable', '--filter', 'user=none', '--delivery', 'invitation', '--json')
    expect([json.status, json.json]).toMatchObject([0, { action: 'users.enable', created: [{ id: null, username: 'di.moss' }, { id: null, username: 'ed.fox' }], people: [{ id: null }, { id: null }], confirmed: false, selected: 4, changed: 2, mails: { invitation: 2 }, leftOut: [{ reason: 'email_missing', count: 1 }], unknown: [] }])
    expect(Object.keys(await states())).toEqual(['ana.nguyen', 'bo.lund', 'cy.ray'])
    expect((await users('enable', '--contact', '4', '--delivery', 'invitation')).out).toContain('1 invitation would be owed.\nIt is held until it is released.\n')
  })

  test('enable makes users, mails them at once, and stays until they have left', async () => {
    const done = await users('enable', '--filter', 'user=none', '--delivery', 'invitation', '--at', 'now', '--yes', '--json')
    expect([done.status, done.json]).toMatchObject([2, { confirmed: true, changed: 2, mails: { invitation: 2 }, deliveries: { sent: 2 }, created: [{ username: 'di.moss' }, { username: 'ed.fox' }], awaiting: ['7'] }])
    expect((await muster('mailbox', '--json')).lines.map(({ to }) => to as string).filter((to) => to.endsWith('@one.example')).toSorted()).toEqual(['di@one.example', 'ed@one.example'])
    const again = await users('enable', '--contact', '4', '--yes')
    expect([again.status, again.out]).toEqual([0, expect.stringContaining('There is an active user of this kind already. (Di Moss (4))')])
  })

  test('people named in a file: a header and unknown lines are told apart', async () => {
    writeFileSync(join(folder, 'who.csv'), 'User Name;Note\nana.nguyen;boss\nBO@one.example;x\n3;y\nnobody;z\n')
    const done = await users('deactivate', '--users', 'who.csv', '--yes', '--json')
    expect([done.status, done.json]).toMatchObject([2, { changed: 3, unknown: ['nobody'], seatsFreed: [{ license: 'Full', count: 3 }], rolesMissing: ['Customer Administrator'] }])
    expect(await states()).toEqual({ 'ana.nguyen': 'inactive', 'bo.lund': 'inactive', 'cy.ray': 'inactive', 'di.moss': 'active', 'ed.fox': 'active' })
    const opened = await users('enable', '--contact', '1', '--profile', 'Manager', '--yes', '--json')
    expect([opened.status, opened.json]).toMatchObject([2, { changed: 1, openedAsTheyWere: true }])
    expect((await users('enable', '--contact', '2')).out).toContain('1 user would be opened as before; ./muster users set changes what somebody has.')
    await users('deactivate', '--users', 'who.csv', '--yes')
    const back = await users('activate', '--all', '--yes', '--json')
    expect([back.status, back.json]).toMatchObject([0, { changed: 3, leftOut: [{ reason: 'already_active', count: 2, users: ['di.moss', 'ed.fox'] }] }])
  })

  test('set tells from what to what; a second time that nothing is new', async () => {
    const change = ['--filter', 'role=Customer Limited', '--add-group', 'Supervisors', '--profile', 'Manager', '--department', 'HR', '--lookup', 'jobCode=Engineering;Sales', '--yes']
    const done = await users('set', ...change)
    expect([done.status, done.out]).toEqual([0, expect.stringContaining('  profile: Standard -> Manager  (4 users)\n')])
    expect(done.out).toMatch(/4 users were changed\.\n$/)
    const again = await users('set', ...change)
    expect([again.status, again.out]).toEqual([0, expect.stringContaining('Nothing was changed: there is nothing to do.')])
    const renamed = await users('set', '--users', 'who.csv', '--filter', 'lastName=Lund', '--username', 'bo', '--yes', '--json')
    expect(renamed.json).toMatchObject({ changed: 1, effects: [{ what: 'username', from: 'bo.lund', to: 'bo', users: 1 }] })
  })

  test('credentials go to an operator of the organization, to nobody else, and on a date', async () => {
    const send = (...args: string[]) => users('send', 'credentials', '--filter', 'lastName=Ray', '--yes', '--json', ...args)
    const [stranger, invitation, dated] = [await send('--to', 'ops@acme.exmaple'), await users('send', 'invitation', '--all', '--to-me', 'ops@acme.example', '--json'), await send('--to-me', 'ops@acme.example', '--at', '2099-07-01 08:00')]
    expect([stranger.status, (stranger.json['error'] as Json)['code'], invitation.status]).toEqual([1, 'delivery.not_an_operator', 64])
    expect([dated.status, dated.json]).toMatchObject([0, { mails: { operatorCredentials: 1 }, sendAt: '2099-07-01T13:00:00.000Z', deliveries: { scheduled: 1 } }])
    const now = await send('--to', 'ops@acme.example')
    expect(now.json).toMatchObject({ deliveries: { sent: 1 } })
    expect((await muster('deliveries', 'list', '--organization', 'acme', '--purpose', 'operatorCredentials', '--json')).lines).toMatchObject([{ to: 'Ops@acme.example', state: 'sent' }])
  })

  test('revoked links are void, and a new invitation can be sent', async () => {
    const revoked = await users('revoke', '--all', '--yes', '--json')
    expect([revoked.status, revoked.json]).toMatchObject([2, { changed: 2, invitationsRevoked: 2, leftOut: [{ reason: 'no_open_invitation', count: 3 }] }])
    const sent = await users('send', 'invitation', '--filter', 'onboarding=revoked', '--yes')
    expect([sent.status, sent.out]).toEqual([0, expect.stringContaining('Mails: 2 sent.')])
    const shown = await users('show', 'di.moss', '--json')
    expect(shown.json['user']).toMatchObject({ username: 'di.moss', lookups: { jobCode: ['Engineering', 'Sales'] }, department: 'HR', sessions: 0, invitations: [{ epoch: 1, state: 'revoked' }, { epoch: 2, state: 'launched' }], deliveries: [{ state: 'sent' }, { state: 'sent' }] })
    expect((await users('show', 'di.moss')).out).toMatch(/last login +has not logged in yet/)
    expect(await users('show', 'nobody', '--json')).toMatchObject({ status: 1, json: { error: { code: 'users.unknown' } } })
  })

  test('new passwords: shown once, into a file of one\'s own, never over another', async () => {
    const made = await users('passwords', '--filter', 'group=Supervisors', '--yes', '--json')
    expect([made.status, made.json]).toMatchObject([0, { changed: 4, reset: 0, alsoOwedCredentials: 0, report: { users: 4 } }])
    const { id } = made.json['report'] as { id: string }
    writeFileSync(join(folder, 'there.csv'), 'mine')
    // Standard output on a disk that is full: nothing is lost with it.
    const full = openSync('/dev/full', 'w')
    const lost = spawn(process.execPath, [join(CHECKOUT, 'muster.ts'), 'users', 'report', id], { cwd: folder, env: { PATH: process.env['PATH'], MUSTER_HOME: home, NO_COLOR: '1' }, stdio: ['ignore', full, 'ignore'] })
    expect(await new Promise((resolve) => lost.once('close', resolve))).toBe(1)
    closeSync(full)
    expect(await muster('users', 'report', id, '-o', 'there.csv', '--json')).toMatchObject({ status: 1, json: { error: { code: 'file.not_writable' } } })
    const fetched = await muster('users', 'report', id, '-o', 'passwords.csv')
    expect(fetched.status).toBe(0)
    const rows = readFileSync(join(folder, 'passwords.csv'), 'utf8').split('\r\n')
    expect([rows[0], rows.length, statSync(join(folder, 'passwords.csv')).mode & 0o777]).toEqual(['\uFEFFUsername,First Name,Last Name,Email,Password', 6, 0o600])
    const password = rows[1]!.split(',').at(-1)!
    expect([password.length, fetched.out.includes(password), made.out.includes(password), made.err.includes(password)]).toEqual([15, false, false, false])
    const again = await muster('users', 'report', id, '-o', 'again.csv', '--json')
    expect([again.status, again.json, existsSync(join(folder, 'again.csv'))]).toMatchObject([1, { error: { code: 'report.fetched' } }, false])
    expect((await muster('users', 'report', '999', '--json')).json).toMatchObject({ error: { code: 'report.unknown' } })
  })

  test('SSO: people get users without passwords, and nothing that would be sent (C10)', async () => {
    const sso = (command: string, ...args: string[]) => muster('users', command, '--organization', 'sso', '--all', '--yes', '--json', ...args)
    const refused = [await sso('send', 'invitation'), await sso('passwords'), await sso('enable', '--delivery', 'credentials')]
    expect(refused.map(({ status, json }) => [status, (json['error'] as Json)['code']])).toEqual(refused.map(() => [1, 'delivery.sso']))
    const enabled = await sso('enable')
    expect([enabled.status, enabled.json]).toMatchObject([2, { changed: 2, mails: {}, awaiting: expect.any(Array) as unknown }])
    expect((await muster('deliveries', 'list', '--organization', 'sso', '--json')).lines.map(({ purpose }) => purpose)).toEqual(['operatorSummary'])
  })

  test('the audit trail tells who did it, by ids alone', async () => {
    const { status, lines, out } = await muster('audit', '--organization', 'acme', '--json')
    expect(status).toBe(0)
    expect(lines.map(({ action }) => action)).toEqual(['users.report', 'users.passwords', 'users.send', 'users.revoke', 'users.send', 'users.send', 'users.set', 'users.set', 'users.activate', 'users.deactivate', 'users.enable', 'users.deactivate', 'users.send', 'users.enable'])
    expect(out).not.toMatch(/@one\.example|nguyen|lund/i)
    const people = await muster('audit', '--organization', 'acme', '--limit', '2')
    expect(people.out.split('\n')).toHaveLength(5)
  })
})
