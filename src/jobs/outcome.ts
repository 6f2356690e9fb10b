/**
 * What a handler says when it is through: the work is done, is not to be done (and why), or is to be looked at again later.
 * Anything else is thrown, and tried again.
 */
export type Outcome = { kind: 'done' } | { kind: 'cancel'; reason: string } | { kind: 'snooze'; milliseconds: number }

export const done: Outcome = { kind: 'done' }
export const cancel = (reason: string): Outcome => ({ kind: 'cancel', reason })
export const snooze = (milliseconds: number): Outcome => ({ kind: 'snooze', milliseconds })
