import type { DeliveryPurpose, DeliveryState, FeedFileState, FeedRunState, ImportState, ReleaseState, RowFate } from '../../entities/states.ts'
import type { Badge, Tone } from '../show.ts'

const IMPORT_TONES: Readonly<Record<ImportState, Tone>> = {
  receiving: 'busy', received: 'busy', staging: 'busy', previewed: 'warn', held: 'warn', committing: 'busy', committed: 'good', cancelled: 'quiet', failed: 'bad', undone: 'quiet',
}

const DELIVERY_TONES: Readonly<Record<DeliveryState, Tone>> = {
  held: 'warn', scheduled: 'busy', queued: 'busy', sending: 'busy', sent: 'good', failed: 'bad', unknown: 'bad', cancelled: 'quiet', bounced: 'bad',
}

const RELEASE_TONES: Readonly<Record<ReleaseState, Tone>> = { scheduled: 'warn', running: 'busy', frozen: 'bad', finished: 'good', cancelled: 'quiet' }

const FEED_FILE_TONES: Readonly<Record<FeedFileState, Tone>> = {
  found: 'quiet', importing: 'busy', held: 'warn', imported: 'good', rejected: 'quiet', refused: 'bad', repeated: 'warn', superseded: 'quiet',
}

const FEED_RUN_TONES: Readonly<Record<FeedRunState, Tone>> = { due: 'busy', looking: 'busy', done: 'good', missing: 'bad', failed: 'bad' }

const FATE_TONES: Readonly<Record<RowFate, Tone>> = { create: 'good', update: 'busy', unchanged: 'quiet', rejected: 'bad', held: 'warn', blank: 'quiet' }

const PURPOSE_NAMES: Readonly<Record<DeliveryPurpose, string>> = {
  credentials: 'Credentials',
  invitation: 'Invitation',
  operatorCredentials: 'Credentials to an operator',
  alreadyRegistered: 'Registered already',
  welcome: 'Welcome',
  passwordReset: 'Password reset',
  passwordChanged: 'Password changed',
  operatorSummary: 'Summary for operators',
  feedAlert: 'Alert about a feed',
  feedAllClear: 'All-clear of a feed',
}

const FATE_NAMES: Readonly<Record<RowFate, string>> = { create: 'Create', update: 'Update', unchanged: 'Unchanged', rejected: 'Rejected', held: 'Held', blank: 'Blank' }

/** Imports that a worker is to go on with. */
export const isRunning = (state: ImportState): boolean => state === 'received' || state === 'staging' || state === 'committing'

/** The state's word, with how it looks; a stalled import says so. */
export const importBadge = ({ state, stalled }: { state: ImportState; stalled: boolean }): Badge => (stalled ? { text: 'Stalled', tone: 'bad' } : { text: capitalized(state), tone: IMPORT_TONES[state] })

/** A delivery's state in a word, with how it looks. */
export const deliveryBadge = (state: DeliveryState): Badge => ({ text: capitalized(state), tone: DELIVERY_TONES[state] })

/** The state of a feed's file in a word, with how it looks. */
export const feedFileBadge = (state: FeedFileState): Badge => ({ text: capitalized(state), tone: FEED_FILE_TONES[state] })

/** The state of a feed's run in a word, with how it looks. */
export const feedRunBadge = (state: FeedRunState): Badge => ({ text: capitalized(state), tone: FEED_RUN_TONES[state] })

/** A release's state in a word, with how it looks. */
export const releaseBadge = (state: ReleaseState): Badge => ({ text: capitalized(state), tone: RELEASE_TONES[state] })

/** What becomes of a row, in a word, with how it looks. */
export const fateBadge = (fate: RowFate): Badge => ({ text: FATE_NAMES[fate], tone: FATE_TONES[fate] })

/** What a delivery is for, as people say it. */
export const purposeName = (purpose: DeliveryPurpose): string => PURPOSE_NAMES[purpose]

/** The word with its first letter large: state -> State. */
export const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
