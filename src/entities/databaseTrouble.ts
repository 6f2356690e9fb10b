/** Why a statement failed, where the database itself is the reason: it has no room on its disk, or is out of reach, ending, starting, or short of what it needs. */
export type DatabaseTrouble = 'full' | 'away'

const DISK_FULL = '53100'
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
  if (code === DISK_FULL) return 'full'
  if (typeof code === 'string') return AWAY.test(code) || UNREACHABLE.has(code) ? 'away' : null
  return CUT.test(error.message) ? 'away' : null
}
