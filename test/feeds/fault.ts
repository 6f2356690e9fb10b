import { ServerFault } from '../../src/feeds/serverFault.ts'

/** The fault that something ends with. */
export async function faultOf(work: Promise<unknown>): Promise<ServerFault> {
  try {
    await work
  } catch (error) {
    if (error instanceof ServerFault) return error
    throw error
  }
  throw new Error('No fault: it went through.')
}

/** All that a stream gives, and how many pieces it came in. */
export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}
