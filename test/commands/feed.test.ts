/** What `muster feed …` says and refuses, without a process for each command. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Context } from '../../src/commands/context.ts'
import { approveFeed } from '../../src/commands/decideFeed.ts'
import { examineFeeds } from '../../src/commands/examineFeeds.ts'
import { applyOneFeed, pauseOneFeed, replayFeed, resumeOneFeed } from '../../src/commands/feed.ts'
import type { Installation } from '../../src/commands/installation.ts'
import { EXIT, openOutput, type ExitStatus } from '../../src/commands/output.ts'
import { readAllowed, readThresholds } from '../../src/commands/readLimits.ts'
import { transferLine } from '../../src/commands/runFeed.ts'
import { giveSecret, resealSecrets } from '../../src/commands/secret.ts'
import { listAllFeeds, listFeedRuns, showOneFeed } from '../../src/commands/showFeed.ts'
import { trustFeed } from '../../src/commands/trustFeed.ts'
import { startDrop, type Drop } from '../../src/embedded/drop.ts'
import { raiseAlert } from '../../src/feeds/alerts.ts'
import { feedNamed } from '../../src/feeds/feeds.ts'
import type { ChangeCounts } from '../../src/rules/feedPolicy.ts'
import { newHome } from '../embedded/processes.ts'
import { importing, useDatabase, type Importing } from '../support/importing.ts'

const SECRETS = { old: 'a'.repeat(32), fresh: 'b'.repeat(32) }
const database = useDatabase()
let acme: Importing
let drop: Drop
let folder: string
let secrets = { secret: SECRETS.old, previous: null as string | null }

beforeAll(async () => {
  acme = await importing(database.current, { key: 'acme', timeZone: 'America/New_York', administrators: ['ada'] })
  const home = newHome()
  folder = join(home, '..')
  drop = await startDrop(home, { username: 'acme', port: 0, random: randomBytes })
})
afterAll(() => drop.close())

type Said = { status: ExitStatus; out: string; err: string }

/** Runs a command's work as `operator`, and gathers what it says. */
async function said(work: (context: Context) => Promise<ExitStatus>, { operator = 'olga', json = false } = {}): Promise<Said> {
  const heard = { out: '', err: '' }
  const stream = (into: keyof typeof heard) => ({ write: (text: string) => (heard[into] += text) })
  const installation = { database: database.current, operator, secret: secrets.secret, secrets, embedded: false, queues: { wake: () => Promise.resolve() } } as unknown as Installation
  const context = { out: openOutput(json, stream('out'), stream('err'), () => 0), with: (does: (opened: Installation) => unknown) => does(installation) } as unknown as Context
  return { status: await work(context), ...heard }
}

function declare(changes: Record<string, unknown> = {}): string {
  const path = join(folder, 'nightly.json')
  const server = { host: drop.host, port: drop.port, username: drop.username, login: { password: 'acme-sftp' } }
  writeFileSync(path, JSON.stringify({ organization: 'acme', name: 'nightly', server, pattern: 'people-*.csv', schedule: '30 2 * * *', mode: 'full', ...changes }))
  return path
}
const apply = (changes?: Record<string, unknown>): Promise<Said> => said((context) => applyOneFeed(context, declare(changes)))
const list = async (): Promise<string> => (await said((context) => listAllFeeds(context, {}))).out.split('\n')[1]!.trimEnd()

test('before there is a feed, the list says how to declare one', async () => {
  expect((await said((context) => listAllFeeds(context, {}))).out).toBe('No feeds yet. Declare one: ./muster feed apply FILE.json\n')
})

