import type { IssueCode } from './catalog.ts'
import type { IssueDetail } from './detail.ts'

export type { IssueDetail } from './detail.ts'

/**
 * How a rule tells of a problem. Rules return the normalized value, or null where an error stops it;
 * warnings are reported beside a value. Calling instead of returning keeps the hot path free of allocations.
 */
export type Report = (code: IssueCode, detail?: IssueDetail) => void
