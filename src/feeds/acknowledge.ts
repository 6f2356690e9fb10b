import type { FeedFileState } from '../entities/states.ts'

/** The answers that lie on the server beside a file (spec A5). Pure: what is said is put together elsewhere. */

/** Something that was found, in words. */
export type Told = { code: string; message: string; hint: string }

/** What the sender is told of a file; docs/feeds.md describes it. */
export type Acknowledgement = {
  feed: string
  /** `sha256` of the bytes as they lay on the server, in hex; null where they were not fetched. */
  file: { name: string; bytes: number; sha256: string | null }
  state: Exclude<FeedFileState, 'found' | 'importing'>
  /** Null where the file did not come to be imported. Totals are those of the import; `deactivated` are people whom a full file no longer names. */
  import: {
    id: string
    state: string
    totals: Record<string, number>
    deactivated: number
    users: Record<string, number>
    deliveries: Record<string, number>
    issueCount: number
  } | null
  /** Why it is, or was, held as a whole. */
  held: Told[]
  /** Why nothing of it was, or will be, taken in; null where it was, or still may be. */
  failure: Told | null
  /** Name of the file with the rejected rows, to be mended and sent again; null where there are none. */
  errors: string | null
  /** When this was written, ISO 8601 in UTC. */
  at: string
}

/** The text of FILE.ack.json. */
export const acknowledgementText = (acknowledgement: Acknowledgement): string => `${JSON.stringify(acknowledgement, null, 2)}\n`

const ACKNOWLEDGEMENT = '.ack.json'
const ERRORS = '.errors.'

/** The name of a file's acknowledgement. */
export const acknowledgementName = (file: string): string => file + ACKNOWLEDGEMENT

/** The name of the file with a file's rejected rows: of its own kind. */
export const errorsName = (file: string, format: string): string => file + ERRORS + (format === 'xlsx' ? 'xlsx' : 'csv')

/**
 * What one of our answers, to go by its name, answers to: perhaps one that is just being written. `rows`: it holds those that were rejected,
 * and may be one that the sender has mended. Null for a name that no answer has.
 * @param takes whether a name is one that the feed takes files of
 */
export function answerTo(name: string, takes: (name: string) => boolean): { file: string; rows: boolean } | null {
  const [, named, kind, unfinished] = /^(.+)\.(ack\.json|errors\.(?:csv|xlsx))(\.tmp)?$/.exec(name) ?? []
  if (named === undefined) return null
  const file = unfinished === undefined ? named : named.replace(/^\./, '')
  // What was mended and sent back is answered to as well.
  if (!takes(file) && answerTo(file, takes) === null) return null
  return { file, rows: kind !== 'ack.json' && unfinished === undefined }
}

/** The path of a file in a folder of the server. */
export const pathIn = (folder: string, file: string): string => (folder === '.' || folder === '' ? file : `${folder.replace(/\/+$/, '')}/${file}`)

/**
 * The names under which a file may be kept in the archive, to be tried in turn: its own, and where that is taken with the time before its
 * ending, as in people.20261201T063000Z.csv; to the millisecond where two come in a second.
 */
export function archiveNames(file: string, at: Date): string[] {
  const time = at.toISOString().replace(/[-:]/g, '')
  const dot = file.indexOf('.', 1)
  const [stem, ending] = dot === -1 ? [file, ''] : [file.slice(0, dot), file.slice(dot)]
  return [file, `${stem}.${time.replace(/\.\d+/, '')}${ending}`, `${stem}.${time.replace('.', '')}${ending}`]
}
