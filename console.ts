/** The web console. */
import { runProcess } from './src/commands/runProcess.ts'
import { startConsole } from './src/web/startConsole.ts'

await runProcess(async ({ config, database, log }) => {
  const console = await startConsole({ database, mailboxHome: config.smtpUrl === null ? config.home : null, port: config.port })
  log.info({ url: console.url }, 'console ready')
  return console
})
