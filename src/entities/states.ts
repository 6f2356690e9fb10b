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

export const IMPORT_STATES = ['received', 'staging', 'previewed', 'held', 'committing', 'committed', 'cancelled', 'failed', 'undone'] as const
export type ImportState = (typeof IMPORT_STATES)[number]

export const IMPORT_LIFECYCLE = {
  states: IMPORT_STATES,
  initial: ['received'],
  terminal: ['committed', 'cancelled', 'failed', 'undone'],
  transitions: {
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
] as const
export type DeliveryPurpose = (typeof DELIVERY_PURPOSES)[number]

/**
 * How far an attempt to send got. claimed: a worker has it. finishing: recorded right before the message
 * may leave. answered: the server has spoken. lost: the worker is gone, or the connection without an answer.
 */
export const ATTEMPT_STAGES = ['claimed', 'finishing', 'answered', 'lost'] as const
export type AttemptStage = (typeof ATTEMPT_STAGES)[number]
