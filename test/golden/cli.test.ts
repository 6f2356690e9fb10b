/** The command line as scripts see it (interface.md): a process each, on embedded parts that they share. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { acquireEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { newHome } from '../embedded/processes.ts'
import { runMuster, type Json, type Ran } from '../support/runMuster.ts'
import { TEST_SETTINGS } from '../support/settings.ts'
import { loadBytes, saveBytes } from '../importers/returned.ts'

const CHECKOUT = join(import.meta.dirname, '../..')
const DEMONSTRATION = join(CHECKOUT, 'fixtures/demonstration')
const PEOPLE = join(DEMONSTRATION, 'people.xlsx')
const CONTRACTORS = join(DEMONSTRATION, 'contractors.csv')


let home: string
let folder: string
let server: EmbeddedPostgres

beforeAll(async () => {
  home = newHome()
  folder = join(home, '..', 'files')
  mkdirSync(folder)
  // Held for all commands: each would start and stop a server of its own.
  server = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
}, 60_000)
afterAll(() => server.release())

const muster = (...args: string[]): Promise<Ran> => runMuster(args, { folder, settings: { MUSTER_HOME: home } })

const keys = (value: unknown): string[] => Object.keys(value as Json)
const reportOf = ({ json }: Ran): Json => json['import'] as Json

describe('a day at the operations desk', { timeout: 90_000 }, () => {
  test('organization apply creates, repeats without harm, and tells what changed', async () => {
    const file = join(DEMONSTRATION, 'acme.organization.json')
    const first = await muster('organization', 'apply', file, '--json')
    expect([first.status, first.json]).toEqual([0, { organization: { id: expect.any(String) as string, key: 'acme' }, created: true, changes: [] }])
    const again = await muster('organization', 'apply', file)
    expect([again.status, again.out]).toEqual([0, 'acme is as declared; nothing was changed.\n'])
    const declaration = JSON.parse(readFileSync(file, 'utf8')) as Json
    writeFileSync(join(folder, 'acme.json'), JSON.stringify({ ...declaration, groups: ['Staff', 'Supervisors', 'Night shift'] }))
    const changed = await muster('organization', 'apply', 'acme.json', '--json')
    expect([changed.status, changed.json['changes']]).toEqual([0, ['groups: added Night shift']])
  })

  test('organization show gives a declaration that can be applied as it is; list gives lines', async () => {
    const shown = await muster('organization', 'show', 'acme', '--json')
    expect(shown.json).toMatchObject({ key: 'acme', timeZone: 'America/Chicago', groups: ['Staff', 'Supervisors', 'Night shift'] })
    writeFileSync(join(folder, 'shown.json'), shown.out)
    const [applied, list] = await Promise.all([muster('organization', 'apply', 'shown.json', '--json'), muster('organization', 'list', '--json')])
    expect(applied.json['changes']).toEqual([])
    expect((list.json['organizations'] as Json[]).map(keys)).toEqual([['id', 'key', 'name']])
  })

  test('a preview changes nothing, prints the plan, and its status says that rows are bad', async () => {
    const preview = await muster('import', PEOPLE, '--organization', 'acme', '--preview', '--json')
    expect(preview.status).toBe(2)
    expect(reportOf(preview)).toMatchObject({ id: '1', state: 'previewed', totals: { read: 14, created: 10, rejected: 4 }, deliveries: { owed: 9, scheduled: 1 } })
    expect(preview.json['plan']).toHaveLength(14)
    expect((await muster('contacts', 'list', '--organization', 'acme', '--json')).out).toBe('')
  })

  test('commit carries it out; the report has the shape that scripts rely on', async () => {
    const committed = await muster('import', 'commit', '1', '--json')
    expect([committed.status, keys(committed.json)]).toEqual([2, ['import']])
    const report = reportOf(committed)
    for (const key of ['id', 'state', 'organization', 'file', 'columns', 'totals', 'users', 'deliveries', 'issues', 'issueCount', 'startedAt', 'finishedAt']) expect(keys(report)).toContain(key)
    expect(report).not.toHaveProperty('failure')
    for (const key of ['name', 'bytes', 'sha256', 'format', 'sheet', 'encoding', 'delimiter', 'headerRow']) expect(keys(report['file'])).toContain(key)
    expect(report['columns']).toEqual(expect.arrayContaining([{ header: 'First Name', field: 'firstName', by: 'alias' }]))
    expect(keys(report['totals'])).toEqual(['read', 'created', 'updated', 'unchanged', 'rejected', 'held', 'blank'])
    expect(report['users']).toMatchObject({ created: 9, notLoginable: 0, withoutSeat: 0 })
    expect(keys(report['deliveries'])).toEqual(['owed', 'scheduled', 'notOwed'])
    expect((report['issues'] as Json[]).map(keys)).toEqual(Array.from({ length: 4 }, () => ['row', 'column', 'field', 'code', 'severity', 'value', 'message', 'hint']))
    expect(report['issueCount']).toBe(4)
    expect(await muster('import', 'commit', '1', '--json')).toMatchObject({ status: 1, json: { error: { code: 'import.wrong_state' } } })
  })

  test('with --delivery now the mails arrive, and JSON is the one thing on standard output', async () => {
    const imported = await muster('import', CONTRACTORS, '--organization', 'acme', '--delivery', 'now', '--json')
    expect(imported.status).toBe(2)
    expect(reportOf(imported)).toMatchObject({ id: '2', state: 'committed', file: { format: 'csv', encoding: 'UTF-8', delimiter: ';' }, totals: { read: 8, created: 5, updated: 1, rejected: 2 } })
    const mails = (await muster('mailbox', '--json')).lines
    expect(mails.map(keys)).toEqual(mails.map(() => ['id', 'from', 'to', 'subject', 'messageId', 'receivedAt']))
    const credentials = mails.find(({ to }) => to === 'juergen.weiss@bau.example')!
    const shown = await muster('mailbox', 'show', credentials['id'] as string, '--json')
    expect(shown.json).toMatchObject({ id: credentials['id'], text: expect.stringContaining('jurgen.weiss') as string, html: expect.stringContaining('jurgen.weiss') as string, headers: expect.anything() as unknown })
    const [first] = (await muster('deliveries', 'list', '--organization', 'acme', '--state', 'sent', '--purpose', 'credentials', '--json')).lines
    expect(keys(first)).toEqual(['id', 'userId', 'purpose', 'to', 'state', 'sendAt', 'sentAt', 'messageId', 'attempts', 'reason'])
    expect(mails.map(({ messageId }) => messageId)).toContain(first!['messageId'])
  })

  test('contacts and users are JSON lines of fixed keys, and filters find them', async () => {
    const list = (what: string, ...more: string[]) => muster(what, 'list', '--organization', 'acme', '--json', ...more)
    const [{ lines: contacts }, { lines: users }, unknown] = await Promise.all([list('contacts'), list('users', '--filter', 'lastName=smith'), list('users', '--filter', 'shoe=1')])
    expect(contacts).toHaveLength(15)
    for (const contact of contacts) expect(keys(contact)).toEqual(['id', 'externalId', 'firstName', 'lastName', 'email', 'phone', 'kind', 'attributes', 'users', 'state', 'customers'])
    expect(users.map(({ username }) => username)).toEqual(['john.smith', 'john.smith2'])
    for (const user of users) {
      expect(keys(user)).toEqual(['id', 'contactId', 'externalId', 'username', 'email', 'accountKind', 'state', 'loginable', 'groups', 'profile', 'license', 'roles', 'mustChangePassword', 'lastLoginAt', 'onboarding'])
    }
    expect(unknown).toMatchObject({ status: 1, json: { error: { code: 'filter.unknown' } } })
  })

  test('errors hands the rejected rows back: a workbook to a file, CSV to standard output', async () => {
    const [written, streamed, nowhere] = await Promise.all([muster('import', 'errors', '1', '-o', 'to-mend.xlsx', '--json'), muster('import', 'errors', '2'), muster('import', 'errors', '1')])
    expect([written.status, written.json]).toEqual([0, { file: 'to-mend.xlsx', rows: 4, issues: 4 }])
    expect([streamed.status, streamed.out.split('\r\n')[0]]).toEqual([0, 'Personalnummer;Vorname;Nachname;E-Mail;Telefon;Rolle;Versandart;Versanddatum;Errors'])
    expect([nowhere.status, nowhere.out]).toEqual([64, ''])
    const book = await loadBytes(readFileSync(join(folder, 'to-mend.xlsx')))
    const sheet = book.getWorksheet('People')!
    for (const [row, column, value] of [[2, 'D', 'grace.kim@harbor.example'], [3, 'E', '6125550112'], [4, 'H', 'Customer Limited'], [5, 'A', '1014'], [5, 'D', 'sean.o@lakeside.example']] as const) sheet.getCell(`${column}${row}`).value = value
    writeFileSync(join(folder, 'mended.xlsx'), await saveBytes(book))
    const mended = await muster('import', 'mended.xlsx', '--organization', 'acme', '--json')
    expect([mended.status, reportOf(mended)]).toMatchObject([0, { totals: { read: 4, created: 4, rejected: 0 } }])
  })

  test('the template can be taken in as it is, and says loudly that nothing was changed', async () => {
    const template = await muster('template', 'acme', '-o', 'template.xlsx', '--json')
    expect([template.status, template.json['file'], existsSync(join(folder, 'template.xlsx'))]).toEqual([0, 'template.xlsx', true])
    const imported = await muster('import', 'template.xlsx', '--organization', 'acme')
    expect([imported.status, imported.out]).toEqual([0, expect.stringContaining('Nothing was changed by this import.')])
  })

  test('a file that is refused as a whole: status 1, state failed, and why', async () => {
    writeFileSync(join(folder, 'empty.csv'), '')
    const refused = await muster('import', 'empty.csv', '--organization', 'acme', '--json')
    expect(refused.status).toBe(1)
    expect(reportOf(refused)).toMatchObject({ state: 'failed', failure: { code: 'file.empty', message: 'The file holds no data.', hint: expect.any(String) as string }, totals: { read: 0 }, issues: [] })
    const id = reportOf(refused)['id'] as string
    const [errors, shown] = await Promise.all([muster('import', 'errors', id, '--json'), muster('import', 'show', id, '--json')])
    expect(errors).toMatchObject({ status: 1, json: { error: { code: 'import.not_read' } } })
    expect([shown.status, reportOf(shown)]).toMatchObject([0, { id, state: 'failed' }])
  })

  test('a preview can be cancelled, once', async () => {
    const preview = await muster('import', CONTRACTORS, '--organization', 'acme', '--preview', '--json')
    const id = reportOf(preview)['id'] as string
    const cancelled = await muster('import', 'cancel', id, '--json')
    expect([cancelled.status, reportOf(cancelled)]).toMatchObject([0, { id, state: 'cancelled' }])
    const [again, list] = await Promise.all([muster('import', 'cancel', id, '--json'), muster('import', 'list', '--json')])
    expect(again).toMatchObject({ status: 1, json: { error: { code: 'import.wrong_state' } } })
    expect([list.status, list.out]).toEqual([0, expect.stringContaining('"state":"cancelled"')])
  })

  test('wrong usage ends with 64 and a refusal with 1, and both say why on standard error alone', async () => {
    const wrong = [['import'], ['bogus'], ['import', PEOPLE], ['import', PEOPLE, '--organization', 'acme', '--set-column', 'no equals sign'], ['import', PEOPLE, '--organization', 'acme', '--delivery', 'yesterday'], ['deliveries', 'list', '--state', 'lost']]
    const refused = [['import', 'no-such-file.csv', '--organization', 'acme'], ['import', PEOPLE, '--organization', 'nobody'], ['import', 'show', '99999'], ['organization', 'show', 'nobody']]
    const ended: Ran[] = []
    const waiting = [...wrong, ...refused]
    // Two at a time: a process each, on a machine that has other tests to run.
    while (waiting.length > 0) ended.push(...(await Promise.all(waiting.splice(0, 2).map((args) => muster(...args)))))
    expect(ended.map(({ status }) => status)).toEqual([...wrong.map(() => 64), ...refused.map(() => 1)])
    for (const { out, err } of ended) expect([out, err]).toEqual(['', expect.stringMatching(/\S/)])
    const help = await muster('--help')
    expect([help.status, help.out]).toEqual([0, expect.stringContaining('Usage: muster')])
  })
})
