/**
 * What a handler says when it is through: the work is done, is not to be done (and why), or is to be looked at again later.
 * Anything else is thrown, and tried again.
 */
export type Outcome = { kind: 'done' } | { kind: 'cancel'; reason: string } | { kind: 'snooze'; milliseconds: number }

export const done: Outcome = { kind: 'done' }
/** The work is not to be done; `reason` is a code. */
export const cancel = (reason: string): Outcome => ({ kind: 'cancel', reason })
/** The work is to be looked at again after so many milliseconds. */
export const snooze = (milliseconds: number): Outcome => ({ kind: 'snooze', milliseconds })
