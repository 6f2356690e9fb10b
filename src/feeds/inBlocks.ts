/** The same bytes in blocks of so many; the last one may have less. Texts become UTF-8. */
export async function* inBlocks(bytes: Iterable<Buffer | string> | AsyncIterable<Buffer | string>, size: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let length = 0
  for await (const part of bytes) {
    let rest = typeof part === 'string' ? Buffer.from(part) : part
    while (length + rest.length >= size) {
      const space = size - length
      yield Buffer.concat([...parts, rest.subarray(0, space)])
      rest = rest.subarray(space)
      parts = []
      length = 0
    }
    if (rest.length > 0) {
      parts.push(rest)
      length += rest.length
    }
  }
  if (length > 0) yield Buffer.concat(parts)
}
