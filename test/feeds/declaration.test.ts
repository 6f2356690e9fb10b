import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { FEED_FILE_STATES } from '../../src/entities/states.ts'
import { acknowledgementText, type Acknowledgement } from '../../src/feeds/acknowledge.ts'
import { FeedRefused, feedSchema, parseFeed } from '../../src/feeds/declaration.ts'
import { scheduleFault } from '../../src/feeds/schedule.ts'
import { HOLDS } from '../../src/rules/catalog.ts'
import { limitOf } from '../../src/rules/judgeFeed.ts'

const SHORTEST = { organization: 'acme', name: 'nightly', server: { host: 'sftp.client.example', username: 'acme', login: { key: 'acme-key' } }, pattern: 'people_*.csv', schedule: '30 2 * * *', mode: 'full' }
const LIMIT = { people: 25, percent: 5 }
const ARMORED = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n-----END PGP PUBLIC KEY BLOCK-----'

const faultsOf = (input: unknown): { path: string; message: string }[] => {
  try {
    parseFeed(input)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(FeedRefused)
    return (error as FeedRefused).faults
  }
}

test('the shortest declaration is filled in with what is safe: thresholds, waiting for a file that grows, mails held', () => {
  expect(parseFeed({ $schema: '../docs/feed.schema.json', ...SHORTEST })).toEqual({
    ...SHORTEST,
    server: { host: 'sftp.client.example', port: 22, username: 'acme', login: { key: 'acme-key', passphrase: null } },
    folder: '.', order: 'modified', timeZone: null, readiness: { kind: 'stable', seconds: 60 }, scope: { kind: 'own' }, adopts: false, mapping: null, delivery: 'held',
    thresholds: { creations: LIMIT, updates: LIMIT, deactivations: LIMIT, changedEmails: LIMIT, reactivations: LIMIT },
    contract: { lateAfterMinutes: 60, missingAfterMinutes: 240, rows: { least: null, most: null, changePercent: null }, columns: 'fixed' },
    holdHours: 72, archive: null, acknowledge: true, pgp: null, alerts: { mails: [], webhook: null },
  })
})

test('what is declared twice is the same as once', () => {
  const once = parseFeed(SHORTEST)
  expect(parseFeed(once)).toEqual(once)
})

describe('a threshold', () => {
  test('that is given in part keeps the rest of its default', () => {
    expect(parseFeed({ ...SHORTEST, thresholds: { creations: { people: 500 } } }).thresholds).toMatchObject({ creations: { people: 500, percent: 5 }, deactivations: LIMIT })
  })

  test('that is null is no limit', () => {
    expect(parseFeed({ ...SHORTEST, thresholds: { updates: null, creations: { people: null } } }).thresholds).toMatchObject({ updates: { people: null, percent: null }, creations: { people: null, percent: 5 } })
  })
})

