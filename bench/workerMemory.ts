import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readImport } from '../src/importers/importReport.ts'
import { migrateQueues, openQueues } from '../src/jobs/queues.ts'
import type { Benchmark } from './benchmark.ts'
import { ended } from './ground.ts'
import { declareOrganization, receiveCsv, withDatabase } from './importScene.ts'
import { peakMemory } from './peakMemory.ts'
import { writePeopleCsv } from './rows.ts'

const ROWS = 1_000_000
const LIMIT_MB = 400
const POLL_MS = 250
const TEMPLATE = 'bench_worker'

export const workerMemory: Benchmark = {
  name: 'worker-memory',
  title: 'peak memory of a worker process that takes in a CSV file of 1,000,000 people, against a limit of 400 MB; once',
  unit: 'MB',
  better: 'less',
  target: 1,
  async run(ground) {
    const rows = ground.scaled(ROWS)
    const csv = join(ground.folder, 'worker.csv')
    ground.say(`preparing ${rows} rows for a worker`)
    await writePeopleCsv(csv, rows, 0)
    await ground.template(TEMPLATE, null, migrateQueues)
    return ground.withCopy(TEMPLATE, (url) =>
      withDatabase(url, async (database) => {
        const organizationId = await declareOrganization(database)
        const importId = await receiveCsv(database, organizationId, csv)
        const queues = openQueues({ databaseUrl: url, redisUrl: null, onError: (error) => ground.say(`queue: ${error.message}`) })
        const worker = ground.child('worker.ts', [], {
          DATABASE_URL: url, REDIS_URL: '', MUSTER_SECRET: 'a secret for measuring, of no other use', MUSTER_HOME: join(ground.folder, 'worker-home'),
          // No mail is owed; a server that is not there is never asked.
          SMTP_URL: 'smtp://127.0.0.1:9', LOG_LEVEL: 'warn', NODE_ENV: 'production',
        })
        worker.stdout.resume()
        try {
          const started = performance.now()
          await queues.wake('stage', { organizationId, importId })
          for (;;) {
            await pause(POLL_MS)
            const stored = await database.tenant(organizationId, (tx) => readImport(tx, importId))
            if (worker.exitCode !== null || worker.signalCode !== null) throw new Error('the worker ended before the import')
            if (stored?.state === 'failed') throw new Error(`the import failed: ${JSON.stringify(stored.failure)}`)
            if (stored?.state !== 'committed') continue
            if (stored.result?.totals.created !== rows) throw new Error(`the import did not come out as it must: ${JSON.stringify(stored.result?.totals)}`)
            break
          }
          const seconds = (performance.now() - started) / 1000
          const value = peakMemory(worker.pid!)
          ground.say(`${workerMemory.name}: ${value.toFixed(0)} MB, taken in within ${seconds.toFixed(1)} s (${Math.round(rows / seconds)} rows/s)`)
          return [{ value, floor: LIMIT_MB }]
        } finally {
          await ended(worker)
          await queues.close()
        }
      }),
    )
  },
}
