import type { Socket } from 'node:net'
import { ServerFault } from './serverFault.ts'

/** Keeps a deadline over what a server owes: whoever waits is told at once when the connection breaks off, falls silent or is given up. */
export type Connection = {
  name: string
  /** Waits for an answer that comes by a callback. Errors of the callback go through as they are. */
  answer<T>(ask: (done: (error: Error | null | undefined, value?: T) => void) => void): Promise<T>
  /** Waits for what has a deadline of its own, without the one for silence. */
  during<T>(work: Promise<T>): Promise<T>
  /** Ends the connection with a reason for all who wait, and for all who ask later. */
  fail(fault: ServerFault): void
  /** The end in good order: what happens from here on is nobody's fault. */
  end(): void
}

/** The time allowed without a byte is looked at in so many parts, so that a process that was itself busy does not take its own silence for the server's. */
const PARTS = 4
/** A server that only keeps the connection alive, and answers nothing for so many times the allowed silence, is silent too. That is less than the lease of a feed, which is renewed between two answers. */
const UNANSWERED = 2

/** Watches a connected socket. `silenceMs`: without a byte in this time, while an answer is owed, it is ended. */
export function watchConnection({ name, socket, silenceMs, signal }: { name: string; socket: Socket; silenceMs: number; signal?: AbortSignal }): Connection {
  const waiting = new Set<(fault: ServerFault) => void>()
  const working = new Set<(fault: ServerFault) => void>()
  let over: ServerFault | undefined
  let timer: NodeJS.Timeout | undefined
  let quiet = 0
  let unanswered = 0
  let bytes = 0

  const look = () => {
    quiet = socket.bytesRead === bytes ? quiet + 1 : 0
    bytes = socket.bytesRead
    unanswered++
    if (quiet >= PARTS || unanswered >= PARTS * UNANSWERED) connection.fail(new ServerFault('feed.silent', `${name} has stopped answering.`, 'It is tried again. If it stays so, ask the owner of the server.'))
  }
  const wait = (tell: (fault: ServerFault) => void) => {
    if (waiting.size === 0) {
      quiet = 0
      unanswered = 0
      bytes = socket.bytesRead
      timer = setInterval(look, silenceMs / PARTS)
    }
    waiting.add(tell)
  }
  /** False where the waiting was ended before. */
  const settle = (tell: (fault: ServerFault) => void): boolean => {
    unanswered = 0
    const was = waiting.delete(tell)
    if (waiting.size === 0) clearInterval(timer)
    return was
  }
  const stop = () => connection.fail(new ServerFault('feed.stopped', `The connection to ${name} was given up.`, 'It is tried again.'))

  const connection: Connection = {
    name,
    answer: <T>(ask: (done: (error: Error | null | undefined, value?: T) => void) => void) =>
      new Promise<T>((resolve, reject) => {
        if (over) return reject(over)
        wait(reject)
        const done = (error: Error | null | undefined, value?: T) => {
          if (!settle(reject)) return
          if (error) reject(error)
          else resolve(value as T)
        }
        try {
          ask(done)
        } catch (error) {
          done(error as Error)
        }
      }),
    during: <T>(work: Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        if (over) return reject(over)
        working.add(reject)
        void work.then(resolve, reject).finally(() => working.delete(reject))
      }),
    fail(fault) {
      if (over) return
      over = fault
      for (const tell of [...waiting, ...working]) tell(fault)
      connection.end()
      socket.destroy()
    },
    end() {
      over ??= new ServerFault('feed.lost', `The connection to ${name} is closed.`, 'It is tried again.')
      waiting.clear()
      working.clear()
      clearInterval(timer)
      signal?.removeEventListener('abort', stop)
    },
  }
  // The library calls back for what it had asked only where it notices; the socket always does.
  socket.once('close', () => connection.fail(new ServerFault('feed.lost', `The connection to ${name} broke off.`, 'It is tried again.')))
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  return connection
}
