import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { addressOf, AddressRefused, buildMessage, Mailer, type Deadlines, type Outcome } from '../../src/deliveries/mailer.ts'
import { startSink, type Answer, type Sink, type SinkOptions, type Stage } from '../support/smtpSink.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function sinkAnd(options: SinkOptions & { url?: (url: string) => string; connections?: number; deadlines?: Partial<Deadlines> } = {}): Promise<{ sink: Sink; mailer: Mailer }> {
  const sink = await startSink(options)
  const mailer = new Mailer({ url: options.url?.(sink.url) ?? sink.url, connections: options.connections ?? 1, deadlines: options.deadlines ?? {} })
  open.push(() => sink.close(), () => mailer.close())
  return { sink, mailer }
}

/** What a sink does at one stage, the first time or each time. */
const answering = (stage: Stage, answer: Answer, times = Infinity) => {
  let left = times
  return (event: { stage: Stage }) => (event.stage === stage && left-- > 0 ? answer : undefined)
}

const message = () =>
  buildMessage({
    from: 'Acme <no-reply@acme.example>', to: { name: 'Ana Nguyễn', address: 'ana@example.test' }, subject: 'Welcome, Nguyễn', text: 'Hello\n.\n.dots\n', html: '<p>Hello</p>',
    messageId: '<1.1.1@acme.example>', date: new Date('2026-12-01T08:00:00Z'),
  })

async function send(mailer: Mailer, gate: () => Promise<boolean> = async () => true): Promise<Outcome> {
  const { envelope, bytes } = await message()
  return mailer.send(envelope, bytes, gate)
}

