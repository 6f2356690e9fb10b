/** Why a statement failed, where the database itself is the reason: it has no room on its disk, or is out of reach, ending, starting, or short of what it needs. */
export type DatabaseTrouble = 'full' | 'away'

const DISK_FULL = '53100'
/** What PostgreSQL says of ENOSPC, and of a page that was written in part. */
const NO_ROOM = /No space left on device|wrote only \d+ of \d+ bytes/
/** Classes and codes of SQLSTATE: connection lost, short of resources, an operator's intervention, trouble of the system below. */
const AWAY = /^(?:08|53|57P0|58)/
/** Of the system, the wire and the name service. */
const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'database.silent'])
/** What pg says without a code. */
const CUT = /^(?:Connection terminated|Client has encountered a connection error|Client was closed and is not queryable|timeout expired$)/

/** Tells whether an error speaks of the database's own state and not of what was asked of it; null where it does not, as far as can be told. */
export function troubleOf(error: unknown): DatabaseTrouble | null {
  if (!(error instanceof Error)) return null
  const { code } = error as { code?: unknown }
  // Not everything that finds no room says so by its code: a write that was cut short is an internal error.
  if (code === DISK_FULL || (typeof code === 'string' && NO_ROOM.test(error.message))) return 'full'
  if (typeof code === 'string') return AWAY.test(code) || UNREACHABLE.has(code) ? 'away' : null
  return CUT.test(error.message) ? 'away' : null
}
