import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importing } from '../support/importing.ts'
import type { Importing } from '../support/importing.ts'
import { openConsole } from './openConsole.ts'
import type { OpenedConsole } from './openConsole.ts'

let opened: OpenedConsole
let acme: Importing
beforeAll(async () => {
  opened = await openConsole()
  acme = await importing(opened.database, { key: 'acme', operators: [] })
})
afterAll(() => opened.close())

const HEAD = 'Employee No.,First Name,Last Name,Email,Phone'
const file = (name: string, ...rows: string[]) => ({ name, bytes: Buffer.from([HEAD, ...rows].join('\n')) })
const person = (n: number) => `E${n},Ana,Nguyễn,ana${n}@acme.example,612555${String(1000 + n)}`

describe('an import with errors', () => {
  let path: string
  beforeAll(async () => {
    const { id } = await acme.run({
      name: 'night shift.csv',
      bytes: Buffer.from(`${HEAD},Favourite Colour,Departmnt\n${person(1)},blue,HR\n${person(2).replace('@', '.')},blue,HR\nE3,,Ng,ng@acme.example,612555,red,\n,,,,,,`),
    })
    path = `/imports/${id}`
  })

  test('shows totals that add up, as a bar and as a sum', async () => {
    const { text, html } = await opened.get(path)
    expect(text).toContain('4 rows read = 1 created + 2 rejected + 1 blank')
    expect(html.match(/<rect class="(?:created|rejected|blank)"/g)).toHaveLength(3)
    expect(text).not.toContain('do not add up')
  })

  test('shows each problem with row, column, value, sentence and hint', async () => {
    const { text } = await opened.get(path)
    expect(text).toContain('3 Email ana2.acme.example Error The address has no @. An address looks like name@company.com.')
    expect(text).toContain('4 First Name empty Error No name stands in First Name.')
    expect(text).toContain('Problems 3 problems')
    expect(text).toContain('phone.not_ten_digits 1')
  })

  test('says how to mend the rejected rows and take them in again', async () => {
    const { text } = await opened.get(path)
    expect(text).toMatch(/2 rows rejected All other rows went through. .* \.\/muster import errors \d+ -o to-mend.csv \.\/muster import to-mend.csv --organization acme/)
  })

  test('shows how each column was taken, and proposes what was nearly meant', async () => {
    const { text } = await opened.get(path)
    expect(text).toContain('Employee No. External ID recognized')
    expect(text).toContain('Favourite Colour nothing Not taken')
    expect(text).toContain('Departmnt nothing Not taken Did you mean Department? --set-column "Departmnt=department"')
  })

  test('shows what was detected of the file, in the organization’s zone', async () => {
    const { text, html } = await opened.get(path)
    expect(text).toContain('night shift.csv')
    expect(text).toMatch(/Format CSV Encoding UTF-8 Parted by commas Header in row 1 Size \d+ bytes SHA-256 [0-9a-f]{64} Mails held until they are released/)
    expect(html).toMatch(/received <time datetime="[^"]+Z">[^<]+ C[SD]T<\/time>/)
  })

  test('links to the mails that it owes', async () => {
    const { html, text } = await opened.get(path)
    const [, link] = /href="(\/deliveries\?organization=acme&amp;import=\d+)"/.exec(html)!
    expect(text).toContain('1 owed 0 scheduled 1 held until released')
    expect((await opened.get(link!.replace('&amp;', '&'))).text).toContain('ana1@acme.example')
  })
})

test('problems and their pages: each problem stands on exactly one', async () => {
  const rows = Array.from({ length: 120 }, (_, n) => person(1_000 + n).replace('@', '.'))
  const { id } = await acme.run(file('many.csv', ...rows))
  const seen: number[] = []
  let pages = 0
  for (let path: string | undefined = `/imports/${id}`; path !== undefined; pages++) {
    const { html, text } = await opened.get(path)
    seen.push(...[...html.matchAll(/data-label="Row">(\d+)</g)].map(([, row]) => Number(row)))
    expect(text).toContain('120 problems')
    const next = /<a href="(\?issues=[\d.]+)#issues" rel="next">/.exec(html)?.[1]
    path = next && `/imports/${id}${next}`
  }
  expect(pages).toBe(3)
  expect(seen).toEqual(rows.map((_, index) => index + 2))
})

test('an import that changed nothing says so loudly', async () => {
  const same = file('same.csv', person(50))
  await acme.run(same)
  const { id } = await acme.run(same)
  const { text } = await opened.get(`/imports/${id}`)
  expect(text).toContain('Nothing was changed by this import')
})

