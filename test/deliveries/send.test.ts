import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hashToken } from '../../src/accounts/invitations.ts'
import { verifyPassword } from '../../src/accounts/passwords.ts'
import { MAX_ATTEMPTS } from '../../src/deliveries/backoff.ts'
import { openBackground } from '../../src/deliveries/background.ts'
import { deliverer, sweepDeliveries } from '../../src/jobs/deliver.ts'
import { loadTemplates } from '../../src/templates/render.ts'
import { deliveryRun, type DeliveryRun } from '../support/deliveryRun.ts'
import type { Scene } from '../support/deliveryScene.ts'
import { startSink, type Answer, type Stage } from '../support/smtpSink.ts'

let run: DeliveryRun
beforeAll(async () => {
  run = await deliveryRun({ deadlines: { answer: 300 } })
})
afterAll(() => run.close())
beforeEach(() => run.sink.use(() => undefined))

const at = (stage: Stage, answer: Answer) => run.sink.use((event) => (event.stage === stage ? answer : undefined))
/** Bodies that were fully received for a delivery; the Message-ID begins with its id. */
const bodies = (id: string) => run.sink.messages.filter(({ messageId }) => messageId.startsWith(`<${id}.`))
/** Quoted-printable, undone. */
const plain = (body: string) => Buffer.from(body.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString()
const column = async (scene: Scene, sql: string) => Object.values((await scene.sql(sql))[0] ?? {})[0]

describe('what is sent', () => {
  test('credentials: the password in the mail is the one whose hash is stored, and must be changed', async () => {
    const scene = await run.scene()
    const [id] = await scene.owe(1, { purpose: 'credentials' })
    expect(await run.send(scene)).toMatchObject({ sent: 1, nextInMs: null })
    const body = plain(bodies(id!)[0]!.body)
    const [user] = await scene.sql<{ username: string; hash: string; must: boolean }>('select username, password_hash as hash, must_change_password as must from users where organization_id = $1', [scene.organizationId])
    const words = body.split(/\s+/)
    const right = await Promise.all(words.map(async (word) => word.length === 15 && (await verifyPassword(user!.hash, word))))
    expect(right).toContain(true)
    expect(user!.must).toBe(true)
    expect(body).toContain(user!.username)
    expect(body).toMatch(/https:\/\/muster\.example\/acme-[\w-]+\/sign-in/)
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'sent', reason: null, attempts: 1, recipient: 'ana1@example.test', messageId: bodies(id!)[0]!.messageId, sentAt: expect.any(Date) })
  })

  test('an invitation: the token in the link is the one whose hash is stored, launched, with the lifetime of the organization', async () => {
    const scene = await run.scene({ settings: { invitation: { lifetimeDays: 3 } }, language: 'de', timeZone: 'Europe/Berlin' })
    const [id] = await scene.owe(1)
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    const token = /https:\/\/muster\.example\/invitations\/([\w-]{43})/.exec(plain(bodies(id!)[0]!.body))![1]!
    const [invitation] = await scene.sql('select state, token_hash as hash, extract(epoch from expires_at - now())::float8 / 86400 as days from invitations where organization_id = $1', [scene.organizationId])
    expect(invitation).toMatchObject({ state: 'launched', hash: hashToken(token) })
    expect(invitation!.days).toBeCloseTo(3, 2)
    expect(plain(bodies(id!)[0]!.body)).toMatch(/\d{1,2}\. \p{L}+ 20\d\d .*\d\d:\d\d/u)
  })

  test('secrets stand in no table and no log (I5), also where the server repeats them', async () => {
    const scene = await run.scene()
    const [mailed, invited] = [...(await scene.owe(1, { purpose: 'credentials' })), ...(await scene.owe(1))]
    run.sink.use(({ stage, text }) => {
      if (stage !== 'end') return undefined
      return `250 2.0.0 you wrote ${plain(text).replace(/[\r\n]+/g, ' ').slice(0, 4000)}`
    })
    expect(await run.send(scene)).toMatchObject({ sent: 2 })
    const password = /\b(?=\S*\d)(?=\S*[A-Z])[-\w+*#%=@]{15}(?=\s)/.exec(plain(bodies(mailed!)[0]!.body).split('text/html')[0]!.split('\r\n\r\n').slice(2).join(' '))![0]
    const token = /invitations\/([\w-]{43})/.exec(plain(bodies(invited!)[0]!.body))![1]!
    const [hash] = await scene.sql<{ hash: string }>('select password_hash as hash from users where password_hash is not null and organization_id = $1', [scene.organizationId])
    expect(await verifyPassword(hash!.hash, password)).toBe(true)
    const kept = JSON.stringify(await scene.sql('select to_jsonb(d) as d, to_jsonb(t) as t from deliveries d join delivery_attempts t on t.delivery_id = d.id')) + run.log.join('\n')
    expect(kept).toContain('you wrote')
    for (const secret of [password, token]) expect(kept.split(secret)).toHaveLength(1)
  })

  test('as many at once as there are: each once', async () => {
    const scene = await run.scene()
    const ids = await scene.owe(250)
    const reports = await Promise.all([run.send(scene, { batch: 40 }), run.send(scene, { batch: 40 }), run.send(scene, { batch: 40 })])
    expect(reports.reduce((sum, { sent }) => sum + sent, 0)).toBe(250)
    for (const id of ids) expect(bodies(id)).toHaveLength(1)
  })

  test('nothing is sent before its time by the clock of the database', async () => {
    const scene = await run.scene()
    const [early] = await scene.owe(1, { sendAt: "now() + interval '1 minute'" })
    const [held] = await scene.owe(1, { state: 'held', sendAt: 'null' })
    expect(await run.send(scene)).toMatchObject({ sent: 0, nextInMs: null })
    expect((await run.delivery(scene, early!)).state).toBe('scheduled')
    expect((await run.delivery(scene, held!)).state).toBe('held')
  })

  test('a mail that cannot be made fails with the reason and stops no other', async () => {
    const scene = await run.scene()
    const [broken, fine] = await scene.owe(2)
    await scene.sql(`update contacts set email = 'two@x.test,three@x.test' from deliveries d join users u on u.id = d.user_id where contacts.id = u.contact_id and d.id = $1`, [broken])
    expect(await run.send(scene)).toMatchObject({ sent: 1, failed: 1 })
    expect(await run.delivery(scene, broken!)).toMatchObject({ state: 'failed', reason: expect.stringMatching(/^address_refused/) })
    expect((await run.delivery(scene, fine!)).state).toBe('sent')
  })
})