describe('a feed that is set up', () => {
  test('is refused while a secret that it names is not there, with what to do', async () => {
    await expect(apply()).rejects.toMatchObject({ code: 'feed.unknown_secret', message: expect.stringContaining('./muster feed secret acme-sftp --organization acme') as string })
  })

  test('its secret comes from a file, without the newline at its end, and is shown by nothing', async () => {
    const path = join(folder, 'password')
    writeFileSync(path, `${drop.password}\n`)
    const given = await said((context) => giveSecret(context, 'acme-sftp', { organization: 'acme', file: path }))
    expect(given.out).toBe('The secret acme-sftp of acme is kept under seal. Nobody is shown it again.\nNo feed names it yet.\n')
    const again = await said((context) => giveSecret(context, 'acme-sftp', { organization: 'acme', file: path }), { json: true })
    expect(JSON.parse(again.out)).toEqual({ secret: { organization: 'acme', name: 'acme-sftp', replaced: true, usedBy: [] } })
    expect(given.out + given.err + again.out + again.err).not.toContain(drop.password)
  })

  test('says what is missing, and does not run before its server is trusted', async () => {
    expect((await apply()).out.split('\n')).toEqual(['Created the feed nightly of acme.', '  At 02:30 (America/New_York)', "  The server's key is not pinned: it does not run.  ./muster feed trust nightly --organization acme", ''])
    expect((await apply()).out).toContain('nightly is as declared; nothing was changed.')
    expect(await list()).toBe("nightly  acme          none yet   not now  does not run: the server's key is not pinned: ./muster feed trust nightly --organization acme")
  })

  test('shows the key of its server, and pins nothing without a yes', async () => {
    const shown = await said((context) => trustFeed(context, 'nightly', {}))
    expect([shown.status, shown.out, shown.err]).toEqual([EXIT.done, expect.stringContaining(`  ${drop.hostKey}\n`), expect.stringContaining('Add --yes')])
    await expect(said((context) => trustFeed(context, 'nightly', { fingerprint: `SHA256:${'A'.repeat(43)}`, yes: true }))).rejects.toMatchObject({ code: 'feed.other_host_key' })
    expect(await list()).toContain('not pinned')
    const pinned = await said((context) => trustFeed(context, 'nightly', { fingerprint: drop.hostKey }))
    expect(pinned.out).toMatch(/Pinned\. nightly connects to a server with this key only\. It runs next at \d{4}-\d\d-\d\d 02:30 America\/New_York\./)
    expect(await list()).toMatch(/02:30 America\/New_York {2}no file has come yet$/)
  })

  test('says loudly that a key has changed, with the old one and the new one', async () => {
    const other = `SHA256:${'B'.repeat(43)}`
    await acme.sql('update feeds set host_key = $1', [other])
    const { out } = await said((context) => trustFeed(context, 'nightly', {}))
    expect(out).toContain(`THE KEY OF THE SERVER HAS CHANGED.\n  pinned  ${other}\n  shown   ${drop.hostKey}\n`)
    await said((context) => trustFeed(context, 'nightly', { yes: true }))
    expect((await said((context) => trustFeed(context, 'nightly', {}))).out).toContain('Nothing was changed.')
  })
})

describe('a feed with a past', () => {
  const counts = (changes: Partial<ChangeCounts>): ChangeCounts => ({ rows: 1_000, population: 1_000, creations: 0, updates: 0, deactivations: 0, changedEmails: 0, reactivations: 0, adoptions: 0, ...changes })

  beforeAll(async () => {
    for (const [index, deactivations] of [2, 40, 120].entries()) {
      await acme.sql(
        `insert into feed_files (organization_id, feed_id, name, bytes, modified_at, state, counts, finished_at) select $1, id, $2, 1, now(), 'imported', $3, now() - make_interval(days => $4) from feeds`,
        [acme.organizationId, `people-${index}.csv`, JSON.stringify(counts({ deactivations })), 3 - index],
      )
    }
    await acme.sql(`insert into feed_runs (organization_id, feed_id, kind, slot_at, slots_passed, state, looks) select $1, id, 'catchUp', '2026-01-02T07:30:00Z', 2, 'missing', 4 from feeds`, [acme.organizationId])
  })

  test('replays thresholds that are asked about, and those that are declared', async () => {
    const asked = await said((context) => replayFeed(context, 'nightly', { deactivations: '10%' }))
    expect(asked.out.split('\n')[0]).toBe('With these thresholds, 1 of your last 3 runs would have been held.')
    expect(asked.out).toMatch(/ {2}people-2\.csv {2}.*: deactivations\n/)
    expect((await apply({ thresholds: { deactivations: { people: 25, percent: null } } })).out).toContain('With these thresholds, 2 of your last 3 runs would have been held.')
    expect((await said((context) => replayFeed(context, 'nightly', { deactivations: 'none' }))).out).toContain('none of your last 3 runs')
  })

  test('tells its runs with what they stand for', async () => {
    expect((await said((context) => listFeedRuns(context, 'nightly', {}))).out).toMatch(/2026-01-02 02:30 {2}caught up, for 3 slots {2}missing {2}4 +0/)
  })

  test('is well when nothing is to be done, in one line', async () => {
    expect(await list()).toMatch(/^nightly {2}acme +people-2\.csv, \d\d-\d\d \d\d:\d\d {2}.* {2}all is well$/)
    expect(await examineFeeds({ database: database.current, secrets }, acme.organizationId, 'acme')).toEqual([{ part: 'acme', state: 'well', message: 'its feed: nothing to do', hint: null }])
  })

  test('rests and goes on', async () => {
    expect((await said((context) => pauseOneFeed(context, 'nightly', {}))).out).toContain('nightly is paused')
    expect(await list()).toContain('paused: it runs only when it is told to: ./muster feed resume nightly --organization acme')
    expect((await said((context) => resumeOneFeed(context, 'nightly', {}))).out).toContain('nightly is active; next at ')
    expect((await said((context) => resumeOneFeed(context, 'nightly', {}))).out).toContain('nothing was changed')
  })

  test('is allowed more once by an administrator who did not declare it', async () => {
    const allow = (operator: string): Promise<Said> => said((context) => approveFeed(context, 'nightly', { once: true, deactivations: '40', until: '2099-12-01 08:00', yes: true }), { operator })
    await expect(allow('olga')).rejects.toMatchObject({ code: 'decision.own_feed' })
    await expect(allow('otto')).rejects.toMatchObject({ code: 'decision.not_administrator' })
    expect((await allow('ada')).out).toContain('It holds until 2099-12-01 08:00 America/New_York.')
    expect((await said((context) => showOneFeed(context, 'nightly', {}))).out).toContain('allowed once  40 deactivations, by ada until 2099-12-01 08:00 America/New_York')
    await said((context) => approveFeed(context, 'nightly', { withdraw: true }))
    expect((await said((context) => showOneFeed(context, 'nightly', {}))).out).not.toContain('allowed once')
    await expect(said((context) => approveFeed(context, 'nightly', { deactivations: '40' }))).rejects.toMatchObject({ code: 'usage.once' })
  })

  test('tells its alerts with what to do: the worst in its line, all on its page and by doctor', async () => {
    await database.current.tenant(acme.organizationId, async (tx) => {
      const feed = (await feedNamed(tx, 'nightly'))!
      await raiseAlert(tx, feed, 'late', { subject: '2026-11-22T07:30:00.000Z', detail: { minutes: 60 } })
      await raiseAlert(tx, feed, 'hostKey', { detail: { pinned: 'SHA256:old', shown: 'SHA256:new', host: 'sftp.acme.example', port: 22 } })
    })
    expect(await list()).toContain('the server shows another key: ./muster feed trust nightly --organization acme')
    const { out } = await said((context) => showOneFeed(context, 'nightly', {}))
    expect(out).toContain('The server shows another key')
    expect(out).toContain('- If it was, look at the key that is shown now, and pin it: ./muster feed trust nightly --organization acme')
    const findings = await examineFeeds({ database: database.current, secrets }, acme.organizationId, 'acme')
    expect(findings.map(({ message }) => message)).toEqual([expect.stringContaining('feed nightly: '), 'feed nightly: the server shows another key'])
  })
})

