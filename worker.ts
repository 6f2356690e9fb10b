/** The workers: as many as you like, on as many machines, over one PostgreSQL and, where wanted, Redis (spec E6). */
import { runProcess } from './src/commands/runProcess.ts'

await runProcess((installation) => installation.startWorker())
