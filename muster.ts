/** The command line. `./muster --help` lists the commands; interface.md of the specification fixes them. */
import { runCommand } from './src/commands/program.ts'

process.exitCode = await runCommand(process.argv, process.env)
