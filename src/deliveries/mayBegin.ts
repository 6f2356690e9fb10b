import type { Mailer } from './mailer.ts'
import { askSmtpPause, pauseSmtp, resumeSmtp } from './pause.ts'
import { wordsOf } from './replies.ts'
import type { SendParts, SendReport } from './send.ts'

export const UNREACHABLE_RETRY_MS = 15_000

/** What one process knows of the mail server. */
export type MailServer = {
  /** Nobody was there at the last try. */
  away: boolean
  /** Somebody tries at this moment. */
  trying: ReturnType<Mailer['probe']> | null
}

/**
 * False while SMTP is paused or the mail server is away, with the report saying so: nothing is to be claimed that could only be given back. When a
 * pause is over, the one worker that is chosen tries the login; after an outage each process looks whether somebody is there again.
 */
export async function mayBegin(parts: SendParts, report: SendReport): Promise<boolean> {
  const { database, log, loginRetrySeconds, server } = parts
  const pause = await askSmtpPause(database, loginRetrySeconds)
  if (pause.is === 'paused') return wait(report, pause.inMs)
  if (pause.is === 'open' && !server.away) return true
  const failure = await probe(parts)
  if (failure !== null) {
    if (pause.is !== 'open') log.info({ failure: failure.is }, 'mail is still paused')
    else if (failure.is === 'loginRefused') await pauseMail(parts, failure.response)
    return wait(report, pause.is === 'open' && failure.is === 'unreachable' ? UNREACHABLE_RETRY_MS : loginRetrySeconds * 1000)
  }
  server.away = false
  if (pause.is === 'open') return true
  await resumeSmtp(database)
  log.info({}, 'the mail server takes our login again; mail goes on')
  return true
}

/** Records that the mail server refuses our login, with its words, and raises the alarm once. Never throws. */
export async function pauseMail({ database, log, loginRetrySeconds }: SendParts, words: string): Promise<void> {
  try {
    if (await pauseSmtp(database, words, loginRetrySeconds)) log.error({ alert: 'smtp_login_refused', response: words }, 'the mail server refuses our login: all mail is paused; check SMTP_URL')
  } catch (error) {
    log.error({ error: wordsOf(error), response: words }, 'the mail server refuses our login, and the pause could not be recorded')
  }
}

function wait(report: SendReport, nextInMs: number): false {
  report.nextInMs = nextInMs
  report.outage = true
  return false
}

/** Once for all organizations that ask meanwhile. */
function probe({ mailer, server }: SendParts): ReturnType<Mailer['probe']> {
  server.trying ??= mailer.probe().finally(() => {
    server.trying = null
  })
  return server.trying
}
