/** Undoing an import, and deciding who somebody is (spec E4, B4), as people and scripts see it: a process each, on embedded parts that they share. */
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

const ACME = {
  key: 'acme', name: 'Acme Staffing', timeZone: 'America/Chicago', username: { format: '{first}.{last}', maxLength: 32 },
  defaults: { groups: ['Staff'], profile: 'Standard', license: 'Full', role: 'Customer Limited', delivery: 'invitation' },
  groups: ['Staff'], profiles: ['Standard', 'Manager'], licenses: [{ name: 'Full', seats: 9 }], roles: [{ name: 'Customer Limited' }], mail: { from: 'Acme <no-reply@acme.example>', ratePerMinute: 6000 },
}
const HEADER = 'External ID,First Name,Last Name,Email,Phone'
const FILES = {
  'first.csv': [HEADER, '1,Ana,Nguyen,ana@one.example,6125550101', '2,Bo,Lund,bo@one.example,6125550102'],
  'wrong.csv': [HEADER, '1,Ana,Nguyen,ana@one.example,6125550199', '2,Bo,Lund,bo@one.example,6125550198', '3,Cy,Ray,cy@one.example,', '4,Di,Moss,di@one.example,'],
  'moved.csv': [HEADER, '1,Ana,Nguyen,ana@two.example,', '2,Bo,Lund,bo@two.example,'],
}

beforeAll(async () => {
  home = newHome()
  folder = join(home, '..', 'files')
  mkdirSync(folder)
  server = await acquireEmbeddedPostgres(home, { log: () => undefined, settings: TEST_SETTINGS })
  writeFileSync(join(folder, 'acme.json'), JSON.stringify(ACME))
  for (const [name, lines] of Object.entries(FILES)) writeFileSync(join(folder, name), lines.join('\n'))
  for (const args of [['organization', 'apply', 'acme.json'], ['import', 'first.csv', '--organization', 'acme', '--delivery', 'now']]) {
    const ran = await muster(...args)
    if (ran.status !== 0) throw new Error(ran.err + ran.out)
  }
}, 240_000)
afterAll(() => server.release())

const muster = (...args: string[]): Promise<Ran> => runMuster(args, { folder, settings: { MUSTER_HOME: home } })
const phones = async (): Promise<Json> => Object.fromEntries((await muster('contacts', 'list', '--organization', 'acme', '--json')).lines.map(({ firstName, phone }) => [firstName as string, phone]))

describe('muster import undo', { timeout: 120_000 }, () => {
  test('shows what would be put back and what cannot, and changes nothing without a yes', async () => {
    expect(await muster('import', 'wrong.csv', '--organization', 'acme')).toMatchObject({ status: 0 })
    // Somebody has seen to Cy meanwhile.
    expect(await muster('users', 'set', '--organization', 'acme', '--filter', 'username=cy.ray', '--profile', 'Manager', '--yes')).toMatchObject({ status: 0 })
    const preview = await muster('import', 'undo', '2')
    expect([preview.status, preview.err, preview.out.split('\n')]).toEqual([0, 'Nothing was changed. Add --yes to go ahead.\n', [
      'Import 2: what is undone of it, if you agree:',
      '  1 contact would be deleted',
      '  2 contacts would be put back as before',
      '  1 user would be deleted; the name is free again',
      '  2 mails that have not left would be cancelled',
      '  1 seat of Full would be free again',
      'Left alone, as they are now:',
      '  1: Changed since. (cy.ray)',
      '',
    ]])
    expect(await phones()).toEqual({ Ana: '6125550199', Bo: '6125550198', Cy: null, Di: null })
  })

  test('does it with --yes, once, and says that somebody was left', async () => {
    const done = await muster('import', 'undo', '2', '--yes')
    expect([done.status, done.out]).toEqual([2, expect.stringMatching(/Import 2 is undone\.\n$/)])
    expect(await phones()).toEqual({ Ana: '6125550101', Bo: '6125550102', Cy: null })
    const again = await muster('import', 'undo', '2', '--yes', '--json')
    expect([again.status, again.json]).toMatchObject([1, { error: { code: 'import.wrong_state', message: 'Import 2 is undone; only a committed one can be undone.' } }])
  })
})

describe('muster identity', { timeout: 120_000 }, () => {
  test('lists both sides, with the last mail', async () => {
    expect(await muster('import', 'moved.csv', '--organization', 'acme')).toMatchObject({ status: 2 })
    const { out } = await muster('identity', 'list', '--organization', 'acme')
    expect(out.split('\n').map((line) => line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d/, 'DATE'))).toEqual([
      '1  Has this person moved to another address?  asked less than an hour ago',
      '  known     Ana Nguyen  ana@one.example  contact 1, External ID 1; last mail: invitation to ana@one.example, DATE UTC',
      '  the file  Ana Nguyen  ana@two.example  moved.csv, row 2',
      '2  Has this person moved to another address?  asked less than an hour ago',
      '  known     Bo Lund  bo@one.example  contact 2, External ID 2; last mail: invitation to bo@one.example, DATE UTC',
      '  the file  Bo Lund  bo@two.example  moved.csv, row 3',
      '',
      './muster identity accept ID...  or  ./muster identity reject ID...',
      '',
    ])
  })

  test('accepts and rejects, and says what to do next', async () => {
    const accepted = await muster('identity', 'accept', '1')
    expect([accepted.status, accepted.out]).toEqual([0, '1  Ana Nguyen has the address ana@two.example now, and no longer ana@one.example. 1 open link that went there is void.\n  Nobody was mailed. To invite the person there: ./muster users send invitation --organization acme --id 1\n'])
    const rejected = await muster('identity', 'reject', '2')
    expect([rejected.status, rejected.out]).toEqual([0, '2  Bo Lund keeps the address bo@one.example; a file that says bo@two.example is not asked about again.\n'])
    expect((await muster('identity', 'list', '--organization', 'acme', '--declined', '--json')).json).toMatchObject({ organization: 'acme', questions: [{ kind: 'moved', state: 'rejected', known: { email: 'bo@one.example' }, given: { email: 'bo@two.example' } }] })
    expect(await muster('identity', 'accept', '1', '--json')).toMatchObject({ status: 1, json: { error: { code: 'identity.decided' } } })
    expect(await muster('identity', 'reject', 'x', '--json')).toMatchObject({ status: 1, json: { error: { code: 'identity.unknown' } } })
    const next = await muster('import', 'moved.csv', '--organization', 'acme', '--json')
    expect(next.json).toMatchObject({ import: { totals: { unchanged: 2, held: 0 }, issues: [{ code: 'identity.move_declined' }] } })
  })
})