describe('answers of the mail server', () => {
  test.each<[string, Stage, Answer]>([
    ['421 at MAIL', 'mail', '421 4.3.2 busy'],
    ['451 at RCPT', 'rcpt', '451 4.7.1 greylisted'],
    ['451 after the dot', 'end', '451 4.3.0 try again'],
    ['421 after the dot', 'end', '421 4.3.0 try again'],
    ['a connection lost before the dot', 'rcpt', { next: 'reset' }],
    ['a greeting that is a refusal', 'greeting', '421 4.3.2 too many'],
  ])('%s: tried again after a pause', async (_, stage, answer) => {
    await run.mailer.close()
    at(stage, answer)
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    expect(await run.send(scene)).toMatchObject({ sent: 0, retried: 1, unknown: 0 })
    const first = await run.delivery(scene, id!)
    expect(first).toMatchObject({ state: 'scheduled', attempts: 1, reason: expect.stringMatching(/^(refused_for_now|connection_lost|unreachable): /) })
    expect(first.delay).toBeGreaterThan(50)
    expect(first.delay).toBeLessThan(70)
    run.sink.use(() => undefined)
    await scene.sql('update deliveries set send_at = now() where id = $1', [id])
    expect(await run.send(scene)).toMatchObject({ sent: 1 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'sent', attempts: 2, reason: null })
  })

  test('the pauses grow, and after the last one the delivery fails with the words of the server', async () => {
    at('rcpt', '451 4.7.1 greylisted')
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    const delays: number[] = []
    for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
      await run.send(scene)
      delays.push((await run.delivery(scene, id!)).delay)
      await scene.sql('update deliveries set send_at = now() where id = $1', [id])
    }
    expect(delays).toEqual(delays.toSorted((a, b) => a - b))
    expect(await run.send(scene)).toMatchObject({ failed: 1 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'failed', attempts: MAX_ATTEMPTS, reason: 'refused_for_now: 451 4.7.1 greylisted' })
  })

  test.each<[string, Stage, Answer]>([['550 at RCPT', 'rcpt', '550 5.1.1 no such user here'], ['554 after the dot', 'end', '554 5.7.1 looks like spam']])('%s: failed for good, with the words of the server', async (_, stage, answer) => {
    at(stage, answer)
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    expect(await run.send(scene)).toMatchObject({ failed: 1 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'failed', reason: `refused: ${answer as string}` })
    run.sink.use(() => undefined)
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
  })

  test.each<[string, Answer]>([['closed', { next: 'close' }], ['reset', { next: 'reset' }], ['silent', { next: 'hang' }], ['half an answer', { raw: '250 2.', next: 'close' }]])('%s after the dot: unknown, never repeated by itself', async (_, answer) => {
    at('end', answer)
    const scene = await run.scene()
    const [id] = await scene.owe(1)
    expect(await run.send(scene)).toMatchObject({ unknown: 1 })
    run.sink.use(() => undefined)
    await sweepDeliveries(run.database, scene.organizationId)
    expect(await run.send(scene)).toMatchObject({ sent: 0 })
    expect(await run.delivery(scene, id!)).toMatchObject({ state: 'unknown', reason: expect.stringMatching(/^no_answer: /) })
    expect(bodies(id!)).toHaveLength(1)
  })

  test('250 and a lost connection: sent', async () => {
    at('end', { raw: '250 2.0.0 taken\r\n', next: 'close' })
    const scene = await run.scene()
    const ids = await scene.owe(5)
    expect(await run.send(scene)).toMatchObject({ sent: 5 })
    for (const id of ids) expect(bodies(id)).toHaveLength(1)
  })

  test('an answer that takes longer than the lease is waited for, and the lease is renewed', async () => {
    const patient = await deliveryRun({ connections: 1 })
    try {
      const answer = Promise.withResolvers<string>()
      patient.sink.use(({ stage }) => (stage === 'end' ? answer.promise : undefined))
      const scene = await patient.scene()
      const [id] = await scene.owe(1)
      const sending = patient.send(scene, { leaseSeconds: 0.3 })
      await patient.sink.reached('end')
      // Three leases pass by the clock of the database.
      const [{ from }] = (await scene.sql<{ from: Date }>('select lease_until as "from" from deliveries where id = $1', [id])) as [{ from: Date }]
      await expect.poll(() => column(scene, `select lease_until > '${from.toISOString()}'::timestamptz + interval '0.9 seconds' from deliveries where id = ${id}`), { timeout: 10_000 }).toBe(true)
      expect(await sweepDeliveries(patient.database, scene.organizationId)).toMatchObject({ unknown: 0, givenBack: 0 })
      answer.resolve('250 2.0.0 taken at last')
      expect(await sending).toMatchObject({ sent: 1 })
    } finally {
      await patient.close()
    }
  })

  test('the mail server is not there: each has its pause, and those not begun keep their time and attempts', async () => {
    const dead = await deliveryRun({ connections: 2 })
    try {
      await dead.sink.close()
      const scene = await dead.scene()
      await scene.owe(100)
      const report = await dead.send(scene)
      expect(report).toMatchObject({ sent: 0, failed: 0, unknown: 0, nextInMs: 15_000 })
      expect(report.retried).toBeLessThan(20)
      expect(report.retried + report.givenBack).toBe(100)
      expect(Number(await column(scene, 'select count(*) from deliveries where attempts = 0 and send_at <= now()'))).toBe(report.givenBack)
    } finally {
      await dead.close()
    }
  })
})

