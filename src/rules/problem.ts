import type { IssueCode } from './catalog.ts'

/** What a message needs to be told in full: the offending character, the nearest known value, a count. Never a secret. */
export type IssueDetail = Readonly<Record<string, string | number>>

/**
 * How a rule tells of a problem. Rules return the normalized value, or null where an error stops it;
 * warnings are reported beside a value. Calling instead of returning keeps the hot path free of allocations.
 */
export type Report = (code: IssueCode, detail?: IssueDetail) => void
