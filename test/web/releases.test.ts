import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRelease, freezeRelease, type ReleaseWish } from '../../src/deliveries/releases.ts'
import { sweepReleases } from '../../src/deliveries/waves.ts'
import type { Transaction } from '../../src/entities/database.ts'
import { deliveryScene } from '../support/deliveryScene.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { openConsole } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
let acme: Scene
beforeAll(async () => {
  opened = await openConsole()
  acme = await deliveryScene(opened.database, { key: 'acme', timeZone: 'America/Chicago', settings: { mail: { from: 'a@acme.example', ratePerMinute: 600 } } })
})
afterAll(() => opened.close())

const within = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => opened.database.tenant(acme.organizationId, work)
async function release(people: number, changes: Partial<ReleaseWish> = {}): Promise<string> {
  const deliveries = await acme.owe(people, { state: 'held', sendAt: 'null' })
  const users = (await acme.sql<{ id: string }>('select user_id as id from deliveries where id = any ($1)', [deliveries])).map(({ id }) => id)
  await acme.sql(`update users set state = 'inactive' where id = $1`, [users[0]])
  const { id } = await within((tx) => createRelease(tx, { name: `Go-live ${users[0]}`, userIds: users, purpose: 'invitation', sendAt: new Date('2099-12-01T14:00:00Z'), ratePerMinute: 60, firstWave: 2, restAfterMinutes: 15, operator: 'olga', ...changes }))
  return id
}

test('before there is any, the list says how to make one', async () => {
  const { text } = await opened.get('/releases')
  expect(text).toContain('There is no release yet.')
  expect(text).toContain('./muster release create')
})

describe('a release that waits', () => {
  test('is listed with its date in the organization’s zone, and shown with its schedule and who gets nothing', async () => {
    const id = await release(11)
    const list = await opened.get('/releases')
    expect(list.text).toMatch(/Go-live \d+ \d+ Scheduled Invitation 0 of 10 mails sent Dec 1, 2099, 8:00 AM CST/)
    const { text, html } = await opened.get(`/releases/${id}`)
    expect(text).toContain('Not before Dec 1, 2099, 8:00 AM CST In UTC Dec 1, 2099, 2:00 PM UTC')
    expect(text).toContain('Rate 60 a minute, the organization’s 600 a minute')
    expect(text).toContain('First wave 2 first; the rest 15 minutes later, unless 20 % of the first fail, come back or are unknown, and 3 of them at least, or half')
    expect(text).toContain('1 The user is deactivated. left out before')
    expect(text).toContain(`./muster release move ${id}`)
    expect(html).toContain(`hx-get="/releases/${id}/progress?state=scheduled" hx-trigger="every 5s"`)
  })
})

describe('a release under way', () => {
  test('shows how far it is, and is fetched again; when its state changes the page is loaded anew', async () => {
    const id = await release(9, { sendAt: new Date(0), firstWave: 0 })
    await within(sweepReleases)
    await acme.sql(`update deliveries set state = 'sent', sent_at = now() where id in (select id from deliveries where release_id = $1 order by id limit 4)`, [id])
    await acme.sql(`update deliveries set state = 'failed' where id = (select max(id) from deliveries where release_id = $1)`, [id])
    const part = await opened.get(`/releases/${id}/progress?state=running`)
    expect(part.text).toContain('Running Mails are leaving 62 %')
    expect(part.text).toContain('4 sent 3 waiting 0 held 1 failed')
    expect(part.headers['hx-refresh']).toBeUndefined()
    expect(part.html).toContain('hx-trigger="every 1s"')
    expect((await opened.get(`/releases/${id}`)).text).toContain('1 mail in trouble')
    await within((tx) => freezeRelease(tx, id, 'olga'))
    const changed = await opened.get(`/releases/${id}/progress?state=running`)
    expect(changed.headers['hx-refresh']).toBe('true')
    const { text, html } = await opened.get(`/releases/${id}`)
    expect(text).toContain('It is frozen Somebody froze it: nothing of it leaves.')
    expect(text).toContain(`./muster release resume ${id}`)
    expect(html).not.toContain('hx-get')
  })

  test('that froze itself says over what', async () => {
    const id = await release(4)
    await within((tx) => freezeRelease(tx, id, 'muster', 'first_wave: 5 of 10 failed, came back or are unknown'))
    expect((await opened.get(`/releases/${id}`)).text).toContain('It froze itself over its first wave (5 of 10 failed, came back or are unknown).')
    const overview = await opened.get('/')
    expect(overview.text).toContain('is frozen Too much of its first wave failed: the rest does not follow by itself.')
    expect(overview.html).toContain(`href="/releases/${id}"`)
  })
})

test('leads to its deliveries and to no others', async () => {
  const id = await release(3)
  const { html } = await opened.get(`/releases/${id}`)
  expect(html).toContain(`href="/deliveries?release=${id}"`)
  const shown = await opened.get(`/deliveries?release=${id}`)
  expect(shown.html.match(/href="\/deliveries\/\d+"/g)).toHaveLength(2)
  expect(shown.text).toContain(`Only those of release ${id} .`)
})

test.each(['0', '99999', 'x', '1%27'])('release %s is told not to be there', async (id) => {
  const page = await opened.get(`/releases/${id}`)
  expect([page.status, page.text]).toEqual([404, expect.stringContaining('There is no release')])
})
