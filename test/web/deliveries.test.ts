import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countDeliveries, listDeliveries } from '../../src/deliveries/list.ts'
import { deliveryScene } from '../support/deliveryScene.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { openConsole } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
let acme: Scene
let ids: Record<string, string>
beforeAll(async () => {
  opened = await openConsole()
  acme = await deliveryScene(opened.database, { key: 'acme', timeZone: 'America/Chicago' })
  const [scheduled] = await acme.owe(1, { sendAt: `'2027-01-04T14:00:00Z'` })
  const [held] = await acme.owe(1, { state: 'held', sendAt: 'null' })
  const [sent] = await acme.owe(1, { state: 'sent', purpose: 'credentials' })
  const [unknown] = await acme.owe(1, { state: 'unknown' })
  const [failed] = await acme.owe(1, { state: 'failed' })
  const [cancelled] = await acme.owe(1, { state: 'cancelled' })
  ids = { scheduled, held, sent, unknown, failed, cancelled } as Record<string, string>
  await acme.sql(`update deliveries set sent_at = '2026-11-20T15:30:00Z', message_id = '<1.1.1.ab@acme.example>', attempts = 2 where id = $1`, [sent])
  await acme.sql(`update deliveries set reason = '550 5.1.1 <b>User</b> unknown' where id = $1`, [failed])
  await acme.sql(`update deliveries set reason = 'already_logged_in' where id = $1`, [cancelled])
  await acme.sql(
    `insert into delivery_attempts (delivery_id, number, organization_id, stage, worker, response, started_at, ended_at)
     values ($1, 1, $2, 'answered', 'desk-1', '451 4.3.0 try again', '2026-11-20T15:00:00Z', '2026-11-20T15:00:02Z'), ($1, 2, $2, 'answered', 'desk-1', '250 2.0.0 Ok', '2026-11-20T15:29:00Z', '2026-11-20T15:30:00Z')`,
    [sent, acme.organizationId],
  )
})
afterAll(() => opened.close())

const shownIds = (html: string) => [...html.matchAll(/<a href="\/deliveries\/(\d+)"/g)].map(([, id]) => id)

describe('the list of deliveries', () => {
  test('is newest first, with times in the organization’s zone', async () => {
    const { html, text } = await opened.get('/deliveries')
    expect(shownIds(html)).toEqual(Object.values(ids).toReversed())
    expect(text).toContain('Scheduled not before Jan 4, 2027, 8:00 AM CST')
    expect(text).toContain('Sent sent Nov 20, 2026, 9:30 AM CST')
    expect(text).toContain('The person has logged in already.')
    expect(text).toContain('550 5.1.1 <b>User</b> unknown')
  })

  test.each([
    ['state=unknown', ['unknown']],
    ['purpose=credentials', ['sent']],
    ['to=ANA2@', ['held']],
    ['to=%25', []],
    ['organization=acme&state=held&purpose=invitation', ['held']],
    ['state=&purpose=&to=', ['cancelled', 'failed', 'unknown', 'sent', 'held', 'scheduled']],
  ])('shows for %s only what fits', async (query, expected) => {
    const { html } = await opened.get(`/deliveries?${query}`)
    expect(shownIds(html)).toEqual(expected.map((state) => ids[state]))
  })

  test('keeps what was chosen in the form, and says where nothing fits', async () => {
    const { html, text } = await opened.get('/deliveries?state=bounced&to=%22%3E%3Cscript%3E')
    expect(html).toContain('<option value="bounced" selected>')
    expect(html).toContain('value="&quot;&gt;&lt;script&gt;"')
    expect(text).toContain('No delivery is so.')
  })

  test.each(['state=lost', 'purpose=spam', 'organization=nobody'])('refuses %s and says what there is', async (query) => {
    const { status, text } = await opened.get(`/deliveries?${query}`)
    expect(status).toBe(query.startsWith('organization') ? 404 : 400)
    expect(text).toContain('Known: ')
  })

  test('goes on page by page over several organizations, each delivery once', async () => {
    const beta = await deliveryScene(opened.database, { key: 'beta' })
    const more = [...(await beta.owe(40)), ...(await acme.owe(40)), ...(await beta.owe(40))]
    const seen: (string | undefined)[] = []
    for (let path: string | undefined = '/deliveries'; path !== undefined; ) {
      const { html } = await opened.get(path)
      seen.push(...shownIds(html))
      const next = /<a href="(\?after=\d+)" rel="next">/.exec(html)?.[1]
      path = next && `/deliveries${next}`
    }
    expect(seen).toEqual([...Object.values(ids), ...more].sort((a, b) => Number(b) - Number(a)))
  })
})

describe('one delivery', () => {
  test('shows everything that was tried', async () => {
    const { text } = await opened.get(`/deliveries/${ids['sent']}`)
    expect(text).toContain('1 Nov 20, 2026, 9:00 AM CST Nov 20, 2026, 9:00 AM CST The mail server answered 451 4.3.0 try again desk-1')
    expect(text).toContain('250 2.0.0 Ok')
    expect(text).toContain('<1.1.1.ab@acme.example>')
  })

  test('of unknown end says what to find out, and what to type then', async () => {
    const { text } = await opened.get(`/deliveries/${ids['unknown']}`)
    expect(text).toContain(`./muster deliveries resolve ${ids['unknown']} --as sent ./muster deliveries resolve ${ids['unknown']} --as not-sent`)
    expect(text).toContain('It is never sent again by itself.')
  })

  test('that failed can be sent again by a command', async () => {
    expect((await opened.get(`/deliveries/${ids['failed']}`)).text).toContain(`./muster deliveries retry ${ids['failed']}`)
  })

  test.each(['999999', 'x', '1;drop', '99999999999999999999'])('that does not exist (%s) is told', async (id) => {
    const { status, text } = await opened.get(`/deliveries/${encodeURIComponent(id)}`)
    expect(status).toBe(404)
    expect(text).toContain('./muster deliveries list')
  })
})

test('deliveries are counted by state, and listed from either end', async () => {
  const scene = await deliveryScene(opened.database)
  const made = await scene.owe(3)
  await scene.owe(2, { state: 'held' })
  await opened.database.tenant(scene.organizationId, async (tx) => {
    expect(await countDeliveries(tx)).toEqual({ scheduled: 3, held: 2 })
    const idsOf = async (filter: Parameters<typeof listDeliveries>[1]) => (await listDeliveries(tx, { state: 'scheduled', ...filter })).map(({ id }) => id)
    expect(await idsOf({})).toEqual(made)
    expect(await idsOf({ newestFirst: true })).toEqual(made.toReversed())
    expect(await idsOf({ newestFirst: true, after: made[1] })).toEqual([made[0]])
    expect(await idsOf({ after: made[1] })).toEqual([made[2]])
  })
})
