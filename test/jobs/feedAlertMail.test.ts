import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { FeedAlertKind } from '../../src/entities/states.ts'
import { clearAlert, raiseAlert } from '../../src/feeds/alerts.ts'
import { alertScene, type AlertScene } from '../support/alertScene.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun()
})
afterAll(() => run.close())
beforeEach(() => {
  run.sink.use(() => undefined)
  run.sink.messages.length = 0
})

const raise = (scene: AlertScene, kind: FeedAlertKind, about?: Parameters<typeof raiseAlert>[3]) => run.database.tenant(scene.organizationId, (tx) => raiseAlert(tx, scene.feed, kind, about))
const clear = (scene: AlertScene, kind: FeedAlertKind) => run.database.tenant(scene.organizationId, (tx) => clearAlert(tx, scene.feed, kind))
const ledger = (scene: AlertScene) => scene.sql<{ purpose: string; state: string; reason: string | null }>('select purpose, state, reason from deliveries where feed_alert_id is not null and organization_id = $1 order by id', [scene.organizationId])
const due = (scene: AlertScene) => scene.sql(`update deliveries set send_at = now() - interval '1 second' where organization_id = $1 and state = 'scheduled'`, [scene.organizationId])

/** Subject and plain text of a message, decoded. */
function read(body: string): { subject: string; text: string } {
  const words = (encoded: string): string => Buffer.from(encoded.replaceAll('=\r\n', '').replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), 'latin1').toString()
  const subject = /^Subject: ((?:.|\r\n[ \t])*)/m.exec(body)![1]!.replaceAll(/\r\n[ \t]/g, ' ')
  const [, encoding, text] = /Content-Type: text\/plain[\s\S]*?Content-Transfer-Encoding: (\S+)[\s\S]*?\r\n\r\n([\s\S]*?)\r\n--/.exec(body)!
  return { subject, text: (encoding === 'base64' ? Buffer.from(text!, 'base64').toString() : words(text!)).replaceAll('\r\n', '\n') }
}
const mails = () => run.sink.accepted().map(({ body, to }) => ({ to: to.join(), ...read(body) }))

const MISSING = { subject: '2026-12-01T08:00:00.000Z', detail: { slot: '2026-12-01T08:00:00.000Z', minutes: 240 } }

