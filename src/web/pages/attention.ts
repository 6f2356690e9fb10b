import type { ShownPause } from '../../deliveries/pause.ts'
import type { ReleaseLine } from '../../deliveries/releasePlan.ts'
import type { DeliveryState } from '../../entities/states.ts'
import type { FeedReport } from '../../feeds/feedReport.ts'
import type { StoredImport } from '../../importers/importReport.ts'
import type { SeenWorker } from '../../jobs/seenWorkers.ts'
import type { Organization } from '../../organizations/organizations.ts'
import { explainFailure } from '../../rules/catalog.ts'
import { queryOf } from '../query.ts'
import { showCount, showInstant } from '../show.ts'
import { note } from './importNotes.ts'
import type { Note } from './importNotes.ts'

export type Looked = {
  /** Imports newest first. */
  organizations: { organization: Organization; answer: { imports: StoredImport[]; deliveries: Partial<Record<DeliveryState, number>>; frozen: Pick<ReleaseLine, 'id' | 'name' | 'reason'>[]; feeds: Pick<FeedReport, 'id' | 'name' | 'condition'>[] } }[]
  workers: SeenWorker[]
  pause: ShownPause | null
  /** The database's clock. */
  now: Date
  /** Zone of instants that belong to no organization. */
  zone: string
}

/** How long a refused file is told of, unless the same one has gone through since. */
const FAILED_DAYS = 7
const DAY_MS = 86_400_000

/** What needs somebody (spec E2): the whole installation first, then each organization; each with what to type. */
export function attention(looked: Looked): Note[] {
  const several = looked.organizations.length > 1
  return [
    ...installationNotes(looked),
    ...looked.organizations.flatMap(({ organization, answer }) =>
      [...releaseNotes(answer.frozen), ...feedNotes(answer.feeds), ...deliveryNotes(organization, answer.deliveries), ...importNotes(answer.imports, looked.now)].map((note) => (several ? { ...note, heading: `${organization.name}: ${note.heading}` } : note)),
    ),
  ]
}

function installationNotes({ workers, pause, zone }: Looked): Note[] {
  const notes: Note[] = []
  if (!workers.some((worker) => worker.alive)) {
    notes.push(note('bad', 'No worker is running', 'Nothing is read and nothing is mailed until one is. What waits is kept.', ['./muster up']))
  }
  if (pause) {
    const [since, retry] = [showInstant(pause.since, zone)!.text, showInstant(pause.retryAt, zone)!.text]
    notes.push(note('bad', 'All mail is paused: the mail server refuses the login', `It says: ${pause.reason} Paused since ${since}; tried again at ${retry}. Look at user and password in SMTP_URL.`, ['./muster doctor']))
  }
  return notes
}

function releaseNotes(frozen: readonly Pick<ReleaseLine, 'id' | 'name' | 'reason'>[]): Note[] {
  return frozen.map(({ id, name, reason }) => {
    const told = reason === null ? 'Somebody froze it: nothing of it leaves.' : 'Too much of its first wave failed: the rest does not follow by itself.'
    return note(reason === null ? 'warn' : 'bad', `${name} is frozen`, told, [`./muster release resume ${id}`, `./muster release cancel ${id}`], `/releases/${id}`)
  })
}

/** What keeps a feed from its work, or an alert is about; what is held is told with its import. */
function feedNotes(feeds: readonly Pick<FeedReport, 'id' | 'name' | 'condition'>[]): Note[] {
  return feeds.flatMap(({ id, name, condition: { code, tone, text, command } }) =>
    (tone === 'bad' || tone === 'warn') && code !== 'held' ? [note(tone, `Feed ${name}: ${text}`, 'Its page says what happened, and what to do.', command === null ? [] : [command], `/feeds/${id}`)] : [],
  )
}

function deliveryNotes({ key }: Organization, counts: Partial<Record<DeliveryState, number>>): Note[] {
  const { unknown = 0, failed = 0, bounced = 0 } = counts
  const notes: Note[] = []
  const at = (state: DeliveryState): string => `/deliveries${queryOf({ organization: key, state })}`
  if (unknown > 0) {
    const told = 'The connection broke at the very end. They are never sent again by themselves: ask the people, then say what came of each.'
    notes.push(note('bad', `Nobody knows whether ${showCount(unknown, 'mail')} arrived`, told, [`./muster deliveries list --organization ${key} --state unknown`], at('unknown')))
  }
  const refused = 'The mail server’s words say why. Mend the address, then send again.'
  const returned = 'The server at the other end took them, and could not deliver them: its words say why. Mend the address, then send each again; the old link is void then.'
  for (const [state, count, verb, told] of [['failed', failed, 'could not be delivered', refused], ['bounced', bounced, 'came back', returned]] as const) {
    if (count === 0) continue
    const commands = [`./muster deliveries list --organization ${key} --state ${state}`, './muster deliveries retry ID']
    notes.push(note('warn', `${showCount(count, 'mail')} ${verb}`, told, commands, at(state)))
  }
  return notes
}

function importNotes(imports: readonly StoredImport[], now: Date): Note[] {
  return imports.flatMap((stored, index): Note[] => {
    const { id, state, fileName } = stored
    const href = `/imports/${id}`
    if (stored.stalled) return [note('bad', `${fileName} has stalled`, 'Its worker has given no sign for a minute. Another one goes on from where it was.', [], href)]
    if (state === 'held') return [note('warn', `${fileName} is held as a whole`, 'It would change more than it may without somebody’s decision.', [`./muster feed show ${id}`, `./muster feed approve ${id}`], href)]
    if (state === 'previewed') return [note('warn', `${fileName} waits for a decision`, 'Its plan is made and nothing has changed yet.', [`./muster import commit ${id}`, `./muster import cancel ${id}`], href)]
    if (state !== 'failed' || !stored.failure || isSettled(stored, imports.slice(0, index), now)) return []
    const { message, hint } = explainFailure(stored.failure.code, stored.failure.detail)
    return [note('bad', `${fileName} was refused`, `${message} ${hint}`, [], href)]
  })
}

/** A refused file is somebody's matter until a file of its name has gone through, or a week has passed. */
function isSettled(failed: StoredImport, later: readonly StoredImport[], now: Date): boolean {
  const old = now.getTime() - (failed.finishedAt ?? failed.createdAt).getTime() > FAILED_DAYS * DAY_MS
  return old || later.some(({ fileName, state }) => fileName === failed.fileName && state !== 'failed' && state !== 'cancelled')
}
