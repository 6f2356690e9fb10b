import type { FailureCode } from './catalog.ts'
import type { IssueDetail } from './problem.ts'

/** A file that is refused as a whole: nothing of it is taken in. Message and hint come from the catalog. */
export class FileRefused extends Error {
  readonly code: FailureCode
  readonly detail: IssueDetail

  constructor(code: FailureCode, detail: IssueDetail = {}) {
    super(code)
    this.name = 'FileRefused'
    this.code = code
    this.detail = detail
  }
}
