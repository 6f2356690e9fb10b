import type { Database } from '../entities/database.ts'
import { troubleOf } from '../entities/databaseTrouble.ts'

const SERVICE = 'database'
/** For so long after the last statement that found no room it is believed that there is none. Jobs that found none come again sooner (queues.ts). */
const BELIEVED_SECONDS = 60

export type RoomLog = { error(detail: object, message: string): void }

/**
 * Makes what is to be told of each job that failed: where the database has no room on its disk (fault 39), an alert is logged, once for all workers until
 * it has had room for a minute. A disk that does not even take the note of that has each process say so once.
 */
export function noRoomTeller(database: Database, log: RoomLog): (error: Error) => void {
  let toldUnnoted = false
  return (error) => {
    if (troubleOf(error) !== 'full') return
    noteNoRoom(database, error.message)
      .then((fresh) => {
        toldUnnoted = false
        return fresh
      })
      .catch(() => {
        const fresh = !toldUnnoted
        toldUnnoted = true
        return fresh
      })
      .then((fresh) => {
        if (fresh) log.error({ alert: 'database_full', response: error.message }, 'the database has no room left on its disk: nothing is lost, and work goes on by itself when there is room; make some')
      }, () => undefined)
  }
}

/** Gives true for the one caller who found it with room, and should raise the alert. */
function noteNoRoom(database: Database, reason: string): Promise<boolean> {
  return database.fleet(async (tx) => {
    await tx.run('delete from service_pauses where service = $1 and retry_at <= now()', [SERVICE])
    const [row] = await tx.query<{ fresh: boolean }>(
      `insert into service_pauses (service, reason, retry_at) values ($1, $2, now() + make_interval(secs => $3))
       on conflict (service) do update set retry_at = excluded.retry_at returning xmax = 0 as fresh`,
      [SERVICE, reason, BELIEVED_SECONDS],
    )
    return row!.fresh
  })
}

/** Bytes that a database with room takes at any time. */
const PROBE_BYTES = 1024 * 1024

/**
 * What the database says, or said less than a minute ago, when it had no room; null where it has some. Tried out by writing a megabyte that is never kept:
 * a full disk may not have taken the note.
 */
export async function readNoRoom(database: Database): Promise<string | null> {
  const [row] = await database.fleet((tx) => tx.query<{ reason: string }>('select reason from service_pauses where service = $1 and retry_at > now()', [SERVICE]))
  if (row) return row.reason
  const written = new Error('written, and not to be kept')
  return database
    .fleet(async (tx) => {
      await tx.run(`create unlogged table staging.room_probe as select repeat('x', 1000) as x from generate_series(1, ${Math.ceil(PROBE_BYTES / 1000)})`)
      throw written
    })
    .catch((error: Error) => {
      if (troubleOf(error) === 'full') return error.message
      if (error === written) return null
      throw error
    })
}
