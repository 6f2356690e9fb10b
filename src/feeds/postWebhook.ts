import { lookup, type LookupAddress } from 'node:dns'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { faultOfAddress, faultOfUrl, hostOf } from './webhookAddress.ts'

/** What an address said, or why nobody was asked: never thrown. */
export type Posted = {
  /** Any 2xx. */
  taken: boolean
  /** For people: "HTTP 500: …", at most `KEPT` characters of the answer, as one harmless line; or what went wrong. */
  response: string
  /** The signal came before an answer did: it says nothing about the address. */
  stopped?: true
}

export type PostOptions = {
  headers: Record<string, string>
  body: string
  /** For all of it, from the name's lookup to the last byte that is read. */
  deadlineMs: number
  signal: AbortSignal
  /** Asks where a name leads. Default: the system. */
  resolve?: typeof lookup
}

/** Characters of an answer that are kept. */
const KEPT = 200
/** Bytes of an answer that are read. */
const READ = 4_096

/**
 * Posts once. Connects to the very addresses that were looked at (webhookAddress.ts), so that a name cannot lead elsewhere in between;
 * redirects are not followed, as they would lead anywhere.
 */
export function postWebhook(address: string, { headers, body, deadlineMs, signal, resolve = lookup }: PostOptions): Promise<Posted> {
  return new Promise((settle) => {
    const fail = (response: string): void => settle({ taken: false, response })
    const url = URL.canParse(address) ? new URL(address) : null
    const fault = url === null ? 'the address is none' : faultOfUrl(url)
    if (url === null || fault !== null) return fail(`refused: ${fault!}`)

    const deadline = AbortSignal.timeout(deadlineMs)
    const ends = AbortSignal.any([signal, deadline])
    /** Takes the answer for whole, as far as it came. */
    let answered: (() => void) | null = null
    const end = (words: string): void => {
      if (answered !== null) answered()
      else if (deadline.aborted) fail(`no answer within ${deadlineMs / 1000} s`)
      else if (signal.aborted) settle({ taken: false, response: 'the worker was ended', stopped: true })
      else fail(inertLine(words))
    }
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        // A connection of its own, so that none is used that was looked at long ago.
        agent: false,
        lookup: guarded(hostOf(url), resolve),
        signal: ends,
      },
      (response) => {
        const status = response.statusCode ?? 0
        // That is all that it takes; what follows is let come, so that nobody takes it for broken off.
        if (status >= 200 && status < 300) settle({ taken: true, response: `HTTP ${status}` })
        answered = readSome(response, (text) => {
          request.destroy()
          const words = inertLine(text)
          fail(`HTTP ${status}${status >= 300 && status < 400 ? ' (redirects are not followed)' : ''}${words === '' ? '' : `: ${words}`}`)
        })
      },
    )
    request.on('error', (error: NodeJS.ErrnoException) => end(error.code === undefined ? error.message : `${error.code}: ${error.message}`))
    // Nobody asked for another protocol. The request is over with that, and says nothing more of itself.
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      fail(`HTTP ${response.statusCode ?? 0}`)
    })
    // Whatever else becomes of the request: with its connection, or at the deadline, this is over.
    request.on('close', () => answered === null && end('the connection was closed without an answer'))
    ends.addEventListener('abort', () => end(''), { once: true })
    request.end(body)
  })
}

/** Reads the beginning of an answer; gives what ends it early. */
function readSome(response: IncomingMessage, done: (text: string) => void): () => void {
  const parts: Buffer[] = []
  let bytes = 0
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    done(new TextDecoder().decode(Buffer.concat(parts).subarray(0, READ)))
  }
  response.on('data', (part: Buffer) => {
    parts.push(part)
    if ((bytes += part.length) >= READ) end()
  })
  response.on('end', end)
  response.on('error', end)
  response.on('close', end)
  return end
}

/** One line in its own direction, without what moves cursors or breaks lines. */
const inertLine = (text: string): string =>
  [...text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\s]+/g, ' ').replaceAll(/[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, '').trim()].slice(0, KEPT).join('')

/** Looks a name up, and lets it be connected to only where all that it leads to is permitted. */
function guarded(host: string, resolve: typeof lookup): LookupFunction {
  return (name, options, callback) => {
    resolve(name, { ...options, all: true }, (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => {
      if (error) return callback(error, '', 0)
      const fault = found.length === 0 ? `${host} leads nowhere` : found.map(({ address }) => faultOfAddress(host, address)).find((said) => said !== null)
      if (fault != null) return callback(Object.assign(new Error(fault), { code: 'refused' }), '', 0)
      if (options.all) callback(null, found)
      else callback(null, found[0]!.address, found[0]!.family)
    })
  }
}
