/** No page tells whether there is an account: known and unknown ones are answered alike, to the byte. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Importing } from '../support/importing.ts'
import { givePassword, inviteAll, openPortal, PASSWORD } from './openPortal.ts'
import type { Answer, OpenedPortal } from './openPortal.ts'

let portal: OpenedPortal
let acme: Importing
/** One of each kind, by how the account stands. */
let names: Record<'active' | 'deactivated' | 'withoutPassword' | 'unknown', string>

beforeAll(async () => {
  portal = await openPortal()
  acme = await portal.organization({ key: 'acme', supportContact: { name: 'Help desk', email: 'help@acme.example' } })
  const [ann, bob, cat] = await inviteAll(acme, ['Ann', 'Bob', 'Cat'])
  for (const { userId } of [ann!, bob!]) await givePassword(acme, userId, PASSWORD)
  await acme.sql(`update users set state = 'inactive' where id = $1`, [bob!.userId])
  names = { active: ann!.username, deactivated: bob!.username, withoutPassword: cat!.username, unknown: 'zed.lovelace' }
})
afterAll(() => portal.close())

/** What of an answer may tell something: all of it but the date, the form's token, and what was typed. */
const told = ({ status, headers, html }: Answer, typed: string) => ({
  status,
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'date')),
  html: html.replace(/name="_csrf" value="[^"]*"/g, 'name="_csrf"').replaceAll(typed, 'TYPED'),
})

test('sign-in: each wrong one is the same', async () => {
  const answers = []
  for (const username of Object.values(names)) answers.push(told(await portal.browser().submit('/acme/sign-in', { username, password: 'wrong' }), username))
  expect(answers[0]).toMatchObject({ status: 422, html: expect.stringContaining('User ID or password is not right.') })
  // The names are of the same length, so that lengths are alike, too.
  expect(new Set(Object.values(names).map(({ length }) => length)).size).toBe(1)
  for (const answer of answers) expect(answer).toEqual(answers[0])
})

test('sign-in: a deactivated account’s right password is a wrong one', async () => {
  const [right, wrong] = await Promise.all([PASSWORD, 'wrong'].map((password) => portal.browser().submit('/acme/sign-in', { username: names.deactivated, password })))
  expect(told(right!, names.deactivated)).toEqual(told(wrong!, names.deactivated))
})

test('sign-in: names that nobody has are made to wait like those that somebody has', async () => {
  const answers = []
  for (const username of [names.withoutPassword, 'yes.lovelace']) {
    let answer: Answer | undefined
    for (let tries = 0; tries < 11; tries++) answer = await portal.browser().submit('/acme/sign-in', { username, password: 'wrong' })
    const { status, headers, html } = told(answer!, username)
    answers.push({ status, html, headers: { ...headers, 'retry-after': Number(headers['retry-after']) > 800 } })
  }
  expect(answers[0]!.status).toBe(429)
  expect(answers[1]).toEqual(answers[0])
})

test('forgot: the answer is the same, and comes at a beat whoever is asked for; mails are owed to those who can use them', async () => {
  const answers = []
  for (const username of [names.active, 'ann@int.test', names.deactivated, names.withoutPassword, names.unknown]) {
    const browser = portal.browser()
    const token = /name="_csrf" value="([^"]+)"/.exec((await browser.get('/acme/forgot')).html)![1]!
    const begun = performance.now()
    answers.push(told(await browser.post('/acme/forgot', { _csrf: token, username }), username))
    expect(performance.now() - begun, username).toBeGreaterThan(299)
  }
  expect(answers[0]).toMatchObject({ status: 200, html: expect.stringContaining('If there is an account with what you have typed') })
  for (const answer of answers) expect(answer).toEqual(answers[0])
  const owed = await acme.sql<{ username: string }>(`select u.username from deliveries d join users u on u.id = d.user_id where d.purpose = 'passwordReset'`)
  expect(owed).toEqual([{ username: names.active }])
  expect(portal.woken).toEqual(Array.from({ length: 5 }, () => acme.organizationId))
})
