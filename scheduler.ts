/** Keeps the job schedulers in step; nothing else. Any number may run. */
import { runProcess } from './src/commands/runProcess.ts'
import { startScheduler } from './src/jobs/startScheduler.ts'

await runProcess(({ queues, log }) => startScheduler(queues, log))