describe('a mail whose answer is slow', () => {
  const held = async (work: (slow: { run: DeliveryRun; scene: Scene; id: string; answer(): void }) => Promise<void>) => {
    const patient = await deliveryRun({ connections: 2 })
    const answer = Promise.withResolvers<string>()
    try {
      const scene = await patient.scene()
      const [id] = await scene.owe(1)
      patient.sink.use(({ stage, text }) => (stage === 'end' && text.includes(`<${id}.`) ? answer.promise : undefined))
      await work({ run: patient, scene, id: id!, answer: () => answer.resolve('250 2.0.0 taken at last') })
    } finally {
      answer.resolve('250 2.0.0 taken')
      await patient.close()
    }
  }

  test('keeps none that comes due later waiting', () =>
    held(async ({ run, scene, id, answer }) => {
      const sending = run.send(scene)
      await run.sink.reached('end')
      const [asked] = await scene.owe(1, { purpose: 'passwordChanged' })
      await expect.poll(async () => (await run.delivery(scene, asked!)).state, { timeout: 2_000 }).toBe('sent')
      expect((await run.delivery(scene, id)).state).toBe('sending')
      answer()
      expect(await sending).toMatchObject({ sent: 2, nextInMs: null })
    }))

  test.each([['is left to the background where there is one, with its lease renewed', 30], ['is left to the background at the end of the turn, too', 0.1]])('%s', (_, turnSeconds) =>
    held(async ({ run, scene, id, answer }) => {
      const background = openBackground()
      expect(await run.send(scene, { background, turnSeconds, leaseSeconds: 0.6 })).toMatchObject({ sent: 0, givenBack: 0, nextInMs: null })
      expect(background.holding(scene.organizationId)).toBe(1)
      // The organization's next turn.
      await scene.owe(1, { purpose: 'passwordChanged' })
      expect(await run.send(scene, { background })).toMatchObject({ sent: 1 })
      await expect.poll(() => column(scene, `select lease_until > updated_at + interval '1.8 seconds' from deliveries where id = ${id}`), { timeout: 10_000 }).toBe(true)
      expect(await sweepDeliveries(run.database, scene.organizationId)).toMatchObject({ unknown: 0, givenBack: 0 })
      // Nobody sits on a connection meanwhile.
      expect(run.database.pool.idleCount).toBe(run.database.pool.totalCount)
      answer()
      await background.settled()
      expect(await run.delivery(scene, id)).toMatchObject({ state: 'sent', attempts: 1 })
      expect(run.sink.messages).toHaveLength(2)
    }))

  test('a turn that only waits for its rate ends at once, and what it has claimed leaves at its instants', () =>
    held(async ({ run, answer }) => {
      answer()
      const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 120 } } })
      await scene.owe(5)
      const background = openBackground()
      const begun = performance.now()
      const report = await run.send(scene, { background })
      expect(performance.now() - begun).toBeLessThan(900)
      expect(report.nextInMs).toBeGreaterThan(500)
      await background.settled()
      expect(performance.now() - begun).toBeGreaterThan(1_000)
      expect(run.sink.messages).toHaveLength(3)
    }))
})