describe('mails about a feed', () => {
  test('an alert is one mail, saying what happened and what to do; raised again it is none; its end is one all-clear', async () => {
    const scene = await alertScene(run.database, { mails: ['night@acme.example'] }, { timeZone: 'America/Chicago' })
    await raise(scene, 'missing', MISSING)
    await run.send(scene)
    expect(mails()).toHaveLength(1)
    const [alert] = mails()
    expect(alert).toMatchObject({ to: 'night@acme.example', subject: 'Feed nightly: The file is missing' })
    expect(alert!.text).toContain('!! The file that was due at 2026-12-01 02:00 (America/Chicago) has not come, and is no longer waited for. Nobody was changed.')
    expect(alert!.text).toContain(`  - Ask the sender for the file\n  - Once that is done, have it look again at once\n        ./muster feed run nightly --organization ${scene.key}\n  - Look at the feed\n        ./muster feed show nightly --organization ${scene.key}\n`)
    expect(alert!.text).toContain(`https://console.example/feeds/${scene.feed.id}\n`)
    expect(alert!.text).toMatch(/Since\n {4}\w+ \d+, \d{4}.* (?:CST|CDT)/)

    for (let again = 0; again < 3; again++) {
      await raise(scene, 'missing', MISSING)
      await run.send(scene)
    }
    expect(mails()).toHaveLength(1)

    for (let again = 0; again < 3; again++) {
      await clear(scene, 'missing')
      await run.send(scene)
    }
    expect(mails().slice(1).map(({ to, subject }) => [to, subject])).toEqual([['night@acme.example', 'All clear, feed nightly: The file is missing']])
    expect(mails()[1]!.text).toContain('A file has come again.')
    expect((await ledger(scene)).map(({ state }) => state)).toEqual(['sent', 'sent'])
  })

  test('what is over before its mail left is told to nobody, as little as its end', async () => {
    const scene = await alertScene(run.database)
    await raise(scene, 'unreachable')
    await clear(scene, 'unreachable')
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    expect(mails()).toEqual([])
  })

  test('what is over while its mail is being refused for a while is not told any more, and neither is its end', async () => {
    const scene = await alertScene(run.database)
    await raise(scene, 'unreachable')
    run.sink.use(async ({ stage }) => {
      if (stage !== 'end') return undefined
      await clear(scene, 'unreachable')
      return '451 4.7.1 try again later'
    })
    await run.send(scene)
    await due(scene)
    run.sink.use(() => undefined)
    await run.send(scene)
    await run.send(scene)
    expect((await ledger(scene)).map(({ purpose, state }) => [purpose, state])).toEqual([['feedAlert', 'cancelled'], ['feedAllClear', 'cancelled']])
    expect(mails()).toEqual([])
  })

  test('what is over while its mail is in a worker\'s hands does not leave any more', async () => {
    const scene = await alertScene(run.database)
    await raise(scene, 'login')
    let over = false
    run.sink.use(async ({ stage }) => {
      if (stage === 'data' && !over) over = await clear(scene, 'login')
      return undefined
    })
    await run.send(scene)
    await run.send(scene)
    expect(over).toBe(true)
    expect(await ledger(scene)).toMatchObject([{ purpose: 'feedAlert', state: 'cancelled', reason: 'alert_over' }])
    expect(mails()).toEqual([])
  })

  test('wait for no rate, and not behind others', async () => {
    const scene = await alertScene(run.database, {}, { settings: { operators: ['desk@acme.example'], mail: { from: 'Acme <no-reply@acme.example>', ratePerMinute: 1 } } })
    await scene.owe(20, { sendAt: `now() - interval '1 hour'` })
    await raise(scene, 'held', { subject: 'people.csv', detail: { file: 'people.csv' }, importId: null })
    await raise(scene, 'login')
    const began = performance.now()
    await run.send(scene, { turnSeconds: 1 })
    expect(mails().filter(({ to }) => to === 'desk@acme.example')).toHaveLength(2)
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(run.sink.accepted().length).toBeLessThan(5)
  })

  test('speak the language of the organization; what happened and what to do stays as it is', async () => {
    const scene = await alertScene(run.database, {}, { language: 'de-DE', timeZone: 'Europe/Berlin' })
    await raise(scene, 'late', { detail: { minutes: 60 } })
    await run.send(scene)
    expect(mails()[0]!.subject).toContain('Datenlieferung_nightly=3A_Die_Datei')
    expect(mails()[0]!.text).toContain('Die Datei verspätet sich\n')
    expect(mails()[0]!.text).toContain('!! The file is not there yet, 60 minutes after its time. Muster goes on looking for it.')
  })

  test('are sent once by several workers, to each of the feed\'s people', async () => {
    const scene = await alertScene(run.database, { mails: ['a@acme.example', 'b@acme.example', 'c@acme.example'] })
    await Promise.all(Array.from({ length: 4 }, () => raise(scene, 'hostKey', { detail: { pinned: 'SHA256:old', shown: 'SHA256:new', host: 'sftp.acme.example' } })))
    await Promise.all(Array.from({ length: 4 }, () => run.send(scene)))
    expect(mails().map(({ to }) => to).toSorted()).toEqual(['a@acme.example', 'b@acme.example', 'c@acme.example'])
    expect(mails()[0]!.text).toContain('Pinned: SHA256:old. Shown: SHA256:new.')
  })

  test('hold nothing that a name of a file could do to them', async () => {
    const scene = await alertScene(run.database)
    const file = 'a\r\nBcc: evil@example.test\r\n\u202e<img src=x>{{link}}.csv'
    await raise(scene, 'repeated', { subject: file, detail: { file, earlier: 'people.csv' } })
    await run.send(scene)
    const [message] = run.sink.accepted()
    expect(message!.to).toEqual(['desk@acme.example'])
    expect(message!.body).not.toMatch(/^Bcc:/m)
    expect(message!.body.split('Content-Type: text/html')[1]).not.toContain('<img')
    expect(mails()[0]!.text).toContain('a Bcc: evil@example.test <img src=x>{{link}}.csv')
  })
})