describe('a declaration is refused', () => {
  test.each<[why: string, parts: object, path: string, message: string | RegExp]>([
    ['for a schedule that never happens', { schedule: '0 0 30 2 *' }, 'schedule', 'never happens: no February has a day 30'],
    ['for seconds in its schedule', { schedule: '0 30 2 * * *' }, 'schedule', /^has 6 fields and not five/],
    ['for a zone that nobody knows', { timeZone: 'America/Metropolis' }, 'timeZone', 'is not an IANA time zone, such as America/Chicago'],
    ['for a login that is neither key nor password', { server: { ...SHORTEST.server, login: {} } }, 'server.login', /^is \{"key": NAME\}/],
    ['for a login that is both', { server: { ...SHORTEST.server, login: { key: 'a', password: 'b' } } }, 'server.login', /^is \{"key": NAME\}/],
    ['for a private key in clear', { server: { ...SHORTEST.server, login: { key: '-----BEGIN OPENSSH PRIVATE KEY-----' } } }, 'server.login.key', /^is the name of a secret/],
    ['for a host that holds a user', { server: { ...SHORTEST.server, host: 'acme@sftp.client.example' } }, 'server.host', 'is a host name or an IP address'],
    ['for a port that there is none of', { server: { ...SHORTEST.server, port: 65_536 } }, 'server.port', /65535/],
    ['for a pattern with a folder', { pattern: 'in/*.csv' }, 'pattern', 'is a file name with * and ?, without a folder'],
    ['for a name that no file could have', { name: 'Nightly Feed' }, 'name', 'is lower-case letters, digits and hyphens, at most 63'],
    ['for a file that is missing before it is late', { contract: { lateAfterMinutes: 300 } }, 'contract', 'has a file missing before it is late'],
    ['for a file that is late and never waited for', { contract: { missingAfterMinutes: null } }, 'contract', /^waits for no file, .* lateAfterMinutes is null, too$/],
    ['for more rows at least than at most', { contract: { rows: { least: 100, most: 10 } } }, 'contract.rows', 'has more rows at least than at most'],
    ['for PGP without any key', { pgp: {} }, 'pgp', 'has neither a key to decrypt with nor one to check signatures with'],
    ['for a key that is not armored', { pgp: { senderKeys: ['mQINBF'] } }, 'pgp.senderKeys.0', 'is no armored public key'],
    ['for an archive that is its folder', { folder: 'out', archive: './out/' }, 'archive', 'is the folder that files are looked for in; name another one'],
    ['for an archive that is the folder of the login', { archive: './' }, 'archive', 'is the folder that files are looked for in; name another one'],
    ['for an archive that is its folder by another way', { folder: 'in', archive: 'in/../in' }, 'archive', /^is the folder/],
    ['for an archive that is its folder, looked for from above', { folder: 'out/../in/', archive: './in' }, 'archive', /^is the folder/],
    ['for an address that is none', { alerts: { mails: ['olive'] } }, 'alerts.mails.0', /email/i],
    ['for a webhook that is no web address', { alerts: { webhook: { url: 'file:///etc/passwd', secret: 'hook' } } }, 'alerts.webhook.url', /URL/],
    ['for a webhook in the clear', { alerts: { webhook: { url: 'http://hooks.acme.example/', secret: 'hook' } } }, 'alerts.webhook.url', 'cannot be told anything: the address is not https'],
    ['for a webhook where clouds hand out credentials', { alerts: { webhook: { url: 'https://169.254.169.254/', secret: 'hook' } } }, 'alerts.webhook.url', 'cannot be told anything: 169.254.169.254 is no address that is connected to'],
    ['for a webhook with a password in its address', { alerts: { webhook: { url: 'https://me:word@hooks.acme.example/', secret: 'hook' } } }, 'alerts.webhook.url', 'cannot be told anything: the address holds a user name or a password'],
    ['for a setting that there is none of', { tresholds: {} }, '(top)', /tresholds/],
    ['for a mode that there is none of', { mode: 'delta' }, 'mode', /"changes"/],
    ['for a threshold below nothing', { thresholds: { deactivations: { people: -1 } } }, 'thresholds.deactivations.people', />=0/],
  ])('%s', (_, parts, path, message) => {
    expect(faultsOf({ ...SHORTEST, ...parts })).toEqual([{ path, message: expect.stringMatching(typeof message === 'string' ? new RegExp(`^${RegExp.escape(message)}$`) : message) as string }])
  })

  test('with all that is wrong at once, each with its place', () => {
    const error = (() => {
      try {
        return parseFeed({ ...SHORTEST, schedule: '@daily', timeZone: 'Mars', pattern: '' })
      } catch (thrown) {
        return thrown as FeedRefused
      }
    })() as FeedRefused
    expect(error.code).toBe('feed.invalid')
    expect(error.message.split('\n')).toHaveLength(4)
    expect(error.message).toContain('The declaration has 3 faults:\n')
    expect(error.message).toContain('  schedule: is a nickname; write its five fields: "0 0 * * *"')
  })

  test('where it is no declaration at all', () => {
    expect(faultsOf(null)[0]).toMatchObject({ path: '(top)' })
    expect(faultsOf('nightly')[0]).toMatchObject({ path: '(top)' })
  })
})