describe('after MUSTER_SECRET was changed', () => {
  test('doctor tells which secrets do not open, and resealing seals what the previous one opens', async () => {
    secrets = { secret: SECRETS.fresh, previous: null }
    const lost = await examineFeeds({ database: database.current, secrets }, acme.organizationId, 'acme')
    expect(lost[0]).toMatchObject({ state: 'failed', message: expect.stringContaining('the secret acme-sftp cannot be opened') as string, hint: expect.stringContaining('MUSTER_SECRET_PREVIOUS') as string })
    const without = await said(resealSecrets)
    expect([without.status, without.out]).toEqual([EXIT.partly, expect.stringContaining('MUSTER_SECRET_PREVIOUS is not set')])
    secrets = { secret: SECRETS.fresh, previous: SECRETS.old }
    expect((await examineFeeds({ database: database.current, secrets }, acme.organizationId, 'acme'))[0]).toMatchObject({ state: 'attention', hint: './muster secret reseal' })
    const done = await said(resealSecrets, { json: true })
    expect([done.status, JSON.parse(done.out)]).toEqual([EXIT.done, { resealed: 1, current: 1, unopened: [] }])
    secrets = { secret: SECRETS.fresh, previous: null }
    expect((await said(resealSecrets, { json: true })).out).toContain('"unopened":[]')
  })
})

describe('what is typed', () => {
  const own = { creations: { people: 1, percent: 2 }, updates: { people: 1, percent: 2 }, deactivations: { people: 1, percent: 2 }, changedEmails: { people: 1, percent: 2 }, reactivations: { people: 1, percent: 2 } }

  test('limits are people, shares, both or none; those that are not typed stay', () => {
    expect(readThresholds({ deactivations: '10%', creations: '25', updates: '25,5%', reactivations: 'none' }, own)).toEqual({
      ...own, deactivations: { people: null, percent: 10 }, creations: { people: 25, percent: null }, updates: { people: 25, percent: 5 }, reactivations: { people: null, percent: null },
    })
    for (const wrong of ['', 'many', '101%', '2.5', '-1', '5%%']) expect(() => readThresholds({ updates: wrong }, own)).toThrow(expect.objectContaining({ code: 'usage.limit' }) as Error)
  })

  test('what is allowed once is whole people', () => {
    expect(readAllowed({ deactivations: '40', changedEmails: '0' })).toEqual({ deactivations: 40, changedEmails: 0 })
    expect(() => readAllowed({ deactivations: '10%' })).toThrow(expect.objectContaining({ code: 'usage.limit' }) as Error)
  })

  test('a transfer is shown with its rate and what is left', () => {
    const plain = (line: string): string => line.replaceAll(/\u001B\[\d+m/g, '')
    expect(plain(transferLine({ file: 'people.csv', bytes: 10_000_000, of: 40_000_000, elapsedMs: 2_000 }))).toBe(`fetching people.csv ${'█'.repeat(5)}${'░'.repeat(15)} 10.0 of 40.0 MB 5.0 MB a second, 6.0 s left`)
    expect(plain(transferLine({ file: 'people.csv', bytes: 0, of: null, elapsedMs: 0 }))).toBe('fetching people.csv 0.0 MB')
  })
})