describe('messages', () => {
  test('hold text and HTML, our own Message-ID and Date, and say that a machine wrote them', async () => {
    const { envelope, bytes } = await message()
    const text = bytes.toString()
    expect(envelope).toEqual({ from: 'no-reply@acme.example', to: 'ana@example.test' })
    expect(text).toMatch(/^Content-Type: multipart\/alternative;/m)
    expect(text).toMatch(/^Message-ID: <1\.1\.1@acme\.example>/m)
    expect(text).toMatch(/^Date: Tue, 01 Dec 2026 08:00:00 \+0000/m)
    expect(text).toMatch(/^Auto-Submitted: auto-generated/m)
  })

  test.each(['a@x.example, b@x.example', 'a@x.example\r\nBcc: b@x.example', '"evil@g.com x"@int.test', 'a b@x.example', '', 'nobody'])('cannot be addressed to %j', async (address) => {
    const made = buildMessage({ from: 'a@b.example', to: { name: 'x', address }, subject: 's', text: 't', html: 'h', messageId: '<1@b.example>', date: new Date(0) })
    await expect(made).rejects.toThrow(AddressRefused)
  })

  test('have one sender', () => {
    expect(addressOf('Acme <no-reply@acme.example>')).toBe('no-reply@acme.example')
    expect(() => addressOf('a@b.example, c@d.example')).toThrow(AddressRefused)
    expect(() => addressOf('Acme')).toThrow(AddressRefused)
  })

  test('arrive as they were built, dots and all', async () => {
    const { sink, mailer } = await sinkAnd()
    expect(await send(mailer)).toEqual({ is: 'accepted', response: '250 2.0.0 taken' })
    const { bytes } = await message()
    const own = (text: string) => text.replace(/\r?\n/g, '\n').trimEnd().replace(/--_[^\s"]+/g, '--')
    expect(own(sink.messages[0]!.body)).toBe(own(bytes.toString('latin1')))
    expect(sink.messages[0]).toMatchObject({ from: 'no-reply@acme.example', to: ['ana@example.test'], messageId: '<1.1.1@acme.example>' })
  })
})

describe('before the end of the message', () => {
  test.each<[string, Stage, Answer, Outcome['is']]>([
    ['the greeting is a refusal', 'greeting', '554 go away', 'unreachable'],
    ['the connection closes instead of a greeting', 'greeting', { next: 'close' }, 'unreachable'],
    ['the connection is reset at EHLO', 'ehlo', { next: 'reset' }, 'unreachable'],
    ['421 at MAIL', 'mail', '421 4.3.2 closing', 'refused'],
    ['451 at RCPT', 'rcpt', '451 4.7.1 later', 'refused'],
    ['550 at RCPT', 'rcpt', '550 5.1.1 no such user', 'refused'],
    ['554 at DATA', 'data', '554 5.7.1 no', 'refused'],
    ['the connection closes at MAIL', 'mail', { next: 'close' }, 'lostBeforeEnd'],
    ['the connection is reset at RCPT', 'rcpt', { next: 'reset' }, 'lostBeforeEnd'],
    ['half a refusal at RCPT', 'rcpt', { raw: '550 5.1', next: 'close' }, 'lostBeforeEnd'],
    ['the connection closes at DATA', 'data', { next: 'close' }, 'lostBeforeEnd'],
  ])('%s', async (_, stage, answer, is) => {
    for (const extensions of [['PIPELINING'], []]) {
      const { sink, mailer } = await sinkAnd({ script: answering(stage, answer), extensions })
      let asked = 0
      const outcome = await send(mailer, async () => ++asked > 0)
      expect(outcome).toMatchObject(is === 'refused' ? { is, permanent: (answer as string).startsWith('5'), response: answer } : { is })
      expect(asked).toBe(0)
      expect(sink.messages).toEqual([])
    }
  })

  test('nobody listens', async () => {
    const { sink, mailer } = await sinkAnd()
    await sink.close()
    expect(await send(mailer)).toMatchObject({ is: 'unreachable', reason: expect.stringContaining('ECONNREFUSED') })
  })

  test.each<[string, Stage]>([['greeting', 'greeting'], ['EHLO', 'ehlo'], ['MAIL', 'mail'], ['DATA', 'data']])('a server that is silent at %s is given up by our own deadline', async (_, stage) => {
    const { sink, mailer } = await sinkAnd({ script: answering(stage, { next: 'hang' }), deadlines: { connect: 100, greeting: 100, envelope: 100 } })
    expect((await send(mailer)).is).toBe(stage === 'greeting' || stage === 'ehlo' ? 'unreachable' : 'lostBeforeEnd')
    expect(sink.messages).toEqual([])
  })
})

describe('the gate', () => {
  /** Bytes of messages that the sink has seen, ended or not. */
  const shown = (sink: Sink) => sink.events.filter(({ stage }) => stage === 'body' || stage === 'end')

  test('is asked once, when the server waits for the message, and nothing of it leaves before', async () => {
    const { sink, mailer } = await sinkAnd()
    const gate = Promise.withResolvers<boolean>()
    let asked = 0
    const sending = send(mailer, () => {
      asked++
      return gate.promise
    })
    await sink.reached('data')
    expect(shown(sink)).toEqual([])
    gate.resolve(true)
    expect((await sending).is).toBe('accepted')
    expect(asked).toBe(1)
    expect(sink.accepted()).toHaveLength(1)
  })

  test.each([['shut', async () => false], ['broken', () => Promise.reject(new Error('database gone'))]])('when %s, drops the connection without a byte of the message or its dot', async (_, gate) => {
    const { sink, mailer } = await sinkAnd()
    expect((await send(mailer, gate)).is).toBe('withheld')
    // The next message takes a new connection: by then everything of the first has arrived.
    expect((await send(mailer)).is).toBe('accepted')
    expect(sink.messages).toHaveLength(1)
    expect(sink.connections).toBe(2)
    expect(shown(sink).every(({ connection }) => connection === 2)).toBe(true)
  })

  test('when opened after the connection was lost, lets nothing out', async () => {
    const { sink, mailer } = await sinkAnd({ script: answering('data', { raw: '354 go\r\n', next: 'close' }, 1) })
    const gate = Promise.withResolvers<boolean>()
    const outcome = await send(mailer, () => gate.promise)
    gate.resolve(true)
    expect(outcome.is).toBe('lostBeforeEnd')
    expect((await send(mailer)).is).toBe('accepted')
    expect(sink.messages).toHaveLength(1)
  })

  test.each<[string, Outcome['is']]>([['250 2.0.0 taken already', 'lostBeforeEnd'], ['451 4.3.0 no after all', 'refused'], ['554 5.7.1 no after all', 'refused']])(
    'when the server says "%s" before the message, lets nothing out any more',
    async (words, is) => {
      const { sink, mailer } = await sinkAnd({ script: answering('data', { raw: `354 go\r\n${words}\r\n`, next: 'go on' }, 1) })
      const gate = Promise.withResolvers<boolean>()
      const outcome = await send(mailer, () => gate.promise)
      gate.resolve(true)
      expect(outcome.is).toBe(is)
      expect((await send(mailer)).is).toBe('accepted')
      expect(sink.messages).toHaveLength(1)
    },
  )
})

describe('after the end of the message', () => {
  test.each<[string, Answer, Outcome]>([
    ['554 is a definite refusal', '554 5.7.1 spam', { is: 'refused', permanent: true, response: '554 5.7.1 spam' }],
    ['451 is a definite refusal for now', '451 4.3.0 try again', { is: 'refused', permanent: false, response: '451 4.3.0 try again' }],
    ['421 is a definite refusal for now', '421 4.3.2 closing', { is: 'refused', permanent: false, response: '421 4.3.2 closing' }],
    ['a reply of several lines counts whole', '550-5.7.1 a\r\n550 5.7.1 b', { is: 'refused', permanent: true, response: '550-5.7.1 a\n550 5.7.1 b' }],
    ['250 and then a closed connection is an acceptance', { raw: '250 2.0.0 taken\r\n', next: 'close' }, { is: 'accepted', response: '250 2.0.0 taken' }],
  ])('%s', async (_, answer, outcome) => {
    const { mailer } = await sinkAnd({ script: answering('end', answer) })
    expect(await send(mailer)).toEqual(outcome)
  })

  test.each<[string, Answer]>([
    ['a closed connection', { next: 'close' }],
    ['a reset', { next: 'reset' }],
    ['half an acceptance', { raw: '250 2.0', next: 'close' }],
    ['half a refusal', { raw: '550 5.7.1 not', next: 'close' }],
    ['half a refusal for now', { raw: '451 4.3.0 tr', next: 'close' }],
    ['the first line of a longer reply', { raw: '550-5.7.1 first\r\n', next: 'close' }],
    ['an answer that is none', 'what is this'],
    ['a go-ahead', '354 go ahead'],
    ['silence', { next: 'hang' }],
  ])('%s leaves it unknown', async (_, answer) => {
    const { sink, mailer } = await sinkAnd({ script: answering('end', answer), deadlines: { answer: 150 } })
    expect((await send(mailer)).is).toBe('lostAfterEnd')
    expect(sink.messages).toHaveLength(1)
  })
})

describe('the login', () => {
  const withLogin = (url: string) => url.replace('smtp://', 'smtp://muster:s3cret@')

  test('is made where the address has one', async () => {
    const { sink, mailer } = await sinkAnd({ url: withLogin, extensions: ['AUTH PLAIN'] })
    expect((await send(mailer)).is).toBe('accepted')
    expect(sink.events.find(({ stage }) => stage === 'auth')!.text).toBe(`AUTH PLAIN ${Buffer.from('\0muster\0s3cret').toString('base64')}`)
  })

  test('refused is told apart, and tried by one connection only however many mails wait', async () => {
    const { sink, mailer } = await sinkAnd({ url: withLogin, extensions: ['AUTH PLAIN'], script: answering('auth', '535 5.7.8 bad credentials'), connections: 5 })
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => send(mailer)))
    expect(new Set(outcomes.map(({ is }) => is))).toEqual(new Set(['loginRefused']))
    expect(sink.events.filter(({ stage }) => stage === 'auth')).toHaveLength(1)
  })

  test('that fails only for now is no refused login', async () => {
    const { mailer } = await sinkAnd({ url: withLogin, extensions: ['AUTH PLAIN'], script: answering('auth', '454 4.7.0 later') })
    expect((await send(mailer)).is).toBe('unreachable')
  })

  test('asked for at MAIL is a refused login, not a refused mail', async () => {
    const { mailer } = await sinkAnd({ script: answering('mail', '530 5.7.0 Authentication required') })
    expect(await send(mailer)).toEqual({ is: 'loginRefused', response: '530 5.7.0 Authentication required' })
  })
})

