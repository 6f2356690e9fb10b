/**
 * Every lifecycle of Muster: one string union and one table of named transitions each.
 * docs/lifecycles.md draws the same tables and a test holds the drawings to them.
 * Pure; the lowest file of the house.
 */

export type Transition<State extends string> = { from: readonly State[]; to: State }
export type Lifecycle<State extends string> = {
  states: readonly State[]
  /** The states a thing may begin in. */
  initial: readonly State[]
  /** Nothing leaves these by itself. */
  terminal: readonly State[]
  transitions: Readonly<Record<string, Transition<State>>>
}

export const IMPORT_STATES = ['receiving', 'received', 'staging', 'previewed', 'held', 'committing', 'committed', 'cancelled', 'failed', 'undone'] as const
export type ImportState = (typeof IMPORT_STATES)[number]

export const IMPORT_LIFECYCLE = {
  states: IMPORT_STATES,
  // What a feed fetches is `receiving` until all of its bytes are there and are what they should be.
  initial: ['receiving', 'received'],
  terminal: ['committed', 'cancelled', 'failed', 'undone'],
  transitions: {
    receive: { from: ['receiving'], to: 'received' },
    stage: { from: ['received', 'staging'], to: 'staging' },
    preview: { from: ['staging'], to: 'previewed' },
    hold: { from: ['staging', 'previewed'], to: 'held' },
    commit: { from: ['previewed', 'held'], to: 'committing' },
    finish: { from: ['committing'], to: 'committed' },
    cancel: { from: ['received', 'staging', 'previewed', 'held'], to: 'cancelled' },
    fail: { from: ['received', 'staging', 'previewed', 'held', 'committing'], to: 'failed' },
    undo: { from: ['committed'], to: 'undone' },
  },
} as const satisfies Lifecycle<ImportState>

/** What a chunk is of: rows of the file, or people whom a full file no longer names. */
export const CHUNK_KINDS = ['rows', 'leaving'] as const
export type ChunkKind = (typeof CHUNK_KINDS)[number]

export const CHUNK_STATES = ['pending', 'done'] as const
export type ChunkState = (typeof CHUNK_STATES)[number]

export const CHUNK_LIFECYCLE = {
  states: CHUNK_STATES,
  initial: ['pending'],
  terminal: ['done'],
  transitions: { apply: { from: ['pending'], to: 'done' } },
} as const satisfies Lifecycle<ChunkState>

/** What becomes of a row of a file. Every row read is in exactly one of them (spec B9). */
export const ROW_FATES = ['create', 'update', 'unchanged', 'rejected', 'held', 'blank'] as const
export type RowFate = (typeof ROW_FATES)[number]

export const ACTIVITY_STATES = ['active', 'inactive'] as const
export type ActivityState = (typeof ACTIVITY_STATES)[number]

export const ACTIVITY_LIFECYCLE = {
  states: ACTIVITY_STATES,
  initial: ['active'],
  terminal: [],
  transitions: {
    deactivate: { from: ['active'], to: 'inactive' },
    activate: { from: ['inactive'], to: 'active' },
  },
} as const satisfies Lifecycle<ActivityState>

