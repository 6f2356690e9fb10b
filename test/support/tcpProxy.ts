/**
 * A TCP proxy on the loopback under the test's control: what lies behind it can be cut off, fall silent, be gone without a word, or
 * become slow. What it does holds for the connections that are open and for new ones, until `heal`.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

export type TcpProxy = {
  port: number
  /** Resets every open connection. New ones go through. */
  cut(): void
  /** Resets every open connection and each new one. */
  refuse(): void
  /** Nothing passes in either direction; connections stay open, and new ones are taken and left without a word. */
  hang(): void
  /** The server's side of open connections is gone and nobody tells the client, whose bytes are swallowed (a lost route). New ones go through. */
  halfOpen(): void
  /** At most so many bytes a second in each direction of each connection. */
  slow(bytesPerSecond: number): void
  /** Once so many more bytes have come from the server, counted over all connections, the connection is reset, or closed in order. Once. */
  cutAfter(bytes: number, how?: 'reset' | 'end'): void
  /** As `hang`, once so many more bytes have come from the server. */
  hangAfter(bytes: number): void
  /** All passes again; what was held back arrives. Half-open connections stay lost. */
  heal(): void
  /** Connections open at present. */
  connections(): number
  /** Connections made so far. */
  made(): number
  /** Bytes that came from the server so far. */
  received(): number
  close(): Promise<void>
}

type Link = { client: Socket; server: Socket; lost: boolean }

/** Starts a proxy before the loopback's `port`. */
export async function startTcpProxy({ port }: { port: number }): Promise<TcpProxy> {
  const links = new Set<Link>()
  let made = 0
  let received = 0
  let refusing = false
  let rate = Infinity
  let gate: { promise: Promise<void>; open: () => void } | undefined
  /** Told when `received` has come so far. */
  let mark: { at: number; act: (link: Link) => void } | undefined

  const shut = () => {
    if (gate) return
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = { promise, open: resolve }
  }
  const drop = (link: Link, how: 'reset' | 'end' = 'reset') => {
    links.delete(link)
    link.server.destroy()
    if (how === 'reset') link.client.resetAndDestroy()
    else link.client.end()
  }

  /** One direction of a connection; ends when either side has. */
  const pump = async (link: Link, from: Socket, to: Socket): Promise<void> => {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; ) {
        if (gate) await gate.promise
        let step = Math.min(chunk.length - at, Math.max(1, Math.floor(rate / 20)))
        if (from === link.server && mark) step = Math.min(step, Math.max(0, mark.at - received))
        const part = chunk.subarray(at, at + step)
        at += step
        if (Number.isFinite(rate)) await pause((1000 * step) / rate)
        if (from === link.server) received += step
        if (!link.lost && !to.destroyed && step > 0 && !to.write(part)) await Promise.race([once(to, 'drain'), once(to, 'close')])
        if (from === link.server && mark && received >= mark.at) {
          const { act } = mark
          mark = undefined
          act(link)
        }
      }
    }
    if (!link.lost) to.end()
  }

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    made++
    if (refusing) {
      client.on('error', () => undefined)
      client.resetAndDestroy()
      return
    }
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const link: Link = { client, server, lost: false }
    links.add(link)
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
    }
    client.once('close', () => {
      links.delete(link)
      server.destroy()
    })
    server.once('close', (broken: boolean) => {
      if (broken && !link.lost) client.resetAndDestroy()
    })
    // A side that was cut ends its loop with an error, which the other side is told of above.
    pump(link, client, server).catch(() => undefined)
    pump(link, server, client).catch(() => undefined)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')

  const proxy: TcpProxy = {
    port: (listener.address() as AddressInfo).port,
    cut() {
      for (const link of links) drop(link)
    },
    refuse() {
      refusing = true
      proxy.cut()
    },
    hang: shut,
    halfOpen() {
      for (const link of links) {
        link.lost = true
        link.server.destroy()
      }
    },
    slow(bytesPerSecond) {
      rate = bytesPerSecond
    },
    cutAfter(bytes, how = 'reset') {
      mark = { at: received + bytes, act: (link) => drop(link, how) }
    },
    hangAfter(bytes) {
      mark = { at: received + bytes, act: shut }
    },
    heal() {
      refusing = false
      rate = Infinity
      mark = undefined
      gate?.open()
      gate = undefined
    },
    connections: () => links.size,
    made: () => made,
    received: () => received,
    async close() {
      proxy.heal()
      const closed = once(listener, 'close')
      listener.close()
      for (const link of links) drop(link)
      await closed
    },
  }
  return proxy
}