test('while nobody is there nothing more is claimed; it goes on when somebody is', async () => {
  const dead = await deliveryRun({ connections: 2 })
  const { port } = dead.sink
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const deliver = deliverer({ database: dead.database, mailer: dead.mailer, templates: await loadTemplates(), publicUrl: 'https://muster.example', worker: 'test', log, failpoint: async () => undefined })
  const take = (scene: Scene) => deliver(scene.organizationId, new AbortController().signal)
  try {
    await dead.sink.close()
    const scene = await dead.scene()
    await scene.owe(40)
    const { givenBack } = await take(scene)
    const tried = await column(scene, 'select count(*) from delivery_attempts')
    for (let round = 0; round < 3; round++) expect(await take(scene)).toMatchObject({ retried: 0, givenBack: 0, outage: true, nextInMs: 15_000 })
    expect(await column(scene, 'select count(*) from delivery_attempts')).toBe(tried)
    dead.sink = await startSink({ port })
    expect(await take(scene)).toMatchObject({ sent: givenBack, outage: false })
  } finally {
    await dead.close()
  }
})

describe('a refused login (fault 25)', () => {
  test('pauses all mail with one alert, burns no attempts, and ends by itself when the login is taken again', async () => {
    const paused = await deliveryRun({ login: 'muster:s3cret@', extensions: ['AUTH PLAIN', 'PIPELINING'], connections: 3 })
    try {
      paused.sink.use(({ stage }) => (stage === 'auth' ? '535 5.7.8 bad credentials' : undefined))
      const [one, two] = [await paused.scene(), await paused.scene()]
      await one.owe(30)
      await two.owe(30)
      const reports = await Promise.all([paused.send(one), paused.send(two), paused.send(one)])
      expect(reports.every(({ sent, failed, retried }) => sent + failed + retried === 0)).toBe(true)
      expect(await column(one, 'select count(*) from deliveries where attempts > 0 or state <> \'scheduled\' or send_at > now()')).toBe('0')
      expect(await one.sql('select service, reason from service_pauses')).toEqual([{ service: 'smtp', reason: '535 5.7.8 bad credentials' }])
      expect(paused.log.filter((line) => line.includes('smtp_login_refused'))).toHaveLength(1)
      expect(paused.log.join('\n')).not.toContain('s3cret')

      const tried = paused.sink.events.filter(({ stage }) => stage === 'auth').length
      const later = await paused.send(one)
      expect(later.nextInMs).toBeGreaterThan(200_000)
      expect(paused.sink.events.filter(({ stage }) => stage === 'auth')).toHaveLength(tried)

      // The pause is over: of all workers one tries the login, still refused; no alert again.
      await one.sql("update service_pauses set retry_at = now() - interval '1 second'")
      await Promise.all([paused.send(one), paused.send(two), paused.send(one)])
      expect(paused.sink.events.filter(({ stage }) => stage === 'auth')).toHaveLength(tried + 1)
      expect(paused.log.filter((line) => line.includes('smtp_login_refused'))).toHaveLength(1)

      paused.sink.use(() => undefined)
      await one.sql("update service_pauses set retry_at = now() - interval '1 second'")
      expect(await paused.send(one)).toMatchObject({ sent: 30 })
      expect(await one.sql('select from service_pauses')).toEqual([])
      expect(await paused.send(two)).toMatchObject({ sent: 30 })
    } finally {
      await paused.close()
    }
  })
})

