/**
 * Turns single writes into batches without a timer: while one batch is being written, all that arrive wait for the next one.
 * @param write gives one answer for each item, in their order; when it throws, every item of the batch is refused with its error
 */
export function coalesce<Item, Answer>(write: (items: Item[]) => Promise<Answer[]>): (item: Item) => Promise<Answer> {
  type Waiting = { item: Item; resolve: (answer: Answer) => void; reject: (error: unknown) => void }
  let waiting: Waiting[] = []
  let writing = false

  const drain = async () => {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const answers = await write(batch.map(({ item }) => item))
        batch.forEach(({ resolve }, index) => resolve(answers[index]!))
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    writing = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (writing) return
      writing = true
      // What arrives in the same turn of the event loop goes together.
      setImmediate(() => void drain())
    })
}
