import { describe, expect, test } from 'vitest'
import { FEED_ALERT_KINDS, type FeedAlertKind } from '../../src/entities/states.ts'
import { explainAlert, stepLine, type AlertDetail, type AlertTold } from '../../src/feeds/alertText.ts'

const told = (kind: FeedAlertKind, detail: AlertDetail = {}, more: Partial<AlertTold> = {}): AlertTold => ({ organization: 'acme', feed: 'nightly', timeZone: 'America/Chicago', kind, subject: '', detail, importId: null, ...more })
const commands = (alert: AlertTold): string[] => explainAlert(alert).whatToDo.flatMap(({ command }) => command ?? [])

/** What is known at best of each. */
const FULL: Record<FeedAlertKind, AlertTold> = {
  late: told('late', { slot: '2026-12-01T08:00:00.000Z', minutes: 60 }),
  missing: told('missing', { slot: '2026-12-01T08:00:00.000Z', minutes: 240, file: 'people-02.csv' }),
  repeated: told('repeated', { file: 'people-02.csv', earlier: 'people-01.csv' }),
  outOfOrder: told('outOfOrder', { file: 'people-01.csv', newer: 'people-02.csv' }, { importId: '17' }),
  held: told('held', { file: 'people-02.csv', reasons: '37 people would be deactivated.', hours: 72 }, { importId: '17' }),
  failed: told('failed', { file: 'people-02.csv', code: 'file.empty', what: 'no rows' }, { importId: '17' }),
  hostKey: told('hostKey', { host: 'sftp.acme.example', port: 2222, pinned: 'SHA256:old', shown: 'SHA256:new' }),
  login: told('login', { host: 'sftp.acme.example', port: 22, secret: 'sftp-password', code: 'feed.login_refused', message: 'sftp.acme.example does not let muster in with this password.', hint: 'Check the user name.' }),
  unreachable: told('unreachable', { host: 'sftp.acme.example', code: 'feed.unreachable', message: 'sftp.acme.example cannot be reached: no answer within 20 s.', hint: 'It is tried again. If it stays so, ask the owner of the server.' }),
  acknowledgement: told('acknowledgement', { file: 'people-02.csv', message: 'It said: no such folder.' }),
}

describe.each(FEED_ALERT_KINDS)('%s', (kind) => {
  test.each([['with all that is known', FULL[kind]], ['with nothing known', told(kind)]])('%s: says what happened and what to do, in whole sentences', (_, alert) => {
    const { title, message, allClear, whatToDo } = explainAlert(alert)
    for (const sentence of [message, allClear]) expect(sentence).toMatch(/^[A-Z].*\.$/)
    expect(title).toMatch(/^[A-Z].*[a-z]$/)
    expect(`${title} ${message} ${allClear} ${whatToDo.map(stepLine).join(' ')}`).not.toMatch(/undefined|null|NaN|\{|\}|\.\.| {2}| ,| \.(?!\/)/)
    expect(whatToDo.length).toBeGreaterThan(0)
  })

  test('tells all that is known of it', () => {
    const text = `${explainAlert(FULL[kind]).message} ${explainAlert(FULL[kind]).whatToDo.map(stepLine).join(' ')}`
    const toldAs: Record<string, string> = { slot: '2026-12-01 02:00 (America/Chicago)', hint: kind === 'unreachable' ? 'Ask the owner of the server.' : 'Check the user name.', what: 'The file holds no rows.' }
    const left = Object.entries(FULL[kind].detail).filter(([name, value]) => !(name === 'code' || (name === 'port' && value === 22) || (kind === 'missing' && name === 'minutes')))
    expect(left.filter(([name, value]) => !text.includes(toldAs[name] ?? String(value)))).toEqual([])
  })

  test('is in order again in words of its own', () => {
    const others = FEED_ALERT_KINDS.filter((other) => other !== kind).flatMap((other) => Object.values(explainAlert(told(other)) as unknown as Record<string, string>))
    expect(others).not.toContain(explainAlert(told(kind)).allClear)
    expect(others).not.toContain(explainAlert(told(kind)).title)
  })
})

test('a file that is there and not whole is not said to be away, and is named', () => {
  for (const kind of ['late', 'missing'] as const) {
    const there = explainAlert(told(kind, { slot: '2026-12-01T08:00:00.000Z', minutes: 60, file: 'people-02.csv' }))
    expect(there.message).toMatch(/not whole.*: people-02\.csv lies there\./)
    expect(there.message).not.toMatch(/not there|has not come/)
    expect(there.whatToDo[0]!.says).toContain('still being written')
    expect(explainAlert(told(kind)).message).toMatch(/not there|has not come/)
  }
})

test('a file whose marker is older is named once, with what the sender is to do', () => {
  const older = explainAlert(told('late', { file: 'people-02.csv', code: 'feed.marker_older', marker: 'people-02.csv.done' }))
  expect(older.message.match(/people-02\.csv(?!\.)/g)).toHaveLength(1)
  expect(older.whatToDo[0]!.says).toBe('Ask the sender to write the marker last, and anew with each file')
})

test('of another key nobody is told that the feed stands still: it goes on by itself', () => {
  const { message } = explainAlert(FULL.hostKey)
  expect(message).toContain('goes on by itself')
  expect(message).not.toContain('rests')
})

test('what is held names the commands that decide about its import; without one, the feed is to be looked at', () => {
  for (const kind of ['held', 'outOfOrder'] as const) {
    expect(commands(FULL[kind])).toEqual(['./muster feed show 17', './muster feed approve 17', './muster feed reject 17'])
    expect(commands(told(kind))).toEqual(['./muster feed show nightly --organization acme'])
  }
})

test('another key is pinned with feed trust, and not before somebody was asked', () => {
  expect(commands(FULL.hostKey)).toEqual(['./muster feed trust nightly --organization acme'])
  expect(explainAlert(FULL.hostKey).whatToDo[0]!.says).toContain('Ask whoever runs the server')
})

test('a refused login names the secret to give anew', () => {
  expect(commands(FULL.login)).toEqual(['./muster feed secret sftp-password --organization acme', './muster feed run nightly --organization acme'])
})

test('a command ends its line, so that it can be copied; what is only said ends as a sentence', () => {
  expect(stepLine({ says: 'Look', command: './muster x' })).toBe('Look: ./muster x')
  expect(stepLine({ says: 'Ask the sender', command: null })).toBe('Ask the sender.')
})

test('the file is the subject where nothing else names it', () => {
  expect(explainAlert(told('failed', {}, { subject: 'people.csv' })).message).toBe('The file people.csv could not be taken in.')
})

test('what is only tried again asks nobody for anything else than what there is to do', () => {
  const [first] = explainAlert(told('unreachable', { code: 'feed.lost', message: 'The connection broke off.', hint: 'It is tried again.' })).whatToDo
  expect(first!.says).toBe('Ask whoever runs the server whether it is up, and lets Muster in')
})
