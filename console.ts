/** The web console for operators, and on a port of its own the portal and the HTTP API for everybody else. */
import { portalParts } from './src/commands/installation.ts'
import { runProcess } from './src/commands/runProcess.ts'
import { startPortal } from './src/portal/startPortal.ts'
import { startConsole } from './src/web/startConsole.ts'

await runProcess(async (installation) => {
  const { config, database, log } = installation
  const console = await startConsole({ database, mailboxHome: config.smtpUrl === null ? config.home : null, port: config.port })
  const portal = await startPortal(portalParts(installation)).catch(async (error: unknown) => {
    await console.close()
    throw error
  })
  log.info({ console: console.url, portal: portal.url }, 'console and portal ready')
  return { close: () => Promise.all([console.close(), portal.close()]) }
})
