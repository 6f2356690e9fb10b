import { FileRefused } from '../rules/refusal.ts'
import { detectDelimiter, readSeparatorLine } from './csv/delimiter.ts'
import { decodeHead, decodeText, detectEncoding } from './csv/encoding.ts'
import { readRows, tooLarge } from './csv/rows.ts'
import type { ByteSource, Limits, Source } from './source.ts'

/**
 * Opens a CSV file (spec A3): decides on encoding and delimiter, which the description tells, and reads rows on demand.
 * `encoding` is any label of the Encoding Standard, `delimiter` one character; what is given is not guessed, though
 * a byte order mark is stronger. The first row is the header, as it stands; blank lines before it are passed over.
 * Later rows: a blank line has no cells, an empty field is null, values are not trimmed, trailing empty fields
 * beyond the header are dropped. `row` is the line on which the record begins, any newline ending a line.
 *
 * Throws FileRefused, here or while rows are read: `file.empty`, `file.encoding`, `file.too_large` (of bytes, rows,
 * columns or characters in one cell; its size is what had been seen until then), `file.unclosed_quote`.
 */
export async function openCsv(source: ByteSource, limits: Limits, options: { encoding?: string; delimiter?: string; signal?: AbortSignal }): Promise<Source> {
  if (options.delimiter !== undefined && !/^[^\r\n"\ufeff]$/.test(options.delimiter)) throw new RangeError('The delimiter of a CSV file is one character, and not a quote or newline.')
  if (source.size > limits.fileBytes) throw tooLarge('number of bytes', source.size, limits.fileBytes)
  if (source.size === 0) throw new FileRefused('file.empty', { what: 'no data' })
  const { encoding, head } = await detectEncoding(source, options.encoding, options.signal)
  const text = decodeHead(head, encoding)
  const separatorLine = readSeparatorLine(text)
  const delimiter = options.delimiter ?? separatorLine?.delimiter ?? detectDelimiter(text.slice(separatorLine?.length), head.length === source.size)
  const start = separatorLine?.length ?? 0
  return {
    description: { format: 'csv', sheet: null, encoding: encoding.name, delimiter },
    rows: () => readRows(decodeText(boundedBytes(source, limits, options.signal), encoding), { start, delimiter, limits }),
  }
}

async function* boundedBytes(source: ByteSource, limits: Limits, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let size = 0
  for await (const bytes of source.stream()) {
    signal?.throwIfAborted()
    size += bytes.length
    if (size > limits.fileBytes) throw tooLarge('number of bytes', size, limits.fileBytes)
    yield bytes
  }
}