test.each([
  [{ folder: 'out', archive: 'out/done' }],
  [{ folder: '/srv/out', archive: 'srv/out' }],
  [{ pgp: { senderKeys: [ARMORED] } }],
  [{ pgp: { privateKey: 'pgp-key', passphrase: 'pgp-passphrase' } }],
  [{ readiness: { kind: 'marker', suffix: '.sha256', hash: true } }],
  [{ readiness: { kind: 'rename' } }],
  [{ schedule: null }],
  [{ contract: { lateAfterMinutes: null, missingAfterMinutes: null } }],
  [{ contract: { lateAfterMinutes: null } }],
  [{ alerts: { webhook: { url: 'http://127.0.0.1:8080/hook', secret: 'hook' } } }],
  [{ folder: 'in', archive: 'in/../done' }],
  [{ scope: { kind: 'security', dimension: 'location', group: 'Duluth' } }],
])('%j is taken', (parts) => {
  expect(parseFeed({ ...SHORTEST, ...parts })).toMatchObject(parts)
})

describe('docs/feeds.md', () => {
  const text = readFileSync(new URL('../../docs/feeds.md', import.meta.url), 'utf8')

  test('shows a whole declaration, which is taken', () => {
    const [, example] = /## A declaration\n[\s\S]*?```json\n([\s\S]*?)```/.exec(text)!
    const shown = JSON.parse(example!) as object
    expect(Object.keys(shown).toSorted()).toEqual(Object.keys(feedSchema.shape).toSorted())
    expect(parseFeed(shown)).toMatchObject({ name: 'nightly', schedule: '30 2 * * mon-fri' })
  })

  test('explains every setting, and none besides', () => {
    const [section] = /^## Every setting\n[\s\S]*?(?=^## )/m.exec(text)!
    const explained = [...section.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, path]) => path!)
    const all = Object.entries(feedSchema.shape).filter(([name]) => name !== '$schema')
    const parts = (name: string): string[] => ({ server: ['host', 'port', 'username', 'login'], contract: ['lateAfterMinutes', 'missingAfterMinutes', 'rows', 'columns'], pgp: ['privateKey', 'passphrase', 'senderKeys'], alerts: ['mails', 'webhook'] })[name]?.map((part) => `${name}.${part}`) ?? [name]
    expect(explained.toSorted()).toEqual(all.flatMap(([name]) => parts(name)).toSorted())
  })

  test('shows a whole answer, and explains every key of it', () => {
    const [section] = /^### FILE\.ack\.json\n[\s\S]*?(?=^### )/m.exec(text)!
    const shown = JSON.parse(/```json\n([\s\S]*?)```/.exec(section)![1]!) as Record<string, unknown>
    const paths = Object.entries(shown).flatMap(([name, value]) => (['file', 'import'].includes(name) ? Object.keys(value as object).map((part) => `${name}.${part}`) : [name]))
    const explained = [...section.matchAll(/^\| ((?:`[\w.]+`(?:, )?)+) \|/gm)].flatMap(([, names]) => [...names!.matchAll(/`([\w.]+)`/g)].map(([, name]) => name!))
    expect(explained.toSorted()).toEqual([...paths, 'import'].toSorted())
    const states = [...section.matchAll(/`(\w+)`: /g)].map(([, state]) => state!)
    expect(states).toEqual(expect.arrayContaining(FEED_FILE_STATES.filter((state) => state !== 'found' && state !== 'importing')))
    // Written as acknowledge.ts writes it.
    expect(section).toContain(acknowledgementText(shown as Acknowledgement))
  })

  test('names every reason to hold a file', () => {
    const [section] = /^## When a file is held\n[\s\S]*?(?=^## )/m.exec(text)!
    expect(Object.keys(HOLDS).filter((code) => !section.includes(`\`${code}\``))).toEqual([])
  })

  test('says of every schedule that it names whether it is one', () => {
    const refused = ['0 0 30 2 *', '0 0 */2 * 1']
    const schedules = [...text.matchAll(/`((?:[\d*][\w*,/-]* ){4}[\w*,/-]+)`/g)].map(([, cron]) => cron!)
    expect(schedules.length).toBeGreaterThan(8)
    for (const cron of new Set(schedules)) expect(scheduleFault(cron) === null, cron).toBe(!refused.includes(cron))
  })

  test.each([
    [{ people: 25, percent: 5 }, 25],
    [{ people: 500, percent: 5 }, 49],
    [{ people: 10, percent: null }, 10],
    [{ people: 0, percent: 5 }, 0],
  ])('tells rightly how many of 1,000 go through with %j', (limit, most) => {
    expect(limitOf(limit, 1_000)).toBe(most)
  })
})