test('a refused file shows why and what to do', async () => {
  const { id } = await acme.run({ name: 'old.xlsx', bytes: Buffer.from('<html><table></table></html>') })
  const { text } = await opened.get(`/imports/${id}`)
  expect(text).toContain('The file was refused. Nothing was changed.')
  expect(text).toMatch(/The file is a web page.*not an Excel workbook/)
  expect(text).toContain('Failed')
})

describe('a plan that waits', () => {
  let id: string
  beforeAll(async () => {
    await acme.run(file('base.csv', ...Array.from({ length: 40 }, (_, n) => person(200 + n))))
    const changed = Array.from({ length: 40 }, (_, n) => person(200 + n).replace(',612', n < 30 ? ',952' : ',612'))
    ;({ id } = await acme.preview(file('changes.csv', ...changed, person(300), 'E301,Bo,Li,bo.example,')))
  })

  test('says that nothing has changed, and what to type', async () => {
    const { text } = await opened.get(`/imports/${id}`)
    expect(text).toMatch(new RegExp(`Nothing has changed yet .* ./muster import commit ${id} ./muster import cancel ${id}`))
  })

  test('shows each row’s fate, and old and new values as people read them', async () => {
    const { text, html } = await opened.get(`/imports/${id}`)
    expect(text).toContain('2 Update Ana Nguyễn Phone: (612) 555-1200 → (952) 555-1200')
    expect(html).toContain('<del><bdi>(612) 555-1200</bdi></del> <span aria-hidden="true">→</span> <ins><bdi>(952) 555-1200</bdi></ins>')
    expect(text).toContain('All 42 Create 1 Update 30 Unchanged 10 Rejected 1 Held 0')
  })

  test('can be narrowed to a fate and paged through', async () => {
    const created = await opened.get(`/imports/${id}?fate=create`)
    expect([...created.html.matchAll(/data-label="Fate"><span class="badge \w+">(\w+)</g)].map(([, fate]) => fate)).toEqual(['Create'])
    expect(created.text).toContain('ana.nguyen')
    const first = await opened.get(`/imports/${id}?fate=update`)
    const [, next] = /href="(\?fate=update&amp;after=\d+)#preview" rel="next"/.exec(first.html)!
    const second = await opened.get(`/imports/${id}${next!.replace('&amp;', '&')}`)
    const rowsOf = (html: string) => [...html.matchAll(/data-label="Row">(\d+)</g)].map(([, row]) => Number(row))
    // The row of the problems' table is on both.
    expect([...rowsOf(first.html).slice(0, 25), ...rowsOf(second.html).slice(0, 5)]).toEqual(Array.from({ length: 30 }, (_, index) => index + 2))
    expect((await opened.get(`/imports/${id}?fate=lost`)).status).toBe(400)
  })
})

describe('a running import', () => {
  let id: string
  beforeAll(async () => {
    ;({ id } = await acme.preview(file('running.csv', person(400), person(401), person(402), person(403))))
    await opened.sql(`update imports set state = 'committing', started_at = now() - interval '10 seconds' where id = $1`, [id])
    await opened.sql(
      `insert into import_chunks (import_id, number, organization_id, first_row, last_row, state, done_at)
       values ($1, 0, $2, 2, 2, 'done', now() - interval '2 seconds'), ($1, 1, $2, 3, 3, 'done', now() - interval '1 second'), ($1, 2, $2, 4, 5, 'pending', null)`,
      [id, acme.organizationId],
    )
  })

  test('shows how far it is, its rate and remaining time, and the plan’s totals', async () => {
    const { html, text } = await opened.get(`/imports/${id}`)
    expect(html).toMatch(/<progress value="2" max="4"/)
    expect(text).toContain('Writing contacts and users 50 %')
    expect(text).toMatch(/2 of 4 rows \d+ rows a second about \d+(\.\d)? (s|min).* left 1\d(\.\d)? s so far/)
    expect(text).toContain('4 rows read = 4 created')
  })

  test('is fetched again every second as a part; without script a link does', async () => {
    const { html } = await opened.get(`/imports/${id}`)
    expect(html).toContain(`<div id="progress" hx-get="/imports/${id}/progress?state=committing" hx-trigger="every 1s" hx-swap="outerMorph">`)
    expect(html).toContain(`<noscript><p class="refresh"><a href="/imports/${id}">Refresh</a>`)
    const part = await opened.get(`/imports/${id}/progress?state=committing`, { 'hx-request': 'true' })
    expect(part.html).toMatch(/^<div id="progress" hx-get=/)
    expect(part.headers['hx-refresh']).toBeUndefined()
  })

  test('has the whole page loaded again when its state changes, and is no longer fetched when it has ended', async () => {
    await opened.sql(`update imports set state = 'cancelled', finished_at = now() where id = $1`, [id])
    const part = await opened.get(`/imports/${id}/progress?state=committing`, { 'hx-request': 'true' })
    expect(part.headers['hx-refresh']).toBe('true')
    const { html, text } = await opened.get(`/imports/${id}`)
    expect(html).not.toMatch(/hx-get|<script/)
    expect(text).toContain('The import was cancelled')
  })

  test('says that it waits for a worker, that it is checking, and that it compares', async () => {
    const steps: [string, RegExp][] = [
      [`state = 'received', started_at = null`, /Waiting for a worker/],
      [`state = 'staging', started_at = now() - interval '2 seconds', rows_staged = 90000, staged_at = null, lease_until = now() + interval '1 minute'`, /Checking rows 90,000 rows [34]\d,\d{3} rows a second/],
      [`state = 'staging', staged_at = now(), lease_until = now() + interval '1 minute'`, /Comparing with who is there 90,000 rows/],
      [`state = 'staging', lease_until = now() - interval '1 second'`, /Stalled .* The import has stalled/],
    ]
    for (const [change, told] of steps) {
      await opened.sql(`update imports set ${change} where id = $1`, [id])
      expect((await opened.get(`/imports/${id}`)).text).toMatch(told)
    }
  })
})

