import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { importing } from '../support/importing.ts'
import { openConsole, seeWorker } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
let counts: () => Promise<Record<string, number>>
beforeAll(async () => {
  opened = await openConsole({ readCounts: () => counts() })
})
afterAll(() => opened.close())
beforeEach(() => {
  counts = () => Promise.resolve({ stage: 1, commit: 1_200 })
})
afterEach(() => opened.sql('truncate organizations, workers, service_pauses restart identity cascade'))

const PEOPLE = 'First Name,Last Name,Email\nAna,Li,ana@acme.example\nBo,Ng,bo@acme.example'

describe('the overview', () => {
  test('of nothing says what to type first', async () => {
    const { text, status } = await opened.get('/')
    expect(status).toBe(200)
    expect(text).toContain('./muster organization apply acme.organization.json')
    expect(text).toContain('./muster import people.xlsx --organization acme')
  })

  test('of an organization without imports names it in the command', async () => {
    await importing(opened.database, { key: 'nordlicht', name: 'Nordlicht GmbH', timeZone: 'Europe/Berlin' })
    const { text } = await opened.get('/')
    expect(text).toContain('Nordlicht GmbH nordlicht · Europe/Berlin')
    expect(text).toContain('./muster import people.xlsx --organization nordlicht')
    expect(text).not.toContain('organization apply')
  })

  test('says that no worker runs, what to do, and is calm when one does', async () => {
    const without = await opened.get('/')
    expect(without.text).toMatch(/No worker is running .* \.\/muster up/)
    await seeWorker(opened, 'desk-1')
    const calm = await opened.get('/')
    expect(calm.text).toContain('Nothing. All is as it should be.')
    expect(calm.text).toContain('1 worker')
    expect(calm.text).toContain('desk-1 Alive')
  })

  test('shows the last imports with their state and totals, and deliveries by state', async () => {
    const acme = await importing(opened.database, { key: 'acme' })
    await acme.run(PEOPLE)
    await acme.run(PEOPLE)
    const { text, html } = await opened.get('/')
    expect(text).toContain('people.csv 2 Committed 2 unchanged')
    expect(text).toContain('people.csv 1 Committed 2 created')
    expect(html).toMatch(/<a href="\/deliveries\?state=held"><strong>2<\/strong>/)
    expect(text).toContain('2 deliveries')
  })

  test.each([
    ['unknown', /Nobody knows whether 1 mail arrived .* \.\/muster deliveries list --organization acme --state unknown/],
    ['failed', /1 mail could not be delivered .* --state failed/],
    ['bounced', /1 mail came back .* --state bounced/],
  ])('tells of %s deliveries', async (state, told) => {
    const acme = await importing(opened.database, { key: 'acme' })
    await acme.run(PEOPLE)
    await opened.sql('update deliveries set state = $1 where id = (select min(id) from deliveries)', [state])
    const { text, html } = await opened.get('/')
    expect(text).toMatch(told)
    expect(html).toContain(`href="/deliveries?organization=acme&amp;state=${state}"`)
  })

  test('tells of plans that wait, of held imports and of stalled ones', async () => {
    const acme = await importing(opened.database, { key: 'acme' })
    const { id } = await acme.preview(PEOPLE)
    expect((await opened.get('/')).text).toMatch(new RegExp(`people.csv waits for a decision .* ./muster import commit ${id} .*./muster import cancel ${id}`))
    await opened.sql(`update imports set state = 'held' where id = $1`, [id])
    expect((await opened.get('/')).text).toContain('people.csv is held as a whole')
    await opened.sql(`update imports set state = 'staging', lease_until = now() - interval '1 second' where id = $1`, [id])
    expect((await opened.get('/')).text).toContain('people.csv has stalled')
  })

  test('tells of a refused file with its hint, until one of the same name went through or a week has passed', async () => {
    const acme = await importing(opened.database, { key: 'acme' })
    const refused = async () => (await opened.get('/')).text.includes('people.csv was refused')
    await acme.run('a,b\n1,2')
    expect((await opened.get('/')).text).toMatch(/people.csv was refused No column is recognized as First Name, Last Name\. \S/)
    await opened.sql(`update imports set finished_at = now() - interval '8 days'`)
    expect(await refused()).toBe(false)
    await opened.sql('update imports set finished_at = now()')
    expect(await refused()).toBe(true)
    await acme.run(PEOPLE)
    expect(await refused()).toBe(false)
  })

  test('tells that mail is paused, in the server’s words', async () => {
    await opened.sql(`insert into service_pauses (service, reason, retry_at) values ('smtp', '535 5.7.8 <b>authentication</b> failed', now() + interval '5 minutes')`)
    const { text, html } = await opened.get('/')
    expect(text).toContain('535 5.7.8 <b>authentication</b> failed')
    expect(html).not.toContain('<b>')
    expect(text).toContain('./muster doctor')
  })

  test('names the organization where there are several', async () => {
    const acme = await importing(opened.database, { key: 'acme', name: 'Acme Staffing' })
    await importing(opened.database, { key: 'beta', name: 'Beta' })
    await acme.preview(PEOPLE)
    expect((await opened.get('/')).text).toContain('Acme Staffing: people.csv waits for a decision')
  })

  test('shows what the queue holds, and goes on when the queue does not answer', async () => {
    expect((await opened.get('/')).text).toContain('Stage 1, Commit 1,200')
    counts = () => Promise.reject(new Error('connection refused'))
    const { status, text } = await opened.get('/')
    expect(status).toBe(200)
    expect(text).toContain('The queue does not answer')
  })

  test('is fetched again by itself, more often while something runs', async () => {
    const acme = await importing(opened.database, { key: 'acme' })
    expect((await opened.get('/')).html).toContain('hx-get="/overview" hx-trigger="every 15s"')
    const { id } = await acme.preview(PEOPLE)
    await opened.sql(`update imports set state = 'staging', lease_until = now() + interval '1 minute', rows_staged = 1200, staged_at = null where id = $1`, [id])
    const fragment = await opened.get('/overview')
    expect(fragment.html).toMatch(/^<div id="overview" hx-get="\/overview" hx-trigger="every 2s"/)
    expect(fragment.text).toContain('Checking rows')
    expect(fragment.html).not.toContain('<html')
  })
})
