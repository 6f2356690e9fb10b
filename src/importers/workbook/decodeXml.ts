import { isUtf8 } from 'node:buffer'
import { FileRefused } from '../../rules/refusal.ts'

/** Bytes within which an XML declaration with its encoding must stand. */
const DECLARATION = 256

const corrupt = (what: string) => new FileRefused('file.corrupt', { what })

/**
 * Hands on the bytes of an XML part as valid UTF-8 without a byte order mark, cut between characters.
 * UTF-16 is converted; any other encoding, and bytes that are not what they claim to be, are refused (`file.corrupt`).
 */
export async function* decodeXml(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let decoder: TextDecoder | null | undefined
  for await (const chunk of chunks) {
    let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (decoder === undefined) {
      if (bytes.length < DECLARATION) {
        held = bytes
        continue
      }
      const found = detectEncoding(bytes, name)
      decoder = found.decoder
      bytes = bytes.subarray(found.skip)
    }
    const whole = decoder ? bytes.length : wholeCharacters(bytes)
    yield* checked(bytes.subarray(0, whole), decoder, name, true)
    held = bytes.subarray(whole)
  }
  let rest = held
  if (decoder === undefined) {
    const found = detectEncoding(held, name)
    decoder = found.decoder
    rest = held.subarray(found.skip)
  }
  yield* checked(rest, decoder, name, false)
}

function* checked(bytes: Buffer, decoder: TextDecoder | null, name: string, stream: boolean): Generator<Buffer> {
  if (!decoder) {
    if (!isUtf8(bytes)) throw corrupt(`its part ${name} is not valid UTF-8 text`)
    if (bytes.length > 0) yield bytes
    return
  }
  try {
    const text = decoder.decode(bytes, { stream })
    if (text.length > 0) yield Buffer.from(text)
  } catch {
    throw corrupt(`its part ${name} is not valid UTF-16 text`)
  }
}

/** How many bytes at the front end with a complete character, as far as the first bytes of characters tell. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!
    if (byte < 0x80) return bytes.length
    if (byte >= 0xc0) return (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}

function detectEncoding(bytes: Buffer, name: string): { decoder: TextDecoder | null; skip: number } {
  const [a, b, c] = bytes
  const utf16 = (label: string) => ({ decoder: new TextDecoder(label, { fatal: true }), skip: 0 })
  if (a === 0xff && b === 0xfe || a === 0x3c && b === 0) return utf16('utf-16le')
  if (a === 0xfe && b === 0xff || a === 0 && b === 0x3c) return utf16('utf-16be')
  const skip = a === 0xef && b === 0xbb && c === 0xbf ? 3 : 0
  const declaration = /^<\?xml[^>]*?encoding\s*=\s*["']([^"']*)/.exec(bytes.toString('latin1', skip, DECLARATION))
  const encoding = declaration?.[1]?.toLowerCase() ?? 'utf-8'
  if (encoding !== 'utf-8' && encoding !== 'utf8' && encoding !== 'us-ascii') throw corrupt(`its part ${name} is in the encoding ${encoding.slice(0, 40)}; only UTF-8 and UTF-16 are read`)
  return { decoder: null, skip }
}
