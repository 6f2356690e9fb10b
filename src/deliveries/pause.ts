import type { Database } from '../entities/database.ts'

const SMTP = 'smtp'

/**
 * Pauses all sending after the mail server has refused our login (fault 25).
 * @returns true for the one caller who found it unpaused and should raise the alert
 */
export function pauseSmtp(database: Database, reason: string, retrySeconds: number): Promise<boolean> {
  return database.fleet(async (tx) => {
    const [row] = await tx.query<{ fresh: boolean }>(
      `insert into service_pauses (service, reason, retry_at) values ($1, $2, now() + make_interval(secs => $3))
       on conflict (service) do update set reason = excluded.reason, retry_at = greatest(service_pauses.retry_at, excluded.retry_at)
       returning xmax = 0 as fresh`,
      [SMTP, reason, retrySeconds],
    )
    return row!.fresh
  })
}

/** `open`: send. `paused`: for so long nothing is sent. `probe`: the pause is over, and this caller alone may try the login. */
export type SmtpPause = { is: 'open' } | { is: 'paused'; inMs: number } | { is: 'probe' }

/** Whether mail may be sent; of all workers that ask when a pause is over, one gets `probe` and the others wait on. */
export function askSmtpPause(database: Database, retrySeconds: number): Promise<SmtpPause> {
  return database.fleet(async (tx) => {
    const [pause] = await tx.query<{ inMs: number; over: boolean }>(
      'select (extract(epoch from retry_at - now()) * 1000)::float8 as "inMs", retry_at <= now() as over from service_pauses where service = $1',
      [SMTP],
    )
    if (!pause) return { is: 'open' }
    if (!pause.over) return { is: 'paused', inMs: pause.inMs }
    const won = await tx.run(
      'update service_pauses set retry_at = now() + make_interval(secs => $2) where service = $1 and retry_at <= now()',
      [SMTP, retrySeconds],
    )
    return won > 0 ? { is: 'probe' } : { is: 'paused', inMs: retrySeconds * 1000 }
  })
}

/** Ends the pause: the login was taken. */
export function resumeSmtp(database: Database): Promise<number> {
  return database.fleet((tx) => tx.run('delete from service_pauses where service = $1', [SMTP]))
}

export type ShownPause = { reason: string; since: Date; retryAt: Date }

/** The pause of all mail, for people to see; null where mail may be sent. */
export async function readSmtpPause(database: Database): Promise<ShownPause | null> {
  const [pause] = await database.fleet((tx) => tx.query<ShownPause>('select reason, since, retry_at as "retryAt" from service_pauses where service = $1', [SMTP]))
  return pause ?? null
}