export const DELIVERY_STATES = ['held', 'scheduled', 'queued', 'sending', 'sent', 'failed', 'unknown', 'cancelled', 'bounced'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/**
 * `queued`: a worker has it under a lease and nothing of the message has left, provably.
 * `sending`: the worker was allowed to finish the message; without an answer nobody may ever repeat it.
 */
export const DELIVERY_LIFECYCLE = {
  states: DELIVERY_STATES,
  initial: ['held', 'scheduled'],
  terminal: ['sent', 'failed', 'cancelled', 'bounced'],
  transitions: {
    release: { from: ['held'], to: 'scheduled' },
    hold: { from: ['scheduled', 'queued'], to: 'held' },
    claim: { from: ['scheduled'], to: 'queued' },
    giveBack: { from: ['queued'], to: 'scheduled' },
    finishMessage: { from: ['queued'], to: 'sending' },
    confirm: { from: ['sending'], to: 'sent' },
    retryAfterRefusal: { from: ['sending'], to: 'scheduled' },
    refuse: { from: ['queued', 'sending'], to: 'failed' },
    loseSight: { from: ['sending'], to: 'unknown' },
    resolveSent: { from: ['unknown'], to: 'sent' },
    resolveNotSent: { from: ['unknown'], to: 'scheduled' },
    retry: { from: ['failed', 'bounced'], to: 'scheduled' },
    cancel: { from: ['held', 'scheduled', 'queued', 'unknown', 'failed'], to: 'cancelled' },
    bounce: { from: ['sent', 'unknown'], to: 'bounced' },
  },
} as const satisfies Lifecycle<DeliveryState>

export const INVITATION_STATES = ['created', 'launched', 'in_progress', 'completed', 'expired', 'revoked'] as const
export type InvitationState = (typeof INVITATION_STATES)[number]

export const INVITATION_LIFECYCLE = {
  states: INVITATION_STATES,
  // A resend is a new one, and launched as it leaves.
  initial: ['created', 'launched'],
  terminal: ['completed', 'revoked'],
  transitions: {
    launch: { from: ['created', 'launched', 'expired'], to: 'launched' },
    register: { from: ['launched'], to: 'in_progress' },
    complete: { from: ['in_progress'], to: 'completed' },
    expire: { from: ['launched'], to: 'expired' },
    revoke: { from: ['created', 'launched', 'in_progress', 'expired'], to: 'revoked' },
  },
} as const satisfies Lifecycle<InvitationState>

export const RELEASE_STATES = ['scheduled', 'running', 'frozen', 'finished', 'cancelled'] as const
export type ReleaseState = (typeof RELEASE_STATES)[number]

export const RELEASE_LIFECYCLE = {
  states: RELEASE_STATES,
  initial: ['scheduled'],
  terminal: ['finished', 'cancelled'],
  transitions: {
    begin: { from: ['scheduled'], to: 'running' },
    move: { from: ['scheduled', 'running', 'frozen'], to: 'scheduled' },
    freeze: { from: ['scheduled', 'running'], to: 'frozen' },
    // One whose date has passed begins again with the next look at the clock.
    resume: { from: ['frozen'], to: 'scheduled' },
    finish: { from: ['running'], to: 'finished' },
    cancel: { from: ['scheduled', 'running', 'frozen'], to: 'cancelled' },
  },
} as const satisfies Lifecycle<ReleaseState>

/** A paused feed runs when it is told to, and not by itself. */
export const FEED_STATES = ['active', 'paused'] as const
export type FeedState = (typeof FEED_STATES)[number]

export const FEED_LIFECYCLE = {
  states: FEED_STATES,
  initial: ['active'],
  terminal: [],
  transitions: {
    pause: { from: ['active'], to: 'paused' },
    resume: { from: ['paused'], to: 'active' },
  },
} as const satisfies Lifecycle<FeedState>

/** What made a run: its slot, the last of the slots that passed while nobody was there, or an operator. */
export const FEED_RUN_KINDS = ['scheduled', 'catchUp', 'manual'] as const
export type FeedRunKind = (typeof FEED_RUN_KINDS)[number]

export const FEED_RUN_STATES = ['due', 'looking', 'done', 'missing', 'failed'] as const
export type FeedRunState = (typeof FEED_RUN_STATES)[number]

/** `looking`: a worker is at the server. Between two looks it is `due` again. */
export const FEED_RUN_LIFECYCLE = {
  states: FEED_RUN_STATES,
  initial: ['due'],
  terminal: ['done', 'missing', 'failed'],
  transitions: {
    look: { from: ['due', 'looking'], to: 'looking' },
    wait: { from: ['looking'], to: 'due' },
    finish: { from: ['looking'], to: 'done' },
    miss: { from: ['due', 'looking'], to: 'missing' },
    fail: { from: ['due', 'looking'], to: 'failed' },
  },
} as const satisfies Lifecycle<FeedRunState>

export const FEED_FILE_STATES = ['found', 'importing', 'held', 'imported', 'rejected', 'refused', 'repeated', 'superseded'] as const
export type FeedFileState = (typeof FEED_FILE_STATES)[number]

/**
 * A file on a feed's server. `found`: seen, and perhaps not whole yet. `repeated`: the bytes of an earlier one, so nothing is done.
 * `superseded`: a newer full file says it better. `refused`: it could not be taken in as a whole.
 */
export const FEED_FILE_LIFECYCLE = {
  states: FEED_FILE_STATES,
  initial: ['found'],
  terminal: ['imported', 'rejected', 'refused', 'repeated', 'superseded'],
  transitions: {
    take: { from: ['found'], to: 'importing' },
    hold: { from: ['importing'], to: 'held' },
    approve: { from: ['held'], to: 'importing' },
    finish: { from: ['importing', 'held'], to: 'imported' },
    reject: { from: ['held', 'importing'], to: 'rejected' },
    refuse: { from: ['found', 'importing', 'held'], to: 'refused' },
    recognize: { from: ['found'], to: 'repeated' },
    supersede: { from: ['found', 'held'], to: 'superseded' },
  },
} as const satisfies Lifecycle<FeedFileState>

export const FEED_ALERT_STATES = ['raised', 'cleared'] as const
export type FeedAlertState = (typeof FEED_ALERT_STATES)[number]

export const FEED_ALERT_LIFECYCLE = {
  states: FEED_ALERT_STATES,
  initial: ['raised'],
  terminal: ['cleared'],
  transitions: { clear: { from: ['raised'], to: 'cleared' } },
} as const satisfies Lifecycle<FeedAlertState>

/** What people are alerted of (spec A7). */
export const FEED_ALERT_KINDS = ['late', 'missing', 'repeated', 'outOfOrder', 'held', 'failed', 'hostKey', 'login', 'unreachable', 'acknowledgement'] as const
export type FeedAlertKind = (typeof FEED_ALERT_KINDS)[number]

export const WEBHOOK_STATES = ['waiting', 'sending', 'delivered', 'failed'] as const
export type WebhookState = (typeof WEBHOOK_STATES)[number]

/** Unlike a mail, an event may be told twice: its id says that it is the same one. */
export const WEBHOOK_LIFECYCLE = {
  states: WEBHOOK_STATES,
  initial: ['waiting'],
  terminal: ['delivered', 'failed'],
  transitions: {
    send: { from: ['waiting', 'sending'], to: 'sending' },
    confirm: { from: ['sending'], to: 'delivered' },
    retry: { from: ['sending'], to: 'waiting' },
    giveUp: { from: ['sending'], to: 'failed' },
  },
} as const satisfies Lifecycle<WebhookState>

/** What a person decides about somebody whom a file names (spec B4): a new address of somebody who was mailed, or somebody deactivated who is back. */
export const IDENTITY_DECISION_KINDS = ['moved', 'deactivated'] as const
export type IdentityDecisionKind = (typeof IDENTITY_DECISION_KINDS)[number]

export const IDENTITY_DECISION_STATES = ['waiting', 'accepted', 'rejected', 'lapsed'] as const
export type IdentityDecisionState = (typeof IDENTITY_DECISION_STATES)[number]

/** `lapsed`: the file no longer says so, or the person was changed otherwise. */
export const IDENTITY_DECISION_LIFECYCLE = {
  states: IDENTITY_DECISION_STATES,
  initial: ['waiting'],
  terminal: ['accepted', 'rejected', 'lapsed'],
  transitions: {
    accept: { from: ['waiting'], to: 'accepted' },
    reject: { from: ['waiting'], to: 'rejected' },
    lapse: { from: ['waiting'], to: 'lapsed' },
  },
} as const satisfies Lifecycle<IdentityDecisionState>

/** What limits the rows that a user sees (spec C6); each is a kind of security group. */
export const SECURITY_DIMENSIONS = ['company', 'businessUnit', 'department', 'location'] as const
export type SecurityDimension = (typeof SECURITY_DIMENSIONS)[number]

export const ACCOUNT_KINDS = ['employee', 'contact', 'service representative'] as const
export type AccountKind = (typeof ACCOUNT_KINDS)[number]

/** What a delivery is for. The ledger holds one row per (user, purpose, epoch), or per (import, purpose). */
export const DELIVERY_PURPOSES = [
  'credentials',
  'invitation',
  // Credentials of a user, to an operator who hands them over (spec D2).
  'operatorCredentials',
  // What somebody who has registered gets in place of an invitation (spec D3).
  'alreadyRegistered',
  // The link to sign in, once the notice is accepted (spec D4).
  'welcome',
  'passwordReset',
  'passwordChanged',
  'operatorSummary',
  // Something is wrong with a feed, or right again, to the feed's people (spec A7).
  'feedAlert',
  'feedAllClear',
] as const
export type DeliveryPurpose = (typeof DELIVERY_PURPOSES)[number]

/**
 * How far an attempt to send got. claimed: a worker has it. finishing: recorded right before the message
 * may leave. answered: the server has spoken. lost: the worker is gone, or the connection without an answer.
 */
export const ATTEMPT_STAGES = ['claimed', 'finishing', 'answered', 'lost'] as const
export type AttemptStage = (typeof ATTEMPT_STAGES)[number]
