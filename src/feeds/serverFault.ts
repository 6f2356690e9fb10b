/** What stands in the way of a feed's file: told in a sentence, with a stable code, what to do, and the values that belong to it. */
export class ServerFault extends Error {
  readonly code: string
  readonly hint: string
  /** For feed_runs.problem and alerts; no secrets. */
  readonly detail: Record<string, string | number>

  constructor(code: string, message: string, hint: string, detail: Record<string, string | number> = {}, options: ErrorOptions = {}) {
    super(message, options)
    this.name = 'ServerFault'
    this.code = code
    this.hint = hint
    this.detail = detail
  }
}
