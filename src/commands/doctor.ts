import { createConnection } from 'node:net'
import { SettingsRefused } from '../config.ts'
import { OBJECTIONS } from '../deliveries/recheck.ts'
import { readNoRoom } from '../jobs/noRoom.ts'
import { RedisUnfit } from '../jobs/queues.ts'
import { workerSeen } from '../jobs/seenWorkers.ts'
import { RESERVED_KEYS } from '../organizations/declaration.ts'
import { ONE_ADDRESS, seesOneAddress } from '../portal/proxies.ts'
import type { Context } from './context.ts'
import { examineFeeds } from './examineFeeds.ts'
import type { Finding } from './finding.ts'
import type { Installation } from './installation.ts'
import { EXIT, green, inert, number, red, yellow, type ExitStatus } from './output.ts'

const well = (part: string, message: string): Finding => ({ part, state: 'well', message, hint: null })

/** `muster doctor`: looks at settings, database, queue, SMTP and what waits for a person; says what to do. */
export async function examine(context: Context): Promise<ExitStatus> {
  const findings: Finding[] = []
  try {
    const config = context.config()
    findings.push(well('settings', config.databaseUrl === null ? `embedded parts in ${config.home}` : 'as given'))
    if (seesOneAddress(config)) findings.push({ part: 'portal', state: 'attention', ...ONE_ADDRESS })
    await context.with(async (installation) => {
      findings.push(...(await examineParts(installation)))
    })
  } catch (error) {
    findings.push(explain(error as Error & { code?: string }))
  }
  const { out } = context
  const failed = findings.some(({ state }) => state === 'failed')
  if (out.json) out.data({ healthy: !failed, findings })
  else
    for (const { part, state, message, hint } of findings) {
      out.say(`${{ well: green('well     '), attention: yellow('attention'), failed: red('failed   ') }[state]}  ${part.padEnd(11)} ${inert(message)}`)
      if (hint) out.say(`${' '.repeat(24)}${inert(hint)}`)
    }
  return failed ? EXIT.refused : EXIT.done
}

function explain(error: Error & { code?: string }): Finding {
  if (error instanceof SettingsRefused) return { part: 'settings', state: 'failed', message: error.faults.join(' '), hint: 'docs/operations.md describes every setting.' }
  if (error instanceof RedisUnfit) return { part: 'queue', state: 'failed', message: error.message, hint: null }
  const hint = error.code === 'ECONNREFUSED' ? 'Is the server running, and do DATABASE_URL and REDIS_URL name it?' : error.code === '28P01' ? 'The user or password in DATABASE_URL is wrong.' : null
  return { part: 'database', state: 'failed', message: error.message || String(error.code), hint }
}

async function examineParts(installation: Installation): Promise<Finding[]> {
  const { database, queues, config } = installation
  const findings: Finding[] = []
  const [server] = await database.fleet((tx) => tx.query<{ version: string; behind: boolean }>(`select current_setting('server_version') as version, to_regclass('imports') is null as behind`))
  findings.push(
    server!.behind
      ? { part: 'database', state: 'failed', message: `PostgreSQL ${server!.version}, without Muster's tables`, hint: './muster migrate brings it to this version.' }
      : well('database', `PostgreSQL ${server!.version}`),
  )
  const waiting = await queues.counts()
  findings.push(well('queue', `${config.redisUrl === null ? 'in PostgreSQL' : 'in Redis'}; waiting: ${Object.entries(waiting).map(([name, count]) => `${count} ${name}`).join(', ')}`))
  findings.push(await examineMail(installation))
  findings.push(
    (await workerSeen(installation.database))
      ? well('workers', 'at least one is there')
      : installation.embedded
        ? well('workers', 'none is running now; every command brings its own, and npm start keeps one')
      : { part: 'workers', state: 'attention', message: 'no worker is running', hint: 'Start one: node worker.ts' },
  )
  findings.push(...(await examineWork(installation)))
  return findings
}

