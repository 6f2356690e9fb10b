/** The command line. `./muster --help` lists the commands; interface.md of the specification fixes them. */
import { runCommand } from './src/commands/program.ts'

// A reader such as `head` may go before everything is written: that ends the command, and is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})
/** Everything is done and closed by then; what still keeps the process is not waited for. */
const LINGER_MS = 5_000
process.exitCode = await runCommand(process.argv, process.env)
setTimeout(() => process.exit(), LINGER_MS).unref()
