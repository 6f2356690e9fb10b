import type { FeedAlertKind } from '../entities/states.ts'
import { explainFailure, FAILURES, fillIn, type FailureCode } from '../rules/catalog.ts'
import type { Told } from './acknowledge.ts'

/** A code with what belongs to it, as runs and files keep it; `message` and `hint` among it where the catalog does not know the code. */
export type FeedProblem = { code: string; detail: Record<string, string | number> }

/** What went wrong, in words; a ServerFault is one. */
export type Fault = { code: string; message: string; hint: string; detail: Record<string, string | number> }

/** What runs and files say of themselves besides what servers and imports say. */
const KNOWN: Record<string, { message: string; hint: string }> = {
  'feed.no_file': { message: 'No file lay there that was not dealt with before.', hint: 'Ask the sender whether it has been sent, and under which name.' },
  'feed.not_whole': { message: 'A file lies there and is not whole yet.', hint: 'Nothing needs doing, unless it stays so: then the sender does not do what the readiness of the feed waits for.' },
  'feed.marker_older': { message: 'The file {file} lies there, and its marker {marker} is older than it: it speaks of the file that lay there before.', hint: 'Ask the sender to write the marker last, and anew with each file.' },
  'feed.waits_for_import': { message: 'The next file waits until the one before it is through.', hint: 'Nothing needs doing.' },
  'feed.waits_for_decision': { message: 'The next file waits until somebody has decided about the one that is held.', hint: 'Decide: ./muster feed approve or ./muster feed reject.' },
  'feed.paused': { message: 'The feed was paused.', hint: './muster feed resume lets it run again.' },
  'feed.not_trusted': { message: 'The key of the server is not pinned.', hint: 'Compare it with what the server\'s people say, and pin it: ./muster feed trust' },
  'feed.repeated': { message: 'The file holds the same bytes as {earlier}, which was taken in before.', hint: 'Nothing was done. If another file was meant, send that one.' },
  'feed.newer_file': { message: 'A newer file, {newer}, was taken in its place.', hint: 'Nothing needs doing: a full file says everything.' },
  'import.rejected': { message: 'The file was held, and it was decided not to take it in.', hint: 'If that was wrong, send the file again.' },
  'import.expired': { message: 'The file was held, and nobody decided about it in time.', hint: 'Send the file again.' },
  'import.superseded': { message: 'The file was held, and a newer one was taken in its place.', hint: 'Nothing needs doing: a full file says everything.' },
  'import.cancelled': { message: 'The import was cancelled.', hint: 'If that was wrong, send the file again.' },
  'import.gone': { message: 'The import of the file is no longer there.', hint: 'Send the file again.' },
}

/** A problem that is known here, with what belongs to it. */
export const problem = (code: string, detail: FeedProblem['detail'] = {}): FeedProblem => ({ code, detail })

/** What stands in the way at a server, to be kept. `times`: in how many looks in a row. */
export const problemOf = ({ code, message, hint, detail }: Fault, times = 1): FeedProblem => ({ code, detail: { ...detail, message, hint, times } })

/** A problem in words. */
export function explainProblem({ code, detail }: FeedProblem): Told {
  if (typeof detail['message'] === 'string') return { code, message: detail['message'], hint: String(detail['hint'] ?? '') }
  if (Object.hasOwn(FAILURES, code)) return { code, ...explainFailure(code as FailureCode, detail) }
  const { message, hint } = KNOWN[code] ?? { message: `${code}.`, hint: '' }
  return { code, message: fillIn(message, detail), hint: fillIn(hint, detail) }
}

/** How often in a row a run has met something like this; 0 where its last look went well. */
export const timesInARow = (last: FeedProblem | null): number => Number(last?.detail['times'] ?? 0)

/**
 * What people are alerted of by a fault of a server, and whether a second and third try come first. Of what only a person can mend they are
 * told at once.
 * @param loggedIn whether it arose behind the login: a secret that is missing there is another one than the login's
 */
export function alertOf(code: string, loggedIn: boolean): { kind: Extract<FeedAlertKind, 'hostKey' | 'login' | 'unreachable' | 'failed'>; atOnce: boolean } {
  if (code === 'feed.host_key_changed') return { kind: 'hostKey', atOnce: true }
  if (LOGIN.has(code) && !loggedIn) return { kind: 'login', atOnce: true }
  if (OF_THE_LINE.has(code)) return { kind: 'unreachable', atOnce: false }
  return { kind: 'failed', atOnce: !OF_THE_FILE.has(code) }
}

const LOGIN = new Set(['feed.login_refused', 'feed.key_unreadable', 'feed.no_sftp', 'feed.unknown_secret', 'seal.broken'])
const OF_THE_LINE = new Set(['feed.unreachable', 'feed.silent', 'feed.lost', 'feed.handshake_failed'])
/** What may be over with the next look: the sender is at it. */
const OF_THE_FILE = new Set(['feed.changed_during_fetch', 'feed.cut_short_transfer', 'feed.hash_differs', 'feed.control_unreadable', 'feed.file_missing', 'feed.refused'])

/** Whether it is the connection that failed, and not what was asked over it. */
export const isOfTheLine = (code: string): boolean => OF_THE_LINE.has(code)
