/**
 * A process that takes imports to their end, one for each line on standard input, and prints what came of each: {"organizationId", "take": id} from
 * where it is, as a worker does; {"organizationId", "commit": id} the plan that was previewed. Ends with its input.
 */
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { readConfig } from '../../src/config.ts'
import { Database } from '../../src/entities/database.ts'
import { commitChunk } from '../../src/jobs/commitChunk.ts'
import { beginCommit, stageImport } from '../../src/jobs/stageImport.ts'

const database = new Database(readConfig().databaseUrl!, { maxConnections: 3 })
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

say({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  const { organizationId, take, commit } = JSON.parse(line) as { organizationId: string; take?: string; commit?: string }
  try {
    say({ ended: await (take === undefined ? commitPlan(organizationId, commit!) : takeIn(organizationId, take)) })
  } catch (error) {
    say({ ended: 'refused', code: (error as { code?: string }).code, message: (error as Error).message })
  }
}
await database.close()

function partsFor(chunks: number[]) {
  return {
    database,
    failpoint: () => Promise.resolve(),
    queues: {
      wake: (name: string, payload: object) => {
        if (name === 'commit' && 'chunk' in payload) chunks.push(payload.chunk as number)
        return Promise.resolve()
      },
    },
  }
}

/** As often as it is not its turn, as a queue would. */
async function takeIn(organizationId: string, importId: string): Promise<string> {
  for (;;) {
    const chunks: number[] = []
    const outcome = await stageImport(partsFor(chunks), { organizationId, importId }, new AbortController().signal)
    if (outcome.kind !== 'snooze') return commitAll(organizationId, importId, chunks)
    await pause(50)
  }
}

async function commitPlan(organizationId: string, importId: string): Promise<string> {
  return commitAll(organizationId, importId, await database.tenant(organizationId, (tx) => beginCommit(tx, importId)))
}

async function commitAll(organizationId: string, importId: string, chunks: readonly number[]): Promise<string> {
  for (const chunk of chunks) await commitChunk(partsFor([]), { organizationId, importId, chunk })
  return 'done'
}
