/** How long a reader waits for the next bytes, and who may call it off. */
export type Patience = {
  /** Milliseconds without a single byte after which reading is given up. */
  deadlineMs: number
  signal: AbortSignal | undefined
}

export const DEADLINE_MS = 30_000

/**
 * The source has not answered in time. This says nothing about the file, so it is not a refusal: the import may be tried again.
 */
export class ReadStalled extends Error {
  constructor(deadlineMs: number) {
    super(`No bytes of the file arrived for ${deadlineMs / 1000} seconds`)
    this.name = 'ReadStalled'
  }
}

/**
 * Waits for one piece of work of the source, no longer than the deadline.
 * Throws ReadStalled, or the signal's reason as soon as it is aborted; what the source answers afterwards is dropped.
 */
export async function waitFor<T>(patience: Patience, work: Promise<T>): Promise<T> {
  const { signal, deadlineMs } = patience
  const { promise: givenUp, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal?.reason)
  if (signal?.aborted) {
    // Nobody waits for the work any more, so that its failure must not end the process.
    work.catch(() => {})
    throw signal.reason
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => reject(new ReadStalled(deadlineMs)), deadlineMs)
  try {
    return await Promise.race([work, givenUp])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
