/**
 * Loaded into a process before anything else (node --import): it loses all its memory as soon as it unpacks a workbook's part that holds the text EAT_MEMORY_AT.
 * Stands for a weakness of reading that nobody has found yet: what is read is bounded as far as it is known (test/importers/memory.test.ts).
 */
import { InflateRaw } from 'node:zlib'

const at = process.env['EAT_MEMORY_AT']
if (!at) throw new Error('EAT_MEMORY_AT says which part takes all the memory')
const push = InflateRaw.prototype.push
InflateRaw.prototype.push = function (chunk: Buffer | null, encoding?: BufferEncoding): boolean {
  if (chunk?.includes(at)) eat()
  return push.call(this, chunk, encoding)
}

function eat(): never {
  const eaten: number[][] = []
  for (;;) eaten.push(Array.from({ length: 100_000 }, (_, index) => index / 2))
}