describe('the connections', () => {
  test('are as many as configured, and used again', async () => {
    const { sink, mailer } = await sinkAnd({ connections: 3 })
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => send(mailer)))
    expect(outcomes.every(({ is }) => is === 'accepted')).toBe(true)
    expect(sink.connections).toBe(3)
  })

  test('are used on after a refused recipient', async () => {
    const { sink, mailer } = await sinkAnd({ script: answering('rcpt', '550 5.1.1 no such user', 1) })
    expect((await send(mailer)).is).toBe('refused')
    expect((await send(mailer)).is).toBe('accepted')
    expect(sink.connections).toBe(1)
  })

  test('that the server ended while idle are replaced without a word', async () => {
    const { sink, mailer } = await sinkAnd({ script: answering('end', { raw: '250 ok\r\n', next: 'close' }, 1) })
    expect((await send(mailer)).is).toBe('accepted')
    expect((await send(mailer)).is).toBe('accepted')
    expect(sink.connections).toBe(2)
  })

  test('that turn out dead at MAIL are replaced, as that says nothing about the message', async () => {
    let mails = 0
    const { sink, mailer } = await sinkAnd({ script: ({ stage }) => (stage === 'mail' && ++mails === 2 ? { next: 'reset' } : undefined) })
    expect((await send(mailer)).is).toBe('accepted')
    expect((await send(mailer)).is).toBe('accepted')
    expect(sink.connections).toBe(2)
  })

  test('are renewed after a hundred messages', async () => {
    const { sink, mailer } = await sinkAnd()
    for (let sent = 0; sent < 101; sent++) await send(mailer)
    expect(sink.connections).toBe(2)
  })

  test('that the server is ending at this very moment do not keep the mailer from closing', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { mailer } = await sinkAnd({ script: answering('end', { raw: '250 ok\r\n', next: 'close' }) })
      expect((await send(mailer)).is).toBe('accepted')
      for (let left = turns; left > 0; left--) await turn()
      await mailer.close()
    }
  })

  test('are ended politely, and by force where the server does not answer', async () => {
    const { sink, mailer } = await sinkAnd({ script: answering('quit', { next: 'hang' }) })
    await send(mailer)
    await mailer.close()
    expect(sink.events.at(-1)!.stage).toBe('quit')
  })
})