describe('the rate of an organization (D6)', () => {
  test('holds over all workers together: no two mails leave closer than it allows', async () => {
    const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 1200 } } })
    await scene.owe(30)
    const leaving: number[] = []
    const begun = performance.now()
    run.sink.use(({ stage }) => {
      if (stage === 'mail') leaving.push(performance.now())
      return undefined
    })
    const reports = await Promise.all([run.send(scene), run.send(scene), run.send(scene)])
    expect(reports.reduce((sum, { sent }) => sum + sent, 0)).toBe(30)
    // 30 mails, 50 ms apart: on a busy machine one may be late, none is early.
    leaving.forEach((at, index) => expect(at).toBeGreaterThan(begun + index * 50 - 1))
  })

  test('does not make a turn longer than it may be', async () => {
    const scene = await run.scene({ settings: { mail: { from: 'a@acme.example', ratePerMinute: 6 } } })
    await scene.owe(5)
    const report = await run.send(scene, { turnSeconds: 1 })
    expect(report.sent).toBe(1)
    expect(report.nextInMs).toBeGreaterThan(5_000)
  })
})

describe('the end of a turn', () => {
  test('leaves the rest due, and says to come again at once', async () => {
    const scene = await run.scene()
    await scene.owe(60)
    const report = await run.send(scene, { turnSeconds: 0, batch: 20 })
    expect(report).toMatchObject({ sent: 20, nextInMs: 0 })
  })

  test('by a shutdown sees what is under way to its end and gives back the rest', async () => {
    const scene = await run.scene()
    await scene.owe(50)
    const controller = new AbortController()
    run.sink.use(({ stage }) => {
      if (stage === 'end') controller.abort()
      return undefined
    })
    const report = await run.send(scene, { signal: controller.signal })
    expect(report.sent).toBeGreaterThan(0)
    expect(report.sent + report.givenBack).toBe(50)
    expect(await column(scene, `select count(*) from deliveries where organization_id = ${scene.organizationId} and state not in ('sent', 'scheduled')`)).toBe('0')
  })
})