test('names that would be markup, templates or a trap for the eye are inert', async () => {
  const hostile = ['<script>alert(1)</script>', '{{x}}', 'Ana\u202egnp', '"><img src=x onerror=alert(1)>', '&lt;b&gt;', '{{{html}}}', '=cmd|calc']
  const { id } = await acme.run({ name: '<b>\u202egnp".csv', bytes: Buffer.from(['First Name,Last Name,Email,<i>x</i>', ...hostile.map((name, n) => `"${name.replaceAll('"', '""')}",Li,"${n}@<u>",1`)].join('\n')) })
  for (const path of [`/imports/${id}`, '/imports', '/', '/organizations/acme/imports']) {
    const { html, status } = await opened.get(path)
    expect(status).toBe(200)
    expect(html).not.toMatch(/<(?:script>|b>|i>|u>|img)|onerror=(?!a)|\u202e/)
    expect(html).toContain('&lt;b&gt;[U+202E]gnp&quot;.csv')
  }
  const { text } = await opened.get(`/imports/${id}`)
  for (const name of hostile.filter((each) => !each.includes('\u202e') && !each.startsWith('='))) expect(text).toContain(name)
})

describe('the lists', () => {
  test('show imports newest first, page by page, each once', async () => {
    const beta = await importing(opened.database, { key: 'beta', name: 'Beta & Sons' })
    for (let n = 0; n < 27; n++) await beta.run({ name: `feed-${n}.csv`, bytes: Buffer.from('a\n1') })
    const idsOf = (html: string) => [...html.matchAll(/<span class="id">(\d+)</g)].map(([, id]) => Number(id))
    const first = await opened.get('/organizations/beta/imports')
    expect(first.text).toContain('Beta & Sons: imports')
    const [, older] = /<a href="(\?before=\d+)" rel="next">/.exec(first.html)!
    const second = await opened.get(`/organizations/beta/imports${older}`)
    const ids = [...idsOf(first.html), ...idsOf(second.html)]
    expect(ids).toHaveLength(27)
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => b - a))
    const [{ count }] = (await opened.sql<{ count: number }>('select count(*)::int as count from imports')) as [{ count: number }]
    const all = await opened.get('/imports')
    expect(idsOf(all.html)).toHaveLength(Math.min(25, count))
    expect(all.text).toContain('Of one organization: Acme Staffing · Beta & Sons')
  })

  test('say what to type where nothing was taken in', async () => {
    await importing(opened.database, { key: 'fresh' })
    expect((await opened.get('/organizations/fresh/imports')).text).toContain('./muster import people.xlsx --organization fresh')
  })

  test.each(['/imports/999999', '/imports/0x1', '/imports/1%20or%201', '/imports/99999999999999999999', '/organizations/nobody/imports', `/organizations/${'x'.repeat(250)}/imports`])('%s is told as missing, with what to do next', async (path) => {
    const { status, text } = await opened.get(path)
    expect(status).toBe(404)
    expect(text).toMatch(/There is no (import|organization)/)
    expect(text).toMatch(/\.\/muster import list|Known: acme/)
  })

  test('an unknown page is told in the same dress', async () => {
    const { status, html, text } = await opened.get('/nowhere/%3Cscript%3E')
    expect(status).toBe(404)
    expect(text).toContain('This page does not exist')
    expect(html).toContain('<nav aria-label="Main">')
    expect(html).not.toContain('<script>')
  })
})