async function examineMail({ config }: Installation): Promise<Finding> {
  if (config.smtpUrl === null) return well('mail', 'goes to the built-in mailbox (./muster mailbox)')
  const url = new URL(config.smtpUrl)
  const port = Number(url.port || (url.protocol === 'smtps:' ? 465 : 587))
  const reached = await new Promise<string | null>((resolve) => {
    const socket = createConnection({ host: url.hostname, port, timeout: 5_000 })
    const end = (problem: string | null): void => {
      socket.destroy()
      resolve(problem)
    }
    socket.once('connect', () => end(null)).once('error', (error) => end(error.message)).once('timeout', () => end('no answer within 5 s'))
  })
  if (reached === null) return well('mail', `${url.hostname}:${port} answers`)
  return { part: 'mail', state: 'failed', message: `${url.hostname}:${port} cannot be reached: ${reached}`, hint: 'Check SMTP_URL and the way to the mail server.' }
}

/** What waits for a person, over all organizations. */
async function examineWork(installation: Installation): Promise<Finding[]> {
  const { database } = installation
  const worked = await workerSeen(database)
  const findings: Finding[] = []
  const [pause] = await database.fleet((tx) => tx.query<{ reason: string; retryAt: Date }>(`select reason, retry_at as "retryAt" from service_pauses where service = 'smtp'`))
  const full = await readNoRoom(database)
  if (full !== null) findings.push({ part: 'database', state: 'failed', message: `no room on its disk: ${full}`, hint: 'Nothing is lost. Make room; work goes on by itself.' })
  if (pause) findings.push({ part: 'mail', state: 'failed', message: `paused: ${pause.reason}`, hint: `It is tried again by itself at ${pause.retryAt.toISOString()}. Check the user and password in SMTP_URL.` })
  for (const { id, key } of await database.fleet((tx) => tx.query<{ id: string; key: string }>('select id, key from fleet.organizations()'))) {
    const [counts] = await database.tenant(id, (tx) =>
      tx.query<{ unknown: number; failed: number; bounced: number; heldBack: number; frozen: number; waiting: number; running: number }>(
        `select (select count(*)::int from deliveries where state = 'unknown') as unknown, (select count(*)::int from deliveries where state = 'failed') as failed,
           (select count(*)::int from deliveries where state = 'bounced') as bounced,
           (select count(*)::int from deliveries where state = 'held' and reason = 'not_loginable') as "heldBack", (select count(*)::int from releases where state = 'frozen') as frozen, (select count(*)::int from imports where state = 'previewed' or state = 'held' and feed_id is null) as waiting,
           (select count(*)::int from imports where state in ('received', 'staging', 'committing')) as running`,
      ),
    )
    if (RESERVED_KEYS.includes(key)) findings.push({ part: key, state: 'attention', message: 'its key is a word that addresses of the portal begin with: its own pages there may not be reached', hint: 'People cannot sign in at the portal under this key. New organizations are refused such keys.' })
    const tell = (some: number, one: string, many: string, hint: string): void => void (some > 0 && findings.push({ part: key, state: 'attention', message: some === 1 ? one : `${number(some)} ${many}`, hint }))
    tell(counts!.unknown, 'a mail whose end nobody knows', 'mails whose end nobody knows', './muster deliveries list --state unknown, then ./muster deliveries resolve ID --as sent or not-sent')
    tell(counts!.failed, 'a mail that was refused', 'mails that were refused', './muster deliveries list --state failed, then ./muster deliveries retry ID')
    tell(counts!.bounced, 'a mail that came back', 'mails that came back', './muster deliveries list --state bounced, mend the address, then ./muster deliveries retry ID')
    tell(counts!.heldBack, `a mail held back: ${OBJECTIONS['not_loginable']}`, `mails held back: ${OBJECTIONS['not_loginable']}`, `./muster users list --organization ${key} --filter loginable=false`)
    tell(counts!.frozen, 'a release that is frozen', 'releases that are frozen', './muster release list, then ./muster release resume ID or cancel ID')
    if (!worked) tell(counts!.running, 'an import that nobody works at', 'imports that nobody works at', './muster up goes on with what is left')
    findings.push(...(await examineFeeds(installation, id, key)))
    tell(counts!.waiting, 'an import that waits for a decision', 'imports that wait for a decision', './muster import list')
  }
  return findings
}
