/**
 * An SMTP server under the test's control, over plain sockets: at every stage it can refuse, answer half, hang, close or reset,
 * when the test says so. It records each message whose end it has received, which is what invariant I2 counts.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net'

export type Stage = 'greeting' | 'ehlo' | 'auth' | 'mail' | 'rcpt' | 'data' | 'body' | 'end' | 'rset' | 'quit'

export type Event = {
  stage: Stage
  /** Connections and messages count from 1. */
  connection: number
  message: number
  /** The command, or at `end` the message. */
  text: string
}

/**
 * A string is a complete reply. `raw` is written as it is, for answers cut short. `next` says what becomes of the connection;
 * hang: nothing more is ever said on it.
 */
export type Answer = string | { raw?: string; next: 'go on' | 'close' | 'reset' | 'hang' }

/** What to do at a stage; undefined: what a server does that takes everything. May wait for whatever the test likes. */
export type Script = (event: Event) => Answer | undefined | Promise<Answer | undefined>

export type Received = { from: string; to: string[]; body: string; messageId: string; connection: number; answer: string | null }

export type Sink = {
  /** smtp://127.0.0.1:port */
  url: string
  port: number
  /** Messages whose end was received, whatever was answered. */
  messages: Received[]
  /** Those of them that were accepted with a complete reply. */
  accepted(): Received[]
  events: Event[]
  /** Connections made so far. */
  connections: number
  /** Another script from here on. */
  use(script: Script): void
  /** Resolves when the stage is reached for the nth time since the sink began. */
  reached(stage: Stage, times?: number): Promise<Event>
  close(): Promise<void>
}

export type SinkOptions = { script?: Script; extensions?: string[]; /** Keep bodies; off for benchmarks. */ record?: boolean; port?: number }

const TAKES_EVERYTHING: Record<Stage, string> = {
  greeting: '220 sink ready', ehlo: '', auth: '235 2.7.0 ok', mail: '250 2.1.0 ok', rcpt: '250 2.1.5 ok', data: '354 go ahead',
  body: '', end: '250 2.0.0 taken', rset: '250 2.0.0 ok', quit: '221 2.0.0 bye',
}
const STAGES: Record<string, Stage> = { EHLO: 'ehlo', HELO: 'ehlo', AUTH: 'auth', MAIL: 'mail', RCPT: 'rcpt', DATA: 'data', RSET: 'rset', QUIT: 'quit' }

/** Starts a sink on a free port of the loopback. */
export async function startSink({ script = () => undefined, extensions = ['PIPELINING', '8BITMIME'], record = true, port = 0 }: SinkOptions = {}): Promise<Sink> {
  let current = script
  const sockets = new Set<Socket>()
  const waiting: { stage: Stage; times: number; resolve: (event: Event) => void }[] = []
  const counts = new Map<Stage, number>()
  let begun = 0

  const note = (event: Event) => {
    sink.events.push(event)
    const count = (counts.get(event.stage) ?? 0) + 1
    counts.set(event.stage, count)
    for (const wait of waiting) if (wait.stage === event.stage && wait.times === count) wait.resolve(event)
  }

  const server = createServer((socket) => {
    const connection = ++sink.connections
    sockets.add(socket)
    // Replies to pipelined commands would otherwise wait for the other side's delayed acknowledgement.
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    void converse(socket, connection)
  })

  async function converse(socket: Socket, connection: number): Promise<void> {
    let message = 0
    let envelope = { from: '', to: [] as string[] }
    /** Gives what was answered, or null where the conversation is over. */
    const at = async (stage: Stage, text: string, usual = TAKES_EVERYTHING[stage]): Promise<string | null> => {
      const event = { stage, connection, message, text }
      if (record) note(event)
      const answer = (await current(event)) ?? usual
      if (typeof answer === 'string') {
        if (answer !== '' && !socket.destroyed) socket.write(`${answer}\r\n`)
        return answer
      }
      if (answer.raw !== undefined) socket.write(answer.raw)
      if (answer.next === 'go on') return answer.raw ?? ''
      if (answer.next === 'close') socket.end()
      if (answer.next === 'reset') socket.resetAndDestroy()
      return null
    }
    const input = reader(socket)
    if ((await at('greeting', '')) === null) return
    for (;;) {
      const line = await input.line()
      if (line === null) return
      const stage = STAGES[line.slice(0, 4).toUpperCase()]
      if (stage === undefined) {
        socket.write('500 5.5.1 what?\r\n')
        continue
      }
      if (stage === 'mail') {
        message = ++begun
        envelope = { from: /<(.*?)>/.exec(line)?.[1] ?? '', to: [] }
      }
      const said = await at(stage, line, stage === 'ehlo' ? ['250-sink', ...extensions.map((name) => `250-${name}`), '250 HELP'].join('\r\n') : stage === 'data' && envelope.to.length === 0 ? '503 5.5.1 nobody to send to' : undefined)
      if (said === null) return
      if (stage === 'quit') return void socket.end()
      if (stage === 'rcpt' && said.startsWith('2')) envelope.to.push(/<(.*?)>/.exec(line)?.[1] ?? '')
      if (stage !== 'data' || !said.startsWith('3')) continue
      if (!(await input.some())) return
      if (record && (await at('body', '')) === null) return
      const body = await input.message()
      if (body === null) return
      const received: Received = { ...envelope, body, messageId: /^message-id:\s*(<[^>]*>)/im.exec(body)?.[1] ?? '', connection, answer: null }
      if (record) sink.messages.push(received)
      received.answer = await at('end', body)
      if (received.answer === null) return
    }
  }

  const sink: Sink = {
    url: '',
    port: 0,
    messages: [],
    accepted: () => sink.messages.filter(({ answer }) => answer?.startsWith('2')),
    events: [],
    connections: 0,
    use: (script) => {
      current = script
    },
    reached: (stage, times = 1) =>
      new Promise((resolve) => {
        const already = sink.events.filter((event) => event.stage === stage)[times - 1]
        if (already) resolve(already)
        else waiting.push({ stage, times, resolve })
      }),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  sink.port = (server.address() as AddressInfo).port
  sink.url = `smtp://127.0.0.1:${sink.port}`
  return sink
}

/** The bytes of a connection by line and by message, as latin1. */
function reader(socket: Socket) {
  let buffer = ''
  let ended = false
  let wake: (() => void) | null = null
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    buffer += chunk
    wake?.()
  })
  socket.on('close', () => {
    ended = true
    wake?.()
  })
  socket.on('end', () => {
    ended = true
    wake?.()
  })
  const until = async (find: () => number): Promise<number> => {
    for (;;) {
      const found = find()
      if (found >= 0 || ended) return found
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = null
    }
  }
  const take = (length: number, drop: number) => {
    const taken = buffer.slice(0, length)
    buffer = buffer.slice(length + drop)
    return taken
  }
  return {
    /** The next line, or null at the end. */
    async line(): Promise<string | null> {
      const end = await until(() => buffer.indexOf('\r\n'))
      return end < 0 ? null : take(end, 2)
    },
    /** Whether anything of a message has come. */
    async some(): Promise<boolean> {
      return (await until(() => (buffer.length > 0 ? 1 : -1))) >= 0
    },
    /** A message up to its closing dot, unstuffed, or null where the connection ended before. */
    async message(): Promise<string | null> {
      const end = await until(() => (buffer.startsWith('.\r\n') ? 0 : buffer.indexOf('\r\n.\r\n')))
      if (end < 0) return null
      return (end === 0 ? take(0, 3) : take(end, 5)).replace(/^\.\./gm, '.')
    },
  }
}
